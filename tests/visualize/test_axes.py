"""Oracle: scipy's Rotation composed as the PASCAL3D+ devkit does, Rz(theta) Rx(e - 90) Rz(-a)."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.visualize import axes

RED, GREEN, BLUE = (np.array(color) for color in axes.COLORS)


def view(azimuth_deg, elevation_deg=0.0, theta_deg=0.0):
    turns = Rotation.from_euler("z", theta_deg, degrees=True)
    turns *= Rotation.from_euler("x", elevation_deg - 90, degrees=True)
    turns *= Rotation.from_euler("z", -azimuth_deg, degrees=True)
    return turns.as_matrix()


def ends(*angles):
    return axes.project_axes(view(*angles), (100.0, 50.0), 10.0)


def test_frontal_view_points_at_the_viewer():
    np.testing.assert_allclose(ends(0), [[100, 50], [110, 50], [100, 40]], atol=1e-12)


def test_azimuth_90_shows_the_left_side_with_the_front_at_image_left():
    np.testing.assert_allclose(ends(90), [[90, 50], [100, 50], [100, 40]], atol=1e-12)
    np.testing.assert_allclose((view(90) @ [1, 0, 0])[2], 1.0)  # the left side faces the viewer


def test_elevation_90_looks_down_with_the_front_at_the_bottom():
    np.testing.assert_allclose(ends(0, 90), [[100, 60], [110, 50], [100, 50]], atol=1e-12)


@pytest.mark.parametrize("theta_deg", [30.0, 90.0, -45.0])
def test_positive_theta_turns_counter_clockwise(theta_deg):
    straight, turned = (ends(35, 20, t) - [100.0, 50.0] for t in (0, theta_deg))
    c, s = np.cos(np.radians(theta_deg)), np.sin(np.radians(theta_deg))
    # Counter-clockwise on a picture whose y runs down: up (0, -1) goes to the left (-1, 0).
    expected = straight @ np.array([[c, s], [-s, c]]).T
    np.testing.assert_allclose(turned, expected, atol=1e-12)


def near(picture, color, tolerance=70):
    distance = np.abs(picture.astype(int) - color).max(axis=-1)
    return distance < tolerance


def test_the_arrows_lie_where_the_projection_says():
    gray = np.full((300, 400, 3), 128, np.uint8)
    out = axes.draw_axes(gray, view(90), (150, 50, 350, 250))
    assert out.shape == gray.shape
    assert out.dtype == np.uint8
    length = 0.42 * 200
    for index, color in ((0, RED), (2, BLUE)):
        x, y = axes.project_axes(view(90), (250.0, 150.0), 0.85 * length)[index]
        assert near(out, color)[int(y) - 2 : int(y) + 3, int(x) - 2 : int(x) + 3].all()
    rows, columns = np.nonzero(near(out, RED))
    assert columns.min() > 250 - 1.5 * length
    assert columns.max() < 250 + 0.2 * length  # the red arrow goes left, its letter included
    assert abs(rows.mean() - 150) < 2


def test_pixels_away_from_the_drawing_keep_their_values_and_the_input_is_not_changed():
    image = np.random.default_rng(0).integers(0, 256, (400, 400, 3), dtype=np.uint8)
    before = image.copy()
    out = axes.draw_axes(image, view(20), (150, 150, 250, 250))
    np.testing.assert_array_equal(image, before)
    changed = (out != image).any(axis=-1)
    rows, columns = np.nonzero(changed)
    assert changed.any()
    assert rows.min() > 60
    assert rows.max() < 340
    assert columns.min() > 60
    assert columns.max() < 340


def test_box_edges_are_drawn_where_the_box_is():
    out = axes.draw_axes(np.zeros((400, 400, 3), np.uint8), view(20), (40, 60, 300, 380))
    assert (out[200, 39:41] > 150).any()
    assert (out[200, 299:301] > 150).any()
    assert (out[59:61, 60] > 150).any()
    assert (out[379:381, 60] > 150).any()
    assert not axes.draw_axes(np.zeros((400, 400, 3), np.uint8), view(20))[200, :40].any()


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ((64, 64), (192, 192)),
        ((61, 224), (122, 448)),
        ((160, 200), (160, 200)),
        ((1, 1), (160, 160)),
    ],
)
def test_small_pictures_are_enlarged_by_a_whole_number(shape, expected):
    out = axes.draw_axes(np.zeros((*shape, 3), np.uint8), view(45, 10), label="bus 0.9")
    assert out.shape == (*expected, 3)


@pytest.mark.parametrize("box", [(-50, -60, 20, 30), (180, 180, 400, 500), (10, 10, 10, 10)])
def test_boxes_that_leave_the_picture_are_drawn_as_far_as_it_goes(box):
    image = np.zeros((200, 200, 3), np.uint8)
    out = axes.draw_axes(image, view(200, 30, 10), box, target_rotation=view(0), label="x" * 200)
    assert out.shape == image.shape


def test_ground_truth_adds_pale_lines_that_end_where_its_axes_do():
    gray = np.full((400, 400, 3), 40, np.uint8)
    plain = axes.draw_axes(gray, view(45))
    both = axes.draw_axes(gray, view(45), target_rotation=view(45, 0, 180))
    x, y = axes.project_axes(view(45, 0, 180), (200.0, 200.0), 1.22 * 0.38 * 400)[2]
    assert (plain[int(y), int(x)] == 40).all()
    pale = 0.45 * BLUE + 0.55 * 255
    assert np.abs(both[int(y), int(x)] - pale).max() < 20


def test_letters_of_arrows_that_end_together_do_not_hide_each_other():
    # At azimuth 315 front and left project to the same point.
    out = axes.draw_axes(np.zeros((400, 400, 3), np.uint8), view(315))
    # The red disc in full color has about 520 pixels, the shaft behind it 690.
    assert near(out, RED, 6).sum() > 1000
    assert near(out, GREEN, 6).sum() > 500
