"""The classified representations against loops in numpy 2, scipy 1.17 and the published codes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.poses import (
    POSES,
    bin_delta,
    bins,
    dictionary,
    euler_bins,
    fine_bins,
    multibin,
)
from tests.support import tiny

NAMES = ("euler_bins", "fine_bins", "multibin", "bin_delta")


def compiled(pose):
    """The same with each function compiled as a whole: op by op they take seconds."""

    @jax.jit
    def every_loss(outputs, target):
        return {name: loss(outputs, target) for name, loss in pose.losses.items()}

    losses = {name: lambda *given, name=name: every_loss(*given)[name] for name in pose.losses}
    functions = {name: jax.jit(getattr(pose, name)) for name in ("activate", "to_rotation", "fuse")}
    return pose._replace(losses=losses, **functions)


COMPILED = {name: compiled(POSES[name]) for name in NAMES}
# Azimuth, elevation, theta: anywhere, around 0 = 360 degrees, and on both sides of 180.
DEGREES = np.array(
    [
        [33.4, 20.9, -7.3],
        [0.2, -0.2, 0.2],
        [359.8, 0.2, -0.2],
        [179.8, -88.0, 179.8],
        [180.2, 88.0, -179.8],
        [271.3, 45.2, 90.4],
    ]
)


def rotation(degrees, frame="upright"):
    """Rx(90) Rz(theta) Rx(elevation - 90) Rz(-azimuth), by scipy."""
    azimuth, elevation, theta = np.moveaxis(np.asarray(degrees, float), -1, 0)
    found = Rotation.from_euler("ZXZ", np.stack([theta, elevation - 90, -azimuth], -1), True)
    if frame == "upright":
        found = Rotation.from_euler("x", 90, degrees=True) * found
    return found


def matrices(rotations):
    return jnp.asarray(rotations.as_matrix(), jnp.float32)


def log_softmax(x):
    x = np.asarray(x, np.float64)
    return x - np.log(np.exp(x).sum(-1, keepdims=True))


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def on_device(array):
    return jnp.asarray(array, jnp.float32)


def sure(labels, num_bins):
    """Log-probabilities that leave no doubt, (..., bins)."""
    return np.where(np.eye(num_bins)[labels] > 0, 0, -50.0).astype(np.float32)


def angle_deg(found, expected):
    return np.degrees((Rotation.from_matrix(np.asarray(found)).inv() * expected).magnitude())


def random_weights(*shape):
    weights = np.exp(2 * np.random.default_rng(3).normal(size=shape))
    return (weights / weights.sum(-1, keepdims=True)).astype(np.float32)


# ---- Viewpoints and Keypoints ----


def published_labels(degrees, half):
    """rcnnBinnedJointTrainValTestCreate.m; half is 10.5 or 3.5, labels from 0."""
    azimuth, elevation, theta = np.radians(degrees).T
    about_zero = [np.ceil(x * half / np.pi + half - 1) for x in (elevation, theta)]
    count = round(2 * half)
    labels = np.stack([np.floor(azimuth * half / np.pi), *about_zero], -1).astype(int)
    # Theirs counts from -pi, ours from the bin at 0: the middle one.
    return (labels - [0, count // 2, count // 2]) % count


def published_angles(labels):
    """poseHypotheses.m, 21 bins."""
    shifted = (labels + [0, 10, 10]) % 21 + 1
    return np.degrees((shifted - np.array([0.5, 11, 11])) * np.pi / 10.5)


def test_euler_bins_are_those_of_the_published_code():
    coarse, fine = published_labels(DEGREES, 3.5), published_labels(DEGREES, 10.5)
    outputs = on_device(
        np.concatenate([sure(coarse, 7).reshape(6, -1), sure(fine, 21).reshape(6, -1)], -1)
    )
    centres = published_angles(fine)
    apart = np.abs((centres - DEGREES + 180) % 360 - 180)
    assert apart.max() <= 360 / 42 + 1e-9
    for frame in ("upright", "camera"):
        pose = compiled(euler_bins.make(frame=frame))
        assert pose.num_outputs == 3 * (7 + 21)
        target = matrices(rotation(DEGREES, frame))
        np.testing.assert_allclose(pose.losses["cross_entropy"](outputs, target), 0, atol=1e-6)
        assert angle_deg(pose.to_rotation(outputs), rotation(centres, frame)).max() < 1e-4


def test_euler_bins_loss_is_the_sum_of_six_cross_entropies():
    pose, raw = COMPILED["euler_bins"], draw(6, 84)
    outputs = pose.activate(on_device(raw))
    expected = np.zeros(6)
    for begin, count in ((0, 7), (21, 21)):
        labels = published_labels(DEGREES, count / 2)
        for angle in range(3):
            block = log_softmax(raw[:, begin + angle * count : begin + (angle + 1) * count])
            expected -= block[np.arange(6), labels[:, angle]]
    got = pose.losses["cross_entropy"](outputs, matrices(rotation(DEGREES)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_seven_bins_are_three_of_twenty_one_each():
    angle = jnp.radians(jnp.asarray(np.arange(0.5, 720)[:, None] - 360 + np.zeros((1, 3))))
    coarse = np.asarray(bins.index(angle, 7, euler_bins.FIRST))
    fine = np.asarray(bins.index(angle, 21, euler_bins.FIRST))
    for i in range(3):
        pairs = set(zip(coarse[:, i].tolist(), fine[:, i].tolist(), strict=True))
        assert len(pairs) == 21
    np.testing.assert_array_equal(fine[:360], fine[360:])


def test_paper_frame_is_decoded_to_half_a_bin():
    pose = compiled(euler_bins.make(num_bins=(360,), frame="paper"))
    angles = np.radians([[33.6, 170.9, -7.3], [0.2, -0.2, 88.0]])
    target = Rotation.from_euler("ZXZ", angles[:, [2, 1, 0]])
    labels = np.array(
        [[np.floor(d[0] % 360), *np.round(d[1:]) % 360] for d in np.degrees(angles)], int
    )
    outputs = on_device(sure(labels, 360).reshape(2, -1))
    np.testing.assert_allclose(
        pose.losses["cross_entropy"](outputs, matrices(target)), 0, atol=1e-6
    )
    assert angle_deg(pose.to_rotation(outputs), target).max() < 1.5


# ---- Render for CNN ----


def test_soft_loss_is_that_of_the_published_layer():
    pose, raw = COMPILED["fine_bins"], draw(6, 3, 360)
    outputs = pose.activate(on_device(raw.reshape(6, -1)))
    expected = np.zeros(6)
    # train_val.prototxt.example: sigma, then bandwidth in softmax_with_view_loss_layer.cpp's words.
    for angle, (sigma, bandwidth) in enumerate([(5, 15), (3, 5), (3, 5)]):
        log_probability = log_softmax(raw[:, angle])
        for row, degree in enumerate(np.round(DEGREES[:, angle]).astype(int)):
            for k in range(-bandwidth, bandwidth + 1):
                at = (degree + k) % 360
                expected[row] -= np.exp(-abs(k) / sigma) * log_probability[row, at]
    got = pose.losses["soft_cross_entropy"](outputs, matrices(rotation(DEGREES)))
    np.testing.assert_allclose(got, expected, rtol=1e-5)


def test_soft_loss_is_smallest_at_its_own_weights_and_is_their_entropy():
    pose, target = COMPILED["fine_bins"], matrices(rotation(DEGREES))
    labels = jnp.asarray(np.round(DEGREES).astype(int) % 360)
    weights = np.asarray(fine_bins.spread(labels, (5.0, 3.0, 3.0), (15, 5, 5)), np.float64)
    total = weights.sum(-1, keepdims=True)
    positive = np.where(weights > 0, weights / total, 1)
    entropy = -(positive * np.log(positive) * (weights > 0)).sum(-1)
    # Geometric series: sum of exp(-|k| / sigma) over -b..b.
    q, b = np.exp(-1 / np.array([5, 3, 3])), np.array([15, 5, 5])
    np.testing.assert_allclose(total[0, :, 0], (1 + q - 2 * q ** (b + 1)) / (1 - q), rtol=1e-6)
    best = on_device(np.log(np.maximum(weights / total, 1e-30)).reshape(6, -1))
    loss = pose.losses["soft_cross_entropy"]
    np.testing.assert_allclose(loss(best, target), (total[..., 0] * entropy).sum(-1), rtol=1e-5)
    for seed in range(3):
        nudge = 0.1 * np.random.default_rng(seed).normal(size=best.shape).astype(np.float32)
        assert (
            np.asarray(loss(pose.activate(on_device(best + nudge)), target)) > loss(best, target)
        ).all()


def test_fine_bins_decode_the_nearest_degree():
    outputs = on_device(sure(np.round(DEGREES).astype(int) % 360, 360).reshape(6, -1))
    found = COMPILED["fine_bins"].to_rotation(outputs)
    assert angle_deg(found, rotation(np.round(DEGREES))).max() < 1e-4
    assert angle_deg(found, rotation(DEGREES)).max() < 1.0


# ---- MultiBin ----


def multibin_reference(raw, degrees, num_bins, overlap, weight):
    """Equations (2) and (3), one number at a time; -cos moved by 1."""
    loss, width = 0.0, 2 * np.pi / num_bins
    for angle, truth in enumerate(np.radians(degrees)):
        logits = raw[: 3 * num_bins].reshape(3, num_bins)[angle]
        vectors = raw[3 * num_bins :].reshape(3, num_bins, 2)[angle]
        rest = [(truth - i * width + np.pi) % (2 * np.pi) - np.pi for i in range(num_bins)]
        covering = [i for i in range(num_bins) if abs(rest[i]) <= width * (0.5 + overlap)]
        for i in covering:
            predicted = np.arctan2(vectors[i, 1], vectors[i, 0])
            error = 1 - np.cos(rest[i] - predicted)
            loss += (weight * error - log_softmax(logits)[i]) / len(covering)
    return loss


@pytest.mark.parametrize(("num_bins", "overlap"), [(8, 0.1), (2, 0.25)])
def test_multibin_loss(num_bins, overlap):
    pose = compiled(multibin.make(num_bins=num_bins, overlap=overlap))
    raw = draw(6, pose.num_outputs)
    got = pose.losses["multibin"](pose.activate(on_device(raw)), matrices(rotation(DEGREES)))
    expected = [
        multibin_reference(r, d, num_bins, overlap, 0.4) for r, d in zip(raw, DEGREES, strict=True)
    ]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_multibin_decodes_exactly_from_each_covering_bin():
    pose = COMPILED["multibin"]
    covered = np.abs((DEGREES[:, :, None] - 45 * np.arange(8) + 180) % 360 - 180) <= 45 * 0.6
    rest = np.radians(DEGREES[:, :, None] - 45 * np.arange(8))
    vectors = np.stack([np.cos(rest), np.sin(rest)], -1).reshape(6, -1)
    for order in (1, -1):  # the first and the last of the covering bins
        labels = np.argmax(covered[..., ::order], -1)[..., None]
        labels = (labels if order == 1 else 7 - labels)[..., 0]
        outputs = on_device(np.concatenate([sure(labels, 8).reshape(6, -1), vectors], -1))
        assert angle_deg(pose.to_rotation(outputs), rotation(DEGREES)).max() < 1e-3
    share = covered / covered.sum(-1, keepdims=True)
    assert 0.5 in share
    best = np.log(np.maximum(share, 1e-20)).reshape(6, -1)
    best = on_device(np.concatenate([best, vectors], -1))
    entropy = np.log(covered.sum(-1)).sum(-1)
    got = pose.losses["multibin"](best, matrices(rotation(DEGREES)))
    np.testing.assert_allclose(got, entropy, atol=1e-5)


# ---- bin and delta ----

TARGETS = Rotation.random(12, np.random.default_rng(5))
KEYS = Rotation.random(5, np.random.default_rng(6))


def composed(composition, key, delta):
    if composition == "riemannian":
        return key * Rotation.from_rotvec(delta)
    return Rotation.from_rotvec(key.as_rotvec() + delta)


def squared_to_keys(composition, target):
    if composition == "riemannian":
        return np.array([(key.inv() * target).magnitude() ** 2 for key in KEYS])
    return ((KEYS.as_rotvec() - target.as_rotvec()) ** 2).sum(-1)


@pytest.mark.parametrize(
    ("composition", "delta"), [("riemannian", "per_bin"), ("geodesic", "shared")]
)
def test_bin_delta(composition, delta):
    settings = {"composition": composition, "delta": delta, "delta_weight": 0.7, "gamma": 2.0}
    pose = compiled(bin_delta.make(KEYS.as_matrix(), **settings))
    raw = draw(12, pose.num_outputs)
    assert pose.num_outputs == 5 + (15 if delta == "per_bin" else 3)
    expected = {"geodesic": [], "mse": [], "probabilistic": []}
    perfect = []
    for row, target in zip(raw, TARGETS, strict=True):
        log_probability, deltas = log_softmax(row[:5]), row[5:].reshape(-1, 3)
        deltas = np.broadcast_to(deltas, (5, 3))
        squared = squared_to_keys(composition, target)
        found = [composed(composition, key, d) for key, d in zip(KEYS, deltas, strict=True)]
        distance = np.array([(r.inv() * target).magnitude() for r in found])
        label, entropy = squared.argmin(), -log_probability[squared.argmin()]
        expected["geodesic"].append(entropy + 0.7 * distance[log_probability.argmax()])
        key = KEYS[label]
        rest = (key.inv() * target).as_rotvec()
        if composition == "geodesic":
            rest = target.as_rotvec() - key.as_rotvec()
        perfect.append([*sure(label, 5), *rest])
        if delta == "per_bin":
            perfect[-1] = [*sure(label, 5), *np.outer(np.arange(5) == label, rest).ravel()]
        expected["mse"].append(entropy + 0.7 * ((deltas[label] - rest) ** 2).mean())
        wanted = np.exp(-2.0 * squared) / np.exp(-2.0 * squared).sum()
        divergence = (wanted * (np.log(wanted) - log_probability)).sum()
        expectation = (np.exp(log_probability) * distance).sum()
        expected["probabilistic"].append(divergence + 0.7 * expectation)
    outputs = pose.activate(on_device(raw))
    for name, wanted in expected.items():
        got = pose.losses[name](outputs, matrices(TARGETS))
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5, err_msg=name)
    perfect = on_device(perfect)
    assert angle_deg(pose.to_rotation(perfect), TARGETS).max() < 1e-3
    for name in ("geodesic", "mse"):
        got = pose.losses[name](perfect, matrices(TARGETS))
        np.testing.assert_allclose(got, 0, atol=1e-5)


def test_unknown_settings_are_refused():
    keys = dictionary.cube()
    for wrong in ({"composition": "euclidean"}, {"delta": "none"}, {"fusion": "mean"}):
        with pytest.raises(ValueError, match=str(next(iter(wrong.values())))):
            bin_delta.make(keys, **wrong)
    with pytest.raises(ValueError, match="overlap"):
        multibin.make(overlap=0.5)
    with pytest.raises(ValueError, match="num_bins"):
        euler_bins.make(num_bins=())


# ---- fusion ----


def normalised_groups(name):
    """Slices of the outputs that hold the log-probabilities of one variable each."""
    if name == "bin_delta":
        return [slice(0, 24)]
    starts = {
        "euler_bins": [(7 * i, 7) for i in range(3)] + [(21 + 21 * i, 21) for i in range(3)],
        "fine_bins": [(360 * i, 360) for i in range(3)],
        "multibin": [(8 * i, 8) for i in range(3)],
    }[name]
    return [slice(begin, begin + count) for begin, count in starts]


@pytest.mark.parametrize("name", NAMES)
def test_mixture_is_the_sum_over_the_networks(name):
    pose, weights = COMPILED[name], random_weights(4, 3)
    outputs = np.asarray(pose.activate(on_device(2 * draw(4, 3, pose.num_outputs))), np.float64)
    fused = np.asarray(pose.fuse(on_device(outputs), on_device(weights)))
    groups = normalised_groups(name)
    for row in range(4):
        for group in groups:
            mixed = sum(weights[row, c] * np.exp(outputs[row, c, group]) for c in range(3))
            np.testing.assert_allclose(np.exp(fused[row, group]), mixed, rtol=2e-5)
            np.testing.assert_allclose(mixed.sum(), 1, rtol=1e-5)
        posterior = weights[row][:, None] * np.exp(outputs[row, :, : groups[-1].stop])
        posterior /= posterior.sum(0)
        rest = outputs[row, :, groups[-1].stop :]
        if name == "multibin":
            expected = (posterior[:, :, None] * rest.reshape(3, 24, 2)).sum(0).ravel()
        elif name == "bin_delta":
            expected = posterior[:, fused[row, :24].argmax()] @ rest
        else:
            assert rest.size == 0
            continue
        np.testing.assert_allclose(fused[row, groups[-1].stop :], expected, atol=2e-5)


def test_a_delta_for_each_bin_is_averaged_bin_by_bin():
    pose = compiled(bin_delta.make(KEYS.as_matrix(), delta="per_bin"))
    weights, raw = random_weights(4, 3), draw(4, 3, 20)
    fused = np.asarray(pose.fuse(pose.activate(on_device(raw)), on_device(weights)))
    for row in range(4):
        joint = weights[row][:, None] * np.exp(log_softmax(raw[row, :, :5]))
        deltas = raw[row, :, 5:].reshape(3, 5, 3)
        for k in range(5):
            expected = sum(joint[c, k] * deltas[c, k] for c in range(3)) / joint[:, k].sum()
            np.testing.assert_allclose(fused[row, 5 + 3 * k : 8 + 3 * k], expected, atol=1e-5)


@pytest.mark.parametrize("name", ["euler_bins", "multibin", "bin_delta"])
def test_joint_fusion_takes_the_best_pair_of_category_and_pose(name):
    makers = {
        "euler_bins": lambda: euler_bins.make(num_bins=(2, 3), fusion="joint"),
        "multibin": lambda: multibin.make(num_bins=3, fusion="joint"),
        "bin_delta": lambda: bin_delta.make(KEYS.as_matrix(), fusion="joint"),
    }
    pose, weights = compiled(makers[name]()), random_weights(20, 4)
    outputs = np.asarray(pose.activate(on_device(2 * draw(20, 4, pose.num_outputs))))
    fused = np.asarray(pose.fuse(on_device(outputs), on_device(weights)))
    chosen = np.asarray(pose.choose(on_device(outputs), on_device(weights)))
    differ = 0
    for row in range(20):
        pairs = {}
        for c in range(4):
            mine = np.exp(outputs[row, c])
            if name == "bin_delta":
                poses = mine[:5]
            else:
                begin = 6 if name == "euler_bins" else 0
                a, e, t = mine[begin : begin + 9].reshape(3, 3)
                poses = a[:, None, None] * e[None, :, None] * t[None, None, :]
            pairs |= {(c, k): weights[row, c] * p for k, p in enumerate(poses.ravel())}
        c, _ = max(pairs, key=pairs.get)
        differ += c != weights[row].argmax()
        np.testing.assert_array_equal(fused[row], outputs[row, c])
        assert chosen[row] == c
    assert differ  # else it would be top-1


@pytest.mark.parametrize("name", NAMES)
def test_one_hot_weights_select_a_network_exactly(name):
    pose = COMPILED[name]
    outputs = pose.activate(on_device(draw(4, 3, pose.num_outputs)))
    chosen = np.array([2, 0, 1, 2])
    fused = pose.fuse(outputs, on_device(np.eye(3)[chosen]))
    np.testing.assert_array_equal(fused, np.asarray(outputs)[np.arange(4), chosen])


# ---- gradients ----


@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_everywhere(name):
    pose = POSES[name]
    raw = draw(5, 3, pose.num_outputs)
    raw = np.stack([0 * raw[0], raw[1], 1e4 * raw[2], -1e4 * raw[3], 1e-20 * raw[4]])
    weights = np.array(
        [[1, 0, 0], [1 - 1e-20, 1e-20, 0], [0, 1, 1e-35], [0.5] * 2 + [0]] + [[1 / 3] * 3]
    )
    target = rotation([[0, 0, 0], [180, 0, 0], [0, 90, 0], [0, 0, 180], [22.5, -90, 0]])

    @jax.jit
    @jax.value_and_grad
    def total(given):
        raw, weights = given
        fused = pose.fuse(pose.activate(raw), weights)
        return sum(loss(fused, matrices(target)).sum() for loss in pose.losses.values())

    value, gradients = total((on_device(raw), on_device(weights)))
    assert np.isfinite(value)
    for gradient in gradients:
        assert np.isfinite(gradient).all()
        # All networks that have a say, and the weights themselves, learn.
        assert np.abs(gradient[4]).max() > 0


# ---- dictionaries ----


def test_cube_is_a_group_that_covers_the_rotations():
    group = Rotation.from_matrix(dictionary.cube())
    products = np.stack([(a * group).as_matrix() for a in group])
    apart = np.abs(products[:, :, None] - group.as_matrix()).sum((-1, -2)).min(-1)
    assert len(group) == 24
    assert apart.max() < 1e-12
    anywhere = Rotation.random(500, np.random.default_rng(0))
    nearest = np.min([(key.inv() * anywhere).magnitude() for key in group], axis=0)
    # The farthest point of a cell, a truncated cube, is at 2 acos((2 + sqrt 2) / 4).
    limit = 2 * np.arccos((2 + np.sqrt(2)) / 4)
    assert 0.9 * limit < nearest.max() <= limit
    np.testing.assert_allclose(np.degrees(limit), 62.8, atol=0.01)


def planted(spread_deg, per_cluster=40, clusters=6):
    generator = np.random.default_rng(2)
    centres = Rotation.from_matrix(dictionary.cube()[:clusters])
    noise = np.radians(spread_deg) * generator.normal(size=(clusters, per_cluster, 3))
    noise -= noise.mean(1, keepdims=True)  # so that the centres are nearly the means
    groups = [c * Rotation.from_rotvec(n) for c, n in zip(centres, noise, strict=True)]
    return centres, groups


def karcher(rotations):
    mean = rotations[0]
    for _ in range(100):
        mean = mean * Rotation.from_rotvec((mean.inv() * rotations).as_rotvec().mean(0))
    return mean


def test_kmeans_finds_planted_clusters_and_their_karcher_means():
    _, groups = planted(8.0)
    points = Rotation.concatenate(groups).as_matrix().astype(np.float32)
    # k-means++ may start two keys in one cluster; one of a few starts does not.
    keys, history = min(
        (dictionary.fit(points, 6, seed=s) for s in range(4)), key=lambda f: f[1][-1]
    )
    for group in groups:
        assert angle_deg(keys, karcher(group)).min() < 1e-3
    ideal = sum((karcher(g).inv() * g).magnitude() ** 2 @ np.ones(40) for g in groups)
    np.testing.assert_allclose(history[-1], ideal, rtol=1e-4)


@pytest.mark.parametrize("num_bins", [1, 7, 30])
def test_kmeans_never_gets_worse_and_repeats_itself(num_bins):
    # Clusters wider than a Karcher step converges for, and nothing to find.
    points = Rotation.random(200, np.random.default_rng(num_bins)).as_matrix().astype(np.float32)
    keys, history = dictionary.fit(points, num_bins, seed=3)
    assert keys.shape == (num_bins, 3, 3)
    assert (np.diff(history) <= 1e-9).all()
    assert history[-1] < history[0]
    nearest = [
        (Rotation.from_matrix(k).inv() * Rotation.from_matrix(points)).magnitude() for k in keys
    ]
    np.testing.assert_allclose((np.min(nearest, 0) ** 2).sum(), history[-1], rtol=1e-4)
    again, _ = dictionary.fit(points, num_bins, seed=3)
    np.testing.assert_array_equal(keys, again)


def test_kmeans_wants_as_many_different_rotations_as_bins():
    points = np.repeat(dictionary.cube()[:3], 5, axis=0)
    keys, history = dictionary.fit(points, 3)
    assert history[-1] < 1e-9
    with pytest.raises(ValueError, match="3 different rotations do not make 4 bins"):
        dictionary.fit(points, 4)


# ---- training ----


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("euler_bins", "cross_entropy"),
        ("fine_bins", "soft_cross_entropy"),
        ("multibin", "multibin"),
        ("bin_delta", "geodesic"),
    ],
)
def test_two_training_steps(name, loss, tmp_path):
    # On stored features: of the feature network nothing knows the representation.
    phase = tiny.phase(
        pose_loss=loss,
        train=(tiny.CATEGORY, tiny.POSE),
        batch_norm=(tiny.CATEGORY, tiny.POSE),
        cached_features=True,
        views=("identity",),
    )
    settings = tiny.config([phase], pose=name)
    settings.data.cache_dir = str(tmp_path)
    tiny.take_two_steps(tiny.run(settings, tmp_path))
