"""Checkpoints: the latest and the best, written by orbax.

A state is saved as one flat dictionary from path to array, so a checkpoint can be read without
knowing which phase's optimizer it was saved with, and an error can name what does not match.
"""

import contextlib
import json
import pathlib
import shutil
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
from orbax.checkpoint.checkpoint_managers import preservation_policy

from catpose import checksums, errors
from catpose.errors import InputError
from catpose.experiment import exported, quiet_orbax, workdir

SCORE, CHECKSUM = "score", checksums.KEY
_GO_ON = "make room and give the same command again"
_REMEDY = "copy it again, or give the command that trained it again"
DAMAGED = "damaged"  # folder beside that of the checkpoints


quiet_orbax.install()


def open_manager(folder: pathlib.Path) -> ocp.CheckpointManager:
    """Checkpoints in `folder`; keeps the two latest and the one with the lowest score.

    What a killed process left half-written is removed; `set_damaged_aside` goes before.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Not by orbax, which leaves it to a thread that a process must not end before.
    for half in folder.glob(f"*{ocp.path.step.TMP_DIR_SUFFIX}*"):
        shutil.rmtree(half)
    keep = preservation_policy.AnyPreservationPolicy(
        [
            preservation_policy.LatestN(2),  # one may be damaged
            preservation_policy.BestN(
                get_metric_fn=lambda metrics: metrics[SCORE],
                reverse=True,
                n=1,
                keep_checkpoints_without_metrics=False,
            ),
        ]
    )
    options = ocp.CheckpointManagerOptions(
        preservation_policy=keep,
        best_fn=lambda metrics: metrics[SCORE],
        best_mode="min",
        create=False,
        multiprocessing_options=_alone(),
    )
    return ocp.CheckpointManager(folder.absolute(), options=options)


def _alone() -> ocp.options.MultiprocessingOptions:
    """Each process on its own: all have the same state, so that one alone has to write or read."""
    index = jax.process_index()
    return ocp.options.MultiprocessingOptions(primary_host=index, active_processes={index})


@contextlib.contextmanager
def write_errors(folder: pathlib.Path) -> Iterator[None]:
    """Inside, an InputError is raised where the disk of `folder` is full or cannot be written."""
    try:
        yield
    except ValueError as error:
        if not quiet_orbax.OF_STORE.match(str(error)):
            raise
        raise InputError(
            f"cannot write the checkpoints in {folder}: {errors.reason(error)[:90]} ...; {_GO_ON}"
        ) from error


def set_damaged_aside(run: pathlib.Path) -> None:
    """Moves a run's damaged checkpoints out of the way and logs it; training goes on without them.

    With them goes the report, so that a run that was finished is not: what is lost is trained
    again, and the report is of what is there.
    """
    aside = run / DAMAGED
    for step in _newest_first(run):
        try:
            _read(step)
        except InputError as error:
            aside.mkdir(exist_ok=True)
            # A process that is killed in between has left a run that is unfinished.
            for path in filter(pathlib.Path.exists, (run / workdir.REPORT, step)):
                shutil.rmtree(aside / path.name, ignore_errors=True)
                path.replace(aside / path.name)
            print(f"{error}; it is moved to {aside}, and training goes on without", file=sys.stderr)


def _newest_first(run: pathlib.Path) -> list[pathlib.Path]:
    """The folders of a run's checkpoints."""
    steps = [path for path in run.glob("checkpoints/*") if path.name.isdigit()]
    return sorted(steps, key=lambda path: -int(path.name))


def check_room(folder: pathlib.Path, num_bytes: int) -> None:
    """Raises InputError where the disk of `folder` has no room for the checkpoints of a run.

    Args:
      folder: of the run; what its checkpoints take now counts as free.
      num_bytes: of the largest state.
    """
    # The two before and the best stay until the next is whole.
    needed = 4 * num_bytes
    held = sum(path.stat().st_size for path in folder.glob("checkpoints/**/*") if path.is_file())
    free = shutil.disk_usage(folder).free + held
    if free < needed:
        raise InputError(
            f"{folder} has {free / 1e9:.2f} GB free, and the checkpoints of this run take up to "
            f"{needed / 1e9:.2f} GB; make room, or give another --workdir"
        )


def save(
    manager: ocp.CheckpointManager,
    step: int,
    state: Any,
    score: float | None,
    about: Mapping[str, np.ndarray] = {},
) -> None:
    """Saves `state` at `step` in the background.

    Args:
      manager: of the checkpoints.
      step: of the run.
      state: any tree of arrays.
      score: lower is better. None where there is none; a NaN, of a run that diverged, is none.
      about: what the state is of, see `check_about`.

    Raises:
      InputError: the disk has no room for it.
    """
    # A copy on the host: the step that runs meanwhile reuses the state's own buffers.
    host = {path: np.array(leaf) for path, leaf in flatten(state).items()}
    host |= flatten(dict(about), exported.ABOUT)
    host[CHECKSUM] = np.uint32(checksums.of_arrays(host))
    size, directory = sum(array.nbytes for array in host.values()), pathlib.Path(manager.directory)
    if shutil.disk_usage(directory).free < size:
        raise InputError(
            f"{directory} has no room for a checkpoint of {size / 1e6:.1f} MB; {_GO_ON}"
        )
    metrics = None
    if score is not None and not np.isnan(score):
        metrics = checksums.sealed({SCORE: float(score)})
    manager.save(step, args=ocp.args.StandardSave(host), metrics=metrics)


