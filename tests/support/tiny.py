"""Runs small enough to compile in seconds: random images, a few channels, four categories."""

import numpy as np
from ml_collections import ConfigDict

from catpose.configs import base
from catpose.data import examples
from catpose.experiment.config import read
from catpose.experiment.phases import Phase
from catpose.training import phase_run, run_setup

CATEGORIES = ("ant", "bee", "cat", "dog")
RESOLUTION = 32
FEATURES, CATEGORY, POSE = base.ALL


def split(size: int, seed: int, *, margin: int = 0) -> examples.Examples:
    """Images of large random squares, which differ after pooling too; random rotations."""
    generator = np.random.default_rng(seed)
    side = RESOLUTION + 2 * margin
    axes, _ = np.linalg.qr(generator.normal(size=(size, 3, 3)))
    squares = generator.integers(0, 256, (size, 4, 4, 3), np.uint8)
    return examples.Examples(
        image=squares.repeat(-(-side // 4), 1).repeat(-(-side // 4), 2)[:, :side, :side],
        category=np.arange(size, dtype=np.int32) % len(CATEGORIES),
        rotation=(axes * np.linalg.det(axes)[:, None, None]).astype(np.float32),
        id=np.array([f"{i}.png" for i in range(size)]),
        categories=CATEGORIES,
        digest=f"tiny {size} {seed} {margin}",
        margin=margin,
    )


def config(phases: list[ConfigDict], **model: object) -> ConfigDict:
    """A config of one residual block and a linear category head, unless `model` says otherwise."""
    settings = base.get_config()
    settings.name = "tiny"
    settings.data.resolution = RESOLUTION
    settings.model.update(
        {
            "blocks": (1,),
            "width": 4,
            "block": "basic",
            "variant": "v1.5",
            "stem": "small",
            "split_stage": 2,
            "pool_grid": 2,
            "category_head": "pooled",
            "pose_hidden": (8,),
            "normalization": "torchvision",
            **model,
        }
    )
    settings.eval.batch_size = 16
    settings.eval.feature_batch_size = 16
    settings.phases = phases
    return settings


def phase(name: str = "only", steps: int = 4, **changes: object) -> ConfigDict:
    """A joint phase of 16 examples a step at a constant rate."""
    given = {"sources": {"train": 16}, "learning_rate": {"peak": 1e-2}, **changes}
    return base.phase(name, steps, **given)


def only_phase(**changes: object) -> Phase:
    """The only phase of a config, as training takes it; `changes` as for `phase`."""
    return read(config([phase(**changes)])).phases[0]


def run(
    settings: ConfigDict, folder, splits: dict[str, examples.Examples] | None = None
) -> run_setup.Run:
    """The run of a config, on `splits` or on random ones, nothing read from files."""
    if splits is None:
        splits = {"train": split(48, 0), "validation": split(24, 1), "test": split(20, 2)}
    return run_setup.assemble(
        read(settings), folder, examples.Dataset(CATEGORIES, splits), show_progress=False
    )


def take_two_steps(run: run_setup.Run) -> None:
    """Two real updates of a run's only phase; its pose loss and gradient must be finite."""
    (phase,) = run.phases
    state = phase_run.enter(run, phase, phase_run.initial_state(run))
    steps = phase_run.begin(run, phase, state)
    for _ in range(2):
        state, sums = steps.take(state)
        assert np.isfinite(sums["pose_loss"])
        assert 0 < sums["grad_norm"] < np.inf
    assert int(state.step) == 2
