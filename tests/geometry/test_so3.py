"""so3 against mpmath 1.4 (40 digits), closed-form Jacobians and scipy's Rotation.

How the oracle takes the rounding of the input: every function is compared with mpmath on the very
float32 numbers that it is given. A rounded matrix is no exact rotation, so its oracle is the log
(angle) of the nearest rotation, found by polar decomposition in mpmath. Only the sign of the axis
is left open, and only at exactly pi, where the rounding of the matrix decides it.
"""

import functools

import hypothesis
import jax
import jax.numpy as jnp
import mpmath as mp
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from catpose.geometry import so3

mp.mp.dps = 40
PI = mp.pi
ANGLES = {
    "0": mp.mpf(0),
    "1e-12": mp.mpf("1e-12"),
    "1e-7": mp.mpf("1e-7"),
    "1e-4": mp.mpf("1e-4"),
    "1e-2": mp.mpf("1e-2"),
    "1": mp.mpf(1),
    "3": mp.mpf(3),
    "pi-1e-3": PI - mp.mpf("1e-3"),
    "pi-1e-6": PI - mp.mpf("1e-6"),
    "pi": PI,
}
RANDOM_AXES = np.random.default_rng(0).normal(size=(12, 3))
AXES = [*np.eye(3), *-np.eye(3), *RANDOM_AXES]
# The other rotation of a pair; exactly the identity first.
BASES = [np.zeros(3), *np.random.default_rng(1).normal(size=(len(AXES) - 1, 3))]
EVERY_ANGLE = pytest.mark.parametrize("angle", ANGLES.values(), ids=ANGLES.keys())
BOTH_PRECISIONS = pytest.mark.usefixtures("matmul_precision")


@pytest.fixture(params=["default", "bfloat16"])
def matmul_precision(request):
    with jax.default_matmul_precision(request.param):
        yield


# ---- the oracle ----


def mp_vector(x):
    return mp.matrix([mp.mpf(float(value)) for value in x])


def mp_matrix(x):
    return mp.matrix([[mp.mpf(float(value)) for value in row] for row in x])


def mp_hat(v):
    return mp.matrix([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])


def mp_exp(omega):
    angle = mp.norm(omega)
    if angle == 0:
        return mp.eye(3)
    k = mp_hat(omega / angle)
    return mp.eye(3) + mp.sin(angle) * k + (1 - mp.cos(angle)) * k * k


def mp_nearest_rotation(matrix):
    for _ in range(3):  # Newton's iteration for the polar factor: 1e-14, 1e-28, 1e-56
        matrix = (matrix + (matrix**-1).T) / 2
    return matrix


def mp_log(rotation):
    r = rotation
    skew = mp.matrix([r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1]])
    size, trace = mp.norm(skew), r[0, 0] + r[1, 1] + r[2, 2]
    angle = mp.atan2(size, trace - 1)
    if trace > 0:
        return skew * (angle / size) if size > 0 else skew
    # Near pi the axis is the largest column of the symmetric part plus the identity.
    symmetric = (r + r.T) / 2 + mp.eye(3) * (1 - trace) / 2
    columns = [symmetric[:, i] for i in range(3)]
    axis = max(columns, key=mp.norm)
    axis = axis / mp.norm(axis)
    agreement = sum(axis[i] * skew[i] for i in range(3))
    return axis * (-angle if agreement < 0 else angle)


def mp_left_jacobian(omega):
    angle = mp.norm(omega)
    if angle == 0:
        return mp.eye(3)
    k = mp_hat(omega / angle)
    return mp.eye(3) + (1 - mp.cos(angle)) / angle * k + (1 - mp.sin(angle) / angle) * k * k


def mp_left_jacobian_inverse(omega):
    angle = mp.norm(omega)
    if angle == 0:
        return mp.eye(3)
    k = mp_hat(omega / angle)
    return mp.eye(3) - angle / 2 * k + (1 - angle / 2 * mp.cot(angle / 2)) * k * k


def to_numpy(matrix):
    rows = np.array(matrix.tolist(), dtype=np.float64)
    return rows[:, 0] if rows.shape[1] == 1 else rows


def rounded(matrices, dtype=np.float32):
    return np.stack([to_numpy(m) for m in matrices]).astype(dtype)


