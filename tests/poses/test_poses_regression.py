"""The regressed representations against closed forms, numpy 2, scipy 1.17 and brute force."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from scipy.spatial.transform import Rotation

from catpose.geometry import so3
from catpose.poses import POSES, base, euler, karcher, matrix_fisher, svd
from tests.support import tiny

TARGETS = Rotation.random(20, np.random.default_rng(1))


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape):
    return np.random.default_rng(0).normal(size=shape)


def about(axis, *degrees):
    return Rotation.from_euler(axis, np.reshape(degrees, (-1, 1)), degrees=True)


def angle_to_targets(rotation):
    return (Rotation.from_matrix(np.asarray(rotation)).inv() * TARGETS).magnitude()


def central_differences(function, x, step=1e-5):
    """Derivative of a function of batches (n, *shape) of x's shape."""
    shifts = step * np.eye(x.size).reshape(-1, *x.shape)
    change = np.asarray(function(jnp.array(x + shifts)) - function(jnp.array(x - shifts)))
    return np.moveaxis(change / (2 * step), 0, -1).reshape(*change.shape[1:], *x.shape)


# ---- quaternions ----


def test_quaternion_rotation_and_losses(float64):
    pose = POSES["quaternion"]
    raw = draw(20, 4)
    outputs = np.asarray(pose.activate(jnp.array(raw)))
    np.testing.assert_allclose(np.linalg.norm(outputs, axis=-1), 1, rtol=1e-12)
    expected = Rotation.from_quat(np.roll(raw + [1, 0, 0, 0], -1, axis=-1)).as_matrix()
    np.testing.assert_allclose(pose.to_rotation(jnp.array(outputs)), expected, atol=1e-12)
    angle, target = angle_to_targets(expected), jnp.array(TARGETS.as_matrix())
    # |q - q*|^2 = 2 - 2 cos(angle / 2) for the nearer of the target's two quaternions.
    for sign in (1, -1):
        given = jnp.array(sign * outputs)
        np.testing.assert_allclose(pose.losses["geodesic"](given, target), angle, atol=1e-12)
        expected = (1 - np.cos(angle / 2)) / 2
        np.testing.assert_allclose(pose.losses["mse"](given, target), expected, atol=1e-12)


def test_quaternion_fusion_crosses_the_cut(float64):
    pose = POSES["quaternion"]
    q = np.roll(about("z", 175, -175).as_quat(), 1, axis=-1)
    assert q[0] @ q[1] < -0.9  # scipy's, as most networks', are on opposite sides
    for sign in (1, -1):
        outputs = jnp.array([[q[0], sign * q[1]]])
        for weights in ([0.5, 0.5], [0.7, 0.3]):
            fused = pose.fuse(outputs, jnp.array([weights]))
            # The direction of the sum of two vectors in the plane (w, z).
            half = np.deg2rad([87.5, 92.5])
            angle = np.rad2deg(2 * np.arctan2(weights @ np.sin(half), weights @ np.cos(half)))
            expected = about("z", angle).as_matrix()
            np.testing.assert_allclose(pose.to_rotation(fused), expected, atol=1e-12)


# ---- Euler angles ----


