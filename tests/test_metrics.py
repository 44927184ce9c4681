"""metrics against hand-worked tables and loops over the rows in plain Python (statistics)."""

import json
import statistics

import hypothesis
import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import strategies as st

from catpose import metrics

NUM_CATEGORIES = 4

NAMES = {
    "pose_err_deg",
    "cat_acc",
    "aaai",
    "azimuth_aaai",
    "azimuth_err_deg",
    "azimuth_acc_22_5",
    "azimuth_acc_45",
} | {
    f"acc_{threshold}{gated}"
    for threshold in ("10", "15", "22_5", "30", "45")
    for gated in ("", "_gated")
}


OF_CERTAINTY = {"nll", "pose_nll", "ece", "pose_ece", "coverage_90", "volume_90"}


def errors(rows):
    """Errors from rows of (category, predicted, error, azimuth error)."""
    columns = list(zip(*rows, strict=True)) or [()] * 4
    dtypes = (np.int32, np.int32, np.float64, np.float64)
    return metrics.Errors(*(np.array(c, d) for c, d in zip(columns, dtypes, strict=True)))


def summarize(rows, num_categories=NUM_CATEGORIES, **options):
    """As a report has it: the values, and the lists of each category."""
    found = metrics.summarize(errors(rows), num_categories, **options)
    lists = {f"{name}_per_category": metric["per_category"] for name, metric in found.items()}
    return {name: metric["value"] for name, metric in found.items()} | lists


def brute_force(rows, num_categories):
    """Every metric from its definition, row by row."""
    columns = {
        "pose_err_deg": (statistics.median, lambda r: r[2]),
        "cat_acc": (statistics.fmean, lambda r: r[0] == r[1]),
        "aaai": (statistics.fmean, lambda r: 1 - r[2] / 180),
        "azimuth_aaai": (statistics.fmean, lambda r: 1 - r[3] / 180),
        "azimuth_err_deg": (statistics.median, lambda r: r[3]),
        "azimuth_acc_22_5": (statistics.fmean, lambda r: r[3] < 22.5),
        "azimuth_acc_45": (statistics.fmean, lambda r: r[3] < 45),
    }
    for name, limit in [("10", 10), ("15", 15), ("22_5", 22.5), ("30", 30), ("45", 45)]:
        columns[f"acc_{name}"] = (statistics.fmean, lambda r, limit=limit: r[2] < limit)
        columns[f"acc_{name}_gated"] = (
            statistics.fmean,
            lambda r, limit=limit: r[2] < limit and r[0] == r[1],
        )
    result = {}
    for name, (statistic, value) in columns.items():
        of_category = [
            [value(row) for row in rows if row[0] == category] for category in range(num_categories)
        ]
        figures = [statistic(values) if values else None for values in of_category]
        present = [figure for figure in figures if figure is not None]
        result[name] = statistics.fmean(present) if present else None
        result[f"{name}_per_category"] = figures
    return result


def approx(expected):
    if isinstance(expected, list):
        return [approx(value) for value in expected]
    return expected if expected is None else pytest.approx(expected, rel=1e-12, abs=1e-12)


def random_rows(seed, count=200):
    generator = np.random.default_rng(seed)
    return [
        (
            int(generator.integers(0, NUM_CATEGORIES - 1)),  # the last category has no row
            int(generator.integers(0, NUM_CATEGORIES)),
            float(generator.uniform(0, 90)),
            float(generator.uniform(0, 180)),
        )
        for _ in range(count)
    ]


# ---- hand-worked ----


def test_by_hand():
    rows = [
        (0, 0, 10.0, 10.0),
        (0, 1, 20.0, 5.0),
        (0, 0, 40.0, 160.0),
        (0, 0, 60.0, 45.0),
        (2, 2, 30.0, 0.0),
    ]
    summary = summarize(rows, 3)
    assert set(metrics.METRICS) == NAMES | OF_CERTAINTY
    assert not OF_CERTAINTY & set(summary)  # of systems that do not say it
    pooled = summarize(rows, 3, average="instance")
    # Category 0: the median of 10, 20, 40, 60 is 30; category 1 is absent.
    assert summary["pose_err_deg_per_category"] == [30.0, None, 30.0]
    assert summary["pose_err_deg"] == 30.0
    assert pooled["pose_err_deg"] == 30.0
    assert summary["cat_acc_per_category"] == [0.75, None, 1.0]
    assert summary["cat_acc"] == 0.875
    assert pooled["cat_acc"] == 0.8
    assert summary["acc_10"] == 0.0  # 10 is not below 10
    assert summary["acc_15_per_category"] == [0.25, None, 0.0]
    assert summary["acc_30_per_category"] == [0.5, None, 0.0]  # nor is 30 below 30
    assert summary["acc_30_gated_per_category"] == [0.25, None, 0.0]
    assert summary["acc_30"] == 0.25
    assert summary["acc_30_gated"] == 0.125
    assert summary["acc_45"] == (0.75 + 1.0) / 2
    assert summary["aaai"] == pytest.approx(((1 - 130 / 4 / 180) + (1 - 30 / 180)) / 2)
    # Azimuth errors 10, 5, 160, 45: median 27.5.
    assert summary["azimuth_err_deg"] == (27.5 + 0.0) / 2
    assert summary["azimuth_acc_22_5"] == (0.5 + 1.0) / 2
    assert summary["azimuth_acc_45"] == (0.5 + 1.0) / 2
    assert summary["azimuth_aaai"] == pytest.approx(((1 - 220 / 4 / 180) + 1) / 2)


