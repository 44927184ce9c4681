"""The table of readers: what a dataset of one's own needs to be trained on and scored."""

import io

import numpy as np
import pytest
from PIL import Image

from catpose.data import examples
from catpose.errors import InputError
from catpose.experiment import config, datasets


def read_squares(data, show_progress):
    """A dataset of one's own: a color an object, three objects a split."""
    color = np.arange(6) * 40

    def read_fn(i):
        file = io.BytesIO()
        Image.new("RGB", (9, 7), (int(color[i]), 0, 0)).save(file, "PNG")
        return file.getvalue()

    return examples.Examples(
        id=np.array([f"{data.root}{i}" for i in range(6)]),
        category=np.arange(6, dtype=np.int32) % 2,
        rotation=np.broadcast_to(np.eye(3, dtype=np.float32), (6, 3, 3)),
        categories=("ant", "bee"),
        split=np.array(["train", "test"]).repeat(3),
        digest="squares",
        box=np.full((6, 4), np.nan),
        read_fn=read_fn,
    )


@pytest.fixture(autouse=True)
def squares(monkeypatch):
    monkeypatch.setitem(datasets.READERS, "squares", read_squares)


def test_a_reader_is_enough_to_load_and_to_score(tmp_path):
    data = config.Data(kind="squares", root="s", resolution=4, cache_dir=str(tmp_path))
    loaded = datasets.load_dataset(config.Config(data=data), show_progress=False)
    assert loaded.categories == ("ant", "bee")
    assert loaded.splits["test"].id.tolist() == ["s3", "s4", "s5"]
    assert loaded.splits["test"].image[:, 0, 0, 0].tolist() == [120, 160, 200]
    truth = datasets.read_labels("squares:s", "test")
    assert truth.id.tolist() == ["s3", "s4", "s5"]
    assert truth.origin == "squares:s, test"


def test_the_categories_of_the_config_choose_and_order(tmp_path):
    data = config.Data(kind="squares", categories=("bee",), resolution=4, cache_dir=str(tmp_path))
    loaded = datasets.load_dataset(config.Config(data=data), show_progress=False)
    assert loaded.splits["train"].id.tolist() == ["1"]
    assert loaded.splits["train"].category.tolist() == [0]
    with pytest.raises(InputError, match="unknown category 'cat' .*; known: ant, bee$"):
        datasets.read(config.Data(kind="squares", categories=("cat",)))


@pytest.mark.parametrize("kind", ["shapes", "symsol"])
def test_what_is_rendered_here(kind, tmp_path):
    data = config.Data(
        kind=kind, num_images={"test": 6}, resolution=8, cache_dir=str(tmp_path / "cache")
    )
    found = datasets.read(data, show_progress=False)
    assert found.splits["test"].image.shape == (6, 8, 8, 3)
    assert found.splits["test"].category.tolist() == [*range(6)]


def test_unknown_kinds_and_labels_without_files():
    with pytest.raises(
        InputError, match="kind is 'cubes'; it can be shapes, symsol, manifest, .*squares$"
    ):
        datasets.read(config.Data(kind="cubes"))
    with pytest.raises(InputError, match="^no labels at cubes:x"):
        datasets.read_labels("cubes:x", "test")


def test_labels_of_benchmarks_in_parts(tmp_path):
    part = tmp_path / "ref" / "nuisances" / "pose"
    part.mkdir(parents=True)
    (part / "labels.csv").write_text("imgs,labels,azimuth,elevation,theta\na.jpg,car,1,2,3\n")
    found = datasets.read_labels(f"ood_cv:{tmp_path}/ref", "test")
    assert found.id.tolist() == ["pose/a.jpg"]
    table = tmp_path / "labels.csv"
    table.write_text("id,image,category,azimuth_deg,elevation_deg,theta_deg\nb_1,b,car,1,2,3\n")
    (tmp_path / "carFGL1_BGL1.txt").write_text("b.JPEG\n")
    found = datasets.read_labels(str(table), "test", str(tmp_path))
    assert found.id.tolist() == ["FGL1_BGL1/b_1"]


def test_remarks_are_printed_before_a_run_begins(tmp_path, monkeypatch, capsys):
    def read(data, show_progress):
        return read_squares(data, show_progress)._replace(notes=("are they in radians?",))

    monkeypatch.setitem(datasets.READERS, "doubtful", read)
    data = config.Data(kind="doubtful", resolution=4, cache_dir=str(tmp_path))
    for shown in (True, False):
        loaded = datasets.load_dataset(config.Config(data=data), show_progress=shown)
        assert loaded.notes == ("are they in radians?",)
        assert ("are they in radians?" in capsys.readouterr().err.splitlines()) == shown
