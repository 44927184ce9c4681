"""What each means of the engine brings on real photographs: a table, with 95 % intervals.

    CATPOSE_DATA=DIR python -m tests.peers.engine_means [MEANS ...]

As in configs/photo.py, but on ImageNet's features as they are and for a few minutes: pose networks
learn from renders with every means of photo, then without one of them. Told the category, how many
photographs (`tests.peers.photographs`, which chose) have an error below 30 degrees, or of the
azimuth below 45 where no more is labeled? A gain is the share with the means less that without it;
its interval is of pairs of photographs.
"""

import sys
import types
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from ml_collections import ConfigDict

from catpose.configs import photo
from catpose.data import examples, online_rendering
from catpose.data import photos as photo_files
from catpose.experiment import build, datasets, initial_weights
from catpose.experiment import config as config_lib
from catpose.geometry import viewpoint
from catpose.visualize import text_tables
from tests.peers import photographs

CATEGORIES = ("aeroplane", "car", "chair", "motorbike")  # of which there are most photographs
RENDERS, BATCH, STEPS, SEEDS = 1600, 48, 500, (0,)
SETS = ("cars3d", "caltech101 aeroplane", "caltech101 chair", "caltech101 motorbike", "voc12")


def _look(**values: Any) -> Callable[[ConfigDict], None]:
    return lambda config: config.engine.look.update(values)


# What photo uses, each left out.
MEANS = {
    "detailed aeroplanes and cars": lambda config: config.engine.update(models="builtin"),
    "textures": _look(texture=0.0),
    "light from the sky": _look(sky=0.0),
    "more lights": _look(more_lights=0.0),
    "contrast, brightness, saturation": _look(contrast=0.0, brightness=0.0, saturation=0.0),
    "color cast, pictures without colors": _look(cast=0.0, monochrome=0.0),
    "noise": _look(noise=0.0),
    "blur": _look(blur=0.0),
    "truncation": _look(truncation=0.0),
    "occlusion": _look(occlusion=0.0),
    "squeezed crops": _look(squeeze=0.0),
    "loose and moved boxes": _look(loosen=(0.0, 0.0), box_jitter=0.0),
    "cluttered backgrounds": lambda config: config.engine.update(background_family="plain"),
    "views like those of photographs": lambda config: setattr(config.engine, "views", {}),
}


