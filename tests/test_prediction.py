"""What a calibrated network says of one photo, and how it is drawn."""

import json
import types

import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from catpose import predict, prediction
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import build, calibration
from catpose.geometry import viewpoint
from catpose.models import architectures
from catpose.poses import POSES

NAMES = ("cup", "jug")
FRONT, BACK = (
    viewpoint.rotation_from_angles(jnp.radians(a), jnp.radians(10.0), jnp.array(0.0), "upright")
    for a in (0.0, 180.0)
)
CALIBRATION = calibration.Calibration(2.0, 0.5, calibration.Sets((), (), ()), 0, {})


def predictor(pose="matrix_fisher", calibrated=CALIBRATION, **settings):
    """A network that always sees a cup from the front, or else from behind."""
    logits = jnp.log(jnp.array([[0.9, 0.1]]))
    outputs = jnp.stack([40 * FRONT.reshape(9), 40 * BACK.reshape(9)])[None]
    outputs = outputs if pose == "matrix_fisher" else outputs[..., :3]
    answer = architectures.Outputs(jnp.zeros((1, 1)), logits, outputs)
    network = types.SimpleNamespace(apply_fn=lambda *_, **__: (answer, {}), knows_others=False)
    model = build.Model(network, POSES[pose], NAMES, InputSpec(32, 1.0, "none", "upright"))
    model = model._replace(calibration=calibrated, fusion="top1")
    return predict.from_variables(model, {}, **settings)


PHOTO = np.full((200, 300, 3), 90, np.uint8)


@pytest.fixture(scope="module")
def found():
    return predictor()(PHOTO)


def test_confidence_is_calibrated_and_alternatives_are_named(found):
    # Temperature 2 makes 9 to 1 a 3 to 1.
    assert found.probabilities == pytest.approx({"cup": 0.75, "jug": 0.25}, abs=1e-5)
    assert found.confidence == pytest.approx(0.75, abs=1e-5)
    assert found.category == "cup"
    (other,) = found.alternatives
    assert other.category == "jug"
    assert (other.azimuth_deg, other.elevation_deg) == pytest.approx((180, 10), abs=0.05)
    # Both densities have nearly all of their mass within 30 degrees.
    assert other.probability == pytest.approx(0.25, abs=0.015)
    assert found.pose_confidence == pytest.approx(0.75, abs=0.015)
    assert found.remark == ""
    turned = Rotation.from_matrix(found.rotation) * Rotation.from_matrix(other.rotation).inv()
    assert np.degrees(turned.magnitude()) > 150


def test_another_level_asks_for_another_error(found):
    narrow = predictor(within_deg=5.0)(PHOTO)
    assert narrow.pose_confidence < 0.5 < found.pose_confidence
    assert narrow.within_deg == 5.0
    assert narrow.remark == "unsure of the pose"
    with pytest.raises(InputError, match="within_deg is 181"):
        predictor(within_deg=181.0)


def test_json_has_all_but_the_density(found):
    read = json.loads(json.dumps(found.to_json()))
    assert read["alternatives"][0]["category"] == "jug"
    assert read["pose_confidence"] == found.pose_confidence
    assert "belief" not in read


@pytest.mark.parametrize(
    ("settings", "note"),
    [
        ({"pose": "axis_angle", "calibrated": None}, "have no density"),
        ({"calibrated": None}, "not calibrated"),
    ],
)
def test_what_is_not_calibrated_says_no_confidence_and_why(settings, note):
    plain = predictor(**settings)
    assert note in plain.note
    found = plain(PHOTO)
    assert found.pose_confidence is None
    assert (found.alternatives, found.belief) == ((), None)
    assert found.confidence == pytest.approx(0.9)


def test_another_pose_is_drawn_faintly_and_doubt_is_written(found):
    draw = predictor().draw
    alone = found._replace(alternatives=())
    pictures = [np.asarray(draw(PHOTO, None, each), int) for each in (found, alone)]
    # Its front arrow is the front's, turned around: changed, but not to a full color.
    changed = (pictures[0] != pictures[1]).any(-1)
    assert 0.003 < changed.mean() < 0.2
    assert prediction.second(found).category == "jug"
    rare = found.alternatives[0]._replace(probability=0.1)
    assert prediction.second(found._replace(alternatives=(rare,))) is None
    same = found.alternatives[0]._replace(rotation=found.rotation)
    assert prediction.second(found._replace(alternatives=(same,))) is None
    doubt = found._replace(pose_confidence=0.3, alternatives=())
    written = np.asarray(draw(Image.fromarray(PHOTO), None, doubt), int)
    assert (written != pictures[1]).any(-1)[:30].sum() > 100  # the caption has become longer
