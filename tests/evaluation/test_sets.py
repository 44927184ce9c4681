"""Conformal sets: brute force in numpy, and coverage where the truth is known."""

import jax.numpy as jnp
import numpy as np
import pytest

from catpose.evaluation import sets
from catpose.experiment import calibration
from catpose.models import joint
from catpose.poses import POSES

DENSITY = POSES["matrix_fisher"].density


@pytest.fixture(scope="module")
def masses():
    generator = np.random.default_rng(0)
    return generator.dirichlet(np.full(3 * len(sets.cells()), 0.02), size=4).astype(np.float32)


def test_scores_and_volumes_by_sorting(masses):
    threshold = np.array([0.5, 0.9, 0.99, 0.0], np.float32)
    pair = np.array([17, 4000, 9000, masses[3].argmax()])
    falling = -np.sort(-masses.astype(np.float64), axis=1)
    before = np.cumsum(falling, axis=1) - falling
    wanted = (before <= threshold[:, None]).sum(1) / 4608
    np.testing.assert_allclose(
        sets.volume(jnp.asarray(masses), jnp.asarray(threshold)), wanted, atol=1.01 / 4608
    )
    score = [m[m > m[i]].sum(dtype=np.float64) for m, i in zip(masses, pair, strict=True)]
    np.testing.assert_allclose(sets.score(jnp.asarray(masses), jnp.asarray(pair)), score, atol=1e-5)
    assert score[3] == 0


def test_a_pair_is_the_nearest_cell_of_its_category():
    cells = sets.cells()
    pair = sets.pairs(jnp.array([0, 2]), jnp.asarray(cells[[7, 4000]], jnp.float32))
    assert pair.tolist() == [7, 2 * 4608 + 4000]


def test_masses_are_those_of_the_joint():
    outputs = jnp.asarray(np.random.default_rng(0).normal(size=(1, 2, 9)), jnp.float32)
    found = joint.Joint(DENSITY, jnp.log(jnp.array([[0.7, 0.3]])), outputs)
    masses = np.asarray(sets.masses(found))[0].reshape(2, -1)
    np.testing.assert_allclose(masses.sum(1), [0.7, 0.3], rtol=1e-5)
    heights = DENSITY.log_density(outputs[0, 0], jnp.asarray(sets.cells()[[5, 9]], jnp.float32))
    np.testing.assert_allclose(np.log(masses[0, 5] / masses[0, 9]), heights[0] - heights[1], 1e-4)


def test_sets_cover_as_often_as_they_say_in_every_group():
    """Scores that depend on the spread: each group has its own quantile."""
    generator = np.random.default_rng(1)
    spread = generator.uniform(5, 60, 8000)
    score = generator.beta(1 + spread / 20, 2)
    made = sets.fit(score[:4000], spread[:4000])
    assert made.levels == sets.LEVELS
    group = np.searchsorted(made.spread_deg, spread[4000:])
    for level in made.levels:
        covered = score[4000:] <= np.asarray(
            sets.thresholds(made, level, jnp.asarray(spread[4000:]))
        )
        for i in range(4):
            assert abs(covered[group == i].mean() - level) < 0.04
    assert made.score[1][0] < made.score[1][3]


def test_quantiles_are_those_of_the_conformal_rule():
    """Of n scores the ceil(level (n + 1))-th; everything where there is none."""
    made = sets.fit(np.arange(76) / 76, np.arange(76.0), (0.5, 0.99))
    # 19 in each group: the tenth of them.
    assert made.score[0] == tuple((19 * i + 9) / 76 for i in range(4))
    assert made.score[1] == (1.0,) * 4
    assert isinstance(made, calibration.Sets)
    found = sets.thresholds(made, 0.5, jnp.array([0.0, 75.0]))
    np.testing.assert_allclose(found, [9 / 76, 66 / 76], rtol=1e-6)
