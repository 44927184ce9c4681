"""Densities of rotations as maps: where the camera may be around the object, and its tilt.

A rotation is a point on the sphere of viewpoints, azimuth and elevation, and its in-plane angle
theta a color. The size of a point is the probability of its cell.

Reference: Murphy, Esteves, Jampani, Ramalingam and Makadia, Implicit-PDF, 2021, figure 2 (the idea:
an axis on the sphere, the tilt as color).
"""

import math
from collections.abc import Sequence

import matplotlib
import numpy as np
from jaxtyping import Float, UInt8
from matplotlib.axes import Axes

from catpose.visualize import style

SIDES = {0: "front", 90: "left", 180: "rear", -90: "right"}
COLORS = matplotlib.colormaps["hsv"]
_LARGEST = 900.0  # square points that all of the probability together takes


def density_sheet(
    images: Sequence[UInt8[np.ndarray, "_ _ 3"]],
    angles_deg: Float[np.ndarray, "cells 3"],
    mass: Float[np.ndarray, "images cells"],
    target_deg: Sequence[Float[np.ndarray, "truths 3"]],
    captions: Sequence[str],
    path: style.Path,
    where: str = "",
) -> str:
    """Draws each image with the map of its density, the truth as a ring; or all that are one.

    Args:
      images: RGB.
      angles_deg: azimuth, elevation and theta of the cells, frame "camera".
      mass: probability of each cell, summing to 1.
      target_deg: of each image the true azimuth, elevation and theta; several where several
        rotations give the same picture.
      captions: above each image.
      path: the PNG to write.
      where: what the title adds.

    Returns:
      How to read it, in a line.
    """
    columns = 2
    num_rows = math.ceil(len(images) / columns)
    several = any(len(own) > 1 for own in target_deg)
    heading = "Where the camera may be: size is probability, color the tilt, "
    heading += "rings are the truths" if several else "the ring is the truth"
    with style.sheet(path, 10.0, 2.1 * num_rows + 1.2, heading, where) as figure:
        grid = figure.add_gridspec(num_rows, 2 * columns, width_ratios=[1, 2.2] * columns)
        for i, image in enumerate(images):
            row, column = divmod(i, columns)
            panel = figure.add_subplot(grid[row, 2 * column])
            panel.imshow(image)
            panel.set_axis_off()
            panel.set_title(captions[i], fontsize=8)
            sphere = figure.add_subplot(grid[row, 2 * column + 1], projection="mollweide")
            _draw_map(sphere, angles_deg, mass[i], target_deg[i])
        scale = matplotlib.cm.ScalarMappable(matplotlib.colors.Normalize(-180, 180), COLORS)
        bar = figure.colorbar(scale, ax=figure.axes, location="bottom", aspect=60, fraction=0.03)
        bar.set_ticks([-180, -90, 0, 90, 180], labels=["-180°", "-90°", "0°", "90°", "180°"])
        bar.set_label(
            "tilt (theta): positive is turned counter-clockwise in the picture", fontsize=8
        )
    return (
        "Each map is the sphere around the object, its front in the middle: the larger a point, "
        "the more probable that the camera is there, its color the tilt. The ring is the truth. "
        "Several clouds are several possible poses."
    )


def _draw_map(
    panel: Axes,
    angles_deg: Float[np.ndarray, "cells 3"],
    mass: Float[np.ndarray, " cells"],
    target_deg: Float[np.ndarray, "truths 3"],
) -> None:
    some = mass > 1e-4 * mass.max()
    order = np.flatnonzero(some)[np.argsort(mass[some])]
    longitude, latitude = _place(angles_deg[order])
    sizes = np.maximum(_LARGEST * mass[order], 0.4)
    panel.scatter(longitude, latitude, s=sizes, c=_color(angles_deg[order, 2]), lw=0, alpha=0.75,
        rasterized=True)  # fmt: skip
    target, size = _place(target_deg), max(150 / len(target_deg), 22)
    width = 1.6 if len(target_deg) == 1 else 1.0
    panel.scatter(*target, s=size, facecolors="none", edgecolors=style.INK, lw=2 * width)
    panel.scatter(*target, s=size, facecolors="none", edgecolors=_color(target_deg[:, 2]), lw=width)
    panel.set_xticks(np.radians([-90, 0, 90]), [SIDES[a] for a in (-90, 0, 90)])
    panel.set_yticks(np.radians([-45, 0, 45]), ["from\nbelow", "", "from\nabove"])
    panel.tick_params(labelsize=6)
    panel.grid(color="#dddddd", lw=0.6)


def _place(angles_deg):
    """Longitude and latitude: azimuth 0, the front, in the middle, the left side to its right."""
    longitude = (angles_deg[:, 0] + 180) % 360 - 180
    return np.radians(longitude), np.radians(angles_deg[:, 1])


def _color(theta_deg):
    return COLORS((np.asarray(theta_deg) + 180) / 360 % 1)
