"""Every key that a config has, with its value; the other files change what they need."""

from typing import Any

from ml_collections import ConfigDict

from catpose.synthetic import domain_randomization

ALL = ("feature_network", "category_network", "pose_networks")


def get_config() -> ConfigDict:
    """The paper's network on no data yet: ResNet-50 up to stage 4, stage 5 as category network."""
    config = ConfigDict()
    config.name = "base"
    config.seed = 0
    # "pmap", or "jit" with shardings: the same numbers.
    config.parallel = "pmap"
    # Frame of learning: "upright", "camera" or "paper" (README, Conventions).
    config.frame = "upright"
    # Steps in one call of the device, for networks so small that calling takes as long as a step;
    # must divide all other counts of steps.
    config.steps_per_call = 1
    config.log_steps = 50
    config.checkpoint_steps = 1000
    config.tensorboard = False
    # A batch whose loss or gradient is not a number changes nothing; so many in a row end the run.
    config.max_skipped = 10

    config.data = ConfigDict()
    config.data.kind = "manifest"  # or "pascal3d", "objectnet3d", "shapes"
    config.data.root = ""  # the folder with manifest.csv and images/, or what launch.prepare built
    config.data.variant = "paper"  # pascal3d, objectnet3d: see catpose/data/pascal3d/layout.py
    config.data.categories = ()  # names in order; empty for all that the data has
    # By category: "z" where any turn about the object's z axis changes nothing, n where turns by
    # 360/n degrees do; losses and errors then take the nearest equivalent of the truth. Empty: the
    # paper's plain ones, which launch.evaluate's protocols always are. On the command line:
    # --config.data.symmetry="{'bottle': 'z'}"
    config.data.symmetry = ConfigDict()
    config.data.resolution = 224  # of the network's input
    config.data.context = 1.0  # side of the crop over that of the box; 224/192: 16 pixels around
    config.data.margin = 0  # further pixels kept around the box, for crops that move
    config.data.num_train = 0  # training images at most, evenly from all categories; 0: all
    config.data.max_broken_share = 0.01
    config.data.device_cache_mb = -1  # larger splits stay on the host; -1: what the device can take
    config.data.rendered = ""  # folder or tar of rendered images: a further split "rendered"
    config.data.rendered_tilt = ""  # "released" or "fresh" where the folder does not say
    config.data.rendered_per_category = 0  # at most; 0: all
    config.data.cache_dir = ""  # empty: catpose in the user's cache folder
    config.data.seed = 0  # shapes: of the objects
    config.data.num_images = ConfigDict(  # shapes
        {"pretrain": 0, "train": 0, "rendered": 0, "validation": 0, "test": 0}
    )

    # Phases whose `sources` name "drawn" train on images of 3D models, drawn inside the step.
    config.engine = ConfigDict()
    config.engine.models = "builtin"  # or a folder, see catpose/synthetic/mesh_files.py
    config.engine.names = ConfigDict({})  # what the models call a category, where that differs
    config.engine.up = ""  # of the folder's models; empty: as its layout has it
    config.engine.front = ""
    config.engine.per_category = 200  # models; of a folder at most
    config.engine.max_triangles = 1000  # to which models of a folder are simplified
    config.engine.seed = 0  # of the built-in models and of the backgrounds
    config.engine.views_like = ""  # a split, whose annotations' density views are drawn from
    config.engine.uniform_share = 0.05  # of the views that come from these ranges nevertheless
    config.engine.azimuth_deg = (0.0, 360.0)  # (low, high), or (low, high, mean, deviation)
    config.engine.elevation_deg = (-10.0, 50.0)
    config.engine.theta_deg = (-15.0, 15.0, 0.0, 5.0)
    config.engine.distance = (3.0, 8.0)  # in half diagonals of the object's bounding box
    config.engine.backgrounds = ""  # a folder of photographs; empty: drawn at random
    config.engine.num_backgrounds = 1000
    config.engine.supersampling = 2
    config.engine.look = ConfigDict(domain_randomization.Look()._asdict())  # how pictures differ

    config.model = ConfigDict()
    config.model.architecture = "integrated"  # "shared", "sequential", "independent" (figure 2)
    config.model.trunk = "resnet"  # or "vgg_m", with width 96
    config.model.pose = "axis_angle"  # a name in catpose/poses/__init__.py
    # What differs from the defaults of the pose's make function, where it has one. On the command
    # line: --config.model.pose_settings="{'num_bins': 8}"
    config.model.pose_settings = ConfigDict()
    config.model.pose_fusion = "outputs"  # eq. 1; "karcher": weighted mean of the rotations
    config.model.pose_keys = 0  # bin_delta: rotations fitted to "train"; 0: those of the cube
    config.model.blocks = (3, 4, 6, 3)
    config.model.width = 64
    config.model.block = "bottleneck"
    config.model.variant = "v1"  # of the pretrained weights: "v1" (Keras), "v1.5" (torchvision)
    config.model.stem = "imagenet"
    config.model.split_stage = 4
    config.model.pool_grid = 1
    config.model.pool_channels = 0
    config.model.category_head = "stage5"  # or "pooled"
    config.model.head_hidden = ()
    config.model.head_dropout = 0.0
    config.model.pose_hidden = (1000, 500)
    config.model.dtype = "float32"
    config.model.remat = False  # residual blocks are computed twice, their insides not kept
    config.model.normalization = "keras"  # or "torchvision"
    # "none", a file of ImageNet weights, the folder of a run (its ResNet's stages), or "mini".
    config.model.pretrained = "none"
    config.model.allow_missing = False  # whether what the file lacks may stay random

    config.optimizer = ConfigDict({"name": "adam", "weight_decay": 0.0, "clip_norm": 0.0})
    config.phases = []

    config.eval = ConfigDict()
    config.eval.every_steps = 0  # 0: at the end only
    config.eval.batch_size = 256
    config.eval.feature_batch_size = 8
    config.eval.splits = ("validation", "test")
    return config


