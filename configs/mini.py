"""catpose-mini: the small network that is shipped, trained on rendered images alone.

    python -m launch.train --config=configs/mini.py
    python -m launch.export --workdir=runs/mini --output_dir=catpose/weights/mini

It begins on images that are rendered offline, and ends half on images that are rendered in the
step, whose light, crops and viewpoints differ more.
"""

from ml_collections import ConfigDict

from catpose.configs import base


def get_config() -> ConfigDict:
    """Category and pose together from the first step: every image teaches both."""
    config = base.get_config()
    config.update(name="mini", parallel="jit", log_steps=100, checkpoint_steps=500)
    # Of another seed than the quickstart's, the objects differ.
    config.data.update(kind="shapes", seed=1000, resolution=64)
    config.data.num_images = {"pretrain": 0, "train": 300_000, "validation": 1200, "test": 2400}
    base.small_network(config, width=24, pool_channels=32, pose_hidden=(128, 64))
    config.optimizer.clip_norm = 5.0
    config.engine.update(
        per_category=300,
        num_backgrounds=2000,
        elevation_deg=(-15.0, 60.0),
        theta_deg=(-20.0, 20.0, 0.0, 7.0),
        look={"truncation": 0.1, "occlusion": 0.1},
    )
    config.eval.update(batch_size=240, every_steps=1000)

    def phase(name: str, steps: int, peak: float, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            steps,
            category_weight=1.0,
            pose_bn="all",
            learning_rate={"peak": peak, "schedule": "cosine", "warmup_steps": 100},
            augment={"brightness": 0.1, "contrast": 0.15, "saturation": 0.3},
            **{"sources": {"train": 96}, **changes},
        )

    config.phases = [
        phase("tied pose, MSE", 1500, 3e-3, pose_loss="mse", fusion="oracle", tied=True),
        phase("pose, oracle", 4000, 3e-3, fusion="oracle", on_enter="broadcast_pose"),
        phase("joint", 3500, 2e-3, sources={"train": 48, "drawn": 48}),
    ]
    return config