@functools.cache
def omegas_of(angle):
    vectors = [mp_vector(axis) for axis in AXES]
    return [v * (angle / mp.norm(v)) for v in vectors]


@functools.cache
def pairs_of(angle):
    """Float32 matrices `a`, `b` with the given angle between them, and exact log(a b')."""
    bases = [mp_exp(mp_vector(base)) for base in BASES]
    a = rounded([mp_exp(o) * base for o, base in zip(omegas_of(angle), bases, strict=True)])
    b = rounded(bases)
    exact = [
        mp_log(mp_nearest_rotation(mp_matrix(x)) * mp_nearest_rotation(mp_matrix(y)).T)
        for x, y in zip(a, b, strict=True)
    ]
    return a, b, exact


@functools.cache
def matrices_of(angle):
    """Float32 matrices of the given angle and the exact log of the nearest rotations."""
    rotation = rounded([mp_exp(o) for o in omegas_of(angle)])
    return rotation, [mp_log(mp_nearest_rotation(mp_matrix(r))) for r in rotation]


def along_group(fn):
    """Jacobian of t -> fn(exp(t) R) at t = 0, for a batch of R (and partners)."""

    def shifted(rotation, *others):
        return jax.jacobian(lambda t: fn(so3.multiply(so3.exp(t), rotation), *others))(
            jnp.zeros(3, rotation.dtype)
        )

    return jax.jit(jax.vmap(shifted))


log_jacobian = along_group(so3.log)
distance_jacobian = along_group(so3.geodesic_distance)
distance_jacobian_of_second = along_group(lambda b, a: so3.geodesic_distance(a, b))
exp_jacobian = jax.jit(jax.vmap(jax.jacobian(so3.exp)))


# ---- values ----


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_exp_matches_mpmath(angle):
    omega = rounded(omegas_of(angle))
    exact = [mp_exp(mp_vector(o)) for o in omega]
    for got, want in zip(np.asarray(so3.exp(omega)), exact, strict=True):
        # |A - B|_F / sqrt(2) is the angle to first order and counts departures from the group too.
        assert mp.mnorm(mp_matrix(got) - want, "f") / mp.sqrt(2) < 5e-7


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_log_matches_mpmath(angle):
    rotation, exact = matrices_of(angle)
    got, exact = np.asarray(so3.log(rotation), np.float64), rounded(exact, np.float64)
    error = np.linalg.norm(got - exact, axis=-1)
    if angle == PI:
        error = np.minimum(error, np.linalg.norm(got + exact, axis=-1))
    assert error.max() < 5e-7


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_log_of_rounded_rotation_is_near_the_unrounded_vector(angle):
    omega = rounded(omegas_of(angle), np.float64)
    got = np.asarray(so3.log(matrices_of(angle)[0]), np.float64)
    error = np.linalg.norm(got - omega, axis=-1)
    if angle == PI:
        error = np.minimum(error, np.linalg.norm(got + omega, axis=-1))
    assert error.max() < 5e-7


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_geodesic_distance_matches_mpmath(angle):
    a, b, exact = pairs_of(angle)
    exact = np.array([float(mp.norm(o)) for o in exact])
    assert abs(np.asarray(so3.geodesic_distance(a, b)) - exact).max() < 5e-7
    assert abs(np.asarray(so3.geodesic_distance(b, a)) - exact).max() < 5e-7


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_distance_to_itself_is_zero(angle):
    a, _, _ = pairs_of(angle)
    assert np.asarray(so3.geodesic_distance(a, a)).max() <= 1e-7


@BOTH_PRECISIONS
def test_log_at_exactly_pi_is_pi_times_the_axis():
    half_turns = np.array([np.diag([1, -1, -1]), np.diag([-1, 1, -1]), np.diag([-1, -1, 1])])
    got = np.asarray(so3.log(half_turns.astype(np.float32)))
    np.testing.assert_allclose(abs(got), np.pi * np.eye(3), atol=3e-7)


@BOTH_PRECISIONS
def test_small_angles_keep_their_digits():
    # Absolute bars cannot see this: 1e-12 rad must not come out as 0.
    omega = rounded(omegas_of(mp.mpf("1e-12")))
    rotation = so3.exp(omega)
    np.testing.assert_allclose(so3.log(rotation), omega, rtol=1e-6)
    np.testing.assert_allclose(so3.geodesic_distance(rotation, jnp.eye(3)), 1e-12, rtol=1e-6)


