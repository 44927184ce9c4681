"""Jittered boxes and poses: closed forms, and pictures against renders at the new pose."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.spatial.transform import Rotation

from catpose.data import augment, pose_jitter, warp
from catpose.data.pascal3d import cad_points
from catpose.geometry import camera
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer, numpy_scene

# One program each, as in a training step.
turn = jax.jit(pose_jitter.turn)
box_map = jax.jit(pose_jitter.box_map)
view_image = jax.jit(warp.view_image, static_argnames=("resolution", "margin", "resample"))
view_rotation = jax.jit(augment.view_rotation)
jittered = jax.jit(augment.jittered, static_argnames=("augment",))
box_moves = jax.jit(pose_jitter.box_moves, static_argnames=("least",))
known = jax.jit(pose_jitter.known)

LIGHT = numpy_rasterizer.Light(np.array([[0.0, 0, 1]]), np.zeros(1), 1.0)
CORNERS = np.deg2rad(list(itertools.product((-1, 1), (-1, 1), (-4, 4))))  # the paper's, extreme


def rotation_of(azimuth, elevation, theta):
    """From radians, by scipy."""
    angles = np.stack(np.broadcast_arrays(theta, elevation - np.pi / 2, -np.asarray(azimuth)), -1)
    return Rotation.from_euler("ZXZ", angles).as_matrix()


def angle_deg(a, b):
    return np.degrees((Rotation.from_matrix(a) * Rotation.from_matrix(b).inv()).magnitude())


def single(array):
    return jnp.asarray(array, jnp.float32)


class Object:
    """A shape seen at a pose, and its box: tight around its vertices."""

    def __init__(self, generator, category):
        self.mesh = catalogue.make(generator, category)
        self.angles = np.array(numpy_scene.sample_angles(generator))
        self.distance = np.exp(generator.uniform(np.log(3), np.log(8)))
        self.points = cad_points.spread(self.mesh.vertices)
        low, high = self.bounds(self.angles)
        self.focal, self.center = 1 / (high - low), -(low + high) / 2 / (high - low)

    def bounds(self, angles):
        """Of the vertices at a pose, for a focal length of 1 and the principal point at 0."""
        view = numpy_rasterizer.View(rotation_of(*angles), self.distance, 1.0, np.zeros(2))
        image, _ = numpy_rasterizer.project(self.mesh.vertices.astype(np.float64), view)
        return image.min(axis=0), image.max(axis=0)

    def mask(self, angles, side, margin=0, *, own_box=False):
        """The silhouette at a pose in the crop of the first pose's box, or of its own."""
        low, high = self.bounds(angles if own_box else self.angles)
        scale = side / (high - low)
        center = side / 2 - scale * (low + high) / 2 + margin
        # The crop squeezes the box to a square; the rasterizer takes any matrix.
        matrix = np.diag([*scale / side, 1]) @ rotation_of(*angles)
        view = numpy_rasterizer.View(matrix, self.distance, float(side), center)
        background = np.zeros((side + 2 * margin,) * 2 + (3,), np.float32)
        return numpy_rasterizer.render(self.mesh, view, LIGHT, background)[1]

    def seen(self, count, *, model=0):
        return pose_jitter.Seen(
            rotation=single([rotation_of(*self.angles)] * count),
            pinhole=camera.Pinhole(
                *(single([value] * count) for value in (self.distance, self.focal, self.center))
            ),
            model=jnp.full(count, model, jnp.int32),
            points=single(self.points[None]),
        )


def pose_views(changes):
    azimuth, elevation, theta = single(changes).T
    return augment.View(azimuth=azimuth, elevation=elevation, theta=theta)


