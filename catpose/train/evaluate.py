"""The only code that evaluates: every split, every fusion, from one pass over the images."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
from jaxtyping import Array

from catpose import metrics
from catpose.data import batch as batches
from catpose.data.dataset import Split
from catpose.geometry import so3, viewpoint
from catpose.models import fusion
from catpose.poses.pose import Pose
from catpose.train import parallel


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
    """

    category: np.ndarray
    probabilities: np.ndarray
    target_rotation: np.ndarray
    rotation: dict[str, np.ndarray]
    error_deg: dict[str, np.ndarray]
    azimuth_error_deg: dict[str, np.ndarray]
    network_error_deg: np.ndarray


def predict_batch(
    variables: Any,
    records: Mapping[str, batches.Records],
    cache: Mapping[str, batches.Cache],
    *,
    prepare_fn: Callable,
    apply_fn: Callable,
    pose: Pose,
    frame: str,
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
    target = batch.rotation

    def camera(rotation: Array) -> Array:
        return viewpoint.convert_frame(rotation, frame, "camera")

    def degrees(rotation: Array, other: Array) -> Array:
        return so3.geodesic_distance(rotation, other) * (180 / np.pi)

    return {
        "probabilities": jax.nn.softmax(outputs.category_logits),
        "rotation": {name: camera(rotation) for name, rotation in fused.items()},
        "error_deg": {name: degrees(rotation, target) for name, rotation in fused.items()},
        "network_error_deg": degrees(pose.to_rotation(outputs.pose_outputs), target[:, None]),
    }


def evaluate(
    variables: Any,
    split: Split,
    cache: batches.Cache,
    *,
    predict_fn: Callable,
    batch_size: int,
    progress_fn: Callable[[int], Any] = lambda done: None,
) -> Evaluation:
    """Runs the network over a whole split.

    Args:
      variables: of the network.
      split: labels of the examples.
      cache: their images or features in device memory.
      predict_fn: `predict_batch` with its keywords bound and compiled (`compile_predict`).
      batch_size: examples at once; the last batch is padded, and the padding left out.
      progress_fn: told the number of examples done after each batch.
    """
    size = len(split.category)
    parts = []
    for begin in range(0, size, batch_size):
        index = np.arange(begin, begin + batch_size)
        index[index >= size] = -1
        streamed = cache.image is None and cache.features is None
        rows = {"eval": batches.records(split, index, with_images=streamed)}
        real = min(batch_size, size - begin)
        result = jax.device_get(predict_fn(variables, rows, {"eval": cache}))
        parts.append(jax.tree.map(lambda x, real=real: x[:real], result))
        progress_fn(real)
    result = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    target_azimuth = _azimuth_deg(split.rotation)
    azimuth_error = {
        name: metrics.azimuth_difference_deg(_azimuth_deg(rotation), target_azimuth)
        for name, rotation in result["rotation"].items()
    }
    return Evaluation(
        category=np.asarray(split.category),
        target_rotation=np.asarray(split.rotation),
        azimuth_error_deg=azimuth_error,
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

    return parallel.compile_predict(
        functools.partial(
            predict_batch, prepare_fn=prepare_fn, apply_fn=apply_fn, pose=pose, frame=frame
        )
    )


def summaries(evaluation: Evaluation, num_categories: int, frame: str) -> dict[str, Any]:
    """The figures of a split as `report.json` has them: by fusion, and `topk` (Table 13)."""
    weight = np.ones(len(evaluation.category))
    result: dict[str, Any] = {}
    for name in fusion.FUSIONS:
        table = metrics.Table(
            category=evaluation.category,
            predicted_category=evaluation.probabilities.argmax(-1),
            error_deg=evaluation.error_deg[name],
            azimuth_error_deg=evaluation.azimuth_error_deg[name],
            weight=weight,
        )
        result[name] = {**metrics.summarize(table, num_categories), "frame": frame}
    result["topk"] = metrics.topk(
        evaluation.network_error_deg, evaluation.probabilities, evaluation.category, weight
    )
    return result