def small_network(
    config: ConfigDict, *, width: int, pool_channels: int, pose_hidden: tuple[int, ...]
) -> None:
    """Makes the network one of four residual blocks, for small images and random weights.

    It keeps its features' places (`pool_grid` 0): a small network cannot afford to average them.
    """
    config.model.blocks = (1, 1, 1, 1)
    config.model.width = width
    config.model.block = "basic"
    config.model.variant = "v1.5"
    config.model.stem = "small"
    config.model.pool_grid = 0
    config.model.pool_channels = pool_channels
    config.model.pose_hidden = pose_hidden
    config.model.normalization = "torchvision"


def phase(name: str, steps: int, **changes: Any) -> ConfigDict:
    """One phase; what is not given is as in the paper's joint phase (Table 1, step 5)."""
    values = {
        "name": name,
        "steps": steps,
        # "pretrained" or "random": only where the weights are so at first; "any": always.
        "start": "any",
        "train": ALL,
        "batch_norm": ALL,
        "pose_loss": "geodesic",
        "pose_weight": 1.0,
        "category_weight": 0.1,
        "fusion": "weighted",
        "tied": False,
        "pose_bn": "own",
        "on_enter": "",
        "sources": {"train": 48},
        # Rendered images teach poses: on their backgrounds the category is too easy to see.
        "pose_only": ("rendered",),
        "learning_rate": {},
        "augment": {},
        "views": (),
        "cached_features": False,
    }
    values.update(changes)
    values["learning_rate"] = {
        "peak": 1e-4,
        "schedule": "constant",
        "warmup_steps": 0,
        "epoch_steps": 1,
        "rate": 1.0,
        **values["learning_rate"],
    }
    values["augment"] = {
        "mirror": 0.5,
        "zoom": 0.0,
        "shift": 0.0,
        "rotate_deg": 0.0,
        "brightness": 0.0,
        "contrast": 0.0,
        "saturation": 0.0,
        "jitter_iou": 1.0,
        "pose_jitter_deg": (0.0, 0.0, 0.0),
        **values["augment"],
    }
    return ConfigDict(values)
