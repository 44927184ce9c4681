"""What is kept, what is passed over, and what a checkpoint of something else says."""

import json
import logging
import pathlib
import re
import shutil
from typing import NamedTuple

import numpy as np
import orbax.checkpoint as ocp
import pytest
from absl import logging as absl_logging
from jax import numpy as jnp

from catpose.errors import InputError
from catpose.experiment import checkpoint, exported


class State(NamedTuple):
    step: object
    params: object
    opt_state: object = ()


def state(value, width=3):
    generator = np.random.default_rng(value)
    return State(
        jnp.int32(value),
        {"a/b": generator.normal(size=(2, width)).astype(np.float32), "c": {"d": np.float64(0.1)}},
        ({"mu": jnp.arange(3.0), "key": np.arange(2, dtype=np.uint32)},),
    )


RUN = pathlib.Path("/run")


def saved(folder, scores):
    with checkpoint.open_manager(folder) as manager:
        for step, score in scores.items():
            checkpoint.save(manager, step, state(step), score)
        manager.wait_until_finished()


def steps_on_disk(folder):
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())


@pytest.mark.parametrize(
    ("scores", "kept", "best"),
    [
        ({2: 30.0, 4: 20.0, 6: None, 8: 25.0, 10: None}, [4, 8, 10], 4),
        ({2: 30.0, 4: 20.0, 6: 10.0}, [4, 6], 6),
        ({2: None, 4: None, 6: None}, [4, 6], None),
        ({2: 30.0, 4: None, 6: float("nan"), 8: None}, [2, 6, 8], 2),
        ({2: 20.0, 4: 30.0, 6: 20.0}, [4, 6], 6),
    ],
)
def test_best_and_last_are_kept(tmp_path, scores, kept, best):
    folder = tmp_path / "checkpoints"
    saved(folder, scores)
    assert steps_on_disk(folder) == kept
    # A later process finds the same, and so does who reads.
    with checkpoint.open_manager(folder) as manager:
        assert manager.latest_step() == max(scores)
        assert manager.best_step() == best
    assert checkpoint.read_run(tmp_path, best=False)[0] == max(scores)
    assert checkpoint.read_run(tmp_path, best=False, prefers_best=True)[0] == (best or max(scores))
    if best:
        assert checkpoint.read_run(tmp_path, best=True)[0] == best
    else:
        with pytest.raises(InputError, match="has no validated checkpoint; leave out --best"):
            checkpoint.read_run(tmp_path, best=True)


def test_what_is_read_is_what_was_saved(tmp_path):
    saved(tmp_path, {5: None})
    with checkpoint.open_manager(tmp_path) as manager:
        arrays = checkpoint.read(manager, 5)
    wanted = state(5)
    found = checkpoint.restore(arrays, wanted)
    assert isinstance(found, State)
    np.testing.assert_array_equal(found.params["a/b"], wanted.params["a/b"])
    assert found.params["a/b"].dtype == np.float32
    assert found.params["c"]["d"] == np.float64(0.1)
    assert found.opt_state[0]["key"].dtype == np.uint32
    assert int(found.step) == 5
    part = checkpoint.restore(arrays, wanted.params, "params")
    np.testing.assert_array_equal(part["a/b"], wanted.params["a/b"])


def test_half_written_checkpoints_are_passed_over_and_removed(tmp_path):
    folder = tmp_path / "checkpoints"
    saved(folder, {3: None})
    half = folder / "7.orbax-checkpoint-tmp"
    (half / "default").mkdir(parents=True)
    (half / "default" / "manifest.ocdbt").write_bytes(b"\0" * 10)
    assert checkpoint.read_run(tmp_path, best=False)[0] == 3
    assert half.is_dir()
    with checkpoint.open_manager(folder) as manager:
        assert manager.latest_step() == 3
        checkpoint.save(manager, 7, state(7), None)
        manager.wait_until_finished()
    assert sorted(path.name for path in folder.iterdir()) == ["3", "7"]


