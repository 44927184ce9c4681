"""The Colab notebooks: stripped, and executed from the first cell to the last."""

import json
import shutil

import nbclient
import nbformat
import pytest

from tests.support import jobs
from tests.support.paths import ROOT

NOTEBOOKS = ("quickstart", "predict", "rotations", "own_photos")


def path(name):
    return ROOT / "colab" / f"{name}.ipynb"


def test_every_notebook_is_here():
    assert {file.stem for file in (ROOT / "colab").glob("*.ipynb")} == set(NOTEBOOKS)


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_sources_alone_are_kept(name):
    text = path(name).read_text()
    book = nbformat.reads(text, as_version=4)
    nbformat.validate(book)
    assert text == json.dumps(json.loads(text), indent=1, ensure_ascii=False) + "\n"
    for cell in book.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
    first, second = book.cells[:2]
    assert f"/blob/main/colab/{name}.ipynb" in first.source
    assert second.source == nbformat.read(path(NOTEBOOKS[0]), as_version=4).cells[1].source
    assert "git clone" in second.source


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A copy of the checkout, so that no runs are left in it, and the tests' compiled programs."""
    folder = tmp_path / "catpose"
    for name in ("catpose", "configs", "launch"):
        shutil.copytree(ROOT / name, folder / name)
    for key, value in jobs.environment(XDG_CACHE_HOME=tmp_path, PYTHONPATH=folder).items():
        monkeypatch.setenv(key, value)
    monkeypatch.delenv("XLA_FLAGS")  # they train for a minute
    return folder


# What makes the training ones short.
SHORTER = {
    "quickstart": {"train=9000": "train=600", "phases[1].steps=800": "phases[1].steps=20"},
    "own_photos": {
        "phases[0].steps = 100": "phases[0].steps = 10",
        "phases[1].steps = 500": "phases[1].steps = 20",
        "--per_category=300": "--per_category=30",
    },
}


def shortened(book, changes):
    for old, new in changes.items():
        (cell,) = [cell for cell in book.cells if old in cell.source]
        cell.source = cell.source.replace(old, new)


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_executed(home, name, whole):
    book = nbformat.read(path(name), as_version=4)
    if not whole:
        shortened(book, SHORTER.get(name, {}))
    resources = {"metadata": {"path": str(home)}}
    nbclient.NotebookClient(book, timeout=600, resources=resources).execute()
    pictures = 0
    for cell in book.cells:
        for output in cell.get("outputs", ()):
            assert output.output_type != "error", output.evalue
            # A command's failure does not stop a notebook.
            assert "error:" not in output.get("text", ""), output.text
            assert "Traceback" not in output.get("text", ""), output.text
            pictures += "image/png" in output.get("data", {}) or "image/jpeg" in output.get(
                "data", {}
            )
    assert pictures >= 3
