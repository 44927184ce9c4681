"""catpose's compiled programs, lowered for accelerators that need not be here.

python -m tests.support.lowered      `operations` of every divided program for accelerators, as JSON
"""

import contextlib
import functools
import json
import pathlib
import re
from collections import Counter
from unittest import mock

import jax
import numpy as np
from jax import lax

from catpose import devices, inference, metrics
from catpose.configs import photo
from catpose.data import augment, batch, online_rendering
from catpose.data.examples import Dataset
from catpose.evaluation import calibrate, certainty
from catpose.experiment import build, calibration, datasets
from catpose.experiment import config as config_lib
from catpose.models import ops
from catpose.pages import density_map, snap
from catpose.synthetic.objects import catalogue
from catpose.training import input_pipeline, phase_run, run_setup
from tests.support import tiny

ACCELERATORS = ("cuda", "tpu")
# In a program for one platform, the choice of a platform is a branch that is always taken; and
# einsum's own derivative writes out a transposition that a product has anyway.
IGNORED = {"case", "constant", "return", "transpose"}
SIDES = (tiny.RESOLUTION, tiny.RESOLUTION)
HEADS = {"train": (tiny.CATEGORY, tiny.POSE), "batch_norm": (tiny.CATEGORY, tiny.POSE)}
# One phase of each kind of step, by what the config says of it.
KINDS = {
    "full": {"augment": {"zoom": 0.1, "shift": 0.1, "rotate_deg": 5.0, "contrast": 0.2}},
    "tied": {"tied": True, "fusion": "oracle", "pose_loss": "mse", "category_weight": 0.0},
    "frozen features": HEADS,
    "cached features": {**HEADS, "cached_features": True, "views": ("identity", "mirror")},
    "several steps a call": {"name": "several"},
    "rendered online": {"sources": {online_rendering.NAME: 4 * 8}},
}


def traced(function, *arguments):
    """What can be lowered for any platform; a function of pmap's cannot by itself."""
    return (function if hasattr(function, "trace") else jax.jit(function)).trace(*arguments)


def operations(program, platform):
    """How often each operation, or "@target" of a custom call, stands in a program's text."""
    text = program.lower(lowering_platforms=(platform,)).as_text()
    found = Counter(re.findall(r"\b(?:stablehlo|chlo)\.(\w+)", text))
    found.update(re.findall(r"custom_call (@\w+)", text))
    return Counter({name: n for name, n in found.items() if name not in IGNORED})


def foreign_calls(found, platform):
    """Of `operations`, the custom calls other than those by which JAX itself serves the platform.

    They need another platform's library. (A callback into Python cannot even be lowered for a
    platform that is not here.)
    """
    own = {"cuda": r"@cu\w*_ffi", "tpu": r"@(Qr|ProductOf\w+|Eigh|LuDecomposition|ApproxTopK)"}
    own[""] = r"@(Sharding|SPMD\w+|annotate_device_placement)"
    allowed = f"{own[platform]}|{own['']}"
    return [name for name in found if name[0] == "@" and not re.fullmatch(allowed, name)]


@contextlib.contextmanager
def without_cpu_formulations():
    """Within it, programs are traced of what every platform but a CPU shall run."""

    def default(*arguments, cpu, default):
        return default(*arguments)

    with (
        mock.patch.object(ops, "CPU_FORMULATIONS", False),
        mock.patch.object(lax, "platform_dependent", default),
    ):
        yield


def in_full(make, *platforms):
    """`operations` of a program, by platform.

    Args:
      make: () -> a function and its arguments, made anew at each call, so that nothing is cached.
      platforms: to lower it for.
    """
    function, arguments = make()
    program = traced(function, *arguments)
    return {platform: operations(program, platform) for platform in platforms}


def plain(make):
    """`operations` of a program for accelerators, without formulations for a CPU."""
    with without_cpu_formulations():
        return in_full(make, *ACCELERATORS)


def foreign(own, wanted):
    """What in a program for accelerators should not be there: {operation: (found, wanted)}.

    Args:
      own: `in_full` of the program.
      wanted: `plain` of it.
    """
    found = {}
    for platform in ACCELERATORS:
        each, those = own[platform], wanted[platform]
        names = [name for name in each | those if each[name] != those[name]]
        names += foreign_calls(each, platform)
        found |= {f"{platform} {name}": (each[name], those[name]) for name in names}
    return found


