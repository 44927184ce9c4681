"""Symmetric categories against scipy's Rotation, brute force over angles, and closed forms.

For any turn about z the least geodesic distance is the angle between the two z axes.
"""

import json
import sys
import types

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from absl import flags
from hypothesis import strategies as st
from ml_collections import config_flags
from scipy.spatial.transform import Rotation

from catpose import inference
from catpose.data import input_spec
from catpose.data.batch import Batch
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.evaluation import distances, run_report, run_report_figures, score
from catpose.experiment import build, workdir
from catpose.geometry import so3, symmetry, viewpoint
from catpose.models.architectures import Outputs
from catpose.poses import POSES
from catpose.synthetic.objects import catalogue
from catpose.training import input_pipeline, loop, step, training_log
from tests.support import tiny

ORDERS = (1, 2, 3, 4, 7, 360, 0)
EACH_ORDER = pytest.mark.parametrize("order", ORDERS)
EACH_FRAME = pytest.mark.parametrize("frame", viewpoint.FRAMES)
FLIP = Rotation.from_rotvec([np.pi, 0, 0]).as_matrix()
POSE = POSES["axis_angle"]


def turn(angle):
    """Rz(angle)."""
    return Rotation.from_rotvec(np.multiply.outer(angle, [0, 0, 1])).as_matrix()


def equivalents(target, order):
    """All that a discrete symmetry allows, 3600 of those of a continuous one; for one target."""
    angles = 2 * np.pi / (order or 3600) * np.arange(order or 3600)
    spins = Rotation.from_rotvec(np.multiply.outer(angles, [0, 0, 1]))
    return Rotation.from_matrix(target) * spins


def angle(a, b):
    """Between matrices, (N,)."""
    return (Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)).magnitude()


def to_equivalents(rotation, target, order):
    """From each prediction to each equivalent of its target, (N, n)."""
    return np.array(
        [
            (Rotation.from_matrix(r).inv() * equivalents(t, order)).magnitude()
            for r, t in zip(rotation, target, strict=True)
        ]
    )


def least(rotation, target, order):
    """The least distance by the oracle, (N,) in radians."""
    if order == 0:
        a, b = np.float64(rotation)[..., 2], np.float64(target)[..., 2]
        return np.arctan2(np.linalg.norm(np.cross(a, b), axis=-1), (a * b).sum(-1))
    return to_equivalents(rotation, target, order).min(1)


def pairs(number=40, seed=0):
    """Random pairs of rotations, near and far, exact to float32."""
    generator = np.random.default_rng(seed)
    target = Rotation.random(number, generator)
    far = generator.uniform(-1, 1, (number, 3)) * np.geomspace(1e-3, 3, number)[:, None]
    spin = Rotation.from_rotvec(generator.uniform(-4, 4, (number, 1)) * [0, 0, 1])
    rotation = target * spin * Rotation.from_rotvec(far)
    return tuple(r.as_matrix().astype(np.float32) for r in (rotation, target))


def error(rotation, target, order):
    return so3.geodesic_distance(rotation, symmetry.nearest(rotation, target, jnp.int32(order)))


# ---- orders ----


def test_orders_follow_the_categories():
    given = {"dog": "z", "ant": 4, "cat": "2", "bee": "none"}
    found = symmetry.orders(given, tiny.CATEGORIES)
    assert found.dtype == np.int32
    assert found.tolist() == [4, 1, 2, 0]
    assert symmetry.names(found) == [4, "none", 2, "z"]
    assert symmetry.orders({}, tiny.CATEGORIES).tolist() == [1, 1, 1, 1]
    assert symmetry.orders({"bottle": "z"}, catalogue.CATEGORIES).tolist().index(0) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"eel": "z"}, "'eel', which is not among the categories ant, bee"),
        ({"ant": "x"}, "of 'ant' is 'x'; it can be none, z"),
        ({"bee": 1}, "of 'bee' is '1'; it can be"),
        ({"bee": -2}, "of 'bee' is '-2'"),
        ({"bee": True}, "of 'bee' is 'True'"),
        ({"bee": 10**12}, "from 2 to 360"),
    ],
)
def test_wrong_symmetries_are_told(given, message):
    with pytest.raises(InputError, match=message) as told:
        symmetry.orders(given, tiny.CATEGORIES)
    assert "\n" not in str(told.value)


