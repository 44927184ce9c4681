"""Measures how well a run on solids with symmetries finds all rotations that give one picture.

catpose symsol --workdir=runs/symsol

Prints, for each solid, the mean log-likelihood over the equivalent truths in nats above the uniform
distribution, the spread in degrees and the share of the truths that a mode of the density finds,
beside the published figure.
"""

import pathlib

from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
WORKDIR = OPTIONS.string("workdir", None, "a run of configs/symsol.py", required=True)
SPLIT = OPTIONS.string("split", "test", "which pictures")


def main() -> None:
    """Scores each solid and prints the table."""
    from catpose import progress
    from catpose.data import examples
    from catpose.data.symsol_dataset import GROUPS
    from catpose.evaluation import equivalent_truths
    from catpose.experiment import build, datasets, workdir
    from catpose.visualize import text_tables

    folder = pathlib.Path(WORKDIR.value)
    config = workdir.read_config(folder)
    model, variables = build.read_model(folder)
    if config.data.kind != "symsol" or model.pose.density is None:
        raise InputError(f"{folder} is no run on symsol with a density; see configs/symsol.py")
    data = datasets.load_dataset(config, only=SPLIT.value)
    if SPLIT.value not in data.splits:
        raise InputError(f"--split={SPLIT.value}: the run has {', '.join(data.splits)}")
    split, scores = data.splits[SPLIT.value], {}
    with progress.bar(total=len(split.id), desc="score", unit="img", show=True) as bar:
        for number, name in enumerate(data.categories):
            own = examples.take(split, split.category == number)
            scores[name] = equivalent_truths.score(
                model, variables, own, GROUPS[name], progress_fn=bar.update
            )
    five = [scores[name] for name in data.categories if name != "bottle"]
    scores["mean of the five"] = equivalent_truths.mean(five)
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
    titles = ["solid", "nats above uniform", "published measure", "spread, degrees", "modes found"]
    print(text_tables.markdown(titles, rows, 1))
    print(
        "\nDifferent from the published setting: our own pictures (smaller, in color), the weights "
        "of a small network, an hour of training on two cores, and the marginal over the "
        "categories, which are labels here."
    )


if __name__ == "__main__":
    command.run(main, OPTIONS)