def run(kind, mode):
    """A run whose only phase is of this kind."""
    settings = tiny.config([tiny.phase(steps=4, **KINDS[kind])])
    settings.parallel = mode
    settings.steps_per_call = 2 if kind == "several steps a call" else 1
    if kind != "rendered online":
        return tiny.run(settings, pathlib.Path("unused"))
    settings.engine.update(per_category=1, num_backgrounds=2)
    settings.engine.names = dict(
        zip(tiny.CATEGORIES, ("car", "chair", "bottle", "bus"), strict=True)
    )
    config = config_lib.read(settings)
    data = Dataset(tiny.CATEGORIES, {"train": tiny.split(16, 0)})
    engine = datasets.build_engine(config, data)
    splits = {**data.splits, online_rendering.NAME: online_rendering.split(engine)}
    data = data._replace(splits=splits, engine=engine)
    return run_setup.assemble(config, pathlib.Path("unused"), data, show_progress=False)


def step(kind, mode):
    """The compiled step of a phase and what it is called with."""
    made = run(kind, mode)
    (phase,) = made.phases
    state = phase_run.enter(made, phase, phase_run.initial_state(made))
    steps = phase_run.begin(made, phase, state, cache_fn=_cache)
    return steps.step_fn, (state, next(steps.records), steps.cache)


def _cache(made, name, phase, state):
    """As in training, but with zeros in place of the cached features."""
    if not phase.cached_features:
        return input_pipeline.cache(made, name, phase, state)
    spec, size = made.model.input_spec, len(made.dataset.splits[name].category)
    image = jax.ShapeDtypeStruct((size, spec.resolution, spec.resolution, 3), np.float32)
    shape = jax.eval_shape(made.model.network.feature_fn, state.variables, image).shape
    return batch.Cache(features=np.zeros((size, len(phase.views), *shape[1:]), np.float32))


def evaluation():
    """What validation and scoring run, and what it is called with."""
    made = run("full", "jit")
    split = made.dataset.splits["train"]
    records = {"eval": batch.records(split, np.arange(16))}
    cache = {"eval": batch.Cache(image=split.image)}
    variables = phase_run.initial_state(made).variables
    return inference.compile_predict(made.model, 0), (variables, records, cache)


def prediction():
    """What predicts crops of photos, and what it is called with."""
    made = run("full", "jit")
    variables = phase_run.initial_state(made).variables
    return inference.compile_crops(made.model), (variables, crops(8, *SIDES))


def photo_settings():
    """Of the network for photographs, seen by fewer pixels."""
    settings = photo.get_config()
    settings.data.resolution = 64
    return settings


def calibrated(settings, categories):
    """A calibrated model as it answers, and the shapes of its variables."""
    config = config_lib.read(settings)
    model = build.answering(build.build_model(config, categories), config, 0)
    sets = calibration.Sets((metrics.SET_LEVEL,), (20.0,), ((0.5, 0.9),))
    model = model._replace(calibration=calibration.Calibration(1.2, 0.8, sets, 0, {}))
    init_fn, image = model.network.init_fn, model.input_spec.image
    return model, jax.eval_shape(init_fn, jax.random.key(0), image)


def of_photo(compile_fn, *arguments):
    """What `compile_fn` makes of the network for photographs; it is called with variables too."""
    model, variables = calibrated(photo_settings(), catalogue.CATEGORIES)
    return compile_fn(model), (variables, *arguments)


def small(pose):
    """`calibrated` of a small network whose poses have a density."""
    settings = tiny.config([tiny.phase(pose_loss="nll")], pose=pose)
    return calibrated(settings, tiny.CATEGORIES)


def of_mixtures(compile_fn, *arguments):
    """What `compile_fn` makes of a small network whose poses are mixtures of densities."""
    model, variables = small("matrix_fisher_mixture")
    return compile_fn(model), (variables, *arguments)


def crops(*size):
    """Shape of crops of photos."""
    return jax.ShapeDtypeStruct((*size, 3), np.uint8)


def decisions():
    """What scores a network whose poses have a density, by every fusion and decision."""
    model, variables = small("matrix_fisher")
    split = tiny.split(16, 0)
    records = {"eval": batch.records(split, np.arange(16), with_images=True)}
    return inference.compile_predict(model, 0), (variables, records, {"eval": batch.Cache()})


