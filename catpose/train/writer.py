"""Metrics of a run, one JSON object a line; TensorBoard where the extra is installed."""

import json
import pathlib
from typing import Any


def read(path: pathlib.Path) -> list[dict[str, Any]]:
    """The lines of a metrics file, oldest first; a last line cut off by a kill is passed over."""
    records = []
    if path.is_file():
        for line in path.read_text().splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records


def truncate(path: pathlib.Path, step: int) -> None:
    """Drops what was logged after `step`: a resumed run logs it again."""
    kept = [record for record in read(path) if record["step"] <= step]
    path.write_text("".join(json.dumps(record) + "\n" for record in kept))


def append(path: pathlib.Path, record: dict[str, Any]) -> None:
    """Adds one line; `record` has at least `step`."""
    with path.open("a") as file:
        file.write(json.dumps(record) + "\n")


def tensorboard(folder: pathlib.Path, record: dict[str, Any]) -> None:
    """Adds the record's numbers to TensorBoard event files in `folder` (extra [tensorboard])."""
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(folder)) as events:
        for name, value in _numbers(record, ""):
            events.add_scalar(name, value, record["step"])


def _numbers(record: dict[str, Any], prefix: str) -> list[tuple[str, float]]:
    found = []
    for name, value in record.items():
        if isinstance(value, dict):
            found += _numbers(value, f"{prefix}{name}/")
        elif isinstance(value, int | float) and name != "step":
            found.append((prefix + name, float(value)))
    return found
