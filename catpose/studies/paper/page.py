"""The page of results: what holds, every table as text and picture, and what made them."""

import pathlib
import statistics
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from matplotlib.axes import Axes

from catpose import metrics
from catpose.experiment import workdir
from catpose.metrics import METRICS
from catpose.studies.paper import budgets, published, results, table_rows
from catpose.visualize import style, text_tables

_BLOCKS = {
    "full rotation": "error of the full rotation (fractions, higher is better)",
    "azimuth": "error of the azimuth (fractions, higher is better)",
}
# Verdicts of `significance.verdict`, in the words for several claims.
_COUNTED = {
    "holds": "hold",
    "not shown": "are not shown",
    "contradicted": "are contradicted",
    "no difference": "make no difference",
    "not tested": "are not tested",
}
REPRESENTATIONS = "Pose representations on the same frozen features, given the category"


def preface(
    data: str,
    *,
    command: str,
    frame: str,
    trained_at: Sequence[str],
    seconds: float,
    split: str,
    seeds: int,
    tested: bool,
) -> str:
    """What made the numbers of a page, and how to read them.

    Args:
      data: a name in `catpose.studies.paper.budgets.DATA`.
      command: that made the page.
      frame: of learning.
      trained_at: commits.
      seconds: that all training took.
      split: which images were evaluated.
      seeds: how many.
      tested: whether there are claims on the page.
    """
    text = (
        f"Made by `{command}` at {workdir.commit()} on {jax.devices()[0].device_kind}, in the "
        f"frame '{frame}'; trained at {', '.join(trained_at)}, in {text_tables.duration(seconds)} "
        f"in all. Ours are metrics of the {split} images, "
    )
    text += f"means over {seeds} seeds ± standard deviation." if seeds > 1 else "of one seed."
    if data != "pascal3d":
        text += (
            f" **Ours are of {data}, the paper's of PASCAL3D+**: what compares is the order of "
            "the rows, not a number of ours with the paper's."
        )
    if tested:
        text += (
            " Differences are of the first row that a claim names minus the second, with 95 % "
            "intervals and one-sided p-values over seeds and images "
            "(catpose/studies/paper/significance.py)."
        )
    return f"{text}\n\n{budgets.ABOUT[data]}"


def table_markdown(
    found: results.Results, number: int, judged: Sequence[results.Judged], picture: str
) -> str:
    """One table as a section: its blocks, its claims, its picture.

    Args:
      found: what has been trained.
      number: 3 to 13.
      judged: its claims.
      picture: path of the picture as the page is to link it; "" for none.
    """
    table = published.TABLES[number]
    parts = [f"## Table {number}: {table.caption}"]
    for block in table.blocks:
        heading = _BLOCKS.get(block) or metrics.explanation(METRICS[metrics.by_label(block)])
        parts += [f"{heading}:", results.block_markdown(found, number, block)]
    parts += [
        results.gaps_markdown(found, number),
        results.claims_markdown(judged) if judged else "",
        table_rows.TABLES[number].note,
        f"![Table {number}]({picture})" if picture else "",
    ]
    return "\n\n".join(part for part in parts if part)


def overview_markdown(judged: Sequence[results.Judged]) -> str:
    """How many of the paper's claims hold, and which do not."""
    if not judged:
        return ""
    counts = {
        plural: sum(one.verdict == verdict for one in judged)
        for verdict, plural in _COUNTED.items()
    }
    counted = ", ".join(f"{count} {plural}" for plural, count in counts.items() if count)
    parts = [
        "## What holds of the paper's claims here",
        f"Of {len(judged)} claims, {counted}. Each is tested by itself; of so many, one or the "
        "other can come out wrongly by chance.",
    ]
    for verdict in ("contradicted", "not shown", "no difference"):
        texts = [f"{j.claim.text} [{j.claim.metric}, Table {j.number}]" for j in judged
                 if j.verdict == verdict]  # fmt: skip
        if texts:
            parts.append(f"**{verdict.capitalize()}**: " + "; ".join(texts) + ".")
    return "\n\n".join(parts)


def write(
    found: results.Results,
    numbers: Sequence[int],
    folder: pathlib.Path,
    *,
    name: str,
    title: str,
    preface: str,
    extra: Mapping[str, str],
) -> pathlib.Path:
    """Writes a page of all these tables, and a picture of each in a folder of the page's own.

    Args:
      found: what has been trained.
      numbers: of the tables.
      folder: where to.
      name: of the page's file, without ".md".
      title: of the page.
      preface: below the title, Markdown.
      extra: further sections, by heading.

    Returns:
      The page.
    """
    (folder / "figures" / name).mkdir(parents=True, exist_ok=True)
    sections, every = [], []
    for number in numbers:
        picture = f"figures/{name}/table{number}.png"
        drawn = draw(found, number, folder / picture)
        judged = results.judge(found, number)
        sections.append(table_markdown(found, number, judged, picture if drawn else ""))
        every += judged
    sections += [f"## {heading}\n\n{text}" for heading, text in extra.items() if text]
    parts = [f"# {title}", preface, overview_markdown(every), *sections]
    page = folder / f"{name}.md"
    page.write_text("\n\n".join(part for part in parts if part) + "\n")
    return page


