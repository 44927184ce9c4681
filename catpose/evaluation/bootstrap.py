"""How far a metric would move on other objects of the same kind: 95 % bootstrap intervals.

Objects are drawn with replacement within each category, so every resample has the categories'
sizes and a class mean is always defined. The interval lies between the 2.5 % and 97.5 % quantiles
of the metric over the resamples (percentile method: Efron 1979; Davison and Hinkley 1997, 5.3).

For the median of one category these are order statistics, and cover as they should. In a mean over
categories the variances of the medians add up, and that of a resampled median is too large: the
resample's median lies some d ranks away, and the mean square of a sum of d spacings, which are
exponential and independent (Renyi 1953), goes with d^2 + |d| instead of d^2. At 21 objects this
is 17 % of the width, and plain class-mean intervals cover up to 97 %. So the medians' deviations
are shrunk by that much, as far as several categories share in the variance (`_shrink`).

In simulations of 2108 objects in twelve categories of 21 to 308, under seven laws of the errors
(Rayleigh, half-normal, exponential, log-normal, with and without objects seen back to front), the
intervals of the class mean of medians covered the true value in 94.3 to 95.7 %.

scipy 1.17's `bootstrap` with one sample a category covered 96.8 and 95.8 % there (percentile; 500
simulations with Rayleigh errors, and with objects seen back to front), and 93.4 % (BCa). Its class
means of medians of 21 objects are 1.12 times too wide (percentile), ours 1.00 times; BCa knows no
interval where all values of a category are equal, which accuracies often are. So it is not used.

What they do not know: that objects of one image are alike, and how a network would vary that is
trained again. A category of one object contributes no width, and a share of exactly 0 or 1 none.
"""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

CONFIDENCE = 0.95
REPLICATES = 1000
# Numbers drawn at once; bounds the memory.
_AT_ONCE = 4_000_000


def bootstrap(
    category: np.ndarray,
    num_categories: int,
    values: Mapping[str, tuple[np.ndarray, str]],
    *,
    average: str,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """95 % intervals of medians and means over objects, averaged over categories.

    Args:
      category: (N,) int, N at least 1.
      num_categories: length of the per-category lists.
      values: by metric, (N,) values and the statistic of them, "median" or "mean".
      average: "category", "weighted" or "instance", see `catpose.evaluation.protocols`.
      replicates: number of resamples.
      seed: the same seed gives the same intervals.

    Returns:
      By metric, in the unit of its values: "interval", [low, high] of the average over categories,
      and "per_category_interval", that of each category or None where it has no object.
    """
    category = np.asarray(category)
    arrays = {name: np.asarray(own, np.float64) for name, (own, _) in values.items()}
    medians = [name for name, (_, statistic) in values.items() if statistic == "median"]
    means = [name for name in values if name not in medians]
    members = [np.flatnonzero(category == c) for c in range(num_categories)]
    present = [own for own in members if own.size]
    sizes = np.array([own.size for own in present])
    # What each category weighs in an average of means.
    shares = sizes / sizes.sum() if average != "category" else np.full(len(sizes), 1 / len(sizes))
    generator = np.random.default_rng(seed)
    columns = np.zeros((category.size, len(means)))
    for i, name in enumerate(means):
        columns[:, i] = arrays[name]
    # By metric and chunk of resamples: of each category, and of all objects together.
    parts: dict[str, list[np.ndarray]] = {name: [] for name in values}
    pooled: dict[str, list[np.ndarray]] = {name: [] for name in medians}
    step = max(1, _AT_ONCE // category.size)
    for begin in range(0, replicates, step):
        count = min(step, replicates - begin)
        drawn = [generator.integers(size, size=(count, size)) for size in sizes]
        for name in medians:
            resamples = [arrays[name][own][d] for own, d in zip(present, drawn, strict=True)]
            parts[name].append(np.stack([np.median(r, axis=1) for r in resamples], axis=1))
            if average == "instance":
                pooled[name].append(np.median(np.concatenate(resamples, axis=1), axis=1))
        each = [_means(d, columns[own]) for own, d in zip(present, drawn, strict=True)]
        for name, own in zip(means, np.moveaxis(each, -1, 0), strict=True):
            parts[name].append(own.T)
    intervals = {}
    for name in values:
        part = np.concatenate(parts[name])
        if name in means:
            overall = part @ shares
        elif average == "instance":
            overall = np.concatenate(pooled[name])
        else:
            center = np.array([np.median(arrays[name][own]) for own in present])
            away = (part - center) * shares
            overall = center @ shares + away @ _shrink(away.var(axis=0), sizes)
        intervals[name] = _intervals(overall, part, members)
    return intervals


def _shrink(variance, sizes):
    """Factors on the deviations of resampled medians, for the sum of them.

    The rank of a resample's median has the variance n^2 / (4 (n + 2)) of a Beta law, and 1/12 from
    rounding to a rank. Where one category has all the variance, its deviations stay as they are.

    Args:
      variance: of each category's term in the sum, over the resamples.
      sizes: of the categories.
    """
    ranks = sizes**2 / (4 * (sizes + 2)) + 1 / 12
    factor = np.sqrt(ranks / (ranks + np.sqrt(2 * ranks / math.pi)))  # E |d| of a normal d
    total = variance.sum()
    effective = total**2 / np.square(variance).sum() if total else 1.0
    return factor ** (1 - 1 / effective)


def _means(drawn, columns):
    """Column means of each resample: how often each object was drawn, times its values."""
    count, size = drawn.shape
    cells = (drawn + size * np.arange(count)[:, None]).ravel()
    times = np.bincount(cells, minlength=count * size).reshape(count, size)
    return times.astype(np.float64) @ columns / size


def _intervals(overall, parts, members):
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(overall, [tail, 1 - tail])
    ends = iter(np.quantile(parts, [tail, 1 - tail], axis=0).T)
    each = [next(ends).tolist() if own.size else None for own in members]
    return {"interval": [float(low), float(high)], "per_category_interval": each}
