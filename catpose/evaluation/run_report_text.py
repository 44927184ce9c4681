"""A run's report as text: report.md, which report.html is made from, and lines for a terminal.

The report is the dict of report.json. A missing split or fusion leaves out its table rows; a
missing metric, None or NaN is printed as a dash. pose-err is in degrees, accuracies are fractions;
both are means over categories unless they say otherwise.
"""

from collections.abc import Mapping, Sequence

from catpose import metrics
from catpose.evaluation import score
from catpose.visualize import text_tables

SPLITS = ("test", "validation", "train")
# Which pose each reports.
FUSIONS = {
    "weighted": "that of all pose networks, weighted by the category probabilities",
    "top1": "that of the most probable category's network",
    "oracle": "that of the true category's network, so the category is given",
    "mode": "that of the most probable category and pose together",
    "min_expected_error": "the one with the least expected error",
}
_OVERVIEW = ("pose_err_deg", "cat_acc", "acc_30", "acc_30_gated")
_READING = (
    "pose-err is the angle between predicted and true rotation, the median of each category; "
    "cat-acc is the share of images with the right category; acc@30 that of pose errors below 30°, "
    "gated only where the category is right as well. All are means over categories, with 95 % "
    "intervals in brackets."
)
_SHARES = (
    "The same training on a part of the images, each time from the beginning. Where the last lines "
    "still differ by more than their 95 % intervals, more images will help."
)


def markdown(report: Mapping, names: Sequence[str]) -> str:
    """The text of report.md.

    Args:
      report: what report.json holds; its "figures" exist as figures/<name>.png beside the file.
      names: the K categories, in the order of the per-category lists.

    Returns:
      Markdown (GitHub's dialect), with a newline at its end.

    Raises:
      ValueError: if a per-category list does not have one entry per name.
    """
    parts = [f"# {report.get('name', 'run')}", summary_line(report)]
    if any(_summaries(results) for results in _splits(report).values()):
        parts += [text_tables.markdown(*_answers(report), 1), _READING]
    if report.get("figures"):
        parts.append("## Pictures")
    for figure in report.get("figures") or ():
        heading, path = figure["heading"], f"figures/{figure['name']}.png"
        parts.append(f"### {heading}\n\n![{heading}]({path})\n\n{figure['caption']}")
    for split, results in _splits(report).items():
        parts.append(f"## {split.capitalize()}{_frame(report, results)}")
        parts += _split(report, results, names)
    best = report.get("best") or {}
    if best.get("splits") and best.get("step") != report.get("step"):
        parts.append(f"## Best step on validation: {best.get('step', '–')}")
        parts.append(text_tables.markdown(*_overview(best), 2))
    if report.get("shares"):
        parts += ["## What more images bring", _SHARES, _shares(report)]
    if report.get("phases"):
        parts += ["## Phases", _phases(report)]
    if report.get("notes"):
        parts += ["## Notes", "\n".join(f"- {note}" for note in report["notes"])]
    parts += ["## How it was made", _made(report)]
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_line(report: Mapping) -> str:
    """The outcome of a run in one line: the test split, else validation, else training.

    The fusion is the one that the run answers with, where it was evaluated.
    """
    name, seconds = report.get("name", "run"), report.get("wall_seconds")
    after = f" in {text_tables.duration(seconds)}" if seconds else ""
    evaluated = {s: results for s, results in _splits(report).items() if _summaries(results)}
    if not evaluated:
        return f"{name}: no evaluation{after}"
    split, results = next(iter(evaluated.items()))
    fusion, summary = _answering(report, results)
    frame = summary.get("frame", report.get("frame"))
    values = [
        f"{metrics.METRICS[key].label} {_number(summary, key)}"
        + (" deg" if metrics.METRICS[key].unit == "degrees" else "")
        for key in _OVERVIEW[:3]
    ]
    return (
        f"{name}: {split}, {fusion}: {', '.join(values)}"
        + (f" ({frame} frame)" if frame else "")
        + (", symmetry respected" if summary.get("symmetry") else "")
        + after
    )


def terminal_table(report: Mapping) -> str:
    """The main metrics of every split and fusion as plain text with aligned columns."""
    head, rows = _overview(report)
    return text_tables.plain(head, rows, 2) if rows else "no evaluation"


