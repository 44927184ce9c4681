"""Numbers and tables laid out as text, for Markdown and for a terminal."""

import math
from collections.abc import Sequence


def number(value: float | None, digits: int) -> str:
    """Return the value with so many digits after the point; a dash for None, NaN and infinities."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:.{digits}f}"


def duration(seconds: float) -> str:
    """Return a time as people say it: "12.3 s", "6 min 52 s" or "2 h 05 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def markdown(head: Sequence[str], rows: Sequence[Sequence[str]], num_words: int) -> str:
    """Lay out a Markdown table whose source is aligned as well; nothing if there are no rows.

    Args:
      head: column heads.
      rows: cells, as many per row as there are heads.
      num_words: so many first columns are flush left, the others (numbers) flush right.
    """
    if not rows:
        return ""
    head, *rows = ([cell.replace("|", "\\|") for cell in row] for row in [head, *rows])
    lines = [f"| {' | '.join(row)} |" for row in _padded(head, rows, num_words)]
    rule = [
        ":" + "-" * (width + 1) if i < num_words else "-" * (width + 1) + ":"
        for i, width in enumerate(_widths(head, rows))
    ]
    return "\n".join([lines[0], f"|{'|'.join(rule)}|", *lines[1:]])


def plain(head: Sequence[str], rows: Sequence[Sequence[str]], num_words: int) -> str:
    """Lay out a table for a terminal; the arguments are those of `markdown`."""
    rule = ["-" * width for width in _widths(head, rows)]
    return "\n".join("  ".join(row).rstrip() for row in _padded(head, [rule, *rows], num_words))


def _widths(head, rows):
    return [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]


def _padded(head, rows, num_words):
    widths = _widths(head, rows)
    return [
        [
            cell.ljust(width) if i < num_words else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        for row in [head, *rows]
    ]
