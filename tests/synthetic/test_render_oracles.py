"""Both rasterizers against tools that share nothing with them: Embree's rays, OpenCV's PnP.

trimesh 5.2.0 with embreex 4.4.0 casts the rays, opencv-python-headless 5.0.0 finds the poses.
"""

import functools
import os
import pathlib

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from catpose.geometry import camera
from catpose.synthetic import mesh_batch, mesh_files, renderer
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer, numpy_scene

SIZE = 224
AMBIENT = numpy_rasterizer.Light(np.eye(3)[2:], np.zeros(1), 1.0)
MODELS = ("aeroplane", "car", "chair")  # in $CATPOSE_DATA/meshes: y up, front at +x
NEEDS = "needs the extra: pip install 'catpose[test]'"


def placed(mesh, seed, size=SIZE):
    """A mesh and a view of it, as data sets have them; the view's rotation is the pose label."""
    generator = np.random.default_rng(seed)
    rotation = numpy_scene.rotation_from_angles(*numpy_scene.sample_angles(generator))
    return mesh, numpy_scene.sample_view(generator, mesh, rotation, size)


@functools.cache
def family(category, size=SIZE):
    number = catalogue.CATEGORIES.index(category)
    return placed(catalogue.make(np.random.default_rng(20 + number), category), number, size)


@functools.cache
def items():
    """What is drawn: the twelve families and, where they are, models from elsewhere."""
    found = {category: family(category) for category in catalogue.CATEGORIES}
    for i, name in enumerate(MODELS):
        path = pathlib.Path(os.environ.get("CATPOSE_DATA", "")) / "meshes" / name / "model.obj"
        if path.is_file():
            found[f"model of {name}"] = placed(mesh_files.load(path, up="+y", front="+x"), i)
    return found


def by_numpy(drawn, size=SIZE, supersampling=1):
    black = np.zeros((size, size, 3), np.float32)
    pictures = [
        numpy_rasterizer.render(mesh, view, AMBIENT, black, supersampling=supersampling)
        for mesh, view in drawn
    ]
    return [np.stack(values) for values in zip(*pictures, strict=True)]


def by_device(drawn, size=SIZE):
    """All in one call, padded together."""
    meshes, views = zip(*drawn, strict=True)
    black = np.zeros((len(meshes), size, size, 3), np.float32)
    lights = numpy_rasterizer.stack([AMBIENT] * len(meshes))
    picture = renderer.render(
        mesh_batch.pad(meshes), numpy_rasterizer.stack(views), lights, black, supersampling=1
    )
    return [np.asarray(values) for values in (picture.image, picture.mask, picture.depth)]


RENDERERS = {"numpy": by_numpy, "device": by_device}


@functools.cache
def pictures(renderer):
    """Mask and depth of each item."""
    _, masks, depths = RENDERERS[renderer](list(items().values()))
    return dict(zip(items(), zip(masks, depths, strict=True), strict=True))


@functools.cache
def cast(name):
    """Depth along the optical axis at the center of each pixel, by Embree; infinite for a miss."""
    trimesh = pytest.importorskip("trimesh", reason=NEEDS)
    pytest.importorskip("embreex", reason=NEEDS)
    from trimesh.ray import ray_pyembree

    mesh, view = items()[name]
    triangles = mesh.faces[:, [[0, 1, 2], [0, 2, 3]]].reshape(-1, 3)
    vertices = mesh.vertices.astype(np.float64)
    eye = view.rotation.T @ [0, 0, view.distance]
    # A planar triangle shows the eye the same side everywhere. Those that show their rear are left
    # out before: skipped along the ray they would hide fronts that coincide with them.
    surface = trimesh.Trimesh(vertices, triangles, process=False)
    towards = (surface.triangles_cross * (eye - surface.triangles[:, 0])).sum(axis=1)
    surface = trimesh.Trimesh(vertices, triangles[towards > 0], process=False)

    y, x = np.mgrid[:SIZE, :SIZE] + 0.5
    right, down = (x - view.center[0]) / view.focal, (y - view.center[1]) / view.focal
    rays = np.stack([right, -down, -np.ones_like(x)], axis=-1).reshape(-1, 3) @ view.rotation
    places, ray, _ = ray_pyembree.RayMeshIntersector(surface).intersects_location(
        np.broadcast_to(eye, rays.shape), rays, multiple_hits=False
    )
    depth = np.full(SIZE * SIZE, np.inf)
    depth[ray] = view.distance - places @ view.rotation[2]
    return depth.reshape(SIZE, SIZE)


def agreement(mask, depth, expected):
    """Share of pixels in which what is hit, and how far away it is, agree."""
    hit = np.isfinite(expected)
    same = (mask == 1) == hit
    both = hit & same
    same[both] = np.abs(depth[both] / expected[both] - 1) < 1e-3
    return float(same.mean())


def assert_agrees(renderer, names, record_property):
    for name in names:
        expected = cast(name)
        assert 0.02 < np.isfinite(expected).mean() < 0.95  # the picture tests something
        share = agreement(*pictures(renderer)[name], expected)
        record_property(name, share)
        print(f"{renderer}, {name}: {share:.3%}")
        assert share >= 0.995, name


@pytest.mark.parametrize("renderer", RENDERERS)
def test_families_agree_with_embree(renderer, record_property):
    assert_agrees(renderer, catalogue.CATEGORIES, record_property)


@pytest.mark.parametrize("renderer", RENDERERS)
def test_models_from_elsewhere_agree_with_embree(renderer, data_dir, record_property):
    names = [name for name in items() if name not in catalogue.CATEGORIES]
    if not names:
        pytest.skip(f"{data_dir} has no meshes")
    assert_agrees(renderer, names, record_property)


