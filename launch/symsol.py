"""Measures how well a run on solids with symmetries finds all rotations that give one picture.

catpose symsol --workdir=runs/symsol

Prints, for each solid, the mean log-likelihood over the equivalent truths in nats above the uniform
distribution, the spread in degrees and the share of the truths that a mode of the density finds,
beside the published figure; and draws a density of each solid with all truths into symsol.png in
the run's folder.
"""

import pathlib

from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
WORKDIR = OPTIONS.string("workdir", None, "a run of configs/symsol.py", required=True)
SPLIT = OPTIONS.string("split", "test", "which pictures")
SOLIDS = ("tetrahedron", "cube", "icosahedron", "cone", "cylinder")  # of SYMSOL I


def main() -> None:
    """Scores and draws each solid and prints the table."""
    import numpy as np

    from catpose import inference, progress
    from catpose.data import examples
    from catpose.data.predictions import Predictions
    from catpose.data.symsol_dataset import GROUPS
    from catpose.evaluation import certainty, equivalent_truths
    from catpose.experiment import build, datasets, workdir
    from catpose.visualize import density_sheet, text_tables

    folder = pathlib.Path(WORKDIR.value)
    config = workdir.read_config(folder)
    model, variables = build.read_model(folder)
    if config.data.kind != "symsol" or model.pose.density is None:
        raise InputError(f"{folder} is no run on symsol with a density; see configs/symsol.py")
    data = datasets.load_dataset(config, only=SPLIT.value)
    if SPLIT.value not in data.splits:
        raise InputError(f"--split={SPLIT.value}: the run has {', '.join(data.splits)}")
    split, scores = data.splits[SPLIT.value], {}
    predict_fn = inference.compile_predict(model, split.margin, ("top1",))
    score_fn = equivalent_truths.compile_score(model)

    def predictions(truth: examples.Examples) -> Predictions:
        size = config.eval.batch_size
        return inference.evaluate(model, variables, truth, batch_size=size, predict_fn=predict_fn)

    with progress.bar(total=len(split.id), desc="score", unit="img", show=True) as bar:
        for number, name in enumerate(data.categories):
            own = examples.take(split, split.category == number)
            scores[name] = score_fn(predictions(own), own, GROUPS[name])
            bar.update(len(own.id))
    first = examples.take(split, np.unique(split.category, return_index=True)[1])
    angles, masses = certainty.maps(model, predictions(first), np.arange(len(first.id)))
    targets = [
        equivalent_truths.truths(examples.take(first, [number]), GROUPS[name], "camera")[0]
        for number, name in enumerate(data.categories)
    ]
    density_sheet.density_sheet(
        list(first.image),
        angles,
        masses,
        [np.asarray(inference.in_camera(target, "camera")[1]) for target in targets],
        [f"{name}\n{each.log_likelihood:.1f} nats above uniform" for name, each in scores.items()],
        folder / "symsol.png",
        SPLIT.value,
    )
    scores["mean of the five"] = equivalent_truths.mean([scores[name] for name in SOLIDS])
    scores["Implicit-PDF, published"] = equivalent_truths.PUBLISHED
    rows = [
        [
            name,
            text_tables.number(each.log_likelihood, 2),
            text_tables.number(each.log_likelihood + equivalent_truths.UNIFORM, 2),
            text_tables.number(each.spread_deg, 1),
            text_tables.number(each.found, 2),
        ]
        for name, each in scores.items()
    ]
    titles = ["solid", "nats above uniform", "published measure", "spread, degrees", "truths found"]
    print(text_tables.markdown(titles, rows, 1))
    print(
        "\nDifferent from the published setting: our own pictures (smaller, in color), the weights "
        "of a small network, an hour of training on two cores, and the marginal over the "
        "categories, which are labels here. A truth is found where, within 10 degrees, the density "
        "has a mode of at least a hundredth of the highest."
    )
    print(f"Densities: {folder / 'symsol.png'}")


if __name__ == "__main__":
    command.run(main, OPTIONS)
