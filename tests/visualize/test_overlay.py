"""A model over a photo, against the renderer's own pictures and a pinhole camera by hand."""

import time

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from scipy.spatial.transform import Rotation

from catpose.errors import InputError
from catpose.synthetic.objects import catalogue
from catpose.visualize import axes, category_models, example_sheet, overlay
from tests.support import numpy_rasterizer, numpy_scene

LIGHT = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.array([0.6]), 0.4)
POSES = {
    "car": (325, 15, 5),
    "aeroplane": (60, -20, 10),
    "chair": (200, 30, 0),
    "motorbike": (110, 5, 0),
}


def rotation_of(azimuth, elevation, theta):
    """PASCAL3D+'s formula, by scipy."""
    return Rotation.from_euler("ZXZ", [theta, elevation - 90, -azimuth], degrees=True).as_matrix()


def opacity(draw_fn, height, width):
    """What a drawing hides of what is behind it, from its pictures over black and over white."""
    black, white = (
        draw_fn(np.full((height, width, 3), v, np.uint8)).astype(float) for v in (0, 255)
    )
    return 1 - (white - black).mean(-1) / 255


def iou(one, other):
    return (one & other).sum() / (one | other).sum()


@pytest.mark.parametrize("category", POSES)
def test_the_model_lies_on_a_render_of_it(category):
    """Pixels inside the outline are the render's; at a pose 40 degrees off they are not."""
    mesh, pose = category_models.built_in(category), POSES[category]
    rotation = rotation_of(*pose)
    view = numpy_scene.framed_view(mesh, rotation, 300, distance=5.0, fill=0.6, offset=(0.1, -0.05))
    _, mask, _ = numpy_rasterizer.render(
        mesh, view, LIGHT, np.zeros((300, 300, 3)), supersampling=3
    )
    rows, columns = (np.flatnonzero((mask > 0).any(axis)) for axis in (1, 0))
    box = tuple(map(int, (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)))

    def drawn(rotation):
        found = opacity(lambda image: overlay.draw_model(image, rotation, mesh, box), 300, 300)
        # Opaque inside by a half or so, by all on the outline.
        inside = (found > 0.3) & (found < 0.7)
        return found, ndimage.binary_opening(inside, np.ones((2, 2)))

    found, inside = drawn(rotation)
    assert iou(inside, ndimage.binary_opening(mask > 0.5, np.ones((2, 2)))) > 0.97
    reach = ndimage.binary_dilation(mask > 0, np.ones((9, 9)))
    assert (found[~reach] == 0).all()
    around = reach & ~ndimage.binary_dilation(mask > 0, np.ones((3, 3)))
    assert found[around].mean() > 0.2
    turned = rotation_of(pose[0] + 40, *pose[1:])
    assert iou(drawn(turned)[1], mask > 0.5) < 0.9


@pytest.mark.parametrize("box", [(30, 40, 130, 60), (10.5, 20.25, 30.75, 180.0), (5, 5, 95, 95)])
def test_a_box_is_filled_by_a_stretched_picture(box):
    """x = f X / (5 - Z): the model's picture by hand, brought to the box along x and along y."""
    mesh, rotation = category_models.built_in("motorbike"), rotation_of(40, 20, -10)
    points = mesh.vertices @ rotation.T
    picture = points[:, :2] * [1, -1] / (5 - points[:, 2:])
    share = (picture - picture.min(0)) / np.ptp(picture, axis=0)
    expected = np.array(box[:2]) + share * (np.array(box[2:]) - box[:2])
    turned, view = overlay.placed(mesh, rotation, box)
    found, depth = numpy_rasterizer.project(turned.vertices, view)
    np.testing.assert_allclose(found, expected, atol=1e-4)
    np.testing.assert_allclose(depth, 5 - points[:, 2], atol=1e-6)


def test_without_a_box_the_model_keeps_its_proportions():
    mesh, rotation = category_models.built_in("bus"), rotation_of(90, 0, 0)
    points = mesh.vertices @ rotation.T
    picture = points[:, :2] / (5 - points[:, 2:])
    wide, high = np.ptp(picture, axis=0)
    found = opacity(lambda image: overlay.draw_model(image, rotation, mesh), 240, 400) > 0
    rows, columns = (np.flatnonzero(found.any(axis)) for axis in (1, 0))
    outline = 4
    assert np.ptp(columns) == pytest.approx(0.9 * 400 + outline, abs=3)
    assert np.ptp(rows) == pytest.approx(0.9 * 400 * high / wide + outline, abs=3)
    assert rows[[0, -1]].mean() == pytest.approx(119.5, abs=1)
    assert columns[[0, -1]].mean() == pytest.approx(199.5, abs=1)


