"""Changes to image and pose together, against renders of the changed pose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import augment, warp
from catpose.data.input_spec import InputSpec
from catpose.synthetic.objects import catalogue
from tests.support import numpy_rasterizer

SIDE = 48
MIRROR = np.diag([-1.0, 1, 1])
# Light from everywhere: a face has the same color in every pose.
LIGHT = numpy_rasterizer.Light(np.array([[0.0, 0, 1]]), np.zeros(1), 1.0)
# One program for all views, as in a training step.
view_image = jax.jit(
    warp.view_image, static_argnames=("resolution", "margin", "resample", "context")
)
view_rotation = jax.jit(augment.view_rotation)
VIEWS = {
    **augment.VIEWS,
    "turn": augment.View(angle=0.4),
    "turn back": augment.View(angle=-0.4),
    "turn, mirror": augment.View(angle=0.4, mirror=1.0),
    "out": augment.View(zoom=1.15),
    "shift right": augment.View(shift_x=0.12),
    "shift down": augment.View(shift_y=0.12),
    "all": augment.View(mirror=1.0, zoom=0.9, shift_x=0.1, shift_y=-0.07, angle=-0.5),
    "narrow": augment.View(stretch=1.25),
    "flat, turn": augment.View(stretch=0.8, zoom=1.1, angle=0.4),
}
for seed in range(8):
    ends = np.array([(0, 0.8, -0.1, -0.1, -0.5, 0.8), (0, 1.2, 0.1, 0.1, 0.5, 1.2)])
    VIEWS[f"random {seed}"] = augment.View(*np.random.default_rng(seed).uniform(*ends).tolist())


def table(views):
    """Views as one of arrays."""
    return augment.View(*jnp.array([list(view) for view in views], jnp.float32).T)


def draw(mesh, rotation, side, focal, center):
    """A render of silhouette and colors: channels 0 to 2 and 3."""
    view = numpy_rasterizer.View(np.asarray(rotation, np.float64), 4.0, focal, np.asarray(center))
    # As in a photograph, the surroundings go on beyond the crop: here, in one color.
    background = np.full((side, side, 3), 0.5, np.float32)
    image, mask, _ = numpy_rasterizer.render(mesh, view, LIGHT, background, supersampling=4)
    return np.concatenate([image, mask[..., None]], axis=-1) * 255


def view_pictures(pictures, view, **options):
    """`warp.view_image` for pictures with four channels."""
    color = view_image(jnp.asarray(pictures[..., :3]), view, **options)
    silhouette = np.repeat(pictures[..., 3:], 3, axis=-1)
    mask = view_image(jnp.asarray(silhouette), view, **options)
    return np.concatenate([color, mask[..., :1]], axis=-1)


def overlap(a, b):
    """Intersection over union of silhouettes."""
    a, b = a[..., 3] > 127, b[..., 3] > 127
    return (a & b).sum() / (a | b).sum()


def color_difference(a, b):
    return np.abs(a[..., :3] - b[..., :3]).mean()


def mirrored(mesh):
    return mesh._replace(vertices=mesh.vertices * MIRROR.diagonal(), faces=mesh.faces[:, ::-1])


@pytest.mark.parametrize(
    ("category", "margin", "resolution", "aspect", "context"),
    [
        ("car", 0, 48, 1, 1.0),
        ("car", 8, 48, 1, 1.0),
        ("chair", 8, 32, 1, 1.0),
        ("car", 8, 48, 2, 1.0),
        ("chair", 8, 48, 0.5, 1.0),
        ("chair", 8, 48, 1.5, 1.2),
    ],
)
def test_a_view_shows_what_a_render_of_its_pose_shows(
    category, margin, resolution, aspect, context
):
    mesh = catalogue.make(np.random.default_rng(1), category)
    rotation = Rotation.from_euler("ZXZ", [10, -65, -50], degrees=True).as_matrix()
    # A wide box squeezed to a square: the camera's x axis shrinks. The rasterizer takes any matrix.
    squeeze = np.diag([1 / aspect, 1, 1])
    focal, center = 1.5 * SIDE, np.array([0.53, 0.46]) * SIDE
    stored = draw(mesh, squeeze @ rotation, SIDE + 2 * margin, focal, center + margin)
    names = list(VIEWS)
    views = table(VIEWS.values())
    pictures = view_pictures(
        np.stack([stored] * len(names)),
        views,
        resolution=resolution,
        margin=margin,
        resample=True,
        aspect=jnp.full(len(names), aspect, jnp.float32),
        context=context,
    )
    rotations = view_rotation(jnp.array([rotation] * len(names), jnp.float32), views)
    plain = draw(mesh, squeeze @ rotation, resolution, 1.5 * resolution, center / SIDE * resolution)
    for name, picture, turned in zip(names, pictures, np.asarray(rotations), strict=True):
        view = VIEWS[name]
        # Where the crop puts the object's origin: it moves against the crop, is scaled, turns
        # counter-clockwise (y is down) in the photo's proportions, and is mirrored last.
        zoom = view.zoom * context
        x, y = (center / SIDE - 0.5 - [view.shift_x, view.shift_y]) / zoom
        cos, sin = np.cos(view.angle), np.sin(view.angle)
        x, y = cos * x + sin * y / aspect, (cos * y - sin * x * aspect) / view.stretch
        x = -x if view.mirror else x
        expected = draw(
            mirrored(mesh) if view.mirror else mesh,
            np.diag([1 / aspect, 1 / view.stretch, 1]) @ turned,
            resolution,
            1.5 * resolution / zoom,
            (np.array([x, y]) + 0.5) * resolution,
        )
        right, wrong = overlap(picture, expected), overlap(plain, expected)
        assert right > 0.9, name
        assert color_difference(picture, expected) < 6, name
        if name != "identity" or context > 1:
            assert 1 - right < 0.6 * (1 - wrong), name
            assert color_difference(picture, expected) < 0.75 * color_difference(plain, expected)


def test_mirroring_is_exact():
    mesh = catalogue.make(np.random.default_rng(1), "chair")
    rotation = Rotation.from_euler("ZXZ", [10, -65, -50], degrees=True).as_matrix()
    stored = draw(mesh, rotation, SIDE, 1.5 * SIDE, (26, 22))
    view = table([augment.View(mirror=1.0)])
    picture = view_pictures(stored[None], view, resolution=SIDE, margin=0, resample=False)[0]
    expected = draw(mirrored(mesh), MIRROR @ rotation @ MIRROR, SIDE, 1.5 * SIDE, (SIDE - 26, 22))
    # Up to samples that fall on an edge.
    assert (np.abs(picture - expected) > 1).mean() < 0.01
    np.testing.assert_array_equal(picture[..., :3], stored[:, ::-1, :3].astype(np.float32))


def test_mirroring_a_symmetric_object_changes_its_pose_alone():
    # A bottle has no left and right: its mirrored picture is a picture of the same object.
    mesh = catalogue.make(np.random.default_rng(0), "bottle")
    for angles in ([20, -65, -50], [-15, -80, 130]):
        rotation = Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()
        stored = draw(mesh, rotation, SIDE, 1.5 * SIDE, (24, 24))
        view = table([augment.View(mirror=1.0)])
        turned = view_rotation(jnp.asarray(rotation[None], jnp.float32), view)[0]
        picture = view_pictures(stored[None], view, resolution=SIDE, margin=0, resample=False)[0]
        assert overlap(picture, draw(mesh, turned, SIDE, 1.5 * SIDE, (24, 24))) > 0.95
        assert overlap(picture, stored) < 0.6


def test_rotations_of_views_are_products():
    rotations = Rotation.random(len(VIEWS), random_state=0).as_matrix().astype(np.float32)
    result = np.asarray(view_rotation(jnp.asarray(rotations), table(VIEWS.values())))
    for view, rotation, found in zip(VIEWS.values(), rotations, result, strict=True):
        expected = Rotation.from_euler("z", view.angle).as_matrix() @ rotation
        if view.mirror:
            expected = MIRROR @ expected @ MIRROR
        np.testing.assert_allclose(found, expected, atol=3e-7)
        if view in (augment.View(), augment.VIEWS["in"]):
            np.testing.assert_array_equal(found, rotation)


def test_angles_of_views():
    """In PASCAL3D+'s angles: theta grows by the turn; a mirror negates azimuth and theta."""
    a, e, t = 130.0, 25.0, -8.0
    rotation = Rotation.from_euler("ZXZ", [t, e - 90, -a], degrees=True).as_matrix()
    view = table([augment.View(angle=np.radians(3)), augment.View(angle=np.radians(3), mirror=1)])
    found = view_rotation(jnp.asarray([rotation] * 2, jnp.float32), view)
    expected = Rotation.from_euler(
        "ZXZ", [[t + 3, e - 90, -a], [-t - 3, e - 90, a]], degrees=True
    ).as_matrix()
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_views_may_be_scalars():
    rotation = jnp.asarray(Rotation.random(3, random_state=0).as_matrix(), jnp.float32)
    image = jnp.asarray(np.random.default_rng(0).uniform(0, 255, (3, 8, 8, 3)), jnp.float32)
    for view in VIEWS.values():
        many = table([view] * 3)
        np.testing.assert_allclose(
            view_rotation(rotation, view), view_rotation(rotation, many), atol=2e-7
        )
        one, more = (
            view_image(image, v, resolution=6, margin=1, resample=True) for v in (view, many)
        )
        np.testing.assert_allclose(one, more, atol=1e-3)


