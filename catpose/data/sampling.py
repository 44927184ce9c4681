"""Which examples make up which batch: a pure function of (seed, step).

So nothing about the data's order needs saving, and a resumed run sees the same batches.
"""

import functools
from typing import NamedTuple

import numpy as np

from catpose.errors import InputError


class Pools(NamedTuple):
    """A split's examples by category, in two flat arrays.

    Attributes:
      index: (N,) example numbers, sorted by category.
      start: (K + 1,) where each category's run in `index` begins.
    """

    index: np.ndarray
    start: np.ndarray


def pools(category: np.ndarray, num_categories: int, *, names: tuple[str, ...] = ()) -> Pools:
    """Groups examples by category for `balanced`.

    Raises:
      InputError: a category without examples; it is named where `names` is given.
    """
    counts = np.bincount(category, minlength=num_categories)
    if (counts == 0).any():
        empty = np.flatnonzero(counts == 0)
        raise InputError(
            "no training images of category "
            + ", ".join(names[i] if names else str(i) for i in empty)
            + "; add some, or leave the category out of config.data.categories"
        )
    order = np.argsort(category, kind="stable").astype(np.int32)
    return Pools(order, np.concatenate([[0], np.cumsum(counts)]))


def balanced(groups: Pools, *, batch_size: int, step: int, seed: int) -> np.ndarray:
    """The (batch_size,) example numbers of the batch at `step`.

    The endless stream of examples takes the categories in turn, so every batch has the same number
    of each (within one where K does not divide the batch). Within a category the examples come in
    a random order, a fresh one each time it is used up: small categories cycle faster.
    """
    position = step * batch_size + np.arange(batch_size)
    num_categories = len(groups.start) - 1
    category, turn = position % num_categories, position // num_categories
    sizes = np.diff(groups.start)[category]
    cycle, within = turn // sizes, turn % sizes
    order = np.array(
        [
            _order(seed, int(k), int(c), int(n))[w]
            for k, c, n, w in zip(category, cycle, sizes, within, strict=True)
        ]
    )
    return groups.index[groups.start[category] + order]


@functools.lru_cache(maxsize=512)  # several sources of 100 categories; orders can be long
def _order(seed: int, category: int, cycle: int, size: int) -> np.ndarray:
    return np.random.default_rng([seed, category, cycle]).permutation(size).astype(np.int32)
