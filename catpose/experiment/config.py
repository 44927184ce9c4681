"""The keys of a config: each with its default, its range and its meaning, here or where it is used.

A config is a ConfigDict in `configs/` and on the command line. It becomes a `Config` once, by
`read`, which checks every value; below, nothing changes it (`dataclasses.replace` makes another).
The keys of `config.model` are in `catpose.models.settings`, those of a phase in
`catpose.experiment.phases` and `catpose.data.augment`, those of `config.engine.look` in
`catpose.synthetic.domain_randomization`.
"""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

from catpose import devices, fields, plugins
from catpose.experiment.phases import Phase
from catpose.geometry import viewpoint
from catpose.models import settings
from catpose.synthetic import domain_randomization

NEAREST = 1.2  # half diagonals of an object, from its center to the camera


@dataclasses.dataclass(frozen=True)
class Data:
    """Where images and labels come from, and how much of a photo the network sees."""

    kind: str = fields.key(
        "manifest",
        "what the data are: manifest, shapes, pascal3d, objectnet3d, rendered, or a plugin's; see "
        "READERS in catpose/experiment/datasets.py",
    )
    root: str = fields.key(
        "", "the folder with manifest.csv and images/, or what launch.prepare built"
    )
    variant: str = fields.key(
        "paper", "of pascal3d and objectnet3d: which objects, see catpose/data/pascal3d/layout.py"
    )
    categories: tuple[str, ...] = fields.key(
        (), "names, in the order of the outputs; empty for all that the data has"
    )
    symmetry: Mapping[str, Any] = fields.key(
        {},
        "by category: z where any turn about the object's z axis changes nothing, n where turns by "
        "360/n degrees do; losses and errors take the nearest equivalent of the truth. The "
        "protocols of launch.evaluate do not. --config.data.symmetry=\"{'bottle': 'z'}\"",
    )
    resolution: int = fields.key(224, "side of the network's input in pixels", fields.at_least(1))
    context: float = fields.key(
        1.0,
        "side of the crop over that of the box; 224/192 shows 16 pixels around a box of 192",
        fields.between(1, 4),
    )
    margin: int = fields.key(
        0, "further pixels kept around the box, for crops that move", fields.at_least(0)
    )
    num_train: int = fields.key(
        0, "training images at most, evenly from all categories; 0 for all", fields.at_least(0)
    )
    max_broken_share: float = fields.key(
        0.01, "share of the images that may be unreadable", fields.between(0, 1)
    )
    device_cache_mb: int = fields.key(
        -1, "splits larger than this stay on the host; -1 for what the device can take"
    )
    rendered: str = fields.key(
        "", "folder or tar of images rendered offline: a further split `rendered`"
    )
    rendered_tilt: str = fields.key(
        "", "released or fresh, where the folder of rendered images does not say"
    )
    rendered_per_category: int = fields.key(
        0, "rendered images of a category at most; 0 for all", fields.at_least(0)
    )
    cache_dir: str = fields.key("", "for decoded images; empty for catpose in the user's cache")
    seed: int = fields.key(0, "of the objects of shapes", fields.at_least(0))
    num_images: Mapping[str, int] = fields.key(
        {"pretrain": 0, "train": 0, "rendered": 0, "validation": 0, "test": 0},
        "of shapes: images by split",
    )


