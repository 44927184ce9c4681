"""Reads files that may crash the reader or swell in it, in a process of its own with limits.

scipy's reader of MATLAB files and the machine of pickles end the process, or fill the memory, on
some damaged files. One child serves all calls, so its start is paid once, and a new one follows
where it ended. A limit is no sandbox: it protects from damage, not from intent.
"""

import atexit
import contextlib
import functools
import multiprocessing.connection
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any

from catpose.errors import InputError

MEMORY = 2 * 2**30  # bytes of address space, of which the interpreter takes some 0.4 GiB
SECONDS = 10  # of computing, for one file; a slow disk or a sleeping laptop does not count
_SERVE = "import sys; sys.path[:] = {path!r}; from catpose.data import guarded; guarded.serve({fd})"
_LOCK = threading.Lock()
_SERVING = threading.Event()  # in the child


def read(function: Callable[..., Any], path: str | os.PathLike, *args: Any) -> Any:
    """The result of `function(path, *args)`, computed in the child; called by the child, at once.

    Args:
      function: of a module; it raises InputErrors alone, and what it returns can be pickled.
      path: the file that it reads.
      *args: of types that can be pickled.

    Raises:
      InputError: it raised one, ended the process, or took more than MEMORY or SECONDS.
    """
    if _SERVING.is_set():
        return function(path, *args)
    if os.path.exists(path) and not os.path.isfile(path):  # a named pipe would never end
        raise InputError(f"cannot read {path}: it is no regular file")
    request = os.getcwd(), SECONDS, function, path, args
    with _LOCK:
        child = _child(os.getpid())
        try:
            child.pipe.send(request)
            result, error = child.pipe.recv()
        except (EOFError, OSError):  # it has ended
            _child.cache_clear()
            slow = child.process.wait() == -signal.SIGPROF
            reason = f"takes more than {SECONDS} s" if slow else "ends the process that reads it"
            raise InputError(f"cannot read {path}: it is damaged and {reason}") from None
        except BaseException:  # an answer that nobody takes would be taken for the next one
            _child.cache_clear()
            _end(child, os.getpid())
            raise
    if error is not None:
        raise error
    return result


class _Child:
    """The process that serves, and the pipe to it."""

    def __init__(self) -> None:
        self.pipe, theirs = multiprocessing.connection.Pipe()
        with theirs:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _SERVE.format(path=sys.path, fd=theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ | {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"},
            )


@functools.cache
def _child(parent: int) -> _Child:
    """The one child of a process; a fork of it gets its own."""
    child = _Child()
    atexit.register(_end, child, parent)
    return child


def _end(child: _Child, parent: int) -> None:
    """Ends a child, in the process whose it is."""
    if os.getpid() == parent:
        child.process.kill()
        child.process.wait()


def serve(descriptor: int) -> None:
    """Answers calls until the pipe closes; in the child."""
    _SERVING.set()
    for stop in (signal.SIGINT, signal.SIGTERM):  # for the parent, which closes the pipe
        signal.signal(stop, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with contextlib.suppress(ValueError, OSError):  # macOS knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    pipe = multiprocessing.connection.Connection(descriptor)
    with contextlib.suppress(EOFError, OSError):
        while True:
            folder, seconds, function, path, args = pipe.recv()
            os.chdir(folder)
            signal.setitimer(signal.ITIMER_PROF, seconds)  # ends the process
            try:
                answer = function(path, *args), None
            except MemoryError:
                error = f"cannot read {path}: it takes more than {MEMORY >> 30} GiB of memory"
                answer = None, InputError(error)
            except InputError as error:
                answer = None, error
            signal.setitimer(signal.ITIMER_PROF, 0)
            pipe.send(answer)