@pytest.mark.parametrize("frame", ["upright", "camera", "paper"])
def test_euler_angles_are_those_of_the_frame(frame, float64):
    pose = euler.make(frame=frame)
    # Within the ranges of all three frames.
    angles = np.random.default_rng(0).uniform(-1, 1, (20, 3)) * [3.1, 1.5, 1.5]
    az, el, th = np.rad2deg(angles.T)
    if frame == "paper":
        rotation = about("z", *th) * about("x", *el) * about("z", *az)
    else:
        rotation = about("z", *th) * about("x", *(el - 90)) * about("z", *-az)
    if frame == "upright":
        rotation = about("x", 90)[0] * rotation
    matrix = jnp.array(rotation.as_matrix())
    np.testing.assert_allclose(pose.to_rotation(jnp.array(angles)), matrix, atol=1e-12)
    off = angles + 0.1 * draw(20, 3)
    expected = ((off - angles) ** 2).mean(-1)
    np.testing.assert_allclose(pose.losses["mse"](jnp.array(off), matrix), expected, atol=1e-10)
    expected = angle_to_targets(matrix)
    got = pose.losses["geodesic"](jnp.array(angles), jnp.array(TARGETS.as_matrix()))
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_euler_activation_reaches_every_viewpoint_once():
    raw = jnp.array([-50.0, 50.0, 50.0])
    np.testing.assert_allclose(POSES["euler"].activate(raw), [-np.pi, np.pi / 2, np.pi], rtol=1e-6)
    half = jnp.full(3, 0.5)
    expected = np.tanh(0.5) * np.array([np.pi, np.pi, np.pi / 2])
    np.testing.assert_allclose(euler.make(frame="paper").activate(half), expected, rtol=1e-6)


def test_euler_mse_is_blind_to_the_wrap():
    # A property of the representation as published, stated so that nobody takes it for a bug.
    pose = POSES["euler"]
    near = jnp.deg2rad(jnp.array([[179.0, 10, 0], [-179.0, 10, 0]]))
    target = pose.to_rotation(near[1:])
    np.testing.assert_allclose(pose.losses["geodesic"](near[:1], target), 0.0344, atol=1e-3)
    np.testing.assert_allclose(
        pose.losses["mse"](near[:1], target), np.deg2rad(358.0) ** 2 / 3, rtol=1e-5
    )
    fused = pose.fuse(near[None], jnp.array([[0.5, 0.5]]))
    np.testing.assert_allclose(np.rad2deg(fused), [[0, 10, 0]], atol=1e-4)


# ---- six numbers, nine numbers ----


def test_sixd_is_gram_schmidt(float64):
    pose = POSES["sixd"]
    raw = draw(20, 6)
    first, second = np.split(raw + [1, 0, 0, 0, 1, 0], 2, axis=-1)
    # QR is Gram-Schmidt up to the signs of the diagonal.
    q, r = np.linalg.qr(np.stack([first, second, np.cross(first, second)], axis=-1))
    expected = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    outputs = pose.activate(jnp.array(raw))
    np.testing.assert_allclose(pose.to_rotation(outputs), expected, atol=1e-12)


@pytest.mark.parametrize("distance", [1e-2, 1e-4, 1e-6])
def test_sixd_is_orthogonal_near_parallel_vectors(distance):
    first = draw(50, 3).astype(np.float32)
    second = -2 * first + np.float32(distance) * draw(50, 3).astype(np.float32)[::-1]
    rotation = np.asarray(POSES["sixd"].to_rotation(jnp.concatenate([first, second], axis=-1)))
    identity = np.broadcast_to(np.eye(3), rotation.shape)
    np.testing.assert_allclose(np.swapaxes(rotation, 1, 2) @ rotation, identity, atol=1e-6)
    np.testing.assert_allclose(np.linalg.det(rotation), 1, atol=1e-6)


def test_svd_is_the_best_rotation(float64):
    matrices = draw(20, 3, 3)
    assert (np.linalg.det(matrices) < 0).any()
    got = svd.nearest_rotation(jnp.array(matrices))
    for matrix, rotation in zip(matrices, got, strict=True):
        # Kabsch: the rotation that takes the axes nearest to the matrix's columns.
        expected = Rotation.align_vectors(matrix.T, np.eye(3))[0].as_matrix()
        np.testing.assert_allclose(rotation, expected, atol=1e-7)
    left, values, right = svd.proper(jnp.array(matrices))
    np.testing.assert_allclose(
        np.einsum("nij,nj,nkj->nik", left, values, right), matrices, atol=1e-12
    )
    np.testing.assert_allclose(np.linalg.det(left), 1)
    np.testing.assert_allclose(np.linalg.det(right), 1)


