"""The keys of a config: each with its default, its range and its meaning, here or where it is used.

A config is a ConfigDict in `configs/` and on the command line. It becomes a `Config` once, by
`read`, which checks every value; below, nothing changes it (`dataclasses.replace` makes another).
The keys of `config.model` are in `catpose.models.settings`, those of a phase in
`catpose.experiment.phases` and `catpose.data.augment`, those of `config.engine.look` in
`catpose.synthetic.look`.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from catpose import config_keys, devices, errors, plugins
from catpose.experiment.phases import Phase
from catpose.geometry import symmetry as symmetries
from catpose.geometry import viewpoint
from catpose.models import joint, settings
from catpose.synthetic import view_density
from catpose.synthetic.backgrounds import FAMILIES as BACKGROUND_FAMILIES
from catpose.synthetic.look import Look

VIEW_RANGES = ("azimuth_deg", "elevation_deg", "theta_deg", "distance")
NEAREST = 1.2  # half diagonals of an object, from its center to the camera


@dataclasses.dataclass(frozen=True)
class Data:
    """Where images and labels come from, and how much of a photo the network sees."""

    kind: str = config_keys.key(
        "manifest",
        "what the data are: manifest, shapes, symsol, pascal3d, objectnet3d, rendered, or a "
        "plugin's; see READERS in catpose/experiment/datasets.py",
    )
    root: str = config_keys.key(
        "", "the folder with manifest.csv and images/, or what launch.prepare built"
    )
    variant: str = config_keys.key(
        "paper", "of pascal3d and objectnet3d: which objects, see catpose/data/pascal3d/layout.py"
    )
    categories: tuple[str, ...] = config_keys.key(
        (), "names, in the order of the outputs; empty for all that the data has"
    )
    symmetry: Mapping[str, Any] = config_keys.key(
        {},
        "by category: z where any turn about the object's z axis changes nothing, n where turns by "
        "360/n degrees do; losses and errors take the nearest equivalent of the truth. The "
        "protocols of launch.evaluate do not. --config.data.symmetry=\"{'bottle': 'z'}\"",
    )
    resolution: int = config_keys.key(
        224, "side of the network's input in pixels", config_keys.between(1, 8192)
    )
    context: float = config_keys.key(
        1.0,
        "side of the crop over that of the box; 224/192 shows 16 pixels around a box of 192",
        config_keys.between(1, 4),
    )
    margin: int = config_keys.key(
        0, "further pixels kept around the box, for crops that move", config_keys.between(0, 8192)
    )
    num_train: int = config_keys.key(
        0, "training images at most, evenly from all categories; 0 for all", config_keys.at_least(0)
    )
    max_broken_share: float = config_keys.key(
        errors.MAX_BROKEN_SHARE,
        "share of the images that may be unreadable",
        config_keys.between(0, 1),
    )
    device_cache_mb: int = config_keys.key(
        -1,
        "splits larger than this stay on the host; -1 for what the device can take",
        config_keys.at_least(-1),
    )
    rendered: str = config_keys.key(
        "", "folder or tar of images rendered offline: a further split `rendered`"
    )
    rendered_tilt: str = config_keys.key(
        "", "released or fresh, where the folder of rendered images does not say"
    )
    rendered_per_category: int = config_keys.key(
        0, "rendered images of a category at most; 0 for all", config_keys.at_least(0)
    )
    cache_dir: str = config_keys.key(
        "", "for decoded images; empty for catpose in the user's cache"
    )
    seed: int = config_keys.key(0, "of the objects of shapes", config_keys.at_least(0))
    num_images: Mapping[str, int] = config_keys.key(
        {"pretrain": 0, "train": 0, "rendered": 0, "validation": 0, "test": 0},
        "of shapes and symsol: images by split",
        config_keys.values(config_keys.at_least(0)),
    )

    def __post_init__(self) -> None:
        symmetries.orders(self.symmetry, tuple(self.symmetry))


@dataclasses.dataclass(frozen=True)
class Engine:
    """Images of 3D models rendered in the step, for phases whose `sources` name `drawn`."""

    models: str = config_keys.key(
        "builtin",
        "3D models: builtin, detailed (some of these closer to life), or a folder, see "
        "catpose/synthetic/mesh_files.py",
    )
    names: Mapping[str, str] = config_keys.key(
        {}, "by category: what the models call it, where that differs"
    )
    up: str = config_keys.key(
        "", "axis of the folder's models that points up; empty for its layout's"
    )
    front: str = config_keys.key("", "axis that points to the front; empty for the layout's")
    per_category: int = config_keys.key(
        200, "models of a category; of a folder at most", config_keys.at_least(1)
    )
    max_triangles: int = config_keys.key(
        1000, "triangles to which models of a folder are simplified", config_keys.at_least(1)
    )
    seed: int = config_keys.key(
        0, "of the built-in models and of the backgrounds", config_keys.at_least(0)
    )
    views_like: str = config_keys.key(
        "", "a split, from the density of whose viewpoints ours are sampled; empty for the ranges"
    )
    uniform_share: float = config_keys.key(
        0.05,
        "share of the viewpoints sampled from the ranges all the same",
        config_keys.between(0, 1),
    )
    azimuth_deg: tuple[float, ...] = config_keys.key(
        (0.0, 360.0), "range (low, high), or (low, high, mean, deviation) of a cut normal"
    )
    elevation_deg: tuple[float, ...] = config_keys.key((-10.0, 50.0), "likewise")
    theta_deg: tuple[float, ...] = config_keys.key((-15.0, 15.0, 0.0, 5.0), "likewise")
    distance: tuple[float, ...] = config_keys.key(
        (3.0, 8.0),
        "likewise, in half diagonals of the object's bounding box",
        config_keys.Range(
            lambda value: len(value) > 1 and value[0] >= NEAREST,
            lambda: f"a range from {NEAREST} on; nearer, the camera would be in the object",
        ),
    )
    views: Mapping[str, Mapping[str, tuple[float, ...]]] = config_keys.key(
        {},
        "by category, other ranges than these four, such as {'bottle': {'azimuth_deg': (-10, 10)}}",
        config_keys.Range(
            lambda value: all(
                set(own) <= set(VIEW_RANGES) and min(own.get("distance", [NEAREST])) >= NEAREST
                for own in value.values()
            ),
            lambda: f"by category, ranges of {', '.join(VIEW_RANGES)}, the last from {NEAREST} on",
        ),
    )
    backgrounds: str = config_keys.key("", "a folder of photographs; empty for random patterns")
    background_family: str = config_keys.key(
        "seen",
        "of the random patterns, see catpose/synthetic/backgrounds.py",
        config_keys.one_of(BACKGROUND_FAMILIES),
    )
    num_backgrounds: int = config_keys.key(
        1000, "backgrounds kept in memory", config_keys.at_least(1)
    )
    supersampling: int = config_keys.key(
        2, "samples per pixel and axis", config_keys.between(1, 16)
    )
    look: Look = config_keys.group(Look, "how pictures differ")

    def __post_init__(self) -> None:
        view_density.ranges(
            azimuth_deg=self.azimuth_deg,
            elevation_deg=self.elevation_deg,
            theta_deg=self.theta_deg,
            distance=self.distance,
        )


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The optimizer of all phases."""

    name: str = config_keys.key(
        "adam", "the rule of the update", config_keys.one_of(("adam", "sgd"))
    )
    weight_decay: float = config_keys.key(
        0.0, "decoupled decay of kernels", config_keys.at_least(0)
    )
    clip_norm: float = config_keys.key(
        0.0, "largest norm of the gradient; 0 for no clipping", config_keys.at_least(0)
    )