# ---- frames ----


@EACH_FRAME
def test_a_turned_object_is_a_turn_on_the_right(frame):
    """The object turned by phi is the same object seen from phi less, in every frame."""
    generator = np.random.default_rng(1)
    azimuth, elevation, theta = (generator.uniform(-s, s, 50) for s in (3, 1.5, 3))
    phi = generator.uniform(-3, 3, 50)
    # What the camera sees of the turned object, from the definition of "camera".
    rotation = np.asarray(viewpoint.rotation_from_angles(azimuth, elevation, theta, "camera"))
    framed = viewpoint.convert_frame(np.float32(rotation @ turn(phi)), "camera", frame)
    plain = np.asarray(viewpoint.rotation_from_angles(azimuth, elevation, theta, frame))
    sign = -1 if frame == "paper" else 1
    np.testing.assert_allclose(framed, plain @ turn(sign * phi), atol=2e-6)


# ---- the nearest equivalent ----


@EACH_ORDER
def test_nearest_is_the_best_of_all_equivalents(order):
    rotation, target = pairs()
    found = np.asarray(symmetry.nearest(rotation, target, jnp.int32(order)))
    # It is one of them; of the 3600 of a continuous symmetry, next to one.
    away = to_equivalents(found, target, order).min(1)
    assert away.max() < (np.radians(0.051) if order == 0 else 1e-6)
    best = to_equivalents(rotation, target, order).min(1)
    assert (angle(rotation, found) <= best + 1e-6).all()
    np.testing.assert_allclose(angle(rotation, found), least(rotation, target, order), atol=1e-6)


def test_nearest_leaves_nothing_to_a_matrix_unit():
    traced = str(jax.make_jaxpr(symmetry.nearest)(*pairs(2), jnp.zeros(2, jnp.int32)))
    assert "atan2" in traced
    assert "dot_general" not in traced


def test_without_symmetry_the_target_keeps_its_bits():
    rotation, target = pairs()
    # Minus zeros, which a sum with zero loses.
    target[0] = [[-0.0, -0.0, 1], [1, -0.0, -0.0], [-0.0, 1, -0.0]]
    found = symmetry.nearest(rotation, target, jnp.ones(len(target), jnp.int32))
    np.testing.assert_array_equal(np.asarray(found).view(np.int32), target.view(np.int32))


def test_every_row_has_its_own_order():
    rotation, target = pairs(len(ORDERS))
    orders = np.array(ORDERS, np.int32)
    together = symmetry.nearest(rotation[:, None], target[:, None], orders[:, None])
    assert together.shape == (len(ORDERS), 1, 3, 3)
    for i, order in enumerate(ORDERS):
        alone = symmetry.nearest(rotation[i], target[i], jnp.int32(order))
        np.testing.assert_array_equal(together[i, 0], alone)


@hypothesis.settings(deadline=None, max_examples=60)
@hypothesis.given(
    seed=st.integers(0, 2**32 - 1), order=st.sampled_from(ORDERS), turns=st.floats(-2, 2)
)
def test_equivalent_truths_have_one_error(seed, order, turns):
    rotation, target = pairs(4, seed)
    phi = turns if order == 0 else 2 * np.pi * round(turns * order) / order
    plain = error(rotation, target, 1)
    found = error(rotation, target, order)
    # A rounded entry of 6e-8 in each of the matrices.
    np.testing.assert_allclose(
        error(rotation, np.float32(target @ turn(phi)), order), found, atol=2e-6
    )
    np.testing.assert_allclose(
        error(np.float32(rotation @ turn(phi)), target, order), found, atol=2e-6
    )
    assert (found <= plain + 1e-6).all()
    np.testing.assert_allclose(error(np.float32(target @ turn(phi)), target, order), 0, atol=2e-6)


# ---- gradients ----