SINGULAR_VALUES = {
    "distinct": (3.0, 2.0, 1.0),
    "reflected": (3.0, 2.0, -1.0),
    "rotation": (1.0, 1.0, 1.0),
    "two largest": (2.0, 2.0, 1.0),
    "two smallest": (2.0, 1.0, 1.0),
    "rank two": (2.0, 1.0, 0.0),
    "opposite": (2.0, 2.0, -1.0),
}


@pytest.mark.parametrize("values", SINGULAR_VALUES.values(), ids=SINGULAR_VALUES)
def test_svd_gradient_at_equal_singular_values(values, float64):
    left, right = TARGETS[:2].as_matrix()
    matrix = left @ np.diag(values) @ right
    expected = central_differences(svd.nearest_rotation, matrix)
    got = jax.jacrev(svd.nearest_rotation)(jnp.array(matrix))
    np.testing.assert_allclose(got, expected, atol=1e-8)


def test_chordal_loss(float64):
    outputs = draw(20, 9)
    rotation = np.asarray(POSES["svd"].to_rotation(jnp.array(outputs)))
    sixd = jnp.array(np.concatenate([rotation[..., 0], rotation[..., 1]], axis=-1))
    target = jnp.array(TARGETS.as_matrix())
    expected = 8 * np.sin(angle_to_targets(rotation) / 2) ** 2
    np.testing.assert_allclose(POSES["sixd"].losses["chordal"](sixd, target), expected)
    losses = POSES["svd"].losses
    np.testing.assert_allclose(losses["chordal"](jnp.array(outputs), target), expected)
    expected = ((outputs.reshape(20, 3, 3) - TARGETS.as_matrix()) ** 2).sum((1, 2))
    np.testing.assert_allclose(losses["raw"](jnp.array(outputs), target), expected)


# ---- matrix Fisher ----


def every_rotation(num):
    """Quadrature on the group: exact for low-degree polynomials in R."""
    angle = 2 * np.pi * np.arange(num) / num
    cosine, weight = np.polynomial.legendre.leggauss(num)
    grid = np.stack(np.meshgrid(angle, np.arccos(cosine), angle, indexing="ij"), axis=-1)
    weights = np.broadcast_to(weight[:, None] / (2 * num**2), grid.shape[:-1])
    return Rotation.from_euler("ZYZ", grid.reshape(-1, 3)).as_matrix(), weights.reshape(-1)


FISHER = {"zero": (0.0, 0.0, 0.0), "opposite smallest": (3.0, 2.0, -2.0), **SINGULAR_VALUES}


@pytest.fixture(scope="module")
def group():
    return every_rotation(36)


def log_constant(parameter):
    """log c(F), from the density of the mode."""
    mode = svd.nearest_rotation(jax.lax.stop_gradient(parameter))
    return (parameter * mode).sum((-2, -1)) - matrix_fisher.log_density(parameter, mode)


@pytest.mark.parametrize("values", FISHER.values(), ids=FISHER)
def test_matrix_fisher_integrals_over_the_group(values, group, float64):
    rotations, weights = group
    left, right = TARGETS[:2].as_matrix()
    parameter = left @ np.diag(np.multiply(values, 2)) @ right
    density = weights * np.exp(np.einsum("ij,nij->n", parameter, rotations))
    constant = density.sum()
    mean = np.einsum("n,nij->ij", density, rotations) / constant
    given = jnp.array(parameter)
    got, gradient = jax.value_and_grad(log_constant)(given)
    np.testing.assert_allclose(got, np.log(constant), atol=1e-11)
    np.testing.assert_allclose(gradient, mean, atol=1e-11)
    np.testing.assert_allclose(matrix_fisher.mean(given), mean, atol=1e-11)
    target = jnp.array(TARGETS[3].as_matrix())
    nll, gradient = jax.value_and_grad(POSES["matrix_fisher"].losses["nll"])(
        given.reshape(9), target
    )
    expected = np.log(constant) - (parameter * TARGETS[3].as_matrix()).sum()
    np.testing.assert_allclose(nll, expected, atol=1e-11)
    np.testing.assert_allclose(gradient.reshape(3, 3), mean - TARGETS[3].as_matrix(), atol=1e-11)


