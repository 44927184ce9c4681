"""A table as a picture: ours with the spread over seeds, beside the paper's."""

import pathlib
import statistics

import numpy as np
from matplotlib.axes import Axes

from catpose import metrics
from catpose.metrics import METRICS
from catpose.studies.paper import published, results
from catpose.visualize import style


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
    columns = published.TABLES[number].columns
    shown = range(len(columns)) if number in results.SUMMARIES else [len(columns) - 1]
    marks = []
    for line in lines:
        for column in shown:
            own = [seed[column if number in results.SUMMARIES else -1] for seed in line.ours]
            label = " ".join([*line.labels, *([columns[column]] if len(shown) > 1 else [])])
            mean = statistics.fmean(own) if own else np.nan
            deviation = statistics.stdev(own) if len(own) > 1 else 0.0
            marks.append((label, mean, deviation, line.published[column]))
    return marks