@pytest.mark.parametrize("name", ["geodesic", "mse"])
def test_gradients_are_finite_where_the_best_is_not_unique(name):
    cases = []
    for order in ORDERS:
        half = turn(np.pi / order) if order else turn(1.0)
        for target in (np.eye(3), half, turn(np.pi), FLIP, FLIP @ half, turn(np.pi / 2)):
            omega = Rotation.from_matrix(target).as_rotvec()
            cases += [(o, target, order) for o in (np.zeros(3), omega, -omega)]
    omega, target, order = (np.array(column) for column in zip(*cases, strict=True))

    def loss(omega, target, order):
        return POSE.losses[name](omega, symmetry.nearest(so3.exp(omega), target, order))

    values, gradients = jax.jit(jax.vmap(jax.value_and_grad(loss)))(
        np.float32(omega), np.float32(target), order
    )
    assert np.isfinite(values).all()
    assert np.isfinite(gradients).all()


@pytest.mark.parametrize("order", [0, 3])
def test_the_constant_target_gives_the_gradient_of_the_least_error(order):
    """Along the group it has length 1; with any turn allowed, none of it is about the axis."""
    rotation, target = pairs(40, seed=3)
    rotation, target = rotation[20:], target[20:]  # away from zero, where float32 says little

    def moved(omega):
        return error(so3.multiply(rotation, so3.exp(omega)), target, order)

    gradient = jax.vmap(
        jax.grad(lambda omega, r, t: error(so3.multiply(r, so3.exp(omega)), t, order))
    )
    found = np.asarray(gradient(jnp.zeros((20, 3)), rotation, target))
    np.testing.assert_allclose(np.linalg.norm(found, axis=-1), 1, atol=1e-5)
    if order == 0:
        np.testing.assert_allclose(found[:, 2], 0, atol=1e-4)
    small = 1e-4
    for axis in range(3):
        omega = small * np.eye(3)[axis]
        ahead, behind = (
            least(rotation @ Rotation.from_rotvec(s * omega).as_matrix(), target, order)
            for s in (1, -1)
        )
        np.testing.assert_allclose(found[:, axis], (ahead - behind) / (2 * small), atol=1e-3)


# ---- losses and errors ----

OWN = np.array([0, 1, 2, 4], np.int32)


def example(number=16, seed=5):
    """A batch with all four symmetries and outputs of its four pose networks."""
    generator = np.random.default_rng(seed)
    _, target = pairs(number, seed)
    batch = Batch(
        image=None,
        features=None,
        position=np.arange(number),
        category=np.arange(number, dtype=np.int32) % 4,
        rotation=target,
        pose_weight=np.ones(number, np.float32),
        category_weight=np.ones(number, np.float32),
    )
    outputs = Outputs(
        features=np.zeros((number, 1), np.float32),
        category_logits=generator.normal(size=(number, 4)).astype(np.float32),
        pose_outputs=generator.uniform(-1.8, 1.8, (number, 4, 3)).astype(np.float32),
    )
    return jax.tree.map(jnp.asarray, (batch, outputs))


@pytest.mark.parametrize(
    ("fusion", "name"), [("weighted", "geodesic"), ("top1", "mse"), ("oracle", "geodesic")]
)
def test_every_loss_compares_with_the_nearest_equivalent(fusion, name):
    batch, outputs = example()
    phase = tiny.only_phase(fusion=fusion, pose_loss=name)
    found, none, plain = (
        np.asarray(step.phase_loss(POSE, phase, orders)(outputs, batch)[0])
        for orders in (OWN, np.ones(4, np.int32), None)
    )
    logits = np.float64(outputs.category_logits)
    weights = {
        "weighted": np.exp(logits) / np.exp(logits).sum(-1, keepdims=True),
        "top1": np.eye(4)[logits.argmax(-1)],
        "oracle": np.eye(4)[batch.category],
    }[fusion]
    omega = (weights[..., None] * np.float64(outputs.pose_outputs)).sum(1)
    rotation = Rotation.from_rotvec(omega).as_matrix()
    for i, category in enumerate(batch.category):
        own = equivalents(batch.rotation[i], OWN[category])
        nearest = own[(Rotation.from_matrix(rotation[i]).inv() * own).magnitude().argmin()]
        if name == "geodesic":
            expected, atol = (
                least(rotation[i : i + 1], batch.rotation[i : i + 1], OWN[category]),
                1e-5,
            )
        else:
            # The best of 3600 equivalents is up to 0.05 degrees from the best of all.
            expected = ((omega[i] - nearest.as_rotvec()) ** 2).mean()
            atol = 0.01 if OWN[category] == 0 else 1e-4
        np.testing.assert_allclose(found[i], expected, atol=atol)
    np.testing.assert_allclose(none, plain, rtol=1e-5)
    alone = OWN[batch.category] == 1
    np.testing.assert_allclose(found[alone], plain[alone], rtol=1e-5)
    assert (np.abs(found - plain)[~alone] > 0.1).any()


