"""What launch.benchmark times: a phase of each kind, on noise.

python -m launch.benchmark --network=resnet50 --resolution=64 --batch=32
"""

import jax
from ml_collections import ConfigDict

from catpose.configs import base, quickstart
from catpose.synthetic.objects import catalogue

# By what differs in the cost of a step: everything trains, the feature network rests, its outputs
# are stored, the images are drawn inside the step.
KINDS = ("full", "frozen features", "cached features", "drawn")


def get_config(
    which: str = "quickstart,float32", resolution: int = 64, batch: int = 48
) -> ConfigDict:
    """A network with one phase of each kind.

    Args:
      which: "resnet50" or "quickstart", and the compute type, with a comma between.
      resolution: side of the images.
      batch: images of a step; where they are drawn, the next number that gives each device every
        category equally often.
    """
    group = len(catalogue.CATEGORIES) * jax.device_count()
    name, dtype = which.split(",")
    config = {"resnet50": base.get_config, "quickstart": quickstart.get_config}[name]()
    config.name = "benchmark"
    config.parallel = "jit"
    config.data.resolution = resolution
    config.data.device_cache_mb = 1 << 20
    config.model.pretrained = "none"
    config.model.variant = "v1.5"
    config.model.dtype = dtype
    config.eval.batch_size = batch
    config.eval.feature_batch_size = batch
    config.eval.splits = ()
    config.engine.per_category = 4
    config.engine.num_backgrounds = 16
    _, category, pose = base.ALL
    resting = {"train": (category, pose), "batch_norm": (category, pose)}
    config.phases = [
        base.phase("full", 1000, sources={"train": batch}),
        base.phase("frozen features", 1000, sources={"train": batch}, **resting),
        base.phase(
            "cached features",
            1000,
            sources={"train": batch},
            cached_features=True,
            views=("identity", "mirror"),
            **resting,
        ),
        base.phase("drawn", 1000, sources={"drawn": -(-batch // group) * group}),
    ]
    return config
