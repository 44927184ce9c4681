"""Our figures in the layout of the paper's tables, beside the paper's, and what they say."""

import functools
import math
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from catpose import inference
from catpose.evaluation import run_report_text
from catpose.studies.paper import outcomes, published, significance, table_rows
from catpose.visualize import text_tables

SUMMARIES = (7, 13)  # tables whose columns are no categories
DIGITS = {"pose-err": (1, 2), "cat-acc": (2, 4)}  # of a category's figure, and of their mean


class Results(NamedTuple):
    """What has been trained and evaluated.

    Attributes:
      categories: names in the order of their indices.
      outcomes: by row, one for each seed.
      absent: by row, why there is none.
    """

    categories: tuple[str, ...]
    outcomes: Mapping[str, Sequence[outcomes.Outcome]]
    absent: Mapping[str, str]


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


def figures(results: Results, reading: table_rows.TableRow, metric: str) -> list[list[float]]:
    """A reading's figures, one list for each seed, a column each.

    Args:
      results: what there is.
      reading: of which row.
      metric: "pose-err" or "cat-acc" for one figure a category and their mean; "full rotation" or
        "azimuth" for Table 7's columns.
    """
    found = [inference.figures(o, reading.fusion) for o in results.outcomes[reading.recipe.name]]
    return [_columns(summary, metric) for summary in found]


def _columns(summary: Mapping[str, Any], metric: str) -> list[float]:
    if metric in DIGITS:
        key = {"pose-err": "pose_err_deg", "cat-acc": "cat_acc"}[metric]
        return [*summary[f"{key}_per_category"], summary[key]]
    start = {"full rotation": "", "azimuth": "azimuth_"}[metric]
    keys = ("cat_acc", f"{start}acc_22_5", f"{start}acc_45", f"{start}aaai")
    return [summary[key] for key in keys]


def _topk(results: Results, reading: table_rows.TableRow, metric: str) -> list[list[float]]:
    key = {"pose-err": "pose_err_deg", "cat-acc": "cat_acc"}[metric]
    found = [inference.topk(o) for o in results.outcomes[reading.recipe.name]]
    return [[s[k][key] for k in ("top1", "top2", "top3", "gt")] for s in found]


def lines(results: Results, number: int, metric: str) -> list[Line]:
    """One block of a table."""
    read = _topk if number == 13 else figures
    found = []
    for row in published.TABLES[number].blocks[metric]:
        reading = table_rows.TABLES[number].rows.get(row.labels)
        absent = "the paper's only"
        if reading is not None:
            absent = results.absent.get(reading.recipe.name, "")
        ours = read(results, reading, metric) if reading is not None and not absent else []
        found.append(Line(row.labels, ours, row.figures, absent))
    return found


def columns(results: Results, number: int) -> tuple[str, ...]:
    """Names of a table's columns of figures: our categories in the place of the paper's."""
    named = published.TABLES[number].columns
    return (*results.categories, "mean") if named[:-1] == published.CATEGORIES else named


def block_markdown(results: Results, number: int, metric: str) -> str:
    """One block of a table: a line of ours and one of the paper's for each row."""
    table, heads = published.TABLES[number], columns(results, number)
    one, mean = DIGITS.get(metric, (4, 4))
    if number == 13:
        one = mean
    # Other categories have nothing to stand beside.
    same = table.columns[:-1] != published.CATEGORIES or _short(heads)[:-1] == [
        *published.CATEGORIES
    ]
    rows = []
    for line in lines(results, number, metric):
        labels = list(line.labels)
        if line.ours:
            cells = _cells(line.ours, one, mean)
            if number in SUMMARIES:
                cells = [spread(column, mean) for column in zip(*line.ours, strict=True)]
            rows.append([*labels, "ours", *cells])
            labels = [""] * len(labels)
        theirs = line.published if same else [math.nan] * (len(heads) - 1) + [line.published[-1]]
        digits = [one] * (len(theirs) - 1) + [mean]
        cells = [text_tables.number(v, d) for v, d in zip(theirs, digits, strict=True)]
        rows.append([*labels, "paper", *cells])
    return text_tables.markdown([*table.heads, "", *_short(heads)], rows, len(table.heads) + 1)