# ---- gradients ----


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_log_gradient_is_the_inverse_left_jacobian(angle):
    rotation, logs = matrices_of(angle)
    got = np.asarray(log_jacobian(rotation))
    assert np.isfinite(got).all()
    if angle == PI:
        return
    exact = rounded([mp_left_jacobian_inverse(omega) for omega in logs])
    assert abs(got - exact).max() < 1e-4


@BOTH_PRECISIONS
@EVERY_ANGLE
def test_distance_gradient_is_the_axis(angle):
    # (omega' / |omega|) J^-1(omega) = omega' / |omega|, with omega the log of a b'.
    a, b, exact = pairs_of(angle)
    first = np.asarray(distance_jacobian(a, b))
    second = np.asarray(distance_jacobian_of_second(b, a))
    for got in (first, second):
        assert np.isfinite(got).all()
        assert np.linalg.norm(got, axis=-1).max() <= 1 + 1e-5
    for i, omega in enumerate(exact):
        # At exactly 0 (also 1e-12 where both matrices round to the same numbers) and at exactly pi
        # there is no gradient to compare with.
        if angle in (0, PI) or np.array_equal(a[i], b[i]):
            continue
        unit = to_numpy(omega / mp.norm(omega))
        np.testing.assert_allclose(first[i], unit, atol=1e-4)
        np.testing.assert_allclose(second[i], -unit, atol=1e-4)


@BOTH_PRECISIONS
@pytest.mark.parametrize("length", ["0", "1e-7", "1e-2", "1", "3", "pi", "4", "5.4"])
def test_exp_gradient_is_the_left_jacobian(length):
    # Up to 5.4 rad: pi * tanh fills a cube.
    omega = rounded(omegas_of(PI if length == "pi" else mp.mpf(length)))
    columns = np.asarray(exp_jacobian(omega))  # (N, 3, 3, 3)
    for o, jacobian in zip(omega, columns, strict=True):
        o = mp_vector(o)
        left, transposed = mp_left_jacobian(o), to_numpy(mp_exp(o)).T
        for i in range(3):
            got = jacobian[:, :, i] @ transposed
            np.testing.assert_allclose(got, to_numpy(mp_hat(left[:, i])), atol=1e-5)


@pytest.mark.parametrize("fn", ["log", "distance", "quaternion"])
def test_gradients_are_finite_at_the_singular_points(fn):
    base = np.asarray(so3.exp(np.random.default_rng(2).normal(size=(5, 3)).astype(np.float32)))
    half = [np.diag(d) for d in ([1, -1, -1], [-1, 1, -1], [-1, -1, 1])]
    half = np.stack([np.eye(3), *half]).astype(np.float32)
    a = np.einsum("nij,mjk->nmik", base, half)  # at 0 and at pi from `base`
    functions = {
        "log": lambda x, _: so3.log(x),
        "distance": so3.geodesic_distance,
        "quaternion": lambda x, _: so3.quaternion_from_rotation(x),
    }
    gradient_fn = jax.jit(jax.grad(lambda x, y: jnp.sum(functions[fn](x, y)), argnums=(0, 1)))
    for x, y in [(a, base[:, None]), (half[None], np.eye(3, dtype=np.float32))]:
        gradients = gradient_fn(*np.broadcast_arrays(x, y))
        assert all(bool(jnp.isfinite(g).all()) for g in gradients)


def test_second_derivatives():
    # The squared distance to the identity is |omega|^2: the Hessian is 2 I, and finite at 0.
    loss = lambda omega: so3.geodesic_distance(so3.exp(omega), jnp.eye(3)) ** 2  # noqa: E731
    hessian = jax.jit(jax.vmap(jax.hessian(loss)))
    got = hessian(jnp.array([[1e-3, 2e-3, -1e-3], [0.5, -0.3, 0.2], [0, 0, 0]]))
    np.testing.assert_allclose(got[:2], np.broadcast_to(2 * np.eye(3), (2, 3, 3)), atol=1e-3)
    assert bool(jnp.isfinite(got).all())