def test_a_folder_without_checkpoints_has_none(tmp_path):
    with checkpoint.open_manager(tmp_path / "new") as manager:
        assert manager.latest_step() is None
        assert manager.best_step() is None


def test_the_first_leaf_that_differs_is_named():
    kernel, rate = np.zeros((2, 3), np.float32), np.array(0.1)
    arrays = {"step": np.array(1), "params.a/b": kernel, "params.c.d": rate}

    def restore(**params):
        return checkpoint.restore(arrays, State(np.array(0), params))

    restore(**{"a/b": kernel, "c": {"d": rate}})
    with pytest.raises(InputError, match=r"'params.a/b' has shape \(2, 3\) .* \(2, 4\) in this"):
        restore(**{"a/b": np.ones((2, 4)), "c": {"d": rate}})
    with pytest.raises(InputError, match="no 'params.e'"):
        restore(**{"a/b": kernel, "c": {"d": rate}, "e": rate})
    with pytest.raises(InputError, match="has 'params.c.d', which this network"):
        restore(**{"a/b": kernel})
    with pytest.raises(InputError, match="has 'params.c.d', which this network"):
        checkpoint.restore(arrays, {"a/b": kernel}, "params")


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """A folder with the best checkpoint, 2, and the last, 6."""
    folder = tmp_path_factory.mktemp("two") / "checkpoints"
    saved(folder, {2: 30.0, 6: None})
    return folder


@pytest.fixture
def damaged(two, tmp_path):
    """A copy of it in which one file of the last checkpoint is changed."""

    def change(name, content_fn):
        folder = shutil.copytree(two, tmp_path / "run" / "checkpoints")
        path = max(folder.glob(name), key=lambda path: path.stat().st_size)
        path.write_bytes(content_fn(path.read_bytes()))
        return folder

    return change


