"""How a model answers, with a network whose outputs are given."""

import types

import jax.numpy as jnp
import numpy as np
import pytest

from catpose import inference, predict
from catpose.data.input_spec import InputSpec
from catpose.experiment import build
from catpose.geometry import viewpoint
from catpose.models import architectures
from catpose.poses import euler_bins


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
    found = inference.answer(model, {}, None, category=jnp.array([1]))
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
