"""What launch.benchmark times: a phase of each kind, on noise.

python -m launch.benchmark --network=resnet50 --resolution=64 --batch=32
"""

import jax
from ml_collections import ConfigDict

from catpose.configs import base, photo, quickstart
from catpose.synthetic.objects import catalogue

# By what differs in the cost of a step: everything trains; the feature network is frozen; its
# outputs are cached; the images are rendered in the step.
KINDS = ("full", "frozen features", "cached features", "drawn")


def efficientnet_lite0() -> ConfigDict:
    """The features of `photo`, averaged, with a category network of their last layers."""
    config, of_photo = base.get_config(), photo.get_config().model
    config.model.update(
        {name: of_photo[name] for name in ("trunk", "split_stage", "pose_hidden", "normalization")}
    )
    return config


NETWORKS = {
    "resnet50": base.get_config,
    "quickstart": quickstart.get_config,
    "efficientnet_lite0": efficientnet_lite0,
}


def get_config(
    which: str = "quickstart,float32", resolution: int = 64, batch: int = 48
) -> ConfigDict:
    """A network with one phase of each kind.

    Args:
      which: a name of `NETWORKS` and the compute type, with a comma between.
      resolution: side of the images.
      batch: images of a step; where they are rendered, the next number that gives each device
        every category equally often.
    """
    group = len(catalogue.CATEGORIES) * jax.device_count()
    name, dtype = which.split(",")
    config = NETWORKS[name]()
    config.update(name="benchmark", parallel="jit")
    config.data.update(resolution=resolution, device_cache_mb=1 << 20)
    config.model.update(
        pretrained="none", variant="v1.5", dtype=dtype, pose="axis_angle", pose_settings={}
    )
    config.eval.update(batch_size=batch, feature_batch_size=batch, splits=())
    config.engine.update(per_category=4, num_backgrounds=16)
    _, category, pose = base.ALL
    heads = {"train": (category, pose), "batch_norm": (category, pose)}
    config.phases = [
        base.phase("full", 1000, sources={"train": batch}),
        base.phase("frozen features", 1000, sources={"train": batch}, **heads),
        base.phase(
            "cached features",
            1000,
            sources={"train": batch},
            cached_features=True,
            views=("identity", "mirror"),
            **heads,
        ),
        base.phase("drawn", 1000, sources={"drawn": -(-batch // group) * group}),
    ]
    return config
