"""Solid textures against their definitions in plain Python."""

import functools

import jax
import numpy as np
import pytest

from catpose.synthetic import textures

NUM = 400


def one_of_each(**kwargs):
    """A texture of each kind, at scale 1 in the object's own axes."""
    num = len(textures.KINDS)
    fields = {
        "kind": np.arange(num, dtype=np.int32),
        "scale": np.ones(num, np.float32),
        "strength": np.ones(num, np.float32),
        "rotation": np.tile(np.eye(3, dtype=np.float32), (num, 1, 1)),
        "phase": np.zeros((num, 3), np.float32),
        "seed": np.full(num, 12345, np.uint32),
    }
    return textures.Texture(**(fields | kwargs))


def patterns(points, **kwargs):
    points = np.broadcast_to(np.asarray(points, np.float32), (len(textures.KINDS), len(points), 3))
    return np.asarray(factor(one_of_each(**kwargs), points)) - 1


factor = jax.jit(textures.factor)


@functools.cache
def points():
    return np.random.default_rng(0).uniform(-3, 3, (NUM, 3))


def at_lattice(place, seed):
    """The noise's value at a whole point, in Python's own integers."""
    value = seed
    for index, prime in zip(place, (73856093, 19349663, 83492791), strict=True):
        value ^= (int(index) * prime) % 2**32
    for shift, factor_ in ((16, 0x7FEB352D), (15, 0x846CA68B)):
        value = ((value ^ (value >> shift)) * factor_) % 2**32
    value ^= value >> 16
    return (value >> 8) / 2**23 - 1


def noise(point, seed):
    low = np.floor(point)
    share = (point - low) ** 2 * (3 - 2 * (point - low))
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        weight = np.prod(np.where(corner, share, 1 - share))
        total += weight * at_lattice(low + corner, seed)
    return total


def test_each_kind_is_its_definition():
    found, place = patterns(points()), points()
    halves = np.floor(2 * place).astype(int)
    np.testing.assert_array_equal(found[0], 1 - 2 * (halves[:, 0] % 2))
    np.testing.assert_array_equal(found[1], 1 - 2 * (halves.sum(1) % 2))
    expected = np.array([noise(p, 12345) for p in place])
    np.testing.assert_allclose(found[2], expected, atol=1e-5)
    turns = np.hypot(place[:, 0], place[:, 1]) + 0.4 * expected
    rings = np.abs((turns % 1) - 0.5) * 4 - 1
    np.testing.assert_allclose(found[3], rings, atol=3e-5)


def test_noise_is_spread_and_changes_with_the_seed():
    whole = np.round(30 * points())
    found = patterns(whole)[2]
    assert np.abs(found.mean()) < 4 * np.sqrt(1 / 3 / NUM)  # of a uniform number in [-1, 1]
    assert found.std() == pytest.approx(np.sqrt(1 / 3), rel=0.1)
    other = patterns(whole, seed=np.full(4, 12346, np.uint32))[2]
    assert np.abs(np.corrcoef(found, other)[0, 1]) < 4 / np.sqrt(NUM)


def test_scale_rotation_and_phase_move_the_pattern():
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0].astype(np.float32)
    phase = np.array([0.3, 0.6, -0.2], np.float32)
    moved = (points() - phase) @ turn * 0.7
    found = patterns(
        moved,
        rotation=np.tile(turn, (4, 1, 1)),
        phase=np.tile(phase, (4, 1)),
        scale=np.full(4, 0.7, np.float32),
    )
    off = np.abs(found - patterns(points())) > 1e-3
    assert off.sum() <= 2  # at an edge rounding decides


def test_samples_are_of_all_kinds_and_repeat():
    draw = jax.jit(functools.partial(textures.sample, batch=64, strength=0.4))
    drawn, again, other = (draw(jax.random.key(seed)) for seed in (0, 0, 1))
    jax.tree.map(np.testing.assert_array_equal, drawn, again)
    assert not np.array_equal(drawn.seed, other.seed)
    assert set(np.asarray(drawn.kind).tolist()) == set(range(len(textures.KINDS)))
    assert 0 <= drawn.strength.min() < 0.1
    assert 0.3 < drawn.strength.max() <= 0.4
    assert 0.1 <= drawn.scale.min() < drawn.scale.max() <= 1.0
    square = np.einsum("bij,bkj->bik", drawn.rotation, drawn.rotation)
    np.testing.assert_allclose(square, np.tile(np.eye(3), (64, 1, 1)), atol=1e-5)
