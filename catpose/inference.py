"""The one way from images to a model's predictions: photos, validation, scores of runs."""

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
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.experiment import build
from catpose.geometry import viewpoint
from catpose.models import fusion, joint
from catpose.poses import base


class Answer(NamedTuple):
    """A model's predictions for B images.

    Attributes:
      probabilities: (B, K), calibrated where the model is.
      category: by fusion, (B,), the category beside the pose: the most probable one, or that of the
        pair where the representation chooses a category and a pose together (`Pose.choose`).
      rotation: by fusion, (B, 3, 3) in the frame of learning.
      network_rotation: (B, K, 3, 3), each category's own pose in the frame of learning.
      known: (B,) probability that it is one of the categories at all; None where the network knows
        no others.
      category_logits: (B, K) of the network; None, as the next, where poses have no density.
      pose_outputs: (B, K, P) of the network, neither fused nor calibrated.
    """

    probabilities: Float[Array, "B K"]
    category: dict[str, Int[Array, "B"]]
    rotation: dict[str, Float[Array, "B 3 3"]]
    network_rotation: Float[Array, "B K 3 3"]
    known: Float[Array, "B"] | None
    category_logits: Float[Array, "B K"] | None = None
    pose_outputs: Float[Array, "B K P"] | None = None


def fusions_of(model: build.Model) -> tuple[str, ...]:
    """By what a model can answer: the paper's fusions, and decisions where poses have a density."""
    return (*fusion.FUSIONS, *(() if model.pose.density is None else joint.DECISIONS))


def pose_density(model: build.Model) -> base.Density:
    """The density of a model's poses.

    Raises:
      InputError: it has none.
    """
    if model.pose.density is None:
        raise InputError(
            f"'{model.pose.name}' has no density, which mode, min_expected_error and a calibration "
            "need; train with another config.model.pose (docs/poses.md)"
        )
    return model.pose.density


def joint_density(
    model: build.Model, category_logits: Float[Array, "B K"], pose_outputs: Float[Array, "B K P"]
) -> joint.Joint:
    """The density that a network's outputs are, calibrated where the model is.

    Raises:
      InputError: the representation of the poses has none.
    """
    density, calibration = pose_density(model), model.calibration
    if calibration is not None:
        category_logits = category_logits / calibration.temperature
        concentration = jnp.full(pose_outputs.shape[:-1], calibration.concentration)
        pose_outputs = density.temper(pose_outputs, concentration)
    return joint.Joint(density, jax.nn.log_softmax(category_logits), pose_outputs)


def answer(
    model: build.Model,
    variables: Any,
    image: Float[Array, "B S S 3"] | None,
    *,
    features: Float[Array, "..."] | None = None,
    category: Int[Array, "B"] | None = None,
    fusions: Sequence[str] = (),
) -> Answer:
    """A model's predictions for a batch of network inputs; to be compiled with jit.

    Args:
      model: network, representation and whether it is tied.
      variables: of the network, which runs on its running statistics.
      image: in the network's own normalization; None where features are given.
      features: of the feature network, in the place of images; of a model that mirrors, (2 B, ...),
        those of the mirrored images behind the others.
      category: the true ones; the fusion "oracle" alone reads them.
      fusions: see `decide`.
    """
    if model.mirrors and features is None:  # one batch of both: the network is compiled once
        image = jnp.concatenate([image, image[:, :, ::-1]])
    outputs, _ = model.network.apply_fn(variables, image, features=features, tied=model.tied)
    logits, poses = outputs.category_logits, outputs.pose_outputs
    if model.mirrors:
        (logits, other_logits), (poses, other) = jnp.split(logits, 2), jnp.split(poses, 2)
        logits = (logits + other_logits) / 2
        poses = (poses + model.pose.mirror(other)) / 2
    return decide(model, logits, poses, category=category, fusions=fusions)


def decide(
    model: build.Model,
    category_logits: Float[Array, "B K"],
    pose_outputs: Float[Array, "B K P"],
    *,
    category: Int[Array, "B"] | None = None,
    fusions: Sequence[str] = (),
) -> Answer:
    """What a model answers, given the outputs of its network.

    A calibration changes probabilities, and with them the decisions. The paper's fusions read the
    outputs as they are.

    Args:
      model: representation and calibration.
      category_logits: of the network.
      pose_outputs: of the network.
      category: the true ones; the fusion "oracle" alone reads them.
      fusions: names of `catpose.models.fusion.FUSIONS` and `catpose.models.joint.DECISIONS`; all
        that the model can unless given.

    Raises:
      InputError: a decision of poses that have no density.
    """
    temperature = 1.0 if model.calibration is None else model.calibration.temperature
    probabilities = jax.nn.softmax(category_logits / temperature)
    rotation, found = {}, {}
    for name in fusions or fusions_of(model):
        if name in joint.DECISIONS:
            decision = joint.DECISIONS[name]
            found[name], rotation[name] = decision(
                joint_density(model, category_logits, pose_outputs)
            )
            continue
        weights = fusion.weights(name, category_logits, category)
        fused = model.pose.fuse(pose_outputs, weights)
        rotation[name] = model.pose.to_rotation(fused)
        # The oracle knows the category, so it cannot name one.
        paired = model.pose.choose is not None and name != "oracle"
        found[name] = (
            model.pose.choose(pose_outputs, weights) if paired else probabilities.argmax(-1)
        )
    has_density = model.pose.density is not None
    return Answer(
        probabilities=probabilities,
        category=found,
        rotation=rotation,
        network_rotation=model.pose.to_rotation(pose_outputs),
        known=jnp.exp(jax.nn.logsumexp(category_logits, axis=-1))
        if model.network.knows_others
        else None,
        category_logits=category_logits if has_density else None,
        pose_outputs=pose_outputs if has_density else None,
    )