@pytest.mark.parametrize("margin", [0, 3])
def test_the_identity_shows_the_stored_pixels(margin):
    image = np.random.default_rng(0).integers(0, 256, (2, 22, 22, 3), dtype=np.uint8)
    inner = image[:, margin : 22 - margin, margin : 22 - margin]
    options = {"resolution": 22 - 2 * margin, "margin": margin}
    for view, expected in (
        (augment.View(), inner),
        (augment.View(mirror=1.0), inner[:, :, ::-1]),
    ):
        exact = view_image(jnp.asarray(image), view, resample=False, **options)
        np.testing.assert_array_equal(exact, expected)
        resampled = view_image(jnp.asarray(image), view, resample=True, **options)
        np.testing.assert_allclose(resampled, expected, atol=2e-3)


@pytest.mark.parametrize(
    ("stored", "resolution", "context"), [(192, 224, 224 / 192), (20, 28, 1.4)]
)
def test_context_is_the_margins_pixels_where_they_are_as_many_as_asked_for(
    stored, resolution, context
):
    """The 16 pixels of context at 224: stored as 192, a crop is cut out and not resampled."""
    margin = (resolution - stored) // 2 + 3
    image = np.random.default_rng(0).integers(
        0, 256, (1, stored + 2 * margin, stored + 2 * margin, 3), dtype=np.uint8
    )
    options = {"resolution": resolution, "margin": margin, "context": context}
    for mirror in (0.0, 1.0):
        view = augment.View(mirror=mirror)
        exact = view_image(jnp.asarray(image), view, resample=False, **options)
        expected = image[:, 3:-3, 3:-3][:, :, :: -1 if mirror else 1]
        np.testing.assert_array_equal(exact, expected)
        resampled = view_image(jnp.asarray(image), view, resample=True, **options)
        np.testing.assert_allclose(resampled, expected, atol=0.05)


