"""The figures of `catpose.metrics`, averaged as a protocol says and with their intervals."""

import math
from typing import Any

import numpy as np

from catpose import metrics
from catpose.evaluation import bootstrap


def summarize(
    table: metrics.Table,
    num_categories: int,
    *,
    average: str,
    named: bool = True,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> dict[str, dict[str, Any]]:
    """All figures of one evaluation.

    Args:
      table: one row an object, all of them counting.
      num_categories: length of the per-category lists.
      average: see `catpose.evaluation.protocols.AVERAGES`.
      named: whether the system names categories; else `cat_acc` and the gated accuracies are
        left out.
      replicates: resamples for the 95 % intervals; 0 for none.
      seed: of the resamples.

    Returns:
      By the names of `catpose.metrics.summarize` (`pose_err_deg`, `cat_acc`, `acc_30`, ...):
      "value" and "interval" (low, high), and of the figures that have them "per_category" and
      "per_category_interval", with None for a category without an object.
    """
    medians, means = _columns(table)
    if not named:
        means = {n: v for n, v in means.items() if n != "cat_acc" and not n.endswith("_gated")}
    each = metrics.summarize(table, num_categories)
    whole = each if average == "category" else _whole(table, average)
    spread = {}
    if replicates:
        spread = bootstrap.bootstrap(
            table.category,
            num_categories,
            medians=medians,
            means=means,
            average=average,
            replicates=replicates,
            seed=seed,
        )
    figures: dict[str, dict[str, Any]] = {}
    for name in (*medians, *means):
        figures[name] = {"value": whole[name]}
        if name in spread:
            figures[name]["interval"] = list(spread[name].overall)
        if f"{name}_per_category" in each:
            figures[name]["per_category"] = each[f"{name}_per_category"]
            if name in spread:
                figures[name]["per_category_interval"] = [
                    None if ends is None else list(ends) for ends in spread[name].per_category
                ]
    return figures


def _columns(table: metrics.Table) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """What `metrics.summarize` takes medians and means of, by the name of the figure."""
    error, azimuth = table.error_deg, table.azimuth_error_deg
    correct = table.predicted_category == table.category
    means = {"cat_acc": correct}
    for name, threshold_deg in metrics.THRESHOLDS_DEG.items():
        means[f"acc_{name}"] = error < threshold_deg
        means[f"acc_{name}_gated"] = (error < threshold_deg) & correct
    means["aaai"] = 1 - error / 180
    for name in ("22_5", "45"):
        means[f"azimuth_acc_{name}"] = azimuth < metrics.THRESHOLDS_DEG[name]
    means["azimuth_aaai"] = 1 - azimuth / 180
    return {"pose_err_deg": error, "azimuth_err_deg": azimuth}, means


def _whole(table: metrics.Table, average: str) -> dict[str, Any]:
    """The figures of "instance" and "weighted"."""
    correct = table.predicted_category == table.category
    # All objects as if of one category, 0; 1 is a wrong one.
    pooled = metrics.summarize(
        table._replace(
            category=np.zeros(len(correct), np.int64), predicted_category=np.where(correct, 0, 1)
        ),
        1,
    )
    if average == "weighted":
        # A weighted mean of shares is the share of all objects; only medians differ.
        for name, values in (
            ("pose_err_deg", table.error_deg),
            ("azimuth_err_deg", table.azimuth_error_deg),
        ):
            categories, sizes = np.unique(table.category, return_counts=True)
            medians = [np.median(values[table.category == c]) for c in categories]
            pooled[name] = math.fsum(sizes * medians) / len(values)
    return pooled
