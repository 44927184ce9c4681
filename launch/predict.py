"""Says what is on a photo and how it is turned: one line of JSON a photo, and pictures.

python -m launch.predict --workdir=DIR --image=FILE [--box=x0,y0,x1,y1] [--output=overlay.png]
                         [--draw=axes|model|both] [--models=FOLDER [--up=+y --front=+z]]
"""

import collections
import glob
import json
import pathlib
import sys

from absl import flags

from catpose.errors import InputError
from catpose.report import exemplars
from launch import command

WORKDIR = flags.DEFINE_string("workdir", None, "a training run's folder", required=True)
IMAGE = flags.DEFINE_multi_string("image", None, "photo or pattern; repeatable", required=True)
BOX = flags.DEFINE_list("box", None, "x0,y0,x1,y1 in pixels; the whole image unless given")
OUTPUT = flags.DEFINE_string("output", None, "picture of the pose; a folder for several photos")
DRAW = flags.DEFINE_enum(
    "draw", None, ["axes", "model", "both"], "what --output shows; axes, or model with --models"
)
MODELS = flags.DEFINE_string("models", None, "folder of 3D models, one of each category or more")
UP = flags.DEFINE_string("up", None, "axis that points upwards in all of --models, such as +y")
FRONT = flags.DEFINE_string("front", None, "axis that points to the front, such as -z")
BEST = flags.DEFINE_bool("best", False, "weights of the lowest validation error, not the last")


def main() -> None:
    """Predicts and prints."""
    import catpose

    files = [file for pattern in IMAGE.value for file in (sorted(glob.glob(pattern)) or [pattern])]
    box, (show, models) = _box(BOX.value), _drawing()
    predictor = catpose.load(WORKDIR.value, best=BEST.value)
    failed, without_model = 0, set()
    for file, output in zip(files, _outputs(files), strict=True):
        try:
            found = predictor(file, box)
        except InputError as error:
            if len(files) == 1:
                raise
            # One bad photo does not end the list.
            print(f"error: {error}", file=sys.stderr)
            failed += 1
            continue
        print(json.dumps({"image": file, **found.to_json()}), flush=True)
        if output:
            _save(predictor.draw(file, box, found, show=show, models=models), output)
            if show != "axes" and models(found.category) is None:
                without_model.add(found.category)
    if without_model:
        names = ", ".join(sorted(without_model))
        print(f"no 3D model of {names}: axes are drawn instead; see --models", file=sys.stderr)
    if failed:
        raise InputError(f"{failed} of {len(files)} photos have no prediction")


def _outputs(files: list[str]) -> list[pathlib.Path | None]:
    """Where each photo's picture goes; photos of one name in different folders are numbered."""
    if not OUTPUT.value:
        return [None] * len(files)
    output = pathlib.Path(OUTPUT.value)
    if len(files) == 1 and not output.is_dir():
        return [output]
    seen = collections.Counter()
    paths = []
    for file in files:
        stem = pathlib.Path(file).stem
        seen[stem] += 1
        paths.append(output / (f"{stem}.png" if seen[stem] == 1 else f"{stem}-{seen[stem]}.png"))
    return paths


def _box(texts: list[str] | None) -> list[float] | None:
    if texts is None:
        return None
    try:
        box = [float(text) for text in texts]
    except ValueError:
        box = []
    if len(box) != 4:
        raise InputError(f"--box is x0,y0,x1,y1 in pixels, not '{','.join(texts)}'")
    return box


def _drawing() -> tuple[str, exemplars.Source]:
    """What to draw, and where a category's model is from."""
    if (DRAW.value or MODELS.value) and not OUTPUT.value:
        raise InputError("--draw and --models are about the picture that --output names")
    if MODELS.value:
        models = exemplars.from_folder(MODELS.value, up=UP.value, front=FRONT.value)
        return DRAW.value or "model", models
    if UP.value or FRONT.value:
        raise InputError("--up and --front are about the files in --models")
    return DRAW.value or "axes", exemplars.built_in


def _save(picture: object, output: pathlib.Path) -> None:
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        picture.save(output)
    except (OSError, ValueError) as error:
        raise InputError(f"cannot write {output}: {error}") from error


if __name__ == "__main__":
    command.run(main)
