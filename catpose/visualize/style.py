"""The sheet that every picture of a report is drawn on: style, colors, heading, file."""

import contextlib
import os
import pathlib
from collections.abc import Iterator

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from catpose import outputs

DPI = 200  # of the PNG
INK, FAINT, WRONG = "#333333", "#b5b5b5", "#B2182B"
# Okabe and Ito's colors, which color-blind readers can distinguish.
PALETTE = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
FUSION_COLORS = {"weighted": PALETTE[0], "top1": PALETTE[1], "oracle": PALETTE[2]}
Path = str | os.PathLike
_STYLE = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": INK,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "legend.frameon": False,
    "legend.fontsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "text.parse_math": False,  # a category may be called "$1"
    "svg.hashsalt": "catpose",  # the same picture, the same file
}


@contextlib.contextmanager
def sheet(path: Path, width: float, height: float, heading: str, where: str) -> Iterator[Figure]:
    """Opens an empty figure; writes it as PNG and SVG when the block ends without an error.

    Args:
      path: the PNG to write; the SVG lies beside it.
      width: inches.
      height: inches.
      heading: what the picture shows.
      where: split, fusion, frame and the like, added in brackets unless empty.
    """
    with matplotlib.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        heading = f"{heading} ({where})" if where else heading
        figure.suptitle(heading, fontsize=11, fontweight="bold", x=0.01, ha="left")
        yield figure
        made_by = outputs.MARK["made_by"]
        figure.savefig(path, dpi=DPI, format="png", metadata={"Software": made_by})
        figure.set_layout_engine("none")  # all is in its place
        vector = pathlib.Path(path).with_suffix(".svg")
        figure.savefig(vector, dpi=DPI, format="svg", metadata={"Creator": made_by, "Date": None})


def color_of(fusion: str, index: int) -> str:
    """The fixed color of a known fusion, else the palette's color number `index`."""
    return FUSION_COLORS.get(fusion, PALETTE[index % len(PALETTE)])


def write(panel: Axes, text: str) -> None:
    """Writes a sentence into the middle of a panel that has nothing to show."""
    panel.text(0.5, 0.5, text, transform=panel.transAxes, ha="center", va="center", color=INK)
