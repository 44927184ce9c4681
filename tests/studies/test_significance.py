"""Paired differences against exact laws, scipy's paired tests, and simulated training runs."""

import time

import numpy as np
import pytest
from scipy import stats

from catpose import metrics
from catpose.studies.paper import significance

approx = pytest.approx


FIGURES = ("pose_err_deg", "cat_acc", "acc_22_5", "acc_45", "aaai")


def outcome(category, error_deg=None, correct=None):
    """One trained network on the test images."""
    zeros = np.zeros(len(category))
    error_deg = zeros if error_deg is None else error_deg
    right = zeros if correct is None else correct
    predicted = np.where(np.asarray(right) > 0, category, -1)
    return metrics.Errors(category, predicted, error_deg, zeros)


def random_row(seed, category, num_seeds=3, right=0.8):
    generator = np.random.default_rng(seed)
    size = len(category)
    return [
        outcome(category, generator.exponential(20, size), generator.random(size) < right)
        for _ in range(num_seeds)
    ]


def constant_row(errors_deg):
    """The same error for every image: no variation but that of the seeds."""
    category = np.arange(6) % 2
    return [outcome(category, np.full(6, float(error))) for error in errors_deg]


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_those_of_metrics(figure):
    """Categories of odd and even sizes, one of a single image and one without any."""
    category = np.repeat([0, 1, 3, 4], [11, 24, 1, 7])
    first, second = random_row(0, category), random_row(1, category, right=0.5)
    result = significance.compare(first, second, figure, num_categories=5, replicates=50)
    expected = [
        metrics.summarize(a, 5)[figure]["value"] - metrics.summarize(b, 5)[figure]["value"]
        for a, b in zip(first, second, strict=True)
    ]
    assert result.per_seed == approx(expected, abs=1e-12)
    assert result.mean == approx(np.mean(expected), abs=1e-12)
    assert result.interval[0] < result.mean < result.interval[1]


@pytest.mark.parametrize("figure", FIGURES)
def test_equal_rows_show_nothing(figure):
    row = random_row(0, np.arange(60) % 4)
    result = significance.compare(row, row, figure, num_categories=4, replicates=200)
    assert result.mean == 0
    assert result.interval == (0, 0)
    assert result.p == 101 / 201  # all are ties
    assert significance.verdict(result, figure) == "no difference"


def test_a_constant_shift_is_found_in_every_replicate():
    """Only in pairs: images and seeds differ much more than the rows do."""
    generator = np.random.default_rng(0)
    category = np.arange(50) % 3
    errors = [generator.integers(10 * s, 100, size=50) for s in range(1, 4)]
    row = [outcome(category, error.astype(float)) for error in errors]
    shifted = [outcome(category, error + 2.0) for error in errors]
    worse = significance.compare(shifted, row, "pose_err_deg", num_categories=3, replicates=400)
    assert worse == (2, (2, 2), 1, (2, 2, 2))
    assert significance.verdict(worse, "pose_err_deg") == "contradicted"
    better = significance.compare(row, shifted, "pose_err_deg", num_categories=3, replicates=400)
    assert better == (-2, (-2, -2), 1 / 401, (-2, -2, -2))
    assert significance.verdict(better, "pose_err_deg") == "holds"


def test_higher_is_better_for_accuracies():
    category = np.arange(40) % 4
    row = [outcome(category, correct=np.full(40, right)) for right in (True, False)]
    result = significance.compare(row[:1], row[1:], "cat_acc", num_categories=4, replicates=100)
    assert result == (1, (1, 1), 1 / 101, (1,))
    assert significance.verdict(result, "cat_acc") == "holds"
    result = significance.compare(row[1:], row[:1], "cat_acc", num_categories=4, replicates=100)
    assert significance.verdict(result, "cat_acc") == "contradicted"


@pytest.mark.parametrize(
    ("mean", "p", "expected"),
    [
        (0.1, 0.02, "holds"),
        (0.1, 0.03, "not shown"),
        (-0.1, 0.97, "not shown"),
        (-0.1, 0.98, "contradicted"),
        (-0.1, 0.02, "not shown"),
        (0.1, 0.98, "not shown"),
    ],
)
def test_verdicts(mean, p, expected):
    difference = significance.Difference(mean, (mean, mean), p, (mean,))
    assert significance.verdict(difference, "cat_acc") == expected
    assert significance.verdict(difference._replace(mean=-mean), "pose_err_deg") == expected


