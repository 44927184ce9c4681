"""Errors and accuracies over a whole evaluation set, on the host in float64.

Evaluation keeps one row per example in a `Table`, merges the tables of its batches and summarizes
once, so no figure depends on how the set was cut into batches. Conventions:

- A figure without a suffix is the mean over categories of a per-category figure. Categories with
  no rows are None in the per-category list and left out of the mean.
- pose-err is the per-category median; the median of an even number is the mean of the middle two.
- Thresholds are strict (`error < 30`) and accuracies are fractions.
- "_gated" accuracies also ask for the right category; "_instance" figures are over all rows.
- Rows with weight 0 (padding) never count, all others count once.
- Sums are exact (`math.fsum`), so the order of the rows cannot change the last digit.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

THRESHOLDS_DEG = {"10": 10.0, "15": 15.0, "22_5": 22.5, "30": 30.0, "45": 45.0}


class Table(NamedTuple):
    """Per-example results, every column of shape (rows,).

    Attributes:
      category: true category, int.
      predicted_category: most probable category, int.
      error_deg: geodesic distance to the true rotation, degrees in [0, 180].
      azimuth_error_deg: difference of the azimuths in degrees; wrapped when summarized.
      weight: 0 for padding, else 1.
    """

    category: np.ndarray
    predicted_category: np.ndarray
    error_deg: np.ndarray
    azimuth_error_deg: np.ndarray
    weight: np.ndarray


def merge(tables: Sequence[Table]) -> Table:
    """Rows of several tables in one, in the given order.

    Args:
      tables: at least one table; columns may be device arrays.

    Returns:
      The concatenated table, in numpy.
    """
    return Table(
        *(np.concatenate([np.asarray(c) for c in columns]) for columns in zip(*tables, strict=True))
    )


def azimuth_difference_deg(azimuth_deg, target_azimuth_deg) -> np.ndarray:
    """Smallest angle between two azimuths.

    Args:
      azimuth_deg: degrees, any value.
      target_azimuth_deg: degrees, any value.

    Returns:
      Degrees in [0, 180].
    """
    difference = np.abs(
        np.asarray(azimuth_deg, np.float64) - np.asarray(target_azimuth_deg, np.float64)
    )
    difference = difference % 360.0
    return np.asarray(np.minimum(difference, 360.0 - difference))


def summarize(table: Table, num_categories: int) -> dict:
    """All figures of one evaluation.

    Args:
      table: the merged rows.
      num_categories: length of the per-category lists.

    Returns:
      A dict of floats, lists and None (a figure without any row), ready for JSON:
      `pose_err_deg` (degrees), `cat_acc`, `acc_10` to `acc_45` and `acc_10_gated` to
      `acc_45_gated`, each with a `_per_category` list; `aaai` (mean of 1 - error / 180),
      `azimuth_aaai`, `azimuth_err_deg` (median), `azimuth_acc_22_5` and `azimuth_acc_45`;
      `pose_err_deg_instance` and `cat_acc_instance`; `num_images`.

    Raises:
      ValueError: if a category that counts is outside [0, num_categories), or the columns differ
        in length.

    Reference: sections 3.3 and 4.4 of the paper, Tables 5 and 7.
    """
    lengths = {name: len(column) for name, column in table._asdict().items()}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"the columns of a table must have one length; got {lengths}")
    counts = np.asarray(table.weight) > 0
    category = np.asarray(table.category)[counts]
    correct = np.asarray(table.predicted_category)[counts] == category
    error = np.asarray(table.error_deg, np.float64)[counts]
    azimuth_error = azimuth_difference_deg(np.asarray(table.azimuth_error_deg)[counts], 0.0)
    rows = _rows_per_category(category, num_categories)

    summary = {}

    def add(name, values, statistic, per_category=True):
        figures = [statistic(values[r]) if r.size else None for r in rows]
        summary[name] = _mean_of_present(figures)
        if per_category:
            summary[f"{name}_per_category"] = figures

    add("pose_err_deg", error, _median)
    add("cat_acc", correct, _mean)
    for name, threshold_deg in THRESHOLDS_DEG.items():
        add(f"acc_{name}", error < threshold_deg, _mean)
        add(f"acc_{name}_gated", (error < threshold_deg) & correct, _mean)
    add("aaai", 1 - error / 180, _mean, per_category=False)
    add("azimuth_err_deg", azimuth_error, _median, per_category=False)
    add("azimuth_aaai", 1 - azimuth_error / 180, _mean, per_category=False)
    for name in ("22_5", "45"):
        below = azimuth_error < THRESHOLDS_DEG[name]
        add(f"azimuth_acc_{name}", below, _mean, per_category=False)
    summary["pose_err_deg_instance"] = _median(error) if error.size else None
    summary["cat_acc_instance"] = _mean(correct) if correct.size else None
    summary["num_images"] = int(error.size)
    return summary


def topk(
    error_deg_per_network: np.ndarray,
    probabilities: np.ndarray,
    category: np.ndarray,
    weight: np.ndarray,
    ks: Sequence[int] = (1, 2, 3),
) -> dict:
    """Errors when the category network may name k categories.

    The pose error of an example is the least among the pose networks of its k most probable
    categories; its category is right if it is among them. Of equally probable categories the one
    with the lower index comes first.

    Args:
      error_deg_per_network: geodesic distance of each of the K pose networks' poses to the true
        rotation, (N, K), degrees.
      probabilities: of the K categories, (N, K); logits do as well.
      category: true category, (N,), int.
      weight: 0 for rows that do not count, (N,).
      ks: how many categories may be named.

    Returns:
      `{"top1": {"cat_acc": ..., "pose_err_deg": ...}, "top2": ..., "gt": ...}`, class means as in
      `summarize`; "gt" takes the pose network of the true category.

    Raises:
      ValueError: if a category that counts is outside [0, K).

    Reference: section 4.4 and Table 13 of the paper.
    """
    counts = np.asarray(weight) > 0
    error = np.asarray(error_deg_per_network, np.float64)[counts]
    category = np.asarray(category)[counts]
    rows = _rows_per_category(category, error.shape[1])
    order = np.argsort(-np.asarray(probabilities)[counts], axis=1, kind="stable")

    def figures(named):
        least = np.min(np.take_along_axis(error, named, axis=1), axis=1)
        correct = np.any(named == category[:, None], axis=1)
        return {
            "cat_acc": _mean_of_present([_mean(correct[r]) if r.size else None for r in rows]),
            "pose_err_deg": _mean_of_present([_median(least[r]) if r.size else None for r in rows]),
        }

    result = {f"top{k}": figures(order[:, :k]) for k in ks}
    result["gt"] = figures(category[:, None])
    return result


def _rows_per_category(category, num_categories):
    if category.size and not (category.min() >= 0 and category.max() < num_categories):
        raise ValueError(
            f"categories must be in [0, {num_categories}); got {category.min()} to {category.max()}"
        )
    return [np.flatnonzero(category == c) for c in range(num_categories)]


def _mean(values):
    return math.fsum(values) / len(values)


def _median(values):
    return float(np.median(values))


def _mean_of_present(figures):
    present = [figure for figure in figures if figure is not None]
    return _mean(present) if present else None