def test_sixteen_pixels_of_context():
    """Stored at 224 the box takes the middle 192 of 224 pixels, whatever the view does else."""
    stored, margin = 224, 24
    box = np.zeros((1, stored + 2 * margin, stored + 2 * margin, 3), np.uint8)
    box[:, margin:-margin, margin:-margin] = 255
    for resample in (False, True):
        found = view_image(
            jnp.asarray(box), augment.View(), resolution=224, margin=margin, resample=resample,
            context=224 / 192,
        )  # fmt: skip
        inside = np.zeros((224, 224), bool)
        inside[16:-16, 16:-16] = True
        np.testing.assert_array_equal(np.asarray(found)[0, :, :, 1] > 127, inside)


def test_resampling_is_bilinear_and_repeats_the_edge():
    # On a linear ramp bilinear interpolation is exact; beyond the stored pixels it is constant.
    y, x = np.mgrid[:20, :20].astype(np.float32)
    ramp = np.stack([x, y, x + 2 * y], -1)[None] + 0.5
    view = augment.View(zoom=1.2, shift_x=0.3, shift_y=-0.1, angle=0.3)
    found = view_image(jnp.asarray(ramp), view, resolution=10, margin=2, resample=True)[0]
    for row in range(10):
        for column in range(10):
            u, v = (column + 0.5) / 10 - 0.5, (row + 0.5) / 10 - 0.5
            cos, sin = np.cos(0.3), np.sin(0.3)
            across = ((cos * u - sin * v) * 1.2 + 0.3) * 16 + 10
            down = ((sin * u + cos * v) * 1.2 - 0.1) * 16 + 10
            across, down = np.clip([across, down], 0.5, 19.5)
            np.testing.assert_allclose(
                found[row, column], [across, down, across + 2 * down - 1], atol=1e-4
            )


