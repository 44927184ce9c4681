"""Body type and 3D pose of real cars, jointly, on a CPU: frozen ImageNet features.

    CATPOSE_DATA=DIR python -m launch.train --config=configs/cars3d.py[:POSE]

POSE is a representation of docs/poses.md, matrix_fisher_mixture unless given: front and rear look
alike, and a density of several peaks learns both and answers the higher (docs/certainty.md).
DIR has cars3d/ (manifest.csv, images/) and weights/ (ResNet-50 up to stage 4); docs/data.md says
where they come from. For other photos and weights see docs/training.md.
"""

from ml_collections import ConfigDict

from catpose.configs import base
from catpose.poses import POSES

BATCH = 144


def frozen_features() -> ConfigDict:
    """The data and the network, with the paper's poses and no phases yet."""
    config = base.get_config()
    config.update(name="cars3d", log_steps=20)
    config.data.root = base.data_path("cars3d")
    config.model.update(
        pretrained="../weights/resnet50_keras_imagenet_stage4.npz",
        # Averages over 2 x 2 cells tell body types apart better than the paper's global one.
        pool_grid=2,
        category_head="pooled",
        head_hidden=(512,),
        head_dropout=0.6,
    )
    config.eval.splits = ("validation",)
    return config


def get_config(representation: str = "matrix_fisher_mixture") -> ConfigDict:
    """Everything trains on cached features; one tied pose network starts the nine."""
    config = frozen_features()
    config.model.pose = representation
    if representation == "matrix_fisher_mixture":
        config.model.pose_settings = {"components": 4}
    has_density = POSES[representation].density is not None
    if has_density:
        config.eval.fusion = "mode"
    _, category, pose = base.ALL

    def phase(name: str, steps: int, peak: float, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={"train": BATCH},
            cached_features=True,
            views=("identity", "mirror"),
            learning_rate={"peak": peak, "schedule": "cosine"},
            **{"pose_loss": "nll" if has_density else "geodesic", **changes},
        )

    config.phases = [
        phase(
            "tied pose",
            720,
            3e-3,
            train=(pose,),
            batch_norm=(pose,),
            category_weight=0.0,
            fusion="oracle",
            tied=True,
        ),
        phase(
            "pose",
            180,
            1e-4,
            train=(pose,),
            batch_norm=(),
            category_weight=0.0,
            fusion="oracle",
            on_enter="broadcast_pose",
        ),
        phase(
            "category",
            720,
            1e-3,
            train=(category,),
            batch_norm=(category,),
            pose_weight=0.0,
            category_weight=1.0,
        ),
        # The category network's dropout acts only where its BatchNorm trains: so it does here too.
        phase(
            "joint",
            120,
            1e-4,
            train=(category, pose),
            batch_norm=(category,),
            **(base.JOINT_DENSITY if has_density else {"fusion": "top1"}),
        ),
    ]
    return config
