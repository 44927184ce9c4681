"""The one way from images to what a model says of them: photos, validation, scores of runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose import devices, metrics
from catpose.data import augment
from catpose.data import batch as batches
from catpose.data.examples import Examples
from catpose.experiment import build
from catpose.geometry import so3, symmetry, viewpoint
from catpose.models import fusion


class Answer(NamedTuple):
    """What a model says of B images.

    Attributes:
      probabilities: (B, K).
      category: by fusion, (B,), the category beside the pose: the most probable one, or that of the
        pair where the representation chooses a category and a pose together (`Pose.choose`).
      rotation: by fusion, (B, 3, 3) in frame "camera".
      learned_rotation: the same in the frame of learning.
      network_rotation: (B, K, 3, 3), each category's own pose in the frame of learning.
    """

    probabilities: Float[Array, "B K"]
    category: dict[str, Int[Array, "B"]]
    rotation: dict[str, Float[Array, "B 3 3"]]
    learned_rotation: dict[str, Float[Array, "B 3 3"]]
    network_rotation: Float[Array, "B K 3 3"]


class Evaluation(NamedTuple):
    """Predictions for N examples, on the host. Rotations are in frame "camera".

    Attributes:
      category: (N,) true categories.
      probabilities: (N, K).
      predicted_category: by fusion, (N,), see `Answer.category`.
      target_rotation: (N, 3, 3).
      rotation: by fusion, (N, 3, 3).
      error_deg: by fusion, (N,) geodesic errors in degrees, measured in the frame of learning.
      azimuth_error_deg: by fusion, (N,) in [0, 180].
      network_error_deg: (N, K) errors of each category's own pose.
      orders: (K,) symmetries (see `catpose.geometry.symmetry`) that all errors respect, by those
        of the true category; None for plain errors.
    """

    category: np.ndarray
    probabilities: np.ndarray
    predicted_category: dict[str, np.ndarray]
    target_rotation: np.ndarray
    rotation: dict[str, np.ndarray]
    error_deg: dict[str, np.ndarray]
    azimuth_error_deg: dict[str, np.ndarray]
    network_error_deg: np.ndarray
    orders: np.ndarray | None = None


def answer(
    model: build.Model,
    variables: Any,
    image: Float[Array, "B S S 3"] | None,
    *,
    features: Float[Array, "B ..."] | None = None,
    category: Int[Array, "B"] | None = None,
    fusions: Sequence[str] = tuple(fusion.FUSIONS),
) -> Answer:
    """What the network says of a batch of its inputs; jit this.

    Args:
      model: network, representation and whether it is tied.
      variables: of the network, which runs on its running statistics.
      image: in the network's own normalization; None where features are given.
      features: of the feature network, in the place of images.
      category: the true ones; the fusion "oracle" alone reads them.
      fusions: names of `catpose.models.fusion.FUSIONS`.
    """
    outputs, _ = model.network.apply_fn(variables, image, features=features, tied=model.tied)
    probabilities = jax.nn.softmax(outputs.category_logits)

    def in_camera(rotation: Array) -> Array:
        return viewpoint.convert_frame(rotation, model.input_spec.frame, "camera")

    rotation, found = {}, {}
    for name in fusions:
        weights = fusion.weights(name, outputs.category_logits, category)
        fused = model.pose.fuse(outputs.pose_outputs, weights)
        rotation[name] = model.pose.to_rotation(fused)
        # The oracle is told the category, so it cannot say one.
        joint = model.pose.choose is not None and name != "oracle"
        found[name] = (
            model.pose.choose(outputs.pose_outputs, weights) if joint else probabilities.argmax(-1)
        )
    return Answer(
        probabilities=probabilities,
        category=found,
        rotation={name: in_camera(each) for name, each in rotation.items()},
        learned_rotation=rotation,
        network_rotation=model.pose.to_rotation(outputs.pose_outputs),
    )


def errors_deg(
    found: Answer, batch: batches.Batch, orders: Int[np.ndarray, " K"] | None = None
) -> dict[str, Any]:
    """Geodesic errors in degrees: of each fusion, (B,), and of each network's own pose, (B, K).

    Args:
      found: what a model answers.
      batch: the true categories, and rotations in the frame of learning.
      orders: see `Evaluation`.
    """

    def degrees(rotation: Array, target: Array) -> Array:
        if orders is not None:
            own = jnp.asarray(orders)[batch.category].reshape(-1, *[1] * (rotation.ndim - 3))
            target = symmetry.nearest(rotation, target, own)
        return so3.geodesic_distance(rotation, target) * (180 / np.pi)

    by_fusion = found.learned_rotation.items()
    return {
        "error_deg": {name: degrees(each, batch.rotation) for name, each in by_fusion},
        "network_error_deg": degrees(found.network_rotation, batch.rotation[:, None]),
    }


def compile_predict(model: build.Model, margin: int) -> Callable:
    """What predicts batches of examples, compiled over all devices.

    Args:
      model: what answers.
      margin: of the examples' crops, in their pixels.

    Returns:
      `(variables, {"eval": records}, {"eval": cache})` -> the fields of `Evaluation` that need the
      network, by name.
    """

    def predict(
        variables: Any,
        records: Mapping[str, batches.Records],
        cache: Mapping[str, batches.Cache],
    ) -> dict[str, Any]:
        batch = batches.prepare(
            jax.random.key(0),
            records,
            cache,
            input_spec=model.input_spec,
            augment=augment.Augment(),
            views=("identity",),
            margins={"eval": margin},
        )
        found = answer(
            model, variables, batch.image, features=batch.features, category=batch.category
        )
        return {
            "probabilities": found.probabilities,
            "predicted_category": found.category,
            "rotation": found.rotation,
            **errors_deg(found, batch, model.symmetry),
        }

    return devices.compile_predict(predict)


def compile_crops(model: build.Model) -> Callable:
    """What predicts crops of photos, compiled for one device.

    The crops are the network's input already: `images.crop` cuts them out of the photo in one
    antialiased resampling. Those of `prepare` are cut out of a stored crop, whose margin allows for
    augmentation; the two agree to the bit only where the stored crop has the input's own pixels.

    Returns:
      `(variables, (N, S, S, 3) uint8)` -> probabilities (N, K), category (N,), rotation (N, 3, 3)
      in frame "camera" and (N, 3) azimuth, elevation and theta in degrees.
    """

    @jax.jit
    def predict(variables: Any, image: Array) -> tuple[Array, Array, Array, Array]:
        image = augment.normalize(image, model.input_spec.normalization)
        found = answer(model, variables, image, fusions=(model.fusion,))
        rotation = found.rotation[model.fusion]
        angles = jnp.degrees(jnp.stack(viewpoint.angles_from_rotation(rotation), axis=-1))
        return found.probabilities, found.category[model.fusion], rotation, angles

    return predict


def evaluate(
    model: build.Model,
    variables: Any,
    split: Examples,
    *,
    batch_size: int,
    cache: batches.Cache | None = None,
    predict_fn: Callable | None = None,
    progress_fn: Callable[[int], Any] = lambda done: None,
) -> Evaluation:
    """Runs a model over a whole split.

    Args:
      model: what answers.
      variables: of its network.
      split: the examples.
      batch_size: examples at once; the last batch is padded, and the padding left out.
      cache: their images or features in device memory; without it the images go there by batches.
      predict_fn: what `compile_predict` made before.
      progress_fn: is called with the number of examples done after each batch.
    """
    size = len(split.category)
    cache = cache or batches.Cache()
    predict_fn = predict_fn or compile_predict(model, split.margin)
    streamed = cache.image is None and cache.features is None
    parts = []
    for begin in range(0, size, batch_size):
        index = np.arange(begin, begin + batch_size)
        index[index >= size] = -1
        own = index[devices.own_rows(batch_size)]
        records = {"eval": batches.records(split, own, with_images=streamed)}
        records = devices.place(records, "jit")
        real = min(batch_size, size - begin)
        result = jax.device_get(predict_fn(variables, records, {"eval": cache}))
        parts.append(jax.tree.map(lambda x, real=real: x[:real], result))
        progress_fn(real)
    result = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    orders = model.symmetry
    # Azimuths that differ by 360 / n are one: compared n-fold. For any angle (0), all are.
    order = np.int32(1) if orders is None else orders[split.category]
    target_azimuth = _azimuth_deg(split.rotation) * order
    azimuth_error = {
        name: metrics.azimuth_difference_deg(_azimuth_deg(rotation) * order, target_azimuth)
        / np.maximum(order, 1)
        for name, rotation in result["rotation"].items()
    }
    return Evaluation(
        category=np.asarray(split.category),
        target_rotation=np.asarray(split.rotation),
        azimuth_error_deg=azimuth_error,
        orders=orders,
        **result,
    )


def _azimuth_deg(rotation: np.ndarray) -> np.ndarray:
    return np.degrees(np.asarray(viewpoint.angles_from_rotation(rotation)[0]))


def summaries(evaluation: Evaluation, frame: str) -> dict[str, Any]:
    """The figures of a split as `report.json` has them: by fusion, and `topk` (Table 13).

    `symmetry` is what the errors respect, by category; None says that they are the plain ones.
    """
    respected = None if evaluation.orders is None else symmetry.names(evaluation.orders)
    result: dict[str, Any] = {
        name: {**figures(evaluation, name), "frame": frame, "symmetry": respected}
        for name in fusion.FUSIONS
    }
    result["topk"] = topk(evaluation)
    return result


def figures(found: Any, name: str) -> dict[str, Any]:
    """`metrics.summarize` of one fusion; `found` has the fields of `Evaluation` but the last."""
    table = metrics.Table(
        category=found.category,
        predicted_category=found.probabilities.argmax(-1),
        error_deg=found.error_deg[name],
        azimuth_error_deg=found.azimuth_error_deg[name],
        weight=np.ones(len(found.category)),
    )
    return metrics.summarize(table, found.probabilities.shape[1])


def topk(found: Any) -> dict[str, Any]:
    """`metrics.topk`, Table 13; `found` as for `figures`."""
    weight = np.ones(len(found.category))
    return metrics.topk(found.network_error_deg, found.probabilities, found.category, weight)
