"""Builds of PASCAL3D+ that are stopped, damaged, repeated, or given the wrong folder."""

import errno
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from PIL import Image

from catpose.data import disk_cache
from catpose.data.pascal3d import annotations, crops, staging, tfds_builder
from catpose.data.pascal3d import dataset as pascal3d
from catpose.data.pascal3d import layout as releases
from catpose.errors import InputError
from tests.support import miniature_pascal3d as miniature
from tests.support.paths import TESTS


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    return miniature.write(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def output_dir(planted, tmp_path_factory):
    folder = tmp_path_factory.mktemp("built")
    pascal3d.build(planted.root, folder, show_progress=False)
    return folder


@pytest.fixture(scope="module")
def listing(output_dir):
    return pascal3d.read(output_dir)


def run(code, *arguments):
    """A new process with this file's folder on its path."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)],
        cwd=TESTS,
        env={"PYTHONPATH": f"{TESTS}:{TESTS.parent}", "PATH": "", "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_no_tensorflow(planted, listing, tmp_path):
    """Built and read where TensorFlow seems to be installed, but must not be imported."""
    (tmp_path / "path" / "tensorflow").mkdir(parents=True)
    (tmp_path / "path" / "tensorflow" / "__init__.py").write_text(
        "raise AssertionError('imported')"
    )
    code = """
        import importlib.util, sys
        sys.path.insert(0, sys.argv[3])
        assert importlib.util.find_spec("tensorflow")
        from catpose.data.pascal3d import dataset as pascal3d
        pascal3d.build(sys.argv[1], sys.argv[2], show_progress=False)
        listing = pascal3d.read(sys.argv[2])
        print(sum(len(listing.read_fn(i)) > 0 for i in range(len(listing.id))))
        assert "tensorflow" not in sys.modules
    """
    # The folder that the archive was unpacked in does as well as the release's own.
    result = run(code, planted.root.parent, tmp_path / "out", tmp_path / "path")
    assert result.returncode == 0, result.stderr
    assert int(result.stdout.split()[-1]) == len(listing.id)
    assert "Beside Table 2 of the paper" in result.stdout


def same(a, b):
    assert a.digest == b.digest
    for name in ("id", "category", "split", "rotation", "box"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    for row in range(len(a.id)):
        assert a.read_fn(row) == b.read_fn(row)


def test_a_large_split_is_written_as_several(planted, listing, tmp_path, monkeypatch):
    monkeypatch.setattr(tfds_builder, "SPLIT_BYTES", 30_000)
    report = pascal3d.build(planted.root, tmp_path, show_progress=False)
    names = [part["name"] for part in report["parts"]]
    assert names[:2] == ["train_part1", "train_part2"]
    assert len(names) > 6
    assert len(list(pathlib.Path(report["folder"]).glob("*train_part1.array_record*"))) == 1
    same(pascal3d.read(tmp_path), listing)


def test_content_changes_with_a_picture_or_a_box(planted, listing, tmp_path):
    """And with nothing else: the same tree elsewhere has the same content."""
    shutil.copytree(planted.root, tmp_path / "copy")
    report = pascal3d.build(tmp_path / "copy", tmp_path / "out", show_progress=False)
    assert report["content"] == listing.digest
    photo = next((tmp_path / "copy/Images/train_pascal").iterdir())
    Image.open(photo).rotate(180).save(photo)
    with pytest.raises(InputError, match=r"1\.0\.0 was built from other files .*; delete it to"):
        pascal3d.build(tmp_path / "copy", tmp_path / "out", show_progress=False)
    shutil.rmtree(report["folder"])
    changed = pascal3d.build(tmp_path / "copy", tmp_path / "out", show_progress=False)
    assert changed["content"] != listing.digest
    found = pascal3d.read(tmp_path / "out")
    differing = [found.read_fn(i) != listing.read_fn(i) for i in range(len(listing.id))]
    assert sum(differing) == 1


def test_what_is_built_is_found(planted, output_dir, monkeypatch, capsys):
    def never(*args, **kwargs):
        raise AssertionError("nothing has to be read")

    monkeypatch.setattr(annotations, "read", never)
    monkeypatch.setattr(crops, "load", never)
    report = pascal3d.build(planted.root, output_dir, show_progress=False)
    assert report["folder"] == str(pascal3d.locate(output_dir))
    assert "Beside Table 2 of the paper" in capsys.readouterr().out


KILLED = """
    import os, signal, sys
    from catpose.data.pascal3d import crops, staging, tfds_builder
    from catpose.data.pascal3d import dataset as pascal3d
    staging.CHUNK = 4
    where, limit = sys.argv[3], int(sys.argv[4])

    def killing(function):
        calls = []
        def wrapped(*args):
            calls.append(None)
            if len(calls) > limit:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args)
        return wrapped

    if where == "crop":
        crops.cut = killing(crops.cut)
    elif where == "write":
        tfds_builder._example = killing(tfds_builder._example)
    else:
        pascal3d._verify = killing(pascal3d._verify)
    pascal3d.build(sys.argv[1], sys.argv[2], show_progress=False)
