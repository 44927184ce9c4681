"""The annotations of each photo in the two downloads of Stanford Cars with 3D poses.

Stanford Cars (Krause et al. 2013) has the photos and, in MATLAB files, boxes and 196 classes
(make, model, body, year). The poses are those of Wang et al., *3D Pose Estimation for Fine-Grained
Object Categories* (2018), version 2: pickles of {file name: {"azimuth", "elevation", "theta", ...}}
in radians. However the archives were unpacked, these are looked for below one folder:

    cars_train/NNNNN.jpg   cars_train_annos.mat             StanfordCars/train_anno_v2.pkl
    cars_test/NNNNN.jpg    cars_test_annos_withlabels.mat   StanfordCars/test_anno_v2.pkl
    cars_meta.mat

The source's projection divides by a negative depth, so its camera's x axis points to image left.
Undone, in frame "camera": azimuth = 90 deg - azimuth_src, elevation = elevation_src,
theta = -theta_src.
"""

import math
import os
import pathlib
import re
from typing import Any, NamedTuple

import numpy as np

from catpose.data import file_names, matlab
from catpose.data.stanford_cars import safe_pickle
from catpose.errors import InputError

# Of each part: the folder of photos, boxes and classes, poses.
PARTS = {
    "train": ("cars_train", "cars_train_annos.mat", "train_anno_v2.pkl"),
    "test": ("cars_test", "cars_test_annos_withlabels.mat", "test_anno_v2.pkl"),
}
CLASSES = "cars_meta.mat"
BOX = ("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2")
ANGLES = ("azimuth", "elevation", "theta")
MAX_DEPTH = 5
LARGEST_ANGLE = 4 * math.pi  # the search for the best fit went a little beyond a turn, never far
LARGEST_PIXEL = 1e6

CATEGORIES = (
    "convertible", "coupe", "hatchback", "minivan", "pickup", "sedan", "suv", "van", "wagon",
)  # fmt: skip
BODIES = {name: name for name in CATEGORIES} | {"cab": "pickup", "supercab": "pickup"}
# The classes whose names name no body.
UNNAMED_BODIES = {
    "Acura Integra Type R": "coupe",
    "Acura TL Type-S": "sedan",
    "Buick Regal GS": "sedan",
    "Chevrolet Cobalt SS": "coupe",
    "Chevrolet Corvette Ron Fellows Edition Z06": "coupe",
    "Chevrolet Corvette ZR1": "coupe",
    "Chevrolet HHR SS": "wagon",
    "Chevrolet TrailBlazer SS": "suv",
    "Chrysler 300 SRT-8": "sedan",
    "Dodge Challenger SRT8": "coupe",
    "Dodge Charger SRT-8": "sedan",
    "FIAT 500 Abarth": "hatchback",
    "Jaguar XK XKR": "coupe",
    "Lamborghini Gallardo LP 570-4 Superleggera": "coupe",
}


class Photo(NamedTuple):
    """One annotated photo.

    Attributes:
      part: "train" or "test", Stanford's own.
      path: the image.
      fine_category: the class by name.
      category: its body type.
      box: x0, y0, x1, y1 in pixels, 0-based, exclusive ends.
      angles: azimuth, elevation and theta in degrees, as in frame "camera".
    """

    part: str
    path: pathlib.Path
    fine_category: str
    category: str
    box: tuple[float, float, float, float]
    angles: tuple[float, float, float]

    @property
    def file(self) -> str:
        """Its name in the manifest's folder; both parts have a 00001.jpg."""
        return f"{self.part}_{self.path.name}"


def category_of(fine_category: str) -> str:
    """The body type of a class of Stanford Cars, one of CATEGORIES.

    Raises:
      InputError: the name names no body and is not one of the fourteen classes known without.
    """
    name = re.sub(r"\s+\d{4}$", "", fine_category.strip())
    if name in UNNAMED_BODIES:
        return UNNAMED_BODIES[name]
    # The last one counts: "E-Series Wagon Van" is a van, "Cargo Van Minivan" a minivan.
    for word in reversed(name.lower().split()):
        if word in BODIES:
            return BODIES[word]
    raise InputError(f"the class '{fine_category}' of {CLASSES} has no known body type")


def angles_in_degrees(azimuth: float, elevation: float, theta: float) -> tuple[float, float, float]:
    """Azimuth [0, 360), elevation and theta (-180, 180] in degrees, from radians of the source."""
    azimuth = round((90 - math.degrees(azimuth)) % 360, 4) % 360
    theta = round(-math.remainder(math.degrees(theta), 360), 4) + 0.0  # no minus zero
    return azimuth, round(math.degrees(elevation), 4), 180.0 if theta == -180 else theta


