"""What `catpose.train` and `catpose.evaluate` do, from Python as from the command line."""

import contextlib
import pathlib
import time
from collections.abc import Callable, Iterator, Sequence

import ml_collections
import numpy as np

from catpose import devices
from catpose import plugins as plugin_modules
from catpose.evaluation import run_report
from catpose.experiment import config as config_lib
from catpose.experiment import config_files, workdir
from catpose.train import loop, run_setup


def train(
    config: str | pathlib.Path | ml_collections.ConfigDict,
    folder: str | pathlib.Path | None = None,
    *,
    plugins: Sequence[str] = (),
    show_progress: bool = True,
) -> pathlib.Path:
    """Trains the network that a config describes, evaluates it and writes the report.

    A stopped run resumes where it was, and of a finished one nothing is done again.

    Args:
      config: the name of a config that comes with catpose ("quickstart", "tables:shapes,small,
        phase0"), a file, or the ConfigDict that such a file's `get_config` returns.
      folder: the run's workdir; runs/<config name> unless given.
      plugins: the user's modules that add to the tables of backbones, poses, losses and readers;
        the run's config remembers their names.
      show_progress: whether to show bars (on a terminal).

    Returns:
      The workdir, for `catpose.load` and `catpose.evaluate`; results are in its report.json.

    Raises:
      InputError: something that the config names is wrong, or the workdir is another config's.
    """
    plugin_modules.load(plugins)
    values = dict(config_files.load(config))
    config = config_lib.read({**values, "plugins": tuple(plugins) or values["plugins"]})
    folder = pathlib.Path(folder or f"runs/{config.name}")
    with opened(config, folder) as clock:
        if not devices.from_first(np.array(workdir.is_finished(folder))):
            show_progress = show_progress and devices.is_first()
            run = run_setup.prepare(config, folder, show_progress=show_progress)
            run_report.write(run, loop.train(run), clock)
    return folder


@contextlib.contextmanager
def opened(config: config_lib.Config, folder: pathlib.Path) -> Iterator[Callable[[], float]]:
    """`workdir.opened` in the first of several processes; compiled programs are kept."""
    devices.keep_compilations()
    if devices.is_first():
        with workdir.opened(folder, config) as clock:
            yield clock
    else:
        yield time.monotonic
