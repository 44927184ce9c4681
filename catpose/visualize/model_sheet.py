"""A model from four sides with its axes, so that a wrong `up` or `front` is seen at once."""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw

from catpose.geometry import viewpoint
from catpose.synthetic import renderer, scene
from catpose.visualize import axes

# Camera views: name, azimuth and elevation in degrees, and what a right model shows there.
_VIEWS = (
    ("front", 0, 0, "its front\nlooks at you"),
    ("left side", 90, 0, "its front is\non the left"),
    ("rear", 180, 0, "its front\nlooks away"),
    ("from above", 30, 35, "its front is\nbelow, left"),
)
_DISTANCE = 5.0
_BEHIND = 0.93
_STRIP = 128  # pixels below each picture for its axes and words


def sheet(mesh: scene.Mesh, *, size: int = 224) -> UInt8[np.ndarray, "height width 3"]:
    """Draws a model from the front, the left, the rear, and from above in front of its left side.

    All pictures are in one scale, with the object's origin in the middle. Below each one are its
    name, the object's axes (F front, L left side, U up) and what must be seen there if the model
    is turned as it should be.

    Args:
        mesh: in the object frame, box centered on the origin and of half diagonal 1.
        size: side of each picture in pixels, at least 224.

    Returns:
        An RGB picture, (size + 128) x (4 size).
    """
    turns = [
        np.asarray(viewpoint.rotation_from_angles(*np.radians([azimuth, elevation, 0.0])))
        for _, azimuth, elevation, _ in _VIEWS
    ]
    middle = np.full(2, size / 2)
    reach = max(
        np.abs(scene.project(mesh.vertices, scene.View(r, _DISTANCE, 1.0, np.zeros(2)))[0]).max()
        for r in turns
    )
    focal = float(0.47 * size / reach)
    key = np.array([-0.35, 0.7, 0.62])
    light = scene.Light(key[None] / np.linalg.norm(key), np.array([0.6]), 0.45)
    behind = np.full((size, size, 3), _BEHIND, np.float32)
    cells = []
    for described, rotation in zip(_VIEWS, turns, strict=True):
        view = scene.View(rotation, _DISTANCE, focal, middle)
        image, _ = renderer.render_one(mesh, view, light, behind, supersampling=3)
        cells.append(_cell(image, rotation, *described))
    return np.concatenate(cells, axis=1)


def _cell(
    image: Float[np.ndarray, "S S 3"],
    rotation: Float[np.ndarray, "3 3"],
    name: str,
    azimuth: int,
    elevation: int,
    hint: str,
) -> np.ndarray:
    size = len(image)
    cell = Image.new("RGB", (size, size + _STRIP), "white")
    cell.paste(Image.fromarray((np.clip(image, 0, 1) * 255 + 0.5).astype(np.uint8)), (0, 0))
    blank = np.full((_STRIP + 32, _STRIP + 32, 3), 255, np.uint8)
    arrows = Image.fromarray(axes.draw_axes(blank, rotation))
    cell.paste(arrows.resize((_STRIP, _STRIP), Image.Resampling.LANCZOS), (0, size))
    draw = ImageDraw.Draw(cell)
    angles = f"azimuth {azimuth:g}\nelevation {elevation:g}"
    draw.text((_STRIP, size + 10), name, "black", font_size=14)
    draw.text((_STRIP, size + 32), angles, "gray", font_size=12)
    draw.text((_STRIP, size + 76), hint, "black", font_size=12)
    draw.rectangle((0, 0, size - 1, size + _STRIP - 1), outline=(210, 210, 210))
    return np.asarray(cell)
