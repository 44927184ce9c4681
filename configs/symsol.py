"""Solids with symmetries, after SYMSOL I: densities that find all their modes.

    python -m launch.train --config=configs/symsol.py
    python -m launch.symsol --workdir=runs/symsol

The second measures the mean log-likelihood of the equivalent truths and the spread, and draws the
densities; docs/certainty.md has its figures beside the published ones.
"""

from ml_collections import ConfigDict

from catpose.configs import base


def get_config() -> ConfigDict:
    """The heads on the features of catpose-mini, then everything, on pictures hardly seen twice.

    The label of a picture is one of its equivalent rotations. With few pictures a network learns
    by heart which one, and its density loses the others.
    """
    config = base.get_config()
    config.update(name="symsol", parallel="jit", checkpoint_steps=300)
    config.data.update(kind="symsol", resolution=64)
    config.data.num_images = {"train": 60_000, "validation": 120, "test": 1200}
    base.small_network(config, width=24, pool_channels=32, pose_hidden=(256, 256))
    config.model.update(
        pretrained="mini",
        pose="harmonic",
        pose_settings={"degree": 6, "num_side": 8},  # an icosahedron needs degree 6
    )
    config.optimizer.clip_norm = 20.0
    # Samples of functions of so many modes take memory, and time: the test split is left to
    # `catpose symsol`.
    config.eval.update(batch_size=24, splits=("validation",))

    def phase(name: str, steps: int, rate: dict, *train: str) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={"train": 96},
            train=train,
            batch_norm=train,
            pose_bn="all",
            learning_rate={"schedule": "cosine", **rate},
            augment={"mirror": 0.5},
            **base.JOINT_DENSITY,
        )

    _, category, pose = base.ALL
    config.phases = [
        phase("heads", 600, {"peak": 3e-3, "warmup_steps": 50}, category, pose),
        phase("everything", 3000, {"peak": 2e-3, "warmup_steps": 100}, *base.ALL),
    ]
    return config
