"""The joint density p(category, rotation | image) of a network, and what follows from it.

p(c, R) = p(c) p(R | c): the category network says the first factor, the pose network of c the
second. All log-densities are in nats with respect to the uniform distribution of rotations, in the
frame of learning.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from catpose.geometry import so3, so3_ball
from catpose.poses import base, modes

STARTS, STEPS, SAMPLES = 3, 6, 256  # of `min_expected_error`
MODES = 3  # of each category's density that `alternatives` looks at
_NEAR = 0.02  # radians from which a sample's pull is no longer that of a unit vector


class Joint(NamedTuple):
    """The densities of B images over K categories and all rotations.

    Attributes:
      density: of the pose representation.
      log_probabilities: (B, K) of the categories, -inf for an impossible one.
      outputs: (B, K, P) of the pose networks, activated.
    """

    density: base.Density
    log_probabilities: Float[Array, "B K"]
    outputs: Float[Array, "B K P"]


def log_density(joint: Joint, rotation: Float[Array, "B n 3 3"]) -> Float[Array, "B K n"]:
    """log p(c, R) of every category at n rotations for each image."""
    given = joint.density.log_density(joint.outputs[:, :, None], rotation[:, None])
    return joint.log_probabilities[:, :, None] + given


def mode(joint: Joint) -> tuple[Int[Array, "B"], Float[Array, "B 3 3"]]:
    """The pair of category and rotation at which the joint density is highest."""
    rotation, height = joint.density.modes(joint.outputs, 1)
    best = jnp.argmax(joint.log_probabilities + height[..., 0], axis=-1)
    return best, _chosen(rotation[..., 0, :, :], best)


def sample(key: Array, joint: Joint, num: int) -> Float[Array, "B num 3 3"]:
    """Rotations of the marginal over the categories.

    Each category has its share of them, up to one (systematic sampling), category by category.
    """
    shares = jnp.cumsum(jnp.exp(joint.log_probabilities), axis=-1)
    at = (jnp.arange(num) + 0.5)[None] / num * shares[:, -1:]
    category = jnp.sum(at[:, :, None] > shares[:, None], axis=-1)
    outputs = jnp.take_along_axis(joint.outputs, category[..., None], axis=1)
    return joint.density.sample(key, outputs, 1)[0]


def min_expected_error(joint: Joint) -> tuple[Int[Array, "B"], Float[Array, "B 3 3"]]:
    """The rotation with the least expected geodesic error, and the most probable category.

    The expectation is over the marginal, by samples whose PRNG key is fixed. From each of the best
    modes Weiszfeld's steps go towards the median of the samples; the best end is the answer.

    Reference: Aftab, Hartley and Trumpf, Generalized Weiszfeld Algorithms for Lq Optimization, 2015
    (on SO(3)).
    """
    samples = sample(jax.random.key(0), joint, SAMPLES)
    rotation, height = joint.density.modes(joint.outputs, 1)
    height = height[..., 0] + joint.log_probabilities
    starts, _ = modes.distinct(rotation[..., 0, :, :], height, STARTS)

    def step(rotation: Array, _: None) -> tuple[Array, None]:
        turned = so3.multiply(jnp.swapaxes(rotation, -1, -2)[:, :, None], samples[:, None])
        omega = so3.log(turned)
        pull = 1 / jnp.maximum(jnp.linalg.norm(omega, axis=-1, keepdims=True), _NEAR)
        mean = jnp.sum(pull * omega, axis=2) / jnp.sum(pull, axis=2)
        return so3.multiply(rotation, so3.exp(mean)), None

    ends, _ = jax.lax.scan(step, starts, None, length=STEPS)
    found = jnp.concatenate([starts, ends], axis=1)
    error = so3.geodesic_distance(found[:, :, None], samples[:, None]).mean(-1)
    rotation = _chosen(found, jnp.argmin(error, axis=-1))
    return jnp.argmax(joint.log_probabilities, axis=-1), rotation


DECISIONS = {"mode": mode, "min_expected_error": min_expected_error}


def spread(joint: Joint) -> Float[Array, "B"]:
    """The expected geodesic error of the joint density's mode, in degrees.

    It is how unsure the density is of the pose, whatever is then answered: about 126.5 where all
    rotations are equally probable.
    """
    samples = sample(jax.random.key(0), joint, SAMPLES)
    return jnp.degrees(so3.geodesic_distance(mode(joint)[1][:, None], samples).mean(-1))


def within(
    joint: Joint, rotation: Float[Array, "B 3 3"], degrees: float = 30.0
) -> Float[Array, "B"]:
    """The probability that the true rotation is within an angle of the given one.

    It is that of the marginal over the categories.
    """
    outputs, shares = joint.outputs, jnp.exp(joint.log_probabilities)
    masses = _mass(joint.density, outputs, rotation[:, None, None], so3_ball.ball(degrees))
    return jnp.sum(shares * masses[..., 0], axis=-1)


def alternatives(
    joint: Joint,
    category: Int[Array, "B"],
    rotation: Float[Array, "B 3 3"],
    degrees: float = 30.0,
    num: int = 3,
) -> tuple[Int[Array, "B num"], Float[Array, "B num 3 3"], Float[Array, "B num"]]:
    """Other answers that the joint density holds for possible, the most probable first.

    Args:
      joint: the densities.
      category: what is answered.
      rotation: what is answered.
      degrees: modes of one category within this angle are one answer.
      num: how many.

    Returns:
      Of each its category, its rotation and the probability that the object is of this category and
      turned like this up to `degrees`; 0 where there are fewer.
    """
    turned, height = joint.density.modes(joint.outputs, MODES)
    shares = jnp.exp(joint.log_probabilities)
    # A coarse rule ranks all modes, the fine one weighs the chosen ones.
    coarse = so3_ball.ball(degrees, 4, 7)
    masses = _mass(joint.density, joint.outputs, turned, coarse)
    masses = jnp.where(jnp.isneginf(height), 0, shares[..., None] * masses)
    of = jnp.repeat(jnp.arange(shares.shape[1]), MODES)[None]
    turned, left = (x.reshape(len(x), -1, *x.shape[3:]) for x in (turned, masses))

    def without(left: Array, category: Array, rotation: Array) -> Array:
        apart = so3.geodesic_distance(turned, rotation[:, None]) >= jnp.radians(degrees)
        return jnp.where(apart | (of != category[:, None]), left, 0)

    left, found = without(left, category, rotation), []
    for _ in range(num):
        best = jnp.argmax(left, axis=-1)
        category, rotation = of[0][best], _chosen(turned, best)
        found.append((category, rotation, jnp.max(left, axis=-1) > 0))
        left = without(left, category, rotation)
    category, rotation, some = (jnp.stack(x, axis=1) for x in zip(*found, strict=True))
    outputs = jnp.take_along_axis(joint.outputs, category[..., None], axis=1)
    fine = _mass(joint.density, outputs, rotation[:, :, None], so3_ball.ball(degrees))[..., 0]
    fine = fine * jnp.take_along_axis(shares, category, axis=1)
    return category, rotation, jnp.where(some, fine, 0)


def _mass(density, outputs, rotation, rule):
    """The mass (..., m) that densities (..., P) have around each of m rotations (..., m, 3, 3)."""
    points, weights = (jnp.asarray(x, outputs.dtype) for x in rule)
    around = so3.multiply(rotation[..., None, :, :], points)
    # All on one axis: what is of the outputs alone has one shape wherever it is asked for, as in
    # `modes`, so XLA computes it once.
    every = around.reshape(*around.shape[:-4], -1, 3, 3)
    heights = density.log_density(outputs[..., None, :], every)
    heights = heights.reshape(*heights.shape[:-1], rotation.shape[-3], len(weights))
    # Where a density is much narrower than the rule's points are apart, the sum can exceed 1.
    return jnp.minimum(jnp.einsum("...n,n->...", jnp.exp(heights), weights, precision="highest"), 1)


def _chosen(array, index):
    """The entries (B, ...) at `index` (B,) along the second axis of (B, n, ...)."""
    index = index.reshape(-1, *[1] * (array.ndim - 1))
    return jnp.take_along_axis(array, index, axis=1)[:, 0]
