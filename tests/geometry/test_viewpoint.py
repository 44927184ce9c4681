"""viewpoint against scipy's Rotation ("ZXZ" intrinsic is Rz Rx Rz) and closed forms."""

import itertools

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from catpose.geometry import so3, viewpoint

M = np.diag([-1.0, 1.0, 1.0])
ROWS = 256


def scipy_rotation(azimuth_deg, elevation_deg, theta_deg, frame):
    a, e, t = (np.asarray(x, np.float64) for x in (azimuth_deg, elevation_deg, theta_deg))
    if frame == "paper":
        return Rotation.from_euler("ZXZ", np.stack([t, e, a], axis=-1), degrees=True).as_matrix()
    camera = Rotation.from_euler("ZXZ", np.stack([t, e - 90, -a], axis=-1), degrees=True)
    if frame == "camera":
        return camera.as_matrix()
    return (Rotation.from_euler("X", 90, degrees=True) * camera).as_matrix()


def from_degrees(azimuth, elevation, theta, frame="camera"):
    radians = (np.deg2rad(np.asarray(x, np.float32)) for x in (azimuth, elevation, theta))
    return viewpoint.rotation_from_angles(*radians, frame=frame)


def random_degrees(seed, theta_limit=180.0):
    generator = np.random.default_rng(seed)
    return (
        generator.uniform(0, 360, ROWS),
        generator.uniform(-90, 90, ROWS),
        generator.uniform(-theta_limit, theta_limit, ROWS),
    )


def angle_between(a, b):
    return np.rad2deg(np.asarray(so3.geodesic_distance(a, b), np.float64))


@pytest.mark.parametrize("frame", viewpoint.FRAMES)
def test_rotation_matches_scipy(frame):
    angles = random_degrees(0)
    np.testing.assert_allclose(
        from_degrees(*angles, frame), scipy_rotation(*angles, frame), atol=1e-6
    )


def test_angles_broadcast():
    azimuth = jnp.zeros((3, 1))
    assert viewpoint.rotation_from_angles(azimuth, jnp.zeros(2), jnp.zeros(())).shape == (
        3,
        2,
        3,
        3,
    )


def test_camera_centre():
    # In camera coordinates the camera lies on +z, so its place in the object is the last row.
    azimuth, elevation, theta = random_degrees(1)
    a, e = np.deg2rad(azimuth), np.deg2rad(elevation)
    centre = np.stack([np.cos(e) * np.sin(a), -np.cos(e) * np.cos(a), np.sin(e)], axis=-1)
    np.testing.assert_allclose(from_degrees(azimuth, elevation, theta)[:, 2], centre, atol=1e-6)


def test_frontal_view_is_the_identity_in_upright():
    np.testing.assert_allclose(from_degrees(0, 0, 0, "upright"), np.eye(3), atol=1e-7)
    # and the cut locus lies behind the object
    behind = from_degrees(180, 0, 0, "upright")
    np.testing.assert_allclose(angle_between(behind, jnp.eye(3)), 180, atol=1e-4)


def test_opencv_form_is_an_isometry_of_camera():
    a, b = random_degrees(2), random_degrees(3)

    def opencv(azimuth, elevation, theta):
        euler = np.stack([-theta, 90 + elevation, -azimuth], axis=-1)
        return Rotation.from_euler("ZXZ", euler, degrees=True)

    np.testing.assert_allclose(
        np.diag([1, -1, -1]) @ opencv(*a).as_matrix(), from_degrees(*a), atol=1e-6
    )
    want = np.rad2deg((opencv(*a).inv() * opencv(*b)).magnitude())
    np.testing.assert_allclose(angle_between(from_degrees(*a), from_degrees(*b)), want, atol=1e-4)


def test_camera_and_upright_errors_are_equal_and_paper_errors_are_not():
    a, b = random_degrees(4), random_degrees(5)
    error = {f: angle_between(from_degrees(*a, f), from_degrees(*b, f)) for f in viewpoint.FRAMES}
    np.testing.assert_allclose(error["upright"], error["camera"], atol=1e-4)
    assert abs(error["paper"] - error["camera"]).max() > 10