# ---- quaternions ----


def test_quaternions_match_scipy():
    generator = np.random.default_rng(3)
    p, q = Rotation.random(64, generator), Rotation.random(64, generator)
    wxyz = lambda r: np.roll(r.as_quat(canonical=True), 1, axis=-1)  # noqa: E731  scipy: xyzw
    p32, q32 = wxyz(p).astype(np.float32), wxyz(q).astype(np.float32)
    np.testing.assert_allclose(so3.rotation_from_quaternion(p32), p.as_matrix(), atol=3e-7)
    np.testing.assert_allclose(so3.rotation_from_quaternion(-7 * p32), p.as_matrix(), atol=3e-7)
    matrix = p.as_matrix().astype(np.float32)
    np.testing.assert_allclose(so3.quaternion_from_rotation(matrix), p32, atol=3e-7)
    np.testing.assert_allclose(
        so3.rotation_from_quaternion(so3.quaternion_multiply(p32, q32)),
        (p * q).as_matrix(),
        atol=5e-7,
    )
    rotvec = p.as_rotvec()
    np.testing.assert_allclose(so3.axis_angle_from_quaternion(p32), rotvec, atol=1e-6)
    np.testing.assert_allclose(so3.axis_angle_from_quaternion(-3 * p32), rotvec, atol=1e-6)
    got = so3.quaternion_from_axis_angle(rotvec.astype(np.float32))
    np.testing.assert_allclose(got, p32, atol=3e-7)


@pytest.mark.parametrize("pivot", range(4))
def test_each_pivot_is_taken_and_differentiates_along_the_group(pivot):
    q = np.array([0.2, -0.3, 0.25, 0.35], np.float32)
    q[pivot] = 0.9
    q /= np.linalg.norm(q)
    rotation = so3.rotation_from_quaternion(q)
    np.testing.assert_allclose(so3.quaternion_from_rotation(rotation), q, atol=2e-7)
    got = along_group(so3.quaternion_from_rotation)(rotation[None])[0]
    w, x, y, z = q  # d/dt of exp(t) q is half of (0, t) times q
    want = 0.5 * np.array([[-x, -y, -z], [w, z, -y], [-z, w, x], [y, -x, w]])
    np.testing.assert_allclose(got, want, atol=2e-6)


def test_zero_quaternion_is_the_identity_with_a_finite_gradient():
    zero = jnp.zeros(4)
    np.testing.assert_array_equal(so3.rotation_from_quaternion(zero), np.eye(3))
    gradient = jax.jit(jax.jacobian(so3.rotation_from_quaternion))(zero)
    assert bool(jnp.isfinite(gradient).all())


# ---- types, shapes, arithmetic ----

UNARY = [
    (so3.hat, (3,)),
    (so3.exp, (3,)),
    (so3.log, (3, 3)),
    (so3.quaternion_from_rotation, (3, 3)),
    (so3.rotation_from_quaternion, (4,)),
    (so3.quaternion_from_axis_angle, (3,)),
    (so3.axis_angle_from_quaternion, (4,)),
]
BINARY = [
    (so3.multiply, (3, 3)),
    (so3.geodesic_distance, (3, 3)),
    (so3.quaternion_multiply, (4,)),
]


def argument(shape, leading, seed=4):
    omega = np.random.default_rng(seed).normal(size=(*leading, 3))
    if shape == (3,):
        return omega
    rotation = Rotation.from_rotvec(omega.reshape(-1, 3))
    matrix_or_quaternion = rotation.as_matrix() if shape == (3, 3) else rotation.as_quat()
    return matrix_or_quaternion.reshape(*leading, *shape)


@pytest.mark.parametrize(
    ("fn", "shapes"),
    [(fn, (shape,)) for fn, shape in UNARY] + [(fn, (shape, shape)) for fn, shape in BINARY],
)
def test_computes_in_at_least_float32_and_without_matmuls(fn, shapes):
    arguments = [argument(shape, (2,), seed) for seed, shape in enumerate(shapes)]
    for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
        low = [jax.ShapeDtypeStruct(x.shape, dtype) for x in arguments]
        assert jax.eval_shape(fn, *low).dtype == jnp.float32
    with jax.enable_x64(True):
        double = fn(*arguments)
        assert double.dtype == jnp.float64
    single = fn(*(x.astype(np.float32) for x in arguments))
    np.testing.assert_allclose(single, double, atol=2e-6)
    # CPUs ignore the matmul precision, so the absence of matmuls is asserted in the program.
    summed = lambda *x: jnp.sum(fn(*x))  # noqa: E731
    program = jax.make_jaxpr(jax.grad(summed))(*(x.astype(np.float32) for x in arguments))
    assert "dot_general" not in str(program)


