"""Trains and evaluates what the paper's tables compare, and writes them beside the paper's.

catpose tables --table=all --data=shapes --preset=small --workdir=runs/tables
catpose tables --table=9 --data=cars3d --preset=small --seeds=3 --workdir=runs/cars

What tables and rows have in common is trained once: a run is named by the hash of what determines
it. Finished runs are used again, and an interrupted command resumes where it was. The workdir holds
the page (results.md of all tables, tables_9.md of one), its pictures in figures/, the runs, and
what the page is rendered from: with results.json alone it is rendered again, without training.

catpose tables --results=docs/tables/results.json

Seeds train one after another: three in one program (vmap over the steps on cached features) take
1.3 to 1.4 times as long as three in sequence, on two CPU cores, since one batch fills the cores.
"""

import pathlib

from catpose import outputs
from catpose.errors import InputError
from catpose.launch import command
from catpose.studies.paper import budgets, recipes

OPTIONS = command.Options()
TABLE = OPTIONS.list("table", ["all"], "3 to 13, several with commas, all, representations")
DATA = OPTIONS.enum("data", "shapes", list(budgets.DATA), "what to train on")
PRESET = OPTIONS.enum("preset", "small", list(budgets.PRESETS), "how long")
SEEDS = OPTIONS.integer("seeds", None, "how many, from 0 on; 3, 1 of smoke", lower_bound=1)
WORKDIR = OPTIONS.string("workdir", None, "where runs and pages go; runs/tables-DATA-PRESET")
RESULTS = OPTIONS.string("results", None, "a file beside a page: renders it again, trains nothing")
SPLIT = OPTIONS.string("split", "", "evaluated images; test, and validation of cars3d")


def main() -> None:
    """Trains what is missing, seed by seed, and writes the pages."""
    if RESULTS.value:
        _render(pathlib.Path(RESULTS.value))
        return
    names, data, preset = TABLE.value, DATA.value, PRESET.value
    if preset == "smoke":
        # A program runs for two steps: fast compilation matters more than fast steps.
        command.set_xla_flag("xla_backend_optimization_level", "0")
    chosen = recipes.chosen(names)
    absent = {r.name: why for r in chosen if (why := recipes.why_not(r, data, preset))}
    chosen = [recipe for recipe in chosen if recipe.name not in absent]
    if not chosen:
        raise InputError(f"--data={data}: {'; '.join(sorted(set(absent.values())))}")
    from catpose import devices
    from catpose.configs import tables
    from catpose.studies.paper import sweep

    devices.keep_compilations()
    folder = pathlib.Path(WORKDIR.value or f"runs/tables-{data}-{preset}")
    outputs.check_folder(folder, ("runs",), "of catpose tables")
    seeds = SEEDS.value or (1 if preset == "smoke" else 3)
    own = sweep.plan(
        chosen,
        data,
        lambda row, pretrained: tables.get_config(f"{data},{preset},{row}", pretrained),
        folder / "runs",
        seeds=seeds,
        split=SPLIT.value or ("validation" if data == "cars3d" else "test"),
    )
    sweep.train(own)
    options = f"--table={','.join(names)} --data={data} --preset={preset} --seeds={seeds}"
    made_by = f"python -m launch.tables {options}"
    _render(sweep.write(own, names, folder, absent=absent, command=made_by))


def _render(path: pathlib.Path) -> None:
    from catpose.studies.paper import page, stored

    found = stored.read(path)
    print(page.terminal(found))
    print(f"results: {page.write(found, path)}")


if __name__ == "__main__":
    command.run(main, OPTIONS)
