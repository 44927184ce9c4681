"""Trains the network that a config describes; a stopped run resumes where it was.

catpose train --config=quickstart [--workdir=DIR] [--config.seed=1 ...]
catpose train --config=my.py --check

--config is a config that comes with catpose, or a file; --config.KEY changes any of its keys, which
`catpose config` lists. --check tries everything in small (devices, data, memory, disk, two steps of
each phase), trains nothing and says how long the whole will take. As one of several processes: see
launch/processes.py. In a clone also: python -m launch.train --config=configs/quickstart.py
"""

import pathlib

from catpose.launch import command, processes

OPTIONS = command.Options(processes.OPTIONS, command.PLUGINS)
CONFIG = OPTIONS.config("the name of a config, such as quickstart, or a file")
WORKDIR = OPTIONS.string("workdir", None, "where results go; runs/<config name> unless given")
CHECK = OPTIONS.bool("check", False, "try everything in small and say how long it will take")


def main() -> None:
    """Trains, evaluates, writes the report and prints its table."""
    with processes.as_part_of_job():
        # The libraries take seconds to load; a wrong option is reported before.
        from catpose import api, devices
        from catpose.evaluation import run_report

        folder = pathlib.Path(WORKDIR.value or f"runs/{CONFIG.value.name}")
        if CHECK.value:
            _check(folder)
            return
        api.train(CONFIG.value, folder)
        if devices.is_first():
            run_report.print_summary(folder)


def _check(folder: pathlib.Path) -> None:
    from catpose import api, devices
    from catpose.experiment import config as config_lib
    from catpose.training import preflight, run_setup
    from catpose.visualize import text_tables

    seconds, first = 0.0, devices.is_first()
    config = config_lib.read(CONFIG.value)
    with api.opened(config, folder):
        run = run_setup.prepare(config, folder, show_progress=first)
        for finding in preflight.findings(run):
            seconds += finding.seconds
            if first:
                spent = f": {text_tables.duration(finding.seconds)}" if finding.seconds else ""
                print(f"{finding.text}{spent}", flush=True)
    if first:
        total = text_tables.duration(seconds)
        print(f"checked: a full run takes about {total}, without loading the data")


if __name__ == "__main__":
    command.run(main, OPTIONS)