def test_azimuth_and_theta_cancel_in_paper_only():
    # At elevation 0, azimuth +20 and theta -20 deg: two turns about perpendicular axes.
    true_distance = 2 * np.rad2deg(np.arccos(np.cos(np.deg2rad(10)) ** 2))
    assert round(true_distance, 1) == 28.2
    for frame, want in [("camera", true_distance), ("upright", true_distance), ("paper", 0)]:
        got = angle_between(from_degrees(0, 0, 0, frame), from_degrees(20, 0, -20, frame))
        np.testing.assert_allclose(got, want, atol=1e-4)


def test_turning_the_picture_counter_clockwise_adds_to_theta():
    azimuth, elevation, theta = random_degrees(6, theta_limit=90)
    turned = Rotation.from_euler("z", 30, degrees=True).as_matrix() @ np.asarray(
        from_degrees(azimuth, elevation, theta)
    )
    np.testing.assert_allclose(turned, from_degrees(azimuth, elevation, theta + 30), atol=1e-6)


# ---- angles out ----


@pytest.mark.parametrize("frame", ["camera", "upright"])
def test_angles_come_back(frame):
    azimuth, elevation, theta = random_degrees(7)
    elevation = np.clip(elevation, -85, 85)
    got = viewpoint.angles_from_rotation(from_degrees(azimuth, elevation, theta, frame), frame)
    np.testing.assert_allclose(np.rad2deg(got), np.stack([azimuth, elevation, theta]), atol=2e-4)


def test_angles_come_back_in_paper_up_to_its_twofold_ambiguity():
    azimuth, elevation, theta = random_degrees(8, theta_limit=89)
    elevation = np.where(abs(elevation) < 5, 5, elevation)
    want = np.stack([azimuth, elevation, theta])
    for shift in (0, 180):  # (a + 180, -e, theta + 180) is the same rotation
        sign = -1 if shift else 1
        rotation = from_degrees(azimuth + shift, sign * elevation, theta + shift, "paper")
        got = np.rad2deg(viewpoint.angles_from_rotation(rotation, "paper"))
        np.testing.assert_allclose(got, want, atol=1e-3)


EDGES = [-90.0, -89.9999, -45.0, -1e-5, 0.0, 1e-5, 45.0, 89.9999, 90.0]
angle = st.one_of(st.floats(-360, 360, width=32), st.sampled_from([*EDGES, -180.0, 180.0, 360.0]))
elevations = st.one_of(st.floats(-90, 90, width=32), st.sampled_from(EDGES))
quick = hypothesis.settings(max_examples=80, deadline=None)


@quick
@hypothesis.given(angle, elevations, angle, st.sampled_from(viewpoint.FRAMES))
def test_angles_always_give_the_rotation_back_and_stay_in_range(a, e, t, frame):
    rotation = from_degrees(a, e, t, frame)
    azimuth, elevation, theta = viewpoint.angles_from_rotation(rotation, frame)
    again = viewpoint.rotation_from_angles(azimuth, elevation, theta, frame)
    np.testing.assert_allclose(again, rotation, atol=3e-6)
    assert 0 <= float(azimuth) < 2 * np.pi
    assert not np.signbit(azimuth)
    half_turn, quarter_turn = np.float32(np.pi), np.float32(np.pi / 2)
    if frame == "paper":
        assert abs(theta) <= quarter_turn + 1e-5
        assert abs(elevation) <= half_turn
    else:
        assert abs(elevation) <= quarter_turn
        assert -half_turn < theta <= half_turn


@quick
@hypothesis.given(st.integers(0, 2**32 - 1), st.sampled_from(viewpoint.FRAMES))
def test_any_rotation_has_angles(seed, frame):
    rotation = Rotation.random(16, np.random.default_rng(seed)).as_matrix().astype(np.float32)
    angles = viewpoint.angles_from_rotation(rotation, frame)
    again = viewpoint.rotation_from_angles(*angles, frame=frame)
    np.testing.assert_allclose(again, rotation, atol=3e-6)


@pytest.mark.parametrize("frame", ["camera", "upright"])
@pytest.mark.parametrize("elevation", [90, -90])
def test_theta_is_zero_at_the_poles(frame, elevation):
    # At +90 only azimuth - theta is determined, at -90 only azimuth + theta.
    azimuth, _, theta = random_degrees(9)
    got = viewpoint.angles_from_rotation(from_degrees(azimuth, elevation, theta, frame), frame)
    got_azimuth, got_elevation, got_theta = (np.rad2deg(x) for x in got)
    assert (got_theta == 0).all()
    np.testing.assert_allclose(got_elevation, elevation, atol=1e-4)
    combined = azimuth - np.sign(elevation) * theta
    np.testing.assert_allclose((got_azimuth - combined + 180) % 360, 180, atol=2e-4)


