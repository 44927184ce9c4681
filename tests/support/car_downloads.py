"""Miniatures of the two downloads of Stanford Cars with 3D poses, in their own formats."""

import pickle

import numpy as np
from PIL import Image
from scipy import io

from catpose.data.stanford_cars import annotations as car_labels

# Make, model, body, year; among them two without a body.
CLASSES = {
    "Acura TL Sedan 2012": "sedan",
    "Acura TL Type-S 2008": "sedan",
    "Audi 100 Wagon 1994": "wagon",
    "Dodge Dakota Club Cab 2007": "pickup",
    "Ford E-Series Wagon Van 2012": "van",
    "Chevrolet HHR SS 2010": "wagon",
}
ANGLES = ("azimuth", "elevation", "theta")
SIZE = (300, 120)
RED, GREY = (200, 30, 40), (128, 128, 128)


def box_of(i):
    """1-based with inclusive ends, as MATLAB's: a red rectangle is painted there."""
    return 1 + i, 2 + i, 150 + 3 * i, 90 + i


def pose_of(i, part):
    azimuth = 0.4 * i + (0.05 if part == "test" else 0.0)
    return {"azimuth": azimuth, "elevation": 0.01 * i, "theta": -0.02 * i}


def write_part(root, part, count, change=None):
    """Photos, annotations and poses; `change` may edit the latter two before they are written."""
    folder, labels, poses = car_labels.PARTS[part]
    (root / "cars" / folder).mkdir(parents=True)
    records, entries = [], {}
    for i in range(count):
        x1, y1, x2, y2 = box_of(i)
        name = f"{i + 1:05d}.jpg"
        image = Image.new("RGB", SIZE, GREY)
        image.paste(RED, (x1 - 1, y1 - 1, x2, y2))
        image.save(root / "cars" / folder / name, quality=95, subsampling=0)
        # The devkit has the smallest integers that hold the values.
        box = [np.uint8(v) if v < 256 else np.uint16(v) for v in (x1, y1, x2, y2)]
        records.append((*box, np.uint8(i % len(CLASSES) + 1), name))
        entries[name] = pose_of(i, part) | {"distance": 1.0, "f": 300.0, "u": 0.0, "v": 0.0}
    if change:
        change(records, entries)
    fields = [*car_labels.BOX, "class", "fname"]
    array = np.empty(len(records), dtype=[(field, object) for field in fields])
    array[:] = records
    devkit = root / "cars" / "devkit" if part == "train" else root / "cars"
    devkit.mkdir(exist_ok=True)
    io.savemat(devkit / labels, {"annotations": array[None]})
    pose_folder = root / "finegrained-pose" / "Anno3D" / "StanfordCars"
    pose_folder.mkdir(parents=True, exist_ok=True)
    (pose_folder / poses).write_bytes(pickle.dumps(entries, 0))


def downloads(tmp_path, train=24, test=0, change=None):
    root = tmp_path / "manual"
    write_part(root, "train", train, change)
    if test:
        write_part(root, "test", test)
    names = np.array(list(CLASSES), object)[None]
    io.savemat(root / "cars" / "devkit" / "cars_meta.mat", {"class_names": names})
    return root