@pytest.mark.parametrize(("fn", "shape"), UNARY)
def test_any_leading_axes(fn, shape):
    x = argument(shape, (2, 3)).astype(np.float32)
    whole = fn(x)
    np.testing.assert_allclose(fn(x[1, 2]), whole[1, 2], atol=1e-6)
    assert fn(x[:0]).shape == (0, *whole.shape[1:])


@pytest.mark.parametrize(("fn", "shape"), BINARY)
def test_leading_axes_broadcast(fn, shape):
    a = argument(shape, (4, 1), seed=5).astype(np.float32)
    b = argument(shape, (3,), seed=6).astype(np.float32)
    whole = fn(a, b)
    assert whole.shape[:2] == (4, 3)
    np.testing.assert_allclose(whole[2, 1], fn(a[2, 0], b[1]), atol=1e-6)


def test_float64_keeps_its_digits():
    with jax.enable_x64(True):
        for angle in ANGLES.values():
            omega = rounded(omegas_of(angle), np.float64)
            exact = rounded([mp_exp(mp_vector(o)) for o in omega], np.float64)
            np.testing.assert_allclose(so3.exp(omega), exact, atol=2e-15)
            if angle != PI:
                np.testing.assert_allclose(so3.log(exact), omega, atol=5e-15)
            distance = so3.geodesic_distance(exact, np.eye(3))
            np.testing.assert_allclose(distance, float(angle), atol=2e-15)


# ---- group properties ----

vector = st.tuples(*[st.floats(-3, 3, width=32)] * 3).map(lambda v: np.array(v, np.float32))
quick = hypothesis.settings(max_examples=50, deadline=None)


@quick
@hypothesis.given(vector)
def test_exp_matches_scipy_and_log_inverts_it(omega):
    rotation = so3.exp(omega)
    scipy = Rotation.from_rotvec(omega.astype(np.float64))
    np.testing.assert_allclose(rotation, scipy.as_matrix(), atol=1e-6)
    np.testing.assert_allclose(so3.exp(so3.log(rotation)), rotation, atol=2e-6)
    assert np.linalg.norm(so3.log(rotation)) <= np.pi + 1e-6


@quick
@hypothesis.given(vector, vector, vector)
def test_distance_is_a_bi_invariant_metric(u, v, w):
    a, b, c = (so3.exp(x) for x in (u, v, w))
    distance = so3.geodesic_distance(a, b)
    scipy = (Rotation.from_rotvec(u).inv() * Rotation.from_rotvec(v)).magnitude()
    np.testing.assert_allclose(distance, scipy, atol=2e-6)
    np.testing.assert_allclose(so3.geodesic_distance(b, a), distance, atol=2e-6)
    left = so3.geodesic_distance(so3.multiply(c, a), so3.multiply(c, b))
    right = so3.geodesic_distance(so3.multiply(a, c), so3.multiply(b, c))
    np.testing.assert_allclose([left, right], [distance, distance], atol=3e-6)
    assert distance <= so3.geodesic_distance(a, c) + so3.geodesic_distance(c, b) + 3e-6


@quick
@hypothesis.given(vector, vector)
def test_multiply_composes_like_quaternions(u, v):
    product = so3.multiply(so3.exp(u), so3.exp(v))
    p, q = (so3.quaternion_from_axis_angle(x) for x in (u, v))
    by_quaternions = so3.rotation_from_quaternion(so3.quaternion_multiply(p, q))
    np.testing.assert_allclose(product, by_quaternions, atol=2e-6)


def test_hat_is_the_cross_product():
    a, b = np.random.default_rng(7).normal(size=(2, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(so3.hat(a)) @ b, np.cross(a, b), atol=1e-6)
