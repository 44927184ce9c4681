"""An object's axes drawn into its photograph.

Object frame: z up, front at -y, left side at +x. Rotations are object to camera in the "camera"
frame: camera x right, y up, z towards the viewer; image y runs down. The projection is weak
perspective: an axis of unit length ends at `center + length * (x, -y)`.
"""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import ArrayLike, Float, Num, UInt8
from PIL import Image, ImageDraw, ImageFont

LETTERS = ("F", "L", "U")
DIRECTIONS = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])  # front, left, up
COLORS = ((230, 60, 20), (0, 158, 115), (40, 110, 240))  # apart in hue and for the color-blind
MIN_SIDE = 160  # pictures with a shorter side are enlarged before anything is drawn,
MAX_ENLARGED = 640  # as long as the longer side stays within this
_HEAD = 0.27  # length and radius of an arrow's head, in arrow lengths
_RADIUS = 0.115
_LIGHT = np.array([-0.4, 0.6, 0.7]) / np.linalg.norm([-0.4, 0.6, 0.7])


def project_axes(
    rotation: Float[ArrayLike, "3 3"], center: tuple[float, float], length: float
) -> Float[np.ndarray, "3 2"]:
    """Return where the front, left and up axes end in the picture.

    Args:
      rotation: object to camera, "camera" frame.
      center: pixel (x, y) of the object's origin.
      length: pixels of an axis that lies in the image plane.

    Returns:
      Pixels (x, y) of the ends of the front, left and up axes, in this order. An axis along the
      line of sight ends at `center`.
    """
    ends = DIRECTIONS @ np.asarray(rotation, np.float64).T
    return np.asarray(center, np.float64) + length * ends[:, :2] * [1.0, -1.0]


def enlarged(image: UInt8[np.ndarray, "height width 3"]) -> tuple[Image.Image, int]:
    """Enlarge a small picture, so that what is drawn into it is legible.

    Args:
      image: RGB, 0 to 255.

    Returns:
      The picture, and the whole number by which it grew: the one that brings its shorter side to
      160 pixels or its longer side to 640, whichever is less. What was enlarged stays as it is.
    """
    shortest, longest = sorted(image.shape[:2])
    factor = max(1, min(math.ceil(MIN_SIDE / shortest), MAX_ENLARGED // longest))
    canvas = Image.fromarray(image)
    size = (canvas.width * factor, canvas.height * factor)
    return canvas.resize(size, Image.Resampling.BICUBIC), factor


def draw_axes(
    image: UInt8[np.ndarray, "height width 3"],
    rotation: Float[ArrayLike, "3 3"] | None,
    box: Sequence[float | int] | Num[np.ndarray, "4"] | None = None,
    target_rotation: Float[ArrayLike, "3 3"] | None = None,
    label: str | None = None,
) -> UInt8[np.ndarray, "out_height out_width 3"]:
    """Draw the front (F, red), left (L, green) and up (U, blue) arrows over a picture.

    A head that shows its cone points to the viewer, one that shows its flat base points away.

    Args:
      image: RGB, 0 to 255; a small picture is first enlarged, see `enlarged`.
      rotation: predicted, object to camera, "camera" frame; None draws no arrows.
      box: x0, y0, x1, y1 in pixels of `image`, 0-based, x1 and y1 exclusive; drawn as a rectangle,
        and the arrows start at its center. None is the whole picture, without a rectangle.
      target_rotation: ground truth in the same frame, drawn as thin, pale, dashed lines that
        reach a little further.
      label: caption for the upper left corner, cut where it would leave the picture.

    Returns:
      A new RGB picture of the (enlarged) size of `image`; pixels away from the drawing keep their
      values.
    """
    canvas, enlarge = enlarged(image)
    # Only the overlay is drawn finer and reduced, so that the photograph itself stays untouched.
    finer = 4 if max(canvas.size) <= 500 else 2 if max(canvas.size) <= 2000 else 1
    overlay = Image.new("RGBA", (canvas.width * finer, canvas.height * finer))
    draw = ImageDraw.Draw(overlay)
    whole = (0.0, 0.0, image.shape[1], image.shape[0])
    x0, y0, x1, y1 = (float(v) * enlarge * finer for v in (whole if box is None else box))
    center = ((x0 + x1) / 2, (y0 + y1) / 2)
    side = min(overlay.size)
    # The bounds keep the arrows inside the picture, and those of a far, small object readable.
    length = np.clip(0.42 * math.sqrt(abs((x1 - x0) * (y1 - y0))), 0.15 * side, 0.38 * side)
    if box is not None:
        pen = max(1.5 * finer, 0.004 * side)
        _line(draw, [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], (0, 0, 0, 150), 2 * pen)
        _line(draw, [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)], (255, 255, 255, 255), pen)
    if rotation is not None:
        _draw_arrows(draw, np.asarray(rotation, np.float64), center, length)
    if target_rotation is not None:
        _draw_target(draw, project_axes(target_rotation, center, 1.22 * length), center, length)
    if rotation is not None:
        _draw_letters(draw, project_axes(rotation, center, length), center, length, overlay.size)
    if label:
        _draw_label(draw, label, overlay.size, max(12 * finer, 0.04 * side))
    overlay = overlay.resize(canvas.size, Image.Resampling.BOX)
    return np.asarray(Image.alpha_composite(canvas.convert("RGBA"), overlay).convert("RGB"))


def _line(draw, points, color, width):
    draw.line([tuple(p) for p in points], fill=color, width=max(1, round(width)), joint="curve")


def _disc(draw, center, radius, color):
    x, y = center
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)