@dataclasses.dataclass(frozen=True)
class Eval:
    """What is evaluated, and when."""

    every_steps: int = config_keys.key(
        0, "steps between two validations; 0 for the end only", config_keys.at_least(0)
    )
    batch_size: int = config_keys.key(256, "images at once", config_keys.at_least(1))
    feature_batch_size: int = config_keys.key(
        8, "images at once where features are computed to be cached", config_keys.at_least(1)
    )
    splits: tuple[str, ...] = config_keys.key(
        ("validation", "test"), "in the report, where they exist"
    )
    fusion: str = config_keys.key(
        "",
        "how the trained network answers: weighted, top1, or with a pose that has a density mode "
        "or min_expected_error (docs/certainty.md); empty for the fusion of the last phase",
        config_keys.one_of(("", "weighted", "top1", *joint.DECISIONS)),
    )
    mirror: bool = config_keys.key(
        False,
        "answer by the mean of what the network says of the picture and of its mirror image: twice "
        "the time, of pose matrix_fisher",
    )
    answer: str = config_keys.key(
        "last",
        "the weights that a run answers with: of its last step, or, where there is a validation "
        "split, of the step with the lowest pose-err on it (best)",
        config_keys.one_of(("last", "best")),
    )
    shares: tuple[float, ...] = config_keys.key(
        (),
        "shares of the training images, such as 0.25 and 0.5, on which the network is trained once "
        "more: the report says what more images bring",
        config_keys.each(
            config_keys.Range(lambda value: 0 < value < 1, lambda: "above 0 and below 1")
        ),
    )


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run."""

    name: str = config_keys.key(
        "base", "of the run, for its folder and report", config_keys.NOT_EMPTY
    )
    seed: int = config_keys.key(0, "of weights, batches and augmentation", config_keys.at_least(0))
    parallel: str = config_keys.key(
        "pmap",
        "how a step is divided among devices: pmap, or jit with shardings; the same numbers",
        config_keys.one_of(devices.MODES),
    )
    frame: str = config_keys.key(
        "upright",
        "frame in which poses are learned (docs/conventions.md)",
        config_keys.one_of(viewpoint.FRAMES),
    )
    steps_per_call: int = config_keys.key(
        1,
        "steps in one program, for networks whose steps are as short as its dispatch; must divide "
        "all other counts of steps",
        config_keys.at_least(1),
    )
    log_steps: int = config_keys.key(
        50, "steps between two lines of the log", config_keys.at_least(1)
    )
    checkpoint_steps: int = config_keys.key(
        1000, "steps between checkpoints", config_keys.at_least(1)
    )
    tensorboard: bool = config_keys.key(False, "write the log for TensorBoard too")
    max_skipped: int = config_keys.key(
        10,
        "a batch with a loss or gradient of NaN or Inf changes nothing; so many in a row end a run",
        config_keys.at_least(1),
    )
    max_skipped_share: float = config_keys.key(
        0.1,
        "where more than this share of all batches changed nothing, the run ends with an error",
        config_keys.between(0, 1),
    )
    plugins: tuple[str, ...] = config_keys.key(
        (), "modules that add backbones, poses, readers or losses; given by --plugins"
    )
    data: Data = config_keys.group(Data, "images and labels")
    engine: Engine = config_keys.group(Engine, "images rendered in the step")
    model: settings.Settings = config_keys.group(settings.Settings, "the network")
    optimizer: Optimizer = config_keys.group(Optimizer, "the optimizer")
    phases: tuple[Phase, ...] = config_keys.key((), "training, phase by phase")
    eval: Eval = config_keys.group(Eval, "evaluation")


def read(values: Any) -> Config:
    """The config of a ConfigDict, or of the dict that a run's folder keeps; every value is checked.

    Raises:
      InputError: an unknown key, a value out of its range, or a plugin that is not loaded.
    """
    if isinstance(values, Config):
        return values
    needed = dict(values).get("plugins")
    if isinstance(needed, list | tuple):
        plugins.check([name for name in needed if isinstance(name, str)])
    return config_keys.read(Config, values, "config")


def to_dict(config: Config) -> dict[str, Any]:
    """The config as JSON has it: nested dicts and lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