def silhouette_errors(thing, changes, side):
    """1 - IoU with the render at the new pose: (jittered, jittered without CAD, unjittered)."""
    margin = side // 5
    picture = (255 * thing.mask(thing.angles, side, margin))[None, ..., None]
    pictures = single(np.broadcast_to(picture, (len(changes), *picture.shape[1:3], 3)))
    crops = [
        view_image(
            pictures,
            pose_views(changes),
            resolution=side,
            margin=margin,
            resample=True,
            aspect=jnp.full(len(changes), thing.focal[1] / thing.focal[0], jnp.float32),
            seen=thing.seen(len(changes), model=model),
        )[..., 0]
        for model in (0, -1)
    ]
    crops.append(pictures[:, margin:-margin, margin:-margin, 0])
    wanted = np.array(
        [thing.mask(thing.angles + change, side, own_box=True) > 0.5 for change in changes]
    )
    found = np.array(crops) > 127.5
    both, either = (found & wanted).sum((2, 3)), (found | wanted).sum((2, 3))
    return 1 - both / either


@functools.cache
def mean_errors(category, views, side):
    """Means over `views` poses times the eight corners."""
    generator = np.random.default_rng([7, catalogue.CATEGORIES.index(category)])
    things = [Object(generator, category) for _ in range(views)]
    errors = [silhouette_errors(thing, CORNERS, side) for thing in things]
    return np.mean(errors, axis=(0, 2))


@pytest.mark.slow
@pytest.mark.parametrize("category", catalogue.CATEGORIES)
def test_a_jittered_picture_is_three_times_as_near_to_a_render_of_its_pose(category):
    vertices, plane, unchanged = mean_errors(category, 50, 224)
    print(f"{category}: {unchanged:.4f}, {unchanged / vertices:.2f}, {unchanged / plane:.2f}")
    assert unchanged / vertices > 3
    # Without vertices nobody knows how the box moves with the object; never worse than nothing.
    assert unchanged / plane > 1


def test_jittered_pictures_are_nearer_to_renders_of_their_poses():
    errors = np.array([mean_errors(category, 3, 64) for category in catalogue.CATEGORIES])
    vertices, plane, unchanged = errors.T
    assert (unchanged / vertices).min() > 2
    assert unchanged.mean() / vertices.mean() > 3
    assert unchanged.mean() / plane.mean() > 1.1


def test_labels_are_the_new_angles():
    generator = np.random.default_rng(0)
    angles = np.stack(
        [
            generator.uniform(-7, 7, 400),
            generator.uniform(-1.55, 1.55, 400),
            generator.normal(size=400),
        ]
    )
    changes = generator.uniform(-0.1, 0.1, (3, 400))
    angles[1, :40] = np.pi / 2 - generator.uniform(0, 0.1, 40)  # some pass the pole
    rotation = rotation_of(*angles)
    found = turn(single(rotation), *single(changes))
    assert angle_deg(found, rotation_of(*(angles + changes))).max() < 0.01
    # Back again, unless the pole was passed: there the same angles are counted from the other side.
    stays = np.abs(angles[1] + changes[1]) < np.pi / 2 - 1e-3
    back = turn(found, *single(-changes))
    assert angle_deg(back, rotation)[stays].max() < 0.01
    assert 300 < stays.sum() < 390
    np.testing.assert_array_equal(
        turn(single(rotation), *jnp.zeros((3, 400))), rotation.astype(np.float32)
    )


def test_labels_of_views_compose():
    """Jitter, then the turn of the picture, then the mirror: in the angles of the dataset."""
    generator = np.random.default_rng(1)
    angles = np.stack(
        [generator.uniform(-3, 3, 60), generator.uniform(-1.4, 1.4, 60), generator.normal(size=60)]
    )
    view = augment.View(
        mirror=single(np.arange(60) % 2),
        angle=single(generator.uniform(-0.5, 0.5, 60)),
        azimuth=single(generator.uniform(-0.02, 0.02, 60)),
        elevation=single(generator.uniform(-0.02, 0.02, 60)),
        theta=single(generator.uniform(-0.07, 0.07, 60)),
        zoom=1.1,
        stretch=0.8,
    )
    found = view_rotation(single(rotation_of(*angles)), view)
    a, e, t = angles + np.array([view.azimuth, view.elevation, view.theta + view.angle])
    sign = 1 - 2 * np.asarray(view.mirror)
    assert angle_deg(found, rotation_of(sign * a, e, sign * t)).max() < 0.01


