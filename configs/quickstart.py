"""The joint network in three minutes: twelve categories of procedural objects.

python -m launch.train --config=configs/quickstart.py

About three minutes on two CPU cores; on the test split pose-err is 8.8 degrees and cat-acc 0.986
(median of three seeds). It learns densities of the pose (matrix Fisher), so it says how sure it is.
The feature network is that of catpose-mini, as the paper's is ImageNet's; with
--config.model.pretrained=none it begins with random weights, and takes longer for less.
"""

from ml_collections import ConfigDict

from catpose.configs import base


def get_config() -> ConfigDict:
    """Phases for pretrained features, on which the heads learn first, and for random ones."""
    config = base.get_config()
    config.update(name="quickstart", parallel="jit")  # on one CPU device faster than pmap
    config.data.update(kind="shapes", resolution=64)
    config.data.num_images = {"pretrain": 0, "train": 26000, "validation": 1200, "test": 2400}
    base.small_network(config, width=24, pool_channels=32, pose_hidden=(128, 64))
    config.model.update(pretrained="mini", pose="matrix_fisher")
    config.optimizer.clip_norm = 5.0
    config.phases = [*_pretrained_phases(), *_random_phases()]
    config.eval.update(batch_size=240, feature_batch_size=100)
    return config


def _rate(peak: float) -> dict:
    return {"peak": peak, "schedule": "cosine", "warmup_steps": 50}


def _pretrained_phases() -> list[ConfigDict]:
    """The heads alone, on cached features."""
    _, category, pose = base.ALL

    def heads(name: str, steps: int, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            steps,
            start="pretrained",
            sources={"train": 96},
            pose_loss="nll",
            train=(category, pose),
            batch_norm=(category, pose),
            category_weight=1.0,
            pose_bn="all",
            cached_features=True,
            views=("identity", "mirror"),
            learning_rate=_rate(3e-3),
            **changes,
        )

    return [
        heads("tied pose", 300, fusion="oracle", tied=True),
        heads("joint", 2400, on_enter="broadcast_pose"),
    ]


def _random_phases() -> list[ConfigDict]:
    """Everything: a category pre-training instead of ImageNet's, then pose-first."""
    features, category, pose = base.ALL

    def phase(name: str, steps: int, *train: str, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            steps,
            start="random",
            pose_loss="nll",
            **{"train": train, "batch_norm": train, "learning_rate": _rate(3e-3), **changes},
        )

    return [
        phase(
            "category pre-training", 500, features, category, pose_weight=0.0, category_weight=1.0
        ),
        # One pose network for all twelve finds the way in.
        phase(
            "tied pose",
            500,
            features,
            pose,
            category_weight=0.0,
            fusion="oracle",
            tied=True,
            learning_rate={"peak": 3e-3, "warmup_steps": 50},
        ),
        phase(
            "pose",
            1250,
            features,
            pose,
            # A batch has four images of a category: too few for statistics of their own.
            pose_bn="all",
            category_weight=0.0,
            fusion="oracle",
            on_enter="broadcast_pose",
        ),
        phase("category", 80, category, pose_weight=0.0, category_weight=1.0),
        phase("joint", 1250, *base.ALL, category_weight=1.0, learning_rate=_rate(2e-3)),
    ]
