"""A 3D model drawn over the photograph of an object, in the pose that was predicted.

Rotations are object to camera in the "camera" frame: camera x right, y up, z towards the viewer;
image y runs down. The eye is 5 half diagonals of the model's box from its center and looks
straight at it; where the photographer stood is not known.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import ArrayLike, Float, Num, UInt8
from PIL import Image, ImageFilter

from catpose.data import photos
from catpose.synthetic import renderer, scene
from catpose.visualize import axes

LOOSE_FILL = 0.9  # of a picture without a box, as rendered examples are framed
_DISTANCE = 5.0
_LARGEST = 1024  # side in pixels of what is rendered; more is enlarged
_OPACITY = 0.5  # of the model; the outline is opaque
_RIM, _CASING = (255, 220, 0), (0, 0, 0)
_LIGHT = scene.Light(
    np.array([[-0.4, 0.6, 0.7]]) / np.linalg.norm([-0.4, 0.6, 0.7]), np.array([0.6]), 0.5
)


def draw_model(
    image: UInt8[np.ndarray, "height width 3"],
    rotation: Float[ArrayLike, "3 3"],
    mesh: scene.Mesh,
    box: Sequence[float | int] | Num[np.ndarray, "4"] | None = None,
) -> UInt8[np.ndarray, "out_height out_width 3"]:
    """Draws a model over a picture: translucent and shaded, with a crisp outline.

    Args:
      image: RGB, 0 to 255; a small picture is first enlarged, see `axes.enlarged`.
      rotation: object to camera, "camera" frame.
      mesh: in the object frame, its box centered on the origin and of half diagonal 1.
      box: x0, y0, x1, y1 around the object in pixels of `image`, 0-based, x1 and y1 exclusive; the
        model is stretched to fill it, see `placed`. None where it is not known: the model keeps
        its proportions and takes 0.9 of the picture's width or height.

    Returns:
      A new RGB picture of the (enlarged) size of `image`; pixels further from the box than the
      width of the outline keep their values.

    Raises:
      InputError: an invalid box, see `photos.check_box`.
    """
    canvas, enlarge = axes.enlarged(image)
    if box is None:
        rim = (1 - LOOSE_FILL) / 2
        bounds = np.array([rim, rim, 1 - rim, 1 - rim]) * np.tile(canvas.size, 2)
    else:
        edges = np.asarray(box, np.float64)
        photos.check_box(edges.tolist(), image.shape[1::-1])
        bounds = edges * enlarge
    pen = max(2, round(0.006 * min(canvas.size)))
    # What is rendered: a square around the box and its outline, at whole pixels.
    start = np.floor(bounds[:2]) - 2 * pen
    side = int((np.ceil(bounds[2:]) - start).max()) + 2 * pen
    scale = min(1.0, _LARGEST / side)
    drawn = _drawing(mesh, rotation, (bounds - np.tile(start, 2)) * scale, box is not None,
                     int(np.ceil(side * scale)), pen * scale)  # fmt: skip
    # Of it, what lies in the picture.
    first = np.maximum(start, 0)
    last = np.minimum(start + side, canvas.size)
    window = (np.concatenate([first, last]) - np.tile(start, 2)) * scale
    size = tuple(int(length) for length in last - first)
    drawn = drawn.resize(size, Image.Resampling.BILINEAR, box=tuple(window.tolist()))
    canvas = canvas.convert("RGBA")
    canvas.alpha_composite(drawn, tuple(int(edge) for edge in first))
    return np.asarray(canvas.convert("RGB"))


def placed(
    mesh: scene.Mesh,
    rotation: Float[ArrayLike, "3 3"],
    box: Sequence[float | int] | Num[np.ndarray, "4"],
    *,
    stretch: bool = True,
) -> tuple[scene.Mesh, scene.View]:
    """Turns a mesh and finds the camera whose picture of it fills a box.

    A box has the proportions of the object in the photo, not of the model, and a crop was squeezed
    to a square on its way into the network. So the picture of the model is stretched until its box
    is the given one: the outline fits although the model is another one of its category.

    Args:
      mesh: see `draw_model`.
      rotation: object to camera, "camera" frame.
      box: x0, y0, x1, y1 in pixels.
      stretch: False keeps the model's proportions, centered in the box as large as it can be.

    Returns:
      The mesh in camera coordinates, stretched along y, and the view to render it with.
    """
    turned = np.asarray(mesh.vertices, np.float64) @ np.asarray(rotation, np.float64).T
    view = scene.View(np.eye(3), _DISTANCE, 1.0, np.zeros(2))
    points = scene.project(turned, view)[0]
    low, high = points.min(axis=0), points.max(axis=0)
    start, stop = np.asarray(box, np.float64).reshape(2, 2)
    focal = (stop - start) / (high - low)
    if not stretch:
        focal[:] = focal.min()
    center = (start + stop) / 2 - focal * (low + high) / 2
    # Perspective commutes with a stretch square to the line of sight: no second focal length.
    turned *= [1.0, focal[1] / focal[0], 1.0]
    return mesh._replace(vertices=turned), view._replace(focal=float(focal[0]), center=center)


def _drawing(mesh, rotation, box, stretch, side, pen):
    """The model and its outline on nothing: RGBA, (side, side)."""
    mesh, view = placed(mesh, rotation, box, stretch=stretch)
    nothing = np.zeros((side, side, 3), np.float32)
    samples = 3 if side <= 500 else 2
    colors, mask = renderer.render_one(mesh, view, _LIGHT, nothing, supersampling=samples)
    colors /= np.maximum(mask, 1e-6)[..., None]
    shape = Image.fromarray(np.round(255 * mask).astype(np.uint8))
    wide = 2 * max(1, round(pen / 2)) + 1
    rim = shape.filter(ImageFilter.MaxFilter(wide))
    casing = rim.filter(ImageFilter.MaxFilter(3))
    drawn = Image.new("RGBA", (side, side), (*_CASING, 0))
    drawn.putalpha(casing)
    drawn.paste((*_RIM, 255), mask=rim)
    fill = Image.fromarray(np.round(255 * np.clip(colors, 0, 1)).astype(np.uint8)).convert("RGBA")
    fill.putalpha(round(255 * _OPACITY))
    drawn.paste(fill, mask=shape)
    return drawn
