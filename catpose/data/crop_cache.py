"""Images of examples, decoded once into square uint8 crops on disk, memory-mapped from then on."""

import functools
from collections.abc import Mapping

import numpy as np

from catpose import errors, progress
from catpose.data import disk_cache, examples, parts, photos
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.images import decode as decoding

_NAMED = 20  # broken images at most


def load(
    encoded: Examples,
    *,
    resolution: int,
    margin: int = 0,
    max_broken_share: float = errors.MAX_BROKEN_SHARE,
    cache_dir: str = "",
    show_progress: bool = True,
    share: parts.Share = parts.ALONE,
) -> examples.Dataset:
    """Encoded examples as a dataset of decoded ones.

    Crops are stored split by split under the hash of the examples' digest and the sizes, so a
    second run maps them from disk.

    Args:
      encoded: encoded examples.
      resolution: side of the crops in pixels.
      margin: further pixels on each side, see `photos.crop`.
      max_broken_share: images that cannot be decoded are left out and named in the notes, up to
        this share of the examples. Those that cannot be read are tried again by the next call.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.
      share: of this process, which decodes its part of each split.

    Raises:
      InputError: a box outside its image, or more broken images than `max_broken_share`.
    """
    splits, broken, sizes = {}, [], (resolution, margin, photos.CROP_VERSION)
    for name in examples.splits(encoded):
        index = np.flatnonzero(encoded.split == name)
        digest = disk_cache.digest(encoded.digest, index, *sizes)

        def stored(first: int, stop: int, name=name, index=index) -> dict[str, np.ndarray]:
            own = index[first:stop]
            digest = disk_cache.digest(encoded.digest, own, *sizes)
            entry = disk_cache.cache_dir(cache_dir), f"photos-{name}", digest
            decode = functools.partial(
                _decode, encoded, own, resolution, margin, split=name, show_progress=show_progress
            )
            arrays = disk_cache.stored(*entry, decode)
            if any(_is_readable(encoded, i) for i in own[arrays["unread"]].tolist()):
                again = functools.partial(decode, before=arrays)
                arrays = disk_cache.stored(*entry, again, renew=True)
            return arrays

        arrays = parts.make(len(index), share, stored, ("problem", "aspect"))
        problem = np.asarray(arrays["problem"])
        whole = problem == ""
        broken += problem[~whole].tolist()
        if whole.any():
            splits[name] = examples.take(encoded, index[whole])._replace(
                # Whole splits stay memory-mapped; only a broken image makes a copy necessary.
                image=arrays["image"] if whole.all() else examples.rows(arrays["image"], whole),
                digest=disk_cache.digest(digest, whole),
                margin=margin,
                aspect=np.asarray(arrays["aspect"])[whole],
                box=None,
                read_fn=None,
            )
    notes, total = encoded.notes, len(encoded.split)
    if broken:
        more = [f"and {len(broken) - _NAMED} more"] if len(broken) > _NAMED else []
        notes += (f"{len(broken)} broken images left out of {total}:", *broken[:_NAMED], *more)
    errors.check_broken(broken, total, "images", max_broken_share, "config.data.max_broken_share")
    return examples.Dataset(encoded.categories, splits, notes)


def _is_readable(encoded: Examples, i: int) -> bool:
    try:
        encoded.read_fn(i)
    except (InputError, OSError):
        return False
    return True


def _decode(
    encoded: Examples,
    index: np.ndarray,
    resolution: int,
    margin: int,
    new_fn: disk_cache.NewArray,
    *,
    split: str,
    show_progress: bool,
    before: Mapping[str, np.ndarray] | None = None,
) -> dict[str, np.ndarray]:
    """All images of a split; of those that were decoded before, only what could not be read."""
    side, rows = resolution + 2 * margin, np.arange(len(index))
    image = new_fn("image", (len(index), side, side, 3), np.uint8)
    problem, aspect = [""] * len(index), np.ones(len(index), np.float32)
    unread = np.zeros(len(index), bool)
    if before is not None:
        image[:], aspect[:], problem[:] = before["image"], before["aspect"], before["problem"]
        rows = np.flatnonzero(before["unread"])

    # PIL decodes and resizes outside the interpreter lock, so threads use every core.
    def decode(row: int) -> None:
        i, problem[row] = index[row], ""
        try:
            content = encoded.read_fn(i)
        except (InputError, OSError) as error:  # of the disk or the network, perhaps for a moment
            problem[row], unread[row] = str(error), True
            return
        try:
            picture = decoding.open_picture(content, str(encoded.id[i]))
        except (InputError, OSError) as error:
            problem[row] = str(error)
            return
        box = encoded.box[i]
        box = (0, 0, *picture.size) if np.isnan(box[0]) else tuple(box.tolist())
        aspect[row] = (box[2] - box[0]) / (box[3] - box[1])
        try:
            image[row] = photos.crop(picture, box, resolution, margin)
        except InputError as error:
            raise InputError(f"{encoded.id[i]}: {error}") from error

    options = {"total": len(rows), "desc": f"decode {split}", "unit": "img"}
    progress.thread_map(decode, rows.tolist(), show=show_progress, **options)
    return {"problem": np.array(problem, np.str_), "aspect": aspect, "unread": unread}
