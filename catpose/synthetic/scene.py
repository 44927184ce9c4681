"""What a picture is made of: meshes, cameras and lights.

The camera frame has x to the right, y up and z towards the viewer; the object's origin is the
frame's origin and the eye is at (0, 0, distance). Image coordinates are in pixels of the output
image, x to the right and y down; the center of the top left pixel is at (0.5, 0.5). Depth is
measured along the optical axis, from the eye.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int


class Mesh(NamedTuple):
    """Planar convex faces, counter-clockwise from outside; those seen from behind are not drawn.

    Attributes:
        vertices: positions in the object frame (front at -y, left at +x, z up).
        faces: four vertex indices per face; a triangle repeats one of its vertices.
        colors: color of each face, in [0, 1].
    """

    vertices: Float[np.ndarray, "V 3"]
    faces: Int[np.ndarray, "F 4"]
    colors: Float[np.ndarray, "F 3"]


class View(NamedTuple):
    """A perspective camera.

    Attributes:
        rotation: object to camera, frame "camera".
        distance: from the eye to the object's origin, in the mesh's unit.
        focal: focal length in pixels of the output image; two where a picture is squeezed, along
            x and along y.
        center: where the optical axis, and so the object's origin, meets the image: (x, y).
    """

    rotation: Float[np.ndarray, "3 3"]
    distance: float
    focal: float | Float[np.ndarray, "2"]
    center: Float[np.ndarray, "2"]


class Light(NamedTuple):
    """Lights at infinity, lights at places and light from everywhere; a face casts no shadow.

    Attributes:
        directions: towards each light at infinity, unit vectors in the camera frame.
        intensities: of each; a face square to one light of intensity 1 shows its own color.
        ambient: what reaches a face from everywhere.
        positions: of lights at places, in the camera frame and the mesh's unit; the object's origin
            is the frame's origin.
        powers: of each of those: what a face square to it receives at distance 1; at distance d it
            is a d^2-th of that. A flat face is lit as at its centroid.
        gradient: of the light from everywhere, in the camera frame: a face whose unit normal is n
            receives ambient * max(1 + gradient . n, 0). A sky brighter than the ground points up.
    """

    directions: Float[np.ndarray, "L 3"]
    intensities: Float[np.ndarray, "L"]
    ambient: float
    positions: Float[np.ndarray, "M 3"] | None = None
    powers: Float[np.ndarray, "M"] | None = None
    gradient: Float[np.ndarray, "3"] | None = None


def project(
    points: Float[np.ndarray, "P 3"], view: View
) -> tuple[Float[np.ndarray, "P 2"], Float[np.ndarray, "P"]]:
    """Projects points of the object frame.

    Returns:
        Image coordinates in pixels, and depths in the mesh's unit (positive in front of the eye).
    """
    camera = points @ view.rotation.T
    depth = view.distance - camera[..., 2]
    focal_x, focal_y = np.broadcast_to(view.focal, 2)
    x = view.center[0] + camera[..., 0] * (focal_x / depth)
    y = view.center[1] - camera[..., 1] * (focal_y / depth)
    return np.stack([x, y], axis=-1), depth
