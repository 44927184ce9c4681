"""The wheel in an empty folder: what is in it, and that every command works from there."""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata

import numpy as np
import pytest
from PIL import Image

import catpose
from catpose.experiment import config_files
from tests.support.paths import ROOT

OWN_CONFIG = """
from catpose.configs import base, smoke

def get_config():
    config = smoke.get_config()
    config.name = "own"
    config.data.num_images = {"pretrain": 0, "train": 48, "validation": 24, "test": 24}
    config.data.cache_dir = "cache"
    config.eval.every_steps = 0
    config.phases = [base.phase("joint", 2, sources={"train": 24})]
    return config
"""
PLUGIN = """
from catpose import poses

poses.POSES["two_of_a_kind"] = poses.POSES["axis_angle"]
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from a copy of the checkout, so that nothing is left there."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in ("catpose", "configs", "launch"):
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / "clone" / name, ignore=ignored)
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / "clone")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "."]
    if int(metadata.version("setuptools").partition(".")[0]) >= 77:  # needs nothing more
        command.append("--no-build-isolation")
    subprocess.run([*command, f"--wheel-dir={folder}"], cwd=folder / "clone", check=True)
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def run(wheel, tmp_path_factory):
    """Runs `catpose ...`, installed from the wheel, in an empty folder; returns its output."""
    folder = tmp_path_factory.mktemp("empty")
    installed = tmp_path_factory.mktemp("installed")
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*command, f"--target={installed}", wheel], check=True)
    environment = {
        **os.environ,
        "PYTHONPATH": str(installed),
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
        "PYTHONWARNINGS": "ignore",
    }

    def call(*arguments, program=(installed / "bin" / "catpose",), status=0):
        result = subprocess.run(
            [*program, *arguments],
            cwd=folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == status, result.stderr
        return result.stdout if status == 0 else result.stderr

    (folder / "my.py").write_text(OWN_CONFIG)
    call.folder, call.installed = folder, installed
    return call


@pytest.fixture(scope="module")
def trained(run):
    """The folder of a run on a config of the user's own."""
    out = run("train", "--config=my.py", "--workdir=run")
    assert "report: run/report.md" in out
    return "run"


def test_everything_is_in_the_package_and_its_types_ship(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"catpose"}
    modules = {
        f"catpose/{path.relative_to(ROOT)}"
        for folder in ("configs", "launch")
        for path in (ROOT / folder).glob("*.py")
    }
    modules |= {str(path.relative_to(ROOT)) for path in (ROOT / "catpose").rglob("*.py")} | {
        "catpose/py.typed"
    }
    modules |= {str(path.relative_to(ROOT)) for path in (ROOT / "catpose/weights").glob("*/*")}
    assert {f"catpose/weights/{name}/weights.safetensors" for name in ("mini", "photo")} < modules
    assert modules <= set(names)


def test_the_wheel_says_what_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    (name,) = [name for name in archive.namelist() if name.endswith("/METADATA")]
    text = archive.read(name).decode()
    for field in ("Requires-Python: >=3.11", "Project-URL: Homepage, ", "Keywords: "):
        assert f"\n{field}" in text
    assert "\nClassifier: Typing :: Typed" in text
    assert "Requires-Dist: orbax-checkpoint<1," in text
    extras = re.findall(r"^Provides-Extra: (\S+)$", text, flags=re.MULTILINE)
    page = (ROOT / "docs" / "getting_started.md").read_text()
    assert sorted(extras) == sorted(re.findall(r"`'\.\[(\w+)\]'`", page))


def test_the_installed_package_is_the_one_that_runs(run):
    code = "import catpose, catpose.configs.base as b; print(catpose.__file__, b.__file__)"
    for path in run("-c", code, program=(sys.executable,)).split():
        assert pathlib.Path(path).is_relative_to(run.installed)
    run("-c", "import configs", program=(sys.executable,), status=1)


def test_train(run, trained):
    report = json.loads((run.folder / trained / "report.json").read_text())
    assert set(report["splits"]) == {"validation", "test"}
    again = ["--config=my.py", "--workdir=other", "--check"]
    assert "checked: a full run takes about" in run("train", *again)


def test_predict(run):
    pixels = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    Image.fromarray(pixels).save(run.folder / "photo.png")
    found = json.loads(run("predict", "--workdir=mini", "--image=photo.png"))
    assert len(found["probabilities"]) == 12


