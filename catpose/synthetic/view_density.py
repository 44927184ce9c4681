"""Random viewpoints for training pictures: from ranges of angles, or like a dataset's annotations.

Rotations are in frame "camera"; densities are relative to the uniform distribution on SO(3), whose
density is 1 everywhere.

The kernel density lives on the group: a rotation is an annotation, each as likely as the other,
turned by a random rotation with density exp(kappa cos(omega)) / (I0(kappa) - I1(kappa)), omega
being its angle. That is the isotropic matrix Fisher distribution, the Bingham distribution of the
quaternion; angles do not enter, so there is neither a seam in azimuth nor a pole. For small
bandwidths it is normal in the axis-angle vector with deviation kappa^(-1/2) per axis, and that is
the meaning of `bandwidth_deg` at any size: kappa = (180 / pi / bandwidth_deg)^2.

Fitting is numpy on the host; drawing is jax and runs inside a jitted step.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.errors import InputError
from catpose.geometry import so3, viewpoint

# Candidates of `leave_one_out`: 32 down to 1 degree, each the last divided by sqrt(2).
BANDWIDTHS_DEG = tuple(32 * 2 ** (-i / 2) for i in range(11))
DISTANCE_JITTER = 0.05  # deviation of the logarithm about an annotated distance
CENTER_JITTER = 0.02  # deviation about an annotated center, or the box's middle without one
DISTANCE_RANGE = (3.0, 8.0)  # where no distance is annotated, uniform in its logarithm
_CELLS = 1024  # of the table of the angle's distribution: off by less than 2e-5
_MOST_PREDICTED = 4096
_CHUNK_PAIRS = 1 << 16  # half a megabyte: stays in a processor's cache


class CameraViews(NamedTuple):
    """Viewpoints that were drawn.

    Attributes:
      rotation: object to camera, frame "camera".
      distance: from the camera to the object's origin, in the object's unit.
      center: where the origin is seen, from the middle of the object's box to the right and down,
        in shares of the box's width and height.
    """

    rotation: Float[Array, "batch 3 3"]
    distance: Float[Array, "batch"]
    center: Float[Array, "batch 2"]


class Density(NamedTuple):
    """A kernel density over rotations; with one more leading axis K, those of K categories.

    Attributes:
      annotations: (N, 7) quaternions (w, x, y, z), then distance and center as in `CameraViews`,
        NaN where not annotated. Those from `count` on are padding.
      count: () the number of annotations.
      concentration: () kappa.
      log_scale: () logarithm of the kernel's density at its center.
      reach: () the largest angle of the table, radians; less than 1e-12 is beyond.
      cumulative: (1025,) distribution function of the angle at equal steps from 0 to `reach`.
    """

    annotations: Float[Array, "*categories N 7"]
    count: Int[Array, "*categories"]
    concentration: Float[Array, "*categories"]
    log_scale: Float[Array, "*categories"]
    reach: Float[Array, "*categories"]
    cumulative: Float[Array, "*categories nodes"]


def _kernel(concentration):
    """log_scale, reach and cumulative of `Density`, by Gauss-Legendre quadrature in float64.

    The angle has density 2 / pi sin^2(omega / 2) under the uniform distribution, and
    cos(omega) - 1 = -2 sin^2(omega / 2), so nothing cancels however large kappa is.
    """
    reach = 2 * np.arcsin(4 / np.sqrt(max(concentration, 16)))
    nodes, weights = np.polynomial.legendre.leggauss(6)
    width = reach / _CELLS
    angle = width * (np.arange(_CELLS)[:, None] + (nodes + 1) / 2)
    sine_squared = np.sin(angle / 2) ** 2
    density = 2 / np.pi * sine_squared * np.exp(-2 * concentration * sine_squared)
    cumulative = np.concatenate([[0], np.cumsum(density @ weights * width / 2)])
    return -np.log(cumulative[-1]), reach, cumulative / cumulative[-1]


def _checked(rotation, name):
    rotation = np.asarray(rotation, np.float64)
    if rotation.ndim != 3 or rotation.shape[1:] != (3, 3):
        raise InputError(f"{name}: rotations have shape {rotation.shape}, not (N, 3, 3)")
    if len(rotation) == 0:
        raise InputError(f"{name}: no annotated views; leave it out or draw from ranges")
    rotation = np.where(np.isfinite(rotation), rotation, 9)  # is in no rotation
    error = np.abs(rotation @ rotation.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    wrong = (error > 1e-3) | (np.linalg.det(rotation) < 0)
    if wrong.any():
        raise InputError(f"{name}: annotation {np.argmax(wrong)} is not a rotation matrix")
    return rotation


def _checked_column(value, shape, name):
    value = np.asarray(np.full(shape, np.nan) if value is None else value, np.float64)
    if value.shape != shape or np.isinf(value).any():
        raise InputError(f"{name} must have shape {shape} and be finite, or NaN where not known")
    return value


def leave_one_out(rotation: np.ndarray) -> np.ndarray:
    """How well each bandwidth predicts an annotation from all the others.

    A few rows of the table of pairs are made at a time, so memory is no limit. Of more than 4096
    annotations every second, third ... is predicted, always from all the others. Annotations that
    are there twice ask for the smallest bandwidth: drop copies before.

    Args:
      rotation: (N, 3, 3) annotations, N at least 2.

    Returns:
      (11,) mean log densities, for `BANDWIDTHS_DEG`.
    """
    rows = np.asarray(rotation, np.float64).reshape(len(rotation), 9)
    # From one candidate to the next kappa doubles: exp is taken once, and then squared.
    kappas = np.deg2rad(BANDWIDTHS_DEG) ** -2.0
    total = np.zeros(len(kappas))
    predicted = np.arange(0, len(rows), -(-len(rows) // _MOST_PREDICTED))
    for part in np.array_split(predicted, -(-len(predicted) * len(rows) // _CHUNK_PAIRS)):
        gap = (3 - rows[part] @ rows.T) / 2  # 1 - cos(omega)
        gap[np.arange(len(part)), part] = np.inf
        nearest = gap.min(axis=1, keepdims=True)
        power = np.exp(-kappas[0] * (gap - nearest))
        for i, kappa in enumerate(kappas):
            power = np.square(power, out=power) if i else power
            total[i] += np.sum(np.log(power.sum(axis=1)) - kappa * nearest[:, 0])
    scales = np.array([_kernel(kappa)[0] for kappa in kappas])
    return total / len(predicted) - np.log(len(rows) - 1) + scales


def fit(
    rotation: np.ndarray,
    *,
    bandwidth_deg: float | int | None = None,
    distance: np.ndarray | None = None,
    center: np.ndarray | None = None,
    name: str = "views",
) -> Density:
    """A density over the views of one category.

    Args:
      rotation: (N, 3, 3) annotations, frame "camera".
      bandwidth_deg: deviation of the kernel per axis, degrees, at least 0.1; infinity is the
        uniform distribution. None: the one of `BANDWIDTHS_DEG` with the best `leave_one_out`.
      distance: (N,) as in `CameraViews`; 0 or NaN where not annotated.
      center: (N, 2) as in `CameraViews`; NaN where not annotated.
      name: of the category, for messages.

    Raises:
      InputError: no annotations, something that is not a rotation, shapes that do not fit, a
        bandwidth out of range, or a bandwidth to be chosen from a single annotation.
    """
    rotation = _checked(rotation, name)
    count = len(rotation)
    distance = _checked_column(distance, (count,), f"{name}: distance")
    center = _checked_column(center, (count, 2), f"{name}: center")
    if (distance < 0).any():
        raise InputError(f"{name}: the distance of annotation {np.argmax(distance < 0)} is < 0")
    if bandwidth_deg is None:
        if count == 1:
            raise InputError(
                f"{name}: one annotated view does not tell a bandwidth; give one, or ranges"
            )
        bandwidth_deg = BANDWIDTHS_DEG[int(np.argmax(leave_one_out(rotation)))]
    if not bandwidth_deg >= 0.1:
        raise InputError(f"{name}: bandwidth_deg is {bandwidth_deg}, not at least 0.1")
    concentration = np.deg2rad(bandwidth_deg) ** -2.0
    distance = np.where(distance > 0, distance, np.nan)[:, None]
    columns = (so3.quaternion_from_rotation(rotation), distance, center)
    kernel = (np.float32(value) for value in (concentration, *_kernel(concentration)))
    return Density(np.concatenate(columns, 1, dtype=np.float32), np.int32(count), *kernel)


class Ranges(NamedTuple):
    """Independent ranges, made by `ranges`; with one more leading axis K, those of K categories.

    The last axis is azimuth, elevation, theta (radians), logarithm of the distance, center x and y.
    Attributes: bounds, and mean and deviation of a normal distribution that is cut off at them; an
    infinite deviation makes it uniform.
    """

    low: Float[Array, "*categories 6"]
    high: Float[Array, "*categories 6"]
    mean: Float[Array, "*categories 6"]
    deviation: Float[Array, "*categories 6"]


def ranges(
    *,
    azimuth_deg: Sequence[float | int] = (0, 360),
    elevation_deg: Sequence[float | int] = (-10, 50),
    theta_deg: Sequence[float | int] = (-15, 15, 0, 5),
    distance: Sequence[float | int] = DISTANCE_RANGE,
    center: Sequence[float | int] = (-0.03, 0.03),
) -> Ranges:
    """Ranges of one category: (low, high), uniform, or (low, high, mean, deviation), normal.

    Args:
      azimuth_deg: degrees; bounds may go round the circle, as in (-30, 30).
      elevation_deg: degrees, within -90 and 90; uniform in the angle, not on the sphere.
      theta_deg: degrees.
      distance: in the object's unit; drawn in its logarithm, so its deviation is a share.
      center: shares of the box, for each coordinate.

    Raises:
      InputError: bounds out of order or range, a mean outside, a deviation that is not positive.
    """
    given = {"azimuth_deg": azimuth_deg, "elevation_deg": elevation_deg, "theta_deg": theta_deg}
    given |= {"distance": distance, "center": center}
    spreads = {}
    for name, value in given.items():
        if len(value) not in (2, 4):
            raise InputError(f"{name}: give (low, high) or (low, high, mean, deviation)")
        low, high, mean, deviation = value if len(value) == 4 else (*value, value[0], np.inf)
        if not (-np.inf < low <= mean <= high < np.inf and deviation > 0):
            raise InputError(f"{name}: {value} is not low <= mean <= high, deviation > 0")
        spreads[name] = np.array([low, high, mean, deviation], np.float64)
        if name.endswith("_deg"):
            spreads[name] = np.deg2rad(spreads[name])
    if max(-elevation_deg[0], elevation_deg[1]) > 90:
        raise InputError(f"elevation_deg: {elevation_deg} goes beyond -90 to 90")
    if not distance[0] > 0:
        raise InputError(f"distance: {distance} is not positive")
    spreads["distance"][:3] = np.log(spreads["distance"][:3])
    columns = np.stack([*spreads.values(), spreads["center"]], axis=-1)
    return Ranges(*columns.astype(np.float32))


def stack(parts: Sequence[Density] | Sequence[Ranges]) -> Density | Ranges:
    """One value for K categories from those of each, annotations padded to the largest number."""
    if not parts:
        raise InputError("no categories to draw views of")
    if isinstance(parts[0], Density):
        most = max(len(part.annotations) for part in parts)
        parts = [p._replace(annotations=np.resize(p.annotations, (most, 7))) for p in parts]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *parts)


@jax.jit
def sample(key: Array, densities: Density, category: Int[Array, "batch"]) -> CameraViews:
    """Draws a view for each category of a batch, like its annotations.

    Rotation, distance and center come from the same annotation, chosen uniformly. The rotation is
    turned by the kernel; an annotated distance is multiplied by exp(0.05 n) and a center moved by
    0.02 n, n standard normal. Where not annotated, the distance is uniform in its logarithm
    between 3 and 8 and the center is moved from the middle of the box.

    Args:
      key: the only source of chance.
      densities: of K categories, from `stack`.
      category: below K.
    """
    keys, shape = jax.random.split(key, 6), category.shape
    index = jax.random.randint(keys[0], shape, 0, densities.count[category])

    level = jax.random.uniform(keys[1], shape)
    nodes = jnp.linspace(0, 1, densities.cumulative.shape[-1])
    at = jax.vmap(jnp.interp, (0, 0, None))(level, densities.cumulative[category], nodes)
    half = at * densities.reach[category] / 2
    axis = jax.random.normal(keys[2], (*shape, 3))
    axis = axis / jnp.maximum(jnp.linalg.norm(axis, axis=-1, keepdims=True), 1e-20)
    turn = jnp.concatenate([jnp.cos(half)[:, None], jnp.sin(half)[:, None] * axis], axis=-1)
    annotation = densities.annotations[category, index]
    quaternion_wxyz = so3.quaternion_multiply(turn, annotation[:, :4])
    rotation = so3.rotation_from_quaternion(quaternion_wxyz)

    distance = annotation[:, 4]
    low, high = np.log(DISTANCE_RANGE)
    anywhere = jnp.exp(jax.random.uniform(keys[3], shape, minval=low, maxval=high))
    near = distance * jnp.exp(DISTANCE_JITTER * jax.random.normal(keys[4], shape))
    moved = CENTER_JITTER * jax.random.normal(keys[5], (*shape, 2))
    center = jnp.nan_to_num(annotation[:, 5:]) + moved
    return CameraViews(rotation, jnp.where(jnp.isnan(distance), anywhere, near), center)


@jax.jit
def sample_ranges(key: Array, limits: Ranges, category: Int[Array, "batch"]) -> CameraViews:
    """Draws a view for each category of a batch, from ranges.

    Args:
      key: the only source of chance.
      limits: ranges of K categories, from `stack`.
      category: below K.
    """
    low, high, mean, deviation = (x[category] for x in limits)
    flat, bell = jax.random.split(key)
    scale = jnp.where(jnp.isinf(deviation), 1, deviation)
    normal = jax.random.truncated_normal(bell, (low - mean) / scale, (high - mean) / scale)
    uniform = low + (high - low) * jax.random.uniform(flat, low.shape)
    drawn = jnp.where(jnp.isinf(deviation), uniform, mean + scale * normal)
    drawn = jnp.clip(drawn, low, high)
    rotation = viewpoint.rotation_from_angles(*(drawn[:, i] for i in range(3)), frame="camera")
    return CameraViews(rotation, jnp.exp(drawn[:, 3]), drawn[:, 4:])
