"""Trains the network that a config describes, or goes on where a stopped run was.

python -m launch.train --config=configs/quickstart.py [--workdir=DIR] [--config.seed=1 ...]
python -m launch.train --config=configs/quickstart.py --check

The second tries everything in small (devices, data, memory, disk, two steps of each phase), trains
nothing and says how long the whole will take.
"""

import pathlib
from typing import Any

from absl import flags
from ml_collections import config_flags

from launch import command

CONFIG = config_flags.DEFINE_config_file("config", None, "the config file", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "where results go; runs/<config name> unless given")
CHECK = flags.DEFINE_bool("check", False, "try everything in small and say how long it will take")
flags.mark_flag_as_required("config")


def main() -> None:
    """Trains, evaluates, writes the report and prints its table."""
    # The libraries take seconds to load: a wrong flag is told before.
    from catpose.report import report
    from catpose.train import loop, runs, workdir

    config = CONFIG.value
    folder = pathlib.Path(WORKDIR.value or f"runs/{config.name}")
    with workdir.opened(folder, config) as clock:
        if CHECK.value:
            _check(runs.prepare(config, folder))
            return
        if not workdir.is_finished(folder):
            run = runs.prepare(config, folder)
            report.write(run, loop.train(run), clock)
    report.show(folder)


def _check(run: Any) -> None:
    from catpose.report import layout
    from catpose.train import check

    seconds = 0.0
    for finding in check.findings(run):
        spent = f": {layout.duration(finding.seconds)}" if finding.seconds else ""
        print(f"{finding.text}{spent}", flush=True)
        seconds += finding.seconds
    print(f"checked: a full run takes about {layout.duration(seconds)}, without loading the data")


if __name__ == "__main__":
    command.run(main)
