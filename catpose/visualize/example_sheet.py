"""Test images with their predicted and true axes: the best, typical ones and the worst."""

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
    num: int = 6,
    where: str = "",
    meshes: Mapping[str, scene.Mesh] | None = None,
    tight: bool = True,
    margin: int = 0,
) -> str:
    """Draws images of the smallest, middle and largest pose errors with both sets of axes.

    Args:
      images: RGB, of one size or of many.
      target_rotation: ground truth, "camera" frame.
      predicted_rotation: "camera" frame.
      errors_deg: geodesic error in degrees; an image without a finite one is left out.
      category: true category.
      probabilities: of the K categories.
      names: the K categories.
      path: the PNG to write.
      num: images shown of the best, of those about the median error and of the worst; none twice.
      where: what the title adds, such as "test, weighted".
      meshes: a 3D model of each category; below each image stands the same with the model of the
        predicted category over it, at the predicted pose.
      tight: whether the images end where the objects do, see `overlay.draw_model`.
      margin: pixels on each side of the images that are left out.

    Returns:
      How to read it, in a line.
    """
    errors = np.asarray(errors_deg, np.float64)
    order = np.argsort(errors, kind="stable")
    order = order[np.isfinite(errors[order])]
    count = min(num, math.ceil(len(order) / 3))
    best, rest = order[:count], order[count:]
    worst, rest = rest[::-1][:count], rest[: max(len(rest) - count, 0)]
    typical = rest[max(len(rest) - count, 0) // 2 :][:count]
    middle = f"{np.median(errors[order]):.1f}°" if len(order) else ""
    blocks = [("best", best), (f"typical: about the median error, {middle}", typical)]
    blocks.append(("worst", worst))
    blocks = [(title, rows) for title, rows in blocks if len(rows)] or [("no finite error", [])]
    columns = int(np.clip(max(len(rows) for _, rows in blocks), 4, 6))
    heights = [max(1, math.ceil(len(rows) / columns)) for _, rows in blocks]
    probabilities = np.asarray(probabilities, np.float64)
    size = (1.75 * columns, (3.75 if meshes else 2) * sum(heights) + 0.35 * len(blocks) + 0.6)
    heading = "Best, typical and worst predictions"
    with style.sheet(path, *size, heading, where) as figure:
        parts = np.atleast_1d(figure.subfigures(len(blocks), 1, height_ratios=heights))
        for part, (title, rows), height in zip(parts, blocks, heights, strict=True):
            part.suptitle(title, fontsize=11, fontweight="bold", x=0.01, ha="left")
            panels = part.subplots(height, columns, squeeze=False).ravel()
            for panel in panels:
                panel.axis("off")
            for panel, i in zip(panels, rows, strict=False):
                predicted, target = np.asarray(predicted_rotation[i]), target_rotation[i]
                named, right = int(np.argmax(probabilities[i])), int(category[i])
                (picture,) = warp.without_margin(np.asarray(images[i])[None], margin)
                if np.isfinite(predicted).all():
                    drawn = axes.draw_axes(picture, predicted, target_rotation=target)
                    if meshes:
                        box = (0, 0, *picture.shape[1::-1]) if tight else None
                        model = overlay.draw_model(picture, predicted, meshes[names[named]], box)
                        drawn = np.concatenate([drawn, model])
                    picture = drawn
                panel.imshow(picture, interpolation="lanczos")
                caption = f"{names[named]} (p = {probabilities[i, named]:.2f})"
                caption += "" if named == right else f", is {names[right]}"
                caption += f"\nerror {errors[i]:.1f}°"
                color = style.INK if named == right else style.WRONG
                panel.set_title(caption, fontsize=8, loc="center", color=color, pad=3)
    model = (
        " Below, a 3D model of the predicted category at the predicted pose: another object of its "
        "kind, so look at how it is turned."
    )
    return (
        "Arrows are the prediction, dashed lines the truth: F front, L left side, U up. Above, the "
        "predicted category and its probability, red where wrong, and the pose error."
    ) + (model if meshes else "")
