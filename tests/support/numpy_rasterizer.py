"""The renderer's oracle, a z-buffer in numpy: flat-shaded convex faces, supersampling.

The camera frame has x to the right, y up and z towards the viewer; the object's origin is the
frame's origin and the eye is at (0, 0, distance). Image coordinates are in pixels of the output
image, x to the right and y down; the center of the top left pixel is at (0.5, 0.5). Depth is
measured along the optical axis, from the eye.

The whole picture is drawn without a loop over faces: faces become rows (one per face and line of
the picture), rows become fragments (one per face and sample), and one unbuffered maximum over
inverse depth, which is affine in the image for a planar face, decides which fragment is seen.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose.synthetic.scene import Light, Mesh, View, project

__all__ = ["Light", "Mesh", "View", "project", "render", "stack"]


class _Faces(NamedTuple):
    """The faces that look at the eye, in samples of the supersampled picture."""

    x: Float[np.ndarray, "4 F"]
    y: Float[np.ndarray, "4 F"]
    plane: Float[np.ndarray, "3 F"]  # inverse depth at (x, y) is plane . (x, y, 1)
    colors: Float[np.ndarray, "F 3"]


def _centroids(corners: Float[np.ndarray, "3 4 F"], normal: Float[np.ndarray, "3 F"]):
    """Centroids (3, F) of faces, from the two triangles that the first diagonal cuts them into."""
    sides = corners[:, 1:] - corners[:, :1]
    first = (np.cross(sides[:, 0], sides[:, 1], axis=0) * normal).sum(axis=0)
    second = (np.cross(sides[:, 1], sides[:, 2], axis=0) * normal).sum(axis=0)
    share = first / (first + second)
    return corners[:, 0] + (sides[:, 1] + share * sides[:, 0] + (1 - share) * sides[:, 2]) / 3


def _received(light: Light, normal: Float[np.ndarray, "3 F"], place):
    """The light (F,) on faces at their places (3, F), which only lights at places need."""
    everywhere = light.ambient
    if light.gradient is not None:
        everywhere = everywhere * np.maximum(1 + light.gradient @ normal, 0)
    received = light.intensities @ np.maximum(light.directions @ normal, 0) + everywhere
    if light.positions is not None:
        towards = light.positions[:, :, None] - place
        cosine = np.maximum((towards * normal).sum(axis=1), 0)  # times the distance
        received += light.powers @ (cosine / ((towards**2).sum(axis=1) + 1e-12) ** 1.5)
    return received


def _front_faces(mesh: Mesh, view: View, light: Light, supersampling: int) -> _Faces:
    # Coordinates are the first axis of all arrays: numpy is slow where the last axis is short.
    camera = view.rotation.astype(np.float64) @ mesh.vertices.T.astype(np.float64)
    depth = view.distance - camera[2]
    if not depth.min() > 0:
        raise ValueError(f"the mesh reaches the eye: smallest depth {depth.min():.4g}")
    focal_x, focal_y = (float(f) * supersampling for f in np.broadcast_to(view.focal, 2))
    centre_x, centre_y = (float(c) * supersampling for c in view.center)
    corners = mesh.faces.T
    places = camera.take(corners, axis=1)
    x, y, z = places

    # The cross product of the diagonals is normal to a quadrilateral and to a triangle alike.
    ax, ay, az = x[2] - x[0], y[2] - y[0], z[2] - z[0]
    bx, by, bz = x[3] - x[1], y[3] - y[1], z[3] - z[1]
    normal = np.stack([ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx])
    normal /= np.sqrt((normal * normal).sum(axis=0)) + 1e-30
    # The eye's height above the face's plane; also the scale of that plane's inverse depth.
    height = normal[2] * view.distance - (normal * camera.take(corners[0], axis=1)).sum(axis=0)
    front = np.flatnonzero(height > 1e-6 * view.distance)

    normal = normal.take(front, axis=1)
    nx, ny, nz = normal / height[front]
    px, py = -nx / focal_x, ny / focal_y
    plane = np.stack([px, py, nz - px * centre_x - py * centre_y])
    points = light.positions is not None
    place = _centroids(places.take(front, axis=2), normal) if points else None
    received = _received(light, normal, place)
    colors = np.clip(mesh.colors.take(front, axis=0) * received[:, None], 0, 1)
    corners = corners.take(front, axis=1)
    image_x = (centre_x + (focal_x / depth) * camera[0]).take(corners)
    image_y = (centre_y - (focal_y / depth) * camera[1]).take(corners)
    return _Faces(image_x, image_y, plane, colors)


def _rows(faces: _Faces, width: int, height: int):
    """Splits faces into runs of samples: each one's face, line, first and last + 1 column."""
    first = np.clip(np.ceil(faces.y.min(axis=0) - 0.5), 0, height).astype(np.int64)
    last = np.clip(np.floor(faces.y.max(axis=0) - 0.5) + 1, 0, height).astype(np.int64)
    count = np.maximum(last - first, 0)
    face = np.repeat(np.arange(len(count)), count)
    line = np.arange(len(face)) + np.repeat(first - (np.cumsum(count) - count), count)

    # An edge bounds its lines at x = slope * y + offset, on the left if it runs down the picture
    # (faces are counter-clockwise, y is down), on the right if it runs up; level edges bound none.
    succ = [1, 2, 3, 0]
    rise = faces.y[succ] - faces.y
    slope = (faces.x[succ] - faces.x) / np.where(rise == 0, 1, rise)
    offset = faces.x - slope * faces.y
    crossing = slope.take(face, axis=1) * (line + 0.5) + offset.take(face, axis=1)
    left = np.where((rise > 0).take(face, axis=1), crossing, 0).max(axis=0)
    right = np.where((rise < 0).take(face, axis=1), crossing, width).min(axis=0)
    start = np.clip(np.ceil(left - 0.5), 0, width).astype(np.int64)
    stop = np.clip(np.floor(right - 0.5) + 1, 0, width).astype(np.int64)
    return face, line, start, stop


