"""The pictures of a run. Every function takes plain arrays and writes one PNG.

Errors and angles are in degrees; None and NaN mean "not measured" and leave a gap.
"""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike, Bool, Float, Int, Num

from catpose import metrics
from catpose.metrics import METRICS
from catpose.visualize import style

NUM_READABLE = 20  # up to this many categories get numbers and a panel each


def error_histogram(
    errors_deg: Mapping[str, Float[ArrayLike, "_"]], path: style.Path, where: str = ""
) -> None:
    """Draws the distribution of the pose error and the share of images below each error.

    Args:
      errors_deg: fusion to the geodesic error of every image in degrees, [0, 180].
      path: the PNG to write.
      where: what the title adds, such as "test, camera frame".
    """
    with style.sheet(path, 9.0, 3.6, "Pose error of every image", where) as figure:
        left, right = figure.subplots(1, 2)
        for index, (fusion, errors) in enumerate(errors_deg.items()):
            values = np.asarray(errors, np.float64)
            values = np.sort(values[np.isfinite(values)])
            if not values.size:
                continue
            color, middle = style.color_of(fusion, index), np.median(values)
            bins = np.linspace(0, 180, 37)
            if len(errors_deg) == 1:
                left.hist(values, bins, color=color, alpha=0.15)
            left.hist(values, bins, histtype="step", color=color, lw=1.4)
            left.axvline(middle, color=color, ls="--", lw=1.2)
            share = np.arange(1, values.size + 1) / values.size
            label = f"{fusion}: median {middle:.1f}°, N = {values.size}"
            right.plot(
                [0, *values, 180], [0, *share, 1], color=color, label=label, drawstyle="steps-post"
            )
            right.plot([middle], [0.5], "o", color=color, ms=5)
        for limit in (10, 30):
            right.axvline(limit, color=style.FAINT, ls=":", lw=1.2)
            right.text(
                limit, 1.01, f"{limit}°", fontsize=7, color=style.INK, ha="center", va="bottom"
            )
        degrees = {"xlabel": "error (degrees)", "xlim": (0, 180), "xticks": range(0, 181, 30)}
        left.set(ylabel="images in 5° bins", title="Histogram, medians dashed", **degrees)
        right.set(ylabel="share of images below", ylim=(0, 1), **degrees)
        right.set_title("Cumulative", pad=14)
        if right.get_legend_handles_labels()[0]:
            right.legend(loc="lower right")
        else:
            style.write(right, "no finite error")


def category_bars(
    summary: Mapping[str, Mapping], names: Sequence[str], path: style.Path, where: str = ""
) -> None:
    """Draws pose-err and cat-acc of every category and their means, one bar per fusion.

    Args:
      summary: fusion to a mapping with pose_err_deg, cat_acc and their _per_category lists, None
        where a category has no image.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test, camera frame".
    """
    rows = [*names, "mean"]
    many = len(names) > NUM_READABLE
    fusions = [f for f in summary if summary[f]]
    height = 1.4 + (0.17 if many else 0.2 + 0.15 * max(1, len(fusions))) * len(rows)
    with style.sheet(path, 9.0, height, "Every category", where) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for panel, key in zip(panels, ("pose_err_deg", "cat_acc"), strict=True):
            metric = METRICS[key]
            series = _series(summary, fusions, key, len(names))
            thick = min(0.82 / max(1, len(series)), 0.41)
            for index, (fusion, color, values) in enumerate(series):
                if many:
                    panel.plot(values, np.arange(len(rows)), "o", color=color, ms=4, label=fusion)
                    continue
                places = np.arange(len(rows)) + (index - (len(series) - 1) / 2) * thick
                widths = np.nan_to_num(values)
                bars = panel.barh(places, widths, thick * 0.9, color=color, label=fusion)
                texts = ["no image" if np.isnan(v) else f"{v:.{metric.digits // 2}f}"
                         for v in values]  # fmt: skip
                panel.bar_label(bars, texts, padding=2, fontsize=7, color=style.INK)
            panel.axhline(len(names) - 0.5, color=style.INK, lw=0.8)
            panel.set_title(metrics.explanation(metric), fontsize=9)
            panel.set_xlim(left=0)
            panel.grid(visible=many, axis="y")
            panel.margins(x=0.12)
        panels[1].set(xlim=(0, 1.12), xticks=np.linspace(0, 1, 6))
        panels[0].set_yticks(range(len(rows)), rows, fontsize=7 if many else 9)
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        panels[0].get_yticklabels()[-1].set_fontweight("bold")
        entries = {}
        for panel in panels:
            entries |= dict(zip(*reversed(panel.get_legend_handles_labels()), strict=True))
        if entries:
            figure.legend(entries.values(), entries, loc="outside lower center", ncols=4)


def _series(summary, fusions, key, num_categories):
    """Name, color and values (categories, then the mean) of every bar of a panel."""
    series = []
    for index, fusion in enumerate(fusions):
        per_category = summary[fusion].get(f"{key}_per_category") or [None] * num_categories
        values = np.array([*per_category, summary[fusion].get(key)], np.float64)  # NaN for None
        series.append((fusion, style.color_of(fusion, index), values))
    # The category is the same with every fusion: one bar for all.
    if len(series) > 1 and all(np.array_equal(v, series[0][2], equal_nan=True) for *_, v in series):
        return [("all fusions", "#767676", series[0][2])]
    return series


