"""Scores over equivalent truths: densities that are known, against closed forms."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data.examples import Examples
from catpose.data.input_spec import InputSpec
from catpose.data.predictions import Predictions
from catpose.evaluation import equivalent_truths
from catpose.experiment.build import Model
from catpose.geometry import point_groups, viewpoint
from catpose.poses import matrix_fisher_mixture

POSE = matrix_fisher_mixture.make(components=12)
TRUTH = Rotation.from_euler("xyz", [[20, 30, 40], [200, -10, 70]], degrees=True).as_matrix()


def score(outputs, group):
    truth = Examples(
        id=np.array(["a", "b"]), category=np.zeros(2, int), rotation=TRUTH.astype(np.float32)
    )
    # Two categories of one probability.
    each = np.broadcast_to(np.asarray(outputs, np.float32)[:, None], (2, 2, POSE.num_outputs))
    found = Predictions(
        truth.id, {}, np.array([]), {}, category_logits=np.zeros((2, 2)), pose_outputs=each
    )
    model = Model(None, POSE, ("x", "y"), InputSpec(8, 1.0, "none", "upright"))
    return equivalent_truths.compile_score(model)(found, truth, group)


def test_the_uniform_density_scores_nothing():
    raw = np.zeros((2, POSE.num_outputs))
    raw[:, :12] = -np.log(12)
    found = score(raw, "octahedral")
    np.testing.assert_allclose(found.log_likelihood, 0, atol=1e-4)
    uniform = Rotation.random(100_000, np.random.default_rng(0)).as_matrix().reshape(-1, 9)
    group = point_groups.elements("octahedral").reshape(-1, 9)
    angle = np.degrees(np.arccos(np.clip(((uniform @ group.T).max(1) - 1) / 2, -1, 1)))
    np.testing.assert_allclose(found.spread_deg, angle.mean(), atol=0.3)


def test_a_density_with_all_modes_finds_them_and_one_with_a_single_mode_does_not():
    group = point_groups.elements("tetrahedral")
    target = np.asarray(viewpoint.convert_frame(jnp.asarray(TRUTH), "camera", "upright"))
    truths = np.einsum("bij,gjk->bgik", target, group)
    kappa = 20.0
    raw = np.concatenate([np.full((2, 12), -np.log(12)), kappa * truths.reshape(2, -1)], axis=1)
    found = score(raw, "tetrahedral")
    assert found.found == 1
    # Far apart, each mode has a twelfth of one matrix Fisher distribution's density.
    one = POSE.density.log_density(
        jnp.asarray(raw, jnp.float32), jnp.asarray(target, jnp.float32)
    ).mean()
    np.testing.assert_allclose(found.log_likelihood, one, atol=1e-3)
    # Narrow, its angle is that of a normal vector of deviation 1 / sqrt(2 kappa) per axis.
    expected = np.degrees(2 * np.sqrt(2 / np.pi) / np.sqrt(2 * kappa))
    np.testing.assert_allclose(found.spread_deg, expected, rtol=0.03)
    raw[:, 1:12] = -50
    raw[:, 0] = 0
    alone = score(raw, "tetrahedral")
    np.testing.assert_allclose(alone.found, 1 / 12, atol=1e-6)
    assert alone.log_likelihood < found.log_likelihood - 5
    np.testing.assert_allclose(alone.spread_deg, found.spread_deg, rtol=0.03)


def test_a_ring_is_found_where_the_density_is_high_all_around():
    """Turns about z, under a density of these and under one of a single rotation."""
    target = np.asarray(viewpoint.convert_frame(jnp.asarray(TRUTH), "camera", "upright"))
    raw = np.full((2, POSE.num_outputs), -50.0)
    raw[:, 0] = 0
    # Of degree 1 and constant along the ring: the third column alone.
    parameter = np.zeros((2, 3, 3))
    parameter[:, :, 2] = 20 * target[:, :, 2]
    raw[:, 12:21] = parameter.reshape(2, 9)
    ring = score(raw, "conical")
    assert ring.found == 1
    # Relative to uniform the density of the column is kappa / sinh(kappa) exp(kappa cosine).
    np.testing.assert_allclose(ring.log_likelihood, np.log(2 * 20), atol=1e-3)
    raw[:, 12:21] = 20 * target.reshape(2, 9)
    alone = score(raw, "conical")
    # Around 1 / sqrt(2 kappa) the density is a hundredth at sqrt(ln(100) / kappa), and 10 degrees
    # beyond counts too.
    reach = np.degrees(np.sqrt(np.log(100) / 20)) + 10
    np.testing.assert_allclose(alone.found, 2 * reach / 360, atol=0.03)


def test_the_published_measure():
    assert equivalent_truths.UNIFORM == pytest.approx(-2.29, abs=0.005)
    assert equivalent_truths.PUBLISHED.log_likelihood == pytest.approx(6.39, abs=0.005)
    mean = equivalent_truths.mean([equivalent_truths.Scores(1.0, 2.0, 1.0, 3)] * 2)
    assert mean == (1.0, 2.0, 1.0, 6)