KAPPA = np.array([1e-3, 0.1, 1, 5, 20, 100, 1e3, 1e4])


def isotropic(kappa):
    """exp(k) (I0(2k) - I1(2k)) of F = k I; past 2k = 50 the difference by its asymptotic series."""
    x = 2 * kappa
    series = (1 / 2 + 3 / (16 * x) + 45 / (256 * x**2) + 525 / (2048 * x**3)) / x
    series /= np.sqrt(2 * np.pi * x)
    exact = scipy.special.ive(0, x) - scipy.special.ive(1, x)
    return 3 * kappa + np.log(np.where(x > 1e3, series, exact))


def test_matrix_fisher_constant_of_isotropic_distributions(float64):
    given = jnp.array(KAPPA[:, None, None] * TARGETS[0].as_matrix())
    np.testing.assert_allclose(log_constant(given), isotropic(KAPPA), rtol=1e-11, atol=1e-14)


def other_order(values):
    """log c(F) - tr S by scipy's adaptive quadrature of the integral with its axes in turn."""
    s1, s2, s3 = values

    def integrand(z):  # 1 - u = 2 exp(-z)
        v = 2 * np.exp(-z)
        x, y = (s2 - s3) * v / 2, (s2 + s3) * (2 - v) / 2
        bessel = scipy.special.ive(0, x) * scipy.special.ive(0, y)
        return bessel * np.exp(-(s3 + s1) * v) * v / 2

    pieces = [scipy.integrate.quad(integrand, z, z + 2, epsabs=0)[0] for z in range(0, 50, 2)]
    return np.log(sum(pieces))


STRETCHED = np.array(
    [
        [50, 20, 10],
        [1e3, 1, 0.5],
        [1e3, 10, -9.99],
        [300, 200, -150],
        [1e4, 1e4, 3],
        [4e4, 2e4, 1e4],
    ]
)


def test_matrix_fisher_constant_of_stretched_distributions():
    expected = [other_order(values) for values in STRETCHED]
    rotation = Rotation.random(len(STRETCHED), np.random.default_rng(2)).as_matrix()
    parameter = STRETCHED[:, :, None] * rotation  # mode: the rotation
    # Rounding the rotation and F alone moves tr F'R by a few roundings of s1.
    for x64, tolerance in ((True, 3e-8), (False, 1e-5 + 4e-7 * STRETCHED[:, 0])):
        with jax.enable_x64(x64):
            given = jnp.array(parameter), jnp.array(rotation)
            got = -np.asarray(matrix_fisher.log_density(*given), np.float64)
        assert (np.abs(got - expected) < tolerance).all()


def test_matrix_fisher_density_in_float32_far_from_zero():
    # tr F'R and log c(F) are 3e4 each here: their difference in float32 would be rounding noise.
    target = jnp.array(TARGETS[0].as_matrix(), jnp.float32)
    given = 1e4 * target
    expected = 3e4 - isotropic(np.array(1e4))
    np.testing.assert_allclose(matrix_fisher.log_density(given, target), expected, rtol=1e-3)


