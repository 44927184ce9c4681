"""From an annotated object in a photograph to the small picture of it that is stored.

Stored is the box with `MARGIN` of it on each side, cut at the photograph's edge and reduced so
that its longer side has `LONGEST` pixels at most. The margin is what training reaches for beyond
the box: 16 pixels of context at 224 are 7 % of it, a context factor of 1.5 is 25 %, a box shifted
to an overlap of 0.7 is 18 %. With all of the margin a large box keeps 213 pixels, hardly less than
the 224 of the network.

Coordinates are pixels, 0-based, x1 and y1 exclusive; the EXIF orientation of a photograph is not
applied, as MATLAB, in which the boxes were drawn, does not.
"""

import io
import math
import pathlib
from typing import NamedTuple

from PIL import Image

from catpose.data import photos
from catpose.data.pascal3d.annotations import AnnotatedObject
from catpose.data.photos import Box
from catpose.images import decode, files

MARGIN = 0.25
LONGEST = 320
QUALITY = 92
# Boxes drawn on a copy of other size, as Spherical_Regression found and redrew them by hand.
REDRAWN = {
    "n02691156_39039": (92.0, 85.0, 402.0, 264.0),
    "n03335030_14098": (56.0, 50.0, 499.0, 255.0),
}
# A box that ends this far beyond the image, in images, was not drawn on it.
FAR = 1.25

Point = tuple[float, float]


class Placed(NamedTuple):
    """An object's box and camera in pixels of the photograph.

    Attributes:
      box: clipped to the photograph.
      center: where the object's center is seen; NaN where unknown.
      focal: focal lengths along x and y; NaN where unknown. Equal, but where a box had to be
        brought to the photograph's size.
      quirks: names of the oddities, explained in `catpose.data.pascal3d.build_report`.
    """

    box: Box
    center: Point
    focal: Point
    quirks: tuple[str, ...]


class Crop(NamedTuple):
    """What is stored of a photograph.

    Attributes:
      jpeg: the encoded picture.
      box: the object's box in it.
    """

    jpeg: bytes
    box: Box


def load(path: pathlib.Path) -> tuple[Image.Image, tuple[str, ...]]:
    """A photograph in RGB as its annotators saw it, and its oddities.

    Raises:
      InputError: it is missing, truncated or no image.
    """
    data = files.read_bytes(path)
    with decode.named(path):
        opened = decode.identify(data)
        is_gray = opened.mode in ("1", "L", "I", "F") or opened.mode.startswith("I;16")
        quirks = () if opened.mode == "RGB" else ("grayscale" if is_gray else "other_colors",)
        if decode.is_turned(opened):
            quirks += ("exif_turned",)
        return decode.load(opened, data), quirks


def place(
    item: AnnotatedObject, image_id: str, stated: tuple[int, int], size: tuple[int, int]
) -> Placed | None:
    """Brings an object's box and camera to its photograph.

    Args:
      item: the object; it has a box.
      image_id: the photograph's.
      stated: width and height as the record has them, 0 where it has none.
      size: width and height of the photograph.

    Returns:
      None where nothing of the box lies in the photograph.
    """
    box, quirk = item.box, ""
    target = box
    if box[2] > FAR * size[0] or box[3] > FAR * size[1]:
        if image_id in REDRAWN:
            target = REDRAWN[image_id]
        elif stated not in (size, (0, 0)) and box[2] <= stated[0] + 1 and box[3] <= stated[1] + 1:
            sx, sy = size[0] / stated[0], size[1] / stated[1]
            target = (sx * box[0], sy * box[1], sx * box[2], sy * box[3])
        quirk = "box_far_outside" if target == box else "other_scale"
    clipped = photos.clip(target, size)
    if clipped[2] - clipped[0] < 1 or clipped[3] - clipped[1] < 1:
        return None
    if clipped != target and not quirk:
        quirk = "box_outside"
    # The map that takes the annotated box to `target` takes the camera along.
    sx = (target[2] - target[0]) / (box[2] - box[0])
    sy = (target[3] - target[1]) / (box[3] - box[1])
    center = item.center
    if box != target:
        x, y = center
        center = target[0] + sx * (x - box[0]), target[1] + sy * (y - box[1])
    return Placed(clipped, center, (sx * item.focal, sy * item.focal), (quirk,) if quirk else ())


def cut(image: Image.Image, box: Box) -> Crop | None:
    """The picture to store; None where the box would have less than a pixel in it.

    Args:
      image: the photograph, RGB.
      box: within it, at least a pixel wide and high.
    """
    width, height = box[2] - box[0], box[3] - box[1]
    left = max(0, math.floor(box[0] - MARGIN * width))
    top = max(0, math.floor(box[1] - MARGIN * height))
    right = min(image.width, math.ceil(box[2] + MARGIN * width))
    bottom = min(image.height, math.ceil(box[3] + MARGIN * height))
    region = image.crop((left, top, right, bottom))
    factor = min(1.0, LONGEST / max(region.size))
    if factor < 1:
        size = tuple(max(1, round(factor * side)) for side in region.size)
        region = region.resize(size, Image.Resampling.LANCZOS)
    # A side is a whole number of pixels, so the two scales differ a little.
    sx, sy = region.width / (right - left), region.height / (bottom - top)
    if min(sx * width, sy * height) < 1:
        return None
    file = io.BytesIO()
    # Colors at full resolution: photographs have theirs halved on another grid already.
    region.save(file, "JPEG", quality=QUALITY, subsampling=0)
    return Crop(
        file.getvalue(),
        (sx * (box[0] - left), sy * (box[1] - top), sx * (box[2] - left), sy * (box[3] - top)),
    )
