"""What crosses the devices in a step, counted in the compiled program."""

import math
import re

import jax
import pytest

from catpose.training import phase_run
from tests.support import tiny

CROSSING = r"\b(all-reduce|all-gather|reduce-scatter|all-to-all|collective-permute)(?:-start)?\("
SUMS = 5  # pose_loss, category_loss, correct, and the two weights


def collectives(folder, mode, train):
    """(what crosses: (kind, numbers) each, variables, trained sub-tree's size) of a step."""
    settings = tiny.config([tiny.phase(train=train, batch_norm=train)])
    settings.parallel = mode
    run = tiny.run(settings, folder)
    (phase,) = run.phases
    state = phase_run.enter(run, phase, phase_run.initial_state(run))
    steps = phase_run.begin(run, phase, state)
    lowered = steps.step_fn.lower(state, next(steps.records), steps.cache)
    text = lowered.compile().as_text()
    found = []
    for line in text.splitlines():
        kind = re.search(CROSSING, line)
        if kind:
            shapes = re.findall(r"\w+\[([\d,]*)\]", line[: kind.start()].split(" = ")[1])
            sizes = [math.prod(int(n) for n in shape.split(",") if n) for shape in shapes]
            found.append((kind[1], sum(sizes)))
    trained = [leaf for group in train for leaf in jax.tree.leaves(state.params[group])]
    moved = [
        leaf["mean"]
        for group in train
        for leaf in jax.tree.leaves(
            state.batch_stats.get(group, {}), is_leaf=lambda node: "mean" in node
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