def test_class_mean_is_not_the_instance_mean():
    rows = [(0, 0, 1.0, 0.0)] * 9 + [(1, 0, 101.0, 0.0)]
    summary, pooled = (summarize(rows, 2, average=how) for how in ("category", "instance"))
    assert summary["pose_err_deg"] == 51.0
    assert pooled["pose_err_deg"] == 1.0
    assert summary["cat_acc"] == 0.5
    assert pooled["cat_acc"] == 0.9


def test_no_rows_at_all():
    for average in ("category", "weighted", "instance"):
        summary = summarize([], 2, average=average)
        assert summary["pose_err_deg"] is None
        assert summary["acc_30_per_category"] == [None, None]
        assert summary["cat_acc"] is None


def test_a_diverged_network_is_visible():
    summary = summarize([(0, 0, float("nan"), 0.0), (1, 1, 1.0, 0.0)], 2)
    assert np.isnan(summary["pose_err_deg"])
    assert summary["acc_30"] == 0.5


def test_summary_is_json():
    summary = metrics.summarize(errors(random_rows(0)), NUM_CATEGORIES)
    assert json.loads(json.dumps(summary)) == summary


@pytest.mark.parametrize("category", [-1, 3])
def test_categories_out_of_range_are_refused(category):
    with pytest.raises(ValueError, match=r"categories must be in \[0, 3\)"):
        summarize([(category, 0, 1.0, 0.0), (1, 0, 1.0, 0.0)], 3)


def test_columns_of_unequal_length_are_refused():
    columns = errors(random_rows(1))
    with pytest.raises(ValueError, match="one length"):
        metrics.summarize(columns._replace(error_deg=columns.error_deg[1:]), NUM_CATEGORIES)


@pytest.mark.parametrize(
    ("a", "b", "want"), [(0, 0, 0), (350, 10, 20), (10, 350, 20), (0, 180, 180), (-170, 170, 20)]
)
def test_azimuth_difference(a, b, want):
    assert metrics.azimuth_difference_deg(a, b) == want
    assert metrics.azimuth_difference_deg(a + 720, b) == want


# ---- against brute force, and invariances ----


@pytest.mark.parametrize("seed", range(5))
def test_summary_matches_brute_force(seed):
    rows = random_rows(seed)
    summary = summarize(rows)
    for name, want in brute_force(rows, NUM_CATEGORIES).items():
        assert summary[name] == approx(want), name


row = st.tuples(
    st.integers(0, NUM_CATEGORIES - 1),
    st.integers(0, NUM_CATEGORIES - 1),
    st.one_of(st.floats(0, 180), st.sampled_from([10.0, 15.0, 22.5, 30.0, 45.0])),
    st.floats(0, 180),
)
quick = hypothesis.settings(max_examples=60, deadline=None)


@quick
@hypothesis.given(st.lists(row, min_size=1, max_size=12))
def test_small_tables_match_brute_force(rows):
    summary = summarize(rows)
    for name, want in brute_force(rows, NUM_CATEGORIES).items():
        assert summary[name] == approx(want), name


@quick
@hypothesis.given(st.lists(row, min_size=1, max_size=30), st.randoms(use_true_random=False))
def test_order_changes_nothing_at_all(rows, random):
    want = summarize(rows)
    shuffled = list(rows)
    random.shuffle(shuffled)
    assert summarize(shuffled) == want


def test_order_does_not_change_the_last_digit():
    rows = random_rows(4, 1000)
    want = summarize(rows)
    assert summarize(rows[::-1]) == want
    assert summarize(sorted(rows)) == want


# ---- top-k ----


def test_topk_by_hand():
    error = np.array([[5.0, 50.0, 1.0], [7.0, 9.0, 30.0]])
    probabilities = np.array([[0.5, 0.3, 0.2], [0.2, 0.3, 0.5]])
    result = metrics.topk(error, probabilities, np.array([1, 1]))
    assert result == {
        "top1": {"cat_acc": 0.0, "pose_err_deg": (5.0 + 30.0) / 2},
        "top2": {"cat_acc": 1.0, "pose_err_deg": (5.0 + 9.0) / 2},
        "top3": {"cat_acc": 1.0, "pose_err_deg": (1.0 + 7.0) / 2},
        "gt": {"cat_acc": 1.0, "pose_err_deg": (50.0 + 9.0) / 2},
    }


