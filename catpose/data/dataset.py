"""What every source of images looks like to training and evaluation."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np


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
    """

    image: np.ndarray
    category: np.ndarray
    rotation: np.ndarray
    names: np.ndarray
    key: str
    margin: int = 0
    aspect: np.ndarray | None = None


class Dataset(NamedTuple):
    """Categories in the order of their indices, the splits by name, and remarks for the report."""

    categories: tuple[str, ...]
    splits: Mapping[str, Split]
    notes: tuple[str, ...] = ()
