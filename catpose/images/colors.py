"""Pixels of every kind as 8-bit RGB: gray of any depth, palettes, transparency, CMYK, Lab.

Color profiles are not applied.
"""

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Color = tuple[int, int, int]
# What transparent pixels lie over: the white of a page, as viewers show cut-out objects.
MATTE = (255, 255, 255)
_BITS, _PHOTOMETRIC = 258, 262  # tags of TIFF
_WHITE_IS_ZERO = 0


def rgb(image: Image.Image, matte: Color | None = MATTE) -> Image.Image:
    """An image in RGB; itself where it is so already.

    Gray of more than 8 bits is scaled to 8: 12 and 16 bits keep their upper 8. Whole numbers of 32
    bits and floats do not say how far they go, so they are taken to go to 1 (floats), 255 or 65535,
    the first of these that none exceeds.

    Args:
      image: of any mode.
      matte: what transparent pixels are laid over; None shows them as if they were not transparent.

    Raises:
      ValueError: gray below 0, above 65535, not finite, or floats that barely exceed 1.
    """
    result = image
    if image.mode[0] in "IF":
        result = Image.fromarray(_gray(image)).convert("RGB")
    elif image.has_transparency_data:
        layer = image if image.mode == "RGBA" else image.convert("RGBA")  # huge ones not twice
        result = layer.convert("RGB") if matte is None else Image.new("RGB", image.size, matte)
        if matte is not None:
            result.paste(layer, mask=layer)
    elif image.mode != "RGB":
        result = image.convert("RGB")
    if result is not image:  # EXIF data are in the info; transparency is used up
        result.info = {key: image.info[key] for key in image.info if key != "transparency"}
    return result


def _gray(image: Image.Image) -> UInt8[np.ndarray, "height width"]:
    values, tags = np.asarray(image), getattr(image, "tag_v2", {})
    if image.mode.startswith("I;16"):
        gray = (values >> (tags.get(_BITS, (16,))[0] - 8)).astype(np.uint8)
    else:
        gray = np.rint(values * (255 / _white(image, values))).astype(np.uint8)
    return 255 - gray if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO else gray


def _white(image: Image.Image, values: np.ndarray) -> int:
    """The value that is white."""
    low, high = float(values.min()), float(values.max())
    if not (0 <= low and high <= 65535):  # NaN neither
        raise ValueError(f"its gray values, {low:g} to {high:g}, are not within 0 and 65535")
    if image.format == "PPM" and image.mode == "I":  # PIL has scaled it
        return 65535
    if image.mode == "F" and 1 < high < 16:
        raise ValueError(f"its gray values go to {high:g}; floats go to 1, 255 or 65535")
    if image.mode == "I" and getattr(image, "tag_v2", {}).get(_BITS) == (16,):  # with a sign
        return 32767
    limits = (1, 255, 65535) if image.mode == "F" else (255, 65535)
    return next(limit for limit in limits if high <= limit)