def read(manager: ocp.CheckpointManager, step: int) -> dict[str, np.ndarray]:
    """The arrays saved at `step`, by path.

    Raises:
      InputError: they are damaged.
    """
    return _read(pathlib.Path(manager.directory) / str(step))


def _read(folder: pathlib.Path) -> dict[str, np.ndarray]:
    try:
        _score(folder)
        with ocp.StandardCheckpointer(multiprocessing_options=_alone()) as reader:
            arrays = dict(reader.restore(folder.absolute() / "default"))
        kept = arrays.pop(CHECKSUM, None)  # older ones have none
        if kept is not None and int(kept) != checksums.of_arrays(arrays):
            raise ValueError("its checksum is another")
    except Exception as error:  # of damaged files libraries raise anything
        raise InputError(f"the checkpoint {folder} is damaged ({errors.reason(error)})") from error
    return arrays


def _score(folder: pathlib.Path) -> float | None:
    """The score of a step; None where there is none.

    Raises:
      ValueError: it is damaged.
    """
    path = folder / "metrics" / "metrics"
    if not path.is_file():
        return None
    found = json.loads(path.read_bytes())
    # One that was saved without a checksum has nothing else.
    keys = {SCORE} if isinstance(found, dict) and len(found) == 1 else {SCORE, CHECKSUM}
    if not isinstance(found, dict) or set(found) != keys or not checksums.is_whole(found):
        raise ValueError(f"{path} has another checksum")
    return float(found[SCORE])


def check_about(
    arrays: dict[str, Any], about: Mapping[str, np.ndarray], folder: pathlib.Path
) -> None:
    """Takes what a state is of out of a checkpoint's arrays, which earlier versions lack.

    Raises:
      InputError: it is of something else than `about`.
    """
    for name, wanted in about.items():
        found = arrays.pop(f"{exported.ABOUT}.{name}", None)
        if found is not None and not np.array_equal(np.asarray(found), wanted):
            raise InputError(
                f"{folder / name} is not what the checkpoint is of: it is damaged, or the data has "
                "changed; copy it again, or bring the data back, or give another --workdir"
            )


def read_run(folder: pathlib.Path, *, best: bool, prefers_best: bool = False) -> tuple[int, dict]:
    """Step and arrays of a run's latest or best checkpoint, or of what `exported.write` made of it.

    In the place of a damaged one it is the one before, or the next best; that is logged.
    `prefers_best` takes the best one where the run was validated. Arrays of an export are read
    where `np.asarray` asks for them.

    Raises:
      InputError: the run in `folder` has none, or none that is whole.
    """
    if exported.is_export(folder):
        return exported.read(folder)
    damaged = []
    for step in _preferred(folder, best, prefers_best):
        try:
            arrays = _read(step)
        except InputError as error:
            damaged.append(str(error))
            continue
        for line in damaged:
            print(f"{line}: that of step {step.name} is used; {_REMEDY}", file=sys.stderr)
        return int(step.name), arrays
    leave_out = "leave out --best" if best else ""
    if damaged:
        raise InputError("; ".join(filter(None, (damaged[0], leave_out, _REMEDY))))
    raise InputError(
        f"{folder} has no "
        + (f"validated checkpoint; {leave_out}" if best else "checkpoint yet; train first")
    )


def _preferred(folder: pathlib.Path, best: bool, prefers_best: bool) -> list[pathlib.Path]:
    """Checkpoints as `read_run` tries them."""
    newest_first = _newest_first(folder)
    if not (best or prefers_best):
        return newest_first
    scores = {step: _rank(step) for step in newest_first}
    # Of equal scores the newest, as orbax has it.
    validated = sorted((step for step in scores if scores[step] is not None), key=scores.get)
    return validated if best else list(dict.fromkeys([*validated, *newest_first]))


def _rank(step: pathlib.Path) -> float | None:
    """Its score; lowest where that cannot be read, since it may have been the best."""
    try:
        return _score(step)
    except (OSError, ValueError):
        return -np.inf


def restore(arrays: dict[str, Any], target: Any, prefix: str = "") -> Any:
    """Arrays as `read` returns them, in the form of `target`.

    Args:
      arrays: by path.
      target: a tree of arrays or shapes.
      prefix: path of `target` inside what was saved ("params"), where it is a part of it.

    Raises:
      InputError: the checkpoint is of another network: it names the first leaf that differs.
    """
    wanted = flatten(target, prefix)
    for path in arrays:
        if path not in wanted and path.startswith(_start(prefix)):
            raise InputError(
                f"the checkpoint has '{path}', which this network or phase has not; "
                "use the config it was made with, or a fresh --workdir"
            )
    for path, leaf in wanted.items():
        if path not in arrays:
            raise InputError(
                f"the checkpoint has no '{path}': it is of another network or phase list; "
                "use the config it was made with, or a fresh --workdir"
            )
        if arrays[path].shape != leaf.shape:
            raise InputError(
                f"'{path}' has shape {arrays[path].shape} in the checkpoint and {leaf.shape} in "
                "this network; use the config it was made with, or a fresh --workdir"
            )
    leaves = [np.asarray(arrays[path], leaf.dtype) for path, leaf in wanted.items()]
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def flatten(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Leaves by path; "." between the levels, because "/" already divides parameter names."""
    leaves = jax.tree_util.tree_leaves_with_path(tree)
    return {
        _start(prefix) + jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in leaves
    }


def _start(prefix: str) -> str:
    return f"{prefix}." if prefix else ""
