"""Images of examples, decoded once into square uint8 crops on disk, memory-mapped from then on."""

import numpy as np

from catpose import errors, progress
from catpose.data import disk_cache, examples, photos
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
) -> examples.Dataset:
    """Encoded examples as a dataset of decoded ones.

    Crops are stored split by split under the hash of the examples' digest and the sizes, so a
    second run maps them from disk.

    Args:
      encoded: encoded examples.
      resolution: side of the crops in pixels.
      margin: further pixels on each side, see `photos.crop`.
      max_broken_share: images that cannot be decoded are left out and named in the notes, up to
        this share of the examples.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.

    Raises:
      InputError: a box outside its image, or more broken images than `max_broken_share`.
    """
    splits, broken = {}, []
    for name in examples.splits(encoded):
        index = np.flatnonzero(encoded.split == name)
        digest = disk_cache.digest(encoded.digest, index, resolution, margin, photos.CROP_VERSION)
        arrays = disk_cache.stored(
            disk_cache.cache_dir(cache_dir),
            f"photos-{name}",
            digest,
            lambda new_fn, name=name, index=index: _decode(
                encoded, index, resolution, margin, new_fn, name, show_progress
            ),
        )
        problem = np.asarray(arrays["problem"])
        whole = problem == ""
        broken += problem[~whole].tolist()
        if whole.any():
            splits[name] = examples.take(encoded, index[whole])._replace(
                # Whole splits stay memory-mapped; only a broken image makes a copy necessary.
                image=arrays["image"] if whole.all() else arrays["image"][whole],
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


def _decode(
    encoded: Examples,
    index: np.ndarray,
    resolution: int,
    margin: int,
    new_fn: disk_cache.NewArray,
    split: str,
    show_progress: bool,
) -> dict[str, np.ndarray]:
    side = resolution + 2 * margin
    image = new_fn("image", (len(index), side, side, 3), np.uint8)
    problem = [""] * len(index)
    aspect = np.ones(len(index), np.float32)

    # PIL decodes and resizes outside the interpreter lock, so threads use every core.
    def decode(row: int) -> None:
        i = index[row]
        try:
            picture = decoding.open_picture(encoded.read_fn(i), str(encoded.id[i]))
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

    options = {"total": len(index), "desc": f"decode {split}", "unit": "img"}
    progress.thread_map(decode, range(len(index)), show=show_progress, **options)
    return {"problem": np.array(problem, np.str_), "aspect": aspect}