def confusion(
    matrix: Num[ArrayLike, "categories categories"],
    names: Sequence[str],
    path: style.Path,
    where: str = "",
) -> None:
    """Draw the confusion matrix with every row divided by its sum.

    Args:
      matrix: counts; row: true category, column: predicted category.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test".
    """
    counts = np.nan_to_num(np.asarray(matrix, np.float64))
    total = counts.sum(1, keepdims=True)
    share = np.divide(counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    num = len(names)
    side = np.clip(2.6 + 0.42 * num, 4.6, 11.0)
    with style.sheet(
        path, side + 0.8, side, "Predicted category of each true one", where
    ) as figure:
        panel = figure.subplots()
        picture = panel.imshow(share, cmap="Blues", vmin=0, vmax=1)
        panel.set_facecolor("#dddddd")
        size = np.clip(450.0 / num, 4.0, 8.0)
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        turn = slanted if num <= NUM_READABLE else {"rotation": 90}
        panel.set_xticks(range(num), names, fontsize=size, **turn)
        labels = [f"{n} ({int(t)})" for n, t in zip(names, total[:, 0], strict=True)]
        panel.set_yticks(range(num), labels, fontsize=size)
        panel.set(xlabel="predicted", ylabel="true (number of images)")
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
        figure.colorbar(picture, ax=panel, label="share of the true category's images", shrink=0.8)
        for row, column in np.argwhere(share >= 0.005) if num <= NUM_READABLE else ():
            value = share[row, column]
            text, color = f"{100 * value:.0f}", "white" if value > 0.55 else style.INK
            panel.text(column, row, text, ha="center", va="center", color=color, fontsize=8)


def azimuth_scatter(
    target_deg: Float[ArrayLike, "images"],
    predicted_deg: Float[ArrayLike, "images"],
    category: Int[ArrayLike, "images"],
    names: Sequence[str],
    path: style.Path,
    where: str = "",
) -> None:
    """Draws predicted against true azimuth; up to 20 categories have a panel each.

    Args:
      target_deg: true azimuths, degrees, of any turn.
      predicted_deg: predicted azimuths, degrees, of any turn.
      category: true category of each image.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test, weighted".
    """
    target, predicted = (np.asarray(v, np.float64) % 360.0 for v in (target_deg, predicted_deg))
    category = np.asarray(category)
    groups = [(n, category == k) for k, n in enumerate(names)]
    if len(names) > NUM_READABLE:
        groups = [(f"all {len(names)} categories", np.ones(len(category), bool))]
    columns = min(4, len(groups))
    num_rows = math.ceil(len(groups) / columns)
    side = 2.3 if columns > 1 else 4.6
    size = (max(5.0, side * columns + 0.5), side * 1.06 * num_rows + 0.9)
    with style.sheet(path, *size, "Azimuth, predicted against true", where) as figure:
        panels = figure.subplots(num_rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for panel in panels[len(groups) :]:
            panel.set_visible(False)
        finite = np.isfinite(target) & np.isfinite(predicted)
        ticks = range(0, 361, 90)
        for panel, (name, members) in zip(panels, groups, strict=False):
            x, y = target[members & finite], predicted[members & finite]
            for shift in (-180, 180):
                panel.axline((0, shift), slope=1, color=style.PALETTE[1], lw=0.9, ls="--")
            panel.axline((0, 0), slope=1, color=style.INK, lw=0.9)
            num = max(1, len(x))
            alpha, size = np.clip(60 / num, 0.15, 0.8), np.clip(60 / math.sqrt(num), 4.5, 9)
            panel.plot(x, y, ".", color=style.PALETTE[0], ms=size, mew=0, alpha=alpha)
            panel.set(xlim=(0, 360), ylim=(0, 360), aspect="equal", xticks=ticks, yticks=ticks)
            panel.set_title(f"{name} ({len(x)})", fontsize=9)
        figure.supxlabel("true azimuth (degrees); dashed: wrong by 180", fontsize=9)
        figure.supylabel("predicted azimuth (degrees)", fontsize=9)


def reliability(
    claims: Mapping[str, tuple[Float[ArrayLike, "_"], Bool[ArrayLike, "_"]]],
    path: style.Path,
    where: str = "",
) -> None:
    """Draws how often what was claimed with a probability was so, beside how often that was said.

    Args:
      claims: what is claimed -> its probability for every image, and whether it was so.
      path: the PNG to write.
      where: what the title adds, such as "test, weighted".
    """
    heading = "What was said with a probability, and how often it was so"
    with style.sheet(path, 9.0, 4.2, heading, where) as figure:
        panels = figure.subplots(1, len(claims), squeeze=False)[0]
        for index, (panel, (claim, (confidence, right))) in enumerate(
            zip(panels, claims.items(), strict=True)
        ):
            confidence, right = np.asarray(confidence, np.float64), np.asarray(right)
            counts, mean, share = metrics.reliability(confidence, right)
            color, some = style.PALETTE[index], counts > 0
            edges = (np.arange(metrics.BINS) + 0.5) / metrics.BINS
            panel.bar(
                edges, counts / counts.sum(), 0.9 / metrics.BINS, color=style.FAINT, alpha=0.5,
                label="share of the images",
            )  # fmt: skip
            panel.axline((0, 0), slope=1, color=style.INK, lw=0.9, ls="--")
            # Binomial: what a perfectly calibrated model would show.
            error = np.sqrt(mean * (1 - mean) / np.maximum(counts, 1))[some]
            panel.errorbar(
                mean[some], share[some], 2 * error, fmt="o", color=color, ms=5, lw=1,
                label="how often it was so, ± 2 standard errors",
            )  # fmt: skip
            ece = metrics.STATISTICS["ece"](np.stack([confidence, right], axis=-1))
            panel.set_title(f"{claim}: ECE {ece:.3f}")
            panel.set(xlim=(0, 1), ylim=(0, 1.02), xlabel="probability that was said")
        panels[0].set_ylabel("share")
        panels[0].legend(loc="upper left")
