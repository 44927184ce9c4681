"""Photos on their way to a browser."""

import io

from PIL import Image

from catpose.images import decode
from catpose.pages import server

LONGEST = 1600  # side in pixels of what a page shows


def preview(picture: decode.Picture, longest: int = LONGEST) -> bytes:
    """A photo as a JPEG whose longer side has at most `longest` pixels."""
    image, file = picture.image.copy(), io.BytesIO()
    image.thumbnail((longest, longest), Image.Resampling.BILINEAR, reducing_gap=2.0)
    image.save(file, "JPEG", quality=88)
    return file.getvalue()


def reply(picture: decode.Picture) -> server.Reply:
    """A photo's preview, with the size of its file in pixels, which boxes refer to."""
    width, height = picture.size
    size = {"X-Width": str(width), "X-Height": str(height)}
    return server.Reply(preview(picture), "image/jpeg", headers=size)
