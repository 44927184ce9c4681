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

import concurrent.futures
import hashlib
import json
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from catpose import progress
from catpose.data import disk_cache, pose_table
from catpose.data.categories import SYNSETS
from catpose.data.examples import Examples
from catpose.data.render_for_cnn import archive
from catpose.errors import InputError

NAME = re.compile(
    r"([0-9A-Za-z]+)_([0-9A-Za-z.-]+)_a(-?\d+)_e(-?\d+)_t(-?\d+)_d(-?\d+)\.(?:png|jpe?g)",
    re.IGNORECASE,
)
EXAMPLE = "<synset>_<md5>_a035_e009_t-01_d004.png"
ENDINGS = (".png", ".jpg", ".jpeg")
DESCRIPTION = "rendered.json"
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
    root = os.path.expanduser(path)
    files = archive.find(root, _is_ours, show_progress)
    description = _description(files)
    sign = _sign(tilt_sign, str(description.get("tilt", "")), root)
    names = SYNSETS | description.get("synsets", {}) | dict(synsets or {})

    by_synset, num_other = _by_synset(files)
    chosen, notes = [], []
    for category in categories:
        known = [synset for synset, name in names.items() if name == category]
        indices = [i for synset in known for i in by_synset.pop(synset, ())]
        indices, num_duplicate = _without_duplicates(files, indices)
        chosen += _spread(files, indices, max_per_category)
        if not indices:
            notes.append(f"no rendered images of {category}")
        if num_duplicate:
            notes.append(f"{num_duplicate} rendered images of {category} occur twice")
    num_skipped = sum(map(len, by_synset.values()))
    if not chosen:
        raise InputError(
            f"no rendered images of {', '.join(categories)} in {root} ({num_skipped} of other "
            f"categories, {num_other} with other names); they are named {EXAMPLE}"
        )
    if num_skipped:
        shown = ", ".join(names.get(synset, synset) for synset in sorted(by_synset)[:3])
        notes.append(f"{num_skipped} rendered images of other categories skipped: {shown} ...")
    if num_other:
        notes.append(f"{num_other} images skipped whose names are not {EXAMPLE}")

    where, whole = _inspect(files, chosen, show_progress)
    num_empty = int(np.sum(where[:, 1] == 0))
    num_foreign = int(np.sum(~whole)) - num_empty
    if num_empty:
        notes.append(f"{num_empty} empty rendered images left out")
    if num_foreign:
        notes.append(f"{num_foreign} rendered images left out that are neither PNG nor JPEG")
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
    number = {synset: categories.index(n) for synset, n in category_of.items() if n in categories}

    def read_fn(i: int | np.integer) -> bytes:
        try:
            return files.read(index[i])
        except OSError as error:
            raise InputError(f"cannot read the rendered image {names[i]}: {error}") from error

    rendered = np.broadcast_to(np.array("rendered"), (len(names),))
    return Examples(
        read_fn=read_fn,
        id=np.array(names, dtype=np.str_),
        category=np.array([number[row[0]] for row in fields], np.int32),
        split=rendered,
        rotation=rotation.astype(np.float32),
        box=np.broadcast_to(np.float64(np.nan), (len(names), 4)),
        categories=categories,
        flags={"source": rendered},
    )


def _is_ours(name: str) -> bool:
    return name.lower().endswith(ENDINGS) or name == DESCRIPTION


def _description(files: archive.Files) -> Mapping[str, Any]:
    """The content of `rendered.json`, the outermost where there are several; empty without one."""
    found = [i for i in range(len(files.path)) if files.name(i) == DESCRIPTION]
    if not found:
        return {}
    chosen = min(found, key=lambda i: (files.path[i].count("/"), files.path[i]))
    try:
        description = json.loads(files.read(chosen))
    except (OSError, ValueError) as error:
        raise InputError(f"cannot read {DESCRIPTION} of {files.root} as JSON: {error}") from error
    if not isinstance(description, dict) or not isinstance(description.get("synsets", {}), dict):
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
            f"the tilt's sign of {root} is '{described}' by its {DESCRIPTION}, not '{given}'"
        )
    if not (given or described):
        raise InputError(
            f"which way do the names of {root} turn? Say tilt_sign 'released' (theta is minus the "
            "name's tilt, as in the tar of Render for CNN) or 'fresh' (theta is the tilt)"
        )
    return given or described


def _by_synset(files: archive.Files) -> tuple[dict[str, list[int]], int]:
    """The files of each synset, and how many have other names."""
    found: dict[str, list[int]] = {}
    num_other = 0
    for i in range(len(files.path)):
        name = files.name(i)
        match = NAME.fullmatch(name)
        if match:
            found.setdefault(match.group(1), []).append(i)
        else:
            num_other += name != DESCRIPTION
    return found, num_other


def _without_duplicates(files: archive.Files, indices: list[int]) -> tuple[list[int], int]:
    """By name, which is unique then; of equal names the first path stays."""
    by_name: dict[str, int] = {}
    for i in sorted(indices, key=files.path.__getitem__):
        by_name.setdefault(files.name(i), i)
    return [by_name[name] for name in sorted(by_name)], len(indices) - len(by_name)


def _spread(files: archive.Files, indices: list[int], limit: int) -> list[int]:
    """At most `limit` of them: one of each model, then a second, each time at random but fixed."""
    if not 0 < limit < len(indices):
        return indices
    hashed = [hashlib.blake2b(files.name(i).encode(), digest_size=8).digest() for i in indices]
    seen: dict[str, int] = {}
    rounds = []
    for key, i in sorted(zip(hashed, indices, strict=True)):
        model = NAME.fullmatch(files.name(i)).group(2)
        seen[model] = seen.get(model, 0) + 1
        rounds.append((seen[model], key, i))
    taken = {i for _, _, i in sorted(rounds)[:limit]}
    return [i for i in indices if i in taken]


def _inspect(
    files: archive.Files, chosen: list[int], show_progress: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Offset, size and time of each image, and whether it begins as an image does."""
    blocks = [chosen[i : i + BLOCK] for i in range(0, len(chosen), BLOCK)]
    where, whole = [], []
    try:
        # Disks and networks answer several questions at once.
        with (
            concurrent.futures.ThreadPoolExecutor(2 * (os.cpu_count() or 1)) as pool,
            progress.bar(total=len(chosen), desc="inspect", unit="img", show=show_progress) as bar,
        ):
            for places, begin in pool.map(lambda block: files.inspect(block, 8), blocks):
                where.append(places)
                whole += [data.startswith(MAGIC) for data in begin]
                bar.update(len(begin))
    except OSError as error:
        raise InputError(
            f"cannot read {error.filename or files.root}: {error.strerror or error}"
        ) from error
    return np.concatenate(where), np.array(whole)
