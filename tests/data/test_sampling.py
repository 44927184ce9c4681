"""Balanced batches against counts over the whole stream."""

import collections

import numpy as np
import pytest

from catpose.data import sampling
from catpose.errors import InputError


def labels(*counts):
    """Shuffled labels with so many examples of each category."""
    category = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    return np.random.default_rng(0).permutation(category)


def stream(category, num_categories, batch_size, steps, seed=0):
    groups = sampling.pools(category, num_categories)
    return [
        sampling.balanced(groups, batch_size=batch_size, step=step, seed=seed)
        for step in range(steps)
    ]


CASES = {
    "divides": ((7, 3, 11, 5), 8),
    "does not divide": ((7, 3, 11, 5, 2), 8),
    "more categories than examples": (tuple(range(1, 101)), 8),
    "one category": ((13,), 4),
    "one example each": ((1, 1, 1), 3),
    "batch larger than the set": ((2, 1, 3), 32),
    "batch of one": ((4, 2, 3), 1),
}


@pytest.mark.parametrize(("counts", "batch_size"), CASES.values(), ids=CASES.keys())
def test_balance_and_cycles(counts, batch_size):
    category = labels(*counts)
    num_categories = len(counts)
    steps = 40
    batches = stream(category, num_categories, batch_size, steps)

    for batch in batches:
        assert batch.shape == (batch_size,)
        assert np.ptp(np.bincount(category[batch], minlength=num_categories)) <= 1

    # Over the whole stream too: nobody is always the one that is left out.
    drawn = np.concatenate(batches)
    assert np.ptp(np.bincount(category[drawn], minlength=num_categories)) <= 1

    # A category's examples, in the order drawn: each cycle has each of them exactly once.
    for k, count in enumerate(counts):
        examples = drawn[category[drawn] == k]
        for begin in range(0, len(examples), count):
            cycle = examples[begin : begin + count]
            assert len(set(cycle.tolist())) == len(cycle)
        if len(examples) >= count:
            assert set(examples.tolist()) == set(np.flatnonzero(category == k).tolist())


def test_a_batch_depends_on_seed_and_step_alone():
    category = labels(7, 3, 11)
    batches = stream(category, 3, 8, 30)
    sampling._order.cache_clear()  # as in another process
    groups = sampling.pools(category, 3)
    for step in (29, 3, 17, 0):
        again = sampling.balanced(groups, batch_size=8, step=step, seed=0)
        np.testing.assert_array_equal(again, batches[step])
    far = sampling.balanced(groups, batch_size=8, step=10**9, seed=0)
    assert np.ptp(np.bincount(category[far], minlength=3)) <= 1


def test_seeds_cycles_and_categories_have_orders_of_their_own():
    category = labels(50, 50)
    orders = []
    for seed in (0, 1):
        drawn = np.concatenate(stream(category, 2, 10, 20, seed))
        for k in (0, 1):
            own = np.flatnonzero(category == k)
            ranks = np.searchsorted(own, drawn[category[drawn] == k])
            orders += [tuple(ranks[:50]), tuple(ranks[50:])]
    assert len(set(orders)) == 8
    assert tuple(range(50)) not in orders


def test_every_example_is_as_likely_at_every_place():
    # The first example of a category over many seeds: uniform. The 99.99 % point of chi-squared
    # with 4 degrees of freedom is 23.5.
    groups = sampling.pools(np.zeros(5, np.int32), 1)
    first = collections.Counter(
        int(sampling.balanced(groups, batch_size=1, step=0, seed=seed)[0]) for seed in range(500)
    )
    assert sum((first[i] - 100) ** 2 / 100 for i in range(5)) < 23.5


def test_an_empty_category_is_named():
    with pytest.raises(InputError, match="^no training images of category bus, car; ") as caught:
        sampling.pools(np.array([1, 1], np.int32), 3, names=("bus", "van", "car"))
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="of category 2; "):
        sampling.pools(np.array([1, 0], np.int32), 3)
    with pytest.raises(InputError, match="of category 0, 1; "):
        sampling.pools(np.array([], np.int32), 2)
