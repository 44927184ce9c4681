"""A polite request to stop (SIGTERM, SIGINT) ends at the next place where nothing is lost.

Outside of `deferred` a signal raises `Stopped` at once, as Ctrl-C does. Inside, it is noted, and
whoever works there asks `asked` between two steps, saves, and raises it. A second signal does not
wait any longer.
"""

import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any, NoReturn

_LATER = 0.02  # seconds
SIGNALS = (signal.SIGTERM, signal.SIGINT)
_pending: list[int] = []  # at most one signal
_deferring: list[None] = []  # one for each block that defers


class Stopped(BaseException):
    """The process was asked to stop; no Exception, so that nothing takes it for an error.

    Attributes:
      number: of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number

    @property
    def exit_status(self) -> int:
        """What a shell reports of a process that the signal ended: 143 or 130."""
        return 128 + self.number


@contextmanager
def handled() -> Iterator[None]:
    """Inside, the signals are handled as above; only the main thread can ask for it."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _pending.clear()
    before = {number: signal.signal(number, _receive) for number in SIGNALS}
    hook, sys.unraisablehook = sys.unraisablehook, functools.partial(_again, sys.unraisablehook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)
        _pending.clear()


@contextmanager
def deferred() -> Iterator[None]:
    """Inside, signals wait until `raise_if_pending`, or else until the end of the block."""
    _deferring.append(None)
    try:
        yield
    finally:
        _deferring.pop()
    raise_if_pending()


def is_pending() -> bool:
    """Whether a signal waits to be handled."""
    return bool(_pending)


def raise_if_pending() -> None:
    """Raises `Stopped` where a signal waits."""
    if _pending:
        stop()


def stop() -> NoReturn:
    """Raises `Stopped`, of the signal that waits; of SIGTERM where another process got one."""
    raise Stopped(_pending[0] if _pending else signal.SIGTERM)


def _again(hook: Callable[[Any], Any], lost: Any) -> None:
    """What a weakref's callback or __del__ raises is lost: the signal comes again after it."""
    if isinstance(lost.exc_value, Stopped):
        _pending.clear()
        threading.Timer(_LATER, os.kill, (os.getpid(), lost.exc_value.number)).start()
    else:
        hook(lost)


def _receive(number: int, frame: FrameType | None) -> None:
    again = is_pending()
    _pending[:] = [number]
    if again or not _deferring:
        raise Stopped(number)
