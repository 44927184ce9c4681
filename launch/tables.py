"""Trains and evaluates what the paper's tables compare, and writes them beside the paper's.

python -m launch.tables --table=all --data=shapes --preset=small --workdir=runs/tables
python -m launch.tables --table=9 --data=cars3d --preset=small --seeds=3 --workdir=runs/cars

What tables and rows have in common is trained once: a run is named by the hash of what determines
it. Finished runs are used again, and an interrupted command goes on where it was. The workdir holds
the page (results.md of all tables, tables_9.md of one), its pictures in figures/ and the runs.

Seeds train in turn: three in one program (vmap over the steps on stored features) take 1.3 to 1.4
times as long as three in turn, on two CPU cores, since their batches fill the cores as it is.
"""

import pathlib
from typing import Any

from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options()
TABLE = OPTIONS.list("table", ["all"], "3 to 13, several with commas, all, representations")
DATA = OPTIONS.enum("data", "shapes", ["shapes", "cars3d", "pascal3d"], "what to train on")
PRESET = OPTIONS.enum("preset", "small", ["smoke", "small", "full"], "how long")
SEEDS = OPTIONS.integer("seeds", None, "how many, from 0 on; 3, 1 of smoke", lower_bound=1)
WORKDIR = OPTIONS.string("workdir", None, "where runs and pages go; runs/tables-DATA-PRESET")
SPLIT = OPTIONS.string("split", "", "evaluated images; test, and validation of cars3d")


def main() -> None:
    """Trains what is missing, seed by seed, and writes the pages."""
    if PRESET.value == "smoke":
        # Two steps of a program: compiling it fast matters more than what it runs like.
        command.set_xla_flag("xla_backend_optimization_level", "0")
    from catpose import devices
    from catpose.configs import tables
    from catpose.studies.paper import page, sweep, table_rows

    chosen = table_rows.chosen(TABLE.value)
    which = f"{DATA.value},{PRESET.value}"
    rows = list(dict.fromkeys(row for table in chosen for row in table_rows.rows_of(table)))
    absent = {row: why for row in rows if (why := tables.why_not(DATA.value, PRESET.value, row))}
    rows = [row for row in rows if row not in absent]
    if not rows:
        raise InputError(f"--data={DATA.value}: {'; '.join(sorted(set(absent.values())))}")
    devices.keep_compilations()
    root = pathlib.Path(WORKDIR.value or f"runs/tables-{DATA.value}-{PRESET.value}")
    split = SPLIT.value or ("validation" if DATA.value == "cars3d" else "test")
    seeds = SEEDS.value or (1 if PRESET.value == "smoke" else 3)
    own = sweep.Campaign(
        root,
        split,
        seeds,
        lambda row: tables.get_config(f"{which},{row}", begins="row:"),
        {"data": {}, "programs": {}},
    )
    for seed in range(seeds):
        for row in rows:
            sweep.train(own, row, seed)
    found = sweep.collect(own, rows, absent)
    extra = {}
    if "representations" in chosen:
        extra[table_rows.REPRESENTATIONS.caption] = sweep.representations(own, found)
        print(extra[table_rows.REPRESENTATIONS.caption])
    extra["Parameters"] = sweep.parameters(own, rows)
    numbers = [table for table in chosen if isinstance(table, int)]
    written = page.write(
        found,
        numbers,
        root,
        # All tables make the page of results; some make one of their own.
        name="results" if "all" in TABLE.value else "tables_" + "_".join(TABLE.value),
        title=f"The paper's tables on {DATA.value}",
        preface=_preface(own, rows, numbers),
        extra=extra,
    )
    if numbers:
        print(page.terminal(found, numbers))
    print(f"results: {written}")


def _preface(own: Any, rows: list[str], numbers: list[int]) -> str:
    import jax

    from catpose.experiment import workdir
    from catpose.studies.paper import sweep, table_rows
    from catpose.visualize import text_tables

    seconds = sweep.total_seconds(own, rows)
    text = (
        f"Made by `python -m launch.tables --table={','.join(TABLE.value)} --data={DATA.value} "
        f"--preset={PRESET.value} --seeds={own.seeds}` at {workdir.commit()} on "
        f"{jax.devices()[0].device_kind}, in the frame '{own.config_fn(rows[0]).frame}'; trained "
        f"at {', '.join(sweep.commits(own, rows))}, in {text_tables.duration(seconds)} in all. "
        f"Ours are figures of the {own.split} images, means over {own.seeds} seeds "
        "± standard deviation."
    )
    if any(table_rows.CLAIMS.get(number) for number in numbers):
        text += (
            " Differences are of the first row that a claim names minus the second, with 95 % "
            "intervals and one-sided p-values over seeds and images "
            "(catpose/studies/paper/significance.py)."
        )
    return f"{text}\n\n{table_rows.ABOUT[DATA.value]}"


if __name__ == "__main__":
    command.run(main, OPTIONS)
