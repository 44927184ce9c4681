"""Timing of several programs in turn, so that drift of the machine's speed affects all alike."""

import math
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax

Times = list[float]
"""Seconds of one call, once for each repeat, in the order in which they were measured."""


def alternate(
    timers: Mapping[str, Callable[[int], float]],
    *,
    repeats: int,
    seconds: float,
    progress_fn: Callable[[str], Any] = lambda name: None,
) -> dict[str, Times]:
    """Times all programs in turn: each once, then each again.

    A turn begins with a call that is not counted, since memory and caches are still those of the
    program before.

    Args:
      timers: by name, number of calls -> seconds that they took, the last call's result awaited.
      repeats: how often each one's turn comes.
      seconds: about how long a turn takes; a turn is at least two calls.
      progress_fn: called with each name after its turn.
    """
    calls = {}
    for name, timer in timers.items():
        timer(1)  # the first call is slower
        calls[name] = max(2, math.ceil(seconds / max(timer(1), 1e-9)))
    times: dict[str, Times] = {name: [] for name in timers}
    for _ in range(repeats):
        for name, timer in timers.items():
            timer(1)
            times[name].append(timer(calls[name]) / calls[name])
            progress_fn(name)
    return times


def timer(call: Callable[[], Any]) -> Callable[[int], float]:
    """The timer of a function that starts work on the device and returns its arrays."""

    def run(count: int) -> float:
        begin = time.perf_counter()
        for _ in range(count):
            result = call()
        jax.block_until_ready(result)
        return time.perf_counter() - begin

    return run


def ratio(ours: Times, theirs: Times) -> float:
    """How many times as fast we are: the median over repeats, each beside its neighbor in time."""
    pairs = zip(theirs, ours, strict=True)
    return statistics.median(slow / fast for slow, fast in pairs)
