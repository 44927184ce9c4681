"""Trains and evaluates the rows of tables with several seeds, and writes their results."""

import functools
import json
import math
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
from ml_collections import ConfigDict

from catpose.data import online_rendering, predictions
from catpose.data.examples import Dataset
from catpose.errors import InputError
from catpose.experiment import build, datasets, workdir
from catpose.experiment import config as config_lib
from catpose.geometry import symmetry
from catpose.models import architectures
from catpose.studies.paper import recipes, results, shared_phases, stored, table_rows
from catpose.studies.paper.shared_phases import Part
from catpose.studies.paper.table_rows import Recipe
from catpose.training import training_log
from catpose.visualize import text_tables


class Sweep(NamedTuple):
    """Rows to be trained with the same seeds and evaluated on the same images.

    Attributes:
      data: a name in `catpose.studies.paper.budgets.DATA`.
      rows: their names.
      seeds: how many, from 0 on.
      split: which images are evaluated.
      runs: by (row, seed), the parts of its run, in the order to be trained. Among them are the
        rows of phase 0 that others begin with, with seed 0 alone: all seeds begin alike, as there
        is one ImageNet.
    """

    data: str
    rows: list[str]
    seeds: int
    split: str
    runs: Mapping[tuple[str, int], list[Part]]


def plan(
    chosen: Sequence[Recipe],
    data: str,
    config_fn: Callable[[str, str], ConfigDict],
    folder: pathlib.Path,
    *,
    seeds: int,
    split: str,
) -> Sweep:
    """What is to be trained, seed by seed.

    Args:
      chosen: how each row is trained.
      data: a name in `catpose.studies.paper.budgets.DATA`.
      config_fn: (row, folder of the phase 0 that it begins with or "") -> its config.
      folder: of all runs.
      seeds: how many, from 0 on.
      split: which images are evaluated.
    """
    runs: dict[tuple[str, int], list[Part]] = {}

    def add(row: str, seed: int, pretrained: str = "") -> None:
        config = config_fn(row, pretrained)
        config.seed = seed
        runs[row, seed] = shared_phases.cut(config_lib.read(config), folder)

    for seed in range(seeds):
        for recipe in chosen:
            pretrained = ""
            if first := recipes.first_row(recipe, data):
                if (first, 0) not in runs:
                    add(first, 0)
                pretrained = str(runs[first, 0][-1].folder)
            add(recipe.name, seed, pretrained)
    return Sweep(data, [recipe.name for recipe in chosen], seeds, split, runs)


def train(sweep: Sweep) -> None:
    """Trains what is not trained yet, and evaluates what is not evaluated yet."""
    programs: dict[str, dict[Any, Any]] = {}
    load = functools.partial(_load, split=sweep.split, loaded={})
    for (row, seed), parts in sweep.runs.items():
        if shared_phases.file_of(parts[-1], sweep.split).is_file():
            continue

        def log(part: Part, row: str = row, seed: int = seed) -> None:
            phase = part.config.phases[-1].name
            print(f"seed {seed}, {row}: {phase} ({part.folder.name})", file=sys.stderr, flush=True)

        shared_phases.train(parts, load, programs=programs, begins_fn=log)
        if row in sweep.rows:
            data = load(parts[-1].config)
            shared_phases.predict(parts[-1], data, sweep.split, programs=programs)


def _load(config: config_lib.Config, split: str, loaded: dict[str, Dataset]) -> Dataset:
    """The data of a config, from `loaded` where it was the last; there it is kept."""
    described = config_lib.to_dict(config)
    kept = [described["data"], described["engine"], config.seed if config.data.num_train else 0]
    kept.append(any(online_rendering.NAME in phase["sources"] for phase in described["phases"]))
    key = json.dumps(kept)
    if key not in loaded:
        loaded.clear()
        loaded[key] = datasets.load_dataset(config)
    splits = loaded[key].splits
    if split not in splits:
        raise InputError(f"there are no images '{split}'; there are {', '.join(splits)} (--split)")
    return loaded[key]


