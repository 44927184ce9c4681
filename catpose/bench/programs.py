"""What is timed: the steps of every kind of phase, their parts, inference and evaluation.

They are the programs of training and evaluation themselves, on images of noise.
"""

import functools
import pathlib
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from catpose import devices, predict
from catpose.data import batch as batches
from catpose.data import examples, online_rendering
from catpose.experiment import config as config_lib
from catpose.experiment import datasets, phases
from catpose.synthetic.objects import catalogue
from catpose.training import input_pipeline, phase_run, run_setup, step
from catpose.training.step import TrainState

PARTS = ("input", "forward", "gradient", "step")
INFERENCE = ("inference", "evaluation")


class Program(NamedTuple):
    """A compiled program, ready to be called.

    Attributes:
      call: starts it once and returns its arrays.
      images: how many it handles.
      compile_seconds: tracing and compilation, without a cache; of `whole`, its first call.
      flops: of one call, by XLA's own cost analysis; NaN where it says nothing.
      bytes: read and written by one call, likewise.
      memory: bytes of its arguments, results and temporary arrays.
    """

    call: Callable[[], Any]
    images: int
    compile_seconds: float
    flops: float
    bytes: float
    memory: int


def noise(categories: Sequence[str], size: int, resolution: int) -> examples.Dataset:
    """Random images and rotations as a dataset."""
    generator = np.random.default_rng(0)
    axes, _ = np.linalg.qr(generator.normal(size=(size, 3, 3)))
    split = examples.Examples(
        image=generator.integers(0, 256, (size, resolution, resolution, 3), np.uint8),
        category=np.arange(size, dtype=np.int32) % len(categories),
        rotation=(axes * np.linalg.det(axes)[:, None, None]).astype(np.float32),
        id=np.arange(size).astype(str),
        digest=f"noise {len(categories)} {size} {resolution}",
    )
    return examples.Dataset(tuple(categories), {"train": split})


def assemble(config: Any, num_categories: int, size: int) -> run_setup.Run:
    """A run on noise; where a phase renders its images online, on the built-in models."""
    config = config_lib.read(config)
    online = any(online_rendering.NAME in phase.sources for phase in config.phases)
    names = catalogue.CATEGORIES if online else range(num_categories)
    data = noise(tuple(map(str, names)), size, config.data.resolution)
    if online:
        engine = datasets.build_engine(config, data)
        splits = {**data.splits, online_rendering.NAME: online_rendering.split(engine)}
        data = data._replace(splits=splits, engine=engine)
    return run_setup.assemble(config, pathlib.Path("unused"), data, show_progress=False)


def train_steps(run: run_setup.Run) -> dict[str, Program]:
    """Each phase's whole step, by the phase's name, from cached examples to new parameters."""
    found = {}
    for phase in run.phases:
        state, steps = _entered(run, phase)
        images = phase.batch_size * run.config.steps_per_call
        arguments = (state, next(steps.records), steps.cache)
        found[phase.name] = _program(steps.step_fn, arguments, images, is_step=True)
    return found


def parts(
    run: run_setup.Run, phase: phases.Phase, names: Sequence[str] = PARTS
) -> dict[str, Program]:
    """A phase's step on a batch in memory ("step"), and its parts, or some of these.

    "input" makes the batch, "forward" is the loss alone, "gradient" the loss and its gradient. What
    "step" takes beyond "gradient" is the update.
    """
    state, steps = _entered(run, phase)
    records = devices.place(input_pipeline.whole_batch(run, phase, 0), run.config.parallel)
    key = jax.random.key(0)
    prepare = jax.jit(functools.partial(phase_run.prepare_fn(run, phase), key))
    made = jax.block_until_ready(prepare(records, steps.cache))
    bound = phase_run.objective_fns(run, phase)

    def forward(state: TrainState, batch: batches.Batch) -> Any:
        trained = phases.trainable(state.params, phase)
        total, (sums, _, batch_stats) = step.objective(trained, state, batch, key, **bound)
        return total, sums, batch_stats

    def gradient(state: TrainState, batch: batches.Batch) -> Any:
        trained = phases.trainable(state.params, phase)
        return jax.grad(step.objective, has_aux=True)(trained, state, batch, key, **bound)

    images = phase.batch_size
    update = functools.partial(
        step.train_step, prepare_fn=lambda key, records, cache: cache["made"], tx=steps.tx, **bound
    )
    update = jax.jit(update, donate_argnums=0)
    arguments = {
        "input": (prepare, (records, steps.cache)),
        "forward": (jax.jit(forward), (state, made)),
        "gradient": (jax.jit(gradient), (state, made)),
        "step": (update, (state, {}, {"made": made})),
    }
    return {name: _program(*arguments[name], images, is_step=name == "step") for name in names}


