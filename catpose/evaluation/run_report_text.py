"""A run's report as text: report.md in the layout of the paper's tables, and lines for a terminal.

The report is the dict of report.json. A missing split or fusion leaves out its table rows; a
missing metric, None or NaN is printed as a dash. pose-err is in degrees, accuracies are fractions;
both are means over categories unless they say otherwise.
"""

from collections.abc import Mapping, Sequence

from catpose import metrics
from catpose.data.categories import SHORT_NAMES
from catpose.visualize import text_tables

NUM_ACROSS = 20  # with more categories, each has its own table row
SPLITS = ("test", "validation", "train")
FUSIONS = {
    "weighted": "Weighted",
    "top1": "Top1",
    "oracle": "Oracle",
    "mode": "Mode",
    "min_expected_error": "Min. error",
}
# File name in figures/ without .png, heading, how to read it.
FIGURES = {
    "loss_curves": (
        "Training",
        "Shaded bands are the phases; each phase has its own loss, so levels of different phases "
        "do not compare. Below: pose-err (left axis, lower is better) and cat-acc (right axis).",
    ),
    "error_histogram": (
        "Pose error",
        "A second hump near 180 degrees is objects seen back to front. On the right, the height "
        "of a curve at 30 degrees is the share of all images below 30 degrees.",
    ),
    "category_bars": (
        "Categories",
        "Left, the median error of each category; right, how many of its images get the right "
        "category. The lowest bars are the means over categories.",
    ),
    "confusion": (
        "Confusion",
        "Each row is a true category and sums to 100 %; what lies off the diagonal is mistaken "
        "for the column's category.",
    ),
    "reliability": (
        "Certainty",
        "Points on the dashed line are true: of what was said with a probability of 0.8, eight in "
        "ten were so. Below the line the network is too sure, above it not sure enough. Gray bars: "
        "how often it said so.",
    ),
    "densities": (
        "Densities",
        "Each map is the sphere around the object, with its front in the middle: a cloud of points "
        "is where the network holds the camera to be, the larger the more probable, and its color "
        "is the tilt. The ring is the truth, in the color of its tilt. Several clouds: several "
        "possible poses. From the image whose pose is surest to the least sure.",
    ),
    "azimuth_scatter": (
        "Azimuth",
        "Points on the solid line are right, points on the dashed lines are off by 180 degrees; "
        "the corners upper left and lower right are right too, since 0 and 360 are one angle.",
    ),
    "example_sheet": (
        "Examples",
        "Arrows are the prediction, dashed lines the truth: F front, L left side, U up. The "
        "caption has the predicted category, its probability and the pose error in the run's "
        "frame; red: wrong category. Below, where every category has one, a 3D model of the "
        "predicted category at the predicted pose; it is another object of its kind, so look at "
        "how it is turned.",
    ),
}
_PER_CATEGORY = ("pose_err_deg", "cat_acc")  # of which every category is listed
_OVERVIEW = ("pose_err_deg", "cat_acc", "acc_30", "acc_30_gated")
_SHARES = (
    "The same training on a part of the images, each time from the beginning. Where the last lines "
    "still differ by more than their 95 % intervals, more images will help."
)


def markdown(report: Mapping, names: Sequence[str], figures: Sequence[str] = tuple(FIGURES)) -> str:
    """The text of report.md.

    Args:
      report: what report.json holds.
      names: the K categories, in the order of the per-category lists.
      figures: the names of `FIGURES` that exist as figures/<name>.png beside the file.

    Returns:
      Markdown (GitHub's dialect), with a newline at its end.

    Raises:
      ValueError: if a per-category list does not have one entry per name.
    """
    parts = [f"# {report.get('name', 'run')}", summary_line(report), _header(report)]
    for split, results in _splits(report).items():
        parts.append(f"## {split.capitalize()}{_frame(report, results)}")
        parts += _split(results, names)
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
    if figures:
        parts.append("## Figures")
    for figure in figures:
        heading, reading = FIGURES[figure]
        parts.append(f"### {heading}\n\n{reading}\n\n![{heading}](figures/{figure}.png)")
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_line(report: Mapping) -> str:
    """The outcome of a run in one line: the test split, else validation, else training.

    The fusion is the one that the run answers with, where it was evaluated.
    """
    name, seconds = report.get("name", "run"), report.get("wall_seconds")
    after = f" in {text_tables.duration(seconds)}" if seconds else ""
    evaluated = {split: _summaries(results) for split, results in _splits(report).items()}
    split = next((split for split, summaries in evaluated.items() if summaries), None)
    if split is None:
        return f"{name}: no evaluation{after}"
    fusion = report.get("answers_by")
    fusion = fusion if fusion in evaluated[split] else next(iter(evaluated[split]))
    summary = evaluated[split][fusion]
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


