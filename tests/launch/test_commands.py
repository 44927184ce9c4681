"""The commands as a user meets them: what wrong input says, and that right input works.

All cases run in forks of one process that has imported the libraries already.
"""

import csv
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from catpose import config_keys
from catpose.experiment.config import Data
from catpose.launch import command
from tests.support.paths import ROOT

COLUMNS = "file,category,split,azimuth_deg,elevation_deg,theta_deg,x0,y0,x1,y1".split(",")
# One line for each case on stdin, [module, arguments ...]; one line back, [status, out, err].
DRIVER = """
import json, os, runpy, sys, tempfile
import catpose.predict, catpose.evaluation.run_report, catpose.training.loop  # once, for all forks

def child(module, arguments, out, err):
    os.dup2(out.fileno(), 1)
    os.dup2(err.fileno(), 2)
    sys.argv = [module, *arguments]
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
        status = 0
    except SystemExit as end:
        status = end.code or 0
    except BaseException:
        import traceback
        traceback.print_exc()
        status = 70
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)

for line in sys.stdin:
    module, *arguments = json.loads(line)
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        pid = os.fork()
        if pid == 0:
            child(module, arguments, out, err)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        out.seek(0)
        err.seek(0)
        print(json.dumps([status, out.read(), err.read()]), flush=True)
"""
# Little to compile: the category head alone, on running statistics.
CONFIG = """
from tests.support import tiny

def get_config():
    phase = tiny.phase("{name}", steps=2, sources={{"train": 6}}, train=("{train}",),
                       batch_norm=(), pose_weight=0.0, category_weight=1.0)
    config = tiny.config([phase])
    config.data.cache_dir = "{cache}"
    config.data.root = "{root}"
    return config
"""


@pytest.fixture(scope="module")
def launch():
    """Runs `python -m module arguments ...` from the repository root."""
    cache = ROOT / ".pytest_cache" / "jax"
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")]),
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "PYTHONWARNINGS": "ignore",
    }
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER],
        cwd=ROOT,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:

        def run(module, *arguments):
            process.stdin.write(json.dumps([module, *map(str, arguments)]) + "\n")
            process.stdin.flush()
            return json.loads(process.stdout.readline())

        yield run
        process.stdin.close()


@pytest.fixture(scope="module")
def error(launch):
    """The one line that a command ends with."""

    def run(module, *arguments):
        status, out, err = launch(module, *arguments)
        assert status == 1, err
        assert out == ""
        (line,) = err.splitlines()
        assert line.startswith("error: ")
        return line

    return run


