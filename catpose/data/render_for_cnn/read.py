"""Rendered images with category and pose in their file names, as of Render for CNN (Su et al.).

    <synset>/<md5>/<synset>_<md5>_a%03d_e%03d_t%03d_d%03d.png (or .jpg)

with azimuth, elevation and tilt in whole degrees, possibly negative (t-01), and the distance, which
is rounded to a whole number and therefore not used. The images lie in a folder, at any depth, or in
a tar that is not compressed and is read in place.

The tilt's sign differs between releases, and nothing in an image shows which it is: in the released
tar theta is minus the name's tilt ("released"), in fresh renders of the present script it is the
tilt as written ("fresh"). So it is either given, or stated in a file `rendered.json` beside the
images, which may name further synsets too: {"tilt": "fresh", "synsets": {"03797390": "mug"}}.
"""

import collections
import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from catpose import errors, progress
from catpose.data import disk_cache, pose_table, tables
from catpose.data.categories import SYNSETS
from catpose.data.examples import Examples
from catpose.data.render_for_cnn import archive
from catpose.errors import InputError

NAME = re.compile(
    r"([0-9A-Za-z]+)_([0-9A-Za-z.-]+)_a(-?\d{1,6})_e(-?\d{1,6})_t(-?\d{1,6})_d(-?\d+)\.(?:png|jpe?g)",
    re.IGNORECASE | re.ASCII,
)
EXAMPLE = "<synset>_<md5>_a035_e009_t-01_d004.png"
ENDINGS = (".png", ".jpg", ".jpeg")
DESCRIPTION = "rendered.json"
SHEET = "contact_"  # begins the names of `launch.render`'s contact sheets
TILT_SIGNS = {"released": -1, "fresh": 1}
BLOCK = 512  # images that a thread inspects at a time
MAGIC = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")  # of PNG and JPEG


def read(
    path: str | os.PathLike,
    *,
    categories: tuple[str, ...],
    tilt_sign: str = "",
    max_per_category: int = 0,
    synsets: Mapping[str, str] | None = None,
    show_progress: bool = True,
) -> Examples:
    """Lists rendered images; the split of all of them is "rendered".

    Empty files and files that do not begin as an image does are left out and counted; others that
    are damaged are found when they are decoded. Their `digest` is made from names, sizes and
    times of change: to read every byte would take longer than to decode the images again.

    Args:
      path: the folder or the tar.
      categories: names in the order of their indices; images of others are skipped and counted.
      tilt_sign: "released" or "fresh", see the module; empty where `rendered.json` states it.
      max_per_category: take at most so many of each category, evenly from all models; a smaller
        number takes a part of what a larger one takes. 0 takes all.
      synsets: names of further synsets, or other names for known ones.
      show_progress: show a bar on a terminal.

    Raises:
      InputError: no such folder or tar, a compressed or incomplete tar, no sign for the tilt or
        two, or no image of the categories.
    """
    root = os.fspath(path)
    files = archive.find(root, _is_ours, show_progress)
    description = _description(files)
    sign = _sign(tilt_sign, str(description.get("tilt", "")), root)
    names = SYNSETS | description.get("synsets", {}) | dict(synsets or {})

    groups = _by_category(files, names)
    num_other = len(groups.pop("", ()))
    chosen, notes = [], []
    for category in categories:
        indices = groups.pop(category, [])
        # Of equal names the first path stays.
        by_path = sorted(indices, key=files.path.__getitem__, reverse=True)
        unique = {files.name(i): i for i in by_path}
        chosen += _spread(files, [unique[name] for name in sorted(unique)], max_per_category)
        if not indices:
            notes.append(f"no rendered images of {category}")
        elif len(indices) > len(unique):
            number = len(indices) - len(unique)
            notes.append(f"{number} rendered images of {category} occur twice")
    num_skipped = sum(map(len, groups.values()))
    if not chosen:
        raise InputError(
            f"no rendered images of {', '.join(categories)} in {root} ({num_skipped} of other "
            f"categories, {num_other} with other names); they are named {EXAMPLE}"
        )
    where, whole = _inspect(files, chosen, show_progress)
    num_empty = int(np.sum(where[:, 1] == 0))
    remarks = {
        f"rendered images of other categories skipped: {', '.join(sorted(groups)[:3])} ...": (
            num_skipped
        ),
        f"images skipped whose names are not {EXAMPLE}": num_other,
        "empty rendered images left out": num_empty,
        "rendered images left out that are neither PNG nor JPEG": int(np.sum(~whole)) - num_empty,
    }
    notes += [f"{number} {what}" for what, number in remarks.items() if number]
    if not whole.any():
        raise InputError(f"not one of the {len(chosen)} rendered images in {root} can be read")
    index = [i for i, good in zip(chosen, whole, strict=True) if good]
    found = _listing(files, index, categories, names, TILT_SIGNS[sign])
    return found._replace(
        digest=disk_cache.digest("\n".join(found.id).encode(), where[whole]), notes=tuple(notes)
    )


