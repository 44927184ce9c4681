"""What every file-based source says of its images before they are decoded."""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np

from catpose.data import disk_cache
from catpose.data.dataset import SPLITS, Camera
from catpose.errors import InputError


class Listing(NamedTuple):
    """N annotated images.

    Attributes:
      read_fn: example number -> the encoded image; called from several threads at once.
      content: a hash that changes whenever an image or a box does.
      names: (N,) unique ids, for reports and files of predictions.
      category: (N,) int32 index into `categories`.
      split: (N,) "train", "validation", "test", or another name, such as "rendered".
      rotation: (N, 3, 3) float32 in frame "camera".
      box: (N, 4) float64 x0, y0, x1, y1 in pixels of the encoded image, 0-based, x1 and y1
        exclusive; NaN where the whole image is meant.
      categories: names, in the order of the indices.
      camera: how the objects were seen, where that is known.
      flags: (N,) arrays by name, see `dataset.Split`.
      notes: remarks for the report.
    """

    read_fn: Callable[[int], bytes]
    content: str
    names: np.ndarray
    category: np.ndarray
    split: np.ndarray
    rotation: np.ndarray
    box: np.ndarray
    categories: tuple[str, ...]
    camera: Camera | None = None
    flags: Mapping[str, np.ndarray] | None = None
    notes: tuple[str, ...] = ()


def splits(listing: Listing) -> list[str]:
    """The names of the splits that have examples: train, validation, test, then others."""
    there = dict.fromkeys(listing.split.tolist())
    others = [name for name in there if name not in SPLITS]
    return [name for name in SPLITS if name in there] + others


def take(listing: Listing, index: np.ndarray) -> Listing:
    """The listing's rows `index`, in that order."""
    rows = np.asarray(index)
    flags, camera = listing.flags, listing.camera
    return listing._replace(
        read_fn=lambda i: listing.read_fn(int(rows[i])),
        content=disk_cache.digest(listing.content, rows),
        names=listing.names[rows],
        category=listing.category[rows],
        split=listing.split[rows],
        rotation=listing.rotation[rows],
        box=listing.box[rows],
        camera=None if camera is None else camera.rows(rows),
        flags=None if flags is None else {name: values[rows] for name, values in flags.items()},
    )


def of_categories(listing: Listing, categories: tuple[str, ...]) -> Listing:
    """The examples of these categories only, whose order becomes that of the indices.

    Raises:
      InputError: a category that the listing does not have.
    """
    for name in categories:
        if name not in listing.categories:
            raise InputError(
                f"unknown category '{name}' in config.data.categories; "
                f"known: {', '.join(listing.categories)}"
            )
    number = {listing.categories.index(name): i for i, name in enumerate(categories)}
    kept = take(listing, np.flatnonzero(np.isin(listing.category, list(number))))
    category = np.array([number[c] for c in kept.category.tolist()], np.int32)
    return kept._replace(
        category=category,
        categories=categories,
        content=disk_cache.digest(kept.content, categories),
    )
