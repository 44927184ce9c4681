"""Numbers and tables laid out as text, for Markdown and for a terminal."""

import math
from collections.abc import Sequence

import tabulate

tabulate.MIN_PADDING = 0  # columns are as wide as their cells


def number(value: float | None, digits: int) -> str:
    """The value with so many digits after the point; a dash for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"


def interval(ends: Sequence[float] | None, digits: int) -> str:
    """The two ends with so many digits: "1.2 to 3.4"; a dash for None."""
    return "–" if ends is None else " to ".join(number(end, digits) for end in ends)


def duration(seconds: float) -> str:
    """A time in words: "12.3 s", "6 min 52 s" or "2 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], num_words: int) -> str:
    """A Markdown table whose source is aligned as well; nothing if there are no rows.

    Args:
      head: column heads.
      rows: cells, as many per row as there are heads.
      num_words: so many first columns are flush left, the others (numbers) flush right.
    """
    if not rows:
        return ""
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in [head, *rows])
    return _laid_out(head, rows, num_words, "pipe")


def plain(head: Sequence[str], rows: Sequence[Sequence[str]], num_words: int) -> str:
    """A table for a terminal; the arguments are those of `markdown`."""
    lines = _laid_out(head, rows, num_words, "simple").splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _laid_out(head, rows, num_words, style):
    sides = ["left"] * num_words + ["right"] * (len(head) - num_words)
    return tabulate.tabulate(rows, head, style, colalign=sides, disable_numparse=True)
