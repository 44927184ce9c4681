"""Training that a page starts."""

import pathlib
import shlex
import time

import pytest

from catpose.errors import InputError
from catpose.pages import objects, training


def finished(own):
    """Waits for the end."""
    for _ in range(600):
        state = own.state()
        if state["status"] != "running":
            return state
        time.sleep(0.1)
    raise AssertionError(state)


def test_the_command_can_be_typed():
    words = training.arguments(pathlib.Path("my photos"), pathlib.Path("runs/a-1"), {"mug": "z"})
    typed = training.command(words)
    assert shlex.split(typed) == ["catpose", *words]
    assert "'--config.data.root=my photos'" in typed
    assert "symmetry" not in training.command(training.arguments(*[pathlib.Path()] * 2))
    words = training.arguments(pathlib.Path("x"), pathlib.Path("y"), plugins=("mine", "others"))
    assert words[-1] == "--plugins=mine,others"


def test_each_training_has_its_own_run(tmp_path):
    assert training.next_run("mugs", tmp_path) == tmp_path / "mugs-1"
    (tmp_path / "mugs-1").mkdir()
    assert training.next_run("mugs", tmp_path) == tmp_path / "mugs-2"


def test_symmetries_are_those_of_labeled_objects():
    given = (
        objects.Object(1, "labeled", "mug", (0, 0, 0), None, "z"),
        objects.Object(2, "draft", "bowl", (0, 0, 0), None, "z"),
        objects.Object(3, "labeled", "car", (0, 0, 0)),
    )
    assert training.symmetries({"a.jpg": objects.Photo(given)}) == {"mug": "z"}


def test_each_split_is_counted():
    def labeled(split, state="labeled"):
        return objects.Object(1, state, "car", (0, 0, 0), row={"split": split})

    photos = {
        "a.jpg": objects.Photo((labeled("train"), labeled("train"), labeled("train", "no pose"))),
        "b.jpg": objects.Photo((labeled("val"), objects.Object(2, "skipped"))),
    }
    assert training.splits(photos) == {"train": 2, "validation": 1, "test": 0}


def test_one_training_at_a_time_and_its_end(tmp_path):
    own = training.Training()
    assert own.state() == {"status": "none"}
    own.start(["config", "--help"], tmp_path)
    with pytest.raises(InputError, match="a training is under way"):
        own.start(["config", "--help"], tmp_path)
    state = finished(own)
    assert state["status"] == "finished"
    own.start(["no-such-command"], tmp_path)
    state = finished(own)
    assert state["status"] == "failed"
    assert "unknown command 'no-such-command'" in " ".join(state["lines"])


def test_a_training_that_is_stopped_has_not_failed(tmp_path, monkeypatch):
    stub = tmp_path / "python"
    stub.write_text("#!/bin/sh\nexec sleep 60\n")
    stub.chmod(0o755)
    monkeypatch.setattr(training.sys, "executable", str(stub))
    own = training.Training()
    own.start([], tmp_path)
    assert own.state()["status"] == "running"
    own.stop()
    assert finished(own)["status"] == "stopped"
