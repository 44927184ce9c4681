"""Trains the network that a config describes, or goes on where a stopped run was.

python -m launch.train --config=configs/quickstart.py [--workdir=DIR] [--config.seed=1 ...]
python -m launch.train --config=configs/quickstart.py --check

The second tries everything in small (devices, data, memory, disk, two steps of each phase), trains
nothing and says how long the whole will take. As one of several processes: see launch/processes.py.
"""

import contextlib
import pathlib
import time
from typing import Any

import numpy as np

from catpose.launch import command, processes

OPTIONS = command.Options(processes.OPTIONS)
CONFIG = OPTIONS.config("the name of a config, such as quickstart, or a file")
WORKDIR = OPTIONS.string("workdir", None, "where results go; runs/<config name> unless given")
CHECK = OPTIONS.bool("check", False, "try everything in small and say how long it will take")


def main() -> None:
    """Trains, evaluates, writes the report and prints its table."""
    with processes.joined():
        _train()


def _train() -> None:
    # The libraries take seconds to load: a wrong flag is told before.
    from catpose import devices
    from catpose.evaluation import run_report
    from catpose.experiment import workdir
    from catpose.train import loop, run_setup

    devices.keep_compilations()
    config, first = CONFIG.value, devices.is_first()
    folder = pathlib.Path(WORKDIR.value or f"runs/{config.name}")
    opened = workdir.opened(folder, config) if first else contextlib.nullcontext(time.monotonic)
    with opened as clock:
        finished = devices.from_first(np.array(workdir.is_finished(folder)))
        if CHECK.value or not finished:
            run = run_setup.prepare(config, folder, show_progress=first)
            if CHECK.value:
                _check(run, talks=first)
                return
            run_report.write(run, loop.train(run), clock)
    if first:
        run_report.show(folder)


def _check(run: Any, *, talks: bool) -> None:
    from catpose.train import preflight
    from catpose.visualize import text_tables

    seconds = 0.0
    for finding in preflight.findings(run):
        seconds += finding.seconds
        if talks:
            spent = f": {text_tables.duration(finding.seconds)}" if finding.seconds else ""
            print(f"{finding.text}{spent}", flush=True)
    if talks:
        total = text_tables.duration(seconds)
        print(f"checked: a full run takes about {total}, without loading the data")


if __name__ == "__main__":
    command.run(main, OPTIONS)