DAMAGES = [
    ("6/default/_METADATA", lambda content: content[: len(content) // 2]),
    ("6/default/d/*", lambda content: b""),
    ("6/default/manifest.ocdbt", lambda content: b""),
]


@pytest.mark.parametrize(("name", "content_fn"), DAMAGES)
def test_a_damaged_checkpoint_is_named_and_set_aside(damaged, name, content_fn, capfd):
    run = damaged(name, content_fn).parent
    for _ in range(2):  # what reads changes nothing
        assert checkpoint.read_run(run, best=False)[0] == 2
        (line,) = capfd.readouterr().err.splitlines()
        assert re.match(r"the checkpoint .*/6 is damaged \(.*that of step 2 is used; copy it", line)
    assert checkpoint.read_run(run, best=True)[0] == 2
    assert capfd.readouterr().err == ""  # it is not asked for
    (run / "report.json").touch()
    checkpoint.set_damaged_aside(run)
    (line,) = capfd.readouterr().err.splitlines()
    assert re.match(r"the checkpoint .*/6 is damaged \(.*it is moved to .*/run/damaged, and", line)
    assert (run / "damaged" / "6" / "default").is_dir()
    # It was of the damaged one.
    assert (run / "damaged" / "report.json").is_file()
    assert not (run / "report.json").exists()
    assert checkpoint.read_run(run, best=False)[0] == 2
    checkpoint.set_damaged_aside(run)
    assert capfd.readouterr().err == ""


def test_none_that_is_whole(damaged):
    run = damaged(*DAMAGES[0]).parent
    shutil.rmtree(run / "checkpoints" / "2")
    with pytest.raises(InputError, match=r"/6 is damaged .*; copy it again, or give the comm"):
        checkpoint.read_run(run, best=False)
    checkpoint.set_damaged_aside(run)
    with pytest.raises(InputError, match="has no checkpoint yet; train first"):
        checkpoint.read_run(run, best=False)


@pytest.mark.parametrize(
    "content",
    ['{"score": 3', '{"score": 31.0, "crc32": CRC}', '{"score": 31.0, "crd32": CRC}', "3"],
)
def test_damaged_scores_are_set_aside_too(two, tmp_path, content, capfd):
    folder = shutil.copytree(two, tmp_path / "checkpoints")
    path = folder / "2" / "metrics" / "metrics"
    path.write_text(content.replace("CRC", str(json.loads(path.read_text())["crc32"])))
    with pytest.raises(InputError, match="/2 is damaged .*; leave out --best; copy it again"):
        checkpoint.read_run(tmp_path, best=True)
    # It may have been the best.
    assert checkpoint.read_run(tmp_path, best=False, prefers_best=True)[0] == 6
    assert "/2 is damaged" in capfd.readouterr().err
    checkpoint.set_damaged_aside(tmp_path)
    assert checkpoint.read_run(tmp_path, best=False, prefers_best=True)[0] == 6
    assert not (folder / "2").exists()


def test_a_score_of_an_earlier_version_has_no_checksum(two, tmp_path):
    folder = shutil.copytree(two, tmp_path / "checkpoints")
    (folder / "2" / "metrics" / "metrics").write_text('{"score": 31.0}')
    assert checkpoint.read_run(tmp_path, best=True)[0] == 2


def test_a_checkpoint_says_what_it_is_of(tmp_path):
    wanted = state(5)
    about = {"names.json": np.arange(3, dtype=np.uint8)}
    with checkpoint.open_manager(tmp_path) as manager:
        checkpoint.save(manager, 5, wanted, None, about)
        manager.wait_until_finished()
        arrays = checkpoint.read(manager, 5)
    with pytest.raises(InputError, match=r"/run/names.json is not what the checkpoint is of"):
        checkpoint.check_about({**arrays}, {"names.json": np.arange(4, dtype=np.uint8)}, RUN)
    checkpoint.check_about(arrays, about, RUN)
    checkpoint.restore(arrays, wanted)
    checkpoint.check_about({}, about, RUN)  # of an earlier version


def test_other_values_than_those_that_were_saved(two, monkeypatch, capfd):
    """As after a flipped bit, wherever in the files it is."""
    restore = ocp.StandardCheckpointer.restore

    def changed(self, path):
        arrays = restore(self, path)
        if path.parent.name == "6":
            arrays["params.a/b"] = np.nextafter(arrays["params.a/b"], np.float32(9))
        return arrays

    assert checkpoint.read_run(two.parent, best=False)[0] == 6
    monkeypatch.setattr(ocp.StandardCheckpointer, "restore", changed)
    assert checkpoint.read_run(two.parent, best=False)[0] == 2
    assert "6 is damaged (its checksum is another): that of step 2" in capfd.readouterr().err


def test_a_disk_that_fills_up(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=10)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage)
    with pytest.raises(InputError, match="has no room for a checkpoint of 0.0 MB; make room"):
        saved(tmp_path, {2: None})
    with pytest.raises(InputError, match="cannot write the checkpoints in .*: RESOURCE_EXHAUSTED"):
        with checkpoint.write_errors(tmp_path):
            raise ValueError('RESOURCE_EXHAUSTED: Error opening "zarr" driver: No space left')
    with pytest.raises(ValueError, match="^another$"), checkpoint.write_errors(tmp_path):
        raise ValueError("another")


def test_orbax_is_quiet_and_others_are_not(two, caplog):
    checkpoint.read_run(two.parent, best=False)
    assert not caplog.records
    absl_logging.warning("of the user's own")
    assert [record.message for record in caplog.records] == ["of the user's own"]


def test_other_arrays_that_cannot_be_read_are_not_logged(caplog):
    logger = logging.getLogger("asyncio")
    for text in ('DATA_LOSS: Error opening "zarr" driver', "of the user's own"):
        logger.error("Future exception was never retrieved", exc_info=ValueError(text))
    assert [str(record.exc_info[1]) for record in caplog.records] == ["of the user's own"]


def test_an_export_that_is_damaged(two, tmp_path):
    exported.write(*checkpoint.read_run(two.parent, best=False), tmp_path)
    path = tmp_path / exported.WEIGHTS
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(InputError, match="weights.safetensors is damaged or half downloaded"):
        checkpoint.read_run(tmp_path, best=False)
