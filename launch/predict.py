"""Predicts the category and pose of objects in photos: one line of JSON each, and pictures.

catpose predict --image=FILE [--box=x0,y0,x1,y1] [--output=overlay.png] [--workdir=DIR|photo|mini]
                [--draw=axes|model|both] [--models=FOLDER [--up=+y --front=+z]]
catpose predict --image=FOLDER --output=PICTURES
catpose predict --boxes=boxes.csv

--workdir is the folder of a training run, or a network that comes with catpose: photo for
photographs (which needs the extra `photo`), or mini, a small one for renders.

An image may be a pattern ("photos/*.jpg") or a folder. A table of boxes has the columns file, x0,
y0, x1, y1; files are in its folder or below, and an object without these four is its whole image.
"""

import glob
import itertools
import json
import pathlib
import sys
from typing import Any

from catpose import errors, outputs
from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
WORKDIR = OPTIONS.string("workdir", "photo", "a training run's folder, photo or mini")
IMAGE = OPTIONS.multi_string("image", [], "photo, pattern or folder; repeatable")
BOXES = OPTIONS.string("boxes", None, "CSV with the columns file, x0, y0, x1, y1")
BOX = OPTIONS.list("box", None, "x0,y0,x1,y1 in pixels; the whole image unless given")
OUTPUT = OPTIONS.string("output", None, "picture of the pose; a folder for several photos")
DRAW = OPTIONS.enum(
    "draw", None, ["axes", "model", "both"], "what --output shows; axes, or model with --models"
)
MODELS = OPTIONS.string("models", None, "folder of 3D models, one of each category or more")
UP = OPTIONS.string("up", None, "axis that points upwards in all of --models, such as +y")
FRONT = OPTIONS.string("front", None, "axis that points to the front, such as -z")
WITHIN = OPTIONS.string("within_deg", "30", "the error to which pose_confidence refers, degrees")
BEST = OPTIONS.bool("best", False, "weights of the lowest validation error, not the last")


def main() -> None:
    """Predicts and prints."""
    # The options are checked before the imports below, which take seconds.
    listed = _listed()
    photos = [row.values["file"] for row in listed]
    paths = _outputs(photos)
    inputs = [*photos, BOXES.value] if BOXES.value else photos
    outputs.check_inputs(filter(None, paths), map(pathlib.Path, inputs))
    outputs.check_own(filter(None, paths))
    import catpose
    from catpose import devices, predict
    from catpose.data import pose_table

    devices.keep_compilations()
    show, models = _drawing()
    predictor = catpose.load(WORKDIR.value, best=BEST.value, within_deg=_within())
    if predictor.note and sys.stderr.isatty():
        print(predictor.note, file=sys.stderr)
    failed, without_model = 0, set()
    for begin in range(0, len(listed), predict.BATCHES[-1]):
        crops, whole = [], []
        chunk = slice(begin, begin + predict.BATCHES[-1])
        for row, output in zip(listed[chunk], paths[chunk], strict=True):
            file = row.values["file"]
            try:
                box = pose_table.box(row)
                crops.append(predictor.crop(file, box))
                whole.append((file, box, output))
            except InputError as error:
                message = str(error) if row.where in str(error) else f"{row.where}: {error}"
                if len(listed) == 1:
                    raise InputError(message) from error
                # One bad photo or box does not end the list.
                print(f"error: {errors.printable(message)}", file=sys.stderr)
                failed += 1
        for (file, box, output), found in zip(whole, predictor.from_crops(crops), strict=True):
            own = {"image": file, "box": box} if BOXES.value else {"image": file}
            print(json.dumps({**own, **found.to_json()}), flush=True)
            if output:
                picture = predictor.draw(file, box, found, show=show, models=models)
                outputs.save_picture(picture, output)
                if show != "axes" and models(found.category) is None:
                    without_model.add(found.category)
    if without_model:
        names = ", ".join(sorted(without_model))
        print(f"no 3D model of {names}: axes are drawn instead; see --models", file=sys.stderr)
    if failed:
        message = f"{failed} of {len(listed)} photos have no prediction"
        if failed > errors.MAX_BROKEN_SHARE * len(listed):
            raise InputError(message)
        print(message, file=sys.stderr)


def _listed() -> list[Any]:
    """A `tables.Row` for each photo, with `file` and the box's columns, in the order given."""
    if bool(IMAGE.value) == bool(BOXES.value):
        raise InputError("give photos with --image, or a table of boxes with --boxes")
    if BOXES.value and BOX.value:
        raise InputError("--box goes with --image; a table of --boxes has its own boxes")
    box = _box(BOX.value)
    from catpose.data import file_names, pose_table, tables  # imports jax, which takes seconds
    from catpose.images import files as image_files

    if BOXES.value:
        path, rows = pathlib.Path(BOXES.value), []
        table = tables.read(path, known=("file", *pose_table.BOX))
        pose_table.check_boxes(table)
        for row in table.rows:
            name = tables.string(row, "file")
            if not name:
                columns = ", ".join(("file", *pose_table.BOX))
                raise InputError(f"{row.where}: no file; it needs the columns {columns}")
            file = file_names.below(path.parent, name, row.where)
            rows.append(row._replace(values={**row.values, "file": file}))
        return rows
    files = []
    for given in IMAGE.value:
        if pathlib.Path(given).is_dir():
            within = image_files.find(given)
            if not within:
                raise InputError(f"the folder {given} has no photos")
            files += map(str, within)
        else:
            is_pattern = not pathlib.Path(given).is_file()
            files += (is_pattern and sorted(glob.glob(given))) or [given]
    return [tables.Row(file, {"file": file, **box}) for file in files]


def _outputs(files: list[str]) -> list[pathlib.Path | None]:
    """Where each photo's picture goes; photos of one name in different folders are numbered.

    A folder, a pattern or a table of one photo has a folder of pictures all the same.
    """
    if not OUTPUT.value:
        return [None] * len(files)
    output = pathlib.Path(OUTPUT.value)
    if files == IMAGE.value and len(files) == 1 and not output.is_dir():
        return [output]
    paths: dict[pathlib.Path, None] = {}  # in order
    for file in files:
        stem = pathlib.Path(file).stem
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        paths[next(path for name in names if (path := output / f"{name}.png") not in paths)] = None
    return list(paths)


def _box(texts: list[str] | None) -> dict[str, float]:
    """The box of --box by the columns of a table; empty without one."""
    if texts is None:
        return {}
    try:
        x0, y0, x1, y1 = map(float, texts)
    except ValueError as error:
        raise InputError(f"--box is x0,y0,x1,y1 in pixels, not '{','.join(texts)}'") from error
    return {"x0": x0, "y0": y0, "x1": x1, "y1": y1}


def _within() -> float:
    try:
        return float(WITHIN.value)
    except ValueError as error:
        raise InputError(f"--within_deg is a number of degrees, not '{WITHIN.value}'") from error


def _drawing() -> tuple[str, Any]:
    """What to draw, and where a category's model is from (a `category_models.Source`)."""
    from catpose.visualize import category_models

    if (DRAW.value or MODELS.value) and not OUTPUT.value:
        raise InputError("--draw and --models change the picture of --output; give --output=FILE")
    if MODELS.value:
        models = category_models.from_folder(MODELS.value, up=UP.value, front=FRONT.value)
        return DRAW.value or "model", models
    if UP.value or FRONT.value:
        raise InputError("--up and --front are axes of the files in --models, which is missing")
    return DRAW.value or "axes", category_models.built_in


if __name__ == "__main__":
    command.run(main, OPTIONS)