def test_a_flat_object_moves_exactly_as_a_render_of_it():
    """All vertices on one plane: nothing is approximated, and every change applies at once."""
    generator = np.random.default_rng(2)
    basis = Rotation.from_euler("xyz", [20, -15, 10], degrees=True).as_matrix()[:, [0, 2]]
    spots = [(-0.6, -0.4), (0.1, -0.45), (0.62, 0.1), (0.3, 0.5), (-0.2, 0.42), (-0.55, 0.05)]
    flat = np.array(spots, np.float32) @ basis.T.astype(np.float32)
    faces = np.array([[0, 1, 4, 5], [1, 2, 3, 4]])
    colors = np.array([[0.9, 0.2, 0.1], [0.1, 0.3, 0.9]], np.float32)
    mesh = numpy_rasterizer.Mesh(flat, faces, colors)
    angles, distance, side, margin = np.array([0.3, 0.2, -0.1]), 3.5, 96, 40

    def draw(matrix, focal, center, size):
        view = numpy_rasterizer.View(matrix, distance, focal, np.asarray(center, np.float64))
        background = np.full((size, size, 3), 0.5, np.float32)
        return 255 * numpy_rasterizer.render(mesh, view, LIGHT, background, supersampling=4)[0]

    def bounds(rotation):
        view = numpy_rasterizer.View(rotation, distance, 1.0, np.zeros(2))
        image, _ = numpy_rasterizer.project(flat.astype(np.float64), view)
        return image.min(axis=0), image.max(axis=0)

    before = rotation_of(*angles)
    low, high = bounds(before)
    size, middle = high - low, (low + high) / 2
    stored = draw(
        np.diag([*(1 / size), 1]) @ before, side, side * (0.5 - middle / size) + margin,
        side + 2 * margin,
    )  # fmt: skip
    count = 12
    view = augment.View(
        mirror=single(np.arange(count) % 2),
        **{
            name: single(generator.uniform(*ends, count))
            for name, ends in {
                "zoom": (0.85, 1.15), "shift_x": (-0.08, 0.08), "shift_y": (-0.08, 0.08),
                "angle": (-0.4, 0.4), "stretch": (0.9, 1.1), "azimuth": (-0.3, 0.3),
                "elevation": (-0.3, 0.3), "theta": (-0.4, 0.4),
            }.items()
        },
    )  # fmt: skip
    seen = pose_jitter.Seen(
        rotation=single([before] * count),
        pinhole=camera.Pinhole(
            jnp.full(count, distance), single([1 / size] * count), single([-middle / size] * count)
        ),
        model=jnp.zeros(count, jnp.int32),
        # The corners and points between them: the nearest quarter has to be more than two corners.
        points=single([np.concatenate([flat, generator.dirichlet(np.ones(6), 58) @ flat])]),
    )
    found = view_image(
        single([stored] * count),
        view,
        resolution=side,
        margin=margin,
        resample=True,
        aspect=jnp.full(count, size[0] / size[1], jnp.float32),
        seen=seen,
    )
    plain = stored[margin:-margin, margin:-margin]
    for i in range(count):
        v = augment.View(*(float(np.asarray(field).reshape(-1)[i]) for field in view))
        after = rotation_of(*(angles + [v.azimuth, v.elevation, v.theta]))
        low, high = bounds(after)
        size, middle = high - low, (low + high) / 2
        middle = middle + size * [v.shift_x, v.shift_y]
        # The crop's frame turns clockwise, so that its content turns counter-clockwise.
        cos, sin = np.cos(v.angle), np.sin(v.angle)
        turned = Rotation.from_euler("z", v.angle).as_matrix() @ after
        center = np.array([[cos, sin], [-sin, cos]]) @ -middle
        crop = size * v.zoom * [1, v.stretch]
        expected = draw(
            np.diag([*(1 / crop), 1]) @ turned, side, side * (0.5 + center / crop), side
        )
        if v.mirror:
            expected = expected[:, ::-1]
        assert np.abs(found[i] - expected).mean() < 1.5
        assert np.abs(plain - expected).mean() > 6