@EACH_FRAME
def test_errors_do_not_depend_on_which_equivalent_is_the_truth(frame):
    batch, outputs = example()
    names = np.array([str(i) for i in range(len(batch.category))])

    def errors(truth, orders):
        """With the truth in frame "camera"."""
        network = types.SimpleNamespace(apply_fn=lambda *_, **__: (outputs, {}), knows_others=False)
        spec = input_spec.InputSpec(32, 1.0, "none", frame)
        model = build.Model(network, POSE, tiny.CATEGORIES, spec)
        found = inference.answer(model, None, None, category=batch.category)
        made = inference.predictions_of(model, names, jax.device_get(found))
        labeled = Examples(names, np.asarray(batch.category), truth, tiny.CATEGORIES)
        scores = score.by_fusion(labeled, made, orders)
        target = distances.converted(labeled.rotation, "camera", frame)[:, None]
        order = None if orders is None else orders[labeled.category][:, None]
        return {
            "error_deg": {name: own.errors.error_deg for name, own in scores.items()},
            "network_error_deg": distances.distance_deg(made.network_rotation, target, order),
        }

    phi = np.where(OWN == 0, 1.234, 2 * np.pi / np.maximum(OWN, 1))[batch.category]
    batch = batch._replace(rotation=np.asarray(batch.rotation))
    turned = np.float32(batch.rotation @ turn(phi))
    plain, first, second = (
        errors(truth, orders)
        for truth, orders in ((batch.rotation, None), (batch.rotation, OWN), (turned, OWN))
    )
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=2e-4), first, second)
    for name in ("error_deg", "network_error_deg"):
        for own, other in zip(*(jax.tree.leaves(r[name]) for r in (first, plain)), strict=True):
            assert (own <= other + 1e-4).all()
            assert (own < other - 10).any()
            alone = OWN[batch.category] == 1
            np.testing.assert_allclose(own[alone], other[alone], atol=1e-4)
    # Each network's pose is compared on its own: that of the true category is the oracle's.
    mine = first["network_error_deg"][np.arange(16), batch.category]
    np.testing.assert_allclose(mine, first["error_deg"]["oracle"], atol=1e-4)


# ---- whole runs ----

GIVEN = {"ant": "z", "cat": 2, "dog": "4"}
GIVEN_ORDERS = [0, 1, 2, 4]


def trained(folder, given, turned=False):
    """Two steps on truths that may be turned to equivalents."""
    settings = tiny.config([tiny.phase(steps=2, category_weight=0.3)])
    settings.data.symmetry = given
    # Adam would blow up the rounding of small gradients.
    settings.optimizer.name = "sgd"
    splits = {"train": tiny.split(48, 0), "validation": tiny.split(24, 1)}
    if turned:
        order = np.array(GIVEN_ORDERS)[splits["train"].category]
        phi = np.where(order == 0, 2.1, 2 * np.pi / np.maximum(order, 1))
        rotation = np.float32(splits["train"].rotation @ turn(phi))
        splits["train"] = splits["train"]._replace(rotation=rotation)
    with workdir.opened(folder, tiny.read(settings)) as clock:
        run = tiny.run(settings, folder, splits)
        return run, loop.train(run), clock


@pytest.fixture(scope="module")
def symmetric(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("symmetric"), GIVEN)


