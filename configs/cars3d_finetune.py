"""Body type and 3D pose of real cars with the paper's full recipe; for a GPU.

    CATPOSE_DATA=DIR python -m launch.train --config=configs/cars3d_finetune.py

DIR has cars3d/ (manifest.csv, images/) and weights/ (ResNet-50 up to stage 4; stage 5 starts from
random weights); docs/data.md says where they come from.
"""

from ml_collections import ConfigDict

from catpose.configs import base

BATCH = 144
EPOCH = 82  # steps: the largest category, 1310 photos, 16 in a batch


def get_config() -> ConfigDict:
    """Pose-first: a tied start, then every pose network on its own, the category, all jointly."""
    config = base.get_config()
    config.update(name="cars3d_finetune", checkpoint_steps=2 * EPOCH, log_steps=20)
    config.data.update(root=base.data_path("cars3d"), margin=24)
    config.model.update(
        pretrained="../weights/resnet50_keras_imagenet_stage4.npz",
        allow_missing=True,  # the file has no stage 5
    )
    config.optimizer.clip_norm = 5.0
    config.eval.update(splits=("validation",), every_steps=2 * EPOCH)
    features, category, pose = base.ALL

    def phase(name: str, epochs: int, peak: float, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            epochs * EPOCH,
            sources={"train": BATCH},
            augment={
                "zoom": 0.08,
                "shift": 0.04,
                "rotate_deg": 4.0,
                "brightness": 0.1,
                "contrast": 0.2,
                "saturation": 0.3,
            },
            learning_rate={"peak": peak, "schedule": "cosine", "warmup_steps": 50},
            **changes,
        )

    oracle = {"category_weight": 0.0, "fusion": "oracle"}
    config.phases = [
        phase("tied pose", 6, 3e-4, train=(pose,), batch_norm=(pose,), tied=True, **oracle),
        phase(
            "tied pose, features",
            6,
            1e-4,
            train=(features, pose),
            batch_norm=(pose,),
            tied=True,
            **oracle,
        ),
        phase(
            "pose",
            4,
            3e-5,
            train=(features, pose),
            batch_norm=(),
            on_enter="broadcast_pose",
            **oracle,
        ),
        phase(
            "category",
            6,
            3e-4,
            train=(category,),
            batch_norm=(category,),
            pose_weight=0.0,
            category_weight=1.0,
        ),
        phase("joint", 6, 5e-5, batch_norm=(category,)),
    ]
    return config