def write_manifest(root, change=lambda rows: None):
    """Twelve photographs of three categories, for training and validation."""
    (root / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    rows = []
    for i in range(12):
        pixels = generator.integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(pixels).save(root / "images" / f"{i}.jpg")
        split = "train" if i < 6 else "val"
        category = ("ant", "bee", "cat")[i % 3]
        angles = map(str, generator.uniform(-30, 30, 3).round(1))
        rows.append(
            dict(zip(COLUMNS, [f"{i}.jpg", category, split, *angles, 2, 3, 45, 38], strict=True))
        )
    change(rows)
    with (root / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return root


def write_config(folder, root, *, train="category_network", name="only"):
    path = folder / f"small_{train}.py"
    path.write_text(CONFIG.format(root=root, train=train, name=name, cache=folder / "cache"))
    return path


@pytest.fixture(scope="module")
def trained(launch, tmp_path_factory):
    """(config file, workdir, output) of a run by the command."""
    folder = tmp_path_factory.mktemp("launch")
    config = write_config(folder, write_manifest(folder / "data"))
    status, out, err = launch("launch.train", f"--config={config}", f"--workdir={folder / 'run'}")
    assert status == 0, err
    return config, folder / "run", out


def test_training_ends_with_its_report_and_repeats_it(launch, trained):
    config, workdir, out = trained
    assert str(workdir / "report.md") in out
    report = json.loads((workdir / "report.json").read_text())
    assert set(report["splits"]) == {"validation"}
    status, again, err = launch("launch.train", f"--config={config}", f"--workdir={workdir}")
    assert (status, again, err) == (0, out, "")


def test_a_run_that_skipped_most_batches_ends_with_an_error(launch, error, trained, tmp_path):
    """Of a learning rate at which the weights are Inf after the first of two steps."""
    command = (
        "launch.train", f"--config={trained[0]}", f"--workdir={tmp_path}",
        "--config.phases[0].learning_rate.peak=1e38",
    )  # fmt: skip
    status, _, err = launch(*command)
    assert status == 1
    *_, line = err.splitlines()
    assert "1 of 2 batches changed nothing: their loss or gradient was NaN or Inf" in line
    assert "config.max_skipped_share" in line
    assert "1 of 2 batches changed nothing" in (tmp_path / "report.md").read_text()
    assert "1 of 2 batches" in error(*command)  # of the finished run too
    assert launch(*command, "--config.max_skipped_share=0.5")[0] == 0


def test_a_damaged_report_is_made_anew(launch, trained, tmp_path):
    config, workdir, out = trained
    folder = shutil.copytree(workdir, tmp_path / "run")
    report = json.loads((folder / "report.json").read_text())
    (folder / "report.json").write_text('{"splits": {"val')
    status, _, err = launch("launch.train", f"--config={config}", f"--workdir={folder}")
    assert status == 0
    assert "report.json is damaged: it is made anew" in err
    again = json.loads((folder / "report.json").read_text())
    assert again["params_sha256"] == report["params_sha256"]
    assert again["splits"] == report["splits"]


def test_a_finished_run_whose_newest_checkpoint_is_damaged(launch, trained, tmp_path):
    config, workdir, out = trained
    folder = shutil.copytree(workdir, tmp_path / "run")
    newest = max((folder / "checkpoints").iterdir(), key=lambda path: int(path.name))
    (newest / "default" / "manifest.ocdbt").write_bytes(b"")
    before, report = tree(folder), json.loads((folder / "report.json").read_text())
    run, photo = f"--workdir={folder}", config.parent / "data" / "images" / "0.jpg"
    readers = (
        ("launch.predict", run, f"--image={photo}"),
        ("launch.evaluate", run, "--split=validation", f"--output={tmp_path / 'scores'}"),
        ("launch.export", run, f"--output_dir={tmp_path / 'small'}"),
    )
    for reader in readers:
        status, _, err = launch(*reader)
        assert status == 0, err
        (line,) = err.splitlines()
        assert f"checkpoints/{newest.name} is damaged (" in line
        assert "that of step 0 is used; copy it again, or give the command that trained" in line
    assert tree(folder) == before
    status, again, err = launch("launch.train", f"--config={config}", run)
    assert status == 0, err
    assert f"it is moved to {folder / 'damaged'}" in err
    found = json.loads((folder / "report.json").read_text())
    for name in ("params_sha256", "splits", "step"):
        assert found[name] == report[name]
    assert json.loads((folder / "damaged" / "report.json").read_text()) == report
    status, _, err = launch(*readers[0])
    assert (status, err) == (0, "")


def first_row(**values):
    return lambda rows: rows[0].update(values)


def no_training_rows(rows):
    for row in rows:
        row["split"] = "test"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (first_row(file="absent.jpg"), "line 2: no image"),
        (first_row(category="yak"), "line 2: unknown category 'yak'; known: ant, bee, cat"),
        (first_row(azimuth_deg="nan"), "line 2: azimuth_deg is 'nan', not a finite number"),
        (first_row(theta_deg=""), "line 2: theta_deg is missing; there are"),
        (first_row(split="dev"), "line 2: unknown split 'dev'"),
        (first_row(x0=60, x1=70), "the box 60,3,70,38 lies outside the image (50 x 40 pixels)"),
        (first_row(x0=45), "line 2: the box 45,3,45,38 has no area"),
        (no_training_rows, "phase 'only' trains on the split 'train', which has no images"),
        (lambda rows: rows.clear(), "no image"),
    ],
)
def test_wrong_manifests(error, tmp_path, change, message):
    config = write_config(tmp_path, write_manifest(tmp_path / "data", change))
    line = error(
        "launch.train",
        f"--config={config}",
        f"--workdir={tmp_path / 'run'}",
        "--config.data.categories=('ant', 'bee', 'cat')",
    )
    assert message in line


