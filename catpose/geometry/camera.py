"""The pinhole camera of PASCAL3D+, and homographies between its pictures.

Rotations are in frame "camera": x right, y up, z towards the viewer. The camera looks along -z at
an object whose center lies `distance` in front of it, on the axis that meets the picture at
`center`. Image coordinates have x to the right and y down; their unit is that of `focal` and
`center`: pixels, or, with one focal length per axis, shares of a box.

A homography is a 3x3 matrix that acts on (x, y, 1) and is known up to a factor.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from catpose.geometry import so3

# No point is nearer to the camera than this share of the object's distance: a vertex beside or
# behind the camera would project to anywhere.
_NEAREST = 0.05


class Pinhole(NamedTuple):
    """Cameras that look at an object's center, with any leading axes.

    Attributes:
      distance: from the camera to the object's center, in the object's unit.
      focal: focal length along the picture's x and y, in the image's units.
      center: where the object's center is seen, in the image's units.
    """

    distance: Float[Array, "*batch"]
    focal: Float[Array, "*batch 2"]
    center: Float[Array, "*batch 2"]


@jax.jit
def project(
    points: Float[Array, "*batch V 3"], rotation: Float[Array, "*batch 3 3"], pinhole: Pinhole
) -> tuple[Float[Array, "*batch V 2"], Float[Array, "*batch V"]]:
    """Image coordinates and depths of points of the object.

    Args:
      points: in the object's frame and unit, about its center.
      rotation: of the object, frame "camera".
      pinhole: the cameras.

    Returns:
      Image coordinates, and depths along the axis of view in the object's unit. Depths below 1/20
      of the object's distance, also negative ones, are set to that.
    """
    camera = jnp.sum(rotation[..., None, :, :] * points[..., None, :], axis=-1)
    distance = pinhole.distance[..., None]
    depth = jnp.maximum(distance - camera[..., 2], _NEAREST * distance)
    right_down = jnp.stack([camera[..., 0], -camera[..., 1]], axis=-1) / depth[..., None]
    image = pinhole.center[..., None, :] + pinhole.focal[..., None, :] * right_down
    return image, depth


@jax.jit
def on_plane(
    image: Float[Array, "*batch V 2"], rotation: Float[Array, "*batch 3 3"], pinhole: Pinhole
) -> Float[Array, "*batch V 3"]:
    """Points of the object's frame that project to `image`, on one plane.

    The plane is parallel to the picture and goes through the object's center.

    Args:
      image: image coordinates.
      rotation: of the object, frame "camera".
      pinhole: the cameras.
    """
    right_down = (image - pinhole.center[..., None, :]) / pinhole.focal[..., None, :]
    x, y = jnp.moveaxis(right_down * pinhole.distance[..., None, None], -1, 0)
    camera = jnp.stack([x, -y, jnp.zeros_like(x)], axis=-1)
    return jnp.sum(rotation[..., None, :, :] * camera[..., :, None], axis=-2)


@jax.jit
def fit_homography(
    source: Float[Array, "*batch V 2"],
    target: Float[Array, "*batch V 2"],
    weight: Float[Array, "*batch V"],
) -> Float[Array, "*batch 3 3"]:
    """Least-squares homography from source points to target points.

    It minimizes the weighted squares of the direct linear transformation's two equations per
    point. Both sets are first centered and scaled alike by the source's mean and spread, and the
    unknowns are the eight deviations from the identity, so small motions keep their precision in
    float32. Points that leave it undetermined (three of them, or all on a line) give a homography
    close to the identity among those that fit.

    Args:
      source: image coordinates before; they must not be one and the same point.
      target: image coordinates after a motion that is small against the points' spread, so that
        no point between them goes to infinity.
      weight: of each pair, not negative, not all zero; 0 leaves a pair out.

    Returns:
      Homographies with a last element near 1.

    Reference: Hartley and Zisserman, Multiple View Geometry, section 4.1.
    """
    total = jnp.sum(weight, axis=-1)
    share = (weight / total[..., None])[..., None]
    mean = jnp.sum(share * source, axis=-2)
    variance = jnp.sum(share * (source - mean[..., None, :]) ** 2, axis=(-2, -1))
    spread = jnp.sqrt(variance)[..., None]
    before = (source - mean[..., None, :]) / spread[..., None]
    after = (target - mean[..., None, :]) / spread[..., None]

    one, zero = jnp.ones_like(weight), jnp.zeros_like(weight)
    x, y, u, v = before[..., 0], before[..., 1], after[..., 0], after[..., 1]
    equations = jnp.stack(
        [
            jnp.stack([x, y, one, zero, zero, zero, -u * x, -u * y], axis=-1),
            jnp.stack([zero, zero, zero, x, y, one, -v * x, -v * y], axis=-1),
        ],
        axis=-2,
    )
    weighted = equations * share[..., None]
    normal = jnp.einsum("...vki,...vkj->...ij", weighted, equations, precision="highest")
    right = jnp.einsum("...vki,...vk->...i", weighted, after - before, precision="highest")
    # Ten units of rounding: too little to be seen where the points determine the solution.
    floor = 10 * jnp.finfo(normal.dtype).eps * jnp.eye(8, dtype=normal.dtype)
    normal = normal + jnp.broadcast_to(floor, normal.shape)
    deviation = jnp.linalg.solve(normal, right[..., None])[..., 0]
    last = jnp.zeros_like(deviation[..., :1])
    matrix = jnp.concatenate([deviation, last], axis=-1).reshape(*deviation.shape[:-1], 3, 3)
    matrix = matrix + jnp.broadcast_to(jnp.eye(3, dtype=matrix.dtype), matrix.shape)

    normalize = scale_and_shift(1 / spread * jnp.ones_like(mean), -mean / spread)
    restore = scale_and_shift(spread * jnp.ones_like(mean), mean)
    return so3.multiply(restore, so3.multiply(matrix, normalize))


@jax.jit
def apply_homography(
    homography: Float[Array, "*batch 3 3"], points: Float[Array, "*batch V 2"]
) -> Float[Array, "*batch V 2"]:
    """Applies a homography to points of the image."""
    x, y = points[..., 0], points[..., 1]
    h = homography[..., None]
    across, down, scale = (
        h[..., i, 0, :] * x + h[..., i, 1, :] * y + h[..., i, 2, :] for i in range(3)
    )
    return jnp.stack([across / scale, down / scale], axis=-1)


@jax.jit
def invert_homography(homography: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """The inverse up to a factor, by cofactors: nothing is divided."""
    a, b, c = (homography[..., i, :] for i in range(3))
    columns = (jnp.cross(b, c), jnp.cross(c, a), jnp.cross(a, b))
    return jnp.stack(columns, axis=-1)


def scale_and_shift(
    scale: Float[Array, "*batch 2"], shift: Float[Array, "*batch 2"]
) -> Float[Array, "*batch 3 3"]:
    """The homography that scales both axes and then moves by `shift`."""
    zero, one = jnp.zeros_like(scale[..., 0]), jnp.ones_like(scale[..., 0])
    rows = (
        (scale[..., 0], zero, shift[..., 0]),
        (zero, scale[..., 1], shift[..., 1]),
        (zero, zero, one),
    )
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)