@pytest.mark.parametrize("values", [(2.0, 2.0, 2.0), (8.0, 3.0, -2.0), (60.0, 2.0, 1.0)])
def test_matrix_fisher_samples(values):
    left, right = TARGETS[:2].as_matrix()
    parameter = left @ np.diag(values) @ right
    key = jax.random.key(3)
    got = np.asarray(matrix_fisher.sample(key, jnp.array(parameter, jnp.float32), (20000,)))
    assert got.shape == (20000, 3, 3)
    np.testing.assert_allclose(np.linalg.det(got), 1, atol=1e-5)
    error = got.std(0) / np.sqrt(20000)
    mean = matrix_fisher.mean(jnp.array(parameter, jnp.float32))
    assert (np.abs(got.mean(0) - mean) < 4.5 * error + 1e-5).all()
    if values[0] == values[2]:
        # The angle to the mode has density (1 - cos a) exp(2 k cos a) up to a constant.
        angle = (Rotation.from_matrix(got).inv() * Rotation.from_matrix(left @ right)).magnitude()
        grid = np.linspace(0, np.pi, 2001)
        density = (1 - np.cos(grid)) * np.exp(2 * values[0] * np.cos(grid))
        below = scipy.integrate.cumulative_simpson(density, x=grid, initial=0)
        test = scipy.stats.kstest(angle, lambda a: np.interp(a, grid, below / below[-1]))
        assert test.pvalue > 1e-3


def test_matrix_fisher_fusion():
    pose = POSES["matrix_fisher"]
    outputs, weights = (
        jnp.array(draw(2, 3, 9), jnp.float32),
        jnp.array([[0.5, 0.3, 0.2], [1, 0, 0]]),
    )
    target = jnp.array(TARGETS[:2].as_matrix(), jnp.float32)
    each = matrix_fisher.log_density(svd.as_matrix(outputs), target[:, None])
    # The fused density is the geometric mean up to a constant: differences of logarithms add up.
    other = jnp.array(TARGETS[2:4].as_matrix(), jnp.float32)
    change = each - matrix_fisher.log_density(svd.as_matrix(outputs), other[:, None])
    nll = pose.losses["nll"]
    fused = pose.fuse(outputs, weights)
    got = nll(fused, other) - nll(fused, target)
    np.testing.assert_allclose(got, (weights * change).sum(1), atol=1e-5)


# ---- the mean on the group ----


def test_karcher_crosses_the_cut(float64):
    pair = jnp.array(about("z", 175, -175).as_matrix())[None]
    for weights, angle in (([0.5, 0.5], 180), ([0.25, 0.75], -177.5), ([0.0, 1.0], -175)):
        got = karcher.karcher(pair, jnp.array([weights]))
        np.testing.assert_allclose(got[0], about("z", angle)[0].as_matrix(), atol=1e-12)
    # The angle is the weighted mean of 175 and 185 deg: its derivative by a weight is their
    # distance to it.
    gradient = jax.jit(jax.grad(lambda w: karcher.karcher(pair, w)[0, 0, 1]))
    expected = -np.cos(np.deg2rad(182.5)) * np.deg2rad([-7.5, 2.5])
    got = gradient(jnp.array([[0.25, 0.75]]))[0]
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_karcher_is_stationary(float64):
    generator = np.random.default_rng(3)
    spread = Rotation.from_rotvec(0.5 * generator.normal(size=(25, 3)))
    rotations = TARGETS[:5].as_matrix()[:, None] @ spread.as_matrix().reshape(5, 5, 3, 3)
    weights = generator.dirichlet(np.ones(5), size=5)
    got = karcher.karcher(jnp.array(rotations), jnp.array(weights))
    for mean, each, weight in zip(np.asarray(got), rotations, weights, strict=True):
        logs = (Rotation.from_matrix(mean).inv() * Rotation.from_matrix(each)).as_rotvec()
        np.testing.assert_allclose(weight @ logs, 0, atol=1e-7)


# ---- all ----


