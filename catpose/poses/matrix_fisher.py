"""Nine numbers: the parameter F of a matrix Fisher distribution, p(R) = exp(tr F'R) / c(F).

Densities are with respect to the uniform distribution, which has density 1 and is F = 0. With
F = U diag(s) V' by two rotations (`svd.proper`) the mode is U V' and s says how sure it is:
s_i + s_j, for large values, is the inverse variance in radians of turning about the third axis.

The normalizing constant is the integral over u in [-1, 1] of
I0((s1 - s2)(1 - u) / 2) I0((s1 + s2)(1 + u) / 2) exp(s3 u) / 2. It is computed relative to the
largest exp(tr F'R), so nothing overflows, and by a tanh-sinh quadrature, whose points crowd
towards both ends as the integrand does for small and large s. Its derivative, the mean rotation,
is another such integral.

References: Mohlin, Bianchi and Sullivan, Probabilistic Orientation Estimation with Matrix Fisher
Distributions, 2020; Lee, Bayesian Attitude Estimation with the Matrix Fisher Distribution on
SO(3), 2018 (the integral); Kent, Ganeiber and Mardia, A New Unified Approach for the Simulation of
a Wide Class of Directional Distributions, 2018 (samples).
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3, viewpoint
from catpose.poses import base, modes, svd

_MAX_ROUNDS = 200  # of rejection, each with a chance above 0.4: no sample is left after them


def _tanh_sinh(num_points, end):
    """v = 1 - u and 2 - v without cancellation, and weights, (3, points), for [0, 2]."""
    t = np.linspace(-end, end, num_points)
    v = 2 / (1 + np.exp(-np.pi * np.sinh(t)))
    rest = 2 / (1 + np.exp(np.pi * np.sinh(t)))
    return np.stack([v, rest, v * rest / 2 * np.pi * np.cosh(t) * (t[1] - t[0])])


_POINTS = _tanh_sinh(num_points=121, end=3.3)


def _integrals(values):
    """log c(F) - (s1 + s2 + s3), (...,), and its derivative with respect to s, (..., 3).

    The derivative is written out: that of `i0e` is wrong at 0, where the two singular values
    that make its argument are equal.
    """
    shape = (*values.shape[:-1], _POINTS.shape[1])
    v, rest, weight = (jnp.broadcast_to(x.astype(values.dtype), shape) for x in _POINTS)
    s1, s2, s3 = (values[..., i, None] for i in range(3))
    x, y = (s1 - s2) / 2 * v, (s1 + s2) / 2 * rest
    i0x, i0y = jax.scipy.special.i0e(x), jax.scipy.special.i0e(y)
    density = weight / 2 * i0x * i0y * jnp.exp(-jnp.maximum(s2 + s3, 0) * v)
    total = jnp.sum(density, axis=-1, keepdims=True)
    density = density / total

    def mean(of):
        return jnp.sum(density * of, axis=-1)

    # With A and B the derivatives by the halves of s1 - s2 and s1 + s2, those by s1, s2 and s3 are
    # A + B, B - A and the mean of u; 1 is subtracted from B and u before rounding can.
    a = mean(v * jax.scipy.special.i1e(x) / i0x) / 2
    b = -mean(v + rest * (i0y - jax.scipy.special.i1e(y)) / i0y) / 2
    return jnp.log(total[..., 0]), jnp.stack([b + a, b - a, -mean(v)], axis=-1)


def _compose(left, values, right):
    """U diag(s) V'."""
    return so3.multiply(left * values[..., None, :], jnp.swapaxes(right, -1, -2))


@jax.custom_jvp
def _relative_log_constant(parameter):
    """log c(F) - max over R of tr F'R; its gradient is the mean rotation minus the mode."""
    return _integrals(svd.proper(parameter)[1])[0]


@_relative_log_constant.defjvp
def _relative_log_constant_jvp(primals, tangents):
    (parameter,), (tangent,) = primals, tangents
    left, values, right = svd.proper(parameter)
    result, derivative = _integrals(values)
    return result, jnp.sum(_compose(left, derivative, right) * tangent, axis=(-2, -1))


