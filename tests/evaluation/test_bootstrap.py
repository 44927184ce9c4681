"""Bootstrap intervals against exact laws, and their coverage on simulated predictions."""

import math
import time

import numpy as np
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

from catpose.data import labels, predictions
from catpose.evaluation import bootstrap, protocols, score

OWN = protocols.PROTOCOLS["catpose"]
approx = pytest.approx


def resampled(values, kind, category=None, average="category", **options):
    values = np.asarray(values, float)
    category = np.zeros(len(values), int) if category is None else category
    return bootstrap.bootstrap(
        category, int(category.max()) + 1, {"x": (values, kind)}, average=average, **options
    )["x"]


def test_a_share_follows_the_binomial():
    """Of n draws with replacement from k ones in n, the ones are binomial."""
    values = np.arange(200) < 60
    low, high = resampled(values, "mean", replicates=20000)["interval"]
    exact = stats.binom.ppf([0.025, 0.975], 200, 0.3) / 200
    assert [low, high] == approx(exact.tolist(), abs=1.01 / 200)


def test_a_median_follows_the_order_statistics():
    """The median of 2m - 1 draws is below rank k with probability I_{k/n}(m, m)."""
    low, high = resampled(np.arange(201), "median", replicates=20000)["interval"]
    exact = 201 * stats.beta.ppf([0.025, 0.975], 101, 101)
    assert [low, high] == approx(exact.tolist(), abs=1.5)


def test_categories_are_resampled_apart():
    category = np.repeat([0, 1], [30, 3])
    values = np.concatenate([np.linspace(0, 1, 30), [50, 50, 50]])
    result = resampled(values, "mean", category)
    assert result["per_category_interval"][1] == [50.0, 50.0]
    one = resampled(values[:30], "mean")
    # The second category moves the mean, and adds no width.
    width = one["interval"][1] - one["interval"][0]
    assert result["interval"][1] - result["interval"][0] == approx(width / 2, rel=0.1)
    weighted = resampled(values, "mean", category, average="weighted")["interval"]
    assert weighted[1] - weighted[0] == approx(width * 30 / 33, rel=0.1)
    # Where one category has all the variance, its own order statistics are the interval.
    result = resampled(values, "median", category)
    assert [2 * end - 50 for end in result["interval"]] == approx(
        result["per_category_interval"][0]
    )
    # Pooled, the median is among the thirty.
    low, high = resampled(values, "median", category, average="instance")["interval"]
    assert 0.2 < low < np.median(values) < high < 0.9


def test_a_seed_gives_the_same_intervals_and_chunks_do_not_matter(monkeypatch):
    values = np.random.default_rng(6).exponential(size=50)
    whole = resampled(values, "median")
    assert resampled(values, "median") == whole
    assert resampled(values, "median", seed=1) != whole
    monkeypatch.setattr(bootstrap, "_AT_ONCE", 50 * 7)
    pieces = resampled(values, "median")
    assert pieces["interval"] == approx(whole["interval"], rel=0.1)


def test_the_width_of_a_mean_of_small_medians():
    """Against the true spread of twelve medians' mean, from 20 000 fresh samples of each."""
    generator = np.random.default_rng(10)
    category = np.repeat(np.arange(12), 21)
    spread = np.median(generator.exponential(size=(20000, 12, 21)), axis=2).mean(1).std()
    widths = []
    for seed in range(100):
        values = generator.exponential(size=category.size)
        low, high = resampled(values, "median", category, replicates=300, seed=seed)["interval"]
        widths.append(high - low)
    # Without the correction it is 1.15.
    assert np.mean(widths) / (2 * 1.96 * spread) == approx(1.0, abs=0.06)


@pytest.fixture(scope="module")
def real(data_dir):
    """The labels of the 2108 objects."""
    path = data_dir / "pascal3d" / "voc12val_easy_2108.csv"
    if not path.is_file():
        pytest.skip("no pascal3d/voc12val_easy_2108.csv in CATPOSE_DATA")
    return labels.read(path)


def simulated(truth, error_deg, seed, category=None):
    """Predictions with these errors about random axes, of the right categories unless given."""
    axis = np.random.default_rng(seed).normal(size=(len(error_deg), 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    turn = Rotation.from_rotvec(np.radians(error_deg)[:, None] * axis)
    rotation = (Rotation.from_matrix(truth.rotation) * turn).as_matrix()
    category = truth.category if category is None else category
    named = np.array(truth.categories)[category]
    return predictions.checked(truth.id, rotation, category=named)


@pytest.mark.parametrize("average", ["category", "weighted", "instance"])
def test_intervals_surround_the_metrics(real, average):
    generator = np.random.default_rng(7)
    error = generator.exponential(20, 2108) % 180
    category = np.where(generator.random(2108) < 0.4, 0, real.category)
    protocol = OWN._replace(average=average)
    found = simulated(real, error, 0, category)
    result = score.score(real, found, protocol, replicates=200)
    for name, figure in result.metrics.items():
        low, high = figure["interval"]
        assert low <= figure["value"] <= high, name
        values = figure.get("per_category", [])
        ends = figure.get("per_category_interval", [])
        for value, (low, high) in zip(values, ends, strict=True):
            assert low - 1e-12 <= value <= high + 1e-12, name


def test_a_thousand_resamples_of_two_thousand_objects_are_fast(real):
    error = np.random.default_rng(7).exponential(20, 2108) % 180
    found = simulated(real, error, 0)
    score.score(real, found, OWN, replicates=2)
    began = time.process_time()
    score.score(real, found, OWN, replicates=1000)
    assert time.process_time() - began < 2


LAWS = {
    # By category, from the easiest to the hardest: median error and share of wrong sides.
    "rayleigh": (np.linspace(4, 30, 12), np.zeros(12)),
    "two humps": (np.linspace(4, 30, 12), np.linspace(0.02, 0.25, 12)),
}


def law(name):
    """Draws errors by category, and their true medians: a Rayleigh law, a share near 180 deg."""
    scale, flipped = LAWS[name]
    scale = np.random.default_rng(8).permutation(scale) / math.sqrt(2 * math.log(2))
    # Below 90 degrees the distribution is (1 - flipped) times the Rayleigh's.
    median = scale * np.sqrt(-2 * np.log1p(-0.5 / (1 - flipped)))

    def draw(generator, category):
        size = len(category)
        error = np.minimum(scale[category] * np.sqrt(-2 * np.log1p(-generator.random(size))), 180)
        back = 180 - 10 * generator.random(size)
        return np.where(generator.random(size) < flipped[category], back, error)

    return draw, float(median.mean())


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_intervals_cover_the_true_value(real, name):
    """2000 simulations on the real labels; the whole way from rotations to the interval."""
    draw, expected = law(name)
    generator = np.random.default_rng(9)
    inside = 0
    for seed in range(2000):
        found = simulated(real, draw(generator, real.category), seed)
        result = score.score(real, found, OWN, replicates=400, seed=seed)
        low, high = result.metrics["pose_err_deg"]["interval"]
        inside += low <= expected <= high
    print(f"coverage, {name}: {inside / 2000:.4f}")
    assert 0.93 <= inside / 2000 <= 0.97
