"""The joint density of category and rotation: integrals by scipy, decisions by brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate
from scipy.spatial.transform import Rotation

from catpose.models import joint
from catpose.poses import POSES

DENSITY = POSES["matrix_fisher"].density


def fisher(rotation, size):
    """Outputs of an isotropic matrix Fisher density around a rotation."""
    return (size * rotation.as_matrix()).reshape(9)


def share_within(size, degrees):
    """P(angle < degrees) where tr F'R = size (1 + 2 cos angle)."""

    def mass(limit):
        density = lambda t: np.exp(2 * size * (np.cos(t) - 1)) * (1 - np.cos(t))  # noqa: E731
        return integrate.quad(density, 0, limit, limit=200)[0]

    return mass(np.radians(degrees)) / mass(np.pi)


TURNED = Rotation.from_rotvec([[0, 0, 0], [0, 2.0, 0], [1.5, 0, 0]])
SIZES = (8.0, 20.0, 0.0)  # the last is uniform
SHARES = (0.6, 0.3, 0.1)


@pytest.fixture(scope="module")
def found():
    """Three categories: broad, sharp and elsewhere, uniform."""
    outputs = np.stack([fisher(r, s) for r, s in zip(TURNED, SIZES, strict=True)])
    return joint.Joint(
        DENSITY, jnp.log(jnp.array([SHARES])), jnp.asarray(outputs[None], jnp.float32)
    )


@pytest.mark.parametrize("degrees", [10.0, 30.0, 90.0])
def test_the_probability_of_a_small_error(found, degrees):
    angle = np.radians(degrees)
    uniform = (angle - np.sin(angle)) / np.pi
    wanted = SHARES[0] * share_within(SIZES[0], degrees) + SHARES[2] * uniform
    own = joint.within(found, jnp.eye(3)[None], degrees)
    # The other mode is 115 degrees away, with nearly no mass within 90 degrees.
    np.testing.assert_allclose(own, [wanted], atol=2e-3)


def test_a_sharp_density_beside_the_answer_is_not_overlooked():
    """A spread of 4 degrees, 15 degrees off: nearly all of it is within 30 degrees."""
    outputs = fisher(Rotation.from_rotvec([0, np.radians(15), 0]), 100.0)
    sharp = joint.Joint(DENSITY, jnp.zeros((1, 1)), jnp.asarray(outputs[None, None], jnp.float32))
    np.testing.assert_allclose(joint.within(sharp, jnp.eye(3)[None], 30.0), [1], atol=0.02)


def test_alternatives_are_the_other_modes_with_their_mass(found):
    category, rotation, share = joint.alternatives(found, jnp.array([0]), jnp.eye(3)[None])
    assert category[0, 0] == 1
    np.testing.assert_allclose(rotation[0, 0], TURNED[1].as_matrix(), atol=1e-4)
    angle = np.radians(30)
    wanted = [SHARES[1] * share_within(SIZES[1], 30), SHARES[2] * (angle - np.sin(angle)) / np.pi]
    np.testing.assert_allclose(share[0], [*wanted, 0], atol=2e-3)


def test_the_mode_is_that_of_the_pair(found):
    """0.3 times the sharp peak is higher than 0.6 times the broad one."""
    category, rotation = joint.mode(found)
    assert category.tolist() == [1]
    np.testing.assert_allclose(rotation[0], TURNED[1].as_matrix(), atol=1e-4)
    heights = joint.log_density(found, rotation[:, None])[0, :, 0]
    own = np.log(SHARES) + [DENSITY.log_density(found.outputs[0, c], rotation[0]) for c in range(3)]
    np.testing.assert_allclose(heights, own, atol=1e-5)
    assert heights.argmax() == 1


def test_the_expected_error_is_least():
    """Two overlapping modes: the best answer lies between, at neither of them."""
    turned = Rotation.from_rotvec([[0, 0, 0], [0, 0, np.radians(50)]])
    outputs = np.stack([fisher(r, 12.0) for r in turned])
    pair = joint.Joint(
        DENSITY, jnp.log(jnp.array([[0.55, 0.45]])), jnp.asarray(outputs[None], jnp.float32)
    )
    category, rotation = joint.min_expected_error(pair)
    assert category.tolist() == [0]
    samples = [DENSITY.sample(jax.random.key(7 + c), pair.outputs[0, c], 20_000) for c in (0, 1)]

    def expected(candidate):
        cosine = (np.einsum("cnij,ij->cn", samples, candidate) - 1) / 2
        error = np.degrees(np.arccos(np.clip(cosine, -1, 1))).mean(axis=1)
        return np.array([0.55, 0.45]) @ error

    along = [Rotation.from_rotvec([0, 0, np.radians(a)]).as_matrix() for a in range(0, 51, 2)]
    least = min(map(expected, along))
    assert expected(np.asarray(rotation[0])) < least + 0.15
    assert expected(along[0]) > least + 0.5


def test_samples_and_spread(found):
    samples = joint.sample(jax.random.key(0), found, 1000)[0]
    angle = Rotation.from_matrix(np.asarray(samples)).magnitude()
    assert (angle[:600] < 1.2).mean() > 0.99
    apart = (Rotation.from_matrix(np.asarray(samples[600:900])) * TURNED[1].inv()).magnitude()
    assert (apart < 0.8).all()
    uniform = joint.Joint(DENSITY, jnp.zeros((1, 1)), jnp.zeros((1, 1, 9)))
    np.testing.assert_allclose(joint.spread(uniform), [np.degrees(np.pi / 2 + 2 / np.pi)], atol=5)


def test_what_is_impossible_is_neither_answered_nor_an_alternative(found):
    given = found._replace(log_probabilities=jnp.array([[-jnp.inf, 0.0, -jnp.inf]]))
    category, rotation = joint.mode(given)
    assert category.tolist() == [1]
    assert joint.alternatives(given, category, rotation)[2].max() == 0
    np.testing.assert_allclose(joint.within(given, rotation), [share_within(20.0, 30)], atol=2e-3)