def test_a_tiny_negative_azimuth_is_zero_not_a_full_turn():
    rotation = viewpoint.rotation_from_angles(jnp.float32(-1e-9), jnp.zeros(()), jnp.zeros(()))
    assert float(viewpoint.angles_from_rotation(rotation)[0]) == 0


def test_theta_of_an_upside_down_picture_is_plus_pi():
    rotation = np.diag([-1.0, -1.0, 1.0]) @ np.asarray(from_degrees(0, 0, 0))
    zeros = np.argwhere(rotation == 0)
    signs = np.array(list(itertools.product([1.0, -1.0], repeat=len(zeros))))
    rotations = np.tile(rotation, (len(signs), 1, 1)).astype(np.float32)
    rotations[:, *zeros.T] = np.copysign(0, signs)
    theta = viewpoint.angles_from_rotation(rotations)[2]
    np.testing.assert_allclose(theta, np.pi, atol=1e-6)


# ---- frames and mirror ----


@pytest.mark.parametrize("source", viewpoint.FRAMES)
@pytest.mark.parametrize("target", viewpoint.FRAMES)
def test_convert_frame_keeps_the_viewpoint(source, target):
    azimuth, elevation, theta = random_degrees(10, theta_limit=89)
    elevation = np.where(abs(elevation) < 5, 5, elevation)
    rotation = from_degrees(azimuth, elevation, theta, source)
    want = scipy_rotation(azimuth, elevation, theta, target)
    got = viewpoint.convert_frame(rotation, source, target)
    np.testing.assert_allclose(got, want, atol=1e-5)
    back = viewpoint.convert_frame(got, target, source)
    np.testing.assert_allclose(back, rotation, atol=1e-5)


def test_convert_between_camera_and_upright_is_exact():
    rotation = Rotation.random(32, np.random.default_rng(11)).as_matrix().astype(np.float32)
    upright = viewpoint.convert_frame(rotation, "camera", "upright")
    np.testing.assert_array_equal(viewpoint.convert_frame(upright, "upright", "camera"), rotation)


@pytest.mark.parametrize("frame", viewpoint.FRAMES)
def test_mirror(frame):
    azimuth, elevation, theta = random_degrees(12)
    mirrored = viewpoint.mirror(from_degrees(azimuth, elevation, theta, frame))
    np.testing.assert_allclose(
        mirrored, from_degrees(-azimuth, elevation, -theta, frame), atol=1e-6
    )
    scipy = scipy_rotation(azimuth, elevation, theta, frame)
    np.testing.assert_allclose(mirrored, M @ scipy @ M, atol=1e-6)


def test_mirror_flips_a_projected_point():
    # An object symmetric in x, seen mirrored: the point (x, y, z) lands where (-x, y, z) was.
    rotation = np.asarray(from_degrees(*random_degrees(13)))
    point = np.array([0.3, -0.7, 0.5])
    image = (rotation @ point)[:, :2]
    np.testing.assert_allclose(
        (np.asarray(viewpoint.mirror(rotation)) @ (M @ point))[:, :2], image * [-1, 1], atol=1e-6
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda: viewpoint.rotation_from_angles(*[jnp.zeros(())] * 3, frame="opencv"),
        lambda: viewpoint.angles_from_rotation(jnp.eye(3), "opencv"),
        lambda: viewpoint.convert_frame(jnp.eye(3), "opencv", "camera"),
        lambda: viewpoint.convert_frame(jnp.eye(3), "camera", "opencv"),
    ],
)
def test_unknown_frame_is_named(call):
    with pytest.raises(ValueError, match="camera, upright, paper; got 'opencv'"):
        call()


def test_types():
    low = jnp.zeros(2, jnp.bfloat16)
    assert viewpoint.rotation_from_angles(low, low, low).dtype == jnp.float32
    with jax.enable_x64(True):
        angles = [np.deg2rad(x) for x in random_degrees(14)]
        rotation = viewpoint.rotation_from_angles(*angles)
        assert rotation.dtype == jnp.float64
        np.testing.assert_allclose(viewpoint.angles_from_rotation(rotation), angles, atol=1e-12)
        assert viewpoint.mirror(rotation).dtype == jnp.float64