def test_images_against_scipy():
    """One seed and one category: the mean of paired differences."""
    first, second = (random_row(i, np.zeros(300, int), 1, 0.7 + 0.04 * i) for i in (0, 1))
    one, other = (metrics.values("cat_acc", row[0])[0] for row in (first, second))
    result = significance.compare(first, second, "cat_acc", num_categories=1, replicates=20000)
    expected = stats.bootstrap(
        (one, other),
        lambda a, b, axis: np.mean(a, axis) - np.mean(b, axis),
        paired=True,
        vectorized=True,
        n_resamples=20000,
        method="percentile",
        rng=np.random.default_rng(2),
    ).confidence_interval
    assert result.mean == approx(one.mean() - other.mean())
    assert result.interval == approx(tuple(expected), abs=2 / 300)
    t_test = stats.ttest_rel(one, other, alternative="greater")
    assert result.p == approx(t_test.pvalue, abs=0.015)


def test_categories_are_resampled_apart_and_count_alike():
    """The variance of a mean of shares: sum of p (1 - p) / n over the squared number."""
    sizes, right = np.array([400, 25, 1]), np.array([200, 5, 1])
    category = np.repeat([0, 1, 2], sizes)
    correct = np.concatenate([np.arange(n) < k for n, k in zip(sizes, right, strict=True)])
    first, second = [outcome(category, correct=correct)], [outcome(category)]
    result = significance.compare(first, second, "cat_acc", num_categories=3, replicates=20000)
    share = right / sizes
    spread = np.sqrt(np.sum(share * (1 - share) / sizes)) / 3
    assert result.mean == approx(share.mean())
    assert np.subtract(*result.interval[::-1]) == approx(2 * 1.96 * spread, rel=0.04)


@pytest.mark.parametrize(("num_seeds", "gain", "tolerance"), [(3, 6, 0.15), (10, 1, 0.06)])
def test_seeds_against_the_t_test(num_seeds, gain, tolerance):
    generator = np.random.default_rng(3)
    errors = generator.uniform(10, 20, size=(2, num_seeds))
    errors[0] -= gain
    first, second = (constant_row(e) for e in errors)
    result = significance.compare(first, second, "pose_err_deg", num_categories=2, replicates=20000)
    t_test = stats.ttest_rel(*errors, alternative="two-sided")
    expected = t_test.confidence_interval(0.95)
    assert result.mean == approx(np.mean(errors[0] - errors[1]))
    width, exact = (high - low for low, high in (result.interval, expected))
    assert width == approx(exact, rel=tolerance)
    less = stats.ttest_rel(*errors, alternative="less").pvalue
    assert 0.005 < less < 0.2
    assert result.p == approx(less, rel=0.3)


def test_one_seed_says_nothing_about_seeds():
    result = significance.compare(
        constant_row([20]), constant_row([21]), "pose_err_deg", num_categories=2
    )
    assert result.interval == (-1, -1)


@pytest.mark.parametrize("figure", FIGURES)
def test_the_order_of_seeds_and_rows(figure):
    category = np.arange(90) % 5
    first, second = random_row(0, category), random_row(1, category)
    result = significance.compare(first, second, figure, num_categories=5, replicates=300)
    turned = significance.compare(
        [first[i] for i in (2, 0, 1)],
        [second[i] for i in (2, 0, 1)],
        figure,
        num_categories=5,
        replicates=300,
    )
    assert turned.mean == result.mean
    assert turned.interval == approx(result.interval, abs=1e-12)
    assert turned.p == result.p
    # The other way round everything changes its sign, whatever the seeds' deviations drawn are.
    many = {"num_categories": 5, "replicates": 4000}
    result = significance.compare(first, second, figure, **many)
    swapped = significance.compare(second, first, figure, **many)
    width = result.interval[1] - result.interval[0]
    assert swapped.mean == approx(-result.mean)
    assert swapped.interval == approx((-result.interval[1], -result.interval[0]), abs=0.1 * width)
    assert swapped.p == approx(1 - result.p, abs=0.03)


