"""The pictures of a run. Every function takes plain arrays, writes one picture and captions it.

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
) -> str:
    """Draws the distribution of the pose error and the share of images below each error.

    Args:
      errors_deg: label to the geodesic error of every image in degrees, [0, 180].
      path: the PNG to write.
      where: what the title adds, such as "test, camera frame".

    Returns:
      How to read it, in a line.
    """
    with style.sheet(path, 9.0, 3.6, "Pose error of every image", where) as figure:
        left, right = figure.subplots(1, 2)
        for index, (label, errors) in enumerate(errors_deg.items()):
            values = np.asarray(errors, np.float64)
            values = np.sort(values[np.isfinite(values)])
            if not values.size:
                continue
            color, middle = style.PALETTE[index % len(style.PALETTE)], np.median(values)
            bins = np.linspace(0, 180, 37)
            if len(errors_deg) == 1:
                left.hist(values, bins, color=color, alpha=0.15)
            left.hist(values, bins, histtype="step", color=color, lw=1.4)
            left.axvline(middle, color=color, ls="--", lw=1.2)
            share = np.arange(1, values.size + 1) / values.size
            named = f"{label}:\n" if len(errors_deg) > 1 else ""
            right.plot(
                [0, *values, 180], [0, *share, 1], color=color, drawstyle="steps-post",
                label=f"{named}median {middle:.1f}°, {values.size} images",
            )  # fmt: skip
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
    return (
        "A second hump near 180° is objects seen back to front; on the right, the height of a "
        "curve at 30° is the share of all images with less error than that."
    )


def category_dots(
    summary: Mapping[str, Mapping], names: Sequence[str], path: style.Path, where: str = ""
) -> str:
    """Draws pose-err and cat-acc of every category and their means, with intervals where known.

    Args:
      summary: label to a mapping with pose_err_deg, cat_acc, their _per_category lists, None where
        a category has no image, and _interval and _per_category_interval where there are any.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test, camera frame".

    Returns:
      How to read it, in a line.
    """
    rows = ["mean", *names]
    labels = [label for label in summary if summary[label]]
    with_interval = False
    readable = len(names) <= NUM_READABLE
    height = 1.5 + (0.27 if readable else 0.17) * len(rows)
    with style.sheet(path, 9.0, height, "Every category", where) as figure:
        panels = figure.subplots(1, 2, sharey=True)
        for panel, key in zip(panels, ("pose_err_deg", "cat_acc"), strict=True):
            metric = METRICS[key]
            for index, label in enumerate(labels):
                values, ends = _with_ends(summary[label], key, len(names))
                with_interval |= bool(np.isfinite(ends).any())
                place = np.arange(len(rows)) + 0.3 * (index - (len(labels) - 1) / 2)
                color = style.PALETTE[index % len(style.PALETTE)]
                panel.hlines(place, *ends, color=color, lw=1.6, alpha=0.6)
                panel.plot(values, place, "o", color=color, ms=5, label=label)
                for x, y in zip(values, place, strict=True) if readable else ():
                    text = "no image" if np.isnan(x) else f"{x:.{metric.digits // 2}f}"
                    # At the panel's edge: numbers never cover a mark.
                    panel.annotate(
                        text, (1.01, y), xycoords=panel.get_yaxis_transform(), va="center",
                        fontsize=7, color=color if len(labels) > 1 else style.INK,
                    )  # fmt: skip
            panel.axhline(0.5, color=style.INK, lw=0.8)
            panel.set_title(metrics.explanation(metric), fontsize=9)
        panels[0].set_xlim(left=0)
        panels[0].set_yticks(range(len(rows)), rows, fontsize=9 if readable else 7)
        panels[0].set_ylim(len(rows) - 0.4, -0.6)
        panels[0].get_yticklabels()[0].set_fontweight("bold")
        if len(labels) > 1:
            handles = panels[0].get_legend_handles_labels()
            figure.legend(*handles, loc="outside lower center", ncols=4)
    line = "Lines are 95 % intervals. " if with_interval else ""
    return (
        "Left, the median pose error of each category; right, the share of its images with the "
        f"right category. {line}The right axis shows no more than the range that occurs."
    )


def _with_ends(
    summary: Mapping, key: str, num_categories: int
) -> tuple[Float[np.ndarray, " rows"], Float[np.ndarray, "2 rows"]]:
    """The mean and the categories' values, and the ends of their intervals; NaN where there are
    none."""
    empty = [None] * num_categories
    values = [summary.get(key), *(summary.get(f"{key}_per_category") or empty)]
    ends = [summary.get(f"{key}_interval"), *(summary.get(f"{key}_per_category_interval") or empty)]
    known = [(np.nan, np.nan) if end is None else end for end in ends]
    return np.array(values, np.float64), np.array(known, np.float64).T


def confusion(
    matrix: Num[ArrayLike, "categories categories"],
    names: Sequence[str],
    path: style.Path,
    where: str = "",
) -> str:
    """Draws the confusion matrix: counts, colored by their share of the row.

    Args:
      matrix: counts; row: true category, column: predicted category.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test".

    Returns:
      How to read it, in a line.
    """
    counts = np.nan_to_num(np.asarray(matrix, np.float64))
    total = counts.sum(1, keepdims=True)
    share = np.divide(100 * counts, total, out=np.full_like(counts, np.nan), where=total > 0)
    num = len(names)
    readable = num <= NUM_READABLE
    side = np.clip(2.6 + 0.42 * num, 4.6, 11.0)
    with style.sheet(
        path, side + 0.8, side, "Predicted category of each true one", where
    ) as figure:
        panel = figure.subplots()
        picture = panel.imshow(share, cmap="Blues", vmin=0, vmax=100)
        panel.set_facecolor("#dddddd")
        size = np.clip(450.0 / num, 4.0, 8.0)
        slanted = {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
        turn = slanted if readable else {"rotation": 90}
        panel.set_xticks(range(num), names, fontsize=size, **turn)
        labels = [f"{n} ({int(t)})" for n, t in zip(names, total[:, 0], strict=True)]
        panel.set_yticks(range(num), labels, fontsize=size)
        panel.set(xlabel="predicted", ylabel="true (number of images)")
        panel.grid(visible=False)
        panel.spines[:].set_visible(False)
        label = "percent of the true category's images"
        figure.colorbar(picture, ax=panel, label=label, shrink=0.8)
        for row, column in np.argwhere(counts) if readable else ():
            color = "white" if share[row, column] > 55 else style.INK
            text = f"{counts[row, column]:.0f}"
            panel.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    numbers = "Numbers are images, colors" if readable else "Colors are"
    return (
        f"{numbers} their share of the true category's; what lies off the diagonal is mistaken "
        "for the column's category."
    )


def azimuth_scatter(
    target_deg: Float[ArrayLike, "images"],
    predicted_deg: Float[ArrayLike, "images"],
    category: Int[ArrayLike, "images"],
    names: Sequence[str],
    path: style.Path,
    where: str = "",
) -> str:
    """Draws predicted against true azimuth; up to 20 categories have a panel each.

    Args:
      target_deg: true azimuths, degrees, of any turn.
      predicted_deg: predicted azimuths, degrees, of any turn.
      category: true category of each image.
      names: the K categories.
      path: the PNG to write.
      where: what the title adds, such as "test, weighted".

    Returns:
      How to read it, in a line.
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
            panel.plot(
                x,
                y,
                ".",
                color=style.PALETTE[0],
                ms=size,
                mew=0,
                alpha=alpha,
                rasterized=num > 2000,
            )
            panel.set(xlim=(0, 360), ylim=(0, 360), aspect="equal", xticks=ticks, yticks=ticks)
            panel.set_title(f"{name} ({len(x)})", fontsize=9)
        figure.supxlabel("true azimuth (degrees)", fontsize=9)
        figure.supylabel("predicted azimuth (degrees)", fontsize=9)
        right, back = panels[0].lines[2], panels[0].lines[0]
        figure.legend([right, back], ["right", "off by 180°"], loc="outside upper right", ncols=2)
    return (
        "Points on the solid line are right, those on the dashed lines are off by 180°; the "
        "corners upper left and lower right are right too, since 0° and 360° are one angle."
    )


def reliability(
    claims: Mapping[str, tuple[Float[ArrayLike, "_"], Bool[ArrayLike, "_"]]],
    path: style.Path,
    where: str = "",
) -> str:
    """Draws how often what was claimed with a probability was so, beside how often that was said.

    Args:
      claims: what is claimed -> its probability for every image, and whether it was so.
      path: the PNG to write.
      where: what the title adds, such as "test, weighted".

    Returns:
      How to read it, in a line.
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
        handles = panels[0].get_legend_handles_labels()
        figure.legend(*handles, loc="outside lower center", ncols=2)
    return (
        "On the dashed line, eight in ten of what was said with a probability of 0.8 were so; "
        "points below it were too sure. Gray bars: how often each probability was said."
    )
