"""Coefficients c of Wigner D functions up to a degree L: log p(R) = c . D(R) - log Z.

The exponential family of all band-limited functions on SO(3): it has as many modes, and what
symmetry, the image needs. Degree 1 alone is the matrix Fisher distribution of
`catpose.poses.matrix_fisher`; a cube needs degree 4, an icosahedron degree 6.

log Z is the logarithm of the mean of exp(c . D) over an equivolumetric grid, exact to 1e-3 for
peaks whose deviation is at least 0.6 times the grid's distance. That is 59 degrees / `num_side` for
the loss. Sharper peaks slip between its rotations, which a network learns, so what is said of a
density is computed on a grid twice as fine, and a calibration by it widens what is too sharp. The
function is evaluated at 2 L + 1 turns of each HEALPix pixel and interpolated between, exactly,
as a trigonometric polynomial of the turn.

References: Cohen and Welling, Harmonic Exponential Families on Manifolds, 2015; Murphy, Esteves,
Jampani, Ramalingam and Makadia, Implicit-PDF, 2021 (the grid).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3, so3_grid, wigner
from catpose.poses import base, modes

_NEWTON_STEPS = 8
_CANDIDATES = 4  # cells of the grid from which a mode is sought, for each that is wanted


class Basis(NamedTuple):
    """Constants of a degree L and a grid, in float64.

    Attributes:
      coarse: (P, pixels * (2 L + 1)) the basis at some turns of every pixel.
      interpolate: (2 L + 1, turns) from these to all turns.
      gradient: (P, 3) from c to the gradient of c . D(exp(omega)) at omega = 0.
      hessian: (P, 9) likewise its second derivatives.
    """

    coarse: Float[np.ndarray, "entries coarse"]
    interpolate: Float[np.ndarray, "nodes turns"]
    gradient: Float[np.ndarray, "entries 3"]
    hessian: Float[np.ndarray, "entries 9"]


@functools.cache
def basis(degree: int, num_side: int) -> Basis:
    """The constants, computed once."""
    nodes = 2 * degree + 1
    coarse = so3_grid.rotations(num_side, nodes).reshape(-1, 3, 3)
    coarse = wigner.constant_entries(coarse, degree).T
    turn = np.arange(so3_grid.num_turns(num_side)) * (2 * np.pi / so3_grid.num_turns(num_side))
    apart = turn - np.arange(nodes)[:, None] * (2 * np.pi / nodes)
    orders = np.arange(1, degree + 1)[:, None, None]
    interpolate = (1 + 2 * np.cos(orders * apart).sum(0)) / nodes
    each = [wigner.generators(i) for i in range(1, degree + 1)]
    gradient = np.concatenate([g.reshape(3, -1) for g in each], axis=1).T
    twice = [np.einsum("jab,kbc->jkac", g, g) for g in each]
    twice = [(t + t.transpose(1, 0, 2, 3)).reshape(9, -1) / 2 for t in twice]
    return Basis(coarse, interpolate, gradient, np.concatenate(twice, axis=1).T)


def _product(outputs, constant):
    return jnp.matmul(outputs, constant.astype(outputs.dtype), precision="highest")


def on_grid(
    outputs: Float[Array, "*batch entries"], degree: int, num_side: int
) -> Float[Array, "*batch rotations"]:
    """c . D(R) at every rotation of the grid, in the order of `so3_grid.rotations`."""
    (outputs,) = so3.at_least_float32(outputs)
    constants = basis(degree, num_side)
    some = _product(outputs, constants.coarse)
    some = some.reshape(*outputs.shape[:-1], -1, 2 * degree + 1)
    every = _product(some, constants.interpolate)
    return every.reshape(*outputs.shape[:-1], -1)


def weighted(
    values: Float[Array, "*batch rotations"], num_side: int
) -> Float[Array, "*batch rotations"]:
    """Logarithms on the grid, with those of the weights of sums over it."""
    weights = np.repeat(so3_grid.log_weights(num_side), so3_grid.num_turns(num_side))
    return values + jnp.broadcast_to(weights.astype(values.dtype), values.shape)


def turned(
    outputs: Float[Array, "*batch entries"], rotation: Float[Array, "*batch 3 3"], degree: int
) -> Float[Array, "*batch entries"]:
    """The coefficients of the function R -> c . D(rotation R)."""
    entries, result, begin = wigner.entries(rotation, degree), [], 0
    for each in range(1, degree + 1):
        side = 2 * each + 1
        here = slice(begin, begin := begin + side * side)
        c, d = (x[..., here].reshape(*x.shape[:-1], side, side) for x in (outputs, entries))
        product = jnp.einsum("...ba,...bc->...ac", d, c, precision="highest")
        result.append(product.reshape(*product.shape[:-2], -1))
    return jnp.concatenate(result, axis=-1)


def climb(
    outputs: Float[Array, "*batch entries"], rotation: Float[Array, "*batch 3 3"], *, degree: int
) -> Float[Array, "*batch 3 3"]:
    """A local maximum near each rotation, by Newton's method; never lower than it began.

    Args:
      outputs: c.
      rotation: where to begin.
      degree: L.
    """
    constants = basis(degree, 1)

    def value(rotation):
        return jnp.sum(outputs * wigner.entries(rotation, degree), axis=-1)

    def step(_, carry):
        rotation, before = carry
        local = turned(outputs, rotation, degree)
        gradient = _product(local, constants.gradient)
        hessian = _product(local, constants.hessian).reshape(*local.shape[:-1], 3, 3)
        omega = modes.uphill(gradient, hessian)
        length = jnp.sqrt(jnp.sum(omega**2, axis=-1, keepdims=True) + 1e-20)
        omega = omega * jnp.minimum(1, 0.3 / degree / length)
        moved = so3.multiply(rotation, so3.exp(omega))
        after = value(moved)
        better = after > before
        return jnp.where(better[..., None, None], moved, rotation), jnp.maximum(before, after)

    rotation, outputs = jax.lax.stop_gradient((rotation, outputs))
    return jax.lax.fori_loop(0, _NEWTON_STEPS, step, (rotation, value(rotation)))[0]


def make(*, degree: int = 4, num_side: int = 8, name: str = "harmonic") -> base.Pose:
    """The representation: a coefficient for every entry of D_1 to D_L.

    Args:
      degree: L, from 1; there are 9, 34, 83, 164, 285, 454 outputs up to degree 6.
      num_side: n of the loss's grid, whose 72 n^3 rotations are about 59 / n degrees apart.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation, with the loss "nll". Fusion is that of matrix Fisher: the weighted sum of
      c, the distribution proportional to the weighted geometric mean of the densities.

    Raises:
      ValueError: a degree or a grid below 1.
    """
    if degree < 1 or num_side < 1:
        raise ValueError(f"degree is {degree} and num_side {num_side}; both are from 1")

    def log_density(outputs, rotation, side=2 * num_side):
        outputs, rotation = base.aligned(*so3.at_least_float32(outputs, rotation))
        values = weighted(on_grid(outputs, degree, side), side)
        log_constant = jax.nn.logsumexp(values, axis=-1) - np.log(values.shape[-1])
        return jnp.sum(outputs * wigner.entries(rotation, degree), axis=-1) - log_constant

    def find_modes(outputs, k):
        values = on_grid(outputs, degree, num_side)
        around = values[..., so3_grid.neighbors(num_side)].max(axis=-1) if k > 1 else values
        values = jnp.where(values >= around, values, -jnp.inf)
        count = min(values.shape[-1], _CANDIDATES * k)
        best, index = jax.lax.top_k(values, count) if k > 1 else _largest(values)
        grid = so3_grid.rotations(num_side).reshape(-1, 3, 3).astype(values.dtype)
        each = jnp.broadcast_to(outputs[..., None, :], (*best.shape, outputs.shape[-1]))
        rotation = climb(each, jnp.asarray(grid)[index], degree=degree)
        reached = log_density(outputs[..., None, :], rotation)
        return modes.distinct(rotation, jnp.where(jnp.isneginf(best), -jnp.inf, reached), k)

    def turned_by(outputs, rotation):
        rotation = jnp.broadcast_to(rotation, (*outputs.shape[:-1], 3, 3))
        return turned(outputs, rotation, degree)

    def sample(key, outputs, n):
        (outputs,) = so3.at_least_float32(outputs)
        grid = so3_grid.rotations(num_side).reshape(-1, 3, 3).astype(outputs.dtype)

        def one(key):
            # From the grid turned at random: of all rotations, not of the grid's.
            turn_key, choice_key = jax.random.split(key)
            quaternion = jax.random.normal(turn_key, (*outputs.shape[:-1], 4), outputs.dtype)
            turn = so3.rotation_from_quaternion(quaternion)
            values = on_grid(turned(outputs, turn, degree), degree, num_side)
            chosen = _choice(choice_key, weighted(values, num_side))
            return so3.multiply(turn, jnp.asarray(grid)[chosen])

        return jax.lax.map(one, jax.random.split(key, n))

    return base.Pose(
        name=name,
        num_outputs=wigner.num_entries(degree),
        activate=lambda raw: so3.at_least_float32(raw)[0],
        to_rotation=lambda outputs: find_modes(outputs, 1)[0][..., 0, :, :],
        losses={"nll": base.nll(functools.partial(log_density, side=num_side))},
        fuse=base.weighted_sum,
        make=make,
        density=base.Density(log_density, find_modes, sample, base.scaled, turned_by),
    )


def _largest(values):
    index = jnp.argmax(values, axis=-1, keepdims=True)
    return jnp.take_along_axis(values, index, axis=-1), index


def _choice(key, logits):
    """A number with probability proportional to exp(logits), from one uniform number each."""
    below = jnp.cumsum(jax.nn.softmax(logits), axis=-1)
    uniform = jax.random.uniform(key, (*logits.shape[:-1], 1), logits.dtype) * below[..., -1:]
    return jnp.argmax(below > uniform, axis=-1)


HARMONIC = make()