def compile_predict(model: build.Model, margin: int, fusions: Sequence[str] = ()) -> Callable:
    """What predicts batches of examples, compiled over all devices.

    Args:
      model: what answers.
      margin: of the examples' crops, in their pixels.
      fusions: see `decide`.

    Returns:
      `(variables, {"eval": records}, {"eval": cache})` -> an `Answer`.
    """

    def predict(
        variables: Any,
        records: Mapping[str, batches.Records],
        cache: Mapping[str, batches.Cache],
    ) -> Answer:
        plain = {"augment": augment.Augment(), "views": ("identity",), "margins": {"eval": margin}}
        spec = model.input_spec
        batch = batches.prepare(jax.random.key(0), records, cache, input_spec=spec, **plain)
        features = batch.features
        if features is not None and model.mirrors:
            others = cache["eval"].features[records["eval"].index, 1]
            features = jnp.concatenate([features, others])
        given = {"features": features, "category": batch.category, "fusions": fusions}
        return answer(model, variables, batch.image, **given)

    return devices.compile_predict(predict)


class Seen(NamedTuple):
    """What a model predicts for N crops of photos; rotations in frame "camera".

    Attributes:
      probabilities: (N, K).
      category: (N,).
      rotation: (N, 3, 3).
      angles_deg: (N, 3) azimuth, elevation and theta.
      known: (N,); None where the network knows no others.
      certainty: None of a model that has no calibration.
    """

    probabilities: Array
    category: Array
    rotation: Array
    angles_deg: Array
    known: Array | None
    certainty: "Certainty | None"


class Certainty(NamedTuple):
    """How sure a calibrated model is.

    Attributes:
      pose_confidence: (N,) probability that the error is below a stated angle.
      category, rotation, angles_deg, probability: (N, A) the alternatives, as
        `catpose.models.joint.alternatives` finds them, in frame "camera".
      log_probabilities, outputs: (N, K) and (N, K, P) the joint density.
    """

    pose_confidence: Array
    category: Array
    rotation: Array
    angles_deg: Array
    probability: Array
    log_probabilities: Array
    outputs: Array


def compile_crops(model: build.Model, within_deg: float = metrics.WITHIN_DEG) -> Callable:
    """What predicts crops of photos, compiled for one device.

    The crops are the network's input already: `photos.crop` cuts them out of the photo in one
    antialiased resampling. Those of `prepare` are cut out of a cached crop, whose margin allows for
    augmentation; the two agree to the bit only where the cached crop has the input's own pixels.

    Args:
      model: what answers.
      within_deg: the error to which `Certainty.pose_confidence` refers.

    Returns:
      `(variables, (N, S, S, 3) uint8)` -> `Seen`.
    """

    @jax.jit
    def predict(variables: Any, image: Array) -> Seen:
        image = model.input_spec.normalize(image)
        found = answer(model, variables, image, fusions=(model.fusion,))
        category, rotation = found.category[model.fusion], found.rotation[model.fusion]
        certainty = None
        if model.calibration is not None and found.pose_outputs is not None:
            density = joint_density(model, found.category_logits, found.pose_outputs)
            certainty = sure(density, category, rotation, model.input_spec.frame, within_deg)
        return Seen(
            found.probabilities,
            category,
            *in_camera(rotation, model.input_spec.frame),
            found.known,
            certainty,
        )

    return predict


def sure(
    density: joint.Joint, category: Array, rotation: Array, frame: str, within_deg: float
) -> Certainty:
    """How sure a joint density in `frame` is of an answer in the same frame."""
    others, turned, share = joint.alternatives(density, category, rotation, within_deg)
    return Certainty(
        joint.within(density, rotation, within_deg),
        others,
        *in_camera(turned, frame),
        share,
        density.log_probabilities,
        density.outputs,
    )


def in_camera(rotation: Array, frame: str) -> tuple[Array, Array]:
    """Rotations in frame "camera", and their angles in degrees."""
    rotation = viewpoint.convert_frame(rotation, frame, "camera")
    return rotation, jnp.degrees(jnp.stack(viewpoint.angles_from_rotation(rotation), axis=-1))


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
      cache: in device memory, images or features of `build.views`; else images come by batches.
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
        known=found.known,
        category_logits=found.category_logits,
        pose_outputs=found.pose_outputs,
    )
