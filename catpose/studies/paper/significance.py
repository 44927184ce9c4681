"""Tests whether one way of training is better than another: differences, intervals, p-values.

Two table rows are compared, each trained with the same S seeds and evaluated on the same N images.
Both are a sample: other seeds and other images would have given another difference. It is resampled
in pairs, with the same seeds and the same images for both rows, so that the effect of a seed or an
image on both cancels. Intervals are of 95 %. A replicate of the difference is the sum of two parts.

- Images: drawn with replacement within each category, the same for all networks, which gives the
  difference anew, averaged over the seeds (Efron 1979; the pairs as in Davison and Hinkley 1997).
- Seeds: drawn with replacement, which gives the deviation of their mean from that of all seeds.
  The variance of S values about their own mean is too small by (S - 1) / S and, for S = 3, hardly
  known at all. So each deviation is widened by sqrt(S / (S - 1)), and divided by the root of
  chi^2 / (S - 1), drawn with S - 1 degrees of freedom: what makes Student's t of a normal variable.

The widening alone does not do for three seeds: where they have all the variance, it finds a
difference between equal rows in 19 % of the cases instead of 5 % (25 % without), for all three lie
on one side of zero in a quarter of the cases. The price is that of a t-test: with two degrees of
freedom the difference must be 4.3 of its standard errors, and with S = 2 even 12.7.

Variance that belongs to an image and a seed together is in both parts, and so counted twice: no
bootstrap of two crossed factors is exact, and this one errs on the side of too wide intervals
(Owen 2007, "The pigeonhole bootstrap").

In 1000 simulations each of two equal rows, with three seeds and 100 images in four categories,
|p - 1/2| > 0.475 (nominally 5 %) was found for

                                                      cat-acc   pose-err
    seeds have most of the variance                     3.9 %      4.6 %
    images have most, other ones for each row           2.1 %      1.5 %
    both, beside what a seed does to an image           1.9 %      0.8 %
    only what a seed does to an image                   0.6 %      0.1 %

With three seeds and 2400 images in twelve categories, and a standard deviation of 0.014 between
the seeds' differences of cat-acc, "holds" was found for a true difference of 0.023 in 17 %, of
0.045 in 77 % and of 0.083 in all of 60 simulations. "not shown" is no sign of equality.

scipy has no test of two crossed factors: its `ttest_rel` over the seeds knows nothing of the
images, and tells two equal rows apart in more than 30 % where the images have most of the variance;
its paired `bootstrap` over the images knows nothing of the seeds.

What none of this knows: with S = 1 the variation of the seeds is left out, so that the
claim is about these two networks and not about the two ways of training. Images of one scene are
taken to be independent. The deviations of resampled medians are a little too large, see
`catpose.evaluation.bootstrap`; the correction there is for the medians of one system, and not used.
Where several claims are made at once, each has its own chance of being wrong.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from catpose import metrics
from catpose.evaluation import bootstrap
from catpose.metrics import METRICS, Errors

REPLICATES = 2000
_STATISTICS = {"median": np.median, "mean": np.mean}  # along an axis
_TAIL = (1 - bootstrap.CONFIDENCE) / 2


class Difference(NamedTuple):
    """The first row minus the second, in the metric's unit (degrees, or a fraction).

    Attributes:
      mean: over the seeds.
      interval: (low, high), 95 %.
      p: how likely a difference so much in favor of the first would be, were it no better; near 1
        where the second is better. `compare` defines it.
      per_seed: the difference of each seed.
    """

    mean: float
    interval: tuple[float, float]
    p: float
    per_seed: tuple[float, ...]


def compare(
    first: Sequence[Errors],
    second: Sequence[Errors],
    name: str,
    *,
    num_categories: int,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Difference:
    """Estimates how much better the first row is than the second, with its uncertainty.

    `p` inverts the percentile interval (Davison and Hinkley 1997, 5.3): of n replicates, r have
    the first not better, a tie counting one half, and p = (r + 1) / (n + 1) as for simulated tests
    (4.2), so never 0. It is below 0.025 about where the interval leaves out zero on the better
    side. It is not the level of a permutation test, which would resample as if there were no
    difference, and not the probability that the claim is wrong.

    Args:
      first: the errors of each seed's network.
      second: as many, of the same seeds in the same order, on the same images in the same order.
      name: of a metric in `catpose.metrics.METRICS`.
      num_categories: categories are in [0, num_categories); those without an image are left out of
        the mean, as in `catpose.metrics`.
      replicates: number of resamples.
      seed: of the resampling; the same seed gives the same result.

    Returns:
      The difference. With one seed, its interval and p leave out what another seed would
      change. The interval has no width where all images and seeds agree on the difference.

    Raises:
      ValueError: an unknown metric; no or different numbers of seeds; errors of different images;
        a category out of range; a value that is not finite.
    """
    if name not in METRICS or METRICS[name].statistic not in _STATISTICS:
        known = [key for key, metric in METRICS.items() if metric.statistic in _STATISTICS]
        raise ValueError(f"no metric '{name}'; there are {', '.join(known)}")
    sign, statistic = METRICS[name].sign, _STATISTICS[METRICS[name].statistic]
    members = _members(first, second, num_categories)
    one, other = (np.array([metrics.values(name, e)[0] for e in row]) for row in (first, second))
    if not (np.isfinite(one).all() and np.isfinite(other).all()):
        raise ValueError(f"'{name}' must be finite for every image and seed")

    generator = np.random.default_rng(seed)
    per_seed = np.mean(
        [statistic(one[:, r], 1) - statistic(other[:, r], 1) for r in members], axis=0
    )
    resampled = np.zeros(replicates)
    for own in members:
        drawn = own[generator.integers(own.size, size=(replicates, own.size))]
        for a, b in zip(one, other, strict=True):
            resampled += statistic(a[drawn], 1) - statistic(b[drawn], 1)
    resampled = resampled / (len(members) * len(first)) + _seeds(generator, per_seed, replicates)

    # Sums in another order may miss a tie in the last digit.
    not_better = (1 - np.sign(np.round(sign * resampled, 12))) / 2
    low, high = np.quantile(resampled, [_TAIL, 1 - _TAIL]).tolist()
    return Difference(
        mean=math.fsum(per_seed) / len(per_seed),
        interval=(low, high),
        p=(float(not_better.sum()) + 1) / (replicates + 1),
        per_seed=tuple(per_seed.tolist()),
    )


def verdict(difference: Difference, name: str) -> str:
    """Judges the claim that the first row is better by its difference from the second.

    Args:
      difference: of `compare`.
      name: of the metric that it was given.

    Returns:
      "holds" where the first is better with p < 0.025, "contradicted" where the second is better
      with 1 - p < 0.025, "no difference" where nothing tells the rows apart with any seed and any
      sample of the images, else "not shown".
    """
    if difference.interval == (0.0, 0.0) and not any(difference.per_seed):
        return "no difference"
    gain = METRICS[name].sign * difference.mean
    if gain > 0 and difference.p < _TAIL:
        return "holds"
    if gain < 0 and 1 - difference.p < _TAIL:
        return "contradicted"
    return "not shown"


def _members(first, second, num_categories):
    """Checks that all errors are of the same images; returns the images of each category."""
    if not first or len(first) != len(second):
        raise ValueError(
            f"both rows must have the same seeds; got {len(first)} and {len(second)} networks"
        )
    category = np.asarray(first[0].category)
    for errors in (*first, *second):
        if not np.array_equal(errors.category, category):
            raise ValueError("all errors must be of the same images; their categories differ")
        if any(column is not None and len(column) != len(category) for column in errors):
            raise ValueError("the columns of errors must have one length")
    if not (category.size and category.min() >= 0 and category.max() < num_categories):
        raise ValueError(f"there must be images, of categories in [0, {num_categories})")
    members = (np.flatnonzero(category == c) for c in range(num_categories))
    return [own for own in members if own.size]


def _seeds(generator, per_seed, replicates):
    """Deviations of the mean over seeds, (replicates,); zero where there is one seed."""
    size = len(per_seed)
    if size == 1:
        return np.zeros(replicates)
    # Sorted, so that the order of the seeds does not matter.
    deviations = np.sort(per_seed) - math.fsum(per_seed) / size
    drawn = generator.integers(size, size=(replicates, size))
    # sqrt(S / (S - 1)) for the variance's bias, over sqrt(chi^2 / (S - 1)) for its uncertainty.
    widen = np.sqrt(size / generator.chisquare(size - 1, size=replicates))
    return widen * deviations[drawn].mean(axis=1)
