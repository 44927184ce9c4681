"""Our results in the layout of the paper's tables, and tests of its claims."""

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from catpose import metrics
from catpose.data import predictions
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.evaluation import score
from catpose.studies.paper import published, significance, stored, table_rows

_COMPARED = ("pose_err_deg", "acc_30")  # in tables that the paper does not have
# Blocks whose columns are metrics, not categories.
BLOCKS = {
    "full rotation": ("cat_acc", "acc_22_5", "acc_45", "aaai"),
    "azimuth": ("cat_acc", "azimuth_acc_22_5", "azimuth_acc_45", "azimuth_aaai"),
}


class Results(NamedTuple):
    """What has been trained and evaluated.

    Attributes:
      truth: the evaluated objects.
      predictions: by table row, one for each seed.
      absent: by table row, why there is none.
      orders: (K,) symmetries that errors respect; None for plain errors.
    """

    truth: Examples
    predictions: Mapping[str, Sequence[Predictions]]
    absent: Mapping[str, str]
    orders: np.ndarray | None = None


class Line(NamedTuple):
    """A row of a table as we have it.

    Attributes:
      labels: the paper's.
      ours: by seed and column; empty where there is none.
      absent: why there is none of ours.
    """

    labels: tuple[str, ...]
    ours: list[list[float]]
    absent: str


def scores(results: Results, table_row: table_rows.TableRow) -> list[score.Score]:
    """A table row's score of each seed."""
    return [
        score.by_fusion(results.truth, predictions.only(found, table_row.fusion), results.orders)[
            table_row.fusion
        ]
        for found in results.predictions[table_row.recipe.name]
    ]


def values(results: Results, table_row: table_rows.TableRow, block: str) -> list[list[float]]:
    """A table row's values, one list for each seed, a column each.

    Args:
      results: what there is.
      table_row: of which table row.
      block: the label of a metric for one value a category and their mean, or a key of `BLOCKS`.
    """
    found = [scored.metrics for scored in scores(results, table_row)]
    if block in BLOCKS:
        return [[own[name]["value"] for name in BLOCKS[block]] for own in found]
    name = metrics.by_label(block)
    return [[*own[name]["per_category"], own[name]["value"]] for own in found]


def _topk(results: Results, table_row: table_rows.TableRow, block: str) -> list[list[float]]:
    name = metrics.by_label(block)
    every = results.predictions[table_row.recipe.name]
    found = [score.topk(results.truth, own, results.orders) for own in every]
    return [[own[k][name] for k in ("top1", "top2", "top3", "gt")] for own in found]


def lines(results: Results, number: int, metric: str) -> list[Line]:
    """One block of a table."""
    read = _topk if number == 13 else values
    found = []
    for labels in published.TABLES[number].blocks[metric]:
        ours, absent = [], "the paper's only"
        if table_row := table_rows.TABLES[number].rows.get(labels):
            absent = results.absent.get(table_row.recipe.name, "")
            ours = [] if absent else read(results, table_row, metric)
        found.append(Line(labels, ours, absent))
    return found


class Judged(NamedTuple):
    """A claim of the paper with its test on our values.

    Attributes:
      number: of the table.
      claim: of the paper.
      difference: of the two rows; None where one is absent.
      verdict: of `significance.verdict`; "not tested" where a row is absent.
    """

    number: int
    claim: table_rows.Claim
    difference: significance.Difference | None
    verdict: str


def judge(results: Results, number: int) -> list[Judged]:
    """The claims that a table makes, tested on our values."""
    found = []
    table = table_rows.TABLES[number]
    for claim in table.claims:
        both = [table.rows[claim.better], table.rows[claim.worse]]
        difference, verdict = None, "not tested"
        if not any(table_row.recipe.name in results.absent for table_row in both):
            name = metrics.by_label(claim.metric)
            difference = significance.compare(
                *([scored.errors for scored in scores(results, table_row)] for table_row in both),
                name,
                num_categories=len(results.truth.categories),
            )
            verdict = significance.verdict(difference, name)
        found.append(Judged(number, claim, difference, verdict))
    return found


def store_table(results: Results, number: int) -> stored.Table:
    """A table as its page needs it."""
    blocks = {
        metric: [
            stored.Line(line.labels, *_over_seeds(line.ours), line.absent)
            for line in lines(results, number, metric)
        ]
        for metric in published.TABLES[number].blocks
    }
    claims = [
        stored.Claim(claim.text, claim.metric, verdict, *_tested(difference))
        for _, claim, difference, verdict in judge(results, number)
    ]
    return stored.Table(blocks, claims)


def store_representations(
    results: Results,
    rows: Mapping[str, table_rows.TableRow],
    costs: Mapping[str, tuple[int, float]],
) -> list[stored.Representation]:
    """A table that the paper does not have, best first.

    Args:
      results: what there is.
      rows: by label.
      costs: by row: parameters of its pose networks, and seconds of training a seed.
    """
    found = []
    for label, table_row in rows.items():
        if table_row.recipe.name in results.absent:
            continue
        every = scores(results, table_row)
        columns = [[scored.metrics[name]["value"] for name in _COMPARED] for scored in every]
        params, seconds = costs[table_row.recipe.name]
        both = zip(*_over_seeds(columns), strict=True)
        timed = seconds if math.isfinite(seconds) else None
        found.append(stored.Representation(label, *both, params, timed))
    return sorted(found, key=lambda row: row.pose_err_deg[0])


def _over_seeds(values: list[list[float]]) -> tuple[list[float], list[float | None]]:
    """Mean and standard deviation over seeds, by column; no deviation of one seed."""
    columns = list(zip(*values, strict=True))
    deviations = [statistics.stdev(own) if len(own) > 1 else None for own in columns]
    return [statistics.fmean(own) for own in columns], deviations


def _tested(difference: significance.Difference | None) -> tuple[Any, ...]:
    return () if difference is None else (difference.mean, difference.interval, difference.p)
