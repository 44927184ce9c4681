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
_FAINT = 0.45  # opacity of a rotation that is only possible
_WHITE = (255, 255, 255)


def project_axes(
    rotation: Float[ArrayLike, "3 3"], center: tuple[float, float], length: float
) -> Float[np.ndarray, "3 2"]:
    """Pixels at which the front, left and up axes end.

    Args:
      rotation: object to camera, "camera" frame.
      center: pixel (x, y) of the object's origin.
      length: pixels of an axis that lies in the image plane.

    Returns:
      Pixels (x, y) of the ends of the front, left and up axes, in this order. An axis along the
      line of sight ends at `center`.
    """
    return _project(DIRECTIONS, rotation, center, length)


def enlarged(image: UInt8[np.ndarray, "height width 3"]) -> tuple[Image.Image, int]:
    """Enlarges a small picture, so that what is drawn into it is legible.

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
    faint: Float[ArrayLike, "3 3"] | None = None,
) -> UInt8[np.ndarray, "out_height out_width 3"]:
    """Draws the front (F, red), left (L, green) and up (U, blue) arrows over a picture.

    An arrow with a bright tip points to the viewer, one with a dark base at its head away.

    Args:
      image: RGB, 0 to 255; a small picture is first enlarged, see `enlarged`.
      rotation: predicted, object to camera, "camera" frame; None draws no arrows.
      box: x0, y0, x1, y1 in pixels of `image`, 0-based, x1 and y1 exclusive; drawn as a rectangle,
        and the arrows start at its center. None is the whole picture, without a rectangle.
      target_rotation: ground truth in the same frame, drawn as thin, pale, dashed lines that
        reach a little further.
      label: caption for the upper left corner, cut where it would leave the picture.
      faint: another rotation in the same frame, whose arrows are drawn translucent behind the
        others and without letters.

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
        corners = [(x0, y0), (x1, y0), (x1, y1), (x0, y1), (x0, y0)]
        _line(draw, corners, (0, 0, 0, 150), 2 * pen)
        _line(draw, corners, _WHITE, pen)
    if faint is not None:
        behind = Image.new("RGBA", overlay.size)
        _draw_arrows(ImageDraw.Draw(behind), np.asarray(faint, np.float64), center, length)
        behind.putalpha(behind.getchannel("A").point(lambda alpha: round(_FAINT * alpha)))
        overlay.alpha_composite(behind)
    if rotation is not None:
        _draw_arrows(draw, np.asarray(rotation, np.float64), center, length)
    if target_rotation is not None:
        _draw_target(draw, project_axes(target_rotation, center, 1.22 * length), center, length)
    if rotation is not None:
        _draw_letters(draw, project_axes(rotation, center, length), center, length, overlay.size)
    if label:
        _draw_label(draw, label, overlay.width, max(12 * finer, 0.04 * side))
    overlay = overlay.resize(canvas.size, Image.Resampling.BOX)
    return np.asarray(Image.alpha_composite(canvas.convert("RGBA"), overlay).convert("RGB"))


def _project(points, rotation, center, length):
    """Pixels (..., 2) of points (..., 3) in object coordinates."""
    in_camera = points @ np.asarray(rotation, np.float64).T
    return np.asarray(center, np.float64) + length * in_camera[..., :2] * [1.0, -1.0]


def _line(draw, points, color, width):
    draw.line([tuple(p) for p in points], fill=color, width=max(1, round(width)), joint="curve")


def _disc(draw, center, radius, color):
    draw.circle(tuple(center), radius, fill=color)


