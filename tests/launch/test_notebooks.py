"""The Colab notebooks: stripped, and executed from first to last cell, as on a new machine."""

import configparser
import json
import os
import runpy
import types
from importlib import metadata

import nbclient
import nbformat
import pytest

from tests.support import bare_environment, jobs
from tests.support.paths import ROOT

NOTEBOOKS = ("quickstart", "predict", "rotations", "own_photos")
START = runpy.run_path(str(ROOT / "colab" / "start.py"))


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
    assert second.source == nbformat.read(path(NOTEBOOKS[0]), as_version=4).cells[1].source
    # The address of the repository is that of setup.cfg, wherever it stands.
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    address = config["metadata"]["project_urls"].split("Homepage = ")[1].splitlines()[0]
    assert f'"{address}"' in second.source
    assert (
        f"{address.removeprefix('https://')}/blob/main/colab/{name}.ipynb"
        in first.source.replace("colab.research.google.com/github/", "github.com/")
    )


def test_a_folder_in_the_place_of_the_clone_is_named(tmp_path, monkeypatch):
    """As a runtime that ended while it was cloned leaves it."""
    (tmp_path / "catpose-clone" / ".git").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    first = nbformat.read(path(NOTEBOOKS[0]), as_version=4).cells[1].source
    with pytest.raises(RuntimeError, match=r"/catpose-clone is no clone of catpose: delete it"):
        exec(first.partition("%cd")[0], {})


def nothing(package):
    return ""


def cuda12(package):
    return "0.7.2" if package == "jax-cuda12-plugin" else ""


@pytest.mark.parametrize(
    ("environment", "devices", "driver", "installed", "wanted"),
    [
        ({}, [], "", nothing, ("cpu", "")),
        ({}, [], "580.65.06\n", nothing, ("gpu", "cuda13")),
        ({}, [], "580.65.06\n", cuda12, ("gpu", "cuda12")),
        ({}, [], "550.54.15\n550.54.15\n", nothing, ("gpu", "cuda12")),
        ({"TPU_ACCELERATOR_TYPE": "v5e-1"}, [], "", nothing, ("tpu", "tpu")),
        ({"TPU_NAME": ""}, ["/dev/accel0"], "", nothing, ("tpu", "tpu")),
        ({"TPU_NAME": ""}, [], "NVIDIA-SMI has failed\n", nothing, ("cpu", "")),
    ],
)
def test_the_runtime_chooses_the_extra(environment, devices, driver, installed, wanted):
    runtime = START["find"](environment, devices, driver)
    extra = START["extra"](runtime, installed)
    assert (runtime.kind, extra) == wanted
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    for name in filter(None, (*START["ALWAYS"], extra)):
        assert name in config["options.extras_require"]


def test_a_mismatch_says_what_to_do():
    def says(kind, driver, backend, extra=""):
        return START["mismatch"](START["Runtime"](kind, driver), backend, extra)

    for kind in ("gpu", "tpu", "cpu"):
        assert says(kind, 580, kind) == ""
    assert "%pip install -q -U -e '.[cuda12]'" in says("gpu", 550, "cpu", "cuda12")
    assert "Restart session" in says("tpu", 0, "cpu", "tpu")
    assert "driver 470 is too old" in says("gpu", 470, "cpu", "cuda12")
    assert "JAX does not start" in says("gpu", 580, "", "cuda13")


def test_what_was_loaded_before_it_was_replaced_is_named():
    loaded = {"numpy": types.SimpleNamespace(__version__="1.26.4"), "json": json}
    assert START["replaced"](loaded, lambda package: "2.1.3") == ["numpy"]
    assert START["replaced"](loaded, lambda package: "1.26.4") == []


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    """A folder as Colab's /content on a new machine, but with some folder called catpose in it."""
    folder = tmp_path_factory.mktemp("machine")
    python = bare_environment.create(folder / "venv")
    content = folder / "content"
    (content / "catpose").mkdir(parents=True)
    given = jobs.environment(
        XDG_CACHE_HOME=folder,
        JUPYTER_PATH=bare_environment.kernel(folder / "jupyter", python),
        CATPOSE_REPOSITORY=bare_environment.repository(folder / "repository").as_uri(),
        PATH=f"{python.parent}:{os.environ['PATH']}",
    )
    if int(metadata.version("setuptools").partition(".")[0]) >= 77:  # needs nothing more
        given["PIP_NO_BUILD_ISOLATION"] = "0"  # which pip reads as "no isolation"
    with pytest.MonkeyPatch.context() as patch:
        for key, value in given.items():
            patch.setenv(key, value)
        patch.delenv("XLA_FLAGS", raising=False)  # they train for a minute
        patch.delenv("PYTHONPATH", raising=False)
        yield content


# What makes the training ones short.
SHORTER = {
    "quickstart": {"train=9000": "train=600", "phases[1].steps=800": "phases[1].steps=20"},
    "own_photos": {
        '("train", 24), ("validation", 8)': '("train", 4), ("validation", 2)',
        "phase.sources = {": "phase.steps = 20; phase.sources = {",
        "--per_category=60": "--per_category=4",
    },
}


def shortened(book, changes):
    for old, new in changes.items():
        (cell,) = [cell for cell in book.cells if old in cell.source]
        cell.source = cell.source.replace(old, new)


def executed(book, content):
    """All that the cells print; none may fail, and no command of theirs."""
    resources = {"metadata": {"path": str(content)}}
    nbclient.NotebookClient(book, timeout=600, kernel_name="bare", resources=resources).execute()
    outputs = [output for cell in book.cells for output in cell.get("outputs", ())]
    for output in outputs:
        assert output.output_type != "error", output.evalue
        # A command's failure does not stop a notebook.
        for word in ("error:", "Traceback", "Warning"):
            assert word not in output.get("text", ""), output.text
    return outputs


@pytest.mark.notebooks
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("whole", [False, pytest.param(True, marks=pytest.mark.slow)])
# The last one renders, and computes features of `photo` eight times: too long for every run.
@pytest.mark.parametrize(
    "name", [*NOTEBOOKS[:-1], pytest.param(NOTEBOOKS[-1], marks=pytest.mark.slow)]
)
def test_executed_and_again_after_a_restart(machine, monkeypatch, name, whole):
    is_new = not (machine / "catpose-clone").exists()
    book = nbformat.read(path(name), as_version=4)
    if not whole:
        monkeypatch.setenv("XLA_FLAGS", "--xla_backend_optimization_level=0")  # most is compilation
        shortened(book, SHORTER.get(name, {}))
    outputs = executed(book, machine)
    pictures = [o for o in outputs if {"image/png", "image/jpeg"} & set(o.get("data", {}))]
    assert len(pictures) >= 3
    first = "".join(output.get("text", "") for output in book.cells[1].outputs)
    assert ("installing catpose" in first) == is_new
    assert f"catpose from {machine / 'catpose-clone'}, jax " in first
    assert "CpuDevice" in first
    assert len(first.splitlines()) == 1 + is_new
    # "Restart session": a new process in the same folder, with the first cell run again.
    again = nbformat.read(path(name), as_version=4)
    some = [cell for cell in again.cells if cell.cell_type == "code"][:1]
    again.cells = [*some, nbformat.v4.new_code_cell("import catpose\nprint(catpose.__file__)")]
    outputs = executed(again, machine)
    text = "".join(output.get("text", "") for output in outputs)
    assert "installing" not in text
    assert str(machine / "catpose-clone" / "catpose" / "__init__.py") in text
