"""The look ahead before a long run."""

import dataclasses

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.training import phase_run, preflight
from tests.support import tiny


def settings(cache_dir):
    stored = tiny.phase(
        "stored",
        30,
        train=(tiny.CATEGORY, tiny.POSE),
        batch_norm=(tiny.CATEGORY, tiny.POSE),
        cached_features=True,
        views=("identity", "mirror"),
    )
    config = tiny.config([stored, tiny.phase("joint", 50)])
    config.data.cache_dir = str(cache_dir)
    config.eval.every_steps = 20
    return config


def test_every_part_is_tried_and_nothing_is_left(tmp_path):
    run = tiny.run(settings(tmp_path / "cache"), tmp_path / "run")
    run.workdir.mkdir()
    found = list(preflight.findings(run))
    assert [finding.text.split(":")[0] for finding in found] == [
        "devices",
        "images of 4 categories",
        "features of train",
        "phase 'stored'",
        "phase 'joint'",
        "evaluation of validation",
        "evaluation of test",
    ]
    assert "96 images and views" in found[2].text
    assert "30 steps of 16 images" in found[3].text
    # Validated at steps 0, 20, 40 and 60, and at the end.
    assert "24 images, 5 times" in found[5].text
    assert all(finding.seconds > 0 for finding in found[2:])
    assert not list(run.workdir.iterdir())
    assert not (tmp_path / "cache").exists()


def test_features_of_a_split_and_view_count_once(tmp_path, monkeypatch):
    run = tiny.run(settings(tmp_path), tmp_path)
    monkeypatch.setattr(preflight, "_seconds", lambda work: 1.0)
    stored, state, timed = run.phases[0], phase_run.initial_state(run), set()

    def counted(**changes):
        phase = dataclasses.replace(stored, **changes)
        return [
            one.text.partition(" images")[0]
            for one in preflight._features(run, phase, state, timed)
        ]

    assert counted() == ["features of train: 96"]
    assert counted() == []
    both = {"train": 8, "validation": 8}
    assert counted(sources=both) == ["features of validation: 48"]
    assert counted(sources=both, views=("mirror", "left")) == [
        "features of train: 48", "features of validation: 24",
    ]  # fmt: skip


def test_what_would_stop_the_run_is_told(tmp_path):
    splits = {"train": tiny.split(48, 0)}
    splits["train"].rotation[:] = np.nan
    config = tiny.config([tiny.phase()])
    run = tiny.run(config, tmp_path, splits)
    with pytest.raises(InputError, match=r"Non-finite values are in train: \d+\.png"):
        list(preflight.findings(run))


def test_shares_and_evaluations_count(tmp_path, monkeypatch):
    """As in configs/own.py: every training, one computation of features, both views to answer by.

    One second is what everything takes once.
    """
    config = settings(tmp_path)
    config.phases[0].pose_loss, config.model.pose = "nll", "matrix_fisher"
    config.phases = config.phases[:1]
    config.eval.update(shares=(0.25, 0.5), mirror=True)
    monkeypatch.setattr(preflight, "_seconds", lambda work: 1.0)
    texts = [finding.text for finding in preflight.findings(tiny.run(config, tmp_path))]
    assert texts[2] == "trained 3 times: on all images, and on 12, 24 of train"
    assert "features of train: 96 images" in texts[3]
    assert "3 times 30 steps" in texts[4]
    assert "features of validation: 48 images" in texts[5]
    # Validated at steps 0 and 20, and at the end.
    assert "24 images, 9 times" in texts[6]
    assert "features of test: 40 images" in texts[7]
    assert "20 images, 3 times" in texts[8]
