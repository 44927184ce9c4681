"""What was measured, as JSON, as a table and as a picture under the device's two roofs."""

import math
import statistics
from collections.abc import Mapping
from typing import Any

from matplotlib import ticker

from catpose.bench import limits as roofs
from catpose.bench import programs, timing
from catpose.visualize import style, text_tables


def record(program: programs.Program, times: timing.Times, limits: roofs.Limits) -> dict[str, Any]:
    """The measurements of one program.

    `compute_share` and `bandwidth_share` are of the device's limits. XLA counts the bytes that
    every operation reads and writes, so caches may carry a program beyond the measured bandwidth.
    """
    seconds = statistics.median(times)
    rates = sorted(program.images / s for s in times)
    return {
        "images": program.images,
        "img_s": round(statistics.median(rates), 2),
        "img_s_range": [round(rates[0], 2), round(rates[-1], 2)],
        "seconds": seconds,
        "compile_seconds": round(program.compile_seconds, 2),
        "gflop": _finite(program.flops / 1e9),
        "gbyte": _finite(program.bytes / 1e9),
        "memory_bytes": program.memory,
        "compute_share": _finite(program.flops / seconds / limits.flops),
        "bandwidth_share": _finite(program.bytes / seconds / limits.bytes),
    }


def split(records: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    """Milliseconds of the parts of a step; {} where one of the programs has not been timed.

    What has no program of its own is a difference of two: the backward pass of gradient and
    forward, the update of step and gradient.
    """
    if not {"input", "forward", "gradient", "step"} <= records.keys():
        return {}
    of = {name: 1e3 * found["seconds"] for name, found in records.items()}
    return {
        "input": of["input"],
        "forward": of["forward"],
        "backward": of["gradient"] - of["forward"],
        "update": of["step"] - of["gradient"],
    }


def _finite(value: float) -> float | None:
    return round(value, 4) if math.isfinite(value) else None


def markdown(records: Mapping[str, Mapping[str, Any]]) -> str:
    """A table row for each program."""
    rows = []
    for name, found in records.items():
        numbers = [
            *((rate, 1) for rate in (found["img_s"], *found["img_s_range"])),
            (found["seconds"] * 1e3, 1),
            (found["compile_seconds"], 1),
            (found["gflop"], 1),
            (found["gbyte"], 2),
            (found["memory_bytes"] / 1e6, 0),
            (found["compute_share"], 3),
            (found["bandwidth_share"], 3),
        ]
        rows.append([name, *(text_tables.number(*number) for number in numbers)])
    head = ["program", "images/s", "from", "to", "ms", "compile s", "GFLOP", "GB", "memory MB",
            "of compute", "of bandwidth"]  # fmt: skip
    return text_tables.markdown(head, rows, 1)


def roofline(
    records: Mapping[str, Mapping[str, Any]], limits: roofs.Limits, path: style.Path, where: str
) -> None:
    """Draws every program's arithmetic rate over its intensity, under the device's roofs.

    Args:
      records: of `record`, by name; those that XLA does not count are left out.
      limits: of the device.
      path: the PNG to write.
      where: what the title adds, such as the device.
    """
    counted = {name: found for name, found in records.items()
               if found["gflop"] and found["gbyte"]}  # fmt: skip
    intensities = [found["gflop"] / found["gbyte"] for found in counted.values()]
    ridge = limits.flops / limits.bytes
    low, high = min([ridge, *intensities]) / 3, max([ridge, *intensities]) * 3
    with style.sheet(path, 7.5, 4.6, "Rate under the device's roofs", where) as figure:
        panel = figure.subplots()
        panel.plot(
            [low, ridge, high],
            [low * limits.bytes / 1e9, limits.flops / 1e9, limits.flops / 1e9],
            color=style.INK,
            lw=1.4,
        )
        for index, (name, found) in enumerate(counted.items()):
            rate = found["gflop"] / found["seconds"]
            marker, color = "os^D"[index // len(style.PALETTE)], style.color_of(name, index)
            panel.plot(found["gflop"] / found["gbyte"], rate, marker, color=color, label=name)
        panel.set(
            xlim=(low, high),
            xlabel="floating-point operations per byte",
            ylabel="GFLOP/s",
        )
        panel.loglog()
        for axis in (panel.xaxis, panel.yaxis):  # plain numbers: these sheets parse no formulas
            axis.set_major_formatter(ticker.FormatStrFormatter("%g"))
            axis.set_minor_formatter(ticker.NullFormatter())
        panel.legend(loc="lower right", fontsize=7)
