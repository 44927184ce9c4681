"""How far long work is: a bar on a terminal, a line a minute in a log."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_PER_LINE = 60.0


def bar(items: Iterable[Any] | None = None, *, show: bool, **options: Any) -> tqdm:
    """A tqdm bar on stderr; where that is no terminal, work of over a minute says so in lines.

    Args:
      items: what to go through; None where `update` counts.
      show: whether anything is written.
      **options: of tqdm: `total`, `desc`, `unit` and so on.
    """
    if show and not sys.stderr.isatty():
        every = SECONDS_PER_LINE
        options |= {"file": _Lines(), "ncols": 0, "delay": every, "mininterval": every}
    return tqdm(items, disable=not show, **options)


class _Lines:
    """A file that makes of each state of a bar a line of its own."""

    def write(self, text: str) -> None:
        """Leaves out how a terminal goes back to the beginning of its line."""
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        """Nothing waits."""
