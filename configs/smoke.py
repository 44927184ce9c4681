"""A tiny run through every stage of the real thing, for tests and a first check: 20 seconds.

    python -m launch.train --config=configs/smoke.py

It learns next to nothing: 40 steps in all.
"""

from ml_collections import ConfigDict

from catpose.configs import base


def get_config() -> ConfigDict:
    """Pre-training, a tied phase on cached features, a broadcast, the category, the joint phase."""
    config = base.get_config()
    config.update(name="smoke", log_steps=4, checkpoint_steps=4)
    config.data.update(kind="shapes", resolution=32)
    config.data.num_images = {"pretrain": 0, "train": 480, "validation": 96, "test": 96}
    base.small_network(config, width=8, pool_channels=8, pose_hidden=(32, 16))
    config.optimizer.update(weight_decay=1e-4, clip_norm=5.0)
    config.eval.update(every_steps=16, batch_size=96, feature_batch_size=96)
    features, category, pose = base.ALL
    common = {"sources": {"train": 24}, "learning_rate": {"peak": 3e-3}}
    config.phases = [
        base.phase(
            "pose",
            10,
            train=(features, pose),
            batch_norm=(features, pose),
            pose_loss="mse",
            category_weight=0.0,
            fusion="oracle",
            augment={"zoom": 0.05, "shift": 0.03, "rotate_deg": 5.0, "contrast": 0.2},
            **common,
        ),
        base.phase(
            "tied pose",
            8,
            train=(pose,),
            batch_norm=(pose,),
            category_weight=0.0,
            fusion="oracle",
            tied=True,
            cached_features=True,
            views=("identity", "mirror"),
            **common,
        ),
        base.phase(
            "category",
            8,
            train=(category,),
            batch_norm=(category,),
            pose_weight=0.0,
            category_weight=1.0,
            on_enter="broadcast_pose",
            **common,
        ),
        base.phase("joint", 14, category_weight=0.3, **common),
    ]
    return config
