"""How many stages of the backbone should learn from renders, judged on photographs: a table.

    CATPOSE_DATA=DIR python -m tests.peers.tuning_depth RENDERS FOLDER [STEPS]

configs/photo.py without its last phase, on the renders that it names, with the second phase cut to
STEPS: trained into FOLDER, where it resumes. The table is that of `tests.peers.engine_means`, but
of the network's own answers, whose category may be wrong.
"""

import pathlib
import sys

import numpy as np

import catpose
from catpose.configs import photo
from catpose.visualize import text_tables
from tests.peers import engine_means, photographs

DEPTHS = {
    "pose networks alone": (),
    "stage 7": ("feature_network/stage7",),
    "stages 6 and 7": ("feature_network/stage[67]",),
    "stages 5 to 7": (photo.LATE,),
}


def train(renders: str, folder: pathlib.Path, steps: int, stages: tuple[str, ...]) -> pathlib.Path:
    """The workdir of a run whose second phase is short and tunes these stages."""
    values = photo.get_config()
    values.data.rendered = renders
    values.data.num_images.update(validation=48, test=0)
    values.eval.update(every_steps=0, splits=("validation",))
    values.phases = values.phases[:2]
    values.phases[1].update(steps=steps, train=("pose_networks", *stages))
    return catpose.train(values, folder)


def within(run: pathlib.Path, photos: list[photographs.Photo]) -> np.ndarray:
    """Of each photograph whether it is turned right."""
    predict = catpose.load(run)
    found = predict.from_crops([predict.crop(one.path, one.box) for one in photos])
    right = []
    for one, said in zip(photos, found, strict=True):
        error, error_azimuth = photographs.errors(one, said)
        right.append(error < 30 if one.rotation is not None else error_azimuth < 45)
    return np.array(right, float)


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    renders, folder, *steps = sys.argv[1:]
    photos = [one for one in photographs.read() if one.group in engine_means.SETS]
    rows = []
    for name, stages in DEPTHS.items():
        own = pathlib.Path(folder) / name.replace(" ", "-")
        right = within(train(renders, own, int(*steps or ["700"]), stages), photos)
        rows.append(engine_means.row(name, photos, right, ""))
        print(rows[-1], flush=True)
    print(text_tables.markdown(["tuned", *engine_means.SETS, "mean"], rows, 1))


if __name__ == "__main__":
    main()