def parameters_markdown(ours: Mapping[str, Mapping[str, int]]) -> str:
    """Exact numbers of parameters: of the paper's networks, then of those trained here.

    Args:
      ours: by network, what `catpose.models.architectures.param_counts` returns.
    """
    heads = ["network", "feature network", "category network", "pose networks", "total"]
    groups = ("feature_network", "category_network", "pose_networks", "total")
    tables = [
        text_tables.markdown(
            heads,
            [[name, *(f"{own.get(g, 0):,}" for g in groups)] for name, own in counts.items()],
            1,
        )
        for counts in (published.PARAMETERS, ours)
    ]
    one, twelve = (
        published.PARAMETERS[name]["pose_networks"]
        for name in (published.AGNOSTIC_12K, published.INTEGRATED)
    )
    return "\n\n".join(
        [
            "Of the paper's networks, with twelve categories:",
            tables[0],
            f"The category-independent pose network of 12000 units has {one / twelve:.4f} times "
            "the parameters of the twelve of 1000, as the paper has it (section 4.3).",
            "Of the networks above:",
            tables[1],
        ]
    )


def terminal(found: results.Results, numbers: Sequence[int]) -> str:
    """The means of each table's rows as text."""
    rows = []
    for number in numbers:
        # Tables 7 and 13 have no mean; their first value is shown instead.
        at = 0 if number in results.SUMMARIES else -1
        for metric in published.TABLES[number].blocks:
            digits = results.digits(metric)[1]
            for line in results.lines(found, number, metric):
                own = results.spread([seed[at] for seed in line.ours], digits) if line.ours else "–"
                theirs = text_tables.number(line.published[at], digits)
                rows.append([str(number), metric, " ".join(line.labels), own, theirs])
    return text_tables.plain(["table", "metric", "row", found.ours, found.papers], rows, 3)


def draw(found: results.Results, number: int, path: pathlib.Path) -> bool:
    """Draws the last column of each block of a table, one mark a row; all columns of 7 and 13.

    Args:
      found: what has been trained.
      number: of the table.
      path: of the picture.

    Returns:
      Whether there was anything of ours to draw.
    """
    blocks = {m: results.lines(found, number, m) for m in published.TABLES[number].blocks}
    if not any(line.ours for lines in blocks.values() for line in lines):
        return False
    height = max(len(_marks(number, metric, lines)) for metric, lines in blocks.items())
    # Room for the heading above a single panel, too.
    size = (max(7.5, 5.2 * len(blocks)), 1.5 + 0.34 * height)
    heading = f"Table {number}: {published.TABLES[number].caption}"
    with style.sheet(path, *size, heading, "") as figure:
        panels = figure.subplots(1, len(blocks), squeeze=False)[0]
        for panel, (metric, lines) in zip(panels, blocks.items(), strict=True):
            _draw_block(panel, found, _marks(number, metric, lines), metric)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower right", ncols=2)
    return True


def _draw_block(
    panel: Axes, found: results.Results, marks: list[tuple[str, float, float, float]], metric: str
) -> None:
    where = np.arange(len(marks))[::-1]
    labels, ours, deviations, published = zip(*marks, strict=True)
    panel.plot(published, where, "D", color=style.FAINT, label=found.papers)
    panel.errorbar(
        ours, where, xerr=deviations, fmt="o", color=style.PALETTE[0], capsize=3,
        label=f"{found.ours}, ± standard deviation over seeds",
    )  # fmt: skip
    panel.set_yticks(where, labels)
    panel.set_ylim(-0.6, len(marks) - 0.4)
    if metric in results.BLOCKS:
        panel.set_xlabel(metric)
        return
    measured = METRICS[metrics.by_label(metric)]
    panel.set_xlabel(metrics.heading(measured))
    if measured.unit == "degrees":
        panel.set_xlim(left=0)


def _marks(
    number: int, metric: str, lines: list[results.Line]
) -> list[tuple[str, float, float, float]]:
    """Label, ours, its deviation over seeds, and the paper's."""
    shown = {-1: ""}
    if number in results.SUMMARIES:
        shown = dict(enumerate(published.TABLES[number].columns))
    marks = []
    for line in lines:
        for column, name in shown.items():
            own = [seed[column] for seed in line.ours]
            label = " ".join([*line.labels, name]).strip()
            mean = statistics.fmean(own) if own else np.nan
            deviation = statistics.stdev(own) if len(own) > 1 else 0.0
            marks.append((label, mean, deviation, line.published[column]))
    return marks
