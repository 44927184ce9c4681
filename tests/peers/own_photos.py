"""What photos of one's own bring: `configs/own.py` beside the network `photo` that it starts from.

    CATPOSE_DATA=DIR python -m tests.peers.own_photos FOLDER [SET ...]

The SETs are of cars3d/ ("cars20", "cars60", "cars200": so many cars of any body type, a quarter of
them for validation, tested on 500 others) and "chairs", those of caltech101/ to train on (azimuth
alone) and of voc12_subset/. FOLDER keeps data and runs, so that what is done is not done again.
The photographs have chosen `photo`; none of them has trained it.
"""

import csv
import json
import pathlib
import random
import sys
import time

import catpose
from catpose.configs import own
from catpose.experiment import workdir
from catpose.visualize import text_tables
from tests.peers import photographs

SETS = ("cars20", "cars60", "cars200", "chairs")
COLUMNS = ("file", "category", "split", "azimuth_deg", "elevation_deg", "theta_deg",
           "x0", "y0", "x1", "y1")  # fmt: skip
METRICS = ("pose_err_deg", "acc_30")


def cars(number: int) -> list[dict[str, str]]:
    """The rows of a manifest with so many cars to learn from."""
    parts = {}
    for row in photographs._rows(photographs.DATA / "cars3d/manifest.csv"):
        row |= {"file": f"cars3d/images/{row['file']}", "category": "car"}
        parts.setdefault(row["split"], []).append(row)
    for part in parts.values():
        random.Random(0).shuffle(part)
    first = max(5, number // 4)
    for i, row in enumerate(parts["train"]):
        row["split"] = "validation" if i < first else "train"
    return parts["train"][:number] + [{**row, "split": "test"} for row in parts["val"][:500]]


def chairs() -> list[dict[str, str]]:
    """The rows of a manifest of chairs; those of one photograph are in one split."""
    azimuths = [
        {**row, "file": f"caltech101/images/{row['file']}", "split": "train"}
        for row in photographs._rows(photographs.DATA / "caltech101/labels.csv")
        if row["category"] == "chair" and row["azimuth_deg"]
    ]
    found = [
        {**row, "file": f"voc12_subset/images/{row['file']}"}
        for row in photographs._rows(photographs.DATA / "voc12_subset/manifest.csv")
        if (row["category"], row["nondifficult"], row["coarse"]) == ("chair", "1", "0")
    ]
    files = sorted({row["file"] for row in found})
    random.Random(0).shuffle(files)
    for row in found:
        place = files.index(row["file"]) / len(files)
        row["split"] = ("train", "validation", "test")[(place >= 0.45) + (place >= 0.6)]
    return found + azimuths


def write(rows: list[dict[str, str]], folder: pathlib.Path) -> None:
    """A folder as `configs/own.py` takes it, with links to the photographs."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    for row in rows:
        link = folder / row["file"]
        link.parent.mkdir(parents=True, exist_ok=True)
        if not link.is_symlink():
            link.symlink_to((photographs.DATA / row["file"]).resolve())


def before(folder: pathlib.Path, kept: pathlib.Path) -> dict[str, object]:
    """The metrics of `photo`, as the report of a run has those of its own."""
    if not kept.is_file():
        scored = catpose.evaluate("photo", data=folder).metrics
        values = {name: scored[name]["value"] for name in METRICS}
        values |= {f"{name}_interval": scored[name]["interval"] for name in METRICS}
        kept.write_text(json.dumps(values))
    return json.loads(kept.read_text())


def measure(name: str, folder: pathlib.Path) -> list[str]:
    """The table row of a set."""
    kind = name.rstrip("0123456789")
    rows = chairs() if kind == "chairs" else cars(int(name.removeprefix(kind)))
    write(rows, folder / name)
    config, began = own.get_config(), time.process_time()
    config.data.root, config.data.cache_dir = str(folder / name), str(folder / name / "cache")
    run = catpose.train(config, folder / f"run_{name}")
    spent = run / "cpu_minutes.txt"
    if not spent.is_file():
        spent.write_text(f"{(time.process_time() - began) / 60:.1f}")
    photo = before(folder / name, folder / f"{kind}-photo.json")
    report = workdir.read_report(run)
    after = report["splits"]["test"][report["answers_by"]]
    tested = sum(row["split"] == "test" for row in rows)
    cells = []
    for metric, digits in zip(METRICS, (1, 2), strict=True):
        for found in (photo, after):
            low, high = found[f"{metric}_interval"]
            value = f"{found[metric]:.{digits}f}"
            cells.append(f"{value} [{low:.{digits}f}, {high:.{digits}f}]")
    return [f"{len(rows) - tested} {kind}", str(tested), *cells, spent.read_text()]


def main() -> None:
    """Makes the data, trains what is not trained yet, and prints the table."""
    folder, *sets = sys.argv[1:]
    heads = ["photos", "tested on", "photo: pose-err (°)", "own: pose-err (°)", "photo: acc@30",
             "own: acc@30", "CPU minutes"]  # fmt: skip
    rows = [measure(name, pathlib.Path(folder)) for name in sets or SETS]
    print(text_tables.markdown(heads, rows, 1))


if __name__ == "__main__":
    main()