def test_a_seed_gives_the_same_result():
    category = np.arange(90) % 5
    rows = random_row(0, category), random_row(1, category)
    result = significance.compare(*rows, "cat_acc", num_categories=5)
    assert significance.compare(*rows, "cat_acc", num_categories=5) == result
    assert significance.compare(*rows, "cat_acc", num_categories=5, seed=1) != result


def verdicts(figure, count, *, seeds, images, shift=0.0):
    """Verdicts on simulated rows; the first one is better by the shift, else they have one law.

    An image is the easier, the lower the sum of normal terms: one of the row and seed, one of the
    row and image, one of unit spread of all three. Three seeds, four categories of 25 images.
    """
    generator = np.random.default_rng(11)
    category = np.repeat(np.arange(4), 25)

    def row(shift):
        hard = seeds * generator.normal(size=(3, 1)) + images * generator.normal(size=100)
        hard = hard + generator.normal(size=(3, 100)) + shift
        return [outcome(category, 20 + h, h < 0.5) for h in hard]

    found = []
    for i in range(count):
        result = significance.compare(
            row(-shift), row(0.0), figure, num_categories=4, replicates=400, seed=i
        )
        found.append(significance.verdict(result, figure))
    return found


def share(found, *names):
    return np.isin(found, names).mean()


@pytest.mark.parametrize(
    ("seeds", "images", "low", "high"),
    [
        # A bootstrap of three seeds as they are is wrong in 25 %, one that is widened in 19 %.
        (1.0, 0.0, 0.02, 0.07),
        # A t-test over the seeds alone is wrong in more than 30 %.
        (0.0, 2.0, 0.005, 0.05),
        (0.15, 0.5, 0.0, 0.05),
    ],
)
def test_equal_ways_of_training_are_rarely_told_apart(seeds, images, low, high):
    found = verdicts("cat_acc", 300, seeds=seeds, images=images)
    assert low <= share(found, "holds", "contradicted") <= high


def test_medians_of_equal_ways_of_training():
    found = verdicts("pose_err_deg", 40, seeds=1.0, images=0.0)
    assert share(found, "holds", "contradicted") <= 0.1


def test_a_clear_difference_is_found():
    found = verdicts("cat_acc", 100, seeds=0.05, images=0.5, shift=1.5)
    assert share(found, "holds") >= 0.85
    found = verdicts("cat_acc", 100, seeds=0.05, images=0.5, shift=-1.5)
    assert share(found, "contradicted") >= 0.85


@pytest.mark.parametrize("figure", FIGURES)
def test_the_size_of_a_results_page_is_fast(figure):
    category = np.arange(2400) % 12
    rows = random_row(0, category), random_row(1, category)
    began = time.process_time()
    significance.compare(*rows, figure, num_categories=12)
    assert time.process_time() - began < 3


CATEGORY = np.arange(6) % 2
GOOD = outcome(CATEGORY)


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ([], [], "same seeds"),
        ([GOOD, GOOD], [GOOD], "got 2 and 1"),
        ([GOOD], [outcome(CATEGORY[::-1])], "same images"),
        ([GOOD, outcome(CATEGORY[:5])], [GOOD, GOOD], "same images"),
        ([GOOD], [GOOD._replace(error_deg=np.zeros(5))], "one length"),
        ([GOOD], [GOOD._replace(error_deg=np.full(6, np.nan))], "finite"),
        ([outcome(CATEGORY + 1)], [outcome(CATEGORY + 1)], r"in \[0, 2\)"),
        ([outcome(CATEGORY - 1)], [outcome(CATEGORY - 1)], r"in \[0, 2\)"),
        ([outcome(CATEGORY[:0])], [outcome(CATEGORY[:0])], "must be images"),
    ],
)
def test_wrong_outcomes(first, second, message):
    with pytest.raises(ValueError, match=message):
        significance.compare(first, second, "pose_err_deg", num_categories=2)


def test_an_unknown_figure():
    with pytest.raises(ValueError, match="there are pose_err_deg, cat_acc"):
        significance.compare([GOOD], [GOOD], "acc", num_categories=2)