def photo_features():
    """What computes the features that phases on photos of one's own cache."""

    def compile_fn(model):
        return batch.compile_features(
            model.network.feature_fn,
            ("identity", "mirror", *augment.random_names(1)),
            input_spec=model.input_spec,
            augment=augment.Augment(**photo.AUGMENT),
            margin=8,
            points=None,
        )

    split = tiny.split(8, 0)._replace(image=np.zeros((8, 80, 80, 3), np.uint8))
    records = batch.records(split, np.arange(8), with_images=True)
    return of_photo(compile_fn, records, np.zeros(8, np.int32))


def photo_step():
    """The step that tunes the network for photographs, in bfloat16."""
    settings = photo_settings()
    settings.model.update(dtype="bfloat16", pretrained="none")
    settings.phases = [settings.phases[1]]
    settings.phases[0].sources = {"train": 16}
    splits = {"train": tiny.split(16, 0)}
    data = Dataset(catalogue.CATEGORIES[: len(tiny.CATEGORIES)], splits)
    config = config_lib.read(settings)
    made = run_setup.assemble(config, pathlib.Path("unused"), data, show_progress=False)
    (phase,) = made.phases
    state = phase_run.state_shapes(made, phase)
    step_fn = phase_run.compile_phase(made, phase, run_setup.make_tx(made, phase, state.params))
    records = next(input_pipeline.batches(made, phase, 0))
    return step_fn, (state, records, {"train": batch.Cache(image=splits["train"].image)})


def of_densities(compile_fn, pose):
    """What judges the densities of a few examples, given the outputs of a network."""
    model, _ = small(pose)
    count = 1 if compile_fn is certainty.compile_marginal else 4
    sizes = ((count, 4), (count, 4, model.pose.num_outputs))
    logits, outputs = (jax.ShapeDtypeStruct(size, np.float32) for size in sizes)
    rotation = np.tile(np.eye(3, dtype=np.float32), (4, 1, 1))
    if compile_fn is calibrate.compile_pose_log_density:
        own = jax.ShapeDtypeStruct((4, model.pose.num_outputs), np.float32)
        return compile_fn(model.pose.density), (np.float32(0), own, rotation)
    if compile_fn is certainty.compile_marginal:
        return compile_fn(model), (logits, outputs, rotation)
    return compile_fn(model), (logits, outputs, np.zeros(4, np.int32), rotation)


# These run on one device, however many there are.
SINGLE = {
    "prediction": prediction,
    "photo's prediction": functools.partial(of_photo, inference.compile_crops, crops(8, 64, 64)),
    "photo's features": photo_features,
    "prediction by mixtures": functools.partial(
        of_mixtures, inference.compile_crops, crops(8, *SIDES)
    ),
    "the label page's snap": functools.partial(
        of_mixtures, snap.compile_snap, crops(*SIDES), np.int32(0), np.eye(3, dtype=np.float32)
    ),
    "the demo page's map": functools.partial(of_mixtures, density_map.compile_map, crops(*SIDES)),
}
# These run no layer of a network, so they are the same for all platforms.
DENSITIES = {
    f"{compile_fn.__name__.removeprefix('compile_')} of {pose}": functools.partial(
        of_densities, compile_fn, pose
    )
    for compile_fn in (
        calibrate.compile_pose_log_density,
        calibrate.compile_scores,
        certainty.compile_judge,
        certainty.compile_marginal,
    )
    for pose in ("matrix_fisher", "matrix_fisher_mixture")
}
# These are divided among the devices.
DIVIDED = {
    **{
        f"{kind}, {mode}": functools.partial(step, kind, mode)
        for kind in KINDS
        for mode in devices.MODES
    },
    "evaluation": evaluation,
    "photo's step in bfloat16": photo_step,
    "evaluation by decisions": decisions,
}
# All that training, evaluation, prediction and the pages compile of a network: () -> a function and
# its arguments.
PROGRAMS = {**DIVIDED, **SINGLE}

if __name__ == "__main__":
    result = {name: in_full(make, *ACCELERATORS) for name, make in DIVIDED.items()}
    print(json.dumps({"devices": jax.device_count(), "programs": result}))