def test_evaluate(run, trained):
    assert "pose-err" in run("evaluate", f"--workdir={trained}")
    assert "catpose:" in run("evaluate", "--protocol=list")


def test_export(run, trained):
    assert "weights.safetensors" in run("export", f"--workdir={trained}", "--output_dir=small")
    assert (run.folder / "small" / "config.json").is_file()


def test_render_and_prepare(run):
    small = ["--per_category=1", "--size=32", "--config.engine.per_category=1"]
    assert "12 images in renders" in run("render", "--output_dir=renders", *small)
    options = ["--dataset=rendered", "--manual_dir=renders", "--output_dir=prepared"]
    assert "objects" in run("prepare", *options)


def test_benchmark(run):
    small = ["--resolution=32", "--batch=12", "--categories=2", "--repeats=1", "--seconds=0"]
    assert "GFLOP/s" in run("benchmark", "--only=inference", "--json=speed.json", *small)
    assert (run.folder / "speed.json").is_file()


def test_tables(run):
    assert "results: " in run("tables", "--table=13", "--preset=smoke", "--workdir=tables")


def test_config(run):
    out = run("config", "quickstart", "--grep=resolution")
    assert out.startswith("data.resolution = 224; in quickstart: 64\n    ")
    assert "phases[].steps = " in run("config")


def test_weights(run):
    assert "pretrained=mini" in run("weights")


def test_plugins(run):
    (run.folder / "plugin.py").write_text(PLUGIN)
    arguments = ["--workdir=mini", "--image=absent.jpg", "--plugins=plugin"]
    assert "no image absent.jpg" in run("predict", *arguments, status=1)
    config = ["--config=my.py", "--config.model.pose=two_of_a_kind", "--workdir=plugged"]
    assert "two_of_a_kind" in run("train", *config, status=1)
    run("train", *config, "--plugins=plugin")
    report = json.loads((run.folder / "plugged" / "config.json").read_text())
    assert report["config"]["plugins"] == ["plugin"]
    assert "--plugins=plugin" in run("evaluate", "--workdir=plugged", status=1)


def test_the_help(run):
    text = run("--help")
    assert len(text.splitlines()) == 14
    assert run("--help", program=(sys.executable, "-m", "catpose")) == text
    assert run() == text
    for command in ("train", "predict", "evaluate", "config"):
        assert f"catpose {command} " in run(command, "--help")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["trian"], "unknown command 'trian'; did you mean 'train'?"),
        (["train"], "--config is missing"),
        (["train", "--config=configs/quickstart.py"], "did you mean 'quickstart'?"),
        (["predict", "--workdr=mini"], "unknown option --workdr; did you mean '--workdir'?"),
        (["config", "quickstrat"], "did you mean 'quickstart'?"),
    ],
)
def test_wrong_commands(run, arguments, message):
    (line,) = run(*arguments, status=1).splitlines()
    assert line.startswith("error: ")
    assert message in line


@pytest.mark.parametrize(
    "arguments", ["", "--help", "tables --help", "predict --wrong", "train --config=smoke --wrong"]
)
def test_nothing_heavy_is_imported_to_help(arguments):
    code = f"""
import sys
from catpose import __main__
sys.argv = ["catpose", *{arguments!r}.split()]
try:
    __main__.main()
except SystemExit:
    pass
print("jax" in sys.modules, "tensorflow" in sys.modules)
"""
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert result.stdout.splitlines()[-1] == "False False"


def test_the_public_names():
    assert set(dir(catpose)) >= {"load", "train", "evaluate", "Predictor", "Prediction", "POSES"}
    for name in dir(catpose):
        assert getattr(catpose, name) is not None
    assert callable(catpose.train)
    assert callable(catpose.evaluate)
    with pytest.raises(AttributeError, match="has no attribute 'trian'"):
        catpose.trian  # noqa: B018


def test_configs_by_name(tmp_path):
    assert "quickstart" in config_files.shipped()
    path = pathlib.Path(config_files.find("quickstart"))
    assert path.samefile(ROOT / "configs" / "quickstart.py")
    assert config_files.find("tables:shapes,small,phase0") == (
        f"{path.with_name('tables.py')}:shapes,small,phase0"
    )
    own = tmp_path / "my.py"
    code = (
        "from ml_collections import ConfigDict\ndef get_config(which='a'):\n    return ConfigDict"
    )
    own.write_text(code + "({'which': which})\n")
    assert config_files.load(own).which == "a"
    assert config_files.load(f"{own}:b").which == "b"
    assert config_files.load("mini").name == "mini"