def read(root: pathlib.Path) -> tuple[list[Photo], tuple[str, ...]]:
    """The photos that have a pose, in the order of part and file name, and remarks in words.

    Args:
      root: the folder with both downloads, unpacked; Stanford's test part may be absent.

    Raises:
      InputError: something is missing, damaged or of another dataset; the line names it.
    """
    found = _find(root)
    for name in (CLASSES, *PARTS["train"]):
        if name not in found:
            poses = "the poses (github.com/yangyi02/finegrained-pose)"
            origin = poses if "_v2" in name else "Stanford Cars"
            raise InputError(f"no {name} below {root}; download {origin} and unpack it there")
    classes = _load_mat(found[CLASSES], "class_names").ravel().tolist()
    if not all(isinstance(name, str) for name in classes):
        raise InputError(f"{found[CLASSES]}: class_names are not texts; unpack it again")
    photos, notes = [], ()
    for part, (folder, labels, pickle_name) in PARTS.items():
        missing = [name for name in PARTS[part] if name not in found]
        if missing:
            notes += (f"without Stanford's test part: no {', '.join(missing)}",)
            continue
        images, entries = found[folder], _entries(found[labels])
        poses = _poses(found[pickle_name])
        posed = [entry for entry in entries if entry[0] in poses]
        if len(posed) < max(1, len(entries) / 2):
            raise InputError(
                f"{found[pickle_name]} has poses of {len(posed)} of the {len(entries)} photos of "
                f"{labels}: it is of another dataset"
            )
        paths = {n: file_names.below(images, n, str(found[labels])) for n, _, _ in posed}
        absent = [name for name, path in paths.items() if not os.path.isfile(path)]
        if absent:
            raise InputError(
                f"{images} lacks {len(absent)} of {len(posed)} photos, the first: {min(absent)}; "
                f"unpack {folder}.tgz again"
            )
        if len(posed) < len(entries):
            notes += (f"{len(entries) - len(posed)} photos of {folder} left out: no pose",)
        for name, number, (x1, y1, x2, y2) in sorted(posed):
            if not 1 <= number <= len(classes):
                raise InputError(f"{found[labels]}: {name} is of class {number} of {len(classes)}")
            fine = classes[number - 1]
            box = (x1 - 1, y1 - 1, x2, y2)  # MATLAB's: 1-based, inclusive
            angles = angles_in_degrees(*poses[name])
            photos.append(Photo(part, images / name, fine, category_of(fine), box, angles))
    return photos, notes


def _find(root: pathlib.Path) -> dict[str, pathlib.Path]:
    if not root.is_dir():
        raise InputError(f"no folder {root}; give the one with the downloads as --manual_dir")
    wanted = {CLASSES, *(name for names in PARTS.values() for name in names)}
    found: dict[str, pathlib.Path] = {}
    for folder, folders, files in os.walk(root):
        here = pathlib.Path(folder)
        for name in wanted.intersection((*folders, *files)):
            # The poses of aeroplanes have files of the same names, in a folder of their own.
            if name not in found or here.name == "StanfordCars":
                found[name] = here / name
        # Among several copies the choice is a fixed one; thousands of photos are not looked at.
        folders[:] = sorted({*folders} - {"cars_train", "cars_test", "car_ims", "images"})
        if len(here.relative_to(root).parts) >= MAX_DEPTH:
            folders.clear()
    return found


def _load_mat(path: pathlib.Path, variable: str) -> np.ndarray:
    content = matlab.load(path, variable)
    if content is None:
        raise InputError(f"{path} has no '{variable}': it is not of Stanford Cars' devkit")
    return np.atleast_1d(content)


def _entries(path: pathlib.Path) -> list[tuple[str, int, tuple[float, ...]]]:
    """File name, 1-based class and box of each photo."""
    records = _load_mat(path, "annotations")
    missing = [n for n in ("fname", "class", *BOX) if n not in (records.dtype.names or ())]
    if missing:
        raise InputError(f"{path}: its annotations have no {', '.join(missing)}")
    entries = []
    for record in records:
        try:
            number, *box = (float(record[name]) for name in ("class", *BOX))
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: an annotation without a class or a box: {error}") from error
        if not number.is_integer() or not all(abs(value) <= LARGEST_PIXEL for value in box):
            raise InputError(f"{path}: {record['fname']} has class {number:g} and box {tuple(box)}")
        entries.append((str(record["fname"]), int(number), tuple(box)))
    return entries


def _poses(path: pathlib.Path) -> dict[str, tuple[float, float, float]]:
    """Azimuth, elevation and theta in radians by file name, of the photos that have all three."""
    content: Any = safe_pickle.read(path)
    if not isinstance(content, dict) or not content:
        raise InputError(f"{path} is not a dictionary of poses by file name")
    poses = {}
    for name, entry in content.items():
        if not isinstance(entry, dict) or not {*ANGLES} <= {*entry}:
            raise InputError(f"{path}: '{name}' has no {', '.join(ANGLES)}")
        try:
            angles = tuple(float(entry[angle]) for angle in ANGLES)
        except (TypeError, ValueError, OverflowError) as error:
            raise InputError(f"{path}: an angle of '{name}' is not a number") from error
        if not any(map(math.isnan, angles)):
            poses[str(name)] = angles
    if poses and np.median([abs(angles[0]) for angles in poses.values()]) > 2 * math.pi:
        raise InputError(f"{path}: the azimuths are not in radians")
    for name, angles in poses.items():
        if max(map(abs, angles)) > LARGEST_ANGLE:
            raise InputError(f"{path}: '{name}' has the angles {angles}, in radians")
    return poses