def test_a_jitter_of_theta_alone_turns_the_picture_about_the_objects_centre():
    thing = Object(np.random.default_rng(3), "chair")
    theta, zero = 0.07, jnp.zeros(1)
    cos, sin = np.cos(theta), np.sin(theta)
    focal, center = thing.focal, thing.center
    for model in (0, -1):
        back, aspect = box_map(thing.seen(1, model=model), zero, zero, single([theta]))
        corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
        old = np.asarray(camera.apply_homography(back[0], single(corners)))
        # Forwards: from shares to the photo, turned counter-clockwise with y down, to shares.
        x, y = ((old - center) / focal).T
        new = np.stack([cos * x + sin * y, cos * y - sin * x], -1) * focal + center
        extent = np.ptp(new, axis=0)
        # The new box is upright, and its aspect is as told.
        np.testing.assert_allclose(new, new.mean(0) + corners * extent, atol=1e-5)
        np.testing.assert_allclose(aspect[0], extent[0] / extent[1], rtol=1e-4)
        if model == 0:  # and tight
            low, high = (
                focal * bound + center for bound in thing.bounds(thing.angles + [0, 0, theta])
            )
            np.testing.assert_allclose([new.min(0), new.max(0)], [low, high], atol=0.01)
        else:  # the ellipse's: half sides are roots of sums of squares
            a, b = 0.5 / focal
            half = np.hypot([cos * a, cos * b], [sin * b, sin * a]) * focal
            np.testing.assert_allclose(extent / 2, half, rtol=2e-3)


def test_a_loose_box_stays_as_loose():
    """A box that is not the vertices' own, as people draw them, moves with them all the same."""
    thing = Object(np.random.default_rng(9), "aeroplane")
    tight = thing.seen(len(CORNERS))
    scale, offset = np.array([[1.3, 1.1]]), np.array([[0.12, -0.08]])  # of the loose in the tight
    loose = tight._replace(
        pinhole=tight.pinhole._replace(
            focal=single(tight.pinhole.focal / scale),
            center=single((tight.pinhole.center - offset) / scale),
        )
    )
    corners = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
    (back, aspect), (loose_back, loose_aspect) = (
        box_map(seen, *single(CORNERS.T)) for seen in (tight, loose)
    )
    inside = np.broadcast_to(corners * scale + offset, (len(CORNERS), 4, 2))
    expected = camera.apply_homography(back, single(inside))
    found = camera.apply_homography(
        loose_back, single(np.broadcast_to(corners, (len(CORNERS), 4, 2)))
    )
    np.testing.assert_allclose(np.asarray(found) * scale + offset, expected, atol=1e-4)
    np.testing.assert_allclose(loose_aspect, aspect, rtol=1e-4)
    assert np.abs(expected - inside).max((1, 2)).min() > 0.02


def test_without_a_camera_a_pose_is_left():
    thing = Object(np.random.default_rng(4), "car")
    seen = thing.seen(6)
    distance, focal, center = seen.pinhole
    seen = seen._replace(
        pinhole=camera.Pinhole(
            distance.at[1].set(jnp.nan).at[2].set(0.0),
            focal.at[3, 1].set(jnp.nan),
            center.at[4, 0].set(jnp.inf),
        )
    )
    np.testing.assert_array_equal(known(seen), [True, False, False, False, False, True])
    strengths = augment.Augment(pose_jitter_deg=(1.0, 1.0, 4.0))
    uniform = jax.random.uniform(jax.random.key(0), (6, 8))
    view = jittered(uniform, augment.View(), strengths, seen)
    changes = np.array([view.azimuth, view.elevation, view.theta])
    assert (changes[:, 1:5] == 0).all()
    assert (changes[:, [0, 5]] != 0).all()
    back, aspect = box_map(seen, view.azimuth, view.elevation, view.theta)
    assert np.isfinite(back).all()
    np.testing.assert_array_equal(back[1:5], np.broadcast_to(np.eye(3), (4, 3, 3)))
    np.testing.assert_array_equal(aspect[1:5], np.ones(4))
    # A source without any cameras.
    plain = augment.jittered(uniform, augment.View(), strengths)
    assert plain == augment.View()


