"""Combined views against the closed form of matrix Fisher densities, and that against a grid."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.spatial.transform import Rotation

import catpose
from catpose.errors import InputError
from catpose.geometry import so3_grid
from catpose.poses import POSES
from catpose.prediction import Belief, Prediction

DENSITY = POSES["matrix_fisher"].density
NAMES = ("cup", "jug")
# Rx(90 deg): from frame "camera" to "upright".
UPRIGHT = np.array([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])


def predicted(parameters, shares, frame="camera", density=DENSITY):
    """A prediction with a density; of what is answered only the category matters here."""
    outputs = jnp.asarray(np.reshape(parameters, (2, 9)), jnp.float32)
    belief = Belief(density, jnp.log(jnp.array(shares)), outputs, frame)
    probabilities = dict(zip(NAMES, shares, strict=True))
    return Prediction("cup", probabilities, np.eye(3), 0.0, 0.0, 0.0, shares[0], belief=belief)


def log_constant(parameter):
    """log c(F) = tr F'R - log p(R), at the identity."""
    given = DENSITY.log_density(jnp.asarray(parameter.reshape(9), jnp.float32), jnp.eye(3))
    return np.trace(parameter) - float(given)


@pytest.fixture(scope="module")
def parameters():
    turned = Rotation.random(2, random_state=0).as_matrix()
    return np.array([4.0, 6.0])[:, None, None] * turned


def test_copies_are_the_closed_form(parameters):
    """n copies: F becomes n F, and p(c) becomes p(c)^n c(n F) / c(F)^n, normalized."""
    shares, count = (0.6, 0.4), 3
    found = catpose.combine([predicted(parameters, shares)] * count)
    np.testing.assert_allclose(found.belief.outputs.reshape(2, 3, 3), count * parameters, 1e-5)
    logits = [
        count * np.log(share) + log_constant(count * own) - count * log_constant(own)
        for share, own in zip(shares, parameters, strict=True)
    ]
    np.testing.assert_allclose(
        list(found.probabilities.values()), special.softmax(logits), atol=1e-4
    )
    one = catpose.combine([predicted(parameters, shares)])
    np.testing.assert_allclose(list(one.probabilities.values()), shares, atol=1e-5)
    assert found.pose_confidence > one.pose_confidence


@pytest.mark.parametrize("frame", ["camera", "upright"])
def test_known_motions_are_taken_back(parameters, frame):
    """Each view sees the object turned by a known motion: turned back, the views are copies."""
    motions = np.concatenate([Rotation.random(2, random_state=5).as_matrix(), np.eye(3)[None]])
    fixed = UPRIGHT if frame == "upright" else np.eye(3)
    # The mode of a turned view is D R, of parameter D F; A D R in frame "upright".
    views = [predicted(fixed @ turn @ parameters, (0.5, 0.5), frame) for turn in motions]
    found = catpose.combine(views, motions)
    wanted = 3 * fixed @ parameters
    np.testing.assert_allclose(found.belief.outputs.reshape(2, 3, 3), wanted, atol=1e-4)
    mode = parameters[1] / 6
    assert found.category == "jug"
    np.testing.assert_allclose(found.rotation, mode, atol=1e-4)


def test_older_views_are_forgotten(parameters):
    views = [predicted(scale * parameters, (0.5, 0.5)) for scale in (1.0, 2.0, 3.0)]
    found = catpose.combine(views, forgetting=0.5)
    wanted = (0.25 * 1 + 0.5 * 2 + 3) * parameters
    np.testing.assert_allclose(found.belief.outputs.reshape(2, 3, 3), wanted, atol=1e-4)
    # A filter, one frame at a time, is the same.
    step = catpose.combine([catpose.combine(views[:2], forgetting=0.5), views[2]], forgetting=0.5)
    np.testing.assert_allclose(step.belief.outputs, found.belief.outputs, atol=1e-4)


def test_other_densities_are_multiplied_on_a_grid(parameters):
    """Without `turned` the same densities are normalized on a grid."""
    motions = np.stack([Rotation.from_rotvec([0, 0.5, 0]).as_matrix(), np.eye(3)])
    views = [(turn @ parameters, share) for turn, share in zip(motions, (0.7, 0.4), strict=True)]
    closed, grid = (
        catpose.combine(
            [predicted(own, (share, 1 - share), density=density) for own, share in views], motions
        )
        for density in (DENSITY, DENSITY._replace(turned=None))
    )
    np.testing.assert_allclose(
        list(grid.probabilities.values()), list(closed.probabilities.values()), atol=1e-3
    )
    np.testing.assert_allclose(grid.rotation, closed.rotation, atol=2e-3)
    assert grid.pose_confidence == pytest.approx(closed.pose_confidence, abs=2e-3)
    # Its density can be tempered, and then integrates to 1.
    density, outputs = grid.belief.density, jnp.asarray(grid.belief.outputs)
    flat = density.temper(outputs, jnp.full(2, 0.5))
    rotations = jnp.asarray(so3_grid.rotations(7).reshape(-1, 3, 3), jnp.float32)
    values = jnp.exp(density.log_density(flat[:, None], rotations[None]))
    np.testing.assert_allclose(values.mean(1), 1, atol=5e-3)
    samples = density.sample(jax.random.key(0), outputs, 500)
    near = (
        Rotation.from_matrix(np.asarray(samples[:, 1]))
        * Rotation.from_matrix(np.asarray(closed.rotation)).inv()
    )
    assert np.median(near.magnitude()) < 0.6


def test_what_cannot_be_combined_is_refused(parameters):
    one = predicted(parameters, (0.5, 0.5))
    cases = [
        ([], {}, "no predictions"),
        ([one._replace(belief=None)], {}, "without a density"),
        ([one, predicted(parameters, (0.5, 0.5), "upright")], {}, "different networks"),
        ([one], {"forgetting": 0.0}, "forgetting is 0"),
        ([one], {"motions": np.ones((1, 3, 3))}, "motions are 1 rotation matrices"),
        ([predicted(parameters, (0.5, 0.5), "paper")], {"motions": np.eye(3)[None]}, "camera or"),
    ]
    for views, settings, message in cases:
        with pytest.raises(InputError, match=message):
            catpose.combine(views, **settings)