def _listing(
    files: archive.Files,
    index: list[int],
    categories: tuple[str, ...],
    category_of: Mapping[str, str],
    sign: int,
) -> Examples:
    names = [files.name(i) for i in index]
    fields = [NAME.fullmatch(name).group(1, 3, 4, 5) for name in names]
    angles = np.array([row[1:] for row in fields], np.float64) * (1, 1, sign)
    rotation = pose_table.rotations_from_angles(angles, for_paper=True)

    def read_fn(i: int | np.integer) -> bytes:
        try:
            return files.read(index[i])
        except OSError as error:
            raise InputError(f"cannot read the rendered image {names[i]}: {error}") from error

    rendered = np.broadcast_to(np.array("rendered"), (len(names),))
    return Examples(
        read_fn=read_fn,
        id=np.array(names, dtype=np.str_),
        category=np.array(
            [categories.index(category_of.get(row[0], row[0])) for row in fields], np.int32
        ),
        split=rendered,
        rotation=rotation.astype(np.float32),
        box=np.broadcast_to(np.float64(np.nan), (len(names), 4)),
        categories=categories,
        flags={"source": rendered},
    )


def _is_ours(name: str) -> bool:
    is_image = name.lower().endswith(ENDINGS) and not name.startswith(SHEET)
    return is_image or name == DESCRIPTION


def _description(files: archive.Files) -> Mapping[str, Any]:
    """The content of `rendered.json`, the outermost where there are several; empty without one."""
    found = [i for i in range(len(files.path)) if files.name(i) == DESCRIPTION]
    chosen = min(found, key=lambda i: (files.path[i].count("/"), files.path[i]), default=None)
    if chosen is None:
        return {}
    try:
        content = files.read(chosen)
    except OSError as error:
        raise InputError(
            f"cannot read {DESCRIPTION} of {files.root}: {errors.reason(error)}"
        ) from error
    description = tables.parse_json(content, f"{DESCRIPTION} of {files.root}")
    synsets = description.get("synsets", {}) if isinstance(description, dict) else None
    if not isinstance(synsets, dict) or not all(isinstance(n, str) for n in synsets.values()):
        raise InputError(
            f'{DESCRIPTION} of {files.root} is not of the form {{"tilt": "fresh", '
            '"synsets": {"03797390": "mug"}}'
        )
    return description


def _sign(given: str, described: str, root: str) -> str:
    for sign in (given, described):
        if sign and sign not in TILT_SIGNS:
            raise InputError(f"the tilt's sign is '{sign}'; known: {', '.join(TILT_SIGNS)}")
    if given and described and given != described:
        raise InputError(
            f"the tilt's sign of {root} is '{described}' by its {DESCRIPTION}, not '{given}'; "
            "leave --tilt (config.data.rendered_tilt) empty"
        )
    if not (given or described):
        raise InputError(
            f"which way do the names of {root} turn? --tilt (config.data.rendered_tilt) is "
            "'released' (theta is minus the name's tilt, as in the tar of Render for CNN) or "
            "'fresh' (theta is the tilt)"
        )
    return given or described


def _by_category(files: archive.Files, names: Mapping[str, str]) -> dict[str, list[int]]:
    """The files of each category, of each synset that has none, and, as "", of other names."""
    found: dict[str, list[int]] = {}
    for i in range(len(files.path)):
        match = NAME.fullmatch(files.name(i))
        if match or files.name(i) != DESCRIPTION:
            synset = match.group(1) if match else ""
            found.setdefault(names.get(synset, synset), []).append(i)
    return found


def _spread(files: archive.Files, indices: list[int], limit: int) -> list[int]:
    """At most `limit` of them: one of each model, then a second, each time at random but fixed."""
    if not 0 < limit < len(indices):
        return indices
    hashed = [hashlib.blake2b(files.name(i).encode(), digest_size=8).digest() for i in indices]
    seen, rounds = collections.Counter(), []
    for digest, i in sorted(zip(hashed, indices, strict=True)):
        model = NAME.fullmatch(files.name(i)).group(2)
        seen[model] += 1
        rounds.append((seen[model], digest, i))
    taken = {i for _, _, i in sorted(rounds)[:limit]}
    return [i for i in indices if i in taken]


def _inspect(
    files: archive.Files, chosen: list[int], show_progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Offset, size and time of each image, and whether it begins as an image does."""
    blocks = [chosen[i : i + BLOCK] for i in range(0, len(chosen), BLOCK)]
    options = {"total": len(blocks), "desc": "inspect", "unit": "img", "unit_scale": BLOCK}
    try:
        found = progress.thread_map(
            lambda block: files.inspect(block, 8),
            blocks,
            threads_per_core=2,  # disks and networks answer several questions at once
            show=show_progress,
            **options,
        )
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or files.root}: {error.strerror or error}"
        ) from error
    where, first_bytes = zip(*found, strict=True)
    whole = [data.startswith(MAGIC) for block in first_bytes for data in block]
    return np.concatenate(where), np.array(whole)
