"""From a config to the objects that training, evaluation and prediction work on.

The config stops here and at the loop: below, functions take arrays, numbers and functions.
"""

import inspect
import json
import pathlib
import shutil
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from catpose import checksums
from catpose.data import imagenet
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import calibration as calibrations
from catpose.experiment import checkpoint, exported, phases, workdir
from catpose.experiment import config as config_lib
from catpose.geometry import symmetry, viewpoint
from catpose.models import BACKBONES, architectures, joint, pretrained, weight_packages
from catpose.models.backbone import CLASSIFIER
from catpose.poses import POSES, dictionary, karcher
from catpose.poses.base import Pose


class Model(NamedTuple):
    """A network with what must be known to feed it, and how it answers.

    Attributes:
      network: its functions.
      pose: the representation of its pose outputs.
      categories: names in the order of the indices.
      input_spec: what it takes, and the frame of its poses.
      fusion: how it answers where nobody tells the category: "weighted" or "top1", or a decision of
        `catpose.models.joint`.
      tied: whether pose network 0 serves all categories.
      mirrors: whether it answers by the mean over a picture and its mirror image.
      keys: (M, 3, 3) the dictionary that `pose` was made of, in `frame`; None where it is not a
        fitted one.
      symmetry: (K,) orders (see `catpose.geometry.symmetry`) that losses and errors respect; None
        where no category has one.
      calibration: of its certainty; None where there is none.
    """

    network: architectures.Network
    pose: Pose
    categories: tuple[str, ...]
    input_spec: InputSpec
    fusion: str = "weighted"
    tied: bool = False
    mirrors: bool = False
    keys: np.ndarray | None = None
    symmetry: np.ndarray | None = None
    calibration: calibrations.Calibration | None = None


def views(model: Model) -> tuple[str, ...]:
    """The views of an image (`catpose.data.augment.VIEWS`) by which a model answers."""
    return ("identity", "mirror") if model.mirrors else ("identity",)


def fit_keys(config: config_lib.Config, rotation: np.ndarray) -> np.ndarray:
    """The dictionary of `config.model.pose_keys` rotations, in the frame of learning.

    Args:
      config: of the run.
      rotation: (N, 3, 3) of the training split, frame "camera".

    Returns:
      (M, 3, 3) float32.

    Raises:
      InputError: fewer different rotations than that.
    """
    rotation = viewpoint.convert_frame(jnp.asarray(rotation), "camera", config.frame)
    try:
        return dictionary.fit(np.asarray(rotation), config.model.pose_keys, seed=config.seed)[0]
    except ValueError as error:
        raise InputError(f"config.model.pose_keys: {error}") from error


def build_pose(config: config_lib.Config, keys: np.ndarray | None = None) -> Pose:
    """The representation that `config.model` describes, and how it is fused.

    Args:
      config: of the run.
      keys: what `fit_keys` returned when the run began.

    Raises:
      InputError: an unknown name, or settings that it does not have.
    """
    pose = _named_pose(config, keys)
    if config.model.pose_fusion == "outputs":
        return pose
    if "geodesic" not in pose.losses:
        raise InputError(
            f"config.model.pose_fusion is 'karcher', which learns by the geodesic loss; "
            f"'{pose.name}' has no such loss"
        )
    return karcher.on_the_group(pose)


def _named_pose(config: config_lib.Config, keys: np.ndarray | None) -> Pose:
    pose, settings = POSES[config.model.pose], dict(config.model.pose_settings)
    takes = () if pose.make is None else inspect.signature(pose.make).parameters
    if config.model.pose_keys:
        if "keys" not in takes:
            raise InputError(
                f"config.model.pose_keys is {config.model.pose_keys}, but '{pose.name}' is not "
                "made of key rotations; it can be 0"
            )
        if keys is None:
            raise InputError("the run's key rotations are missing: its folder has no pose_keys.npy")
        settings["keys"] = keys
    if "frame" in takes:
        settings["frame"] = config.frame
    if not settings:
        return pose
    if pose.make is None:
        raise InputError(f"config.model.pose_settings: '{pose.name}' has no settings")
    try:
        return pose.make(**settings)
    except (TypeError, ValueError) as error:
        raise InputError(f"config.model.pose_settings: {error}") from error


