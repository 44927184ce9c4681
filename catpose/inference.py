"""The only code that evaluates: every split, every fusion, from one pass over the images."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int

from catpose import devices, metrics
from catpose.data import batch as batches
from catpose.data.dataset import Split
from catpose.geometry import so3, symmetry, viewpoint
from catpose.models import fusion
from catpose.poses.base import Pose


class Evaluation(NamedTuple):
    """Predictions for N examples, on the host. Rotations are in frame "camera".

    Attributes:
      category: (N,) true categories.
      probabilities: (N, K).
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
    target_rotation: np.ndarray
    rotation: dict[str, np.ndarray]
    error_deg: dict[str, np.ndarray]
    azimuth_error_deg: dict[str, np.ndarray]
    network_error_deg: np.ndarray
    orders: np.ndarray | None = None


def predict_batch(
    variables: Any,
    records: Mapping[str, batches.Records],
    cache: Mapping[str, batches.Cache],
    *,
    prepare_fn: Callable,
    apply_fn: Callable,
    pose: Pose,
    frame: str,
    orders: Int[np.ndarray, " K"] | None = None,
) -> dict[str, Any]:
    """Per-example predictions of one batch; jit this.

    Args:
      variables: of the network.
      records: of one source.
      cache: of that source.
      prepare_fn: see `step.train_step`; without augmentation.
      apply_fn: (variables, batch) -> outputs, on running statistics.
      pose: the representation of the outputs.
      frame: the frame of learning.
      orders: see `Evaluation`.

    Returns:
      The fields of `Evaluation` that need the network.
    """
    batch = prepare_fn(jax.random.key(0), records, cache)
    outputs = apply_fn(variables, batch)
    fused = {
        name: pose.to_rotation(
            pose.fuse(
                outputs.pose_outputs, fusion.weights(name, outputs.category_logits, batch.category)
            )
        )
        for name in fusion.FUSIONS
    }

    def camera(rotation: Array) -> Array:
        return viewpoint.convert_frame(rotation, frame, "camera")

    def degrees(rotation: Array, target: Array) -> Array:
        if orders is not None:
            own = jnp.asarray(orders)[batch.category].reshape(-1, *[1] * (rotation.ndim - 3))
            target = symmetry.nearest(rotation, target, own)
        return so3.geodesic_distance(rotation, target) * (180 / np.pi)

    return {
        "probabilities": jax.nn.softmax(outputs.category_logits),
        "rotation": {name: camera(rotation) for name, rotation in fused.items()},
        "error_deg": {name: degrees(rotation, batch.rotation) for name, rotation in fused.items()},
        "network_error_deg": degrees(
            pose.to_rotation(outputs.pose_outputs), batch.rotation[:, None]
        ),
    }


def evaluate(
    variables: Any,
    split: Split,
    cache: batches.Cache,
    *,
    predict_fn: Callable,
    batch_size: int,
    orders: Int[np.ndarray, " K"] | None = None,
    progress_fn: Callable[[int], Any] = lambda done: None,
) -> Evaluation:
    """Runs the network over a whole split.

    Args:
      variables: of the network.
      split: labels of the examples.
      cache: their images or features in device memory.
      predict_fn: `predict_batch` with its keywords bound and compiled (`compile_predict`).
      batch_size: examples at once; the last batch is padded, and the padding left out.
      orders: those that `predict_fn` respects.
      progress_fn: told the number of examples done after each batch.
    """
    size = len(split.category)
    parts = []
    for begin in range(0, size, batch_size):
        index = np.arange(begin, begin + batch_size)
        index[index >= size] = -1
        streamed = cache.image is None and cache.features is None
        own = index[devices.own_rows(batch_size)]
        rows = {"eval": batches.records(split, own, with_images=streamed)}
        rows = devices.place(rows, "jit")
        real = min(batch_size, size - begin)
        result = jax.device_get(predict_fn(variables, rows, {"eval": cache}))
        parts.append(jax.tree.map(lambda x, real=real: x[:real], result))
        progress_fn(real)
    result = jax.tree.map(lambda *x: np.concatenate(x), *parts)
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


def compile_predict(
    network_apply: Callable,
    *,
    pose: Pose,
    tied: bool,
    resolution: int,
    margin: int,
    context: float,
    normalization: str,
    frame: str,
    orders: Int[np.ndarray, " K"] | None = None,
) -> Callable:
    """`predict_batch` for a network, compiled over all devices."""
    prepare_fn = functools.partial(
        batches.prepare,
        augment=batches.augmentation.Augment(),
        views=("identity",),
        resolution=resolution,
        margins={"eval": margin},
        context=context,
        normalization=normalization,
        frame=frame,
    )

    def apply_fn(variables: Any, batch: batches.Batch) -> Any:
        return network_apply(variables, batch.image, features=batch.features, tied=tied)[0]

    return devices.compile_predict(
        functools.partial(
            predict_batch,
            prepare_fn=prepare_fn,
            apply_fn=apply_fn,
            pose=pose,
            frame=frame,
            orders=orders,
        )
    )


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
