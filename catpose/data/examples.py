"""Examples: labeled objects, wherever they come from, and the camera that saw them."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from catpose.data import disk_cache
from catpose.data.parts import Parts
from catpose.errors import InputError

# What every dataset may have, in this order; further splits have other names.
SPLITS = ("train", "validation", "test")
# What is known of an object's pose, in the order of `Examples.pose_label`.
POSE_LABELS = ("none", "azimuth", "whole")
BOOLEAN_FLAGS = ("occluded", "truncated", "difficult", "coarse")


class Camera(NamedTuple):
    """How the objects of N examples were seen, in shares of their boxes; NaN where unknown.

    A point X of the object (z up, front at -y) lies at R X - (0, 0, distance) in the camera, and
    its image, from the box's center, at `center + focal * (x, -y) / -z`: widths of the box to the
    right, heights of it downwards.

    Attributes:
      distance: (N,) float32, from the camera's center to the object's, in the unit of `points`.
      focal: (N, 2) float32, focal length over the box's width and over its height.
      center: (N, 2) float32, where the object's center is seen, from the box's center.
      points: (M, V, 3) float32, V vertices of each of M known 3D models.
      model: (N,) int32, index into `points`; -1 where the model is unknown.
    """

    distance: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    points: np.ndarray
    model: np.ndarray


class Examples(NamedTuple):
    """N labeled objects.

    Their pictures are either encoded (`read_fn`, with `box`) or decoded crops (`image`); labels
    without pictures have neither.

    Attributes:
      id: (N,) str, what reports and files of predictions call each object; unique in its split.
      category: (N,) int, index into `categories`.
      rotation: (N, 3, 3) in frame "camera".
      categories: names, in the order of the indices.
      split: (N,) str, "train", "validation", "test" or another name, such as "rendered"; None
        where there are no splits.
      digest: a hash that changes whenever a picture or a box does, for what is derived from them
        (crops, cached features).
      box: (N, 4) float64 x0, y0, x1, y1 in pixels of the encoded image, 0-based, x1 and y1
        exclusive; NaN where the whole image is meant.
      camera: how the objects were seen; None where that is unknown.
      flags: what evaluation protocols filter by, (N,) arrays by name: bool "occluded",
        "truncated", "difficult", "coarse" (azimuth known to 45 degrees only); int "object", its
        number in its image, from 1; str "image", "source" and "part" (of a benchmark); "box",
        (N, 4), in the photo, where `box` is in a crop of it. Empty where nothing is known.
      origin: what to call these labels in a report.
      notes: remarks for the report.
      read_fn: example number -> the encoded image; called from several threads at once.
      image: (N, S, S, 3) uint8, the box's content, resized to a square, with a margin around it
        where `margin` is positive. May be memory-mapped, or `Parts` in one of several processes.
      margin: width of the margin on each side, in pixels of `image`.
      aspect: (N,) float32, width over height of each box in its photo; None where all are square.
      pose_label: (N,) int8, an index into `POSE_LABELS`: of `rotation`, with "azimuth"
        the azimuth alone is known, with "none" nothing; None where all are whole.
    """

    id: np.ndarray
    category: np.ndarray
    rotation: np.ndarray
    categories: tuple[str, ...] = ()
    split: np.ndarray | None = None
    digest: str = ""
    box: np.ndarray | None = None
    camera: Camera | None = None
    flags: Mapping[str, np.ndarray] = {}
    origin: str = ""
    notes: tuple[str, ...] = ()
    read_fn: Callable[[int], bytes] | None = None
    image: np.ndarray | Parts | None = None
    margin: int = 0
    aspect: np.ndarray | None = None
    pose_label: np.ndarray | None = None


class Dataset(NamedTuple):
    """What a run trains and is evaluated on.

    Attributes:
      categories: in the order of their indices.
      splits: decoded examples by the name of their split.
      notes: remarks for the report.
      engine: a `catpose.data.online_rendering.Engine`, of which the split "drawn" lists the
        models; None where no images are rendered while training.
    """

    categories: tuple[str, ...]
    splits: Mapping[str, Examples]
    notes: tuple[str, ...] = ()
    engine: Any = None


def take(examples: Examples, index: np.ndarray) -> Examples:
    """The examples that `index` picks, numbers in any order or a mask."""
    index = np.arange(len(examples.id))[index]
    read_fn = examples.read_fn

    def picked(values: np.ndarray | Parts | None) -> np.ndarray | Parts | None:
        return None if values is None else rows(values, index)

    per_example = ("id", "category", "rotation", "split", "box", "image", "aspect", "pose_label")
    return examples._replace(
        **{name: picked(getattr(examples, name)) for name in per_example},
        digest=disk_cache.digest(examples.digest, index),
        camera=take_camera(examples.camera, index),
        flags={name: picked(values) for name, values in examples.flags.items()},
        read_fn=None if read_fn is None else lambda i: read_fn(int(index[i])),
    )


def rows(values: np.ndarray | Parts, index: np.ndarray) -> np.ndarray | Parts:
    """The rows that `index` picks, numbers in any order or a mask; of parts, still unopened."""
    return values.take(index) if isinstance(values, Parts) else np.asarray(values[index])


def take_camera(camera: Camera | None, index: np.ndarray) -> Camera | None:
    """How the examples that `index` picks were seen; all models stay."""
    if camera is None:
        return None
    distance, focal, center, points, model = camera
    return Camera(distance[index], focal[index], center[index], points, model[index])


def labeled(examples: Examples, kind: str) -> np.ndarray:
    """(N,) bool, whose pose label is of this kind of `POSE_LABELS`."""
    if examples.pose_label is None:
        return np.full(len(examples.id), kind == "whole")
    return examples.pose_label == POSE_LABELS.index(kind)


def splits(examples: Examples) -> list[str]:
    """The names of the splits that have examples: train, validation, test, then others."""
    present = dict.fromkeys(examples.split.tolist())
    others = [name for name in present if name not in SPLITS]
    return [name for name in SPLITS if name in present] + others


def of_categories(examples: Examples, categories: tuple[str, ...]) -> Examples:
    """The examples of these categories only, whose order becomes that of the indices.

    Raises:
      InputError: a category that the examples do not have.
    """
    if categories == examples.categories:
        return examples
    for name in categories:
        if name not in examples.categories:
            raise InputError(
                f"unknown category '{name}' in config.data.categories; "
                f"known: {', '.join(examples.categories)}"
            )
    number = {examples.categories.index(name): i for i, name in enumerate(categories)}
    kept = take(examples, np.isin(examples.category, list(number)))
    return kept._replace(
        category=np.array([number[c] for c in kept.category.tolist()], np.int32),
        categories=categories,
        digest=disk_cache.digest(kept.digest, categories),
    )


def fewer(examples: Examples, count: int, *, seed: int) -> Examples:
    """At most `count` examples, see `evenly`."""
    if count >= len(examples.category):
        return examples
    return take(examples, evenly(examples.category, count, seed=seed))


def evenly(category: np.ndarray, count: int, *, seed: int) -> np.ndarray:
    """The sorted numbers of `count` examples, chosen at random and evenly from all categories.

    With one seed, a smaller number takes a part of what a larger one takes.
    """
    order = np.random.default_rng(seed).permutation(len(category))
    category = category[order]
    rank = np.empty(len(order), np.int64)  # of each within its category, in this order
    for number in np.unique(category):
        own = category == number
        rank[own] = np.arange(own.sum())
    return np.sort(order[np.argsort(rank, kind="stable")[:count]])