def test_projected_vertices_span_the_silhouette():
    # Three samples a side, so that the thin ends of masts and mirrors are not lost between them.
    drawn = [family(category) for category in catalogue.CATEGORIES]
    _, masks, _ = by_numpy(drawn, supersampling=3)
    used = [mesh.vertices[np.unique(mesh.faces)] for mesh, _ in drawn]
    most = max(map(len, used))
    used = np.stack([np.resize(vertices, (most, 3)) for vertices in used])  # repeats the first
    views = numpy_rasterizer.stack([view for _, view in drawn])
    pinhole = camera.Pinhole(views.distance, views.focal[:, None].repeat(2, axis=1), views.center)
    projected, depth = camera.project(
        jnp.asarray(used), jnp.asarray(views.rotation), camera.Pinhole(*map(jnp.asarray, pinhole))
    )
    assert depth.min() > 1
    for category, points, mask in zip(
        catalogue.CATEGORIES, np.asarray(projected), masks, strict=True
    ):
        rows, columns = np.nonzero(mask)
        low, high = (columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)
        np.testing.assert_allclose(points.min(axis=0), low, atol=1, err_msg=category)
        np.testing.assert_allclose(points.max(axis=0), high, atol=1, err_msg=category)
        near = ndimage.binary_dilation(mask > 0, np.ones((3, 3)))
        column, row = points.astype(int).T
        assert near[row, column].all(), category


OCTAHEDRON = np.concatenate([np.eye(3), -np.eye(3)])
OCTAHEDRON_FACES = np.array(
    [[0, 1, 2], [1, 3, 2], [3, 4, 2], [4, 0, 2], [1, 0, 5], [3, 1, 5], [4, 3, 5], [0, 4, 5]]
)


def markers(places, radius):
    """An octahedron at each place: seen from anywhere, it is symmetric about its center.

    The red of the i-th is (i + 1) / (number + 1).
    """
    num = len(places)
    vertices = (places[:, None] + radius * OCTAHEDRON).reshape(-1, 3).astype(np.float32)
    faces = (6 * np.arange(num)[:, None, None] + OCTAHEDRON_FACES)[..., [0, 1, 2, 2]]
    colors = np.ones((8 * num, 3), np.float32)
    colors[:, 0] = np.arange(1, num + 1).repeat(8) / (num + 1)
    return numpy_rasterizer.Mesh(vertices, faces.reshape(-1, 4), colors)


def far_apart(points, num):
    """Of many points a few, each as far as possible from those before it."""
    chosen, distance = [], np.full(len(points), np.inf)
    for _ in range(num):
        chosen.append(points[distance.argmax()])
        distance = np.minimum(distance, np.linalg.norm(points - chosen[-1], axis=1))
    return np.stack(chosen)


def visible_markers(image, depth, object_depth, num, radius):
    """Numbers and places in the picture, in pixels, of the markers that nothing touches or hides.

    Half of a marker is inside the object: hidden is what lies more than its size behind.
    """
    code = np.rint(image[..., 0] * (num + 1)).astype(int)
    largest = ndimage.maximum_filter(code, 3)
    smallest = ndimage.minimum_filter(np.where(code == 0, num + 1, code), 3)
    spoilt = (largest != code) | (smallest != code) | (depth > object_depth + 2 * radius)
    whole = np.setdiff1d(code[code > 0], code[(code > 0) & spoilt])
    row_column = np.array(ndimage.center_of_mass(code > 0, code, whole))
    return whole - 1, row_column[:, ::-1] + 0.5


@pytest.mark.parametrize(
    ("renderer", "size", "categories"),
    [("numpy", 896, catalogue.CATEGORIES), ("device", 448, ("car", "diningtable", "tvmonitor"))],
)
def test_pnp_finds_the_pose_label(renderer, size, categories):
    cv2 = pytest.importorskip("cv2", reason=NEEDS)
    num, radius = 120, 5 / size  # some two pixels
    drawn, places = [], []
    for category in categories:
        mesh, view = family(category, size)
        places.append(far_apart(mesh.vertices.astype(np.float64), num))
        drawn += [(mesh, view), (markers(places[-1], radius), view)]
    images, _, depths = RENDERERS[renderer](drawn, size)
    for i, category in enumerate(categories):
        view = drawn[2 * i][1]
        seen, pixels = visible_markers(
            images[2 * i + 1], depths[2 * i + 1], depths[2 * i], num, radius
        )
        assert len(seen) >= 12, category
        intrinsics = np.array(
            [[view.focal, 0, view.center[0]], [0, view.focal, view.center[1]], [0, 0, 1]]
        )
        found, turn, shift = cv2.solvePnP(
            places[i][seen], pixels, intrinsics, None, flags=cv2.SOLVEPNP_SQPNP
        )
        assert found
        # OpenCV's camera has y downwards and looks along +z.
        rotation = np.diag([1.0, -1.0, -1.0]) @ cv2.Rodrigues(turn)[0]
        # |A - B| in the Frobenius norm is sqrt(8) sin(angle / 2).
        sine = np.linalg.norm(rotation - view.rotation) / np.sqrt(8)
        error_deg = np.rad2deg(2 * np.arcsin(sine))
        print(f"{renderer}, {category}: {error_deg:.4f} deg from {len(seen)} vertices")
        assert error_deg < 0.1, category
        np.testing.assert_allclose(shift[:, 0], [0, 0, view.distance], atol=0.02)
