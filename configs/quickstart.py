"""The joint network in a few minutes, from nothing: twelve categories of procedural objects.

python -m launch.train --config=configs/quickstart.py

About 4.5 minutes on two quiet CPU cores; pose-err about 24 degrees, cat-acc about 0.92 on the test
split.
"""

from ml_collections import ConfigDict

from configs import base


def get_config() -> ConfigDict:
    """A small residual network; a category pre-training stands for ImageNet, then pose-first."""
    config = base.get_config()
    config.name = "quickstart"
    config.parallel = "jit"  # on one CPU device faster than pmap
    config.data.kind = "shapes"
    config.data.resolution = 64
    config.data.num_images = {"pretrain": 0, "train": 22000, "validation": 1200, "test": 2400}
    base.small_network(config, width=16, pool_channels=32, pose_hidden=(128, 64))
    config.optimizer.clip_norm = 5.0

    def rate(peak: float) -> dict:
        return {"peak": peak, "schedule": "cosine", "warmup_steps": 50}

    features, category, pose = base.ALL
    config.phases = [
        base.phase(
            "category pre-training",
            500,
            train=(features, category),
            batch_norm=(features, category),
            pose_weight=0.0,
            category_weight=1.0,
            learning_rate=rate(3e-3),
        ),
        # One pose network for all twelve, on a loss without a seam, finds the way in.
        base.phase(
            "tied pose, MSE",
            500,
            train=(features, pose),
            batch_norm=(features, pose),
            pose_loss="mse",
            category_weight=0.0,
            fusion="oracle",
            tied=True,
            learning_rate={"peak": 3e-3, "warmup_steps": 50},
        ),
        base.phase(
            "pose",
            1250,
            train=(features, pose),
            batch_norm=(features, pose),
            # A batch has four images of a category: too few for statistics of their own.
            pose_bn="all",
            category_weight=0.0,
            fusion="oracle",
            on_enter="broadcast_pose",
            learning_rate=rate(3e-3),
        ),
        base.phase(
            "category",
            80,
            train=(category,),
            batch_norm=(category,),
            pose_weight=0.0,
            category_weight=1.0,
            learning_rate=rate(3e-3),
        ),
        base.phase("joint", 1250, category_weight=1.0, learning_rate=rate(2e-3)),
    ]
    config.eval.batch_size = 240
    config.eval.every_steps = 1000
    return config
