"""Densities on SO(3) of azimuth, elevation and theta that are independent of each other.

Three angles, each on its whole circle, are every rotation twice: at elevation e and at pi - e, with
azimuth and theta turned by pi (-e in "paper"). The uniform distribution on SO(3) is uniform in
azimuth and theta and has density |cos e| / 4 in elevation (|sin e| / 4 in "paper"). Relative to it
each angle has a density, their product is one of the three angles, and the density of a rotation is
the mean over its two triples. Nothing is divided by a cosine, so it is finite everywhere.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3, viewpoint
from catpose.poses import base, bins, euler, modes

ANGLES = 3
_PEAKS = 4  # of each angle, which are combined to candidates for modes


def _from_equator(frame):
    """What is subtracted from elevation so that volume is as the cosine."""
    return np.pi / 2 if frame == "paper" else 0.0


def _below(angle, numpy=np):
    """The integral of |cos| from 0, of numpy's or jax.numpy's arrays."""
    half_turn = numpy.round(angle / np.pi)
    return 2 * half_turn + numpy.cos(np.pi * half_turn) * numpy.sin(angle)


def _angle_of(below):
    """Its inverse."""
    half_turn = jnp.round(below / 2)
    rest = jnp.arcsin(jnp.clip(below - 2 * half_turn, -1, 1))
    return np.pi * half_turn + rest


def log_volume(
    num_cells: int, first: Float[np.ndarray, " 3"], frame: str
) -> Float[np.ndarray, "3 cells"]:
    """Logarithm of each cell's share of the uniform distribution.

    Args:
      num_cells: n, cells of each angle on its circle.
      first: center of cell 0 in widths of a cell, for azimuth, elevation and theta.
      frame: "camera", "upright" or "paper".
    """
    edges = (first[1] + np.arange(num_cells + 1) - 0.5) * (2 * np.pi / num_cells)
    below = _below(edges.astype(np.float64) - _from_equator(frame))
    even = np.full(num_cells, 1 / num_cells)
    return np.log(np.stack([even, np.diff(below) / 4, even]))


def density(
    log_each: Callable[[base.Outputs, Float[Array, "..."]], Float[Array, "..."]],
    log_mass: Callable[[base.Outputs], Float[Array, "..."]],
    temper: Callable,
    *,
    num_cells: int,
    first: Float[np.ndarray, " 3"],
    frame: str,
) -> base.Density:
    """The density on SO(3).

    Args:
      log_each: outputs (..., P) and angles (..., 3) in radians with as many leading axes, which
        broadcast -> log-density (..., 3) of each angle, relative to the uniform distribution.
      log_mass: outputs (..., P) -> log-probability (..., 3, n) of each cell of each angle; within
        a cell the density is taken for constant where samples and modes are sought. The first
        mode is the best triple of angles; a rotation whose two triples are nearly as probable may
        have up to twice its density.
      temper: see `base.Density`.
      num_cells: see `log_volume`, as for the others.
      first: see `log_volume`.
      frame: of the rotations.
    """
    volume = log_volume(num_cells, first, frame)
    flip = np.array([np.pi, 0 if frame == "paper" else np.pi, np.pi], np.float32)
    sign = np.array([1, -1, 1], np.float32)

    def log_density(outputs, rotation):
        outputs, rotation = base.aligned(*so3.at_least_float32(outputs, rotation))
        angles = jnp.stack(viewpoint.angles_from_rotation(rotation, frame), axis=-1)
        angles = jax.lax.stop_gradient(angles)
        shape = angles.shape
        other = jnp.broadcast_to(flip, shape) + jnp.broadcast_to(sign, shape) * angles
        both = [jnp.sum(log_each(outputs, each), axis=-1) for each in (angles, other)]
        return jnp.logaddexp(*both) - np.log(2).astype(outputs.dtype)

    def find_modes(outputs, k):
        mass = log_mass(outputs)
        peaks = _peaks(mass - jnp.broadcast_to(volume.astype(mass.dtype), mass.shape))
        every = jnp.stack(jnp.meshgrid(*[jnp.arange(_PEAKS)] * ANGLES, indexing="ij"), axis=-1)
        chosen = [peaks[..., i, :][..., every[..., i].reshape(-1)] for i in range(ANGLES)]
        angles = bins.center(jnp.stack(chosen, axis=-1), num_cells, first)
        rotation = euler.to_rotation(angles, frame=frame)
        return modes.distinct(rotation, log_density(outputs[..., None, :], rotation), k)

    def sample(key, outputs, n):
        cell_key, place_key = jax.random.split(key)
        mass = log_mass(outputs)
        cell = jax.random.categorical(cell_key, mass, shape=(n, *mass.shape[:-1]))
        uniform = jax.random.uniform(place_key, cell.shape, mass.dtype)
        width = 2 * np.pi / num_cells
        low = bins.center(cell, num_cells, first) - width / 2
        angles = low + width * uniform
        # Uniform in volume, whose integral up to the angle is `_below`.
        begin = low[..., 1] - _from_equator(frame)
        below, above = (_below(begin + shift, jnp) for shift in (0.0, width))
        elevation = _angle_of(below + (above - below) * uniform[..., 1]) + _from_equator(frame)
        return euler.to_rotation(angles.at[..., 1].set(elevation), frame=frame)

    return base.Density(log_density, find_modes, sample, temper)


def _peaks(log_density):
    """The best cells of each angle, each at least `modes.APART` from those before it."""
    count = log_density.shape[-1]
    cells = jnp.broadcast_to(jnp.arange(count), log_density.shape)

    def find(left, _):
        best = jnp.argmax(left, axis=-1, keepdims=True)
        apart = jnp.abs(cells - best)
        near = jnp.minimum(apart, count - apart) * (2 * np.pi / count) < modes.APART
        return jnp.where(near, -jnp.inf, left), best[..., 0]

    _, found = jax.lax.scan(find, log_density, length=_PEAKS)
    return jnp.moveaxis(found, 0, -1)


def of_bins(
    log_probability: Callable[[base.Outputs], Float[Array, "..."]],
    temper: Callable,
    *,
    num_bins: int,
    first: Float[np.ndarray, " 3"],
    frame: str,
) -> base.Density:
    """The density that is constant in every bin, over the uniform distribution.

    Args:
      log_probability: outputs (..., P) -> (..., 3, n) of each bin of each angle.
      temper: see `base.Density`.
      num_bins: n, bins of each angle.
      first: see `log_volume`.
      frame: of the rotations.
    """
    volume = log_volume(num_bins, first, frame)

    def log_each(outputs, angles):
        each = log_probability(outputs)
        each = each - jnp.broadcast_to(volume.astype(each.dtype), each.shape)
        index = bins.index(angles, num_bins, first)[..., None]
        return jnp.take_along_axis(each, index, axis=-1)[..., 0]

    return density(log_each, log_probability, temper, num_cells=num_bins, first=first, frame=frame)