def build_model(
    config: config_lib.Config,
    categories: tuple[str, ...],
    keys: np.ndarray | None = None,
) -> Model:
    """The network that `config.model` describes, for these categories; keys as for `build_pose`.

    Raises:
      InputError: a value that no network has.
    """
    model = config.model
    pose = build_pose(config, keys)
    if config.eval.fusion in joint.DECISIONS and pose.density is None:
        raise InputError(
            f"config.eval.fusion is {config.eval.fusion}, which needs a density, and "
            f"config.model.pose is {pose.name}, which has none; docs/poses.md lists those that do"
        )
    classes = ()
    if model.category_head == CLASSIFIER:
        classes = imagenet.classes(categories, model.category_classes)
    try:
        network = architectures.build(
            num_categories=len(categories), classes=classes, **{**vars(model), "pose": pose}
        )
    except (ValueError, TypeError) as error:
        raise InputError(f"config.model: {error}") from error
    orders = None
    if config.data.symmetry:
        orders = symmetry.orders(dict(config.data.symmetry), categories)
        orders = orders if (orders != 1).any() else None
    if config.eval.mirror and pose.mirror is None:
        raise InputError(
            f"config.eval.mirror is True, but '{pose.name}' has no outputs of mirrored pictures; "
            "matrix_fisher has"
        )
    data = config.data
    return Model(
        network,
        pose,
        categories,
        InputSpec(data.resolution, data.context, model.normalization, config.frame),
        mirrors=config.eval.mirror,
        keys=keys,
        symmetry=orders,
    )


def answering(model: Model, config: config_lib.Config, step: int) -> Model:
    """The model as it answers at a step of its training: fused as at the end, tied as just then."""
    run_phases = build_phases(config)
    phase, _ = phases.at_step(run_phases, step)
    fusion = config.eval.fusion or phases.answering_fusion(run_phases)
    return model._replace(fusion=fusion, tied=phase.tied)


def read_model(folder: pathlib.Path, *, best: bool = False) -> tuple[Model, dict[str, Any]]:
    """The model of a run, or one that comes with catpose, and its variables.

    Args:
      folder: of the run.
      best: the weights with the lowest validation error instead of the last ones.

    Raises:
      InputError: no run there, no checkpoint yet, or one of another network.
    """
    step, model, variables = read_uncalibrated(folder, best=best)
    return model._replace(calibration=calibrations.read(folder, step)), variables


def read_uncalibrated(
    folder: pathlib.Path, *, best: bool = False
) -> tuple[int, Model, dict[str, Any]]:
    """The step of what `read_model` reads, with the model as it is without a calibration."""
    config = workdir.read_config(folder)
    model = build_model(config, workdir.read_categories(folder), workdir.read_keys(folder))
    step, variables = read_variables(folder, model, best=best)
    return step, answering(model, config, step), variables


def read_variables(
    folder: pathlib.Path, model: Model, *, best: bool = False
) -> tuple[int, dict[str, Any]]:
    """Step and variables of a run, or of a network that comes with catpose.

    Raises:
      InputError: no checkpoint there, or one of another network.
    """
    target = jax.eval_shape(model.network.init_fn, jax.random.key(0), model.input_spec.image)
    step, arrays = read_arrays(folder, best=best)
    checkpoint.check_about(arrays, about(model), folder)
    return step, {name: checkpoint.restore(arrays, target[name], name) for name in target}


def about(model: Model) -> dict[str, np.ndarray]:
    """What a checkpoint keeps of its model, by the name of the file that has the same."""
    names = np.frombuffer(json.dumps(model.categories).encode(), np.uint8)
    keys = {} if model.keys is None else {workdir.KEYS: np.asarray(model.keys)}
    return {workdir.CATEGORIES: names, **keys}


