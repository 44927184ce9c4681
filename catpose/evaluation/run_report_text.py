"""A run's report as text: report.md in the layout of the paper's tables, and lines for a terminal.

The report is the dict of report.json. A missing split, fusion or figure leaves out its rows; a None
or NaN is printed as a dash. pose-err is in degrees, accuracies are fractions; both are means over
categories unless they say otherwise.
"""

from collections.abc import Mapping, Sequence

from catpose.data.categories import SHORT_NAMES
from catpose.visualize import text_tables

NUM_ACROSS = 20  # with more categories, a table has one row per category
SPLITS = ("test", "validation", "train")
FUSIONS = {"weighted": "Weighted", "top1": "Top1", "oracle": "Oracle"}
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
        "category. The last row is the mean over categories.",
    ),
    "confusion": (
        "Confusion",
        "Each row is a true category and sums to 100 %; what lies off the diagonal is mistaken "
        "for the column's category.",
    ),
    "azimuth_scatter": (
        "Azimuth",
        "Points on the solid line are right, points on the dashed lines are off by 180 degrees; "
        "the corners upper left and lower right are right too, since 0 and 360 are one angle.",
    ),
    "example_sheet": (
        "Examples",
        "Arrows are the prediction, dashed lines the truth: F front, L left side, U up. The "
        "caption has the predicted category, its probability and the pose error; red: wrong "
        "category. Below, where every category has one, a 3D model of the predicted category at "
        "the predicted pose; it is another object of its kind, so look at how it is turned.",
    ),
}
_THRESHOLDS = {"10": "< 10°", "15": "< 15°", "22_5": "< 22.5°", "30": "< 30°", "45": "< 45°"}


def markdown(report: Mapping, names: Sequence[str], figures: Sequence[str] = tuple(FIGURES)) -> str:
    """Write report.md.

    Args:
      report: what report.json holds.
      names: the K categories, in the order of the per-category lists.
      figures: the keys of `FIGURES` that exist as figures/<key>.png beside the file.

    Returns:
      Markdown (GitHub's dialect), with a newline at its end.

    Raises:
      ValueError: if a per-category list does not have one entry per name.
    """
    parts = [f"# {report.get('name', 'run')}", summary_line(report), _header(report)]
    splits = _ordered(report.get("splits"), SPLITS)
    for split, results in splits.items():
        parts.append(f"## {split.capitalize()}{_frame(report, results)}, last step")
        parts += _split(results, names)
    best = report.get("best") or {}
    if best.get("splits"):
        parts.append(f"## Best step on validation: {best.get('step', '–')}")
        parts.append(text_tables.markdown(*_overview(best["splits"]), 2))
    if report.get("phases"):
        parts += ["## Phases", _phases(report)]
    if report.get("notes"):
        parts += ["## Notes", "\n".join(f"- {note}" for note in report["notes"])]
    if figures:
        parts.append("## Figures")
    for key in figures:
        heading, reading = FIGURES[key]
        parts.append(f"### {heading}\n\n{reading}\n\n![{heading}](figures/{key}.png)")
    return "\n\n".join(part for part in parts if part) + "\n"


def summary_line(report: Mapping) -> str:
    """Say the outcome of a run in one line: the test split, else validation, else training.

    The fusion is the one that the run was trained with, where it was evaluated.
    """
    name = report.get("name", "run")
    after = (
        f" in {text_tables.duration(report['wall_seconds'])}" if report.get("wall_seconds") else ""
    )
    for split, results in _ordered(report.get("splits"), SPLITS).items():
        summaries = _summaries(results)
        if not summaries:
            continue
        trained_with = report.get("trained_with")
        fusion = trained_with if trained_with in summaries else next(iter(summaries))
        summary = summaries[fusion]
        frame = summary.get("frame", report.get("frame"))
        return (
            f"{name}: {split}, {fusion}: "
            f"pose-err {text_tables.number(summary.get('pose_err_deg'), 2)} deg, "
            f"cat-acc {text_tables.number(summary.get('cat_acc'), 4)}, "
            f"acc@30 {text_tables.number(summary.get('acc_30'), 4)}"
            + (f" ({frame} frame)" if frame else "")
            + (", symmetry respected" if summary.get("symmetry") else "")
            + after
        )
    return f"{name}: no evaluation{after}"


def terminal_table(report: Mapping) -> str:
    """Lay out the main figures of every split and fusion as plain text with aligned columns."""
    head, rows = _overview(report.get("splits") or {})
    if not rows:
        return "no evaluation"
    return text_tables.plain(head, rows, 2)


def _header(report):
    versions = ", ".join(f"{k} {v}" for k, v in (report.get("versions") or {}).items())
    seconds, num_params = report.get("wall_seconds"), report.get("num_params")
    rows = [
        ["device", report.get("device")],
        ["wall time", None if seconds is None else text_tables.duration(seconds)],
        ["parameters", None if num_params is None else f"{num_params:,}"],
        ["frame", report.get("frame")],
        ["trained with", report.get("trained_with")],
        ["seed", report.get("seed")],
        ["commit", report.get("commit")],
        ["sha256 of the parameters", report.get("params_sha256")],
        ["versions", versions or None],
    ]
    rows = [[key, str(value)] for key, value in rows if value is not None]
    return text_tables.markdown(["configuration", str(report.get("name", "run"))], rows, 2)


def _frame(report, results):
    frames = [s.get("frame") for s in _summaries(results).values()] + [report.get("frame")]
    frame = next((f for f in frames if f), None)
    return f" ({frame} frame)" if frame else ""


