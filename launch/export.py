"""Makes a small folder of a trained run: weights, config, categories, calibration.

catpose export --workdir=runs/NAME --output_dir=DIR

The folder can stand wherever a run's workdir is read: catpose predict, catpose evaluate,
catpose.load. Kernels are rounded to float16. Of a run that began from a package of weights it has
what training added to them. With --mean_with=RUN they are the mean of both runs' weights, for runs
that began alike and learned from other images; calibrate it (catpose evaluate --calibrate).
"""

import pathlib

from catpose import outputs
from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
WORKDIR = OPTIONS.string("workdir", None, "a training run's folder", required=True)
OUTPUT_DIR = OPTIONS.string("output_dir", None, "where the result goes", required=True)
MEAN_WITH = OPTIONS.string("mean_with", None, "another run, for the mean of both runs' weights")
BEST = OPTIONS.bool("best", False, "weights of the lowest validation error, not the last")


def main() -> None:
    """Copies what describes the run, and writes its weights."""
    from catpose.experiment import build, exported, workdir

    folder, output = pathlib.Path(WORKDIR.value), pathlib.Path(OUTPUT_DIR.value)
    workdir.read_config(folder)
    workdir.read_categories(folder)
    outputs.check_folder(output, (exported.WEIGHTS,), "an exported network's")
    if output.exists() and output.samefile(folder):
        raise InputError("--output_dir is the run's own folder; give another one")
    other = MEAN_WITH.value and pathlib.Path(MEAN_WITH.value)
    weights = build.export(folder, output, best=BEST.value, mean_with=other)
    print(f"{weights}: {weights.stat().st_size / 1e6:.2f} MB")


if __name__ == "__main__":
    command.run(main, OPTIONS)
