"""Many small pictures in one, to look at a dataset before anyone trains on it."""

import pathlib
from collections.abc import Sequence

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from catpose import outputs
from catpose.data import file_names, photos, tables
from catpose.data.render_for_cnn import read

_GAP = 2  # white pixels between pictures


def sheet(
    images: Sequence[UInt8[np.ndarray, "S S 3"]], *, columns: int
) -> UInt8[np.ndarray, "height width 3"]:
    """Pictures of one size in rows; the last row may be short.

    Args:
      images: RGB, at least one.
      columns: pictures in a row.
    """
    step = images[0].shape[0] + _GAP
    columns = min(columns, len(images))
    rows = -(-len(images) // columns)
    whole = Image.new("RGB", (columns * step - _GAP, rows * step - _GAP), "white")
    for i, image in enumerate(images):
        whole.paste(Image.fromarray(image), (i % columns * step, i // columns * step))
    return np.asarray(whole)


def of_manifest(
    folder: str | pathlib.Path, *, columns: int = 6, rows: int = 2
) -> list[pathlib.Path]:
    """Draws a sheet of each category of a folder that `launch.render` has written.

    Args:
      folder: with manifest.csv.
      columns: pictures in a row.
      rows: of pictures.

    Returns:
      The files, `contact_<category>.jpg` in the folder.
    """
    folder = pathlib.Path(folder)
    files: dict[str, list[str]] = {}
    for row in tables.read(folder / "manifest.csv", required=("category", "file")).rows:
        path = file_names.below(folder, tables.string(row, "file"), row.where)
        files.setdefault(tables.string(row, "category"), []).append(path)
    paths = []
    for category, own in files.items():
        pictures = [np.asarray(photos.open_image(path)) for path in own[: rows * columns]]
        paths.append(folder / f"{read.SHEET}{category.replace('/', '-')}.jpg")
        picture = Image.fromarray(sheet(pictures, columns=columns))
        paths[-1].unlink(missing_ok=True)  # the folder is catpose's own
        outputs.save_picture(picture, paths[-1], quality=88)
    return paths
