"""Renders images into a folder, named and laid out as those of Render for CNN.

    <synset>/<model>/<synset>_<model>_a%03d_e%03d_t%03d_d%03d.jpg

Names have whole degrees; `manifest.csv` has the exact poses, so the folder can be read both as
rendered images and as a dataset of its own. `rendered.json` states that tilts are written as they
are ("fresh"). A picture is a function of the seed, its category and its number: a folder that was
left half full is filled up with what it would have had.
"""

import functools
import json
import os
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from PIL import Image

from catpose import outputs, progress
from catpose.data import disk_cache, online_rendering, tables
from catpose.data.categories import SYNSETS
from catpose.data.render_for_cnn import read as rendered
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint
from catpose.synthetic import domain_randomization

COLUMNS = ("file", "category", "split", "qw", "qx", "qy", "qz", "number")
SPLIT = "train"
_QUALITY = 92
_ROUND = 4  # pictures of each category that are rendered together
_MANIFEST = "manifest.csv"


def write(
    made: online_rendering.Engine,
    categories: Sequence[str],
    folder: str | pathlib.Path,
    *,
    per_category: int,
    size: int,
    seed: int,
    show_progress: bool = True,
) -> int:
    """Renders images into a folder, or the rest of them.

    Two pictures of a model whose poses round to the same whole degrees would have one name; the
    second is left out.

    Args:
      made: what to render.
      categories: their names.
      folder: made where it does not exist.
      per_category: images of each category.
      size: width and height of the images in pixels.
      seed: of the pictures.
      show_progress: show a bar on a terminal.

    Returns:
      How many images the folder has.

    Raises:
      InputError: the folder cannot be written, or holds images of other settings.
    """
    folder = pathlib.Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        settings = {"engine": made.digest, "size": size, "seed": seed}
        _describe(folder, categories, settings)
        begun, first, rows = _finished(folder / _MANIFEST)
        per_category = max(per_category, begun)  # what is there stays
        draw_fn = _drawer(made, size)
        assets = jax.device_put(made.assets)
        names = {row["file"] for row in rows}
        with (
            (folder / _MANIFEST).open("a", newline="") as file,
            progress.bar(
                total=per_category * len(categories),
                initial=first * len(categories),
                desc="render",
                unit="img",
                show=show_progress,
            ) as bar,
        ):
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
                file.write(tables.csv_text(map(_cells, rows)))
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
    synsets = {_synset(name): name for name in categories}
    if len(synsets) < len(categories) or "" in synsets:
        raise InputError(
            "file names have only the letters a to z and the digits of categories, and by these "
            f"{', '.join(categories)} are not all different"
        )
    description = {
        "tilt": "fresh",
        "synsets": synsets,
        "made_by": "catpose",
        "settings": settings,
    }
    outputs.check_folder(folder, (path.name,), "of catpose render")
    if path.exists():
        try:
            before = tables.parse_json(tables.text(path), str(path))
        except InputError as error:
            raise InputError(f"{error}; empty the folder") from error
        before = before if isinstance(before, dict) else {}
        for key, value in description.items():
            if before.get(key) != value:
                raise InputError(
                    f"{folder} holds images of other {key}; give another folder, or empty it"
                )
    disk_cache.write_whole(path, (json.dumps(description, indent=2) + "\n").encode())


def _finished(manifest: pathlib.Path) -> tuple[int, int, list[Mapping[str, str]]]:
    """How many of each category are begun, how many finished, and the manifest's rows of these.

    The last round may not be whole: it is repeated.
    """
    content = manifest.read_bytes() if manifest.exists() else b""
    content = content[: content.rfind(b"\n") + 1]  # a kill may have cut the last line
    disk_cache.write_whole(manifest, content or tables.csv_text([COLUMNS]).encode())
    table = tables.read(manifest, required=COLUMNS, allow_empty=True)
    rows = [
        row.values for row in table.rows if re.fullmatch("[0-9]{1,9}", row.values.get("number", ""))
    ]
    begun = 1 + max((int(row["number"]) for row in rows), default=-1)
    finished = max(begun - 1, 0) // _ROUND * _ROUND
    rows = [row for row in rows if int(row["number"]) < finished]
    disk_cache.write_whole(manifest, tables.csv_text([COLUMNS, *map(_cells, rows)]).encode())
    return begun, finished, rows


def _cells(row: Mapping[str, Any]) -> list[Any]:
    return [row[name] for name in COLUMNS]


def _drawer(made: online_rendering.Engine, size: int):
    """(seed, numbers (B,), index (B,), category (B,), assets) -> pictures, compiled."""

    @functools.partial(jax.jit, static_argnames="seed")
    def draw(seed, number, index, category, assets) -> domain_randomization.Drawn:
        key = jax.random.key(seed)
        fold = jax.vmap(jax.random.fold_in)
        keys = fold(jax.vmap(lambda k: jax.random.fold_in(key, k))(category), number)
        # The image is the box: whoever reads it adds the context.
        return online_rendering.draw(
            keys,
            index,
            category,
            assets,
            size=size,
            context=1.0,
            **online_rendering.arguments(made),
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
    synsets = (synset for synset, name in SYNSETS.items() if name == category)
    return next(synsets, None) or re.sub("[^0-9A-Za-z]", "", category)