"""


@pytest.mark.reliability
@pytest.mark.parametrize(("where", "limit"), [("crop", 40), ("write", 50), ("verify", 0)])
def test_a_killed_build_goes_on(planted, listing, tmp_path, monkeypatch, where, limit):
    result = run(KILLED, planted.root, tmp_path, where, limit)
    assert result.returncode == -9, result.stderr
    with pytest.raises(InputError, match="no finished build of pascal3d, variant paper, in "):
        pascal3d.read(tmp_path)

    read = []
    original = annotations.read
    monkeypatch.setattr(staging, "CHUNK", 4)
    monkeypatch.setattr(annotations, "read", lambda *args: read.append(None) or original(*args))
    report = pascal3d.build(planted.root, tmp_path, show_progress=False)
    if where == "crop":
        assert 0 < len(read) < 60  # of 89; two threads and whole chunks
    else:
        assert not read
    same(pascal3d.read(tmp_path), listing)
    left = sorted(p.name for p in pathlib.Path(report["folder"]).parent.iterdir())
    assert left == [".lock", staging.VERSION]


FULL = """
    import resource, sys
    from catpose.data.pascal3d import dataset as pascal3d
    from catpose.data.pascal3d import staging
    from catpose.errors import InputError
    staging.CHUNK = 4
    limit = int(sys.argv[3])
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        pascal3d.build(sys.argv[1], sys.argv[2], show_progress=False)
    except InputError as error:
        print("TOLD", error)
