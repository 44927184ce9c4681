"""Rows of a manifest with a category alone, or an azimuth alone, teach what they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catpose.configs import base
from catpose.data import labels, manifest
from catpose.data.batch import Batch
from catpose.data.examples import POSE_LABELS
from catpose.errors import InputError
from catpose.geometry import viewpoint
from catpose.poses import azimuth
from catpose.training import input_pipeline, phase_run, step
from tests.support import tiny

NONE, AZIMUTH, WHOLE = range(3)
ROWS = """file,category,split,azimuth_deg,elevation_deg,theta_deg
a.jpg,car,train,30,10,5
a.jpg,car,train,,,
a.jpg,bus,train,200,,
a.jpg,bus,val,30,10,5
"""


def write(folder, text):
    (folder / "a.jpg").write_text("a")
    (folder / "manifest.csv").write_text(text)
    return folder


def test_a_manifest_says_what_is_known(tmp_path):
    read = manifest.read(write(tmp_path, ROWS))
    assert read.pose_label.tolist() == [WHOLE, NONE, AZIMUTH, WHOLE]
    assert POSE_LABELS == ("none", "azimuth", "whole")
    turned, _, _ = viewpoint.angles_from_rotation(jnp.asarray(read.rotation[2:3]))
    np.testing.assert_allclose(np.degrees(turned), 200, atol=1e-4)
    assert "1 have no pose" in read.notes[-1]
    with pytest.raises(InputError, match="2 objects have no pose or an azimuth alone"):
        labels.read(tmp_path, "train")
    assert len(labels.read(tmp_path, "val").id) == 1
    whole = manifest.read(
        write(tmp_path, ROWS.replace(",,,", ",1,2,3").replace("200,,", "200,1,2"))
    )
    assert whole.pose_label is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("a.jpg,bus,val,30,10,5", "a.jpg,bus,val,30,,", "line 5"),
        ("a.jpg,bus,val,30,10,5", "a.jpg,bus,val,,,", "line 5"),
        ("a.jpg,car,train,30,10,5", "a.jpg,car,train,,10,5", "line 2"),
        (",azimuth_deg,elevation_deg,theta_deg", "", "no pose"),
    ],
)
def test_other_rows_need_a_whole_pose(tmp_path, old, new, message):
    text = ROWS.replace(old, new)
    if "azimuth" not in text:
        text = "\n".join(",".join(line.split(",")[:3]) for line in text.splitlines())
    with pytest.raises(InputError, match=message):
        manifest.read(write(tmp_path, text))


def partial_split():
    whole = tiny.split(48, 0)
    label = np.full(48, WHOLE, np.int8)
    label[::3], label[1::3] = NONE, AZIMUTH
    return whole._replace(pose_label=label)


def whole_batch(run, phase):
    """A batch's labels, and outputs of the network at its start."""
    records = input_pipeline.whole_batch(run, phase, 0)["train"]
    given = {name: getattr(records, name) for name in Batch._fields if name in records._fields}
    batch = Batch(**jax.tree.map(jnp.asarray, given | {"image": None}), features=None)
    image = jnp.zeros((16, *run.model.input_spec.image.shape[1:]))
    network = run.model.network
    variables = network.init_fn(jax.random.key(0), run.model.input_spec.image)
    return records, batch, network.apply_fn(variables, image)[0]


def test_the_joint_setting_learns_the_joint_density(tmp_path):
    settings = tiny.config([tiny.phase(**base.JOINT_DENSITY)], pose="matrix_fisher_mixture")
    run = tiny.run(settings, tmp_path)
    (phase,) = run.phases
    records, batch, outputs = whole_batch(run, phase)
    pose, category = phase_run.objective_fns(run, phase)["loss_fn"](outputs, batch)
    own = np.arange(16), records.category
    joint = jax.nn.log_softmax(outputs.category_logits)[own]
    joint += run.model.pose.density.log_density(outputs.pose_outputs[own], batch.rotation)
    got = phase.pose_weight * pose + phase.category_weight * category
    np.testing.assert_allclose(got, -joint, atol=1e-5)
    tiny.take_two_steps(run)


def test_the_step_learns_from_what_is_known(tmp_path):
    settings = tiny.config([tiny.phase(**base.JOINT_DENSITY)], pose="matrix_fisher")
    splits = {"train": partial_split(), "validation": tiny.split(24, 1)}
    run = tiny.run(settings, tmp_path, splits)
    (phase,) = run.phases
    records, batch, outputs = whole_batch(run, phase)
    label = partial_split().pose_label[records.index]
    np.testing.assert_array_equal(records.pose_weight, label != NONE)
    np.testing.assert_array_equal(records.azimuth_only, label == AZIMUTH)
    tiny.take_two_steps(run)

    loss_fn = phase_run.objective_fns(run, phase)["loss_fn"]
    plain_fn = step.phase_loss(run.model.pose, phase)
    pose_loss, _ = loss_fn(outputs, batch)
    plain, _ = plain_fn(outputs, batch)
    own = outputs.pose_outputs[np.arange(16), records.category]
    marginal = azimuth.log_density(run.model.pose.density, own, batch.rotation, "upright")
    np.testing.assert_allclose(pose_loss, np.where(label == AZIMUTH, -marginal, plain), atol=1e-5)


def test_an_azimuth_needs_a_density(tmp_path):
    splits = {"train": partial_split(), "validation": tiny.split(24, 1)}
    with pytest.raises(InputError, match="azimuth alone is known"):
        tiny.run(tiny.config([tiny.phase()]), tmp_path, splits)
