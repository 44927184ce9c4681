"""What `catpose.train` and `catpose.evaluate` do, from Python as from the command line."""

import contextlib
import pathlib
import sys
import time
from collections.abc import Callable, Sequence

import ml_collections
import numpy as np

from catpose import config_keys, devices
from catpose import plugins as plugin_modules
from catpose.data import predictions
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import protocols, rerun, run_report, score
from catpose.experiment import checkpoint, config_files, datasets, workdir
from catpose.experiment import config as config_lib
from catpose.training import loop, run_setup, shares


def train(
    config: str | pathlib.Path | ml_collections.ConfigDict,
    folder: str | pathlib.Path | None = None,
    *,
    plugins: Sequence[str] = (),
    show_progress: bool = True,
) -> pathlib.Path:
    """Trains the network that a config describes, evaluates it and writes the report.

    A stopped run resumes where it was, and of a finished one nothing is done again. The parts of
    `config.eval.shares` come last: what stops one of them is a note in the report.

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
      InputError: something that the config names is wrong, the workdir is another config's, or
        more than `config.max_skipped_share` of the batches changed nothing.
    """
    if plugins:
        plugin_modules.load(plugins)
    values = dict(config_files.load(config))
    config = config_lib.read({**values, "plugins": tuple(plugins) or values["plugins"]})
    folder = pathlib.Path(config_keys.expanded(folder or f"runs/{config.name}"))
    with opened(config, folder) as clock:
        trained = _is_finished(folder)
        compared = not config.eval.shares or (trained and _has_shares(folder))
        if not (trained and compared):
            show_progress = show_progress and devices.is_first()
            run = run_setup.prepare(config, folder, show_progress=show_progress)
            if not trained:
                run_report.write(run, loop.train(run), clock)
            if not compared:
                _add_shares(run)
        if devices.is_first():
            run_report.check_skipped(folder, config.max_skipped_share)
    return folder


def _is_finished(folder: pathlib.Path) -> bool:
    """Whether a run's report is there, and all checkpoints that are kept are whole.

    All processes have the answer of the first.
    """
    found = False
    if devices.is_first() and workdir.read_report(folder) is not None:
        checkpoint.set_damaged_aside(folder)
        found = (folder / workdir.REPORT).is_file()
    return bool(devices.from_first(np.array(found)))


def _has_shares(folder: pathlib.Path) -> bool:
    """Whether a finished run's report has its shares; as the first process finds it."""
    found = devices.is_first() and "shares" in workdir.read_json(folder / workdir.REPORT)
    return bool(devices.from_first(np.array(found)))


def _add_shares(run: run_setup.Run) -> None:
    """Trains on parts of the training images too, and adds the outcome to the run's report."""
    found, notes = [], []
    wanted = shares.counts(run)
    if not wanted:
        notes.append(
            "config.eval.shares is left out: it needs a split validation or test, and more images "
            "of train than categories"
        )
    for share, count in wanted.items():
        if run.show_progress:
            print(f"once more, on {count} images, to see what more would bring", file=sys.stderr)
        part = shares.part(run, share, count)
        try:
            with opened(part.config, part.workdir) as clock:
                run_setup.describe(part)
                if not _is_finished(part.workdir):
                    run_report.write(part, loop.train(part), clock)
                if devices.is_first():
                    run_report.check_skipped(part.workdir, run.config.max_skipped_share)
                    found.append(workdir.read_report(part.workdir))
        except InputError as error:
            notes.append(f"config.eval.shares, {count} images of train: {error}")
    if devices.is_first():
        run_report.add_shares(run.workdir, found, notes)


def evaluate(
    run: str | pathlib.Path | Predictions,
    protocol: str = "catpose",
    *,
    data: str | pathlib.Path | Examples | None = None,
    split: str = "test",
    fusion: str = "",
    best: bool = False,
    plugins: Sequence[str] = (),
    allow_missing: bool = False,
    allow_surplus: bool = False,
) -> score.Score:
    """Scores a run, or any system's predictions, under a named protocol.

    Args:
      run: the folder of a run, the name of a network that comes with catpose ("mini"), a file of
        predictions, or `Predictions`.
      protocol: a name in `catpose.evaluation.protocols`.
      data: for predictions, their labels: `Examples`, or what `datasets.read_labels` reads, such as
        a table or a folder with manifest.csv. For a run, another folder or seed than its own, see
        `rerun.predict`.
      split: which of the labels; empty for all of a folder's.
      fusion: "weighted", "top1" or "oracle"; as the run was trained, or the only one of the
        predictions, unless given.
      best: of a run, the weights with the lowest validation error instead of the last ones.
      plugins: of a run, see `train`.
      allow_missing: objects without a prediction are misses instead of an error.
      allow_surplus: predictions of unknown objects are left out instead of an error.

    Returns:
      The score; `score.metrics["pose_err_deg"]["value"]` is the error over all categories.

    Raises:
      InputError: no such run, file, protocol or labels, or predictions that do not fit the labels.
    """
    applied = protocols.find(protocol)
    run = run if isinstance(run, Predictions) else config_keys.expanded(run)
    data = config_keys.expanded(data) if isinstance(data, str | pathlib.Path) else data
    if isinstance(run, Predictions) or pathlib.Path(run).is_file():
        if data is None:
            raise InputError(
                "predictions need data=: a table of labels, a folder with manifest.csv or a built "
                "PASCAL3D+"
            )
        truth = data if isinstance(data, Examples) else datasets.read_labels(str(data), split)
        found = run if isinstance(run, Predictions) else predictions.read(run, truth)
    else:
        if plugins:
            plugin_modules.load(plugins)
        folder = workdir.find(run)
        truth, found, answering = rerun.predict(folder, split, best=best, root=str(data or ""))
        fusion = fusion or protocols.fusion_of(applied, answering)
    return score.score(
        truth,
        found,
        applied,
        fusion=fusion,
        allow_missing=allow_missing,
        allow_surplus=allow_surplus,
    )


def opened(
    config: config_lib.Config, folder: pathlib.Path
) -> contextlib.AbstractContextManager[Callable[[], float]]:
    """`workdir.opened` in the first of several processes; compiled programs are kept."""
    devices.keep_compilations()
    if devices.is_first():
        return workdir.opened(folder, config)
    return contextlib.nullcontext(time.monotonic)