def _header(report):
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
        ["sha256 of the parameters", report.get("params_sha256")],
        ["versions", versions or None],
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


def _split(results, names):
    summaries = _summaries(results)
    parts = []
    if summaries:
        heads = [FUSIONS.get(fusion, fusion) for fusion in summaries]
        rows = [_row(summaries, name) for name in metrics.METRICS]
        rows += [_row(summaries, name, "_instance", ", over all images") for name in _PER_CATEGORY]
        rows.append(["images", *map(_num_images, summaries.values())])
        parts += [
            _per_category(summaries, names),
            "Every metric, mean over categories. acc@30 is the share of the images with a pose "
            "error below 30°; gated, it counts an image only if its category is right as well. "
            "AAAI is the mean of 1 - error / 180°.",
            text_tables.markdown(["metric", *heads], rows, 1),
        ]
    parts += [_by_spread(summary) for summary in summaries.values() if "pose_ece" in summary]
    if topk := results.get("topk"):
        heads = [str(k).lower().removeprefix("top") for k in topk]
        heads = ["GT" if head == "gt" else f"Top-{head}" for head in heads]
        rows = [_row(topk, name) for name in ("cat_acc", "pose_err_deg")]
        parts += [
            "When the category network may name k categories (the pose is the best of theirs); "
            "GT: the true category is given.",
            text_tables.markdown(["metric", *heads], rows, 1),
        ]
    return parts


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


def _row(summaries, name, suffix="", note=""):
    heading = metrics.heading(metrics.METRICS[name]) + note
    return [heading, *(_with_interval(summary, name, suffix) for summary in summaries.values())]


def _with_interval(summary, name, suffix=""):
    ends, digits = summary.get(f"{name}{suffix}_interval"), metrics.METRICS[name].digits
    text = _number(summary, name, suffix)
    if not ends:
        return text
    return f"{text} [{', '.join(text_tables.number(end, digits) for end in ends)}]"


def _shares(report):
    """One table row for each number of training images, of the split that counts."""
    split, rows = next(iter(_splits(report))), []
    for part in (*report["shares"], report):
        summaries = _summaries(part["splits"][split])
        summary = summaries.get(report.get("answers_by"), next(iter(summaries.values())))
        rows.append([str(part["num_train"]), *(_with_interval(summary, key) for key in _OVERVIEW)])
    labels = [f"{metrics.METRICS[key].label} ({split})" for key in _OVERVIEW]
    return text_tables.markdown(["training images", *labels], rows, 1)


def _number(summary, name, suffix=""):
    return text_tables.number(summary.get(name + suffix), metrics.METRICS[name].digits)


def _num_images(summary):
    return str(summary.get("num_images", "–"))


def _per_category(summaries, names):
    short = [SHORT_NAMES.get(name, name) for name in names]
    rows = []
    for key in _PER_CATEGORY:
        head, digits, block = metrics.heading(metrics.METRICS[key]), metrics.METRICS[key].digits, []
        for fusion, summary in summaries.items():
            values = summary.get(f"{key}_per_category", [None] * len(names))
            if len(values) != len(names):
                raise ValueError(
                    f"{key}_per_category of {fusion} has {len(values)} entries for "
                    f"{len(names)} categories"
                )
            # As in the paper, the mean has more digits: 2 of degrees, 4 of accuracy.
            cells = [text_tables.number(v, digits // 2) for v in values]
            block.append([head, FUSIONS.get(fusion, fusion), *cells, _number(summary, key)])
        # The category is the same with every fusion: one table row for all.
        if key == "cat_acc" and len(block) > 1 and all(row[2:] == block[0][2:] for row in block):
            block = [[head, "all", *block[0][2:]]]
        rows += block
    if len(names) <= NUM_ACROSS:
        return text_tables.markdown(["metric", "fusion", *short, "mean"], rows, 2)
    heads = ["category", *(f"{row[0]}, {row[1]}" for row in rows)]
    columns = [row[2:] for row in rows]
    body = [list(cells) for cells in zip([*short, "**mean**"], *columns, strict=True)]
    return text_tables.markdown(heads, body, 1)


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
