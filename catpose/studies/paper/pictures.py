"""The picture of a table of results."""

import pathlib
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker
from matplotlib.axes import Axes

from catpose import metrics
from catpose.metrics import METRICS
from catpose.studies.paper import layout, published, results
from catpose.studies.paper.stored import Line, Stored
from catpose.visualize import style


def draw(found: Stored, number: int, path: pathlib.Path) -> bool:
    """Draws the mean of each block of a table, one mark a row; all columns of 7 and 13.

    Args:
      found: the results.
      number: of the table.
      path: of the picture.

    Returns:
      Whether there was anything of ours to draw.
    """
    sources, table = layout.sources(found, number), published.TABLES[number]
    if not any(line.mean for lines in sources["ours"].values() for line in lines.values()):
        return False
    columns = dict(enumerate(table.columns)) if number in layout.SUMMARIES else {-1: ""}
    # The same rows in all panels.
    rows = [(labels, column) for labels in layout.labels_of(sources) for column in columns]
    names = [
        ", ".join(filter(None, [*layout.spelled(labels), columns[column]]))
        for labels, column in rows
    ]
    # Room for the heading above a single panel, too.
    size = (max(7.5, 4.4 * len(table.blocks)), 1.5 + 0.3 * len(rows))
    with style.sheet(path, *size, f"Table {number}", f"{found.data}, {found.split}") as figure:
        panels = figure.subplots(1, len(table.blocks), squeeze=False, sharey=True)[0]
        for panel, metric in zip(panels, table.blocks, strict=True):
            _draw_block(panel, {whose: blocks[metric] for whose, blocks in sources.items()}, rows)
            panel.set_xlabel(layout.described(metric))
            panel.xaxis.set_major_locator(ticker.MaxNLocator(5))
            if metric not in results.BLOCKS and METRICS[metrics.by_label(metric)].unit == "degrees":
                panel.set_xlim(left=0)
        panels[0].set_yticks(range(len(rows)), names)
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        if len(sources) > 1:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower right", ncols=2)
    return True


def _draw_block(
    panel: Axes,
    sources: Mapping[str, Mapping[tuple[str, ...], Line]],
    rows: Sequence[tuple[tuple[str, ...], int]],
) -> None:
    none = Line((), [], [])
    for whose, lines in sources.items():
        found = [(lines.get(labels, none), column) for labels, column in rows]
        means = [line.mean[column] if line.mean else np.nan for line, column in found]
        deviations = [(line.deviation[column] if line.mean else None) or 0.0
                      for line, column in found]  # fmt: skip
        if whose == "paper":
            panel.plot(means, range(len(rows)), "D", color=style.FAINT, label=whose, zorder=1)
            continue
        panel.errorbar(means, range(len(rows)), xerr=deviations, fmt="o", color=style.PALETTE[0],
                       capsize=3, label=whose)  # fmt: skip
