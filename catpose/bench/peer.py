"""Another library's network, timed in a process of its own through its standard streams."""

import functools
import json
import pathlib
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from catpose.errors import InputError


class Peer(NamedTuple):
    """A running peer.

    Attributes:
      version: of its library.
      timers: "train", "infer" and "latency", see `timing.alternate`.
    """

    version: str
    timers: Mapping[str, Callable[[int], float]]


@contextmanager
def started(script: pathlib.Path, python: str, settings: Mapping[str, Any]) -> Iterator[Peer]:
    """Starts a peer, and ends it.

    Args:
      script: with the protocol of catpose/bench/torch_network.py.
      python: the interpreter that has its library.
      settings: given to it as JSON.

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
                    "above); it needs pip install -e '.[peers]', or --peer_python"
                )
            names = ("train", "infer", "latency")
            yield Peer(version, {name: functools.partial(_ask, process, name) for name in names})
        finally:
            process.kill()


def _ask(process: subprocess.Popen, name: str, count: int) -> float:
    process.stdin.write(f"{name} {count}\n")
    process.stdin.flush()
    return float(process.stdout.readline())
