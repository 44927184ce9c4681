"""How a model answers, with a network whose outputs are given."""

import dataclasses
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from catpose import inference, predict
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import build
from catpose.geometry import viewpoint
from catpose.models import architectures
from catpose.models.fusion import FUSIONS
from catpose.poses import euler_bins
from catpose.training import input_pipeline, phase_run
from tests.support import tiny


@pytest.mark.parametrize(("fusion", "expected"), [("mixture", 0), ("joint", 1)])
def test_the_category_beside_a_pose_is_that_of_the_pose(fusion, expected):
    """P(c) is 0.6 and 0.4, the best pose of category 0 has 1/27, that of category 1 nearly 1."""
    pose = euler_bins.make(num_bins=(3,), fusion=fusion)
    raw = np.zeros((1, 2, 9), np.float32)
    raw[0, 1, ::3] = 40.0
    outputs = architectures.Outputs(
        features=jnp.zeros((1, 1)),
        category_logits=jnp.log(jnp.array([[0.6, 0.4]])),
        pose_outputs=pose.activate(jnp.asarray(raw)),
    )
    network = types.SimpleNamespace(apply_fn=lambda *_, **__: (outputs, {}), knows_others=False)
    spec = InputSpec(32, 1.0, "none", "upright")
    model = build.Model(network, pose, ("cup", "jug"), spec)
    found = inference.answer(model, {}, None, category=jnp.array([1]), fusions=FUSIONS)
    said = {name: category.tolist() for name, category in found.category.items()}
    # The oracle is told the category: beside its pose is the most probable one.
    assert said == {"weighted": [expected], "top1": [0], "oracle": [0]}

    crop = np.zeros((32, 32, 3), np.uint8)
    (prediction,) = predict.from_variables(model, {}).from_crops([crop])
    assert prediction.category == model.categories[expected]
    assert prediction.confidence == prediction.probabilities[prediction.category]
    if fusion == "joint":
        own = pose.to_rotation(outputs.pose_outputs)[0, expected]
        own = viewpoint.convert_frame(own, "upright", "camera")
        np.testing.assert_allclose(prediction.rotation, own, atol=1e-6)


def test_a_mirrored_picture_has_the_mirrored_answer():
    """With any network, whatever it answers to the two pictures alone."""
    settings = tiny.config([tiny.phase()], pose="matrix_fisher")
    settings.eval.mirror = True
    model = build.build_model(tiny.read(settings), tiny.CATEGORIES)
    image = model.input_spec.normalize(jnp.asarray(tiny.split(3, 0).image))
    variables = model.network.init_fn(jax.random.key(0), image)
    here, there = (
        inference.answer(model, variables, x, fusions=("weighted", "top1"))
        for x in (image, image[:, :, ::-1])
    )
    np.testing.assert_allclose(here.probabilities, there.probabilities, atol=1e-6)
    for name in ("weighted", "top1"):
        rotation = here.rotation[name]
        np.testing.assert_allclose(viewpoint.mirror(rotation), there.rotation[name], atol=1e-4)
    plain = inference.answer(model._replace(mirrors=False), variables, image, fusions=("weighted",))
    assert np.abs(plain.rotation["weighted"] - here.rotation["weighted"]).max() > 1e-2
    settings.model.pose = "axis_angle"
    with pytest.raises(InputError, match="'axis_angle' has no outputs of mirrored pictures"):
        build.build_model(tiny.read(settings), tiny.CATEGORIES)


def test_cached_features_have_the_answer_of_their_images(tmp_path):
    """That of the mean over both pictures too, which differs from that of one."""
    heads = (tiny.CATEGORY, tiny.POSE)
    phase = {"train": heads, "batch_norm": heads, "cached_features": True, "views": ("mirror",)}
    phase["pose_loss"] = "nll"
    settings = tiny.config([tiny.phase(**phase)], pose="matrix_fisher")
    settings.data.cache_dir = str(tmp_path)
    answers = []
    for mirror in (True, False):
        settings.eval.mirror = mirror
        run = tiny.run(settings, tmp_path)
        state, (phase,) = phase_run.initial_state(run), run.phases
        on_images = dataclasses.replace(phase, cached_features=False, views=())
        for each in (phase, on_images):
            found = input_pipeline.evaluate_split(run, "test", each, state)
            answers.append(np.append(found.pose_outputs, found.category_logits))
    np.testing.assert_allclose(answers[0], answers[1], atol=1e-5)
    np.testing.assert_allclose(answers[2], answers[3], atol=1e-5)
    assert np.abs(answers[0] - answers[2]).max() > 1e-2