def inference(
    run: run_setup.Run, count: int, names: Sequence[str] = INFERENCE
) -> dict[str, Program]:
    """The network alone on images in memory; evaluation with all its fusions; or one of them."""
    variables = devices.replicate(phase_run.initial_state(run).variables)
    side = run.model.input_spec.resolution
    image = jnp.zeros((count, side, side, 3), jnp.float32)

    @jax.jit
    def apply(variables: Mapping[str, Any], image: Any) -> Any:
        outputs = run.model.network.apply_fn(variables, image)[0]
        return outputs.category_logits, outputs.pose_outputs

    split = run.dataset.splits["train"]
    records = {"eval": devices.place(batches.records(split, np.arange(count)), "jit")}
    cache = {"eval": batches.Cache(image=devices.replicate(split.image))}
    evaluate = input_pipeline.compile_predict(run, "train", tied=False)
    arguments = {
        "inference": (apply, (variables, image)),
        "evaluation": (evaluate, (variables, records, cache)),
    }
    return {name: _program(*arguments[name], count) for name in names}


def latency(run: run_setup.Run) -> Program:
    """A predictor's answer about one photo, which it crops first."""
    predictor = predict.from_variables(run.model, phase_run.initial_state(run).variables)
    photo = np.resize(run.dataset.splits["train"].image[0], (480, 640, 3))
    return whole(lambda: predictor(photo, box=(100, 60, 500, 400)).rotation, 1)


def whole(call: Callable[[], Any], images: int) -> Program:
    """What is more than one compiled program: XLA counts nothing of it."""
    begin = time.perf_counter()
    jax.block_until_ready(call())
    seconds = time.perf_counter() - begin
    return Program(call, images, seconds, np.nan, np.nan, 0)


def _entered(run: run_setup.Run, phase: phases.Phase) -> tuple[TrainState, phase_run.PhaseRun]:
    state = phase_run.enter(run, phase, phase_run.initial_state(run))
    return state, phase_run.begin(run, phase, state)


def _program(jitted: Any, arguments: tuple, images: int, *, is_step: bool = False) -> Program:
    """Compiles a function.

    A step takes the state of the step before as its first argument, whose buffers it may use again.
    """
    kept = list(arguments)
    begin = time.perf_counter()
    compiled = jitted.lower(*arguments).compile()
    seconds = time.perf_counter() - begin

    def call() -> Any:
        result = compiled(*kept)
        if is_step:
            kept[0] = result[0]
        return result

    if is_step:
        kept[0] = jax.tree.map(jnp.copy, kept[0])
    cost = compiled.cost_analysis() or {}
    memory = compiled.memory_analysis()
    return Program(
        call=call,
        images=images,
        compile_seconds=seconds,
        flops=float(cost.get("flops", np.nan)),
        bytes=float(cost.get("bytes accessed", np.nan)),
        memory=0
        if memory is None
        else (
            memory.argument_size_in_bytes
            + memory.output_size_in_bytes
            + memory.temp_size_in_bytes
            - memory.alias_size_in_bytes
        ),
    )