def read_arrays(folder: pathlib.Path, *, best: bool) -> tuple[int, dict[str, Any]]:
    """As `checkpoint.read_run`, with what an export has left to a package of weights.

    A run whose `config.eval.answer` is "best" is read so where it was validated.

    Raises:
      InputError: no checkpoint there, or the package is not installed.
    """
    prefers_best = workdir.read_config(folder).eval.answer == "best"
    step, arrays = checkpoint.read_run(folder, best=best, prefers_best=prefers_best)
    package = package_arrays(folder) if exported.is_export(folder) else {}
    whole = {path: array + np.asarray(arrays.get(path, 0.0)) for path, array in package.items()}
    return step, {**arrays, **whole}


def package_arrays(folder: pathlib.Path) -> dict[str, np.ndarray]:
    """What a run's network has of the package of weights that it began from, by path.

    Empty of a run that began from other weights.

    Raises:
      InputError: the package is not installed.
    """
    config = workdir.read_config(folder)
    package = BACKBONES[config.model.trunk].package
    if config.model.pretrained != weight_packages.NAME or package is None:
        return {}
    model = build_model(config, workdir.read_categories(folder), workdir.read_keys(folder))
    shapes = jax.eval_shape(model.network.init_fn, jax.random.key(0), model.input_spec.image)
    unknown = jax.tree.map(lambda leaf: np.full(leaf.shape, np.nan, leaf.dtype), shapes)
    filled, _ = pretrained.load_pretrained(weight_packages.find(package), unknown, model.network)
    arrays = {path: np.asarray(leaf) for path, leaf in checkpoint.flatten(filled).items()}
    return {path: array for path, array in arrays.items() if not np.isnan(array).all()}


def export(
    folder: pathlib.Path,
    output: pathlib.Path,
    *,
    best: bool = False,
    mean_with: pathlib.Path | None = None,
) -> pathlib.Path:
    """Writes a run's weights, what describes them and the checksums of both to a small folder.

    Args:
      folder: of the run.
      output: made where it does not exist.
      best: the weights with the lowest validation error instead of the last ones.
      mean_with: another run of the same network that began with the same weights and learned
        something else, such as other renders: written is the mean of both, without a calibration.
        Often it is better than either (Wortsman et al., Model soups, 2022).

    Returns:
      The file of weights.

    Raises:
      InputError: see `read_arrays`, weights that have no mean, or no way to write.
    """
    step, arrays = read_arrays(folder, best=best)
    if mean_with is not None:
        arrays |= _mean_weights(folder, mean_with, best=best)
    weights = exported.write(step, arrays, output, package_arrays(folder))
    try:
        described = (workdir.CONFIG, workdir.CATEGORIES, workdir.KEYS)
        names = [name for name in described if (folder / name).is_file()]
        for name in names:
            shutil.copyfile(folder / name, output / name)
        checksums.note(output, [weights.name, *names])
        # It has its own checksum. That of the last weights does not go with the best ones.
        if mean_with is None and (calibration := calibrations.read(folder, step)):
            calibrations.write(output, calibration)
    except OSError as error:
        raise InputError(f"cannot write to {output}: {error.strerror or error}") from error
    return weights


def _mean_weights(one: pathlib.Path, other: pathlib.Path, *, best: bool) -> dict[str, np.ndarray]:
    parts = []
    for folder in (one, other):
        _, arrays = read_arrays(folder, best=best)
        parts.append({
            path: np.asarray(array, np.float32)
            for path, array in arrays.items()
            if path.startswith(exported.WEIGHT_KINDS)
        })  # fmt: skip
    shapes = [{path: array.shape for path, array in part.items()} for part in parts]
    if shapes[0] != shapes[1] or workdir.read_categories(one) != workdir.read_categories(other):
        raise InputError(f"{one} and {other} have no mean: they are not of one network")
    return {path: (array + parts[1][path]) / 2 for path, array in parts[0].items()}


def build_phases(config: config_lib.Config) -> tuple[phases.Phase, ...]:
    """The phases of `config.phases` for the weights that the run begins with."""
    weights = "random" if config.model.pretrained == "none" else "pretrained"
    return phases.of_start(config.phases, weights)
