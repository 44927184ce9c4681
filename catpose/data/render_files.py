"""Writes drawn images to a folder, named and laid out as those of Render for CNN.

    <synset>/<model>/<synset>_<model>_a%03d_e%03d_t%03d_d%03d.jpg

Names have whole degrees; `manifest.csv` has the exact poses, so the folder can be read both as
rendered images and as a dataset of its own. `rendered.json` says that tilts are written as they are
("fresh"). A picture is a function of the seed, its category and its number: a folder that was left
half full is filled up with what it would have had.
"""

import csv
import functools
import json
import os
import pathlib
from collections.abc import Sequence

import jax
import numpy as np
from PIL import Image
from tqdm import tqdm

from catpose.data import drawn, rendered
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint
from catpose.render import engine

COLUMNS = ("file", "category", "split", "qw", "qx", "qy", "qz", "number")
SPLIT = "train"
_QUALITY = 92
_ROUND = 4  # pictures of each category that are drawn together
_MANIFEST = "manifest.csv"


def write(
    made: drawn.Engine,
    categories: Sequence[str],
    folder: str | pathlib.Path,
    *,
    per_category: int,
    size: int,
    context: float,
    seed: int,
    progress: bool = True,
) -> int:
    """Draws images into a folder, or the rest of them.

    Two pictures of a model whose poses round to the same whole degrees would have one name; the
    second is left out.

    Args:
      made: what to draw.
      categories: their names.
      folder: made where it does not exist.
      per_category: images of each category.
      size: width and height of the images in pixels.
      context: side of an image over that of the object's box.
      seed: of the pictures.
      progress: show a bar on a terminal.

    Returns:
      How many images the folder has.

    Raises:
      InputError: the folder cannot be written, or holds images of other settings.
    """
    folder = pathlib.Path(folder).expanduser()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"engine": made.key, "size": size, "context": context, "seed": seed}
        _describe(folder, categories, settings)
        rows = _finished(folder / _MANIFEST)
        first = 1 + max((int(row["number"]) for row in rows), default=-1)
        draw_fn = _drawer(made, size, context)
        assets = jax.device_put(made.assets)
        names = {row["file"] for row in rows}
        with (
            (folder / _MANIFEST).open("a", newline="") as file,
            tqdm(
                total=per_category * len(categories),
                initial=first * len(categories),
                desc="render",
                unit="img",
                disable=not progress or None,
            ) as bar,
        ):
            table = csv.DictWriter(file, COLUMNS)
            if not file.tell():
                table.writeheader()
            for start in range(first, per_category, _ROUND):
                some = range(start, min(start + _ROUND, per_category))
                rows = []
                for row, image in _round(draw_fn, assets, made, categories, seed, some):
                    if row["file"] not in names:
                        names.add(row["file"])
                        path = folder / row["file"]
                        path.parent.mkdir(parents=True, exist_ok=True)
                        Image.fromarray(image).save(path, quality=_QUALITY)
                        rows.append(row)
                table.writerows(rows)
                file.flush()
                os.fsync(file.fileno())
                bar.update(len(some) * len(categories))
    except OSError as error:
        raise InputError(
            f"cannot write to {error.filename or folder}: {error.strerror or error}"
        ) from error
    return len(names)


def _describe(folder: pathlib.Path, categories: Sequence[str], settings: dict) -> None:
    path = folder / rendered.DESCRIPTION
    said = {"tilt": "fresh", "synsets": {_synset(name): name for name in categories}}
    said |= {"made_by": "catpose", "settings": settings}
    if path.exists():
        before = json.loads(path.read_text())
        for key, value in said.items():
            if before.get(key) != value:
                raise InputError(
                    f"{folder} holds images of other {key}; give another folder, or empty it"
                )
    path.write_text(json.dumps(said, indent=2) + "\n")


def _finished(manifest: pathlib.Path) -> list[dict[str, str]]:
    """The manifest's rows, less those of its last round, which may not be whole: it is repeated."""
    if not manifest.exists():
        return []
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["number"] or "").isdigit()]
    last = max((int(row["number"]) for row in rows), default=0) // _ROUND * _ROUND
    rows = [row for row in rows if int(row["number"]) < last]
    partial = manifest.with_suffix(".partial")
    with partial.open("w", newline="") as file:
        table = csv.DictWriter(file, COLUMNS)
        table.writeheader()
        table.writerows(rows)
    partial.replace(manifest)
    return rows


def _drawer(made: drawn.Engine, size: int, context: float):
    """(seed, numbers (B,), index (B,), category (B,), assets) -> pictures, compiled."""

    @functools.partial(jax.jit, static_argnames="seed")
    def draw(seed, number, index, category, assets) -> engine.Drawn:
        key = jax.random.key(seed)
        fold = jax.vmap(jax.random.fold_in)
        keys = fold(jax.vmap(lambda k: jax.random.fold_in(key, k))(category), number)
        return drawn.draw(
            keys, index, category, assets, size=size, context=context, **drawn.arguments(made)
        )

    return draw


def _round(draw_fn, assets, made, categories, seed, numbers):
    """Rows and images of some numbers of every category."""
    count = len(categories)
    # The last round is filled up, so that nothing recompiles.
    number = np.repeat(np.resize(np.array(numbers), _ROUND), count).astype(np.int32)
    category = np.tile(np.arange(count), _ROUND).astype(np.int32)
    start = np.searchsorted(made.category, np.arange(count))
    have = np.bincount(made.category, minlength=count)
    index = (start[category] + number % have[category]).astype(np.int32)
    pictures = jax.device_get(draw_fn(seed, number, index, category, assets))
    quaternion = np.asarray(so3.quaternion_from_rotation(pictures.rotation))
    angles = np.degrees(np.stack(viewpoint.angles_from_rotation(pictures.rotation), axis=-1))
    for i in range(len(numbers) * count):
        name, model = categories[category[i]], made.names[index[i]]
        azimuth, elevation, theta = np.rint(angles[i]).astype(int)
        stem = f"{_synset(name)}_{model}_a{azimuth % 360:03d}_e{elevation:03d}_t{theta:03d}"
        file = f"{_synset(name)}/{model}/{stem}_d{round(float(pictures.distance[i])):03d}.jpg"
        turn = {f"q{axis}": f"{q:.7f}" for axis, q in zip("wxyz", quaternion[i], strict=True)}
        row = {"file": file, "category": name, "split": SPLIT, "number": number[i], **turn}
        yield row, np.rint(pictures.image[i]).astype(np.uint8)


def _synset(category: str) -> str:
    """What file names call a category: its synset, or its own name without what splits names."""
    known = {name: synset for synset, name in rendered.SYNSETS.items()}
    return known.get(category) or "".join(c for c in category if c.isalnum())
