"""Counts the labels of the whole of PASCAL3D+ release 1.1 by the rule of the build.

    CATPOSE_DATA=DIR python -m tests.support.public_labels

prints the tables of docs/data.md from DIR/pascal3d/all_labels/pascal3d_all_objects.csv: the label
files of https://github.com/ahounkanrin/3d-viewpoint-estimation-pascal in one table, without
photographs. It has one flag for occluded and truncated, and no distance: an object is coarse where
theta is 0, which is right for all but eight (-0 is a measured zero).
"""

import csv
import math
import os
import pathlib

import numpy as np

from catpose.data.categories import CATEGORIES
from catpose.data.pascal3d import annotations, build_report, crops, layout, staging
from catpose.visualize import text_tables

TABLE = pathlib.Path("pascal3d", "all_labels", "pascal3d_all_objects.csv")
UNKNOWN = (math.nan, math.nan)
PARTS = {
    "ImageNet": ("imagenet_train", "imagenet_val"),
    "Pascal train": ("pascal_train",),
    "Pascal val": ("pascal_val",),
}


def read(path):
    """The objects of the table, as dicts."""
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def is_coarse(row):
    """Whether the angles are an annotator's estimate."""
    return float(row["theta_deg"]) == 0 and not row["theta_deg"].startswith("-")


def listed_images(rows):
    """Objects by image and category, of images whose list names the category.

    A list of Pascal has the flag 0 where all its objects are difficult.
    """
    images = {}
    for row in rows:
        images.setdefault((row["part"], row["category"], row["image_id"]), []).append(row)
    return {
        key: objects
        for key, objects in images.items()
        if key[0].startswith("imagenet") or any(row["nondiff"] == "1" for row in objects)
    }


def report(rows, variant="paper"):
    """What a build of these labels would report, were every photograph there and in color."""
    release, tally, entries = layout.RELEASES["pascal3d"], build_report.Tally(), []
    rule = release.variants[variant]
    for (part, category, name), objects in listed_images(rows).items():
        source, of = part.split("_")
        split, nowhere = rule.splits[source, of], pathlib.Path()
        entries.append(layout.Entry(name, category, source, split, nowhere, nowhere))
        items = [_annotated(number, row) for number, row in enumerate(objects, start=1)]
        described = [staging.describe(entries[-1], item, release, rule) for item in items]
        tally.add(entries[-1], described, [("other_scale", "")] if name in crops.REDRAWN else [])
    listed = layout.Listed(tuple(entries), CATEGORIES, (), ())
    return build_report.summarize(tally, "pascal3d", variant, listed)


def _annotated(number, row):
    azimuth, elevation, theta = (float(row[f"{n}_deg"]) for n in ("azimuth", "elevation", "theta"))
    return annotations.AnnotatedObject(
        number=number,
        category=row["category"],
        box=tuple(float(row[n]) for n in ("xmin", "ymin", "xmax", "ymax")),
        truncated=row["nonoccl"] == "0",
        occluded=False,
        difficult=row["nondiff"] == "0",
        cad_index=1,
        angles_deg=(azimuth, elevation, theta),
        coarse_deg=(azimuth, elevation),
        distance=0.0 if is_coarse(row) else 1.0,
        focal=math.nan,
        center=UNKNOWN,
    )


def filters(rows):
    """(words, objects that pass) of each filter on top of those before it."""
    listed = {id(row) for objects in listed_images(rows).values() for row in objects}
    tests = {
        "labeled": lambda row: True,
        "a measured viewpoint, not only a coarse one": lambda row: not is_coarse(row),
        "neither truncated nor occluded": lambda row: row["nonoccl"] == "1",
        "of an image with an object that is not difficult: **variant `paper`**": (
            lambda row: id(row) in listed
        ),
        "not difficult: **variant `easy`** in every split": lambda row: row["nondiff"] == "1",
    }
    for words, passes in tests.items():
        rows = [row for row in rows if passes(row)]
        yield words, rows


def easy_lists(rows):
    """(words, objects) of the published lists of Pascal val without difficult objects."""
    easy = [row for row in rows if row["part"] == "pascal_val" and row["easy"] == "1"]
    yield "Spherical Regression: all of them", easy
    fine = [row for row in easy if not is_coarse(row)]
    yield "variant `easy`: without coarse viewpoints", fine
    # MATLAB rounds halves away from zero; none is there.
    seen = [
        row for row in fine
        if any(round(float(row[f"{name}_deg"])) % 360 for name in ("azimuth", "elevation"))
    ]  # fmt: skip
    yield "Render for CNN: without those whose azimuth and elevation round to 0", seen


def per_category(rows):
    """(12,) objects of each category."""
    return np.bincount([CATEGORIES.index(row["category"]) for row in rows], minlength=12)


def markdown(rows):
    """The tables of docs/data.md."""
    cells = []
    for words, kept in filters(rows):
        parts = [[row for row in kept if row["part"] in part] for part in PARTS.values()]
        images = [len({(row["category"], row["image_id"]) for row in part}) for part in parts]
        counts = [f"{len(own):,} ({n:,})" for own, n in zip(parts, images, strict=True)]
        cells.append((words, *counts))
    totals = [f"({sum(row):,})" for row in build_report.TABLE_2.values()]
    cells.append(("the paper's Table 2", *totals))
    yield text_tables.markdown(("objects (images)", *PARTS), cells, 1)
    beside = build_report.markdown(report(rows)).split("## Beside Table 2")[1]
    yield "\n".join(line for line in beside.split("## ")[0].splitlines() if line[:1] == "|")
    lists = [
        (words, *map(str, per_category(kept)), str(len(kept))) for words, kept in easy_lists(rows)
    ]
    yield text_tables.markdown(("objects of Pascal val", *CATEGORIES, "all"), lists, 1)


if __name__ == "__main__":
    print("\n\n".join(markdown(read(pathlib.Path(os.environ["CATPOSE_DATA"]) / TABLE))))
