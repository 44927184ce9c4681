"""catpose's compiled programs, lowered for accelerators that need not be here.

python -m tests.support.lowered      `operations` of every program for accelerators, as JSON
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

from catpose import devices, inference
from catpose.data import batch, online_rendering
from catpose.data.examples import Dataset
from catpose.experiment import config as config_lib
from catpose.experiment import datasets
from catpose.models import ops
from catpose.training import input_pipeline, phase_run, run_setup
from tests.support import tiny

ACCELERATORS = ("cuda", "tpu")
# In a program for one platform, the choice of a platform is a branch that is always taken; and
# einsum's own derivative writes out a transposition that a product has anyway.
IGNORED = {"case", "constant", "return", "transpose"}
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


def foreign(make):
    """What in a program for accelerators should not be there: {operation: (found, wanted)}.

    Wanted are the operations of the same program without formulations for a CPU.
    """
    own = in_full(make, *ACCELERATORS)
    with without_cpu_formulations():
        plain = in_full(make, *ACCELERATORS)
    found = {}
    for platform, each in own.items():
        wanted = plain[platform]
        names = [name for name in each | wanted if each[name] != wanted[name]]
        names += foreign_calls(each, platform)
        found |= {f"{platform} {name}": (each[name], wanted[name]) for name in names}
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
    crops = np.zeros((8, tiny.RESOLUTION, tiny.RESOLUTION, 3), np.uint8)
    return inference.compile_crops(made.model), (phase_run.initial_state(made).variables, crops)


# Everything that training, evaluation and prediction compile: () -> a function and its arguments.
PROGRAMS = {
    **{
        f"{kind}, {mode}": functools.partial(step, kind, mode)
        for kind in KINDS
        for mode in devices.MODES
    },
    "evaluation": evaluation,
    "prediction": prediction,
}

if __name__ == "__main__":
    result = {name: in_full(make, *ACCELERATORS) for name, make in PROGRAMS.items()}
    print(json.dumps({"devices": jax.device_count(), "programs": result}))