def _visible(faces: _Faces, width: int, height: int):
    """Resolves visibility: each covered sample, the face that is seen there, its inverse depth."""
    face, line, start, stop = _rows(faces, width, height)
    count = np.maximum(stop - start, 0)
    shift = start - (np.cumsum(count) - count)
    fragment = np.arange(count.sum())
    px, py, constant = faces.plane.take(face, axis=1)
    at_zero = px * (shift + 0.5) + py * (line + 0.5) + constant
    inverse_depth = np.repeat(px, count) * fragment + np.repeat(at_zero, count)
    sample = fragment + np.repeat(line * width + shift, count)

    nearest = np.zeros(height * width)
    np.maximum.at(nearest, sample, inverse_depth)
    seen = np.flatnonzero(inverse_depth == nearest.take(sample))
    index = np.full(height * width, -1, np.int32)
    index[sample.take(seen)] = np.repeat(face, count).take(seen)
    covered = np.flatnonzero(index >= 0)
    return covered, index.take(covered), nearest.take(covered)


def render(
    mesh: Mesh,
    view: View,
    light: Light,
    background: Float[np.ndarray, "S S 3"],
    *,
    supersampling: int = 2,
) -> tuple[Float[np.ndarray, "S S 3"], Float[np.ndarray, "S S"], Float[np.ndarray, "S S"]]:
    """Draws a mesh over a background.

    Args:
        mesh: what to draw, in its own unit; all of it must lie in front of the eye.
        view: the camera; its pixels are those of the background.
        light: in the camera frame.
        background: colors in [0, 1].
        supersampling: samples per pixel and axis.

    Returns:
        image: colors in [0, 1], float32.
        mask: the covered share of each pixel, in [0, 1], float32.
        depth: depth of the nearest sample in each pixel, float32; infinite where nothing is drawn.

    Raises:
        ValueError: if a vertex is level with the eye or behind it.
    """
    size = background.shape[0]
    samples = size * supersampling
    faces = _front_faces(mesh, view, light, supersampling)
    sample, face, inverse_depth = _visible(faces, samples, samples)
    line, column = np.divmod(sample, samples)
    pixel = line // supersampling * size + column // supersampling

    def averaged(values):
        total = np.bincount(pixel, values, minlength=size * size)
        return (total / supersampling**2).astype(np.float32).reshape(size, size)

    mask = averaged(None)
    image = (1 - mask[..., None]) * background.astype(np.float32)
    for channel, colors in enumerate(faces.colors.T):
        image[..., channel] += averaged(colors.take(face))
    nearest = np.zeros(size * size)
    np.maximum.at(nearest, pixel, inverse_depth)
    with np.errstate(divide="ignore"):
        depth = (1 / nearest).reshape(size, size).astype(np.float32)
    return image, mask, depth


def stack(items):
    """Views, or lights, of single pictures as one with a leading batch axis, float32."""
    leaves = (None if leaf[0] is None else np.stack(leaf) for leaf in zip(*items, strict=True))
    return type(items[0])(*(None if a is None else a.astype(np.float32) for a in leaves))