def _draw_arrows(draw, rotation, center, length):
    origin = np.array([*center, 0.0])
    axes = DIRECTIONS @ rotation.T
    shaft = 0.07 * length
    rim = 0.018 * length
    _disc(draw, center, shaft / 2 + rim, (255, 255, 255, 255))
    for index in np.argsort(axes[:, 2]):  # far arrows first
        color, axis = COLORS[index], axes[index]
        seed = np.eye(3)[np.argmin(np.abs(axis))]
        side = np.cross(axis, seed)
        side /= np.linalg.norm(side)
        turn = np.linspace(0.0, 2.0 * np.pi, 33)[:, None]
        rim_normal = np.cos(turn) * side + np.sin(turn) * np.cross(axis, side)
        to_image = np.array([length, -length, length])
        base = origin + to_image * ((1 - _HEAD) * axis + _RADIUS * rim_normal)
        tip = origin + to_image * axis
        neck = (origin + to_image * (1 - _HEAD) * axis)[:2]
        # The slant tilts a cone's normals from the rim's towards the tip.
        normal = (_HEAD * rim_normal + _RADIUS * axis) / math.hypot(_HEAD, _RADIUS)
        for polygon in (base[:, :2], *_triangles(base, tip)):
            _line(draw, [*polygon, polygon[0]], (255, 255, 255, 255), 2 * rim)
        _line(draw, [center, neck], (255, 255, 255, 255), shaft + 2 * rim)
        if axis[2] >= 0:
            _line(draw, [center, neck], color, shaft)
        for i, triangle in enumerate(_triangles(base, tip)):
            facing = (normal[i] + normal[i + 1]) / 2
            if facing[2] > 0:
                draw.polygon([tuple(p) for p in triangle], fill=_shade(color, facing))
        if axis[2] < 0:
            draw.polygon([tuple(p) for p in base[:, :2]], fill=_shade(color, -axis))
            _line(draw, [center, neck], color, shaft)
    _disc(draw, center, shaft / 2, (255, 255, 255, 255))


def _triangles(base, tip):
    return [(tip[:2], a[:2], b[:2]) for a, b in zip(base[:-1], base[1:], strict=True)]


def _shade(color, normal):
    light = 0.62 + 0.5 * max(0.0, float(normal @ _LIGHT))
    return tuple(min(255, round(light * c)) for c in color)


def _draw_target(draw, ends, center, length):
    width = 0.03 * length
    for end, color in zip(ends, COLORS, strict=True):
        pale = tuple(round(0.45 * c + 0.55 * 255) for c in color)
        step = end - center
        num_dashes = max(1, round(np.linalg.norm(step) / (0.13 * length)))
        for casing, fill in ((0.03 * length, (20, 20, 20, 255)), (0.0, pale)):
            for dash in range(num_dashes):
                start = np.asarray(center) + step * (dash + 0.4) / num_dashes
                stop = np.asarray(center) + step * (dash + 1.0) / num_dashes
                _line(draw, [start, stop], fill, width + casing)
            _disc(draw, end, width * 1.2 + casing / 2, fill)


def _draw_letters(draw, ends, center, length, size):
    radius = max(0.11 * length, 0.026 * min(size))
    font = ImageFont.load_default(1.5 * radius)
    step = ends - center
    reach = np.linalg.norm(step, axis=1, keepdims=True)
    # An arrow along the line of sight carries its letter to the lower right, clear of its head.
    along_sight = reach < 0.15 * length
    out = np.where(along_sight, math.sqrt(0.5), step / np.maximum(reach, 1e-9))
    places = ends + out * (1.25 * radius + 0.12 * length * along_sight)
    for _ in range(20):  # two arrows that end together: push their letters apart
        for i, j in ((0, 1), (0, 2), (1, 2)):
            gap = places[i] - places[j] + [1e-6, 0.0]
            distance = np.linalg.norm(gap)
            push = max(0.0, 1.05 * radius - distance / 2) * gap / distance
            places[i] += push
            places[j] -= push
        places = np.clip(places, radius, np.maximum(radius, np.array(size) - radius))
    for place, letter, color in zip(places, LETTERS, COLORS, strict=True):
        _disc(draw, place, radius, (255, 255, 255, 255))
        _disc(draw, place, 0.87 * radius, color)
        draw.text(tuple(place), letter, font=font, fill=(255, 255, 255, 255), anchor="mm")


def _draw_label(draw, label, size, height):
    font = ImageFont.load_default(height)
    margin = 0.35 * height
    room = size[0] - 2 * margin
    if draw.textlength(label, font=font) > room:
        while label and draw.textlength(label + "...", font=font) > room:
            label = label[:-1]
        label += "..."
    width = draw.textlength(label, font=font) + 2 * margin
    draw.rectangle((0, 0, width, 1.5 * height), fill=(0, 0, 0, 170))
    draw.text((margin, 0.75 * height), label, font=font, fill=(255, 255, 255, 255), anchor="lm")
