"""What every source of images looks like to training and evaluation."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from catpose.data import disk_cache

# What every dataset may have, in this order; further splits have other names.
SPLITS = ("train", "validation", "test")


class Camera(NamedTuple):
    """How the objects of N examples were seen, in shares of their boxes; NaN where unknown.

    A point X of the object (z up, front at -y) lies at R X - (0, 0, distance) in the camera, and
    its image, from the box's centre, at `center + focal * (x, -y) / -z`: widths of the box to the
    right, heights of it downwards.

    Attributes:
      distance: (N,) float32, from the camera's centre to the object's, in the unit of `points`.
      focal: (N, 2) float32, focal length over the box's width and over its height.
      center: (N, 2) float32, where the object's centre is seen, from the box's centre.
      points: (M, V, 3) float32, V vertices of each of M known 3D models.
      model: (N,) int32, row of `points`; -1 where the model is unknown.
    """

    distance: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    points: np.ndarray
    model: np.ndarray

    def rows(self, index: np.ndarray) -> "Camera":
        """The same of some examples; the models stay all."""
        return Camera(
            self.distance[index],
            self.focal[index],
            self.center[index],
            self.points,
            self.model[index],
        )


class Split(NamedTuple):
    """The examples of one split, on the host.

    Attributes:
      image: (N, S, S, 3) uint8, the box's content, resized to a square, with a margin around it
        where `margin` is positive. May be memory-mapped.
      category: (N,) int32.
      rotation: (N, 3, 3) float32 in frame "camera".
      names: (N,) what to call each example in a report (a file name, a number).
      key: hash of the images, for what is derived from them (cached features).
      margin: width of the margin on each side, in pixels of `image`.
      aspect: (N,) float32, width over height of each box in its photo; None where all are square.
      camera: how the objects were seen; None where that is unknown.
      flags: what evaluation protocols filter by, (N,) arrays: bool "occluded", "truncated",
        "difficult", "coarse" (azimuth known to 45 degrees only); int "object", its number in its
        image, from 1; str "image" and "source". None where the data has none.
    """

    image: np.ndarray
    category: np.ndarray
    rotation: np.ndarray
    names: np.ndarray
    key: str
    margin: int = 0
    aspect: np.ndarray | None = None
    camera: Camera | None = None
    flags: Mapping[str, np.ndarray] | None = None


class Dataset(NamedTuple):
    """What a run trains and is evaluated on.

    Attributes:
      categories: in the order of their indices.
      splits: by name.
      notes: remarks for the report.
      engine: a `catpose.data.online_rendering.Engine`, of which the split "drawn" lists the
        models; None where no images are drawn while training.
    """

    categories: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
    engine: Any = None


def fewer(split: Split, count: int, *, seed: int) -> Split:
    """At most `count` examples, chosen at random and evenly from all categories.

    With one seed, a smaller number takes a part of what a larger one takes.
    """
    if count >= len(split.category):
        return split
    order = np.random.default_rng(seed).permutation(len(split.category))
    category = split.category[order]
    # The how manieth of its category each one is, in this order.
    rank = np.empty(len(order), np.int64)
    for number in np.unique(category):
        own = category == number
        rank[own] = np.arange(own.sum())
    index = np.sort(order[np.argsort(rank, kind="stable")[:count]])
    flags, camera = split.flags, split.camera
    return split._replace(
        image=np.asarray(split.image[index]),
        category=split.category[index],
        rotation=split.rotation[index],
        names=split.names[index],
        key=disk_cache.digest(split.key, index),
        aspect=None if split.aspect is None else split.aspect[index],
        camera=None if camera is None else camera.rows(index),
        flags=None if flags is None else {name: values[index] for name, values in flags.items()},
    )
