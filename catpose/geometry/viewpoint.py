"""Viewpoint angles and the frames that rotations of objects are written in.

Angles are in radians: azimuth and elevation of the camera as seen from the object, theta the
in-plane angle (positive turns the object counter-clockwise in the picture). The camera center is
d [cos e sin a, -cos e cos a, sin e] in the object's frame. Camera axes: x right, y up, z towards
the viewer. With Rx, Rz the right-handed rotations about x and z, the frames are

    "camera"   Rz(theta) Rx(elevation - 90 deg) Rz(-azimuth)   the rotation of PASCAL3D+
    "upright"  Rx(90 deg) R_camera                             the frontal view is the identity
    "paper"    Rz(theta) Rx(elevation) Rz(azimuth)             the formula of the authors' code

"camera" and "upright" differ by a fixed rotation, so geodesic errors in them are equal. "paper"
is not isometric to them: its errors differ. Nor is it a change of basis: it knows a
viewpoint only up to (azimuth + pi, -elevation, theta + pi), and angles with elevation in
[-pi/2, pi/2] reach only half of its rotations. Angles out of "paper" therefore have theta in
[-pi/2, pi/2] and elevation in [-pi, pi].
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3

FRAMES = ("camera", "upright", "paper")


def _check_frame(frame):
    if frame not in FRAMES:
        raise ValueError(f"frame must be one of {', '.join(FRAMES)}; got {frame!r}")


def _matrix(rows):
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


def _upright_from_camera(rotation):
    x, y, z = rotation[..., 0, :], rotation[..., 1, :], rotation[..., 2, :]
    return jnp.stack([x, -z, y], axis=-2)


def _camera_from_upright(rotation):
    x, y, z = rotation[..., 0, :], rotation[..., 1, :], rotation[..., 2, :]
    return jnp.stack([x, z, -y], axis=-2)


def _zxz(alpha, cos_beta, sin_beta, gamma):
    """Rz(alpha) Rx(beta) Rz(gamma)."""
    ca, sa, cg, sg = jnp.cos(alpha), jnp.sin(alpha), jnp.cos(gamma), jnp.sin(gamma)
    cb, sb = cos_beta, sin_beta
    return _matrix(
        [
            [ca * cg - sa * cb * sg, -ca * sg - sa * cb * cg, sa * sb],
            [sa * cg + ca * cb * sg, -sa * sg + ca * cb * cg, -ca * sb],
            [sb * sg, sb * cg, cb],
        ]
    )


@functools.partial(jax.jit, static_argnames="frame")
def rotation_from_angles(
    azimuth: Float[Array, "*#batch"],
    elevation: Float[Array, "*#batch"],
    theta: Float[Array, "*#batch"],
    frame: str = "camera",
) -> Float[Array, "*#batch 3 3"]:
    """Rotation of an object seen from a viewpoint.

    Args:
      azimuth: radians, any value.
      elevation: radians, any value.
      theta: radians, any value.
      frame: "camera", "upright" or "paper".

    Returns:
      Rotation matrices in that frame.

    Raises:
      ValueError: for an unknown frame.
    """
    _check_frame(frame)
    a, e, t = jnp.broadcast_arrays(*so3.at_least_float32(azimuth, elevation, theta))
    if frame == "paper":
        return _zxz(t, jnp.cos(e), jnp.sin(e), a)
    # cos(e - 90 deg) = sin e and sin(e - 90 deg) = -cos e: no rounded pi/2 is subtracted.
    rotation = _zxz(t, jnp.sin(e), -jnp.cos(e), -a)
    return _upright_from_camera(rotation) if frame == "upright" else rotation


@functools.partial(jax.jit, static_argnames="frame")
def angles_from_rotation(
    rotation: Float[Array, "*batch 3 3"], frame: str = "camera"
) -> tuple[Float[Array, "*batch"], Float[Array, "*batch"], Float[Array, "*batch"]]:
    """Viewpoint of an object, the inverse of `rotation_from_angles`.

    The angles always give back the rotation. They are for reading, not for differentiating: at
    the singular points azimuth and theta jump.

    Args:
      rotation: rotation matrices.
      frame: the frame they are in, "camera", "upright" or "paper".

    Returns:
      azimuth in [0, 2 pi), elevation in [-pi/2, pi/2] and theta in (-pi, pi], radians. Where only
      the sum or difference of azimuth and theta is determined (elevation +-pi/2), theta is 0.
      For "paper" the ranges are those of the module's docstring, and theta is 0 where elevation
      is 0 or +-pi.

    Raises:
      ValueError: for an unknown frame.
    """
    _check_frame(frame)
    (rotation,) = so3.at_least_float32(rotation)
    if frame == "upright":
        rotation = _camera_from_upright(rotation)
    r = [[rotation[..., i, j] for j in range(3)] for i in range(3)]
    # The last row is (s sin g, s cos g, c) with g the first rotation about z and (c, s) the cosine
    # and sine of the rotation about x. In "camera" s = -cos(elevation) is never positive. In
    # "paper" both signs give the same rotation; theta within +-90 deg decides.
    if frame == "paper":
        sign = jnp.where(r[1][2] == 0, jnp.sign(r[0][2]), -jnp.sign(r[1][2]))
        sign = jnp.where(sign == 0, 1, sign).astype(rotation.dtype)
    else:
        sign = jnp.full_like(r[0][0], -1)
    size = jnp.hypot(r[2][0], r[2][1])
    # Below this s is rounding noise: only g + theta or g - theta is known, and theta is set to 0.
    singular = size < 8 * jnp.finfo(rotation.dtype).eps
    g = jnp.where(
        singular,
        jnp.arctan2(-r[0][1], r[0][0]),
        jnp.arctan2(sign * r[2][0], sign * r[2][1]),
    )
    # Given g, theta is read from R Rz(-g) = Rz(theta) Rx(.), whose first column has length 1:
    # unlike the last column of R it determines theta however near the singularity is.
    cos_g, sin_g = jnp.cos(g), jnp.sin(g)
    theta = jnp.arctan2(
        r[1][0] * cos_g - r[1][1] * sin_g,
        r[0][0] * cos_g - r[0][1] * sin_g,
    )
    theta = jnp.where(singular, 0, theta)
    pi = jnp.asarray(jnp.pi, rotation.dtype)
    theta = jnp.where(theta <= -pi, pi, theta)
    if frame == "paper":
        azimuth, elevation = g, jnp.arctan2(sign * size, r[2][2])
    else:
        azimuth, elevation = -g, jnp.arctan2(r[2][2], size)
    azimuth = jnp.where(azimuth < 0, azimuth + 2 * pi, azimuth)
    # A tiny negative azimuth has rounded up to 2 pi; minus zero becomes zero.
    azimuth = jnp.where((azimuth >= 2 * pi) | (azimuth == 0), 0, azimuth)
    return azimuth, elevation, theta


@functools.partial(jax.jit, static_argnames=("source", "target"))
def convert_frame(
    rotation: Float[Array, "*batch 3 3"], source: str, target: str
) -> Float[Array, "*batch 3 3"]:
    """The same viewpoint written in another frame.

    Between "camera" and "upright" this is exact and an isometry. To and from "paper" it goes
    through the angles. From "paper" the viewpoint with theta within +-90 deg is taken, so there
    and back is the identity only for such viewpoints; at elevation 0 "paper" has lost theta.

    Args:
      rotation: rotation matrices in the frame `source`.
      source: "camera", "upright" or "paper".
      target: "camera", "upright" or "paper".

    Returns:
      Rotation matrices in the frame `target`.

    Raises:
      ValueError: for an unknown frame.
    """
    _check_frame(source)
    _check_frame(target)
    (rotation,) = so3.at_least_float32(rotation)
    if source == target:
        return rotation
    if (source, target) == ("camera", "upright"):
        return _upright_from_camera(rotation)
    if (source, target) == ("upright", "camera"):
        return _camera_from_upright(rotation)
    return rotation_from_angles(*angles_from_rotation(rotation, source), frame=target)


@jax.jit
def mirror(rotation: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """Rotation of the object in the left-right mirrored picture, M R M with M = diag(-1, 1, 1).

    It takes the viewpoint to (-azimuth, elevation, -theta), in all three frames.

    Args:
      rotation: rotation matrices in any of the frames.

    Returns:
      Rotation matrices in the same frame.
    """
    signs = np.array([[1, -1, -1], [-1, 1, 1], [-1, 1, 1]])
    (rotation,) = so3.at_least_float32(rotation)
    return rotation * jnp.broadcast_to(signs.astype(rotation.dtype), rotation.shape)
