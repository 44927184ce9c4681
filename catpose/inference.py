"""The one way from images to a model's predictions: photos, validation, scores of runs."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose import devices
from catpose.data import augment
from catpose.data import batch as batches
from catpose.data.examples import Examples
from catpose.data.predictions import Predictions
from catpose.experiment import build
from catpose.geometry import viewpoint
from catpose.models import fusion


class Answer(NamedTuple):
    """A model's predictions for B images.

    Attributes:
      probabilities: (B, K).
      category: by fusion, (B,), the category beside the pose: the most probable one, or that of the
        pair where the representation chooses a category and a pose together (`Pose.choose`).
      rotation: by fusion, (B, 3, 3) in the frame of learning.
      network_rotation: (B, K, 3, 3), each category's own pose in the frame of learning.
      known: (B,) probability that it is one of the categories at all; None where the network knows
        no others.
    """

    probabilities: Float[Array, "B K"]
    category: dict[str, Int[Array, "B"]]
    rotation: dict[str, Float[Array, "B 3 3"]]
    network_rotation: Float[Array, "B K 3 3"]
    known: Float[Array, "B"] | None


def answer(
    model: build.Model,
    variables: Any,
    image: Float[Array, "B S S 3"] | None,
    *,
    features: Float[Array, "B ..."] | None = None,
    category: Int[Array, "B"] | None = None,
    fusions: Sequence[str] = tuple(fusion.FUSIONS),
) -> Answer:
    """A model's predictions for a batch of network inputs; to be compiled with jit.

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
    rotation, found = {}, {}
    for name in fusions:
        weights = fusion.weights(name, outputs.category_logits, category)
        fused = model.pose.fuse(outputs.pose_outputs, weights)
        rotation[name] = model.pose.to_rotation(fused)
        # The oracle knows the category, so it cannot name one.
        joint = model.pose.choose is not None and name != "oracle"
        found[name] = (
            model.pose.choose(outputs.pose_outputs, weights) if joint else probabilities.argmax(-1)
        )
    return Answer(
        probabilities=probabilities,
        category=found,
        rotation=rotation,
        network_rotation=model.pose.to_rotation(outputs.pose_outputs),
        known=jnp.exp(jax.nn.logsumexp(outputs.category_logits, axis=-1))
        if model.network.knows_others
        else None,
    )


def compile_predict(model: build.Model, margin: int) -> Callable:
    """What predicts batches of examples, compiled over all devices.

    Args:
      model: what answers.
      margin: of the examples' crops, in their pixels.

    Returns:
      `(variables, {"eval": records}, {"eval": cache})` -> an `Answer`.
    """

    def predict(
        variables: Any,
        records: Mapping[str, batches.Records],
        cache: Mapping[str, batches.Cache],
    ) -> Answer:
        batch = batches.prepare(
            jax.random.key(0),
            records,
            cache,
            input_spec=model.input_spec,
            augment=augment.Augment(),
            views=("identity",),
            margins={"eval": margin},
        )
        return answer(
            model, variables, batch.image, features=batch.features, category=batch.category
        )

    return devices.compile_predict(predict)


def compile_crops(model: build.Model) -> Callable:
    """What predicts crops of photos, compiled for one device.

    The crops are the network's input already: `photos.crop` cuts them out of the photo in one
    antialiased resampling. Those of `prepare` are cut out of a cached crop, whose margin allows for
    augmentation; the two agree to the bit only where the cached crop has the input's own pixels.

    Returns:
      `(variables, (N, S, S, 3) uint8)` -> probabilities (N, K), category (N,), rotation (N, 3, 3)
      in frame "camera", (N, 3) azimuth, elevation and theta in degrees, and `Answer.known`, NaN
      where the network knows no others.
    """

    @jax.jit
    def predict(variables: Any, image: Array) -> tuple[Array, ...]:
        image = model.input_spec.normalize(image)
        found = answer(model, variables, image, fusions=(model.fusion,))
        rotation = found.rotation[model.fusion]
        rotation = viewpoint.convert_frame(rotation, model.input_spec.frame, "camera")
        angles = jnp.degrees(jnp.stack(viewpoint.angles_from_rotation(rotation), axis=-1))
        known = jnp.full(len(image), jnp.nan) if found.known is None else found.known
        return found.probabilities, found.category[model.fusion], rotation, angles, known

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
) -> Predictions:
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
        records = batches.records(split, own, with_images=streamed)
        records = devices.place({"eval": records}, "jit")
        real = min(batch_size, size - begin)
        result = jax.device_get(predict_fn(variables, records, {"eval": cache}))
        parts.append(jax.tree.map(lambda x, real=real: x[:real], result))
        progress_fn(real)
    result = jax.tree.map(lambda *x: np.concatenate(x), *parts)
    return predictions_of(model, split.id, result)


def predictions_of(model: build.Model, ids: np.ndarray, found: Answer) -> Predictions:
    """A model's answers about N objects, on the host, as predictions."""
    names = np.array(model.categories)
    return Predictions(
        id=np.asarray(ids, np.str_),
        rotation=found.rotation,
        frame=np.full(len(ids), model.input_spec.frame),
        category={name: names[index] for name, index in found.category.items()},
        probabilities=found.probabilities,
        categories=model.categories,
        network_rotation=found.network_rotation,
    )
