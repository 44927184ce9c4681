"""From stored examples to a batch: any division gives the same, features equal images."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import augment, batch, examples
from catpose.data.input_spec import InputSpec

SIDE, MARGIN = 12, 2
MIRROR = np.diag([-1.0, 1, 1])
STRONG = augment.Augment(
    mirror=0.5, zoom=0.2, shift=0.1, rotate_deg=20.0, brightness=0.2, contrast=0.3, saturation=0.4
)


def make_split(size, seed=0, margin=MARGIN, aspect=None):
    generator = np.random.default_rng(seed)
    stored = SIDE + 2 * margin
    return examples.Examples(
        image=generator.integers(0, 256, (size, stored, stored, 3), dtype=np.uint8),
        category=generator.integers(0, 3, size).astype(np.int32),
        rotation=Rotation.random(size, random_state=seed).as_matrix().astype(np.float32),
        id=np.arange(size).astype(str),
        digest=str(seed),
        margin=margin,
        aspect=aspect,
    )


CAMERA = examples.Camera(
    distance=np.full(20, 5, np.float32),
    focal=np.full((20, 2), 4, np.float32),
    center=np.zeros((20, 2), np.float32),
    points=np.random.default_rng(3).uniform(-0.5, 0.5, (2, 32, 3)).astype(np.float32),
    model=np.arange(20, dtype=np.int32) % 3 - 1,
)
SPLIT = make_split(20)
CACHE = {"train": batch.Cache(image=jnp.asarray(SPLIT.image))}


@functools.partial(jax.jit, static_argnames=("strengths", "views", "normalization", "frame"))
def prepare(
    key,
    sources,
    cache=None,
    strengths=STRONG,
    views=(),
    normalization="torchvision",
    frame="camera",
):
    return batch.prepare(
        key,
        sources,
        CACHE if cache is None else cache,
        augment=strengths,
        views=views,
        input_spec=InputSpec(SIDE, 1.0, normalization, frame),
        margins={"train": MARGIN, "rendered": 0},
    )


def host(tree):
    return jax.tree.map(np.asarray, tree)


def test_records_are_labels_and_weights():
    index = np.array([3, -1, 0, 19, 3])
    rows = batch.records(SPLIT, index, 7, pose_weight=0.5, category_weight=0.0)
    np.testing.assert_array_equal(rows.index, [3, 0, 0, 19, 3])
    np.testing.assert_array_equal(rows.position, [7, 8, 9, 10, 11])
    np.testing.assert_array_equal(rows.category, SPLIT.category[[3, 0, 0, 19, 3]])
    np.testing.assert_array_equal(rows.rotation, SPLIT.rotation[[3, 0, 0, 19, 3]])
    np.testing.assert_array_equal(rows.pose_weight, np.float32([0.5, 0, 0.5, 0.5, 0.5]))
    np.testing.assert_array_equal(rows.category_weight, np.zeros(5, np.float32))
    dtypes = [rows.index, rows.position, rows.category, rows.rotation, rows.pose_weight]
    assert [str(x.dtype) for x in dtypes] == ["int32"] * 3 + ["float32"] * 2
    plain = batch.records(SPLIT, np.arange(4))
    np.testing.assert_array_equal(plain.pose_weight, np.ones(4))
    np.testing.assert_array_equal(plain.category_weight, np.ones(4))


def test_without_changes_a_batch_is_what_is_stored():
    index = np.array([4, 0, 11, -1])
    rows = {"train": batch.records(SPLIT, index)}
    key = jax.random.key(0)
    inner = SPLIT.image[[4, 0, 11, 0], MARGIN:-MARGIN, MARGIN:-MARGIN].astype(np.float64)
    expected = (inner / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    for options in (
        {"strengths": augment.Augment()},
        {"views": ("identity",), "strengths": augment.Augment()},
    ):
        found = prepare(key, rows, **options)
        np.testing.assert_allclose(found.image, expected, atol=2e-6)
        np.testing.assert_array_equal(found.category, SPLIT.category[[4, 0, 11, 0]])
        np.testing.assert_array_equal(found.rotation, SPLIT.rotation[[4, 0, 11, 0]])
        np.testing.assert_array_equal(found.pose_weight, [1, 1, 1, 0])
        np.testing.assert_array_equal(found.category_weight, [1, 1, 1, 0])
        assert found.features is None
    keras = prepare(key, rows, strengths=augment.Augment(), normalization="keras").image
    np.testing.assert_allclose(keras, inner[..., ::-1] - [103.939, 116.779, 123.68], atol=1e-4)


@pytest.mark.parametrize("views", [(), ("identity", "mirror", "left")])
def test_a_batch_is_the_sum_of_its_parts(views):
    key = jax.random.key(3)
    index = np.arange(8)
    whole = host(prepare(key, {"train": batch.records(SPLIT, index)}, views=views))
    parts = [
        host(prepare(key, {"train": batch.records(SPLIT, index[a : a + 4], a)}, views=views))
        for a in (0, 4)
    ]
    joined = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    for name in ("category", "rotation", "pose_weight", "category_weight"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(joined, name))
    np.testing.assert_allclose(whole.image, joined.image, atol=1e-4)
    # The same position again is the same change; another position or key is another.
    moved = host(prepare(key, {"train": batch.records(SPLIT, index, 1)}, views=views))
    rekeyed = host(prepare(jax.random.key(4), {"train": batch.records(SPLIT, index)}, views=views))
    assert np.abs(moved.image - whole.image).max() > 0.1
    assert np.abs(rekeyed.image - whole.image).max() > 0.1


def test_examples_of_a_batch_change_independently():
    rows = {"train": batch.records(SPLIT, np.full(16, 5))}
    found = host(prepare(jax.random.key(0), rows))
    flat = found.image.reshape(16, -1)
    distances = np.abs(flat[:, None] - flat[None]).max(-1)
    assert (distances + np.eye(16) > 0.05).all()
    assert np.abs(found.rotation - found.rotation[0])[1:].max((1, 2)).min() > 1e-3


def test_sources_are_joined_and_have_numbers_of_their_own():
    rendered = make_split(6, seed=1, margin=0)
    cache = {**CACHE, "rendered": batch.Cache(image=jnp.asarray(rendered.image))}
    rows = {
        "train": batch.records(SPLIT, np.array([1, 2, 3])),
        "rendered": batch.records(rendered, np.array([5, 0]), 3, category_weight=0.0),
    }
    key = jax.random.key(1)
    found = host(prepare(key, rows, cache))
    # jit sorts the sources by name; the order in a batch means nothing.
    alone = [host(prepare(key, {name: rows[name]}, cache)) for name in sorted(rows)]
    for name in ("image", "category", "rotation", "pose_weight", "category_weight"):
        expected = np.concatenate([getattr(part, name) for part in alone])
        np.testing.assert_allclose(getattr(found, name), expected, atol=1e-4)
    np.testing.assert_array_equal(found.category_weight, [0, 0, 1, 1, 1])
    # Were both sources numbered from 0, the same changes would be drawn for both.
    again = {**rows, "rendered": rows["rendered"]._replace(position=rows["train"].position[:2])}
    other = host(prepare(key, again, cache))
    assert np.abs(other.image[:2] - found.image[:2]).max() > 0.1


def test_the_photo_turns_and_not_the_squeezed_crop():
    index = np.arange(8)
    turn = augment.Augment(rotate_deg=20.0)
    square, ones, wide = (
        host(prepare(jax.random.key(0), {"train": batch.records(split, index)}, strengths=turn))
        for split in (
            SPLIT,
            make_split(20, aspect=np.ones(20, np.float32)),
            make_split(20, aspect=np.full(20, 2, np.float32)),
        )
    )
    np.testing.assert_allclose(square.image, ones.image, atol=1e-5)
    assert (np.abs(square.image - wide.image).max((1, 2, 3)) > 0.1).all()
    np.testing.assert_array_equal(square.rotation, wide.rotation)


def test_colours_do_not_touch_the_pose():
    rows = {"train": batch.records(SPLIT, np.arange(8))}
    key = jax.random.key(2)
    plain = dataclasses.replace(STRONG, brightness=0.0, contrast=0.0, saturation=0.0)
    with_colour, without = (host(prepare(key, rows, strengths=s)) for s in (STRONG, plain))
    np.testing.assert_array_equal(with_colour.rotation, without.rotation)
    assert np.abs(with_colour.image - without.image).max() > 0.1


def test_frames_of_learning():
    rows = {"train": batch.records(SPLIT, np.arange(8))}
    key = jax.random.key(2)
    camera, upright, paper = (
        host(prepare(key, rows, frame=frame).rotation) for frame in ("camera", "upright", "paper")
    )
    turn = Rotation.from_euler("x", 90, degrees=True).as_matrix()
    np.testing.assert_allclose(upright, turn @ camera, atol=1e-6)
    # camera is Rz(t) Rx(e - 90) Rz(-a), paper Rz(t) Rx(e) Rz(a).
    for c, p in zip(camera, paper, strict=True):
        t, e, a = Rotation.from_matrix(c).as_euler("ZXZ", degrees=True)
        expected = Rotation.from_euler("ZXZ", [t, e + 90, -a], degrees=True).as_matrix()
        other = Rotation.from_euler("ZXZ", [t + 180, -e + 90, -a + 180], degrees=True).as_matrix()
        assert min(np.abs(p - expected).max(), np.abs(p - other).max()) < 1e-5


def features_of(variables, image):
    """Depends on every pixel and its place."""
    return jnp.einsum("bhwc,hwcf->bf", image, variables, precision="highest")


@pytest.mark.parametrize(
    ("views", "aspect", "camera"),
    [
        (("identity", "mirror"), None, None),
        (tuple(augment.VIEWS), None, None),
        (tuple(augment.VIEWS), np.linspace(0.4, 3, 20, dtype=np.float32), None),
        (("mirror", *augment.random_names(3)), None, None),
        (augment.random_names(3), None, CAMERA),
    ],
)
def test_cached_features_are_those_of_the_images(views, aspect, camera):
    split = make_split(20, aspect=aspect)._replace(camera=camera)
    strengths = (
        STRONG if camera is None else dataclasses.replace(STRONG, pose_jitter_deg=(1.0, 2.0, 4.0))
    )
    variables = jax.random.normal(jax.random.key(0), (SIDE, SIDE, 3, 5))
    done = []
    features = batch.feature_cache(
        features_of,
        variables,
        split,
        views,
        augment=strengths,
        input_spec=InputSpec(SIDE, 1.0, "torchvision", "camera"),
        batch_size=7,
        progress_fn=done.append,
    )
    assert features.shape == (20, len(views), 5)
    assert features.dtype == np.float32
    assert sum(done) == 20 * len(views)

    rows = {"train": batch.records(split, np.array([3, 3, 3, 3, 3, 0, 19, 7, -1, 12]), 5)}
    key = jax.random.key(9)
    points = None if camera is None else jnp.asarray(camera.points)
    held = batch.Cache(jnp.asarray(split.image), points=points)
    images = prepare(key, rows, {"train": held}, views=views, strengths=strengths)
    stored = batch.Cache(features=jnp.asarray(features), points=points)
    cached = prepare(key, rows, {"train": stored}, views=views, strengths=strengths)
    assert cached.image is None
    np.testing.assert_allclose(cached.features, features_of(variables, images.image), atol=2e-3)
    for name in ("category", "rotation", "pose_weight", "category_weight"):
        np.testing.assert_array_equal(getattr(cached, name), getattr(images, name))


def test_fixed_views_are_drawn_evenly_and_turn_the_pose_with_the_image():
    rows = {"train": batch.records(SPLIT, np.full(400, 5))}
    found = host(
        prepare(jax.random.key(0), rows, views=("identity", "mirror"), strengths=augment.Augment())
    )
    stored = (SPLIT.image[5, MARGIN:-MARGIN, MARGIN:-MARGIN] / 255 - [0.485, 0.456, 0.406]) / [
        0.229, 0.224, 0.225,
    ]  # fmt: skip
    mirrored = np.abs(found.image - stored[:, ::-1]).max((1, 2, 3)) < 1e-5
    same = np.abs(found.image - stored).max((1, 2, 3)) < 1e-5
    assert (mirrored ^ same).all()
    assert abs(mirrored.mean() - 0.5) < 0.1
    np.testing.assert_array_equal(
        found.rotation[same], np.broadcast_to(SPLIT.rotation[5], (same.sum(), 3, 3))
    )
    expected = MIRROR @ SPLIT.rotation[5] @ MIRROR
    np.testing.assert_allclose(
        found.rotation[mirrored], np.broadcast_to(expected, (mirrored.sum(), 3, 3)), atol=1e-7
    )


def test_poses_are_jittered_where_the_camera_is_known():
    strengths = augment.Augment(pose_jitter_deg=(1.0, 2.0, 4.0), jitter_iou=0.7)
    unknown = np.arange(20) % 2 == 0
    distance = np.where(unknown, np.nan, CAMERA.distance).astype(np.float32)
    seen = SPLIT._replace(camera=CAMERA._replace(distance=distance))
    rows = {"train": batch.records(seen, np.arange(20))}
    cache = {"train": CACHE["train"]._replace(points=jnp.asarray(CAMERA.points))}
    found = host(prepare(jax.random.key(5), rows, cache, strengths=strengths))
    assert np.isfinite(found.image).all()
    np.testing.assert_array_equal(found.rotation[unknown], SPLIT.rotation[unknown])
    change = Rotation.from_matrix(found.rotation) * Rotation.from_matrix(SPLIT.rotation).inv()
    degrees = np.degrees(change.magnitude())[~unknown]
    assert (degrees > 0.05).all()
    assert (degrees < 1 + 2 + 4).all()
    # The box alone moves where no camera is known: what is drawn does not depend on the pose.
    plain = {"train": batch.records(SPLIT, np.arange(20))}
    without = host(prepare(jax.random.key(5), plain, strengths=strengths))
    np.testing.assert_allclose(without.image[unknown], found.image[unknown], atol=1e-4)


def test_images_may_come_with_the_records():
    index = np.array([3, 0, 19, -1])
    key = jax.random.key(2)
    held = host(prepare(key, {"train": batch.records(SPLIT, index)}))
    rows = {"train": batch.records(SPLIT, index, with_images=True)}
    brought = host(prepare(key, rows, {"train": batch.Cache()}))
    jax.tree.map(np.testing.assert_array_equal, brought, held)


def test_features_of_nothing():
    empty = make_split(0)
    features = batch.feature_cache(
        features_of, None, empty, ("identity", "mirror"), augment=augment.Augment(),
        input_spec=InputSpec(SIDE, 1.0, "keras", "camera"), batch_size=4,
    )  # fmt: skip
    assert features.shape[:2] == (0, 2)


@pytest.mark.parametrize(
    ("views", "expected"),
    [
        (("identity",), False),
        (("identity", "mirror"), False),
        (("mirror", "in"), True),
        (("left_mirror",), True),
    ],
)
def test_which_views_resample(views, expected):
    assert augment.resamples(views, augment.Augment()) is expected
    assert augment.resamples((*views, "random0"), augment.Augment(zoom=0.1))