@jax.jit
def mean(parameter: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """Mean of the matrices R, U diag(d log c / d s) V': not itself a rotation.

    Args:
      parameter: F, in float32 or float64.

    Returns:
      Matrices, 0 for F = 0 and near the mode for large singular values.
    """
    left, values, right = svd.proper(parameter)
    return _compose(left, 1 + _integrals(values)[1], right)


@jax.jit
def log_density(
    parameter: Float[Array, "*#batch 3 3"], rotation: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*#batch"]:
    """Logarithm of the density, 0 everywhere for the uniform distribution F = 0.

    Args:
      parameter: F.
      rotation: rotation matrices; leading axes broadcast against those of F.

    Returns:
      Log densities with respect to the uniform distribution (for density in radians cubed
      subtract log(8 pi^2)). The gradient with respect to F is R - mean(F), finite everywhere.

    Reference: Mohlin et al. 2020.
    """
    parameter, rotation = so3.at_least_float32(parameter, rotation)
    # Leading axes of length 1: the constant is computed once for each F, not for each rotation.
    rank = max(parameter.ndim, rotation.ndim)
    parameter, rotation = (
        x.reshape(*[1] * (rank - x.ndim), *x.shape) for x in (parameter, rotation)
    )
    # The mode is a constant here: at the maximum over R the gradient through R is zero.
    mode = svd.nearest_rotation(jax.lax.stop_gradient(parameter))
    # Not tr F'R - log c(F): where F is large these are large and nearly equal.
    # Entry by entry: of many rotations five times as fast as a sum over axes of length three.
    away = rotation - mode
    fall = sum(parameter[..., i, j] * away[..., i, j] for i in range(3) for j in range(3))
    return fall - _relative_log_constant(parameter)


def mode_and_constant(
    parameter: Float[Array, "*batch 3 3"],
) -> tuple[Float[Array, "*batch 3 3"], Float[Array, "*batch"]]:
    """The most probable rotation, and minus its log-density; not for differentiation.

    Args:
      parameter: F.

    Returns:
      Rotation matrices, and log c(F) - max over R of tr F'R.
    """
    left, values, right = svd.proper(parameter)
    return so3.multiply(left, jnp.swapaxes(right, -1, -2)), _integrals(values)[0]


@functools.partial(jax.jit, static_argnames="shape")
def sample(
    key: Array, parameter: Float[Array, "*batch 3 3"], shape: tuple[int, ...] = ()
) -> Float[Array, "..."]:
    """Independent rotations from the distribution.

    Their quaternions in the axes of U and V have a Bingham distribution, which is drawn by
    rejection from an angular central Gaussian one; exact, with about two trials per sample.

    Args:
      key: a PRNG key.
      parameter: F, (*batch, 3, 3).
      shape: leading axes of the samples from each F.

    Returns:
      Rotation matrices, (*shape, *batch, 3, 3).

    Reference: Kent, Ganeiber and Mardia 2018.
    """
    left, values, right = svd.proper(*so3.at_least_float32(parameter))
    s1, s2, s3 = (values[..., i] for i in range(3))
    # tr F'R = s1 + s2 + s3 - sum of rates q^2 for the quaternion q.
    rates = 2 * jnp.stack([jnp.zeros_like(s1), s2 + s3, s1 + s3, s1 + s2], axis=-1)
    rates = jnp.maximum(rates, 0)

    # Any b in (0, 4] is right; the root of sum 1 / (b + 2 rate) = 1 rejects least. Newton's
    # method rises to it from 1.
    def newton(_, b):
        inverse = 1 / (b[..., None] + 2 * rates)
        return b + (jnp.sum(inverse, axis=-1) - 1) / jnp.sum(inverse**2, axis=-1)

    b = jnp.minimum(jax.lax.fori_loop(0, 10, newton, jnp.ones_like(s1)), 4)
    leading = (*shape, *s1.shape)
    scales = jnp.broadcast_to(jax.lax.rsqrt(1 + 2 * rates / b[..., None]), (*leading, 4))
    rates, b = jnp.broadcast_to(rates, (*leading, 4)), jnp.broadcast_to(b, leading)

    def propose(carry):
        index, quaternion, accepted = carry
        normal_key, uniform_key = jax.random.split(jax.random.fold_in(key, index))
        candidate = scales * jax.random.normal(normal_key, scales.shape, scales.dtype)
        squared = candidate**2 / jnp.sum(candidate**2, axis=-1, keepdims=True)
        fall = jnp.sum(rates * squared, axis=-1)
        log_chance = 2 * jnp.log((b + 2 * fall) / 4) + (4 - b) / 2 - fall
        uniform = jax.random.uniform(uniform_key, leading, scales.dtype)
        quaternion = jnp.where(accepted[..., None], quaternion, candidate)
        return index + 1, quaternion, accepted | (jnp.log(uniform) < log_chance)

    def is_unfinished(carry):
        index, _, accepted = carry
        return (index < _MAX_ROUNDS) & ~jnp.all(accepted)

    nothing = (0, jnp.zeros_like(scales), jnp.zeros(leading, bool))
    _, quaternion, _ = jax.lax.while_loop(is_unfinished, propose, nothing)
    inner = so3.rotation_from_quaternion(quaternion)
    left, right = (jnp.broadcast_to(side, inner.shape) for side in (left, right))
    return so3.multiply(so3.multiply(left, inner), jnp.swapaxes(right, -1, -2))


def activate(raw: Float[Array, "*batch 9"]) -> Float[Array, "*batch 9"]:
    """The outputs as they are: a small last layer makes the initial distribution near uniform.

    Args:
      raw: outputs of the last linear layer.

    Returns:
      F, row by row.
    """
    (raw,) = so3.at_least_float32(raw)
    return raw


def _log_density(outputs, rotation):
    return log_density(svd.as_matrix(outputs), rotation)


def _modes(outputs, k):
    parameter = svd.as_matrix(outputs)[..., None, :, :]
    rotation = svd.nearest_rotation(parameter)
    return modes.distinct(rotation, log_density(parameter, rotation), k)


def _turned(outputs, rotation):
    """tr(F'D R) = tr((D'F)'R)."""
    parameter = so3.multiply(jnp.swapaxes(rotation, -1, -2), svd.as_matrix(outputs))
    return parameter.reshape(outputs.shape)


# The weighted sum of F is the distribution proportional to the weighted geometric mean of the
# densities: networks that disagree give one that is unsure, not one with several modes.
MATRIX_FISHER = base.Pose(
    name="matrix_fisher",
    num_outputs=9,
    activate=activate,
    to_rotation=svd.to_rotation,
    losses={"nll": base.nll(_log_density)},
    fuse=base.weighted_sum,
    mirror=lambda outputs: viewpoint.mirror(svd.as_matrix(outputs)).reshape(outputs.shape),
    density=base.Density(
        log_density=_log_density,
        modes=_modes,
        sample=lambda key, outputs, n: sample(key, svd.as_matrix(outputs), (n,)),
        temper=base.scaled,
        turned=_turned,
    ),
)
