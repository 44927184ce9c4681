"""Trains the network that a config describes, or goes on where a stopped run was.

python -m launch.train --config=configs/quickstart.py [--workdir=DIR] [--config.seed=1 ...]
"""

import pathlib

from absl import flags
from ml_collections import config_flags

from launch import command

CONFIG = config_flags.DEFINE_config_file("config", None, "the config file", lock_config=True)
WORKDIR = flags.DEFINE_string("workdir", None, "where results go; runs/<config name> unless given")
flags.mark_flag_as_required("config")


def main() -> None:
    """Trains, evaluates, writes the report and prints its table."""
    # The libraries take seconds to load: a wrong flag is told before.
    from catpose.report import report
    from catpose.train import loop, runs, workdir

    config = CONFIG.value
    folder = pathlib.Path(WORKDIR.value or f"runs/{config.name}")
    with workdir.opened(folder, config) as clock:
        if not workdir.is_finished(folder):
            run = runs.prepare(config, folder)
            report.write(run, loop.train(run), clock)
    report.show(folder)


if __name__ == "__main__":
    command.run(main)
