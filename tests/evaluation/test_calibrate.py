"""A calibration, fitted to a network whose lack of calibration is known."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import special
from scipy.spatial.transform import Rotation

from catpose import checksums, inference
from catpose.data.examples import Examples
from catpose.data.input_spec import InputSpec
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import calibrate, certainty, protocols, score
from catpose.experiment import build, calibration
from catpose.geometry import viewpoint
from catpose.poses import POSES

NAMES = ("cup", "jug", "mug")
COUNT = 1200


def model_of(pose="matrix_fisher", **changes):
    network = types.SimpleNamespace(knows_others=False)
    spec = InputSpec(32, 1.0, "none", "upright")
    return build.Model(network, POSES[pose], NAMES, spec)._replace(**changes)


def split(model, seed, *, temperature=1.0, concentration=1.0, count=COUNT):
    """Truth that is drawn from densities, and a network that says them too surely."""
    generator = np.random.default_rng(seed)
    logits = generator.normal(size=(count, 3)).astype(np.float32) * 2
    turned = Rotation.random(count * 3, random_state=seed).as_matrix().reshape(count, 3, 3, 3)
    size = generator.uniform(2, 30, (count, 3, 1, 1))
    outputs = (size * turned).reshape(count, 3, 9).astype(np.float32)
    shares = special.softmax(logits.astype(np.float64), axis=1)
    category = np.array([generator.choice(3, p=p) for p in shares])
    own = jnp.asarray(outputs[np.arange(count), category])
    rotation = POSES["matrix_fisher"].density.sample(jax.random.key(seed), own, 1)[0]
    rotation = np.asarray(viewpoint.convert_frame(rotation, "upright", "camera"))
    ids = np.array([f"{seed}-{i}" for i in range(count)])
    truth = Examples(id=ids, category=category, categories=NAMES, rotation=rotation, origin="drawn")
    names = np.array(NAMES)[logits.argmax(1)]
    found = Predictions(
        ids,
        {"weighted": np.asarray(turned[:, 0], np.float32)},
        np.full(count, "upright"),
        {"weighted": names},
        np.asarray(jax.nn.softmax(logits * temperature)),
        NAMES,
        category_logits=logits * temperature,
        pose_outputs=outputs * concentration,
    )
    return truth, found


@pytest.fixture(scope="module")
def fitted():
    model = model_of()
    truth, found = split(model, 0, temperature=2.0, concentration=2.0)
    return model, calibrate.fit(model, truth, found, split="validation", step=7)


def test_what_was_too_sure_is_found(fitted):
    _, found = fitted
    assert found.temperature == pytest.approx(2, rel=0.12)
    assert found.concentration == pytest.approx(0.5, rel=0.06)
    assert found.fitted_on["nll"]["after"] < found.fitted_on["nll"]["before"] - 0.1
    assert (found.step, found.fitted_on["examples"]) == (7, COUNT)


def test_new_examples_are_covered_and_confidence_is_true(fitted):
    model, found = fitted
    truth, before = split(model, 1, temperature=2.0, concentration=2.0)
    calibrated = model._replace(calibration=found, fusion="mode")
    after = certainty.add(calibrated, truth, before)
    protocol = protocols.PROTOCOLS["catpose"]
    scored = score.score(truth, after, protocol, fusion="mode", replicates=0)
    values = {name: own["value"] for name, own in scored.metrics.items()}
    assert 0.87 < values["coverage_90"] < 0.93
    assert min(scored.by_spread["coverage_90"]) > 0.84
    assert values["ece"] < 0.06
    for fusion in inference.fusions_of(model):  # each says how true its own answer is
        own = score.score(truth, after, protocol, fusion=fusion, replicates=0).metrics
        assert own["pose_ece"]["value"] < 0.05, fusion
    plain = certainty.add(model._replace(fusion="mode"), truth, before)
    assert plain.pose_confidence == {}  # what is not calibrated is not said
    raw = score.score(truth, plain, protocol, fusion="weighted", replicates=0).metrics
    assert raw["nll"]["value"] > values["nll"] + 0.1
    assert raw["ece"]["value"] > values["ece"] + 0.03
    assert "coverage_90" not in raw
    # The densities from which the truth was drawn are no better.
    _, exact = split(model, 1)
    exact = certainty.add(model, truth, exact)
    best = score.score(truth, exact, protocol, fusion="weighted", replicates=0).metrics
    assert values["nll"] == pytest.approx(best["nll"]["value"], abs=0.02)


def test_the_file_is_read_as_it_was_written(fitted, tmp_path):
    _, found = fitted
    assert calibration.read(tmp_path, 7) is None
    path = calibration.write(tmp_path, found)
    assert calibration.read(tmp_path, 7) == found
    assert calibration.read(tmp_path, 8) is None  # of other weights
    path.write_text(path.read_text().replace("0.9,", "0.8,", 1))
    with pytest.raises(InputError, match="checksum"):
        calibration.read(tmp_path, 7)
    content = json.loads(path.read_text())
    del content[checksums.KEY]
    for change in ({"temperature": 0}, {"sets": {}}, {"concentration": "x"}):
        path.write_text(json.dumps({**content, **change}))
        with pytest.raises(InputError, match=r"calibration.json is damaged.*--calibrate"):
            calibration.read(tmp_path, 7)


def test_too_few_examples_and_poses_without_a_density_are_refused():
    model = model_of()
    truth, found = split(model, 0, count=99)
    with pytest.raises(InputError, match="the split test has 99 examples"):
        calibrate.fit(model, truth, found, split="test", step=1)
    plain = found._replace(category_logits=None, pose_outputs=None)
    with pytest.raises(InputError, match="'axis_angle' has no density"):
        calibrate.fit(model_of("axis_angle"), truth, plain, split="test", step=1)
    assert certainty.add(model_of("axis_angle"), truth, plain) is plain