def test_random_views_cover_their_ranges():
    strengths = augment.Augment(mirror=0.3, zoom=0.2, shift=0.1, rotate_deg=10.0)
    uniform = jax.random.uniform(jax.random.key(0), (4000, 5))
    views = augment.random_views(uniform, strengths)
    assert set(np.unique(views.mirror)) == {0, 1}
    assert abs(np.mean(views.mirror) - 0.3) < 0.04
    limits = {"zoom": (0.8, 1.2), "shift_x": (-0.1, 0.1), "shift_y": (-0.1, 0.1)}
    limits["angle"] = (-np.radians(10), np.radians(10))
    columns = {name: np.asarray(getattr(views, name), np.float64) for name in limits}
    for name, (low, high) in limits.items():
        assert low - 1e-6 <= columns[name].min() < low + 0.01 * (high - low)
        assert high - 0.01 * (high - low) < columns[name].max() <= high + 1e-6
        assert abs(columns[name].mean() - (low + high) / 2) < 0.02 * (high - low)
    independent = np.corrcoef([views.mirror, *columns.values()])
    assert np.abs(independent - np.eye(5)).max() < 0.06

    never = augment.random_views(uniform, augment.Augment())
    for field, plain in zip(never, augment.View(), strict=True):
        np.testing.assert_array_equal(field, np.full(4000, plain))
    always = augment.random_views(uniform, augment.Augment(mirror=1.0))
    assert (always.mirror == 1).all()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"mirror": 0.5, "brightness": 0.1, "contrast": 1.0, "saturation": 1.0}, False),
        ({"zoom": 0.1}, True),
        ({"shift": 0.1}, True),
        ({"rotate_deg": 1.0}, True),
        ({"jitter_iou": 0.7}, True),
        ({"pose_jitter_deg": (0.0, 0.0, 4.0)}, True),
        ({"jitter_iou": 1.0, "pose_jitter_deg": (0.0, 0.0, 0.0)}, False),
    ],
)
def test_what_needs_resampling(change, expected):
    assert augment.Augment(**change).resamples is expected


def test_colors_against_loops():
    generator = np.random.default_rng(0)
    image = generator.uniform(0, 255, (4, 5, 6, 3)).astype(np.float32)
    uniform = generator.uniform(0, 1, (4, 3)).astype(np.float32)
    strengths = augment.Augment(brightness=0.9, contrast=0.6, saturation=0.9)
    found = warp.random_color(jnp.asarray(uniform), jnp.asarray(image), strengths)
    for picture, (brightness, contrast, saturation), result in zip(
        image.astype(np.float64), 2 * uniform.astype(np.float64) - 1, found, strict=True
    ):
        expected = np.empty_like(picture)
        for index in np.ndindex(5, 6):
            grey = picture[index].sum() / 3
            expected[index] = grey + (picture[index] - grey) * (1 + 0.9 * saturation)
        mean = expected.sum() / expected.size
        expected = mean + (expected - mean) * (1 + 0.6 * contrast) + 255 * 0.9 * brightness
        np.testing.assert_allclose(result, expected.clip(0, 255), atol=1e-3)
    assert {0.0, 255.0} <= set(np.unique(found).tolist())


def test_colors_one_by_one():
    image = jnp.asarray(np.random.default_rng(0).uniform(60, 190, (1, 5, 6, 3)), jnp.float32)
    highest = jnp.ones((1, 3))
    brighter = warp.random_color(highest, image, augment.Augment(brightness=0.1))
    np.testing.assert_allclose(brighter - image, 25.5, atol=1e-4)
    grey = warp.random_color(highest * 0, image, augment.Augment(saturation=1.0))
    np.testing.assert_allclose(np.ptp(grey, axis=-1), 0, atol=1e-4)
    np.testing.assert_allclose(grey.mean(-1), image.mean(-1), atol=1e-4)
    flat = warp.random_color(highest * 0, image, augment.Augment(contrast=1.0))
    np.testing.assert_allclose(flat, jnp.full_like(image, image.mean()), atol=1e-3)
    assert warp.random_color(highest, image, augment.Augment(mirror=1.0)) is image


def test_normalisations_against_their_formulas():
    red, green, blue = 10, 128, 250
    pixel = jnp.array([red, green, blue], jnp.uint8)[None, None, None]
    keras = InputSpec(0, 1.0, "keras", "camera").normalize(pixel)[0, 0, 0]
    np.testing.assert_allclose(keras, [blue - 103.939, green - 116.779, red - 123.68], atol=1e-4)
    torch = InputSpec(0, 1.0, "torchvision", "camera").normalize(pixel)[0, 0, 0]
    expected = [
        (red / 255 - 0.485) / 0.229,
        (green / 255 - 0.456) / 0.224,
        (blue / 255 - 0.406) / 0.225,
    ]
    np.testing.assert_allclose(torch, expected, atol=1e-6)
    as_float = InputSpec(0, 1.0, "keras", "camera").normalize(pixel.astype(jnp.float32))[0, 0, 0]
    np.testing.assert_array_equal(as_float, keras)


def test_without_margin():
    image = np.arange(2 * 6 * 6 * 3).reshape(2, 6, 6, 3)
    np.testing.assert_array_equal(warp.without_margin(image, 0), image)
    np.testing.assert_array_equal(warp.without_margin(image, 2), image[:, 2:4, 2:4])
