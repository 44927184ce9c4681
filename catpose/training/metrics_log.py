"""Metrics of a run, one JSON object a line; to TensorBoard too where that is asked for."""

import contextlib
import json
import pathlib
from collections.abc import Callable, Iterator
from typing import Any

from catpose.data import disk_cache
from catpose.errors import InputError

FILE = "metrics.jsonl"


@contextlib.contextmanager
def opened(
    folder: pathlib.Path, *, step: int | None, tensorboard: bool = False
) -> Iterator[Callable[[dict[str, Any]], None]]:
    """Yields a function that adds one record (a dict with at least `step`) to the run's log.

    Args:
      folder: the workdir; the log is its `metrics.jsonl`.
      step: where a resumed run goes on: what was logged after it is dropped, because it will be
        logged again. None for a fresh run.
      tensorboard: add the numbers to event files in `tensorboard/` (extra [tensorboard]).

    Raises:
      InputError: TensorBoard is asked for and the extra is not installed.
    """
    path = folder / FILE
    kept = [] if step is None else [record for record in read(folder) if record["step"] <= step]
    disk_cache.write_whole(path, "".join(json.dumps(record) + "\n" for record in kept).encode())
    events = _events(folder / "tensorboard") if tensorboard else None

    def write(record: dict[str, Any]) -> None:
        with path.open("a") as file:
            file.write(json.dumps(record) + "\n")
        if events is not None:
            for name, value in _numbers(record, ""):
                events.add_scalar(name, value, record["step"])

    try:
        yield write
    finally:
        if events is not None:
            events.close()


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The records of a run's log, oldest first; a last line cut off by a kill is passed over."""
    path = folder / FILE
    records = []
    if path.is_file():
        for line in path.read_text().splitlines():
            with contextlib.suppress(json.JSONDecodeError):
                records.append(json.loads(line))
    return records


def _events(folder: pathlib.Path) -> Any:
    try:
        # Not flax's or clu's writer: those import TensorFlow.
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise InputError(
            "config.tensorboard needs the extra: pip install 'catpose[tensorboard]'"
        ) from error
    return SummaryWriter(str(folder))


def _numbers(record: dict[str, Any], prefix: str) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((prefix + name, float(value)))
    return found