def _made(report):
    versions = ", ".join(f"{k} {v}" for k, v in (report.get("versions") or {}).items())
    seconds, num_params = report.get("wall_seconds"), report.get("num_params")
    rows = [
        ["device", report.get("device")],
        ["wall time", None if seconds is None else text_tables.duration(seconds)],
        ["parameters", None if num_params is None else f"{num_params:,}"],
        ["frame", report.get("frame")],
        ["answers by", report.get("answers_by")],
        ["weights of step", report.get("step")],
        ["calibration", _calibration(report.get("calibration"))],
        ["seed", report.get("seed")],
        ["commit", report.get("commit")],
        ["versions", versions or None],
        ["sha256 of the parameters", report.get("params_sha256")],
    ]
    rows = [[head, str(value)] for head, value in rows if value is not None]
    return text_tables.markdown(["configuration", str(report.get("name", "run"))], rows, 2)


def _calibration(found):
    if not found:
        return None
    return (
        f"temperature {found['temperature']:g}, concentration {found['concentration']:g}, fitted "
        f"on {found['fitted_on']['examples']} images of {found['fitted_on']['split']}"
    )


def _frame(report, results):
    for summary in (*_summaries(results).values(), report):
        if summary.get("frame"):
            return f" ({summary['frame']} frame)"
    return ""


def _answering(report, results):
    """Name and summary of the fusion that the run answers with, else of the first."""
    summaries = _summaries(results)
    fusion = report.get("answers_by")
    return (fusion, summaries[fusion]) if fusion in summaries else next(iter(summaries.items()))


def _answers(report):
    """One table row for each split, of the fusion that the run answers with."""
    rows = []
    for split, results in _splits(report).items():
        if _summaries(results):
            fusion, summary = _answering(report, results)
            cells = [_with_interval(summary, key) for key in _OVERVIEW[:3]]
            rows.append([f"{split}, {fusion}", *cells, _num_images(summary)])
    heads = map(_heading, _OVERVIEW[:3])
    return ["split, fusion", *heads, "images"], rows


def _split(report, results, names):
    summaries, parts = _summaries(results), []
    if summaries:
        fusion, summary = _answering(report, results)
        parts += [f"Categories, {fusion} fusion:", _categories(fusion, summary, names)]
        parts += [f"Every metric, {fusion} fusion:", _every_metric(summary), _explained(summary)]
        parts.append(_by_spread(summary))
    if len(summaries) > 1:
        rows = [
            [name, *(_with_interval(own, key) for key in _OVERVIEW)]
            for name, own in summaries.items()
        ]
        heads = list(map(_heading, _OVERVIEW))
        known = [f"{name} reports {FUSIONS[name]}" for name in summaries if name in FUSIONS]
        parts += ["Every fusion:", text_tables.markdown(["fusion", *heads], rows, 1)]
        parts.append("; ".join(known) + "." if known else "")
    if topk := results.get("topk"):
        heads = [str(k).lower().removeprefix("top") for k in topk]
        heads = ["GT" if head == "gt" else f"Top-{head}" for head in heads]
        rows = [[_heading(name), *(_number(own, name) for own in topk.values())]
                for name in score.OF_CATEGORIES]  # fmt: skip
        parts += [
            "When the category network may name k categories (the pose is the best of theirs); "
            "GT: the true category is given.",
            text_tables.markdown(["metric", *heads], rows, 1),
        ]
    return parts


