"""Pictures of solids: uniform rotations, and one picture for all equivalent ones."""

import numpy as np
import pytest

from catpose.data import symsol_dataset
from catpose.errors import InputError


def generate(num_images, **options):
    options = {"split": "test", "seed": 0, "resolution": 16, "show_progress": False, **options}
    return symsol_dataset.generate(num_images=num_images, **options)


@pytest.fixture(scope="module")
def made():
    return generate(480)


def test_pictures_are_balanced_and_depend_on_their_number_alone(made):
    assert made["image"].shape == (480, 16, 16, 3)
    assert np.bincount(made["category"]).tolist() == [80] * 6
    start = generate(50)
    np.testing.assert_array_equal(start["image"], made["image"][:50])
    np.testing.assert_array_equal(start["rotation"], made["rotation"][:50])
    rest = generate(50, first_image=30)
    for name, array in rest.items():
        np.testing.assert_array_equal(array, start[name][30:])
    other = generate(48, seed=1)
    assert (other["image"] != made["image"][:48]).mean() > 0.5


def test_rotations_are_uniform(made):
    rotation = made["rotation"].astype(np.float64)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-5)
    # Entries of uniform rotations have mean 0 and variance 1/3.
    assert np.abs(rotation.mean(axis=0)).max() < 4.5 * np.sqrt(1 / 3 / 480)
    np.testing.assert_allclose((rotation**2).mean(axis=0), 1 / 3, atol=4.5 * 0.3 / np.sqrt(480))


def test_an_unknown_split_is_refused(tmp_path):
    with pytest.raises(InputError, match="train, validation, test"):
        symsol_dataset.load(num_images={"tests": 1}, seed=0, resolution=16, cache_dir=str(tmp_path))
