"""M matrix Fisher distributions with weights: a density with as many modes.

With one component it is `catpose.poses.matrix_fisher`, exactly. Components begin at rotations that
are far apart: equal ones would learn the same for long.

A mode is found from each component's: R goes towards the rotation nearest to the components' F in
proportion to their shares at R, which maximizes a lower bound of the density.

Reference: Mohlin, Bianchi and Sullivan, Probabilistic Orientation Estimation with Matrix Fisher
Distributions, 2020 (one component).
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3
from catpose.poses import base, bins, dictionary, matrix_fisher, modes

_CLIMB = 4
_INITIAL = 2.0  # singular values of each F at first: within about 50 degrees

# Outputs (..., P) -> log-weights (..., M), and F of each component (..., M, 3, 3).
Components = Callable[[base.Outputs], tuple[Float[Array, "..."], Float[Array, "..."]]]


def density(components: Components, temper: Callable) -> base.Density:
    """A mixture's density, its modes and samples.

    Args:
      components: what the outputs are.
      temper: see `base.Density`.
    """

    def each(outputs, rotation):
        log_weight, parameter = components(outputs)
        return log_weight + matrix_fisher.log_density(parameter, rotation[..., None, :, :])

    def log_density(outputs, rotation):
        return jax.nn.logsumexp(each(*base.aligned(outputs, rotation)), axis=-1)

    def find_modes(outputs, k):
        log_weight, parameter = jax.lax.stop_gradient(components(outputs))
        own, constant = matrix_fisher.mode_and_constant(parameter)
        log_weight = (log_weight - constant)[..., None, :]
        around, parameter = own[..., None, :, :, :], parameter[..., None, :, :, :]

        def heights(rotation):
            fall = parameter * (rotation[..., None, :, :] - around)
            return log_weight + jnp.sum(fall, axis=(-2, -1))

        rotation = own
        for _ in range(_CLIMB):
            share = jax.nn.softmax(heights(rotation))
            pull = jnp.sum(share[..., None, None] * parameter, axis=-3)
            rotation = so3.multiply(rotation, so3.exp(_towards(pull, rotation)))
        return modes.distinct(rotation, jax.nn.logsumexp(heights(rotation), axis=-1), k)

    def sample(key, outputs, n):
        choice_key, sample_key = jax.random.split(key)
        log_weight, parameter = components(outputs)
        chosen = jax.random.categorical(choice_key, log_weight, shape=(n, *log_weight.shape[:-1]))
        parameter = jnp.broadcast_to(parameter, (n, *parameter.shape))
        parameter = jnp.take_along_axis(parameter, chosen[..., None, None, None], axis=-3)
        return matrix_fisher.sample(sample_key, parameter[..., 0, :, :])

    return base.Density(log_density, find_modes, sample, temper)


def _towards(parameter, rotation):
    """Newton's step (..., 3) from R, in the object's axes, to the largest tr F'R."""
    x = so3.multiply(jnp.swapaxes(parameter, -1, -2), rotation)
    transposed = jnp.swapaxes(x, -1, -2)
    skew = x - transposed
    gradient = jnp.stack([skew[..., 1, 2], skew[..., 2, 0], skew[..., 0, 1]], axis=-1)
    eye = jnp.broadcast_to(jnp.eye(3, dtype=x.dtype), x.shape)
    hessian = (x + transposed) / 2 - jnp.trace(x, axis1=-2, axis2=-1)[..., None, None] * eye
    return modes.uphill(gradient, hessian)


def far_apart(count: int) -> Float[np.ndarray, "count 3 3"]:
    """Rotations of the cube's group, each as far as possible from those before it.

    Args:
      count: from 1, which is the identity, to 24.
    """
    keys = dictionary.cube()
    trace = np.einsum("aij,bij->ab", keys, keys)
    chosen = [0]
    while len(chosen) < count:
        chosen.append(int(trace[chosen].max(axis=0).argmin()))
    return keys[chosen]


def make(*, components: int = 4, name: str = "matrix_fisher_mixture") -> base.Pose:
    """The representation: M log-weights and M matrices F, row by row.

    Args:
      components: M, from 1 to 24.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation, with the loss "nll". Fusion mixes the weights over the networks; F of a
      component is the mean of the networks' by P(network | component).

    Raises:
      ValueError: too few or too many components.
    """
    if not 1 <= components <= 24:
        raise ValueError(f"components is {components}, from 1 to 24")
    shapes = [(components,), (components, 3, 3)]
    first = far_apart(components)
    first = _INITIAL * (first - first.mean(axis=0))  # 0 for one component

    def parts(outputs):
        return bins.parts(*so3.at_least_float32(outputs), *shapes)

    def activate(raw):
        logits, parameter = parts(raw)
        parameter = parameter + jnp.broadcast_to(first.astype(parameter.dtype), parameter.shape)
        return bins.flat(bins.log_probabilities(logits), parameter, axes=raw.ndim - 1)

    def fuse(outputs, weights):
        log_weight, parameter = parts(outputs)
        mixed, posterior = bins.mixture(log_weight, weights)
        return bins.flat(mixed, jnp.sum(posterior[..., None, None] * parameter, axis=1), axes=1)

    def temper(outputs, concentration):
        log_weight, parameter = parts(outputs)
        axes = outputs.ndim - 1
        by = jnp.asarray(concentration, parameter.dtype)
        by = jnp.broadcast_to(by, outputs.shape[:-1])[..., None, None, None]
        log_weight = bins.tempered(log_weight, concentration, axes=axes)
        return bins.flat(log_weight, by * parameter, axes=axes)

    implied = density(parts, temper)
    return base.Pose(
        name=name,
        num_outputs=10 * components,
        activate=activate,
        to_rotation=lambda outputs: implied.modes(outputs, 1)[0][..., 0, :, :],
        losses={"nll": base.nll(implied.log_density)},
        fuse=fuse,
        make=make,
        density=implied,
    )


MATRIX_FISHER_MIXTURE = make()
