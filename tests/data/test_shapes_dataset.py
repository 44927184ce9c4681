"""The built-in dataset: drawn once, and again only where something that matters has changed."""

import numpy as np
import pytest

from catpose.data import rendered_splits, shapes_dataset
from catpose.errors import InputError
from catpose.synthetic.objects.catalogue import CATEGORIES

SMALL = {"seed": 0, "resolution": 10, "show_progress": False}


@pytest.fixture
def drawn(monkeypatch):
    """What was rendered."""
    asked = []
    generate = shapes_dataset.generate

    def recorded(**options):
        asked.append(options)
        return generate(**options)

    monkeypatch.setattr(shapes_dataset, "generate", recorded)
    return asked


def test_splits_are_those_of_the_engine(tmp_path, drawn):
    numbers = {"pretrain": 0, "train": 26, "validation": 13, "test": 12}
    data = shapes_dataset.load(num_images=numbers, cache_dir=str(tmp_path), **SMALL)
    assert data.categories == CATEGORIES
    assert data.splits.keys() == {"train", "validation", "test"}
    for name, split in data.splits.items():
        expected = shapes_dataset.generate(num_images=numbers[name], split=name, **SMALL)
        for field in ("image", "category", "rotation"):
            np.testing.assert_array_equal(getattr(split, field), expected[field])
        assert split.margin == 0
        assert split.id.tolist() == [f"{name} {i}" for i in range(numbers[name])]
    assert len({split.digest for split in data.splits.values()}) == 3


def test_a_data_set_is_drawn_once(tmp_path, drawn, monkeypatch):
    numbers = {"train": 12, "test": 12}
    options = {"num_images": numbers, "cache_dir": str(tmp_path), **SMALL}
    first = shapes_dataset.load(**options)
    assert len(drawn) == 2
    again = shapes_dataset.load(**options)
    assert len(drawn) == 2
    for name in numbers:
        assert first.splits[name].digest == again.splits[name].digest
        np.testing.assert_array_equal(first.splits[name].image, again.splits[name].image)

    # One split's number is no other split's business.
    shapes_dataset.load(**{**options, "num_images": {"train": 12, "test": 24}})
    assert len(drawn) == 3
    keys = {first.splits["train"].digest}
    for number, change in enumerate(({"seed": 1}, {"resolution": 11}), start=1):
        other = shapes_dataset.load(**{**options, "num_images": {"train": 12}, **change})
        assert len(drawn) == 3 + number
        keys.add(other.splits["train"].digest)
    # Objects of another version of the code are other objects.
    monkeypatch.setattr(rendered_splits, "source_digest", lambda module: "another")
    keys.add(shapes_dataset.load(**{**options, "num_images": {"train": 12}}).splits["train"].digest)
    assert len(drawn) == 6
    assert len(keys) == 4


def test_the_code_that_renders_is_part_of_the_digest(tmp_path, monkeypatch):
    before = rendered_splits.source_digest(shapes_dataset.__file__)
    assert before == rendered_splits.source_digest(shapes_dataset.__file__)
    names = ("synthetic/car.py", "synthetic/deep/wheel.py", "data/shapes_dataset.py")
    for name in names:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("a = 1")
    synthetic = str(tmp_path / "synthetic" / "backgrounds.py")
    monkeypatch.setattr(shapes_dataset.backgrounds, "__file__", synthetic)
    monkeypatch.setattr(shapes_dataset, "__file__", str(tmp_path / names[-1]))
    digests = {before, rendered_splits.source_digest(shapes_dataset.__file__)}
    for name in names:
        (tmp_path / name).write_text("a = 2")
        digests.add(rendered_splits.source_digest(shapes_dataset.__file__))
    assert len(digests) == 5


def test_an_unknown_split_is_told_in_one_line(tmp_path):
    message = "^config.data.num_images names 'val'; .*train, validation, test, pretrain, rendered$"
    with pytest.raises(InputError, match=message):
        shapes_dataset.load(num_images={"val": 12}, cache_dir=str(tmp_path), **SMALL)
