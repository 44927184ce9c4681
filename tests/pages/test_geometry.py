"""The pages' geometry in JavaScript against the same in Python, run by Node."""

import json
import shutil
import subprocess

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from catpose.geometry import so3, viewpoint
from catpose.synthetic.objects import catalogue
from catpose.visualize import overlay
from tests.support.paths import ROOT

GEOMETRY = ROOT / "catpose/pages/static/geometry.js"
RUN = """
const text = require("fs").readFileSync(0, "utf8");
const { source, calls } = JSON.parse(text);
import("data:text/javascript," + encodeURIComponent(source)).then((geometry) => {
  console.log(JSON.stringify(calls.map(([name, ...values]) => geometry[name](...values))));
});
"""


def call(*calls):
    """What functions of geometry.js return: of each call, its name and arguments."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is not installed")
    given = json.dumps({"source": GEOMETRY.read_text(), "calls": calls})
    done = subprocess.run(
        [node, "-e", RUN], input=given, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout)


def viewpoints(count, seed=0):
    """Random angles in degrees, and those of the poles and the ends of the ranges."""
    low, high = (0, -90, -180), (360, 90, 180)
    found = np.random.default_rng(seed).uniform(low, high, (count, 3))
    special = [
        [0, 0, 0],
        [90, 0, 0],
        [180, 0, 180],
        [270, 90, 0],
        [30, -90, 0],
        [359.9, 10, -179.9],
    ]
    return np.concatenate([found, special])


def rotations(angles):
    radians = np.radians(angles).astype(np.float32)
    return np.asarray(viewpoint.rotation_from_angles(*radians.T), np.float64)


def test_rotations_are_those_of_python():
    angles = viewpoints(200)
    found = np.array(call(*(["rotationFromAngles", list(each)] for each in angles)))
    np.testing.assert_allclose(found.reshape(-1, 3, 3), rotations(angles), atol=2e-6)


def test_angles_come_back():
    angles = viewpoints(200, seed=1)
    matrices = call(*(["rotationFromAngles", list(each)] for each in angles))
    found = np.array(call(*(["anglesFromRotation", each] for each in matrices)))
    again = call(*(["rotationFromAngles", list(each)] for each in found))
    np.testing.assert_allclose(again, matrices, atol=1e-9)
    assert (found >= [0, -90, -180]).all()
    assert (found <= [360, 90, 180]).all()
    assert (found[:, 0] < 360).all()
    ordinary = np.abs(angles[:, 1]) < 89.9
    apart = (found - angles + 180) % 360 - 180
    np.testing.assert_allclose(apart[ordinary], 0, atol=1e-6)


def test_distances_are_scipys():
    one, other = Rotation.random(100, random_state=2), Rotation.random(100, random_state=3)
    pairs = zip(one.as_matrix().reshape(-1, 9), other.as_matrix().reshape(-1, 9), strict=True)
    found = call(*(["distance", a.tolist(), b.tolist()] for a, b in pairs))
    np.testing.assert_allclose(found, np.degrees((one.inv() * other).magnitude()), atol=1e-6)


def test_the_shortest_way_between_rotations_is_scipys():
    keys = Rotation.random(40, random_state=6)
    half = Rotation.from_rotvec(np.pi * np.array([0.6, 0.0, 0.8])) * keys[0]
    pairs = [(keys[i], keys[i + 1]) for i in range(39)] + [(keys[0], keys[0]), (keys[0], half)]
    matrices = [[each.as_matrix().ravel().tolist() for each in pair] for pair in pairs]
    found = np.array(call(*(["between", *pair, 0.3] for pair in matrices)))
    found = Rotation.from_matrix(found.reshape(-1, 3, 3))
    for way, (a, b) in zip(found[:-1], pairs[:-1], strict=True):
        expected = Slerp([0, 1], Rotation.concatenate([a, b]))(0.3)
        assert (way.inv() * expected).magnitude() < 1e-7
    # Two ways are equally short where they are opposite.
    assert (found[-1].inv() * keys[0]).magnitude() == pytest.approx(0.3 * np.pi)
    assert (found[-1].inv() * half).magnitude() == pytest.approx(0.7 * np.pi)


def test_mirror_and_reverse_are_those_of_python():
    angles = viewpoints(50, seed=4)
    truth = rotations(angles)
    mirrored = np.array(call(*(["mirrored", list(each)] for each in angles)))
    np.testing.assert_allclose(rotations(mirrored), viewpoint.mirror(truth), atol=3e-6)
    turn = np.diag([-1.0, -1.0, 1.0])  # by 180 degrees about the object's own z axis
    behind = np.array(call(*(["reversed", list(each)] for each in angles)))
    np.testing.assert_allclose(rotations(behind), truth @ turn, atol=3e-6)


def test_any_angles_mean_the_same_viewpoint():
    angles = np.random.default_rng(5).uniform(-1000, 1000, (100, 3))
    found = np.array(call(*(["normalized", list(each)] for each in angles)))
    apart = so3.geodesic_distance(rotations(found), rotations(angles))
    assert np.degrees(apart).max() < 0.02  # float32 of a thousand degrees
    assert (np.abs(found[:, 1]) <= 90).all()


@pytest.mark.parametrize("theta", [0, 35, -120])
def test_a_drag_moves_what_faces_the_viewer_with_the_hand(theta):
    begin, drag = [40, 20, theta], np.array([3.0, 2.0])
    (end,) = call(["dragged", begin, *drag, 200])
    before, after = rotations([begin])[0], rotations([end])[0]
    point = before.T @ [0, 0, 1]  # of the object's frame, nearest to the viewer
    moved = 200 * (after @ point)[:2] * [1, -1]
    # Turning about the object's z axis moves it by less the higher one looks from.
    expected = rotate(drag, theta) * [np.cos(np.radians(20)), 1]
    np.testing.assert_allclose(rotate(moved, theta), expected, atol=0.05)


def rotate(vector, degrees):
    """A vector of the picture (y down) along axes that are turned counter-clockwise."""
    cosine, sine = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[cosine, -sine], [sine, cosine]]) @ vector


def test_a_tilt_turns_the_picture():
    (end,) = call(["tilted", [40, 20, 10], [100, 0], [0, -100]])  # from the right to the top
    turn = Rotation.from_euler("z", 90, degrees=True).as_matrix()
    np.testing.assert_allclose(rotations([end])[0], turn @ rotations([[40, 20, 10]])[0], atol=2e-6)


@pytest.mark.parametrize("stretch", [False, True])
def test_a_model_is_placed_as_in_pythons_overlays(stretch):
    mesh = catalogue.make(np.random.default_rng(0), "car")
    angles, box = [120.0, 25.0, -15.0], [30.0, 50.0, 230.0, 150.0]
    rotation = rotations([angles])[0]
    corners = mesh.vertices.ravel().tolist()
    (found,) = call(["placement", rotation.ravel().tolist(), corners, box, stretch])
    _, view = overlay.placed(mesh, rotation, box, stretch=stretch)
    np.testing.assert_allclose(found["center"], view.center, rtol=1e-5)
    # Python's focal length is in pixels at distance 1 from the eye, which is 5 away.
    np.testing.assert_allclose(found["focal"][0], view.focal / 5, rtol=1e-5)
    (extent,) = call(["extent", rotation.ravel().tolist(), corners])
    edges = np.array(extent).reshape(2, 2) * found["focal"] + found["center"]
    filled = np.isclose(edges.ravel(), box, atol=1e-3)
    assert filled.all() if stretch else filled.sum() >= 2
