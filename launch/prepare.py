"""Makes a dataset from its public downloads, checks it, and draws a sheet of examples.

catpose prepare --dataset=pascal3d --manual_dir=DIR --output_dir=DIR [--show]

`manual_dir` is where the downloads lie: PASCAL3D+ or ObjectNet3D unpacked; the photos, devkit and
pose annotations of Stanford Cars; a folder or tar of rendered images; for --dataset=manifest, your
own folder with manifest.csv; for --dataset=models, a folder of 3D models (PASCAL3D+'s CAD folder,
ShapeNet's layout, or one folder per category). The last three are checked and shown as they are.
"""

import pathlib
from typing import Any

from catpose import outputs
from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options()
DATASET = OPTIONS.string(
    "dataset", None,
    "what to prepare: pascal3d, objectnet3d, stanford_cars, rendered, manifest or models",
    required=True,
)  # fmt: skip
MANUAL_DIR = OPTIONS.string("manual_dir", None, "where the downloads are", required=True)
OUTPUT_DIR = OPTIONS.string("output_dir", None, "where results go", required=True)
VARIANT = OPTIONS.string("variant", "paper", "of PASCAL3D+ and ObjectNet3D: paper, easy, all")
TILT = OPTIONS.string("tilt", "", "of rendered images: released or fresh, see docs/data.md")
UP = OPTIONS.string("up", None, "of models: the axis of the file that points up, such as +y")
FRONT = OPTIONS.string("front", None, "of models: the axis that points to the front")
SHOW = OPTIONS.bool("show", False, "draw examples, before and after augmentation")


def main() -> None:
    """Prepares the dataset, prints its counts and draws sheets."""
    name, source, output = DATASET.value, MANUAL_DIR.value, pathlib.Path(OUTPUT_DIR.value)
    if output.resolve() == pathlib.Path(source).resolve():
        raise InputError("--output_dir is --manual_dir; give another folder for results")
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write to {output}: {error.strerror}") from error
    if name == "models":
        _models(source, output)
        return
    listed = _prepare(name, source, output)
    _print_counts(listed)
    if SHOW.value:
        _show(listed, output)


def _prepare(name: str, source: str, output: pathlib.Path) -> Any:
    from catpose.data.pascal3d import dataset as pascal3d
    from catpose.data.pascal3d import layout
    from catpose.data.stanford_cars import dataset as stanford_cars
    from catpose.experiment import config, datasets

    kind, root, notes = name, source, ()
    if name == "stanford_cars":
        notes = stanford_cars.prepare(source, output)
        kind, root = "manifest", str(output)
    elif name in layout.RELEASES:
        report = pascal3d.build(source, output, dataset=name, variant=VARIANT.value)
        root = report["folder"]
    known = [other for other in datasets.READERS if other != "shapes"]
    if kind not in known:
        raise InputError(
            f"--dataset is '{name}'; it can be {', '.join([*known, 'stanford_cars', 'models'])}"
        )
    listed = datasets.read(config.Data(kind=kind, root=root, rendered_tilt=TILT.value))
    return listed._replace(notes=listed.notes + notes)


def _models(source: str, output: pathlib.Path) -> None:
    """Loads each model; with --show, draws it from four sides to check its axes."""
    from PIL import Image

    from catpose.synthetic import mesh_files
    from catpose.visualize import model_sheet, text_tables

    rows = []
    listed = mesh_files.find(source, up=UP.value, front=FRONT.value)
    for found, mesh in mesh_files.load_each(listed):
        rows.append([found.category, found.name, found.up, found.front, str(len(mesh.faces))])
        if SHOW.value:
            path = output / f"model_{found.category}_{found.name}.png"
            outputs.save_picture(Image.fromarray(model_sheet.sheet(mesh)), path)
            print(f"sheet: {path}")
    print(text_tables.plain(["category", "model", "up", "front", "faces"], rows, 2))


def _print_counts(listed: Any) -> None:
    from catpose.data import examples
    from catpose.visualize import text_tables

    splits = examples.splits(listed)
    rows = [
        [category]
        + [str(((listed.category == k) & (listed.split == split)).sum()) for split in splits]
        for k, category in enumerate(listed.categories)
    ]
    rows.append(["all", *(str((listed.split == split).sum()) for split in splits)])
    print(text_tables.plain(["objects", *splits], rows, 1))
    for note in listed.notes:
        print(note)


def _show(listed: Any, output: pathlib.Path) -> None:
    from catpose.data import augment
    from catpose.visualize import dataset_sheet

    cameras = listed.camera is not None
    changes = augment.Augment(
        mirror=0.5,
        zoom=0.1,
        shift=0.05,
        rotate_deg=10.0,
        brightness=0.1,
        contrast=0.2,
        saturation=0.5,
        jitter_iou=0.7,
        pose_jitter_deg=(1.0, 1.0, 4.0) if cameras else (0.0, 0.0, 0.0),
    )
    for path in dataset_sheet.of_examples(listed, output, augment=changes):
        print(f"sheet: {path}")


if __name__ == "__main__":
    command.run(main, OPTIONS)