def features_of_renders(config: Any, model: build.Model, variables: Any) -> tuple[np.ndarray, ...]:
    """Features, category and rotation (in the frame of learning) of renders, all random."""
    categories = model.categories
    engine = datasets.build_engine(config, examples.Dataset(categories, {}))
    static = online_rendering.arguments(engine)
    spec, each = model.input_spec, len(engine.category) // len(categories)
    category = jnp.arange(BATCH, dtype=jnp.int32) % len(categories)

    @jax.jit
    def draw(assets, variables, key):  # arguments: constants would be compiled for each seed
        number = jax.random.randint(key, (BATCH,), 0, each, jnp.int32)
        keys = jax.random.split(jax.random.fold_in(key, 1), BATCH)
        drawn = online_rendering.draw(
            keys, category * each + number, category, assets,
            size=spec.resolution, context=spec.context, **static,
        )  # fmt: skip
        rotation = viewpoint.convert_frame(drawn.rotation, "camera", spec.frame)
        return pooled(model, variables, drawn.image), rotation

    key, parts = jax.random.key(config.seed), []
    for number in range(RENDERS // BATCH):
        parts.append(
            jax.device_get(draw(engine.assets, variables, jax.random.fold_in(key, number)))
        )
    found, rotation = (np.concatenate(some) for some in zip(*parts, strict=True))
    return found, np.tile(category, RENDERS // BATCH), rotation


def pooled(model: build.Model, variables: Any, image: Any) -> Any:
    """What the pose networks read."""
    both = model.network.feature_fn(variables, model.input_spec.normalize(image))
    first = variables["params"]["pose_networks"]["linear1"]["kernel"]
    return both[:, : first.shape[1]]


def outputs_fn(model: build.Model, variables: Any, found: Any, train: bool) -> Any:
    """Outputs of all pose networks (B, K, P), and batch statistics."""
    width = variables["params"]["category_network"]["classifier"]["kernel"].shape[0]
    dark = jnp.zeros((len(found), width), found.dtype)  # what the category network reads
    got, stats = model.network.apply_fn(
        variables,
        None,
        features=jnp.concatenate([found, dark], axis=1),
        batch_norm_train=frozenset(("pose_networks",)) if train else frozenset(),
    )
    return got.pose_outputs, stats


def learn(model: build.Model, variables: Any, data: tuple[np.ndarray, ...], seed: int) -> Any:
    """Variables with pose networks that have learned from the renders."""
    schedule = optax.warmup_cosine_decay_schedule(0.0, 2e-3, 50, STEPS)
    optimizer = optax.chain(optax.clip_by_global_norm(5.0), optax.adam(schedule))
    loss_fn = model.pose.losses["nll"]

    @jax.jit
    def step(state, variables, found, category, rotation):
        params, stats, slots = state

        def loss(own):
            filled = {"params": {**variables["params"], "pose_networks": own}, "batch_stats": stats}
            outputs, changed = outputs_fn(model, filled, found, True)
            own_outputs = jnp.take_along_axis(outputs, category[:, None, None], axis=1)[:, 0]
            return loss_fn(own_outputs, rotation).mean(), changed

        gradient, stats = jax.grad(loss, has_aux=True)(params)
        change, slots = optimizer.update(gradient, slots)
        return optax.apply_updates(params, change), stats, slots

    params = variables["params"]["pose_networks"]
    state = (params, variables["batch_stats"], optimizer.init(params))
    generator = np.random.default_rng(seed)
    for _ in range(STEPS):
        rows = generator.choice(len(data[0]), BATCH, replace=False)
        state = step(state, variables, *(array[rows] for array in data))
    return {"params": {**variables["params"], "pose_networks": state[0]}, "batch_stats": state[1]}


def within(model: build.Model, variables: Any, photos: list, found: np.ndarray) -> np.ndarray:
    """Of each photograph whether it is turned right."""
    outputs, _ = outputs_fn(model, variables, found, False)
    own = np.array([model.categories.index(photo.category) for photo in photos])
    outputs = jnp.take_along_axis(outputs, own[:, None, None], axis=1)[:, 0]
    rotation = model.pose.to_rotation(outputs)
    rotation = viewpoint.convert_frame(rotation, model.input_spec.frame, "camera")
    azimuth = np.degrees(viewpoint.angles_from_rotation(rotation)[0])
    right = []
    for one, *angles in zip(photos, np.asarray(rotation), azimuth, strict=True):
        said = types.SimpleNamespace(rotation=angles[0], azimuth_deg=angles[1])
        error, error_azimuth = photographs.errors(one, said)
        right.append(error < 30 if one.rotation is not None else error_azimuth < 45)
    return np.array(right, float)


def measure(change: Callable[[ConfigDict], Any], photos: list, crops: np.ndarray) -> np.ndarray:
    """The shares of `within` over seeds, of an engine that was changed."""
    values, right = photo.get_config(), []
    change(values)
    for seed in SEEDS:
        values.seed = values.engine.seed = seed
        values.engine.update(per_category=150, num_backgrounds=500)  # making them takes time
        values.engine.views = {
            name: own for name, own in values.engine.views.items() if name in CATEGORIES
        }
        config = config_lib.read(values)
        model = build.build_model(config, CATEGORIES)
        variables, _ = initial_weights.initial_variables(config, model, jax.random.key(seed))
        learned = learn(model, variables, features_of_renders(config, model, variables), seed)
        see = jax.jit(lambda given, image, model=model: pooled(model, given, image))
        found = [see(variables, crops[i : i + 64]) for i in range(0, len(crops), 64)]
        found = np.concatenate(found)
        right.append(within(model, learned, photos, found))
    return np.mean(right, axis=0)


def row(name: str, photos: list, values: np.ndarray, sign: str = "+") -> list[str]:
    """Of each set, and of their mean: the mean of `values` with its interval."""
    groups = np.array([photo.group for photo in photos])
    parts = [values[groups == group] for group in SETS]
    generator = np.random.default_rng(0)
    drawn = np.stack([
        part[generator.integers(len(part), size=(2000, len(part)))].mean(axis=1) for part in parts
    ])  # fmt: skip
    low, high = np.quantile(np.vstack([drawn, drawn.mean(axis=0)]), [0.025, 0.975], axis=1)
    means = [part.mean() for part in parts]
    return [name] + [
        f"{mean:{sign}.2f} [{a:{sign}.2f}, {b:{sign}.2f}]"
        for mean, a, b in zip([*means, np.mean(means)], low, high, strict=True)
    ]


def main() -> None:
    """Prints the table, a line as soon as it is known."""
    photos = [one for one in photographs.read() if one.group in SETS and one.category in CATEGORIES]
    size = photo.get_config().data.resolution
    crops = np.stack([
        photo_files.crop(photo_files.open_image(one.path), one.box, size, 0) for one in photos
    ])  # fmt: skip
    base = measure(lambda _: None, photos, crops)
    rows = [row("with all: the share", photos, base, "")]
    print(rows[0], flush=True)
    for name in sys.argv[1:] or MEANS:
        rows.append(row(name, photos, base - measure(MEANS[name], photos, crops)))
        print(rows[-1], flush=True)
    print(text_tables.markdown(["gain of", *SETS, "mean"], rows, 1))


if __name__ == "__main__":
    main()
