"""What photos of one's own bring: `configs/own.py` beside the network `photo` that it starts from.

    CATPOSE_DATA=DIR python -m tests.peers.own_photos FOLDER [SET ...]

The SETs are of cars3d/ ("cars20", "cars60", "cars200": so many cars of any body type, a quarter of
them for validation, tested on 500 others) and "chairs", of voc12_subset/ (validation and test too)
and half of those of caltech101/ (azimuth alone). FOLDER keeps data and runs, so that what is done
is not done again. These photographs chose `photo`; none of them trained it.
"""

import csv
import pathlib
import random
import sys
import time

import numpy as np

import catpose
from catpose.configs import own
from catpose.visualize import text_tables
from tests.peers import photographs

SETS = ("cars20", "cars60", "cars200", "chairs")
BOX = ("x0", "y0", "x1", "y1")
POSE = ("azimuth_deg", "elevation_deg", "theta_deg")


def rows_of(name: str) -> list[dict[str, str]]:
    """Rows of a manifest with files below CATPOSE_DATA; the split "held" has azimuths alone."""
    shuffle = random.Random(0).shuffle
    if name != "chairs":
        found = photographs._rows(photographs.DATA / "cars3d/manifest.csv")
        number, parts = int(name.removeprefix("cars")), {}
        for split in ("train", "val"):
            parts[split] = [row for row in found if row["split"] == split]
            shuffle(parts[split])
        few, others = parts["train"][:number], parts["val"][:500]
        splits = ["validation"] * max(5, number // 4)
        splits = ["train"] * (number - len(splits)) + splits + ["test"] * len(others)
        return [
            {**row, "file": f"cars3d/images/{row['file']}", "category": "car", "split": split}
            for row, split in zip(few + others, splits, strict=True)
        ]
    found = [
        row
        for row in photographs._rows(photographs.DATA / "voc12_subset/manifest.csv")
        if (row["category"], row["nondifficult"], row["coarse"]) == ("chair", "1", "0")
    ]
    files = sorted({row["file"] for row in found})
    shuffle(files)
    place = {file: i / len(files) for i, file in enumerate(files)}

    def split(file: str) -> str:
        return ("train", "validation", "test")[(place[file] >= 0.6) + (place[file] >= 0.75)]

    found = [
        {**row, "file": f"voc12_subset/images/{row['file']}", "split": split(row["file"])}
        for row in found
    ]
    more = [
        {**row, "file": f"caltech101/images/{row['file']}"}
        for row in photographs._rows(photographs.DATA / "caltech101/labels.csv")
        if row["category"] == "chair" and row["azimuth_deg"]
    ]
    shuffle(more)
    half = len(more) // 2
    return [
        *found,
        *({**row, "split": "train"} for row in more[:half]),
        *({**row, "split": "held"} for row in more[half:]),
    ]


def write(rows: list[dict[str, str]], folder: pathlib.Path) -> None:
    """A folder as `configs/own.py` takes it, with links to the photographs."""
    columns = ("file", "category", "split", *POSE, *BOX)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="", extrasaction="ignore")
        writer.writeheader()
        for row in rows:
            if row["split"] != "held":
                writer.writerow(row)
                link = folder / row["file"]
                link.parent.mkdir(parents=True, exist_ok=True)
                if not link.is_symlink():
                    link.symlink_to((photographs.DATA / row["file"]).resolve())


def photos(rows: list[dict[str, str]]) -> list[photographs.Photo]:
    """The photographs to test on."""
    found = []
    for row in rows:
        box = tuple(float(row[name]) for name in BOX) if row.get("x0") else None
        path = photographs.DATA / row["file"]
        group = f"{row['category']}s, {row['file'].partition('/')[0]}"
        if row["split"] == "test":
            pose = photographs._pose(row)
            found.append(photographs.Photo(group, path, box, row["category"], *pose))
        if row["split"] == "held":
            azimuth = float(row["azimuth_deg"])
            found.append(photographs.Photo(group, path, box, row["category"], None, azimuth))
    return found


def answers(network: str | pathlib.Path, tested: list[photographs.Photo]) -> np.ndarray:
    """The errors of the rotation, or where it is unknown of the azimuth, in degrees."""
    predict = catpose.load(network)
    found = predict.from_crops([predict.crop(photo.path, photo.box) for photo in tested])
    error = [photographs.errors(photo, one) for photo, one in zip(tested, found, strict=True)]
    return np.array([azimuth if np.isnan(whole) else whole for whole, azimuth in error])


def measure(name: str, folder: pathlib.Path) -> list[list[str]]:
    """The table rows of a set."""
    rows = rows_of(name)
    write(rows, folder / name)
    config, began = own.get_config(), time.process_time()
    config.data.root, config.data.cache_dir = str(folder / name), str(folder / name / "cache")
    run = catpose.train(config, folder / f"run_{name}")
    minutes = folder / f"run_{name}" / "cpu_minutes"
    if not minutes.is_file():
        minutes.write_text(f"{(time.process_time() - began) / 60:.1f}")
    number = sum(row["split"] in ("train", "validation") for row in rows)
    tested, lines = photos(rows), []
    before, after = answers("photo", tested), answers(run, tested)
    for group in dict.fromkeys(photo.group for photo in tested):
        here = np.array([photo.group == group for photo in tested])
        line = [str(number), f"{here.sum()} {group}"]
        for error in (before[here], after[here]):
            line += [photographs.interval(error, np.median), photographs.interval(error < 30)]
        gain = (after[here] < 30).astype(float) - (before[here] < 30)
        lines.append([*line, photographs.interval(gain), minutes.read_text()])
    return lines


def main() -> None:
    """Makes the data, trains what is not trained yet, and prints the table."""
    folder, *sets = sys.argv[1:]
    folder = pathlib.Path(folder)
    heads = ["photos", "tested on", "photo: median", "photo: < 30", "own: median", "own: < 30",
             "gain", "CPU min"]  # fmt: skip
    rows = [line for name in sets or SETS for line in measure(name, folder)]
    print(text_tables.markdown(heads, rows, 2))


if __name__ == "__main__":
    main()
