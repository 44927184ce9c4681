"""Another library's network, timed in a process of its own through its standard streams."""

import functools
import json
import pathlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from catpose import errors
from catpose.errors import InputError

Timers = Mapping[str, Callable[[int], float]]
"""By name, number of calls -> seconds that they took, as of `timing.alternate`."""


@contextmanager
def started(
    script: pathlib.Path, python: str, settings: Mapping[str, Any]
) -> Iterator[tuple[str, Timers]]:
    """Starts a peer, and ends it.

    The block gets the version of its library and its timers.

    Args:
      script: with the protocol of catpose/bench/torch_network.py.
      python: the interpreter that has its library.
      settings: given to it as JSON; "names" are those of the timers that it makes ready.

    Raises:
      InputError: it does not start.
    """
    command = [python, str(script), json.dumps(dict(settings))]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
    except OSError as error:
        raise InputError(f"--peer_python={python} does not start: {error.strerror}") from error
    with process:
        try:
            word, _, version = process.stdout.readline().strip().partition(" ")
            if word != "ready":
                raise InputError(
                    f"the peer {script.name} did not start with {python} (its own message is "
                    f"above); it needs {errors.extra('peers')}, or --peer_python"
                )
            yield (
                version,
                {name: functools.partial(_request, process, name) for name in settings["names"]},
            )
        finally:
            process.kill()


def _request(process: subprocess.Popen, name: str, count: int) -> float:
    process.stdin.write(f"{name} {count}\n")
    process.stdin.flush()
    return float(process.stdout.readline())