def test_broken_photographs_beyond_the_share(error, tmp_path):
    root = write_manifest(tmp_path / "data")
    (root / "images" / "3.jpg").write_bytes((root / "images" / "3.jpg").read_bytes()[:200])
    config = write_config(tmp_path, root)
    line = error("launch.train", f"--config={config}", f"--workdir={tmp_path / 'run'}")
    assert "1 of 12 images cannot be read, more than the allowed share 0.05" in line
    assert "3.jpg" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--config=configs/absent.py"], "no config file 'configs/absent.py'"),
        (["--config", "configs/absent.py"], "no config file 'configs/absent.py'"),
        (["--config=smok"], "did you mean 'smoke'?"),
        ([], "--config is missing (the name of a config"),
        (["--config=smoke", "--config.sed=1"], "config key 'sed'; did you mean 'seed'?"),
        (["--config=configs/smoke.py", "--config.width=1"], "did you mean 'model.width'?"),
        (["--config=smoke", "--config.phases[0].stps=1"], "did you mean 'phases[0].steps'?"),
        (["--config=smoke", "--config.phases[9].steps=1"], "unknown config key 'phases[9].steps'"),
        (["--config=configs/smoke.py", "--config.seed=abc"], "seed"),
        (["--config=tables:shapes,small,row9"], "the config cannot be read: ValueError: "),
        (["--config=smoke", "--wrkdir=x"], "unknown option --wrkdir; did you mean '--workdir'?"),
        (["--config=configs/smoke.py", "x"], "unexpected argument 'x'"),
    ],
)
def test_wrong_flags(error, arguments, message):
    assert message in error("launch.train", *arguments)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.root=absent", "no manifest at absent"),
        ("model.pretrained=configs", "no run in configs: it has no config.json"),
        ("model.pretrained=absent.npz", "no pretrained weights at absent.npz"),
        ("model.pose=euler7", "config.model.pose is 'euler7'"),
        ("model.variant=v3", "v3"),
        ("parallel=vmap", "config.parallel is 'vmap'; it can be pmap, jit"),
        ("optimizer.name=lion", "config.optimizer.name is 'lion'; it can be adam, sgd"),
        ("data.context=0.0", "config.data.context is 0.0; it can be from 1 to 4"),
        ("data.kind=video", "config.data.kind is 'video'"),
        ("eval.splits=('vaildation',)", "unknown split 'vaildation'"),
        ("phases[0].fusion=top9", "fusion is 'top9'"),
    ],
)
def test_wrong_values(error, trained, tmp_path, override, message):
    line = error(
        "launch.train", f"--config={trained[0]}", f"--workdir={tmp_path}", f"--config.{override}"
    )
    assert message in line


def test_a_misspelt_pattern(error, trained, tmp_path):
    config = write_config(tmp_path, trained[0].parent / "data", train="category_netwrok")
    line = error("launch.train", f"--config={config}", f"--workdir={tmp_path / 'run'}")
    assert "'category_netwrok' in `train` of phase 'only' covers no parameter" in line


def test_another_config_on_an_old_workdir(error, trained):
    config, workdir, _ = trained
    line = error("launch.train", f"--config={config}", f"--workdir={workdir}", "--config.seed=1")
    assert "was made with config.seed = 0, now it is 1" in line


def test_a_workdir_that_is_a_file(error, trained, tmp_path):
    (tmp_path / "file").write_text("")
    line = error("launch.train", f"--config={trained[0]}", f"--workdir={tmp_path / 'file' / 'run'}")
    assert "cannot write to" in line