def collect(sweep: Sweep, absent: Mapping[str, str]) -> results.Results:
    """Everything that has been evaluated; absent: by further row, why it is not trained."""

    found = {
        row: [
            predictions.read(shared_phases.file_of(sweep.runs[row, seed][-1], sweep.split))
            for seed in range(sweep.seeds)
        ]
        for row in sweep.rows
    }
    last = sweep.runs[sweep.rows[0], 0][-1]
    truth = shared_phases.read_truth(last, sweep.split)
    orders = symmetry.orders(dict(last.config.data.symmetry), truth.categories)
    orders = orders if (orders != 1).any() else None
    return results.Results(truth, found, absent, orders)


def write(
    sweep: Sweep,
    names: Sequence[str],
    folder: pathlib.Path,
    *,
    absent: Mapping[str, str],
    command: str,
) -> pathlib.Path:
    """Writes what the page of trained rows is rendered from.

    Args:
      sweep: what has been trained.
      names: of tables, see `recipes.numbers`.
      folder: of the page.
      absent: by row that these tables also have, why it is not trained.
      command: that made it.

    Returns:
      The file of the results.
    """
    found = collect(sweep, absent)
    # Table rows that share a phase share its folder.
    folders = {part.folder for parts in sweep.runs.values() for part in parts}
    commits = {workdir.read_json(one / workdir.CONFIG)["commit"] for one in folders}
    files = [one / "seconds" for one in folders]
    took = sum(float(file.read_text()) for file in files if file.is_file())
    frame = sweep.runs[sweep.rows[0], 0][-1].config.frame
    # All tables make the page of results; some make one of their own.
    path = folder / f"{'results' if 'all' in names else 'tables_' + '_'.join(names)}.json"
    content = stored.Stored(
        data=sweep.data,
        split=sweep.split,
        seeds=sweep.seeds,
        categories=tuple(found.truth.categories),
        tables={number: results.store_table(found, number) for number in recipes.numbers(names)},
        representations=representations(sweep, found) if "representations" in names else [],
        parameters=parameters(sweep),
        made=(
            f"By `{command}` at {workdir.commit()} on {jax.devices()[0].device_kind}, in the frame "
            f"'{frame}'; trained at {', '.join(sorted(commits))}, in {text_tables.duration(took)} "
            "in all."
        ),
    )
    stored.write(content, path)
    return path


def seconds(sweep: Sweep, row: str) -> float:
    """Time that a row's steps took, each phase in its fastest seed; nothing is counted but steps.

    Whatever else a machine does makes some seeds slower and none faster. NaN where nothing has
    been timed.
    """
    spent = 0.0
    for same in zip(*(sweep.runs[row, seed] for seed in range(sweep.seeds)), strict=True):
        records = [record for part in same for record in training_log.read(part.folder)]
        speeds = [r["images_per_second"] or 0.0 for r in records if "phase_seconds" in r]
        phase = build.build_phases(same[0].config)[-1]
        speed = max(speeds, default=0.0)
        spent += phase.steps * phase.batch_size / speed if speed else math.nan
    return spent


def counts(sweep: Sweep, row: str) -> dict[str, int]:
    """Numbers of parameters of a row's network."""
    last = sweep.runs[row, 0][-1]
    model = build.build_model(
        last.config, workdir.read_categories(last.folder), workdir.read_keys(last.folder)
    )
    image = model.input_spec.image
    return architectures.param_counts(
        jax.eval_shape(model.network.init_fn, jax.random.key(0), image)
    )


def parameters(sweep: Sweep) -> dict[str, dict[str, int]]:
    """Numbers of parameters by rows of one network."""
    named: dict[str, list[str]] = {}
    for row in sweep.rows:
        named.setdefault(json.dumps(counts(sweep, row)), []).append(row)
    return {
        ", ".join(same[:3]) + ", ..." * (len(same) > 3): json.loads(found)
        for found, same in named.items()
    }


def representations(sweep: Sweep, found: results.Results) -> list[stored.Representation]:
    """The table of pose representations, best first."""
    rows = [row.recipe.name for row in table_rows.REPRESENTATIONS.values()]
    costs = {
        row: (counts(sweep, row)["pose_networks"], seconds(sweep, row))
        for row in rows
        if row in found.predictions
    }
    return results.store_representations(found, table_rows.REPRESENTATIONS, costs)
