"""The same training on parts of the training images: what more images would bring.

A part has the run's own data, of which its batches take some examples only. So features that are
cached already are not computed again, and no program is compiled again.
"""

import dataclasses

from catpose.data import examples, sampling
from catpose.training import run_setup

_TRAIN = "train"


def counts(run: run_setup.Run) -> dict[float, int]:
    """How many images each share of `config.eval.shares` has, from the smallest on.

    It has at least one of each category; a share that has then as many as a smaller one, or all,
    is left out. So are all where no other images are evaluated, or none of these is trained on.
    """
    whole = len(run.pools[_TRAIN].index) if _TRAIN in run.pools else 0
    held = {name for name in run.config.eval.splits if name in run.dataset.splits} - {_TRAIN}
    found: dict[int, float] = {}
    for share in sorted(run.config.eval.shares) if held else ():
        count = max(len(run.dataset.categories), round(share * whole))
        if count < whole:
            found.setdefault(count, share)
    return {share: count for count, share in found.items()}


def part(run: run_setup.Run, share: float, count: int) -> run_setup.Run:
    """The run of a share, with so many training images, in a folder below the run's own."""
    config = dataclasses.replace(
        run.config,
        data=dataclasses.replace(run.config.data, num_train=count),
        eval=dataclasses.replace(run.config.eval, shares=()),
    )
    category = run.dataset.splits[_TRAIN].category
    index = examples.evenly(category, count, seed=config.seed)
    own = sampling.pools(category[index], len(run.dataset.categories))
    return run._replace(
        config=config,
        workdir=run.workdir / f"share_{share:g}",
        pools={**run.pools, _TRAIN: own._replace(index=index[own.index])},
        caches=run_setup.Caches(data=dict(run.caches.data), programs=run.caches.programs),
    )
