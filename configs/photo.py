"""A network for photographs: ImageNet weights of EfficientNet-Lite0, poses learned from renders.

    pip install -e '.[photo]'
    python -m launch.train --config=configs/photo.py

The category network is the backbone as it is, with its own classifier, whose probabilities are
summed over the ImageNet classes of each category. Pose networks have a backbone of their own (the
"sequential" architecture of the paper), whose late stages learn from images rendered in the step.
"""

from ml_collections import ConfigDict

from catpose.configs import base

LATE = "feature_network/stage[567]"


def get_config() -> ConfigDict:
    """Pose networks first, then the late stages with them."""
    config = base.get_config()
    config.update(name="photo", parallel="jit", log_steps=50, checkpoint_steps=250)
    config.data.update(kind="shapes", seed=2000, resolution=192)
    config.data.num_images = {"pretrain": 0, "train": 0, "validation": 600, "test": 1200}
    config.model.update(
        architecture="sequential",
        trunk="efficientnet_lite0",
        category_head="classifier",
        split_stage=7,
        pool_grid=2,
        pose="matrix_fisher",
        pose_hidden=(128,),
        normalization="efficientnet",
        pretrained="package",
    )
    config.optimizer.clip_norm = 5.0
    config.engine.update(
        per_category=300,
        background_family="cluttered",
        num_backgrounds=3000,
        elevation_deg=(-10.0, 40.0, 8.0, 12.0),
        theta_deg=(-20.0, 20.0, 0.0, 5.0),
        supersampling=2,
        look={
            "squeeze": 1.0,  # as the crops of photographs are
            "loosen": (0.0, 0.1),
            "box_jitter": 0.05,
            "truncation": 0.25,
            "occlusion": 0.25,
            "texture": 0.7,
            "sky": 0.5,
            "more_lights": 0.5,
            "contrast": 0.4,
            "brightness": 0.15,
            "saturation": 0.9,
            "noise": 0.15,
            "cast": 0.15,
            "monochrome": 0.15,
            "blur": 1.1,
        },
    )
    config.eval.update(batch_size=120, every_steps=500)

    def phase(name: str, steps: int, peak: float, *train: str) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={"drawn": 48},
            train=("pose_networks", *train),
            batch_norm=("pose_networks",),
            pose_bn="all",
            pose_loss="nll",
            category_weight=0.0,
            fusion="oracle",
            learning_rate={"peak": peak, "schedule": "cosine", "warmup_steps": 50},
        )

    config.phases = [
        phase("pose networks", 300, 2e-3),
        phase("late stages too", 3000, 5e-4, LATE),
    ]
    return config
