"""How a network does on real photographs: a table, by set, with 95 % intervals.

    CATPOSE_DATA=DIR python -m tests.peers.photographs [NETWORK ...]

NETWORK is what `catpose.load` takes; DIR holds cars3d/, caltech101/, voc12_subset/, other_photos/
and pascal3d/. What these photographs chose is no test: their figures are called "chosen on".
"""

import csv
import os
import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np

import catpose
from catpose import metrics
from catpose.data import pose_table
from catpose.visualize import text_tables

DATA = pathlib.Path(os.environ.get("CATPOSE_DATA", "/nowhere"))
SURE = 0.9  # the confidence from which the category is to be right


class Photo(NamedTuple):
    """One object: where it is, what it is (None: none of the categories), how it is turned."""

    group: str
    path: pathlib.Path
    box: tuple[float, ...] | None
    category: str | None
    rotation: np.ndarray | None = None
    azimuth_deg: float | None = None


def read() -> list[Photo]:
    """All development photographs that are there."""
    photos = []
    for row in _rows(DATA / "cars3d/manifest.csv"):
        if row["split"] == "val":
            path = DATA / "cars3d/images" / row["file"]
            photos.append(Photo("cars3d", path, None, "car", *_pose(row)))
    for row in _rows(DATA / "caltech101/labels.csv"):
        azimuth = float(row["azimuth_deg"]) if row["azimuth_deg"] else None
        path = DATA / "caltech101/images" / row["file"]
        name = f"caltech101 {row['category']}"
        photos.append(Photo(name, path, None, row["category"], azimuth_deg=azimuth))
    for row in _rows(DATA / "voc12_subset/manifest.csv"):
        if row["nondifficult"] == "1" and row["coarse"] == "0":
            box = tuple(float(row[name]) for name in ("x0", "y0", "x1", "y1"))
            path = DATA / "voc12_subset/images" / row["file"]
            photos.append(Photo("voc12", path, box, row["category"], *_pose(row)))
            if row["easy"] == "1":
                photos.append(photos[-1]._replace(group="voc12 easy"))
    others = sorted((DATA / "other_photos").glob("*.jpg"))
    photos += [Photo("other_photos", path, None, None) for path in others]
    return photos


def _rows(path: pathlib.Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def _pose(row: dict[str, str]) -> tuple[np.ndarray, float]:
    angles = [float(row[f"{name}_deg"]) for name in ("azimuth", "elevation", "theta")]
    return pose_table.rotations_from_angles(np.array([angles]), for_paper=False)[0], angles[0]


def errors(photo: Photo, found: catpose.Prediction) -> tuple[float, float]:
    """The errors of the rotation and of the azimuth in degrees; NaN where there is no label."""
    rotation = azimuth = np.nan
    if photo.rotation is not None:
        cosine = (np.trace(photo.rotation.T @ np.asarray(found.rotation, float)) - 1) / 2
        rotation = float(np.degrees(np.arccos(np.clip(cosine, -1, 1))))
    if photo.azimuth_deg is not None:
        azimuth = abs((found.azimuth_deg - photo.azimuth_deg + 180) % 360 - 180)
    return rotation, azimuth


def interval(values: np.ndarray, statistic: Any = np.mean) -> str:
    """A statistic with its 95 % bootstrap interval as text."""
    generator = np.random.default_rng(0)
    drawn = generator.integers(len(values), size=(1000, len(values)))
    low, high = np.quantile(statistic(values[drawn], axis=1), [0.025, 0.975])
    digits = 2 if statistic is np.mean else 1
    return f"{statistic(values):.{digits}f} [{low:.{digits}f}, {high:.{digits}f}]"


def table(photos: list[Photo], found: list[catpose.Prediction]) -> str:
    """What a network does with each set of photographs."""
    rows = []
    for group in dict.fromkeys(photo.group for photo in photos):
        here = [i for i, photo in enumerate(photos) if photo.group == group]
        if photos[here[0]].category is None:
            continue
        right = np.array([found[i].category == photos[i].category for i in here])
        error = np.array([errors(photos[i], found[i]) for i in here])
        row = [group, str(len(here)), interval(right)]
        for values, statistics in zip(error.T, (("30",), ("30", "45", "135")), strict=True):
            if np.isnan(values).all():
                row += [""] * (1 + len(statistics))
                continue
            row.append(interval(values, np.median))
            for limit in statistics:
                within = values < int(limit)
                row.append(interval(~within if limit == "135" else within))
        rows.append(row)
    heads = ["photographs", "number", "category", "pose, median", "pose < 30", "azimuth, median",
             "azimuth < 30", "azimuth < 45", "azimuth > 135"]  # fmt: skip
    return text_tables.markdown(heads, rows, 1)


def certainty(photos: list[Photo], found: list[catpose.Prediction]) -> str:
    """Whether the network is right where it is sure, and knows what it does not know."""
    sure = [
        one.category == photo.category
        for photo, one in zip(photos, found, strict=True)
        if photo.category and photo.group != "voc12 easy" and one.confidence >= SURE
    ]
    text = f"Of {len(sure)} predictions with a confidence of {SURE:g} or more, "
    text += f"{np.mean(sure):.3f} name the right category."
    text += pose_calibration(photos, found)
    if found[0].known is None:
        return text
    easy = ("cars3d", "caltech101", "voc12 easy")
    inside = np.array([
        one.known for photo, one in zip(photos, found, strict=True) if photo.group.startswith(easy)
    ])  # fmt: skip
    outside = np.array([one.known for p, one in zip(photos, found, strict=True) if not p.category])
    above = (inside[:, None] > outside).mean() + (inside[:, None] == outside).mean() / 2
    return f"{text} `known` tells them from other photographs with an AUROC of {above:.3f}."


def pose_calibration(photos: list[Photo], found: list[catpose.Prediction]) -> str:
    """The calibration error of `pose_confidence`, of each set with rotations."""
    texts = []
    for group in ("cars3d", "voc12"):
        here = [i for i, p in enumerate(photos) if p.group == group and p.rotation is not None]
        if not here or found[0].pose_confidence is None:
            continue
        confidence = np.array([found[i].pose_confidence for i in here])
        right = np.array([errors(photos[i], found[i])[0] < 30 for i in here])
        ece = metrics.STATISTICS["ece"](np.stack([confidence, right], axis=-1))
        texts.append(
            f"{ece:.3f} on {group} (mean {confidence.mean():.2f}, right {right.mean():.2f})"
        )
    return f" The ECE of `pose_confidence` is {', '.join(texts)}." if texts else ""


def main() -> None:
    """Prints the tables of the networks that the command names, of `mini` without any."""
    photos = read()
    for name in sys.argv[1:] or ["mini"]:
        predict = catpose.load(name)
        crops = [predict.crop(photo.path, photo.box) for photo in photos]
        found = predict.from_crops(crops)
        print(f"\n{name}\n\n{table(photos, found)}\n\n{certainty(photos, found)}")


if __name__ == "__main__":
    main()
