"""Drops what orbax and tensorstore log: it is said in other words, or of no use."""

import functools
import logging
import pathlib
import re
import sys
from collections.abc import Callable
from typing import Any

OF_STORE = re.compile("[A-Z_]+: Error ")  # how what tensorstore raises begins


def install() -> None:
    """To be called once."""
    logging.getLogger("absl").addFilter(_is_of_another)
    logging.getLogger("asyncio").addFilter(_is_of_no_store)
    # Where a read or write has failed, tensorstore's other futures end after orbax's event loop.
    sys.unraisablehook = functools.partial(_without_late_futures, sys.unraisablehook)


def _is_of_another(record: logging.LogRecord) -> bool:
    return "orbax" not in pathlib.Path(record.pathname).parts


def _is_of_no_store(record: logging.LogRecord) -> bool:
    """Of a damaged checkpoint all arrays fail, and one is enough to name it."""
    return not (record.exc_info and OF_STORE.match(str(record.exc_info[1])))


def _without_late_futures(hook: Callable[[Any], Any], unraisable: Any) -> None:
    if str(unraisable.exc_value) != "Event loop is closed":
        hook(unraisable)