def _draw_arrows(draw, rotation, center, length):
    """Arrows with a cone as head and a white rim, the furthest first."""
    shaft, rim = 0.07 * length, 0.018 * length
    turn = np.linspace(0, 2 * np.pi, 33)[:, None]
    depth = (DIRECTIONS @ rotation.T)[:, 2]
    _disc(draw, center, shaft / 2 + rim, _WHITE)
    for i in np.argsort(depth):
        bottom = (1 - _HEAD) * DIRECTIONS[i]
        around = np.cos(turn) * DIRECTIONS[i - 1] + np.sin(turn) * DIRECTIONS[i - 2]
        corners = np.vstack([DIRECTIONS[i], bottom, bottom + _RADIUS * around])
        tip, neck, *base = _project(corners, rotation, center, length)
        head = [base, *([tip, *edge] for edge in zip(base, base[1:], strict=False))]
        for polygon in head:
            _line(draw, [*polygon, polygon[0]], _WHITE, 2 * rim)
        _line(draw, [center, neck], _WHITE, shaft + 2 * rim)
        if depth[i] >= 0:
            _line(draw, [center, neck], COLORS[i], shaft)
        for polygon in head:
            draw.polygon(np.ravel(polygon).tolist(), fill=COLORS[i])
        if depth[i] < 0:
            draw.polygon(np.ravel(base).tolist(), fill=_mixed(COLORS[i], 0.6, 0))
            _line(draw, [center, neck], COLORS[i], shaft)
        else:
            _disc(draw, tip, 1.5 * rim, _mixed(COLORS[i], 0.3, 255))
    _disc(draw, center, shaft / 2, _WHITE)


def _mixed(color, share, gray):
    return tuple(round(share * c + (1 - share) * gray) for c in color)


def _draw_target(draw, ends, center, length):
    """Pale dashed lines with dark edges and a dot at their ends."""
    width = 0.03 * length
    for end, color in zip(ends, COLORS, strict=True):
        num_dashes = max(1, round(np.linalg.norm(end - center) / (0.13 * length)))
        stops = np.linspace(center, end, num_dashes + 1)
        for edge, fill in ((width, (20, 20, 20)), (0.0, _mixed(color, 0.45, 255))):
            for begin, stop in zip(stops, stops[1:], strict=False):
                _line(draw, [0.6 * begin + 0.4 * stop, stop], fill, width + edge)
            _disc(draw, end, width * 1.2 + edge / 2, fill)


def _draw_letters(draw, ends, center, length, size):
    """A letter in a disc beyond the end of each arrow."""
    radius = max(0.11 * length, 0.026 * min(size))
    font = ImageFont.load_default(1.5 * radius)
    step = ends - center
    reach = np.linalg.norm(step, axis=1, keepdims=True)
    # An arrow along the line of sight has its letter at the lower right, clear of its head.
    along_sight = reach < 0.15 * length
    out = np.where(along_sight, math.sqrt(0.5), step / np.maximum(reach, 1e-9))
    places = ends + out * (1.25 * radius + 0.12 * length * along_sight)
    places += 1e-6 * np.arange(3)[:, None]
    for _ in range(20):  # two arrows that end together: push their letters apart
        gap = places[:, None] - places[None]
        distance = np.linalg.norm(gap, axis=-1, keepdims=True)
        push = np.maximum(0.0, 1.05 * radius - distance / 2) * gap / np.maximum(distance, 1e-9)
        places = np.clip(
            places + push.sum(1), radius, np.maximum(radius, np.subtract(size, radius))
        )
    for place, letter, color in zip(places, LETTERS, COLORS, strict=True):
        _disc(draw, place, radius, _WHITE)
        _disc(draw, place, 0.87 * radius, color)
        draw.text(tuple(place), letter, font=font, fill=_WHITE, anchor="mm")


def _draw_label(draw, label, room, height):
    """The label in white on black, cut to at most `room` pixels."""
    font = ImageFont.load_default(height)
    margin = 0.35 * height
    cuts = [label, *(f"{label[:end]}..." for end in range(len(label) - 1, -1, -1))]
    fitting = (text for text in cuts if draw.textlength(text, font=font) <= room - 2 * margin)
    text = next(fitting, cuts[-1])
    width = draw.textlength(text, font=font) + 2 * margin
    draw.rectangle((0, 0, width, 1.5 * height), fill=(0, 0, 0, 170))
    draw.text((margin, 0.75 * height), text, font=font, fill=_WHITE, anchor="lm")
