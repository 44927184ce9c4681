"""Test images with their predicted and true axes: the best and the worst."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import ArrayLike, Float, Int, UInt8

from catpose.data import warp
from catpose.data.parts import Parts
from catpose.synthetic import scene
from catpose.visualize import axes, overlay, style


def example_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]] | UInt8[np.ndarray, "_ _ _ 3"] | Parts,
    target_rotation: Float[ArrayLike, "images 3 3"],
    predicted_rotation: Float[ArrayLike, "images 3 3"],
    errors_deg: Float[ArrayLike, "images"],
    category: Int[ArrayLike, "images"],
    probabilities: Float[ArrayLike, "images categories"],
    names: Sequence[str],
    path: style.Path,
    num: int = 24,
    where: str = "",
    meshes: Mapping[str, scene.Mesh] | None = None,
    tight: bool = True,
    margin: int = 0,
) -> None:
    """Draws the images with the smallest and the largest pose error with both sets of axes.

    Args:
      images: RGB, of one size or of many.
      target_rotation: ground truth, "camera" frame.
      predicted_rotation: "camera" frame.
      errors_deg: geodesic error in degrees; an image without a finite one is left out.
      category: true category.
      probabilities: of the K categories.
      names: the K categories.
      path: the PNG to write.
      num: images shown in all, half of them best and half worst, none twice.
      where: what the title adds, such as "test, weighted".
      meshes: a 3D model of each category; below each image stands the same with the model of the
        predicted category over it, at the predicted pose.
      tight: whether the images end where the objects do, see `overlay.draw_model`.
      margin: pixels on each side of the images that are left out.
    """
    errors = np.asarray(errors_deg, np.float64)
    order = np.argsort(errors, kind="stable")
    order = order[np.isfinite(errors[order])]
    size = min(num, len(order))
    blocks = [("best", order[: math.ceil(size / 2)]), ("worst", order[::-1][: size // 2])]
    blocks = [(title, rows) for title, rows in blocks if len(rows)] or [("no finite error", [])]
    columns = int(np.clip(max(len(rows) for _, rows in blocks), 4, 6))
    heights = [max(1, math.ceil(len(rows) / columns)) for _, rows in blocks]
    probabilities = np.asarray(probabilities, np.float64)
    size = (1.75 * columns, (3.75 if meshes else 2) * sum(heights) + 0.35 * len(blocks) + 0.6)
    heading = "Arrows predicted, dashes true; F front, L left, U up"
    if meshes:
        heading += "; below, a model at the predicted pose"
    with style.sheet(path, *size, heading, where) as figure:
        parts = np.atleast_1d(figure.subfigures(len(blocks), 1, height_ratios=heights))
        for part, (title, rows), height in zip(parts, blocks, heights, strict=True):
            part.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
            panels = part.subplots(height, columns, squeeze=False).ravel()
            for panel in panels:
                panel.axis("off")
            for panel, i in zip(panels, rows, strict=False):
                predicted, target = np.asarray(predicted_rotation[i]), target_rotation[i]
                best, right = int(np.argmax(probabilities[i])), int(category[i])
                (picture,) = warp.without_margin(np.asarray(images[i])[None], margin)
                if np.isfinite(predicted).all():
                    drawn = axes.draw_axes(picture, predicted, target_rotation=target)
                    if meshes:
                        box = (0, 0, *picture.shape[1::-1]) if tight else None
                        model = overlay.draw_model(picture, predicted, meshes[names[best]], box)
                        drawn = np.concatenate([drawn, model])
                    picture = drawn
                panel.imshow(picture, interpolation="lanczos")
                caption = f"{names[best]} {probabilities[i, best]:.2f}, {errors[i]:.1f}°"
                caption += "" if best == right else f"\n(is {names[right]})"
                color = style.INK if best == right else style.WRONG
                panel.set_title(caption, fontsize=8, loc="center", color=color, pad=3)
