"""Settings of pose representations in a config, and the dictionary that a run keeps."""

import jax.numpy as jnp
import numpy as np
import pytest

from catpose.errors import InputError
from catpose.experiment import build, workdir
from catpose.geometry import viewpoint
from catpose.poses import dictionary
from catpose.training import run_setup
from tests.support import tiny


def config(name, keys=0, frame="upright", **settings):
    found = tiny.config([tiny.phase()], pose=name, pose_keys=keys)
    found.model.pose_settings.update(settings)
    found.frame = frame
    return found


def test_a_run_keeps_the_dictionary_of_its_training_split(tmp_path, monkeypatch):
    settings, split = config("bin_delta", keys=5, delta="per_bin"), tiny.split(30, 0)
    data = run_setup.Dataset(tiny.CATEGORIES, {"train": split, "validation": tiny.split(8, 1)})
    monkeypatch.setattr(run_setup.datasets, "load_dataset", lambda *args, **kwargs: data)
    with workdir.opened(tmp_path, tiny.read(settings)):
        run = run_setup.prepare(tiny.read(settings), tmp_path, show_progress=False)
    assert run.model.pose.num_outputs == 5 + 15
    target = viewpoint.convert_frame(jnp.asarray(split.rotation), "camera", "upright")
    expected, _ = dictionary.fit(np.asarray(target), 5, seed=settings.seed)
    np.testing.assert_array_equal(run.model.keys, expected)
    # A run that goes on, and a prediction, read it, whatever the data are by then.
    np.save(tmp_path / workdir.KEYS, expected[::-1])
    again = run_setup.assemble(tiny.read(settings), tmp_path, data, show_progress=False)
    np.testing.assert_array_equal(again.model.keys, expected[::-1])
    read = workdir.read_config(tmp_path)
    model = build.build_model(read, tiny.CATEGORIES, workdir.read_keys(tmp_path))
    assert model.pose.num_outputs == 20
    with pytest.raises(InputError, match="pose_keys.npy"):
        build.build_model(read, tiny.CATEGORIES)
    # A folder that has not begun to train may change its config, and then its dictionary.
    with workdir.opened(tmp_path, tiny.read(config("bin_delta", keys=3))):
        assert workdir.read_keys(tmp_path) is None


def test_settings_and_frame_reach_the_representation():
    assert build.build_pose(tiny.read(config("euler_bins", num_bins=(4,)))).num_outputs == 12
    assert build.build_pose(tiny.read(config("bin_delta"))).num_outputs == 24 + 3
    angles = jnp.radians(jnp.array([[70.0, 30.0, 20.0]]))
    for frame in viewpoint.FRAMES:
        regressed = build.build_pose(tiny.read(config("euler", frame=frame))).to_rotation(angles)
        expected = viewpoint.rotation_from_angles(*angles.T, frame=frame)
        np.testing.assert_allclose(regressed, expected, atol=1e-6)
        pose = build.build_pose(tiny.read(config("fine_bins", frame=frame)))
        outputs = jnp.full((1, 3, 360), -9.0).at[0, jnp.arange(3), jnp.array([70, 30, 20])].set(0)
        np.testing.assert_allclose(pose.to_rotation(outputs.reshape(1, -1)), expected, atol=1e-6)


@pytest.mark.parametrize(
    ("name", "keys", "settings", "message"),
    [
        ("axis_angle", 0, {"num_bins": 3}, "has no settings"),
        ("axis_angle", 3, {}, "pose_keys is 3, but .axis_angle. is not made of key rotations"),
        ("multibin", 0, {"bins": 3}, "unexpected keyword argument 'bins'"),
        ("multibin", 0, {"overlap": 0.9}, "overlap 0.9"),
        ("nothing", 0, {}, "it can be axis_angle"),
    ],
)
def test_wrong_settings_are_told(name, keys, settings, message):
    with pytest.raises(InputError, match=message):
        build.build_pose(tiny.read(config(name, keys, **settings)))


def test_too_few_rotations_for_the_dictionary_are_told():
    same = np.tile(np.eye(3, dtype=np.float32), (9, 1, 1))
    with pytest.raises(InputError, match="1 different rotations do not make 2 bins"):
        build.fit_keys(tiny.read(config("bin_delta", keys=2)), same)