DEGENERATE = {
    "quaternion": [[0, 0, 0, 0], [1e-11, 0, 0, 0], [1e-20, 0, 0, 1e-20], [1e15, 0, 1e15, 0]],
    "euler": [[np.pi, np.pi / 2, 0], [0, 0, 0], [0, -np.pi / 2, np.pi]],
    "sixd": [[0] * 6, [1, 0, 0, 2, 0, 0], [0, 0, 0, 0, 1, 0], [1, 1, 1, 0, 0, 0], [1e-11] * 6],
    "svd": np.array(
        [
            np.zeros(9),
            np.eye(3).ravel(),
            np.diag([1, 1, -1]).ravel(),
            np.diag([1, 0, 0]).ravel(),
            np.full(9, 1e-20),
            1e15 * np.eye(3).ravel(),
        ]
    ),
}
DEGENERATE["matrix_fisher"] = DEGENERATE["svd"]


@pytest.mark.parametrize("name", DEGENERATE)
def test_gradients_are_finite_at_degenerate_points(name):
    pose = POSES[name]
    outputs = jnp.array(DEGENERATE[name], jnp.float32)
    targets = np.concatenate([about(axis, 180).as_matrix() for axis in "xyz"] + [[np.eye(3)]])
    num = len(outputs)
    outputs = outputs.repeat(4, axis=0)
    targets = jnp.array(np.tile(targets, (num, 1, 1)), jnp.float32)

    @jax.jit
    def results(outputs, targets):
        losses = pose.losses.values()
        lossy = jax.grad(lambda x: sum(loss(x, targets).sum() for loss in losses))(outputs)
        # From the numbers that the activation takes to the degenerate ones, and from 0.
        raw = jnp.concatenate([jnp.zeros_like(outputs[:1]), outputs - pose.activate(0 * outputs)])
        decoding = jax.grad(lambda x: pose.to_rotation(pose.activate(x))[:, 0, 1].sum())(raw)
        rotation = pose.to_rotation(outputs)
        return lossy, decoding, so3.multiply(rotation, jnp.swapaxes(rotation, -1, -2))

    lossy, decoding, squared = results(outputs, targets)
    assert np.isfinite(lossy).all()
    assert np.isfinite(decoding).all()
    np.testing.assert_allclose(squared, np.broadcast_to(np.eye(3), squared.shape), atol=2e-6)


@pytest.mark.parametrize("name", ["quaternion", "sixd", "svd"])
def test_a_small_start_is_near_the_identity(name):
    pose = POSES[name]
    np.testing.assert_array_equal(
        pose.to_rotation(pose.activate(jnp.zeros(pose.num_outputs))), np.eye(3)
    )


def test_weighted_sum_computes_in_float32_without_matmuls():
    low = jnp.ones((2, 3, 9), jnp.bfloat16)
    assert base.weighted_sum(low, jnp.ones((2, 3), jnp.bfloat16)).dtype == jnp.float32
    for name in DEGENERATE:
        outputs = jnp.ones((2, 3, POSES[name].num_outputs))
        program = str(jax.make_jaxpr(POSES[name].fuse)(outputs, jnp.ones((2, 3))))
        assert "dot_general" not in program


@pytest.mark.parametrize(
    ("name", "loss"),
    [
        ("matrix_fisher", "nll"),
        # Each compiles a network of its own.
        pytest.param("quaternion", "mse", marks=pytest.mark.slow),
        pytest.param("euler", "mse", marks=pytest.mark.slow),
        pytest.param("sixd", "chordal", marks=pytest.mark.slow),
        pytest.param("svd", "chordal", marks=pytest.mark.slow),
    ],
)
def test_two_training_steps(name, loss, tmp_path):
    # The pose networks alone, on stored features: nothing else knows the representation.
    phase = tiny.phase(
        pose_loss=loss,
        train=(tiny.POSE,),
        batch_norm=(tiny.POSE,),
        category_weight=0.0,
        fusion="weighted",
        cached_features=True,
        views=("identity",),
    )
    settings = tiny.config([phase], pose=name)
    settings.data.cache_dir = str(tmp_path)
    tiny.take_two_steps(tiny.run(settings, tmp_path))
