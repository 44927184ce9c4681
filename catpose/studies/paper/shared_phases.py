"""Trains many runs that have their first phases in common, each phase once.

A run is cut at its phases: a part is the training of one phase, in a folder named by the hash of
what determines the state at its end. Runs whose configs agree up to a phase share its part. A part
is trained as a run of its own, from the end of the part before it, with the same step numbers and
PRNG keys. So it is what one uninterrupted run would have made of it, bit for bit on a CPU.
"""

import dataclasses
import pathlib
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from catpose.data import disk_cache, examples, predictions
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.experiment import build, checkpoint, phases, workdir
from catpose.experiment import config as config_lib
from catpose.training import input_pipeline, loop, run_setup, step

_HELD = ("validation", "test")  # splits that no training reads
# Config keys without effect on what is learned.
_WITHOUT_EFFECT = (
    "name",
    "log_steps",
    "checkpoint_steps",
    "max_skipped",
    "max_skipped_share",
    "tensorboard",
    "steps_per_call",
    "model.remat",
    "eval",
    "data.cache_dir",
    "data.device_cache_mb",
)


class Part(NamedTuple):
    """One phase's training.

    Attributes:
      folder: its workdir.
      config: of the run up to the end of the phase.
      stop: the step at its end.
    """

    folder: pathlib.Path
    config: config_lib.Config
    stop: int


def cut(config: config_lib.Config, root: pathlib.Path) -> list[Part]:
    """The parts of a run, in order.

    Args:
      config: of the whole run.
      root: the folder of all parts of all runs.
    """
    every = build.build_phases(config)
    at_the_end = dataclasses.replace(config.eval, every_steps=0)
    found = []
    for count in range(1, len(every) + 1):
        upto = dataclasses.replace(config, phases=every[:count], eval=at_the_end)
        stop = phases.total_steps(every[:count])
        found.append(Part(root / identity(upto), upto, stop))
    return found


def identity(config: config_lib.Config) -> str:
    """Hash of the config, but for what has no effect on what a run learns.

    Neither the code nor the content of files is in it: data and backgrounds count by their paths,
    pretrained weights by the name of their file or folder (another part's is a hash itself). Where
    these have changed, take another root.
    """
    described = config_lib.to_dict(config)
    for key in _WITHOUT_EFFECT:
        section, _, name = key.rpartition(".")
        del (described[section] if section else described)[name]
    model = described["model"]
    model["pretrained"] = pathlib.Path(model["pretrained"]).name
    return disk_cache.digest(described)


def is_trained(part: Part) -> bool:
    """Whether the part's last state is saved."""
    return (part.folder / "checkpoints" / str(part.stop)).is_dir()


def train(
    parts: list[Part],
    load_fn: Callable[[config_lib.Config], examples.Dataset],
    *,
    programs: dict[str, dict[Any, Any]],
    begins_fn: Callable[[Part], None] = lambda part: None,
    show_progress: bool = True,
) -> None:
    """Trains the parts that are not trained yet, one after another, without validation.

    Args:
      parts: of one run, in order.
      load_fn: config -> its dataset; called for untrained parts only.
      programs: see `assemble`.
      begins_fn: receives each part whose training begins.
      show_progress: show bars on a terminal.
    """
    after = None
    for part, following in zip(parts, [*parts[1:], None], strict=True):
        if following is None or not is_trained(following):  # its last state will be read
            checkpoint.set_damaged_aside(part.folder)
        if not is_trained(part):
            begins_fn(part)
            # A part that was interrupted resumes with the same number of steps a call.
            free = {*_WITHOUT_EFFECT, "model.pretrained"} - {"steps_per_call"}
            with workdir.opened(part.folder, part.config, free=tuple(free)):
                data = load_fn(part.config)
                splits = {name: split for name, split in data.splits.items() if name not in _HELD}
                data = data._replace(splits=splits)
                run = assemble(part, data, programs=programs, show_progress=show_progress)
                loop.train(run._replace(after=after))
        after = part.folder


def assemble(
    part: Part,
    data: examples.Dataset,
    *,
    programs: dict[str, dict[Any, Any]],
    show_progress: bool = True,
) -> run_setup.Run:
    """The part as a run on this data.

    Args:
      part: of a run.
      data: what its config names.
      programs: compiled code by what it depends on, kept from part to part.
      show_progress: show bars on a terminal.
    """
    run = run_setup.assemble(part.config, part.folder, data, show_progress=show_progress)
    workdir.write_categories(part.folder, data.categories)
    workdir.write_keys(part.folder, run.model.keys)
    # Of phases, each program has its own in its name.
    from_nothing = dataclasses.replace(part.config.model, pretrained="")
    code = dataclasses.replace(part.config, seed=0, model=from_nothing, phases=())
    parts = [data.engine is not None, *([] if run.model.keys is None else [run.model.keys])]
    shared = programs.setdefault(disk_cache.digest(identity(code), *parts), {})
    return run._replace(caches=run_setup.Caches(programs=shared))


def file_of(part: Part, split: str, name: str = "predictions") -> pathlib.Path:
    """Where a part's predictions for a split are, and the "truth" beside them."""
    return part.folder / f"{name}-{split}.npz"


def predict(
    part: Part,
    data: examples.Dataset,
    split: str,
    *,
    programs: dict[str, dict[Any, Any]],
    show_progress: bool = True,
) -> None:
    """Keeps a trained part's predictions for a split of its data, and the truth in the same form.

    Args:
      part: of a run.
      data: what its config names.
      split: which images.
      programs: see `assemble`.
      show_progress: show bars on a terminal.
    """
    run = assemble(part, data, programs=programs, show_progress=show_progress)
    _, variables = build.read_variables(part.folder, run.model)
    state = step.create_state(jax.random.key(0), variables)
    found = input_pipeline.evaluate_split(run, split, run.phases[-1], state)
    own = data.splits[split]
    truth = Predictions(
        id=own.id,
        rotation={predictions.GIVEN: own.rotation},
        frame=np.full(len(own.id), "camera"),
        category={predictions.GIVEN: np.array(data.categories)[own.category]},
        categories=data.categories,
    )
    predictions.write(truth, file_of(part, split, "truth"))
    predictions.write(found, file_of(part, split))


def read_truth(part: Part, split: str) -> Examples:
    """The labels that `predict` kept."""
    found = predictions.read(file_of(part, split, "truth"))
    number = {name: i for i, name in enumerate(found.categories)}
    category = np.array([number[name] for name in found.category[predictions.GIVEN].tolist()])
    rotation = found.rotation[predictions.GIVEN]
    return Examples(found.id, category, rotation, found.categories, origin=split)