def test_pixels_away_from_the_box_stay_bit_for_bit():
    image = np.random.default_rng(1).integers(0, 256, (200, 320, 3), np.uint8)
    before = image.copy()
    x0, y0, x1, y1 = 60, 40, 200, 150
    drawn = overlay.draw_model(
        image, rotation_of(30, 10, 0), category_models.built_in("car"), (x0, y0, x1, y1)
    )
    np.testing.assert_array_equal(image, before)
    changed = (drawn != image).any(-1)
    assert changed[y0:y1, x0:x1].mean() > 0.4
    changed[y0 - 4 : y1 + 4, x0 - 4 : x1 + 4] = False
    assert not changed.any()


def test_the_model_is_seen_through_and_shaded():
    """A cube of one color: its three visible sides differ, and the photo shows in each."""
    corners = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, -1).T
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    cube = numpy_rasterizer.Mesh(corners / 3**0.5, np.array(faces), np.full((6, 3), 0.6))
    stripes = np.zeros((200, 200, 3), np.uint8)
    stripes[:, ::2] = 200
    drawn = overlay.draw_model(stripes, rotation_of(40, 35, 0), cube, (20, 20, 180, 180))
    tops, sides = drawn[60, 90:110, 0].astype(int), drawn[120, [40, 41, 150, 151], 0].astype(int)
    assert np.ptp(tops[::2]) <= 1  # one side is one shade
    assert np.abs(np.diff(tops)).min() > 60
    assert abs(sides[0] - sides[2]) > 10
    assert tops[0] > sides[0]


def test_a_box_at_the_edge_and_a_large_photo():
    mesh, rotation = category_models.built_in("train"), rotation_of(300, 10, 0)
    image = np.full((180, 240, 3), 90, np.uint8)
    whole = np.full((400, 500, 3), 90, np.uint8)
    drawn = overlay.draw_model(image, rotation, mesh, (-50, -30, 120, 100))
    # The same picture, of which the photo shows a part.
    large = overlay.draw_model(whole, rotation, mesh, (50, 70, 220, 200))
    shown, expected = drawn[10:170, 10:230].astype(int), large[110:270, 110:330]
    np.testing.assert_allclose(shown, expected, atol=1)  # of opacity, when it is resized
    start = time.process_time()
    drawn = overlay.draw_model(np.zeros((3000, 4000, 3), np.uint8), rotation, mesh)
    assert drawn.shape == (3000, 4000, 3)
    assert time.process_time() - start < 10


def test_a_small_picture_grows_as_it_does_for_the_axes():
    image = np.random.default_rng(3).integers(0, 256, (40, 60, 3), np.uint8)
    rotation = rotation_of(30, 10, 0)
    drawn = overlay.draw_model(image, rotation, category_models.built_in("sofa"), (5, 5, 50, 30))
    assert drawn.shape == axes.draw_axes(image, rotation).shape == (160, 240, 3)
    assert axes.enlarged(drawn)[1] == 1


@pytest.mark.parametrize(
    "box",
    [(0, 0, 0, 20), (30, 0, 10, 20), (np.nan, 0, 10, 20), (0, 0, np.inf, 20), (250, 0, 260, 20),
     (-30, 0, -10, 20), (-300, 0, 240, 180), (0, 0.1, 1, 0.9)],
)  # fmt: skip
def test_an_invalid_box_is_refused(box):
    image = np.zeros((180, 240, 3), np.uint8)
    with pytest.raises(
        InputError, match=r"^the box .* (has no area|lies outside|is far larger)"
    ) as caught:
        overlay.draw_model(image, np.eye(3), category_models.built_in("car"), box)
    assert "\n" not in str(caught.value)


