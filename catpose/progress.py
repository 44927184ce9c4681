"""Progress of long work: a tqdm bar on a terminal, one log line per minute elsewhere."""

import concurrent.futures
import os
import sys
from collections.abc import Callable, Iterable
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


def thread_map(
    function: Callable[..., Any], items: Iterable[Any], *, threads_per_core: int = 1, **options: Any
) -> list[Any]:
    """The results of a function that several threads call, in the order of the items.

    The first exception is raised, and what has not begun then is left.

    Args:
      function: (item) -> result; threads are of use where it waits, or leaves the interpreter lock.
      items: what it is called with.
      threads_per_core: more than 1 where it waits for disks and networks.
      **options: of `bar`.
    """
    with concurrent.futures.ThreadPoolExecutor(threads_per_core * (os.cpu_count() or 1)) as pool:
        return list(bar(pool.map(function, items), **options))


class _Lines:
    """A file that writes each state of a bar as a separate line."""

    def write(self, text: str) -> None:
        """Drops the carriage returns that redraw a bar on a terminal."""
        if text.strip():
            print(text.strip(), file=sys.stderr, flush=True)

    def flush(self) -> None:
        """No-op: output is unbuffered."""