def _categories(fusion, summary, names):
    """One table row for each category, the mean first."""
    heads, columns = ["category"], [["**mean**", *names]]
    for key in score.OF_CATEGORIES:
        digits = metrics.METRICS[key].digits
        empty = [None] * len(names)
        values = summary.get(f"{key}_per_category", empty)
        if len(values) != len(names):
            raise ValueError(
                f"{key}_per_category of {fusion} has {len(values)} entries for "
                f"{len(names)} categories"
            )
        # As in the paper, the mean has more digits: 2 of degrees, 4 of accuracy.
        cells = [text_tables.number(value, digits // 2) for value in values]
        heads.append(_heading(key))
        columns.append([_number(summary, key), *cells])
        if ends := summary.get(f"{key}_interval"):
            each = summary.get(f"{key}_per_category_interval", empty)
            cells = [text_tables.interval(own, digits // 2) for own in each]
            heads.append("95 % interval")
            columns.append([text_tables.interval(ends, digits), *cells])
    rows = [list(cells) for cells in zip(*columns, strict=True)]
    return text_tables.markdown(heads, rows, 1)


def _every_metric(summary):
    rows = [
        [_heading(name), _number(summary, name),
         text_tables.interval(summary.get(f"{name}_interval"), metrics.METRICS[name].digits)]
        for name in metrics.METRICS
    ]  # fmt: skip
    rows += [
        [f"{_heading(name)}, over all images", _number(summary, name, "_instance"), "–"]
        for name in score.OF_CATEGORIES
    ]
    rows.append(["images", _num_images(summary), ""])
    return text_tables.markdown(["metric", "value", "95 % interval"], rows, 1)


def _explained(summary):
    certain = " What NLL, ECE, coverage and volume say: docs/certainty.md."
    return "AAAI is the mean of 1 - error / 180°." + certain * ("nll" in summary)


def _by_spread(summary):
    names = ("spread_deg", "pose_err_deg", "acc_30", "nll", "pose_ece", "coverage_90", "volume_90")
    quarters = summary.get("by_spread")
    if not quarters:
        return ""
    rows = []
    for name in names:
        known = metrics.METRICS.get(name)
        head = metrics.heading(known) if known else "spread (°)"
        cells = [text_tables.number(v, known.digits if known else 1) for v in quarters[name]]
        rows.append([head, *cells])
    lead = (
        "By quarter of the model's own spread, the expected error of its most probable pose, from "
        "the surest images to the least sure (docs/certainty.md):\n\n"
    )
    return lead + text_tables.markdown(["metric", "surest", "2nd", "3rd", "least sure"], rows, 1)


def _heading(name):
    return metrics.heading(metrics.METRICS[name])


def _with_interval(summary, name):
    ends, digits = summary.get(f"{name}_interval"), metrics.METRICS[name].digits
    text = _number(summary, name)
    if not ends:
        return text
    return f"{text} [{', '.join(text_tables.number(end, digits) for end in ends)}]"


def _shares(report):
    """One table row for each number of training images, of the split that counts."""
    split, rows = next(iter(_splits(report))), []
    for part in (*report["shares"], report):
        _, summary = _answering(report, part["splits"][split])
        rows.append([str(part["num_train"]), *(_with_interval(summary, key) for key in _OVERVIEW)])
    labels = [f"{metrics.METRICS[key].label} ({split})" for key in _OVERVIEW]
    return text_tables.markdown(["training images", *labels], rows, 1)


def _number(summary, name, suffix=""):
    return text_tables.number(summary.get(name + suffix), metrics.METRICS[name].digits)


def _num_images(summary):
    return str(summary.get("num_images", "–"))


def _overview(report):
    labels = [metrics.METRICS[key].label for key in _OVERVIEW]
    rows = [
        [split, fusion, *(_number(summary, key) for key in _OVERVIEW), _num_images(summary)]
        for split, results in _splits(report).items()
        for fusion, summary in _summaries(results).items()
    ]
    return ["split", "fusion", *labels, "images"], rows


def _phases(report):
    speeds, rows = report.get("images_per_second") or {}, []
    for phase in report["phases"]:
        start, stop, speed = phase["start"], phase["stop"], speeds.get(phase["name"])
        seconds = text_tables.duration(phase["seconds"])
        speed = text_tables.number(speed, 0 if (speed or 0) >= 100 else 1)
        rows.append([phase["name"], f"{start} to {stop}", str(stop - start), seconds, speed])
    return text_tables.markdown(["phase", "from, to", "steps", "time", "images/s"], rows, 1)


def _splits(report):
    return _ordered(report.get("splits") or {}, SPLITS)


def _summaries(results):
    return {k: v for k, v in _ordered(results, FUSIONS).items() if k != "topk"}


def _ordered(mapping, first):
    """What is not empty, `first` first."""
    return {k: mapping[k] for k in dict.fromkeys([*first, *mapping]) if mapping.get(k)}
