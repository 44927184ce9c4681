"""Progress of long work: a tqdm bar on a terminal, one log line per minute elsewhere."""

import sys
from collections.abc import Iterable
from typing import Any

from tqdm import tqdm

SECONDS_PER_LINE = 60.0


def bar(items: Iterable[Any] | None = None, *, show: bool, **options: Any) -> tqdm:
    """A tqdm bar on stderr; where that is not a terminal, one line per minute instead.

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
    """A file that writes each state of a bar as a separate line."""

    def write(self, text: str) -> None:
        """Drops the carriage returns that redraw a bar on a terminal."""
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        """No-op: output is unbuffered."""
