"""How much a family varies, that no two splits share an object, and that sides can be told apart.

The sound mesh, lamps and doors are in test_render_shapes.py.
"""

import collections
import itertools

import numpy as np
import pytest

from catpose.data import shapes_dataset
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer, numpy_scene

LEAST = 6  # independent parameters of shape
AMBIENT = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.array([0.0]), 1.0)


def rank(rows, threshold):
    """Number of singular values above a share of the largest."""
    values = np.linalg.svd(rows, compute_uv=False)
    return (values > threshold * values[0]).sum()


@pytest.mark.parametrize("category", catalogue.CATEGORIES)
def test_objects_with_the_same_faces_span_six_directions(category):
    groups = collections.defaultdict(list)
    for seed in range(90):
        mesh = catalogue.make(np.random.default_rng(seed), category)
        groups[mesh.faces.tobytes()].append(mesh.vertices.ravel().astype(np.float64))
    largest = np.stack(max(groups.values(), key=len))
    assert rank(largest - largest.mean(axis=0), 1e-3) >= LEAST


class Nudged(np.random.Generator):
    """A generator whose uniform numbers are moved a little, in shares of their ranges."""

    def starting(self, seed, direction, step):
        self.bit_generator.state = np.random.PCG64(seed).state
        self.direction, self.step = np.random.default_rng(direction), step
        return self

    def uniform(self, low=0.0, high=1.0, size=None):
        move = self.step * (high - low) * self.direction.normal(size=size)
        return super().uniform(low, high, size) + move


def num_parameters(category, seed, num_directions=9):
    """Rank of the derivative of an object's vertices by all that was drawn for it.

    A product of two parameters, which adds to the span of many objects, adds nothing here. The
    derivative is taken in a few random directions: enough for a rank of up to their number.
    """
    step, rows = 1e-3, []
    for direction in range(num_directions):
        one, other = (
            catalogue.make(
                Nudged(np.random.PCG64()).starting(seed, direction, sign * step), category
            )
            for sign in (1, -1)
        )
        # Rarely a face is cut in two on one side only.
        if one.faces.shape == other.faces.shape:
            rows.append((one.vertices - other.vertices).ravel().astype(np.float64))
    return rank(np.stack(rows), 1e-2)


@pytest.mark.parametrize("category", catalogue.CATEGORIES)
def test_an_object_has_six_parameters_of_shape(category):
    # Sub-types have different numbers of them: the richest counts.
    assert any(num_parameters(category, seed) >= LEAST for seed in range(6))


def test_nothing_is_counted_twice():
    # The count itself: three lengths, then normalised and stretched by three numbers, are two.
    def block(generator, category):
        size = generator.uniform(1, 2, 3) * generator.uniform(0.9, 1.1, 3)
        corners = np.array(list(itertools.product((-1, 1), repeat=3))) * size
        corners /= np.linalg.norm(np.ptp(corners, axis=0))
        return numpy_rasterizer.Mesh(corners, np.zeros((1, 4), int), np.zeros((1, 3)))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "make", block)
        assert num_parameters("block", 0) == 2


def made_by(monkeypatch, split, seed, num=4):
    """The vertices of every object of a data set."""
    seen, make = [], catalogue.make

    def remember(generator, category):
        mesh = make(generator, category)
        seen.append((category, mesh.vertices.tobytes()))
        return mesh

    with monkeypatch.context() as patch:
        patch.setattr(catalogue, "make", remember)
        shapes_dataset.generate(
            num_images=len(catalogue.CATEGORIES) * num,
            split=split,
            seed=seed,
            resolution=4,
            views_per_object=1,
        )
    assert len(set(seen)) == len(seen) == len(catalogue.CATEGORIES) * num
    return set(seen)


def test_no_two_splits_and_no_two_seeds_share_an_object(monkeypatch):
    made = {
        (split, seed): made_by(monkeypatch, split, seed)
        for split in shapes_dataset.SPLITS
        for seed in (0, 1)
    }
    for one, other in itertools.combinations(made, 2):
        assert not made[one] & made[other], (one, other)
    # Not because equal objects would look different: the same objects come again.
    assert made_by(monkeypatch, "test", 1) == made["test", 1]


def seen_from(mesh, azimuth_deg, size=64):
    rotation = numpy_scene.rotation_from_angles(
        float(np.deg2rad(azimuth_deg)), float(np.deg2rad(12)), 0.0
    )
    view = numpy_scene.framed_view(mesh, rotation, size)
    return numpy_rasterizer.render(mesh, view, AMBIENT, np.full((size, size, 3), 0.5, np.float32))[
        :2
    ]


def difference(one, other):
    """Mean absolute difference of two pictures over the pixels that either covers."""
    either = (one[1] > 0) | (other[1] > 0)
    return np.abs(one[0] - other[0]).mean(axis=-1)[either].mean()


@pytest.mark.parametrize("category", catalogue.CATEGORIES)
def test_sides_differ_in_color_and_outline_by_more_than_noise(category):
    # Light from everywhere alike cannot make a difference. The noise of `numpy_scene.develop` is
    # uniform within 0.04 * 128 / 255 at most: two numbers of it differ by 2/3 of that in the mean,
    # and eight bits add half a step to each.
    reach = 0.04 * 128 / 255 * 2 / 3 + 1 / 255
    for seed in range(12):
        mesh = catalogue.make(np.random.default_rng(seed), category)
        front, left, rear, right = (seen_from(mesh, azimuth) for azimuth in (0, 90, 180, 270))
        mirrored = tuple(values[:, ::-1] for values in rear)
        # Left in the mirror is what right looks like where an object is symmetric, as in life.
        for one, other in ((front, rear), (front, mirrored), (left, right)):
            assert difference(one, other) > reach, seed