def _split(results, names):
    summaries = _summaries(results)
    parts = [_per_category(summaries, names)] if summaries else []
    accuracy, measures, instance = [], [], []
    for fusion, summary in summaries.items():
        label = FUSIONS.get(fusion, fusion)
        for counted, end in (("pose", ""), ("pose and category", "_gated")):
            keys = [f"acc_{t}{end}" for t in _THRESHOLDS]
            accuracy.append(
                [label, counted, *(text_tables.number(summary.get(k), 4) for k in keys)]
            )
        instance.append(
            [
                label,
                str(summary.get("num_images", "–")),
                text_tables.number(summary.get("pose_err_deg_instance"), 2),
                text_tables.number(summary.get("cat_acc_instance"), 4),
            ]
        )
    for error, keys in (
        ("Δ(R, R\\*)", ("pose_err_deg", "acc_22_5", "acc_45", "aaai")),
        ("Δ(az, az\\*)", ("azimuth_err_deg", "azimuth_acc_22_5", "azimuth_acc_45", "azimuth_aaai")),
    ):
        for fusion, summary in summaries.items():
            values = [text_tables.number(summary.get(k), 2 if "deg" in k else 4) for k in keys]
            measures.append([error, FUSIONS.get(fusion, fusion), *values])
    if summaries:
        parts += [
            "Share of the images below a pose error, mean over categories; the second row of each "
            "fusion counts an image only if its category is right as well.",
            text_tables.markdown(["fusion", "what is right", *_THRESHOLDS.values()], accuracy, 2),
            "Rotation and azimuth error, mean over categories; AAAI is the mean of "
            "1 - error / 180°.",
            text_tables.markdown(
                ["error", "fusion", "median (°)", "< 22.5°", "< 45°", "AAAI"], measures, 2
            ),
            "Over all images, every image counting the same.",
            text_tables.markdown(["fusion", "images", "median error (°)", "accuracy"], instance, 1),
        ]
    topk = results.get("topk")
    if topk:
        heads = [str(k).lower().removeprefix("top") for k in topk]
        heads = ["GT" if head == "gt" else f"Top-{head}" for head in heads]
        figures = [
            [label, *(text_tables.number(named.get(key), digits) for named in topk.values())]
            for label, key, digits in (
                ("cat-acc", "cat_acc", 4),
                ("pose-err (°)", "pose_err_deg", 2),
            )
        ]
        parts += [
            "When the category network may name k categories (the pose is the best of theirs); "
            "GT: the true category is given.",
            text_tables.markdown(["metric", *heads], figures, 1),
        ]
    return parts


def _per_category(summaries, names):
    short = [SHORT_NAMES.get(name, name) for name in names]
    rows = []
    for metric, key, digits in (("pose-err (°)", "pose_err_deg", 1), ("cat-acc", "cat_acc", 2)):
        block = []
        for fusion, summary in summaries.items():
            values = summary.get(f"{key}_per_category")
            values = [None] * len(names) if values is None else values
            if len(values) != len(names):
                raise ValueError(
                    f"{key}_per_category of {fusion} has {len(values)} entries for "
                    f"{len(names)} categories"
                )
            cells = [text_tables.number(v, digits) for v in values]
            # As in the paper, the mean has more digits: 2 of degrees, 4 of accuracy.
            block.append([metric, FUSIONS.get(fusion, fusion), *cells])
            block[-1].append(text_tables.number(summary.get(key), 2 * digits))
        # The fusion does not touch the category: one row says it.
        if key == "cat_acc" and len(block) > 1 and all(row[2:] == block[0][2:] for row in block):
            block = [[metric, "all", *block[0][2:]]]
        rows += block
    if len(names) <= NUM_ACROSS:
        return text_tables.markdown(["metric", "fusion", *short, "mean"], rows, 2)
    heads = ["category", *(f"{row[0]}, {row[1]}" for row in rows)]
    columns = [row[2:] for row in rows]
    body = [list(cells) for cells in zip([*short, "**mean**"], *columns, strict=True)]
    return text_tables.markdown(heads, body, 1)


def _overview(splits):
    head = ["split", "fusion", "pose-err", "cat-acc", "acc@30", "acc@30 gated", "images"]
    rows = []
    for split, results in _ordered(splits, SPLITS).items():
        for fusion, summary in _summaries(results).items():
            keys = ("pose_err_deg", "cat_acc", "acc_30", "acc_30_gated")
            figures = [text_tables.number(summary.get(k), 2 if "deg" in k else 4) for k in keys]
            rows.append([split, fusion, *figures, str(summary.get("num_images", "–"))])
    return head, rows


def _phases(report):
    rows = []
    speeds = report.get("images_per_second") or {}
    for phase in report["phases"]:
        start, stop, seconds = (phase.get(k) for k in ("start", "stop", "seconds"))
        known = start is not None and stop is not None
        speed = phase.get("images_per_second", speeds.get(phase.get("name")))
        rows.append(
            [
                str(phase.get("name", "–")),
                f"{start} to {stop}" if known else "–",
                str(stop - start) if known else "–",
                "–" if seconds is None else text_tables.duration(seconds),
                text_tables.number(speed, 0 if (speed or 0) >= 100 else 1),
            ]
        )
    return text_tables.markdown(["phase", "from, to", "steps", "time", "images/s"], rows, 1)


def _ordered(mapping, first):
    mapping = mapping or {}
    keys = [k for k in first if k in mapping] + [k for k in mapping if k not in first]
    return {k: mapping[k] for k in keys if mapping[k]}


def _summaries(results):
    return {k: v for k, v in _ordered(results, FUSIONS).items() if k != "topk"}
