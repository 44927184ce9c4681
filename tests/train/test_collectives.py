"""What crosses the devices in a step, counted in the compiled program."""

import math
import re

import jax
import pytest

from catpose.train import input_pipeline, run_setup, state
from tests.support import tiny

CROSSING = r"\b(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
SUMS = 5  # pose_loss, category_loss, correct, and the two weights


def collectives(folder, mode, train):
    """(what crosses: (kind, numbers) each, variables, trained sub-tree's size) of a step."""
    settings = tiny.config([tiny.phase(train=train, batch_norm=train)])
    settings.parallel = mode
    run = tiny.run(settings, folder)
    (phase,) = run.phases
    at = run_setup.initial_state(run)
    tx = run_setup.make_tx(run, phase, at.params)
    at = state.enter_phase(at, phase, tx)
    cache = {name: input_pipeline.cache(run, name, phase, at) for name in phase.sources}
    step_fn = run_setup.compile_phase(run, phase, tx)
    text = step_fn.lower(at, next(input_pipeline.batches(run, phase, 0)), cache).compile().as_text()
    found = []
    for line in text.splitlines():
        kind = re.search(CROSSING, line)
        if kind:
            shapes = re.findall(r"\w+\[([\d,]*)\]", line[: kind.start()].split(" = ")[1])
            sizes = [math.prod(int(n) for n in shape.split(",") if n) for shape in shapes]
            found.append((kind[1], sum(sizes)))
    trained = [leaf for group in train for leaf in jax.tree.leaves(at.params[group])]
    moved = [
        leaf["mean"]
        for group in train
        for leaf in jax.tree.leaves(
            at.batch_stats.get(group, {}), is_leaf=lambda node: "mean" in node
        )
    ]
    return found, sum(leaf.size for leaf in trained), moved


@pytest.mark.parametrize("mode", ["pmap", "jit"])
@pytest.mark.parametrize(
    "train", [(tiny.FEATURES, tiny.CATEGORY, tiny.POSE), (tiny.CATEGORY, tiny.POSE)]
)
def test_no_more_crosses_than_gradients_and_statistics(mode, train, tmp_path):
    found, size, moved = collectives(tmp_path, mode, train)
    assert {kind for kind, _ in found} == {"all-reduce"}
    # One for the gradients with the sums, one for the weights; of a trained BatchNorm one forwards
    # and one backwards, which XLA may join with others. Nothing for what is frozen.
    assert len(found) <= 2 + 2 * len(moved)
    # Mean, second moment and weight; the pose networks' are not weighed by row here.
    statistics = sum(2 * leaf.size + 1 for leaf in moved)
    numbers = sum(count for _, count in found)
    bound = size + 2 * statistics + SUMS
    assert size < numbers <= bound
    if mode == "pmap" and tiny.FEATURES in train:
        # Backwards, a weight has no gradient. (A BatchNorm right after what is frozen has none at
        # all to hand back.)
        assert numbers >= bound - len(moved)