"""


@pytest.mark.reliability
@pytest.mark.parametrize("limit", [10_000, 120_000, 200_000])
def test_a_full_disk(planted, listing, tmp_path, limit):
    """A limit on the size of files acts as a full disk: on chunks, on extras, on examples."""
    result = run(FULL, planted.root, tmp_path, limit)
    assert result.returncode == 0, result.stderr
    told = result.stdout.strip().splitlines()[-1]
    assert told.startswith(f"TOLD cannot write to {tmp_path}"), result.stdout + result.stderr
    assert "make room or give another --output_dir, then repeat the command" in told
    with pytest.raises(InputError, match="no finished build"):
        pascal3d.read(tmp_path)
    pascal3d.build(planted.root, tmp_path, show_progress=False)
    same(pascal3d.read(tmp_path), listing)


class Stop(BaseException):
    """What no code expects, such as Ctrl-C."""


@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), Stop()])
def test_a_build_that_was_stopped_goes_on(planted, listing, tmp_path, monkeypatch, error):
    """Without a process to kill: the disk is full, or the user has had enough, on file five."""
    monkeypatch.setattr(staging, "CHUNK", 8)
    written = []
    replace = os.replace

    def failing(source, target):
        if str(target).endswith(".npz"):
            if len(written) == 4:
                raise error
            written.append(target)
        replace(source, target)

    with monkeypatch.context() as context:
        context.setattr(os, "replace", failing)
        with pytest.raises(Stop if isinstance(error, Stop) else InputError) as caught:
            pascal3d.build(planted.root, tmp_path, show_progress=False)
    if isinstance(error, OSError):
        folder = tfds_builder.staged_dir(tmp_path, "pascal3d", "paper")
        assert str(caught.value).startswith(f"cannot write to {folder}: No space left on device;")
        assert not list(folder.glob("*.partial"))
    with pytest.raises(InputError, match="no finished build of pascal3d, variant paper, in "):
        pascal3d.read(tmp_path)

    read = []
    original = annotations.read
    monkeypatch.setattr(annotations, "read", lambda *args: read.append(None) or original(*args))
    pascal3d.build(planted.root, tmp_path, show_progress=False)
    # Every .mat file but those of the finished chunks, in which one image may have none.
    assert len(read) in (76 - 4 * 8, 77 - 4 * 8)
    same(pascal3d.read(tmp_path), listing)


def test_half_written_examples_are_noticed(planted, tmp_path, monkeypatch):
    """As if the disk had swallowed something without a word."""
    example = tfds_builder._example

    def damaged(columns, row, jpeg):
        return example(columns, row, jpeg[:-1] if row == 7 else jpeg)

    monkeypatch.setattr(tfds_builder, "_example", damaged)
    with pytest.raises(InputError, match=r"^1 of \d+ examples did not reach the disk .* whole$"):
        pascal3d.build(planted.root, tmp_path, show_progress=False)
    with pytest.raises(InputError, match="no finished build"):
        pascal3d.read(tmp_path)


def test_one_build_at_a_time(planted, tmp_path):
    with disk_cache.locked(tmp_path / "pascal3d" / "paper", "", str):
        with pytest.raises(InputError, match=r"^another build is at work in .*paper; wait for it$"):
            pascal3d.build(planted.root, tmp_path, show_progress=False)


def test_wrong_archives(planted, tmp_path):
    def told(folder, **options):
        with pytest.raises(InputError) as caught:
            pascal3d.build(folder, tmp_path / "out", show_progress=False, **options)
        assert "\n" not in str(caught.value)
        return str(caught.value)

    objectnet = miniature.write_objectnet3d(tmp_path).root
    assert "ObjectNet3D is ObjectNet3D, not PASCAL3D+ release 1.1: use --dataset=objectnet3d" in (
        told(objectnet)
    )
    assert "not ObjectNet3D: use --dataset=pascal3d" in told(planted.root, dataset="objectnet3d")
    assert told(tmp_path / "none").startswith(f"no folder {tmp_path / 'none'}; --manual_dir is ")
    packed = tmp_path / "packed"
    packed.mkdir()
    assert "is not PASCAL3D+ release 1.1, or not the whole of it: no Annotations, " in told(packed)
    (packed / "PASCAL3D+_release1.1.zip").touch()
    assert "is still packed; unpack it there: cd " in told(packed)
    shutil.copytree(planted.root, tmp_path / "half")
    shutil.rmtree(tmp_path / "half" / "PASCAL")
    assert f"no {releases.VOC_LISTS}; unpack PASCAL3D+_release1.1.zip" in told(tmp_path / "half")
    assert told(planted.root, dataset="pascal") == (
        "unknown dataset 'pascal'; known: pascal3d, objectnet3d"
    )
    assert told(planted.root, variant="hard") == (
        "pascal3d has no variant 'hard'; known: paper, easy, all, imagenet_val"
    )
    assert "has no variant 'imagenet_val'" in (
        told(objectnet, dataset="objectnet3d", variant="imagenet_val")
    )
    assert not (tmp_path / "out").exists()


def test_a_tree_without_anything_to_use(tmp_path):
    planted = miniature.write(tmp_path, quirks=False)
    shutil.rmtree(planted.root / "Annotations")
    (planted.root / "Annotations").mkdir()
    with pytest.raises(InputError, match="none of the 48 listed images has a usable object"):
        pascal3d.build(planted.root, tmp_path / "out", show_progress=False)
    for path in (planted.root / releases.VOC_LISTS).iterdir():
        path.unlink()
    for path in (planted.root / "Image_sets").iterdir():
        path.unlink()
    with pytest.raises(InputError, match="lists no images; unpack"):
        pascal3d.build(planted.root, tmp_path / "out", show_progress=False)


@pytest.mark.parametrize(
    "damage", ["index.npz", "cad.npz", "features.json", "record", "report.json"]
)
def test_damaged_builds(output_dir, tmp_path, damage):
    folder = tmp_path / "copy"
    shutil.copytree(pascal3d.locate(output_dir), folder)
    if damage == "record":
        next(folder.glob("*train.array_record*")).unlink()
    elif damage == "report.json":
        (folder / damage).write_text("{")
    else:
        (folder / damage).write_bytes(b"")
    with pytest.raises(InputError, match=r"is damaged|cannot read .*report\.json"):
        pascal3d.read(folder)


def test_builds_there_are_named(output_dir, tmp_path):
    with pytest.raises(InputError, match=r"no finished build of objectnet3d.*; there are .*paper"):
        pascal3d.read(output_dir, dataset="objectnet3d")
    with pytest.raises(InputError, match=r"make it with python -m launch.prepare --dataset=pasc"):
        pascal3d.read(tmp_path)
