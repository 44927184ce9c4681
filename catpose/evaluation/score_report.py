"""A score as text for a terminal, as Markdown and as JSON."""

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from catpose import metrics, outputs
from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.evaluation import score
from catpose.evaluation.published_figures import FIGURES, Figure
from catpose.visualize import text_tables

_PER_CATEGORY = ("pose_err_deg", "acc_30", "cat_acc")
_PER_SPREAD = ("pose_err_deg", "acc_30", "cat_acc", "nll", "pose_ece", "coverage_90", "volume_90")
_COMPARED = ("pose_err_deg", "acc_30", "cat_acc")
_AVERAGES = {
    "category": "mean over categories",
    "weighted": "mean over categories weighted by their objects",
    "instance": "over all objects",
    "part": "mean over parts",
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
    parts += [text_tables.plain(*_categories(score), 1)]
    parts += [text_tables.plain(*_by_spread(score), 1)] if score.by_spread else []
    parts += ["\n".join(remarks(score))]
    parts += [comparison({name: score})] if name in FIGURES else []
    return "\n\n".join(part for part in parts if part)


def comparison(scores: Mapping[str, score.Score], *, in_markdown: bool = False) -> str:
    """One table of several protocols, a row each, with what others published beside it.

    Args:
      scores: by the name of the protocol.
      in_markdown: for a page instead of a terminal.
    """
    chosen = [metrics.METRICS[name] for name in _COMPARED]
    heads = list(map(metrics.heading, chosen))
    rows, sources = [], []
    for name, own in scores.items():
        values = [own.metrics.get(metric, {}).get("value") for metric in _COMPARED]
        interval = text_tables.interval(own.metrics["pose_err_deg"].get("interval"), 2)
        cells = [name, str(own.num_objects), interval, *map(_number, values, chosen)]
        for figure in FIGURES.get(name, (Figure("", ""),)):
            published = [getattr(figure, metric) for metric in _COMPARED]
            published = ["–" if value is None else f"{value:g}" for value in published]
            if figure.source and figure.source not in sources:
                sources.append(figure.source)
            place = f" [{sources.index(figure.source) + 1}]" if figure.source else ""
            rows.append([*cells, *published, f"{figure.system}{place}"])
            cells = [""] * len(cells)
    heads = ["protocol", "objects", f"{heads[0]}, 95 % interval", *heads]
    heads += [f"published {heads[3]}", *heads[4:], "by"]
    table = (text_tables.markdown if in_markdown else text_tables.plain)(heads, rows, 1)
    places = [f"[{i}] {source}" for i, source in enumerate(sources, start=1)]
    return "\n\n".join([table, *(["  \n".join(places)] if places else [])])


def shared_remarks(scores: Mapping[str, score.Score]) -> list[str]:
    """The remarks on several protocols, each once, with the protocols if they are not all."""
    names: dict[str, list[str]] = {}
    for name, own in scores.items():
        for remark in remarks(own):
            names.setdefault(remark, []).append(name)
    return [
        remark if len(own) == len(scores) else f"{', '.join(own)}: {remark}"
        for remark, own in names.items()
    ]


def markdown(score: score.Score, name: str, predictions: str) -> str:
    """The score as a page; `predictions` is where the predictions are from."""
    definition = [
        [key, str(value)]
        for key, value in score.protocol._asdict().items()
        if key not in ("description", "source")
    ]
    parts = [
        f"# {name}: {score.protocol.description}",
        f"Scored by catpose. Predictions: {predictions}. {_heading(score, name)}.",
        text_tables.markdown(*_overall(score), 1),
        text_tables.markdown(*_categories(score), 1),
        *([text_tables.markdown(*_by_spread(score), 1)] if score.by_spread else []),
        "\n".join(f"- {remark}" for remark in remarks(score)),
        *(["## Published", comparison({name: score}, in_markdown=True)] * (name in FIGURES)),
        "## Protocol",
        text_tables.markdown(["switch", "value"], definition, 2),
        score.protocol.source,
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def to_json(score: score.Score, name: str, predictions: str) -> dict[str, Any]:
    """The score as lists and numbers."""
    return {
        **outputs.MARK,
        "protocol": name,
        "predictions": predictions,
        "labels": score.origin,
        "definition": score.protocol._asdict(),
        **{
            key: value
            for key, value in score._asdict().items()
            if key not in ("protocol", "origin", "metrics", "errors")
        },
        "categories": list(score.categories),
        "figures": score.metrics,
    }


def write(
    score: score.Score, name: str, predictions: str, folder: pathlib.Path, stem: str
) -> list[pathlib.Path]:
    """Writes `<stem>.json` and `<stem>.md` into `folder`; returns their paths.

    Raises:
      InputError: the files cannot be written, or they exist and are not catpose's.
    """
    content = json.dumps(to_json(score, name, predictions), indent=2, allow_nan=False) + "\n"
    page = markdown(score, name, predictions)
    return _written({folder / f"{stem}.json": content, folder / f"{stem}.md": page}, folder)


def write_comparison(
    scores: Mapping[str, score.Score], folder: pathlib.Path, stem: str
) -> list[pathlib.Path]:
    """Writes the table of several protocols to `<stem>-protocols.md`; returns its path.

    Raises:
      InputError: the file cannot be written.
    """
    page = f"Scored by catpose.\n\n{comparison(scores, in_markdown=True)}\n"
    return _written({folder / f"{stem}-protocols.md": page}, folder)


def _written(files: Mapping[pathlib.Path, str], folder: pathlib.Path) -> list[pathlib.Path]:
    outputs.check_own(files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for path, text in files.items():
            disk_cache.write_whole(path, text.encode())
    except OSError as error:
        raise InputError(f"cannot write to {folder}: {error.strerror or error}") from error
    return list(files)


def _heading(score: score.Score, name: str) -> str:
    used = score.protocol
    return (
        f"{name} on {score.origin}: {score.num_objects} objects, {_AVERAGES[used.average]}, "
        f"{_NORMS[used.norm]}, frame {used.frame}, {_CATEGORY[used.category]}"
    )


def _number(value: float | None, metric: metrics.Metric) -> str:
    return text_tables.number(value, metric.digits)


def _overall(score: score.Score) -> tuple[list[str], list[list[str]]]:
    described = [(metrics.METRICS[name], found) for name, found in score.metrics.items()]
    rows = [
        [
            metrics.heading(metric),
            text_tables.number(found["value"], metric.digits),
            text_tables.interval(found.get("interval"), metric.digits),
        ]
        for metric, found in described
    ]
    return ["metric", "value", "95 % interval"], rows


def _categories(score: score.Score) -> tuple[list[str], list[list[str]]]:
    """One table row for each category: medians with their interval, accuracies without."""
    kind = "part" if score.protocol.average == "part" else "category"
    head, columns = [kind, "objects"], []
    listed = [name for name in _PER_CATEGORY if name in score.metrics]
    for name in listed:
        metric, found = metrics.METRICS[name], score.metrics[name]
        digits = metric.digits // 2
        head.append(metrics.heading(metric))
        columns.append([text_tables.number(value, digits) for value in found["per_category"]])
        if metric.statistic == "median":
            head.append("95 % interval")
            ends = found.get("per_category_interval", [None] * len(score.categories))
            columns.append([text_tables.interval(own, digits) for own in ends])
    counts = map(str, score.num_per_category)
    return head, [list(row) for row in zip(score.categories, counts, *columns, strict=True)]


def _by_spread(score: score.Score) -> tuple[list[str], list[list[str]]]:
    """One table row for each quarter of the model's own spread."""
    names = [name for name in _PER_SPREAD if name in score.by_spread]
    heads = [metrics.heading(metrics.METRICS[name]) for name in names]
    columns = [[text_tables.number(v, 1) for v in score.by_spread["spread_deg"]]]
    columns += [
        [text_tables.number(v, metrics.METRICS[name].digits) for v in score.by_spread[name]]
        for name in names
    ]
    quarters = ("surest quarter", "second", "third", "least sure")
    rows = [list(row) for row in zip(quarters, *columns, strict=True)]
    return ["own spread", "median (°)", *heads], rows


def remarks(score: score.Score) -> list[str]:
    """What is to be said of a score: what was left out, and what looks wrong."""
    left_out = ", ".join(f"{count} {name}" for name, count in score.left_out.items() if count)
    remarks = (
        (left_out, f"left out by filter: {left_out}"),
        (score.missing, f"{score.missing} objects without a prediction, scored as misses"),
        (score.surplus, f"{score.surplus} predictions of unknown objects left out"),
        *((note, note) for note in score.notes),
        (score.replicates, f"intervals from {score.replicates} resamples within categories"),
    )
    return [text for applies, text in remarks if applies]
