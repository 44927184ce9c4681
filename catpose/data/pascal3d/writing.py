"""Labeled objects as annotation files of PASCAL3D+ and ObjectNet3D.

What `catpose.data.pascal3d.annotations` reads, written: boxes and centers become MATLAB's (the
center of the top left pixel is (1, 1), both ends of a box included), angles are catpose's own.
"""

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import scipy.io

from catpose.data.examples import BOOLEAN_FLAGS, Examples
from catpose.errors import InputError
from catpose.geometry import viewpoint

VIEWPORT = 3000.0  # pixels per unit of focal length, of both datasets
# The datasets' readers take an object at distance 0 for one with a coarse label only. Where the
# distance is not known, it is this one: how far is no part of catpose's labels.
DISTANCE = 5.0


def write(examples: Examples, sizes: Mapping[str, tuple[int, int]], folder: pathlib.Path) -> None:
    """Writes one .mat file for each image, with its objects in their order.

    Args:
      examples: labeled objects with the flag "image" and rotations in "camera".
      sizes: width and height of each image, by its name; of an object without a box it is the box.
      folder: where `<name>.mat` go, as `Annotations/` of ObjectNet3D or `Annotations/car_imagenet/`
        of PASCAL3D+.

    Raises:
      InputError: examples that do not say their images, or an object without a pose.
    """
    if "image" not in examples.flags or not np.isfinite(examples.rotation).all():
        raise InputError("objects to be written need the flag 'image' and a pose each")
    names = examples.flags["image"].tolist()
    for name in dict.fromkeys(names):
        index = [i for i, other in enumerate(names) if other == name]
        path = folder / pathlib.Path(name).with_suffix(".mat")
        path.parent.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(path, {"record": record(examples, index, name, sizes[name])})


def record(
    examples: Examples, index: Sequence[int], name: str, size: tuple[int, int]
) -> dict[str, Any]:
    """The MATLAB struct of one image, as `scipy.io.savemat` takes it.

    Args:
      examples: see `write`.
      index: of the image's objects.
      name: of the image's file.
      size: its width and height.
    """
    objects = np.zeros(len(index), object)
    for place, i in enumerate(index):
        objects[place] = _object(examples, i, size)
    return {
        "filename": pathlib.Path(name).name,
        "folder": "",
        "imgname": name,
        "imgsize": np.array([*size, 3.0]),
        "database": "catpose",
        "objects": objects,
    }


def _object(examples, i, size):
    box = examples.box[i] if examples.box is not None else np.full(4, np.nan)
    x0, y0, x1, y1 = np.where(np.isfinite(box), box, [0, 0, *size])
    angles = viewpoint.angles_from_rotation(np.asarray(examples.rotation[i], np.float32))
    azimuth, elevation, theta = (float(angle) for angle in np.degrees(np.array(angles, float)))
    flags = {
        name: float(examples.flags[name][i]) if name in examples.flags else 0.0
        for name in BOOLEAN_FLAGS
        if name != "coarse"
    }
    view = {
        "azimuth": azimuth,
        "elevation": elevation,
        "theta": theta,
        "azimuth_coarse": azimuth,
        "elevation_coarse": elevation,
        "distance": DISTANCE,
        "focal": 1.0,
        "viewport": VIEWPORT,
        "px": (x0 + x1) / 2 + 0.5,
        "py": (y0 + y1) / 2 + 0.5,
        "error": 0.0,
        "num_anchor": 0.0,
    }
    return {
        "class": examples.categories[examples.category[i]],
        "bbox": np.array([x0 + 1, y0 + 1, x1, y1]),
        "view": "",
        "pose": "",
        "cad_index": 1.0,
        "anchors": np.zeros((0, 0)),
        "viewpoint": view,
        **flags,
    }
