"""Small random changes of an example's box and of its pose, and what they do to the picture.

The 3D jitter is the paper's: the camera moves by a few degrees about the object, at the same
distance, focal length and principal point. To first order the picture changes as if the object
were flat, by a homography. It is fitted to the nearest quarter of the CAD model's vertices, as
they are seen before and after; for an object without a CAD model, to the plane through its center
that is parallel to the picture.

Rotations are in frame "camera"; image coordinates are shares of the box's sides from its center,
x to the right and y down; angles are in radians.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int

from catpose.geometry import camera, so3, viewpoint

NEAREST_SHARE = 0.25  # of the vertices, as in the authors' code
_OUTLINE = 64  # points of the ellipse that replaces an object without vertices


class Seen(NamedTuple):
    """How the objects of a batch were seen in their photos.

    Attributes:
      rotation: frame "camera".
      pinhole: (B,) cameras in shares of the boxes, see `catpose.data.examples.Camera`; a row with
        a number that is not finite is unknown.
      model: row of `points`, -1 where there is no CAD model.
      points: vertices of the M CAD models about the objects' centers
        (`catpose.data.pascal3d.cad_points`); None or M = 0 where there are none.
    """

    rotation: Float[Array, "B 3 3"]
    pinhole: camera.Pinhole
    model: Int[Array, "B"]
    points: Float[Array, "M V 3"] | None = None


def known(seen: Seen) -> Bool[Array, "B"]:
    """Whether each example's camera is known; without it a pose is not jittered."""
    distance, focal, center = seen.pinhole
    finite = jnp.isfinite(focal).all(-1) & jnp.isfinite(center).all(-1) & jnp.isfinite(distance)
    return finite & (distance > 0) & (focal > 0).all(-1)


def turn(
    rotation: Float[Array, "B 3 3"],
    azimuth: Float[Array, "B"],
    elevation: Float[Array, "B"],
    theta: Float[Array, "B"],
) -> Float[Array, "B 3 3"]:
    """The rotations at viewpoints changed by these angles.

    A product, not a way through the angles: there and back is the identity, an elevation may pass
    +-90 degrees, and zeros leave the rotation as it is to the last bit.

    Args:
      rotation: frame "camera", Rz(theta) Rx(elevation - 90 deg) Rz(-azimuth).
      azimuth: added to the azimuth.
      elevation: added to the elevation.
      theta: added to the in-plane angle.
    """
    zero = jnp.zeros_like(azimuth)
    before = viewpoint.angles_from_rotation(rotation)[2]
    turned = so3.multiply(rotation, so3.exp(jnp.stack([zero, zero, -azimuth], -1)))
    # Rz(t) Rx(de) Rz(-t), what a change of elevation does left of the in-plane rotation by t.
    axis = jnp.stack([jnp.cos(before), jnp.sin(before), zero], -1)
    turned = so3.multiply(so3.exp(elevation[:, None] * axis), turned)
    turned = so3.multiply(so3.exp(jnp.stack([zero, zero, theta], -1)), turned)
    changed = (azimuth != 0) | (elevation != 0) | (theta != 0)
    return jnp.where(changed[:, None, None], turned, rotation)