def test_a_checkpoint_of_another_network(error, trained, tmp_path):
    config, workdir, _ = trained
    other = shutil.copytree(workdir, tmp_path / "run")
    (other / "report.json").unlink()
    content = json.loads((other / "config.json").read_text())
    content["config"]["model"]["width"] = 6
    del content["crc32"]
    (other / "config.json").write_text(json.dumps(content))
    command = f"--config={config}", f"--workdir={other}", "--config.model.width=6"
    message = "in the checkpoint and"
    assert message in error("launch.train", *command)
    photo = config.parent / "data" / "images" / "0.jpg"
    assert message in error("launch.predict", f"--workdir={other}", f"--image={photo}")


def test_predicting_a_photograph(launch, trained, tmp_path):
    config, workdir, _ = trained
    photo = config.parent / "data" / "images" / "0.jpg"
    overlay = tmp_path / "overlay.png"
    status, out, err = launch(
        "launch.predict",
        f"--workdir={workdir}",
        f"--image={photo}",
        "--box=2,3,45,38",
        f"--output={overlay}",
    )
    assert (status, err) == (0, "")
    found = json.loads(out)
    assert found["image"] == str(photo)
    assert set(found["probabilities"]) == {"ant", "bee", "cat"}
    assert sum(found["probabilities"].values()) == pytest.approx(1, abs=1e-5)
    rotation = np.array(found["rotation"])
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(3), atol=1e-5)
    with Image.open(overlay) as drawn:
        assert drawn.width * 40 == drawn.height * 50  # a small photograph is enlarged


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--image=absent.jpg"], "no image absent.jpg"),
        (["--image=setup.cfg"], "cannot read setup.cfg as an image"),
        (["--image=PHOTO", "--box=1,2,3"], "--box is x0,y0,x1,y1"),
        (["--image=PHOTO", "--box=60,0,70,10"], "lies outside the image"),
        (["--image=PHOTO", "--box=9,9,9,10"], "has no area"),
        (["--image=PHOTO", "--output=/dev/null/x.png"], "cannot write"),
        (["--workdir=absent", "--image=PHOTO"], "no run in absent"),
    ],
)
def test_wrong_predictions(launch, trained, arguments, message):
    config, workdir, _ = trained
    photo = config.parent / "data" / "images" / "0.jpg"
    arguments = [text.replace("PHOTO", str(photo)) for text in arguments]
    status, _, err = launch("launch.predict", f"--workdir={workdir}", *arguments)
    assert status == 1, err
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def tree(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def photos(tmp_path):
    """A folder with one photo."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.new("RGB", (50, 40), "gray").save(folder / "a.png")
    return folder


def test_a_prediction_never_replaces_what_is_not_its_own(error, photos, tmp_path):
    (tmp_path / "link.png").symlink_to(photos / "a.png")
    Image.new("RGB", (50, 40), "red").save(tmp_path / "b.png")
    (tmp_path / "boxes.csv").write_text("file,x0,y0,x1,y1\nphotos/a.png,1,1,40,30\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "a.png").hardlink_to(photos / "a.png")
    before = tree(tmp_path)
    for arguments in (
        (f"--image={photos / 'a.png'}", f"--output={photos / 'a.png'}"),
        (f"--image={photos / 'a.png'}", f"--output={tmp_path / 'link.png'}"),
        (f"--image={photos / 'a.png'}", f"--output={tmp_path / 'b.png'}"),
        (f"--image={photos}", f"--output={photos}"),
        (f"--boxes={tmp_path / 'boxes.csv'}", f"--output={tmp_path / 'out'}"),
    ):
        line = error("launch.predict", "--workdir=mini", *arguments)
        assert "is an input of this command" in line or "catpose did not write it" in line
    assert tree(tmp_path) == before


def test_a_folder_of_one_photo_has_a_folder_of_pictures(launch, photos, tmp_path):
    for _ in range(2):  # its own pictures are replaced
        status, out, err = launch(
            "launch.predict", "--workdir=mini", f"--image={photos}", f"--output={tmp_path / 'out'}"
        )
        assert (status, err) == (0, "")
    assert json.loads(out)["image"] == str(photos / "a.png")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.png"]


def test_results_go_into_folders_of_their_own(error, trained, photos):
    config, workdir, _ = trained
    before = tree(photos) | tree(workdir)
    for called in (
        ("launch.train", f"--config={config}", f"--workdir={photos}"),
        ("launch.export", f"--workdir={workdir}", f"--output_dir={photos}"),
        ("launch.export", f"--workdir={workdir}", f"--output_dir={workdir}"),
        ("launch.tables", f"--workdir={photos}", "--preset=smoke"),
        ("launch.benchmark", f"--json={photos / 'a.png'}"),
    ):
        line = error(*called)
        assert "has files and is not" in line or "catpose did not write it" in line
    assert tree(photos) | tree(workdir) == before
    rendered = error(
        "launch.render", f"--output_dir={photos}", "--per_category=1", "--size=16",
        "--config.engine.per_category=1", "--config.data.num_images={'train': 0}",
    )  # fmt: skip
    assert "has files and is not of catpose render" in rendered
    prepared = error(
        "launch.prepare", "--dataset=models", f"--manual_dir={photos}", f"--output_dir={photos}"
    )
    assert "--output_dir is --manual_dir" in prepared
    assert tree(photos) | tree(workdir) == before


def test_an_exported_network_is_not_trained_over(error, launch, trained, tmp_path):
    config, workdir, _ = trained
    launch("launch.export", f"--workdir={workdir}", f"--output_dir={tmp_path}")
    before = tree(tmp_path)
    line = error("launch.train", f"--config={config}", f"--workdir={tmp_path}")
    assert "is an exported network" in line
    assert tree(tmp_path) == before


def test_a_tilde_is_the_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    data = config_keys.read(Data, {"root": "~/photos", "categories": ["~"]}, "config.data")
    assert (data.root, data.categories) == (f"{tmp_path}/photos", (str(tmp_path),))
    options = command.Options()
    one, several = options.string("one", "", ""), options.list("several", [], "")
    command._parse(["x", "--one=~/a", "--several=~/a,b"], options.values, "")
    assert one.value == f"{tmp_path}/a"
    assert several.value == [f"{tmp_path}/a", "b"]


def test_a_reader_that_has_read_enough_ends_the_command_quietly():
    """As `| head -1`; the exit status is that of tools that SIGPIPE ends."""
    for arguments in (["-m", "catpose", "--help"], ["-m", "launch.evaluate", "--protocol=list"]):
        with subprocess.Popen(
            [sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            process.stdout.close()
            assert process.stderr.read() == b""
        assert process.returncode == 141


@pytest.mark.parametrize("platform", ["cuda", "no_such"])
def test_a_device_that_is_not_there(platform):
    code = (
        "import jax\nfrom catpose.launch import command\n"
        "command.run(lambda: jax.devices(), command.Options())"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "JAX_PLATFORMS": platform},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 1
    (line,) = ended.stderr.splitlines()
    assert line.startswith(f"error: JAX_PLATFORMS={platform}, and there is no such device")


def test_names_that_a_terminal_cannot_show(tmp_path):
    code = (
        "from catpose.launch import command\n"
        "command.run(lambda: print('\\udcff \\N{DEGREE SIGN}'), command.Options())"
    )
    for encoding, shown in (("utf-8", "? \N{DEGREE SIGN}\n"), ("ascii", "? ?\n")):
        ended = subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONIOENCODING": encoding},
            capture_output=True,
            check=True,
        )
        assert ended.stdout.decode() == shown


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("--config.engine.models=/absent", "there is no folder /absent"),
        ("--config.engine.backgrounds=/absent", "no photographs in /absent"),
        ("--config.engine.views_like=train", "views_like is 'train'"),
        ("--config.engine.look.noise=-1.0", "config.engine.look.noise is -1.0"),
        ("--config.engine.elevation_deg=(0.0, 99.0)", "goes beyond -90 to 90"),
        ("--output_dir=/dev/null/x", "cannot write"),
    ],
)
def test_wrong_renders(launch, tmp_path, override, message):
    small = ["--per_category=1", "--size=16", "--config.engine.per_category=1"]
    status, _, err = launch(
        "launch.render",
        f"--output_dir={tmp_path}",
        *small,
        "--config.data.num_images={'train': 0}",
        override,
    )
    assert status == 1, err
    (line,) = err.splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_exporting_a_run(launch, error, trained, tmp_path):
    _, workdir, _ = trained
    where = [f"--workdir={workdir}", f"--output_dir={tmp_path / 'small'}"]
    status, out, err = launch("launch.export", *where)
    assert (status, err) == (0, "")
    assert "weights.safetensors" in out
    photo = workdir.parent / "data" / "images" / "0.jpg"
    answers = [
        json.loads(launch("launch.predict", f"--workdir={folder}", f"--image={photo}")[1])
        for folder in (workdir, tmp_path / "small")
    ]
    assert answers[0]["category"] == answers[1]["category"]
    line = error("launch.export", f"--workdir={tmp_path}", f"--output_dir={tmp_path / 'x'}")
    assert "no run in" in line


def test_an_allocator_is_taken_where_there_is_one_and_no_other(tmp_path):
    library = tmp_path / "libmimalloc.so"
    assert command.kept_memory({}, None) is None
    assert command.kept_memory({"LD_PRELOAD": "other.so"}, library) is None
    taken = command.kept_memory({"HOME": "/", "MIMALLOC_PURGE_DELAY": "10"}, library)
    assert taken["LD_PRELOAD"] == str(library)
    assert taken["MIMALLOC_PURGE_DELAY"] == "10"
    assert taken["HOME"] == "/"
    assert command.kept_memory(taken, library) is None


def test_the_allocator_is_found_by_its_package(monkeypatch, tmp_path):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "files", missing)
    assert command.allocator() is None
    listed = importlib.metadata.PackagePath("prefix/lib/libmimalloc.so")
    listed.dist = importlib.metadata.Distribution.at(tmp_path / "mimalloc.dist-info")
    monkeypatch.setattr(importlib.metadata, "files", lambda name: [listed])
    assert command.allocator() is None
    (tmp_path / "prefix/lib").mkdir(parents=True)
    (tmp_path / "prefix/lib/libmimalloc.so").touch()
    assert command.allocator() == tmp_path / "prefix/lib/libmimalloc.so"


def test_huge_pages_are_asked_for_once_and_where_the_system_has_them(tmp_path):
    switch = tmp_path / "enabled"
    assert command.huge_pages({}, switch) is None
    switch.write_text("[always] madvise never\n")
    assert command.huge_pages({}, switch) is None
    switch.write_text("always [madvise] never\n")
    asked = command.huge_pages({"HOME": "/"}, switch)
    assert asked == {"HOME": "/", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}
    assert command.huge_pages(asked, switch) is None


def alone(monkeypatch, *, jaxlib="0.10.2", plugins=()):
    monkeypatch.delenv("XLA_FLAGS", raising=False)
    monkeypatch.setattr(importlib.metadata, "version", lambda name: jaxlib)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: list(plugins))


def test_flags_for_xla_are_added_and_those_of_the_user_stay(monkeypatch):
    alone(monkeypatch)
    command.set_xla_flag("xla_one", "1")
    command.set_xla_flag("xla_two", "2")
    command.set_xla_flag("xla_one", "3")
    assert os.environ["XLA_FLAGS"] == "--xla_one=1 --xla_two=2"


@pytest.mark.parametrize("other", [{"jaxlib": "0.11.0"}, {"plugins": ["xla_cuda13"]}])
def test_no_flag_is_added_that_a_compiler_may_not_know(other, monkeypatch):
    alone(monkeypatch, **other)
    command.set_xla_flag("xla_one", "1")
    assert "XLA_FLAGS" not in os.environ