def test_every_built_in_category_has_one_model():
    for name in catalogue.CATEGORIES:
        mesh = category_models.built_in(name)
        assert mesh is category_models.built_in(name)
        low, high = mesh.vertices.min(0), mesh.vertices.max(0)
        np.testing.assert_allclose(low, -high, atol=1e-5)
        np.testing.assert_allclose(np.linalg.norm(high), 1, atol=1e-5)
        # Quiet colors: those of the photo show through it.
        sides = mesh.vertices[mesh.faces]
        across = np.cross(sides[:, 2] - sides[:, 0], sides[:, 3] - sides[:, 1])
        area = np.linalg.norm(across, axis=1)
        assert np.average(np.ptp(mesh.colors, axis=1), weights=area) < 0.35, name
    assert category_models.built_in("mug") is None
    assert category_models.built_in("car/mug") is None


def test_the_kinds_of_cars_have_models_of_their_own():
    """The body types of the Stanford Cars; of them, vans are the tallest."""
    names = ("convertible", "coupe", "hatchback", "minivan", "pickup", "sedan", "suv", "van")
    extents = {name: np.ptp(category_models.built_in(name).vertices, axis=0) for name in names}
    heights = {name: high / long for name, (_, long, high) in extents.items()}
    assert len(set(heights.values())) == 8
    assert max(heights, key=heights.get) == "van"
    assert category_models.built_in("wagon") is not None


def box_file(path, size):
    """A box as an OFF file."""
    signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing="ij")).reshape(3, -1).T
    faces = [[0, 1, 3, 2], [4, 6, 7, 5], [0, 4, 5, 1], [2, 3, 7, 6], [0, 2, 6, 4], [1, 5, 7, 3]]
    lines = ["OFF", "8 6 0", *(" ".join(map(str, c)) for c in signs * size / 2)]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join([*lines, *(f"4 {' '.join(map(str, f))}" for f in faces)]))


def test_models_of_a_folder(tmp_path):
    box_file(tmp_path / "mug" / "b.off", (1, 1, 9))
    box_file(tmp_path / "mug" / "a.off", (2, 3, 6))  # diagonal 7
    box_file(tmp_path / "car" / "a.off", (1, 1, 1))
    models = category_models.from_folder(tmp_path, up="+x", front="-y")
    # z of the object was x of the file; its front is still at -y.
    extent = np.ptp(models("mug").vertices, axis=0)
    np.testing.assert_allclose(extent, np.array([6, 3, 2]) / 3.5, atol=1e-5)
    assert models("mug") is models("mug")
    assert np.ptp(np.ptp(models("car").vertices, axis=0)) < 1e-5
    assert models("bus") is category_models.built_in("bus")
    assert models("spoon") is None
    with pytest.raises(InputError, match="^there is no folder .*none$"):
        category_models.from_folder(tmp_path / "none")


@pytest.mark.parametrize("tight", [True, False])
def test_the_sheet_of_examples_shows_the_model_below(tmp_path, monkeypatch, tight):
    generator = np.random.default_rng(0)
    names = ["car", "chair"]
    rotation = np.stack([rotation_of(30 * i, 10, 0) for i in range(4)]).astype(np.float32)
    rotation[3] = np.nan
    images = generator.integers(0, 256, (4, 32, 32, 3), np.uint8)
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.3, 0.7], [0.5, 0.5]])
    shown = []
    monkeypatch.setattr(
        "matplotlib.axes.Axes.imshow", lambda panel, image, **_: shown.append(image)
    )
    example_sheet.example_sheet(
        images, rotation, rotation, np.arange(4.0), np.array([0, 0, 1, 1]), probabilities, names,
        tmp_path / "sheet.png", num=4, tight=tight,
        meshes={name: category_models.built_in(name) for name in names},
    )  # fmt: skip
    order = [0, 1, 3, 2]
    box = (0, 0, 32, 32) if tight else None
    for i, image in zip(order, shown, strict=True):
        if i == 3:
            np.testing.assert_array_equal(image, images[3])
            continue
        above = axes.draw_axes(images[i], rotation[i], target_rotation=rotation[i])
        mesh = category_models.built_in(names[probabilities[i].argmax()])
        below = overlay.draw_model(images[i], rotation[i], mesh, box)
        np.testing.assert_array_equal(image, np.concatenate([above, below]))
    with Image.open(tmp_path / "sheet.png") as picture:
        assert picture.height > picture.width * 0.5