def test_topk_ties_go_to_the_lower_index():
    error = np.array([[1.0, 2.0, 3.0, 4.0]])
    result = metrics.topk(error, np.full((1, 4), 0.25), np.array([2]))
    assert [result[f"top{k}"]["cat_acc"] for k in (1, 2, 3)] == [0.0, 0.0, 1.0]
    assert result["top1"]["pose_err_deg"] == 1.0


def topk_brute_force(error, probabilities, category, k):
    correct, least = {}, {}
    for e, p, c in zip(error, probabilities, category, strict=True):
        ranked = sorted(range(len(p)), key=lambda i: (-p[i], i))
        named = [c] if k == "gt" else ranked[:k]
        correct.setdefault(c, []).append(c in named)
        least.setdefault(c, []).append(min(e[i] for i in named))
    return {
        "cat_acc": statistics.fmean(statistics.fmean(x) for x in correct.values()),
        "pose_err_deg": statistics.fmean(statistics.median(x) for x in least.values()),
    }


@quick
@hypothesis.given(st.data(), st.integers(1, 15), st.randoms(use_true_random=False))
def test_topk_matches_brute_force_in_any_order(data, count, random):
    shape = (count, NUM_CATEGORIES)
    error = data.draw(hnp.arrays(np.float64, shape, elements=st.floats(0, 180)))
    probabilities = data.draw(
        hnp.arrays(np.float32, shape, elements=st.sampled_from([0.0, 0.25, 0.5, 1.0]))
    )
    category = data.draw(hnp.arrays(np.int32, count, elements=st.integers(0, NUM_CATEGORIES - 1)))
    result = metrics.topk(error, probabilities, category)
    for name, k in [("top1", 1), ("top2", 2), ("top3", 3), ("gt", "gt")]:
        want = topk_brute_force(error, probabilities, category.tolist(), k)
        for figure, value in want.items():
            assert result[name][figure] == approx(value), (name, figure)
    order = list(range(count))
    random.shuffle(order)
    shuffled = metrics.topk(error[order], probabilities[order], category[order])
    assert shuffled == result


def test_top1_agrees_with_the_summary():
    generator = np.random.default_rng(3)
    error, probabilities = generator.uniform(0, 180, (50, 4)), generator.random((50, 4))
    category = generator.integers(0, 4, 50)
    predicted = probabilities.argmax(axis=1)
    found = metrics.Errors(category, predicted, error[range(50), predicted], error[:, 0])
    summary = metrics.summarize(found, 4)
    top1 = metrics.topk(error, probabilities, category)["top1"]
    assert top1 == {name: summary[name]["value"] for name in ("cat_acc", "pose_err_deg")}


def test_calibration_by_hand():
    """Bins of 1/15: 0.62 and 0.65 are in one, 0.95 in another."""
    confidence = np.array([0.62, 0.65, 0.95, 0.95])
    error = np.array([10.0, 40.0, 5.0, 29.0])
    found = errors([(0, 0, error[0], 0), (0, 1, error[1], 0), (1, 1, error[2], 0), (1, 0, 29.0, 0)])
    found = found._replace(
        confidence=confidence,
        pose_confidence=confidence,
        log_density=np.array([1.0, 2.0, 3.0, 6.0]),
        pose_log_density=np.array([1.0, 3.0, 3.0, 7.0]),
        covered=np.array([True, True, False, True]),
        volume=np.array([0.1, 0.2, 0.4, 0.9]),
    )
    summary = metrics.summarize(found, 2)
    values = {name: own["value"] for name, own in summary.items()}
    assert values["ece"] == pytest.approx((2 * (0.635 - 0.5) + 2 * (0.95 - 0.5)) / 4)
    assert values["pose_ece"] == pytest.approx((2 * (0.635 - 0.5) + 2 * (1 - 0.95)) / 4)
    assert values["nll"] == -(1.5 + 4.5) / 2
    assert values["pose_nll"] == -(2 + 5) / 2
    assert values["coverage_90"] == 0.75
    assert summary["coverage_90"]["per_category"] == [1.0, 0.5]
    assert values["volume_90"] == pytest.approx(0.3)
    counts, means, right = metrics.reliability(confidence, error < 30)
    assert counts.tolist() == [0] * 9 + [2] + [0] * 4 + [2]
    assert (means[9], right[9], right[14]) == (pytest.approx(0.635), 0.5, 1.0)
    assert np.isnan(means[0])