@dataclasses.dataclass(frozen=True)
class Engine:
    """Images of 3D models rendered in the step, for phases whose `sources` name `drawn`."""

    models: str = fields.key(
        "builtin", "3D models: builtin, or a folder, see catpose/synthetic/mesh_files.py"
    )
    names: Mapping[str, str] = fields.key(
        {}, "by category: what the models call it, where that differs"
    )
    up: str = fields.key("", "axis of the folder's models that points up; empty for its layout's")
    front: str = fields.key("", "axis that points to the front; empty for the layout's")
    per_category: int = fields.key(
        200, "models of a category; of a folder at most", fields.at_least(1)
    )
    max_triangles: int = fields.key(
        1000, "triangles to which models of a folder are simplified", fields.at_least(1)
    )
    seed: int = fields.key(0, "of the built-in models and of the backgrounds", fields.at_least(0))
    views_like: str = fields.key(
        "", "a split, from the density of whose viewpoints ours are sampled; empty for the ranges"
    )
    uniform_share: float = fields.key(
        0.05, "share of the viewpoints sampled from the ranges all the same", fields.between(0, 1)
    )
    azimuth_deg: tuple[float, ...] = fields.key(
        (0.0, 360.0), "range (low, high), or (low, high, mean, deviation) of a cut normal"
    )
    elevation_deg: tuple[float, ...] = fields.key((-10.0, 50.0), "likewise")
    theta_deg: tuple[float, ...] = fields.key((-15.0, 15.0, 0.0, 5.0), "likewise")
    distance: tuple[float, ...] = fields.key(
        (3.0, 8.0),
        "likewise, in half diagonals of the object's bounding box",
        fields.Range(
            lambda value: len(value) > 1 and value[0] >= NEAREST,
            lambda: f"a range from {NEAREST} on; nearer, the camera would be in the object",
        ),
    )
    backgrounds: str = fields.key("", "a folder of photographs; empty for random patterns")
    num_backgrounds: int = fields.key(1000, "backgrounds kept in memory", fields.at_least(1))
    supersampling: int = fields.key(2, "samples per pixel and axis", fields.at_least(1))
    look: domain_randomization.Look = fields.group(domain_randomization.Look, "how pictures differ")


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """The optimizer of all phases."""

    name: str = fields.key("adam", "the rule of the update", fields.one_of(("adam", "sgd")))
    weight_decay: float = fields.key(0.0, "decoupled decay of kernels", fields.at_least(0))
    clip_norm: float = fields.key(
        0.0, "largest norm of the gradient; 0 for no clipping", fields.at_least(0)
    )


@dataclasses.dataclass(frozen=True)
class Eval:
    """What is evaluated, and when."""

    every_steps: int = fields.key(
        0, "steps between two validations; 0 for the end only", fields.at_least(0)
    )
    batch_size: int = fields.key(256, "images at once", fields.at_least(1))
    feature_batch_size: int = fields.key(
        8, "images at once where features are computed to be cached", fields.at_least(1)
    )
    splits: tuple[str, ...] = fields.key(("validation", "test"), "in the report, where they exist")


@dataclasses.dataclass(frozen=True)
class Config:
    """Everything that determines a run."""

    name: str = fields.key("base", "of the run, for its folder and report")
    seed: int = fields.key(0, "of weights, batches and augmentation", fields.at_least(0))
    parallel: str = fields.key(
        "pmap",
        "how a step is divided among devices: pmap, or jit with shardings; the same numbers",
        fields.one_of(devices.MODES),
    )
    frame: str = fields.key(
        "upright",
        "frame in which poses are learned (docs/conventions.md)",
        fields.one_of(viewpoint.FRAMES),
    )
    steps_per_call: int = fields.key(
        1,
        "steps in one program, for networks whose steps are as short as its dispatch; must divide "
        "all other counts of steps",
        fields.at_least(1),
    )
    log_steps: int = fields.key(50, "steps between two lines of the log", fields.at_least(1))
    checkpoint_steps: int = fields.key(1000, "steps between checkpoints", fields.at_least(1))
    tensorboard: bool = fields.key(False, "write the log for TensorBoard too")
    max_skipped: int = fields.key(
        10,
        "a batch with a loss or gradient of NaN or Inf changes nothing; so many in a row end a run",
    )
    plugins: tuple[str, ...] = fields.key(
        (), "modules that add backbones, poses, readers or losses; given by --plugins"
    )
    data: Data = fields.group(Data, "images and labels")
    engine: Engine = fields.group(Engine, "images rendered in the step")
    model: settings.Settings = fields.group(settings.Settings, "the network")
    optimizer: Optimizer = fields.group(Optimizer, "the optimizer")
    phases: tuple[Phase, ...] = fields.key((), "training, phase by phase")
    eval: Eval = fields.group(Eval, "evaluation")


def read(values: Any) -> Config:
    """The config of a ConfigDict, or of the dict that a run's folder keeps; every value is checked.

    Raises:
      InputError: an unknown key, a value out of its range, or a plugin that is not loaded.
    """
    if isinstance(values, Config):
        return values
    if needed := dict(values).get("plugins"):
        plugins.check(needed)
    return fields.read(Config, values, "config")


def to_dict(config: Config) -> dict[str, Any]:
    """The config as JSON has it: nested dicts and lists."""
    return json.loads(json.dumps(dataclasses.asdict(config)))