def gaps_markdown(results: Results, number: int) -> str:
    """Why rows of a table have none of our figures; "" where all have."""
    metric = next(iter(published.TABLES[number].blocks))
    absent = [line for line in lines(results, number, metric) if line.absent]
    return " ".join(f"{' '.join(line.labels)}: {line.absent}." for line in absent)


def _short(heads: Sequence[str]) -> list[str]:
    return [run_report_text.SHORT_NAMES.get(head, head) for head in heads]


def _cells(ours: list[list[float]], one: int, mean: int) -> list[str]:
    per_column = list(zip(*ours, strict=True))
    cells = [text_tables.number(statistics.fmean(column), one) for column in per_column[:-1]]
    return [*cells, spread(per_column[-1], mean)]


def spread(values: Sequence[float], digits: int) -> str:
    """Mean and standard deviation over seeds; the mean alone of one seed."""
    text = text_tables.number(statistics.fmean(values), digits)
    if len(values) > 1:
        text += f" ± {text_tables.number(statistics.stdev(values), digits)}"
    return text


class Judged(NamedTuple):
    """A claim of the paper with what our figures say of it.

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
    """The claims that a table makes, tested on our figures."""
    found = []
    for claim in table_rows.TABLES[number].claims:
        readings = [
            table_rows.TABLES[number].rows[labels] for labels in (claim.better, claim.worse)
        ]
        if any(reading.recipe.name in results.absent for reading in readings):
            found.append(Judged(number, claim, None, "not tested"))
            continue
        difference = significance.compare(
            *(_paired(results, reading) for reading in readings),
            claim.figure,
            num_categories=len(results.categories),
        )
        verdict = significance.verdict(difference, claim.figure)
        found.append(Judged(number, claim, difference, verdict))
    return found


def _paired(results: Results, reading: table_rows.TableRow) -> list[significance.Outcome]:
    return [
        significance.Outcome(
            o.category, o.error_deg[reading.fusion], o.probabilities.argmax(-1) == o.category
        )
        for o in results.outcomes[reading.recipe.name]
    ]


def claims_markdown(judged: Sequence[Judged]) -> str:
    """Claims with differences (first minus second row), intervals and verdicts."""
    rows = []
    for number, claim, difference, verdict in judged:
        cells = ["–", "–", "–"]
        if difference is not None:
            show = functools.partial(
                text_tables.number, digits=significance.FIGURES[claim.figure].digits
            )
            low, high = difference.interval
            p = "< 0.001" if difference.p < 0.001 else f"{difference.p:.3f}"
            cells = [show(difference.mean), f"{show(low)} to {show(high)}", p]
        rows.append([str(number), claim.text, claim.figure, *cells, verdict])
    return text_tables.markdown(
        ["Table", "claim", "figure", "difference", "95 % interval", "p", "on our data"], rows, 3
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
    for label, reading in rows.items():
        if reading.recipe.name in results.absent:
            continue
        every = [
            inference.figures(o, reading.fusion) for o in results.outcomes[reading.recipe.name]
        ]
        errors = [summary["pose_err_deg"] for summary in every]
        params, seconds = costs[name]
        cells = [spread(errors, 2), spread([s["acc_30"] for s in every], 3)]
        found.append(
            (
                statistics.fmean(errors),
                [label, *cells, f"{params:,}", text_tables.number(seconds, 0)],
            )
        )
    cells = [row for _, row in sorted(found)]
    heads = ["representation", "pose-err", "acc@30", "parameters of the pose networks", "seconds"]
    return text_tables.markdown(heads, cells, 1)