def box_map(
    seen: Seen, azimuth: Float[Array, "B"], elevation: Float[Array, "B"], theta: Float[Array, "B"]
) -> tuple[Float[Array, "B 3 3"], Float[Array, "B"]]:
    """The homography of a jittered pose, from the new box back to the old one.

    The new box encloses what the homography makes of the vertices, as the old one enclosed them:
    each of its sides moves as the side of their bounding box does. So it stays as tight around
    the picture's object as it was. (A box tight around the object at its new pose would be worse:
    it does not fit the picture, which the homography only approximates. The outline of the old
    box, transformed, would be too wide, as objects are rounder than rectangles: one 2.5 times as
    wide as high, turned by 4 degrees, gains 17 % in height.) Without vertices the ellipse in the
    box replaces the object.

    Args:
      seen: how the objects were seen.
      azimuth: changes of the pose, see `turn`; ignored where the camera is unknown.
      elevation: likewise.
      theta: likewise.

    Returns:
      Homographies from shares of the new box to shares of the old one, the identity where the
      camera is unknown; and the factor by which the box's aspect (width over height) grows.
    """
    usable = known(seen)
    pinhole = camera.Pinhole(
        jnp.where(usable, seen.pinhole.distance, 1),
        jnp.where(usable[:, None], seen.pinhole.focal, 1),
        jnp.where(usable[:, None], seen.pinhole.center, 0),
    )
    after = turn(seen.rotation, azimuth, elevation, theta)
    points, weight, outline = _points(seen, pinhole)
    # Fitted in the photo's proportions: in shares of a box the fit would depend on its aspect.
    photo = camera.Pinhole(
        pinhole.distance, jnp.ones_like(pinhole.focal), jnp.zeros_like(pinhole.center)
    )
    source, _ = camera.project(points, seen.rotation, photo)
    target, _ = camera.project(points, after, photo)
    shares = camera.scale_and_shift(pinhole.focal, pinhole.center)
    forward = so3.multiply(shares, camera.fit_homography(source, target, weight))
    forward = so3.multiply(forward, camera.invert_homography(shares))

    low, high = outline.min(axis=1), outline.max(axis=1)
    moved = camera.apply_homography(forward, outline)
    moved_low, moved_high = moved.min(axis=1), moved.max(axis=1)
    # The map of one bounding box to the other takes the old box to the new one.
    scale = (moved_high - moved_low) / (high - low)
    center = (moved_low + moved_high) / 2 - scale * (low + high) / 2
    new_box = camera.scale_and_shift(scale, center)
    back = so3.multiply(camera.invert_homography(forward), new_box)
    back = back / back[:, 2:, 2:]  # the box's center is never at infinity
    identity = jnp.broadcast_to(jnp.eye(3), back.shape)
    aspect = jnp.where(usable, scale[:, 0] / scale[:, 1], 1)
    return jnp.where(usable[:, None, None], back, identity), aspect


def _points(
    seen: Seen, pinhole: camera.Pinhole
) -> tuple[Float[Array, "B V 3"], Float[Array, "B V"], Float[Array, "B V 2"]]:
    """What the homography is fitted to (object frame), with weights, and the object's outline."""
    batch = seen.model.shape[0]
    size = _OUTLINE if seen.points is None or not seen.points.size else seen.points.shape[1]
    corners = jnp.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    corners = jnp.broadcast_to(jnp.resize(corners, (size, 2)), (batch, size, 2))
    plane = camera.on_plane(corners, seen.rotation, pinhole)
    angle = jnp.arange(size) * (2 * np.pi / size)
    ellipse = jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=-1) / 2
    ellipse = jnp.broadcast_to(ellipse, (batch, size, 2))
    everywhere = jnp.ones((batch, size))
    if seen.points is None or not seen.points.size:
        return plane, everywhere, ellipse

    vertices = seen.points[jnp.maximum(seen.model, 0)]
    image, depth = camera.project(vertices, seen.rotation, pinhole)
    count = int(np.ceil(NEAREST_SHARE * size))
    farthest = jnp.sort(depth, axis=1)[:, count - 1 : count]
    nearest = (depth <= farthest).astype(jnp.float32)
    has = (seen.model >= 0)[:, None]
    return (
        jnp.where(has[..., None], vertices, plane),
        jnp.where(has, nearest, everywhere),
        jnp.where(has[..., None], image, ellipse),
    )


def box_moves(
    uniform: Float[Array, "B 5"], least: float
) -> tuple[Float[Array, "B 2"], Float[Array, "B 2"]]:
    """Random boxes that overlap the true box by an IoU uniform between `least` and 1.

    The four sides move in proportions uniform in [-1, 1], all by the one factor that gives the
    drawn IoU: a root of a quadratic equation, so nothing is drawn again and none falls short.

    Args:
      uniform: numbers uniform in [0, 1).
      least: smallest intersection over union, in (0, 1].

    Returns:
      Width and height, and movement of the center to the right and down, in shares of the true
      box's sides.
    """
    outward = 2 * uniform[:, :4].reshape(-1, 2, 2) - 1  # (B, axis, low or high side)
    iou = 1 - (1 - least) * uniform[:, 4]
    inward = jnp.maximum(-outward, 0).sum(-1)
    growth = outward.sum(-1)
    # Moved by s, the sides of the intersection are 1 - s inward and those of the box
    # 1 + s growth; (1 + IoU) |intersection| = IoU (1 + |box|) is a s^2 - b s + c = 0. IoU falls
    # from 1 on, so the first positive root is meant.
    a = (1 + iou) * inward.prod(-1) - iou * growth.prod(-1)
    b = (1 + iou) * inward.sum(-1) + iou * growth.sum(-1)
    c = 1 - iou
    root = jnp.sqrt(jnp.maximum(b * b - 4 * a * c, 0))
    moves = (2 * c / jnp.maximum(b + root, 1e-6))[:, None, None] * outward
    return 1 + moves.sum(-1), (moves[..., 1] - moves[..., 0]) / 2
