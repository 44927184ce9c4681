"""Training and validation against the step."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import ticker

from catpose import metrics
from catpose.metrics import METRICS
from catpose.visualize import style


def loss_curves(
    records: Sequence[Mapping],
    phases: Sequence[tuple[str, int, int]],
    path: style.Path,
    where: str = "",
) -> str:
    """Draws the training losses and, where there are several, the validation metrics by step.

    Args:
      records: lines of metrics.jsonl. A training line has step, phase, loss and optionally
        pose_loss and category_loss; an evaluation line has step, split and, per fusion, a mapping
        with pose_err_deg and cat_acc. Of two lines for a step (a resumed run) the later counts.
      phases: (name, first step, one past the last step).
      path: the PNG to write.
      where: what the title adds, such as the configuration's name.

    Returns:
      How to read it, in a line.
    """
    train = {r["step"]: r for r in records if "loss" in r and "split" not in r}
    evaluations = {r["step"]: r for r in records if r.get("split") == "validation"}
    last = max([1, *train, *evaluations, *(stop for _, _, stop in phases)])
    several = len(evaluations) > 1  # one alone is no curve: the report has its metrics
    with style.sheet(path, 9.0, 6.2 if several else 3.6, "Training", where) as figure:
        panels = figure.subplots(1 + several, 1, sharex=True, squeeze=False)[:, 0]
        smoothed = _draw_losses(panels[0], [train[step] for step in sorted(train)])
        if several:
            _draw_validation(panels[1], [evaluations[step] for step in sorted(evaluations)])
        panels[-1].set(xlabel="step", xlim=(0, last))
        _draw_phases(panels, phases, last)
    parts = ["The bands are the phases; each has its own loss, so their levels do not compare."]
    if smoothed:
        parts.append("Thin as logged, thick the running mean.")
    if several:
        parts.append(
            "Below, on validation: pose-err (left axis, lower is better), cat-acc (right)."
        )
    return " ".join(parts)


def _draw_validation(panel, records):
    steps = [r["step"] for r in records]
    fusions = [f for f in style.FUSION_COLORS if any(f in r for r in records)]
    pose_err, cat_acc = METRICS["pose_err_deg"], METRICS["cat_acc"]
    for index, fusion in enumerate(fusions):
        values = _values(records, fusion, "pose_err_deg")
        color = style.color_of(fusion, index)
        panel.plot(steps, values, "o-", color=color, ms=3, label=f"{pose_err.label}, {fusion}")
    right = panel.twinx()
    # The category comes from the category network alone, whatever the fusion.
    values = _values(records, fusions[0], "cat_acc")
    right.plot(steps, values, "s--", color=style.INK, ms=3, label=f"{cat_acc.label} (right axis)")
    right.set(ylim=(0, 1.02), ylabel=cat_acc.label)
    right.grid(visible=False)
    panel.set(ylabel=metrics.heading(pose_err), title="Validation", ylim=(0, None))
    handles = [*panel.lines, *right.lines]
    panel.legend(handles=handles, loc="upper center", ncols=4, bbox_to_anchor=(0.5, -0.2))


def _values(records, fusion, name):
    return np.array([r.get(fusion, {}).get(name) for r in records], np.float64)  # NaN for None


def _draw_losses(panel, train):
    """Whether the lines are running means of what was logged, which is then drawn thin."""
    keys = [k for k in ("loss", "pose_loss", "category_loss") if any(k in r for r in train)]
    drawn, smoothed = [], False
    for key, color in zip(keys, (style.INK, style.PALETTE[0], style.PALETTE[1]), strict=False):
        label = key.replace("_", " ")
        for phase in dict.fromkeys(r.get("phase") for r in train):  # losses differ between phases
            part = [r for r in train if r.get("phase") == phase]
            steps, values = np.array([[r["step"], r.get(key)] for r in part], np.float64).T
            known = np.isfinite(values)
            if not known.any():
                continue
            window = np.ones(max(1, known.sum() // 25))
            if len(window) > 1:
                panel.plot(steps, values, color=color, lw=0.6, alpha=0.35)
                smoothed = True
            steps, values = steps[known], values[known]
            count = np.convolve(np.ones(len(values)), window, "same")
            smooth = np.convolve(values, window, "same") / count
            lonely = "." if len(values) == 1 else None  # a line needs two points
            panel.plot(steps, smooth, color=color, lw=1.6, label=label, marker=lonely)
            label = None
            drawn.append(values)
    if not drawn:
        style.write(panel, "no training step was logged")
        return False
    drawn = np.concatenate(drawn)
    if drawn.min() > 0 and drawn.max() > 30 * drawn.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(ticker.LogLocator(subs=(1, 2, 5)))
        panel.yaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_minor_formatter(ticker.NullFormatter())
    panel.legend(loc="upper right", ncols=3)
    panel.set_ylabel("training loss")
    return smoothed


def _draw_phases(panels, phases, last):
    ends = []  # of the names above the losses, by height
    for index, (name, start, stop) in enumerate(phases):
        for panel in panels:
            if index % 2 == 0:
                panel.axvspan(start, stop, color=style.PALETTE[0], alpha=0.06, lw=0)
            panel.axvline(stop, color=style.FAINT, lw=0.7)
        # As low as no other name is in its way.
        level = next((i for i, end in enumerate(ends) if end <= start), len(ends))
        ends[level : level + 1] = [start + 0.011 * last * (len(name) + 1)]
        panels[0].annotate(
            name,
            (start, 1),
            xycoords=("data", "axes fraction"),
            xytext=(1, 3 + 11 * level),
            textcoords="offset points",
            fontsize=8,
            color=style.INK,
        )