def test_objects_without_a_model_beside_objects_with_one():
    thing = Object(np.random.default_rng(5), "sofa")
    changes = single(CORNERS[:2])
    mixed = thing.seen(2)._replace(model=jnp.array([0, -1]))
    found, aspect = box_map(mixed, *changes.T)
    for i, model in enumerate((0, -1)):
        expected, wanted = box_map(thing.seen(2, model=model), *changes.T)
        np.testing.assert_allclose(found[i], expected[i], atol=1e-6)
        np.testing.assert_allclose(aspect[i], wanted[i], atol=1e-6)
    assert np.abs(found[1] - box_map(thing.seen(2), *changes.T)[0][1]).max() > 1e-3
    without = [mixed._replace(points=points) for points in (None, jnp.zeros((0, 512, 3)))]
    for seen in without:
        np.testing.assert_allclose(box_map(seen, *changes.T)[0][1], found[1], atol=2e-3)


def test_pose_jitter_covers_its_range():
    seen = Object(np.random.default_rng(6), "bus").seen(4000)
    strengths = augment.Augment(pose_jitter_deg=(1.0, 2.0, 4.0))
    uniform = jax.random.uniform(jax.random.key(1), (4000, 8))
    view = jittered(uniform, augment.View(), strengths, seen)
    changes = np.degrees([view.azimuth, view.elevation, view.theta])
    for change, limit in zip(changes, (1, 2, 4), strict=True):
        assert stats.kstest(change, stats.uniform(-limit, 2 * limit).cdf).pvalue > 0.01
    assert np.abs(np.corrcoef(changes) - np.eye(3)).max() < 0.06
    assert view.zoom == 1
    assert view.stretch == 1


@pytest.mark.parametrize("least", [0.3, 0.7, 0.95])
def test_jittered_boxes_overlap_as_much_as_asked(least):
    uniform = np.random.default_rng(8).uniform(0, 1, (20000, 5)).astype(np.float32)
    uniform[:16, :4] = list(itertools.product((0, 1 - 1e-7), repeat=4))
    uniform[16:20, :4] = 0.5
    uniform[:20, 4] = 1 - 1e-7
    size, shift = (np.asarray(x, np.float64) for x in box_moves(uniform, least))
    assert np.isfinite(size).all()
    low, high = shift - size / 2, shift + size / 2
    assert (size > 0).all()
    common = np.clip(np.minimum(high, 0.5) - np.maximum(low, -0.5), 0, None).prod(-1)
    iou = common / (1 + size.prod(-1) - common)
    assert iou.min() > least - 1e-5
    np.testing.assert_allclose(iou[:16], least, atol=1e-5)
    assert stats.kstest(iou[20:], stats.uniform(least, 1 - least).cdf).pvalue > 0.01
    # All four sides, alike and independently.
    sides = np.concatenate([-0.5 - low, high - 0.5], axis=1)[20:]
    # The middle of the moves is 0; boxes that grow need larger moves than those that shrink.
    assert np.abs((sides > 0).mean(0) - 0.5).max() < 0.02
    spread = np.abs(sides).mean(0)
    assert np.ptp(spread) < 0.1 * spread.mean()
    assert np.abs(np.corrcoef(np.sign(sides).T) - np.eye(4)).max() < 0.03


def test_box_jitter_as_a_view():
    uniform = jax.random.uniform(jax.random.key(2), (50, 8))
    view = augment.View(
        zoom=jnp.full(50, 1.1), shift_x=jnp.full(50, 0.1), shift_y=jnp.zeros(50), stretch=1.0
    )
    found = jittered(uniform, view, augment.Augment(jitter_iou=0.7), None)
    size, shift = box_moves(uniform[:, :5], 0.7)
    np.testing.assert_allclose(found.zoom, 1.1 * size[:, 0], rtol=1e-6)
    np.testing.assert_allclose(found.zoom * found.stretch, 1.1 * size[:, 1], rtol=1e-6)
    np.testing.assert_allclose(found.shift_x, 0.1 + shift[:, 0], atol=1e-6)
    np.testing.assert_allclose(found.shift_y, shift[:, 1], atol=1e-6)
    assert augment.jittered(uniform, view, augment.Augment()) is view
