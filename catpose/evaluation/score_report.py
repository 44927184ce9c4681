"""A score as text for a terminal, as Markdown and as JSON."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.evaluation import score
from catpose.visualize import text_tables

# Name of the figure, heading, digits.
FIGURES = (
    ("pose_err_deg", "pose-err (°)", 2),
    ("cat_acc", "cat-acc", 4),
    ("acc_10", "acc@10", 4),
    ("acc_15", "acc@15", 4),
    ("acc_22_5", "acc@22.5", 4),
    ("acc_30", "acc@30", 4),
    ("acc_45", "acc@45", 4),
    ("acc_30_gated", "acc@30, category right too", 4),
    ("aaai", "AAAI", 4),
    ("azimuth_err_deg", "azimuth error (°)", 2),
    ("azimuth_acc_22_5", "azimuth acc@22.5", 4),
    ("azimuth_acc_45", "azimuth acc@45", 4),
    ("azimuth_aaai", "azimuth AAAI", 4),
)
_PER_CATEGORY = (
    ("pose_err_deg", "pose-err (°)", 1),
    ("acc_30", "acc@30", 2),
    ("cat_acc", "cat-acc", 2),
)
_AVERAGES = {
    "category": "mean over categories",
    "weighted": "mean over categories weighted by their objects",
    "instance": "over all objects",
}
_NORMS = {"frobenius": "geodesic errors", "two_norm": "errors in the 2-norm, sqrt(2) too small"}
_CATEGORY = {
    "oracle": "category given",
    "predicted": "category predicted",
    "gated": "category predicted, a wrong one is a miss",
}


def terminal(score: score.Score, name: str) -> str:
    """The score as plain text.

    Args:
      score: see `score.Score`.
      name: of the protocol.
    """
    parts = [_heading(score, name), text_tables.plain(*_overall(score), 1)]
    parts += [text_tables.plain(*_categories(score), 1), "\n".join(_remarks(score))]
    return "\n\n".join(part for part in parts if part)


def markdown(score: score.Score, name: str, predictions: str) -> str:
    """The score as a page; `predictions` says where the predictions are from."""
    definition = [
        [key, str(value)]
        for key, value in score.protocol._asdict().items()
        if key not in ("description", "source")
    ]
    parts = [
        f"# {name}: {score.protocol.description}",
        f"Predictions: {predictions}. {_heading(score, name)}.",
        text_tables.markdown(*_overall(score), 1),
        text_tables.markdown(*_categories(score), 1),
        "\n".join(f"- {remark}" for remark in _remarks(score)),
        "## Protocol",
        text_tables.markdown(["switch", "value"], definition, 2),
        score.protocol.source,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(score: score.Score, name: str, predictions: str) -> dict[str, Any]:
    """The score as lists and numbers."""
    return {
        "protocol": name,
        "predictions": predictions,
        "labels": score.what,
        "definition": score.protocol._asdict(),
        **{
            key: value
            for key, value in score._asdict().items()
            if key not in ("protocol", "what", "figures")
        },
        "categories": list(score.categories),
        "figures": score.figures,
    }


def write(
    score: score.Score, name: str, predictions: str, folder: pathlib.Path, stem: str
) -> list[pathlib.Path]:
    """Writes `<stem>.json` and `<stem>.md` into `folder`; returns their paths.

    Raises:
      InputError: no way to write.
    """
    content = json.dumps(to_json(score, name, predictions), indent=2, allow_nan=False) + "\n"
    texts = {".json": content, ".md": markdown(score, name, predictions)}
    paths = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for suffix, text in texts.items():
            path = folder / f"{stem}{suffix}"
            disk_cache.write_whole(path, text.encode())
            paths.append(path)
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    return paths


def _heading(score: score.Score, name: str) -> str:
    used = score.protocol
    return (
        f"{name} on {score.what}: {score.num_objects} objects, {_AVERAGES[used.average]}, "
        f"{_NORMS[used.norm]}, frame {used.frame}, {_CATEGORY[used.category]}"
    )


def _interval(figure: Mapping[str, Any], digits: int) -> str:
    if "interval" not in figure:
        return "–"
    low, high = (text_tables.number(end, digits) for end in figure["interval"])
    return f"{low} to {high}"


def _overall(score: score.Score) -> tuple[list[str], list[list[str]]]:
    rows = []
    for key, heading, digits in FIGURES:
        if key in score.figures:
            figure = score.figures[key]
            value = text_tables.number(figure["value"], digits)
            rows.append([heading, value, _interval(figure, digits)])
    return ["figure", "value", "95 % interval"], rows


def _categories(score: score.Score) -> tuple[list[str], list[list[str]]]:
    """One row a category: medians with their interval, accuracies without."""
    shown = [entry for entry in _PER_CATEGORY if entry[0] in score.figures]
    head = ["category", "objects"]
    for key, heading, _ in shown:
        head += [heading, "95 % interval"] if key == "pose_err_deg" else [heading]
    rows = []
    for c, (name, count) in enumerate(zip(score.categories, score.num_per_category, strict=True)):
        row = [name, str(count)]
        for key, _, digits in shown:
            figure = score.figures[key]
            row.append(text_tables.number(figure["per_category"][c], digits))
            if key == "pose_err_deg":
                ends = figure.get("per_category_interval", [None] * len(score.categories))[c]
                row.append(_interval({} if ends is None else {"interval": ends}, digits))
        rows.append(row)
    return head, rows


def _remarks(score: score.Score) -> list[str]:
    out = [f"{count} {name}" for name, count in score.left_out.items() if count]
    remarks = [f"left out by filter: {', '.join(out)}"] if out else []
    if score.missing:
        remarks.append(f"{score.missing} objects without a prediction, scored as misses")
    if score.surplus:
        remarks.append(f"{score.surplus} predictions of unknown objects left out")
    remarks += score.notes
    if score.replicates:
        remarks.append(f"intervals from {score.replicates} resamples within categories")
    return remarks
