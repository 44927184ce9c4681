"""Our results in the layout of the paper's tables, beside the paper's, and tests of its claims."""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from catpose import metrics
from catpose.data import categories, predictions
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.evaluation import score
from catpose.metrics import METRICS
from catpose.studies.paper import published, significance, table_rows
from catpose.visualize import text_tables

SUMMARIES = (7, 13)  # tables whose columns are not categories
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
      data: what has been trained on, a name in `catpose.studies.paper.budgets.DATA`.
    """

    truth: Examples
    predictions: Mapping[str, Sequence[Predictions]]
    absent: Mapping[str, str]
    orders: np.ndarray | None = None
    data: str = "pascal3d"

    @property
    def ours(self) -> str:
        """What our lines are called."""
        return "ours" if self.data == "pascal3d" else f"ours, {self.data}"

    @property
    def papers(self) -> str:
        """What the paper's lines are called."""
        return "paper" if self.data == "pascal3d" else "paper, PASCAL3D+"


class Line(NamedTuple):
    """A row of a table as we have it.

    Attributes:
      labels: the paper's.
      ours: by seed and column; empty where there is none.
      published: by column; empty where the paper has none.
      absent: why there is none of ours.
    """

    labels: tuple[str, ...]
    ours: list[list[float]]
    published: tuple[float, ...]
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


def digits(block: str) -> tuple[int, int]:
    """After the point, of a category's value and of their mean."""
    if block in BLOCKS:
        return 4, 4
    mean = METRICS[metrics.by_label(block)].digits
    return mean // 2, mean


def lines(results: Results, number: int, metric: str) -> list[Line]:
    """One block of a table."""
    read = _topk if number == 13 else values
    found = []
    for labels, theirs in published.TABLES[number].blocks[metric].items():
        ours, absent = [], "the paper's only"
        if table_row := table_rows.TABLES[number].rows.get(labels):
            absent = results.absent.get(table_row.recipe.name, "")
            ours = [] if absent else read(results, table_row, metric)
        found.append(Line(labels, ours, theirs, absent))
    return found


def columns(results: Results, number: int) -> tuple[str, ...]:
    """Names of a table's columns of values: our categories in the place of the paper's."""
    named = published.TABLES[number].columns
    return (*results.truth.categories, "mean") if named[:-1] == published.CATEGORIES else named


def block_markdown(results: Results, number: int, metric: str) -> str:
    """One block of a table: a line of ours and one of the paper's for each row, the mean first."""
    table, named = published.TABLES[number], columns(results, number)
    heads = [categories.SHORT_NAMES.get(name, name) for name in named]
    one, mean = digits(metric)
    decimals = [mean if number in SUMMARIES else one] * (len(heads) - 1) + [mean]
    # The paper has values of its own categories alone.
    same = number in SUMMARIES or heads[:-1] == [*published.CATEGORIES]

    def mean_first(cells: list[str]) -> list[str]:
        return cells if number in SUMMARIES else [cells[-1], *cells[:-1]]

    rows = []
    for line in lines(results, number, metric):
        labels = list(line.labels)
        if line.ours:
            cells = [
                spread(column, mean)
                if decimal == mean
                else text_tables.number(statistics.fmean(column), one)
                for column, decimal in zip(zip(*line.ours, strict=True), decimals, strict=True)
            ]
            rows.append([*labels, results.ours, *mean_first(cells)])
            labels = [""] * len(labels)
        theirs = line.published if same else [math.nan] * (len(heads) - 1) + [line.published[-1]]
        cells = list(map(text_tables.number, theirs, decimals))
        rows.append([*labels, results.papers, *mean_first(cells)])
    return text_tables.markdown([*table.heads, "", *mean_first(heads)], rows, len(table.heads) + 1)


def gaps_markdown(results: Results, number: int) -> str:
    """Why rows of a table have none of our values; "" where all have."""
    metric = next(iter(published.TABLES[number].blocks))
    absent = [line for line in lines(results, number, metric) if line.absent]
    return " ".join(f"{' '.join(line.labels)}: {line.absent}." for line in absent)


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds; the mean alone of one seed."""
    text = text_tables.number(statistics.fmean(values), digits)
    if len(values) > 1:
        text += f" ± {text_tables.number(statistics.stdev(values), digits)}"
    return text


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


def claims_markdown(judged: Sequence[Judged]) -> str:
    """Claims with differences (first minus second row), intervals and verdicts."""
    rows = []
    for number, claim, difference, verdict in judged:
        cells = ["–", "–", "–"]
        if difference is not None:
            show = functools.partial(text_tables.number, digits=digits(claim.metric)[1])
            low, high = difference.interval
            p = "< 0.001" if difference.p < 0.001 else f"{difference.p:.3f}"
            cells = [show(difference.mean), f"{show(low)} to {show(high)}", p]
        rows.append([str(number), claim.text, claim.metric, *cells, verdict])
    return text_tables.markdown(
        ["Table", "claim", "metric", "difference", "95 % interval", "p", "on our data"], rows, 3
    )


def comparison_markdown(
    results: Results,
    rows: Mapping[str, table_rows.TableRow],
    costs: Mapping[str, tuple[int, float]],
) -> str:
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
        columns = [[scored.metrics[name]["value"] for scored in every] for name in _COMPARED]
        params, seconds = costs[table_row.recipe.name]
        cells = [
            spread(column, METRICS[name].digits)
            for name, column in zip(_COMPARED, columns, strict=True)
        ]
        cells = [label, *cells, f"{params:,}", text_tables.number(seconds, 0)]
        found.append((statistics.fmean(columns[0]), cells))
    labels = [METRICS[name].label for name in _COMPARED]
    heads = ["representation", *labels, "parameters of the pose networks", "seconds"]
    return text_tables.markdown(heads, [cells for _, cells in sorted(found)], 1)
