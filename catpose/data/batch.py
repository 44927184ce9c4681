"""From decoded examples to the batch that the network sees, inside the jitted step."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Num

from catpose.data import augment as augmentation
from catpose.data import examples, online_rendering, pose_jitter, warp
from catpose.data.examples import Camera, Examples
from catpose.data.input_spec import InputSpec
from catpose.geometry import camera, viewpoint


class Records(NamedTuple):
    """One source's part of a batch, before its images are looked up.

    Attributes:
      index: example numbers in the source's cache.
      position: numbers in the global batch, for the examples' own random keys.
      category: category indices.
      rotation: rotations, frame "camera".
      pose_weight: weight of the pose loss, 0 for padding.
      category_weight: weight of the category loss, 0 for padding and for rendered images.
      aspect: width over height of the boxes; None where all are square.
      camera: how the objects were seen, without `points`; None where that is unknown.
      image: the stored crops, where the source is too large for the cache; else None.
      azimuth_only: whether of the rotation the azimuth alone is known.
    """

    index: Int[Array, "B"]
    position: Int[Array, "B"]
    category: Int[Array, "B"]
    rotation: Float[Array, "B 3 3"]
    pose_weight: Float[Array, "B"]
    category_weight: Float[Array, "B"]
    aspect: Float[Array, "B"] | None = None
    camera: Camera | None = None
    image: Num[Array, "B H W 3"] | None = None
    azimuth_only: Bool[Array, "B"] | None = None


class Batch(NamedTuple):
    """What the network and the losses see.

    Attributes:
      image: (B, H, W, 3) in the network's own normalization; None where features are cached.
      features: cached features; None where images are used.
      position: see `Records`.
      category: category indices.
      rotation: target rotations in the frame of learning.
      pose_weight: see `Records`.
      category_weight: see `Records`.
      azimuth_only: see `Records`.
    """

    image: Float[Array, "B H W 3"] | None
    features: Float[Array, "B ..."] | None
    position: Int[Array, "B"]
    category: Int[Array, "B"]
    rotation: Float[Array, "B 3 3"]
    pose_weight: Float[Array, "B"]
    category_weight: Float[Array, "B"]
    azimuth_only: Bool[Array, "B"] | None = None


class Cache(NamedTuple):
    """A source's examples in device memory: images, or the cached features of fixed views.

    Attributes:
      image: (N, S, S, 3) uint8; None where records bring their images.
      features: (N, V, ...) float32, the feature network's output for each view, or None.
      points: (M, P, 3) float32 of examples with a camera, see `catpose.data.examples.Camera`.
      assets: what the source's images are drawn from, where they are drawn in the step.
    """

    image: Array | None = None
    features: Array | None = None
    points: Array | None = None
    assets: online_rendering.Assets | None = None


def records(
    split: Examples,
    index: np.ndarray,
    first_position: int = 0,
    *,
    pose_weight: float = 1.0,
    category_weight: float = 1.0,
    with_images: bool = False,
) -> Records:
    """The host's part of a batch: labels of the examples `index` of a split.

    Args:
      split: where the examples are.
      index: example numbers; -1 is padding: example 0 with weights 0.
      first_position: number of the first of them in the global batch.
      pose_weight: of every real example whose pose is known, or its azimuth.
      category_weight: of every real example.
      with_images: whether the images come along, for a source that no cache holds.
    """
    real = (index >= 0).astype(np.float32)
    index = np.maximum(index, 0).astype(np.int32)
    seen = examples.take_camera(split.camera, index)
    known = ~examples.labeled(split, "none")[index]
    return Records(
        index=index,
        position=(first_position + np.arange(len(index))).astype(np.int32),
        category=split.category[index],
        rotation=split.rotation[index],
        pose_weight=real * known * np.float32(pose_weight),
        category_weight=real * np.float32(category_weight),
        aspect=None if split.aspect is None else split.aspect[index],
        camera=None if seen is None else seen._replace(points=None),
        image=np.asarray(split.image[index]) if with_images else None,
        azimuth_only=examples.labeled(split, "azimuth")[index],
    )


def prepare(
    key: Array,
    records: Mapping[str, Records],
    cache: Mapping[str, Cache],
    *,
    input_spec: InputSpec,
    augment: augmentation.Augment,
    views: tuple[str, ...],
    margins: Mapping[str, int],
    drawing: Mapping[str, Any] | None = None,
) -> Batch:
    """Looks up, changes and normalizes the examples of a batch, images and poses together.

    Every example draws from its own key, folded from `key` and its number in the global batch, so
    the result does not depend on how the batch is divided among devices.

    Args:
      key: the step's key.
      records: by source.
      cache: images or features by source.
      input_spec: what the network takes.
      augment: strengths of random changes to images.
      views: not empty: one of these views (`augment.VIEWS`, `augment.random_names`) is drawn for
        each example instead of a new one; the order is that of the cached features' second axis.
      margins: of the stored crops, by source, in their pixels.
      drawing: how images are drawn, `online_rendering.arguments`, where a source's cache has
        assets.
    """
    parts = [
        _prepare_source(
            key,
            records[name],
            cache[name],
            input_spec=input_spec,
            augment=augment,
            views=views,
            margin=margins[name],
            drawing=drawing or {},
        )
        for name in records
    ]
    batch = jax.tree.map(lambda *leaves: jnp.concatenate(leaves), *parts)
    rotation = viewpoint.convert_frame(batch.rotation, "camera", input_spec.frame)
    return batch._replace(rotation=rotation)


def _prepare_source(
    key: Array,
    part: Records,
    cache: Cache,
    *,
    input_spec: InputSpec,
    augment: augmentation.Augment,
    views: tuple[str, ...],
    margin: int,
    drawing: Mapping[str, Any],
) -> Batch:
    keys = jax.vmap(jax.random.fold_in, (None, 0))(key, part.position)
    if cache.assets is not None:
        made = online_rendering.draw(
            keys,
            part.index,
            part.category,
            cache.assets,
            size=input_spec.resolution,
            context=input_spec.context,
            **drawing,
        )
        image = input_spec.normalize(made.image)
        return _batch(part, made.rotation, image=image)
    seen = _seen(part, cache) if augment.jitters_pose and part.camera is not None else None
    if views:
        share = jax.vmap(jax.random.uniform)(keys)
        number = (share * len(views)).astype(jnp.int32)
        sample = augmentation.fixed_sample(views, number, part.index, augment, seen)
    else:
        sample = augmentation.random_sample(keys, augment, seen)
    image = features = None
    if cache.features is not None:
        features = cache.features[part.index, number]
    else:
        image = warp.picture(
            cache.image[part.index] if part.image is None else part.image,
            sample,
            augment,
            input_spec=input_spec,
            resample=augmentation.resamples(views, augment),
            margin=margin,
            aspect=1.0 if part.aspect is None else part.aspect,
            seen=seen,
        )
    rotation = augmentation.view_rotation(part.rotation.astype(float), sample.view)
    return _batch(part, rotation, image=image, features=features)


def _batch(
    part: Records, rotation: Array, *, image: Array | None = None, features: Array | None = None
) -> Batch:
    return Batch(
        image=image,
        features=features,
        position=part.position,
        category=part.category,
        rotation=rotation,
        pose_weight=part.pose_weight,
        category_weight=part.category_weight,
        azimuth_only=part.azimuth_only,
    )


def _seen(part: Records, cache: Cache) -> pose_jitter.Seen:
    seen = part.camera
    pinhole = camera.Pinhole(seen.distance, seen.focal, seen.center)
    return pose_jitter.Seen(part.rotation, pinhole, seen.model, cache.points)


def compile_features(
    feature_fn: Callable[[Any, Array], Array],
    views: tuple[str, ...],
    *,
    input_spec: InputSpec,
    augment: augmentation.Augment,
    margin: int,
    points: np.ndarray | None,
) -> Callable[[Any, Records, Array], Array]:
    """What `feature_cache` computes batches by, compiled.

    Args:
      feature_fn: as for `feature_cache`, and so the next ones.
      views: of which the program takes any.
      input_spec: what the network takes.
      augment: strengths of the random views.
      margin: of the split's crops, in their pixels.
      points: of the 3D models by which the split's objects were labeled; None without them.

    Returns:
      `(variables, records with images, (B,) numbers of views)` -> (B, ...) features.
    """
    resample = augmentation.resamples(views, augment)

    @jax.jit
    def compute(variables: Any, part: Records, number: Array) -> Array:
        seen = None
        if augment.jitters_pose and part.camera is not None:
            seen = _seen(part, Cache(points=jnp.asarray(points)))
        image = warp.picture(
            part.image,
            augmentation.fixed_sample(views, number, part.index, augment, seen),
            augment,
            input_spec=input_spec,
            resample=resample,
            margin=margin,
            aspect=1.0 if part.aspect is None else part.aspect,
            seen=seen,
        )
        return feature_fn(variables, image)

    return compute


def feature_cache(
    feature_fn: Callable[[Any, Array], Array],
    variables: Any,
    split: Examples,
    views: tuple[str, ...],
    *,
    input_spec: InputSpec,
    augment: augmentation.Augment,
    batch_size: int,
    index: np.ndarray | None = None,
    progress_fn: Callable[[int], Any] = lambda done: None,
) -> np.ndarray:
    """The feature network's output for each view of each example, (N, V, ...) float32.

    Args:
      feature_fn: (variables, image) -> features.
      variables: of the network; the feature network runs on running statistics.
      split: the examples.
      views: as for `prepare`.
      input_spec: what the network takes.
      augment: strengths of the random ones among them.
      batch_size: images at once; the last batch is padded so that nothing recompiles.
      index: of the examples; None for all.
      progress_fn: is called with the number of images done after each batch.
    """
    points = None if split.camera is None else split.camera.points
    compute = compile_features(
        feature_fn,
        views,
        input_spec=input_spec,
        augment=augment,
        margin=split.margin,
        points=points,
    )
    index = np.arange(len(split.category)) if index is None else index
    size, flat = len(index), np.arange(len(index) * len(views))
    result: np.ndarray | None = None
    for begin in range(0, len(flat), batch_size):
        some = flat[begin : begin + batch_size]
        example, number = np.divmod(np.resize(some, batch_size), len(views))
        part = records(split, index[example], with_images=True)
        output = np.asarray(compute(variables, part, number.astype(np.int32)))
        if result is None:
            result = np.empty((len(flat), *output.shape[1:]), np.float32)
        result[some] = output[: len(some)]
        progress_fn(len(some))
    if result is None:
        shape: tuple[int, ...] = (1, 1)
        if len(split.category):  # all in the parts of other processes
            image = jnp.zeros((1, *2 * [input_spec.resolution], 3))
            shape = jax.eval_shape(feature_fn, variables, image).shape
        return np.zeros((0, len(views), *shape[1:]), np.float32)
    return result.reshape(size, len(views), *result.shape[1:])