def evaluated(trained_run):
    """The truth, predictions of it in frame "camera", and scores of every fusion."""
    run, result, _ = trained_run
    found = input_pipeline.evaluate_split(run, "validation", run.phases[-1], result.last)
    truth = run.dataset.splits["validation"]
    rotation = {
        name: np.asarray(viewpoint.convert_frame(own, run.model.input_spec.frame, "camera"))
        for name, own in found.rotation.items()
    }
    return truth, rotation, score.by_fusion(truth, found, run.model.symmetry)


def test_a_run_with_symmetry_says_so(symmetric, monkeypatch):
    run, result, clock = symmetric
    monkeypatch.setattr(run_report_figures, "draw", lambda *args: [])
    run_report.write(run, result, clock)
    written = json.loads((run.workdir / "report.json").read_text())
    said = [
        summary["symmetry"]
        for summary in written["splits"]["validation"].values()
        if "frame" in summary
    ]
    assert said == [["z", "none", 2, 4]] * 3
    (note,) = written["notes"]
    assert "(ant z, cat 2, dog 4)" in note
    assert note in (run.workdir / "report.md").read_text()
    (line,) = [
        line for line in training_log.read(run.workdir) if "split" in line and line["step"] == 2
    ]
    assert line["weighted"]["symmetry"] == ["z", "none", 2, 4]
    truth, rotations, scores = evaluated(symmetric)
    for name, rotation in rotations.items():
        expected = [
            least(rotation[i : i + 1], truth.rotation[i : i + 1], GIVEN_ORDERS[c])[0]
            for i, c in enumerate(truth.category)
        ]
        error_deg = scores[name].errors.error_deg
        np.testing.assert_allclose(np.radians(error_deg), expected, atol=1e-5)


def test_azimuth_errors_are_those_of_the_nearest_equivalent(symmetric):
    truth, rotations, scores = evaluated(symmetric)

    def azimuth(rotation):
        return np.degrees(np.float64(viewpoint.angles_from_rotation(np.float32(rotation))[0]))

    rows = zip(truth.category, truth.rotation, rotations["top1"], strict=True)
    for i, (category, target, rotation) in enumerate(rows):
        own = equivalents(target, GIVEN_ORDERS[category]).as_matrix()
        difference = (azimuth(rotation) - azimuth(own) + 180) % 360 - 180
        found = scores["top1"].errors.azimuth_error_deg[i]
        atol = 0.051 if GIVEN_ORDERS[category] == 0 else 1e-3
        np.testing.assert_allclose(found, np.abs(difference).min(), atol=atol)


def test_training_does_not_depend_on_which_equivalent_is_the_truth(symmetric, tmp_path):
    _, other, *_ = trained(tmp_path, GIVEN, turned=True)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        symmetric[1].last.params,
        other.last.params,
    )


@pytest.mark.parametrize("given", [{}, {"ant": "none"}])
def test_the_plain_metric_says_that_it_is_plain(given, symmetric):
    settings = tiny.config([tiny.phase()])
    settings.data.symmetry = given
    model = build.build_model(tiny.read(settings), tiny.CATEGORIES)
    assert model.symmetry is None
    assert symmetry.notes(model.symmetry, tiny.CATEGORIES) == []
    scored = evaluated(symmetric)[2]["weighted"]
    assert score.summary(scored)["symmetry"] is None


@pytest.mark.filterwarnings("ignore:.*load_module:DeprecationWarning")
def test_symmetry_can_be_given_on_the_command_line(monkeypatch):
    command = ["test", "--config.data.symmetry={'bottle': 'z', 'diningtable': 2}"]
    monkeypatch.setattr(sys, "argv", command)
    values = flags.FlagValues()
    config_flags.DEFINE_config_file(
        "config", "configs/smoke.py", flag_values=values, lock_config=True
    )
    values(command)
    model = build.build_model(tiny.read(values.config), catalogue.CATEGORIES)
    expected = {"bottle": 0, "diningtable": 2}
    assert model.symmetry.tolist() == [expected.get(name, 1) for name in catalogue.CATEGORIES]
    with pytest.raises(InputError, match="eel"):
        build.build_model(tiny.read(values.config), ("eel",))
