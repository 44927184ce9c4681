"""The optimizer of a phase: schedule, clipping and the mask that freezes."""

from collections.abc import Mapping
from typing import Any

import jax
import jax.flatten_util
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float

from catpose.experiment import phases

_LONG = 1 << 14  # numbers of a leaf that is copied at a cost


def schedule(rate: phases.LearningRate, steps: int) -> optax.Schedule:
    """Learning rate over the steps of one phase, see `phases.LearningRate`."""
    after = max(1, steps - rate.warmup_steps)
    epoch = max(1, rate.epoch_steps)
    shapes = {
        "constant": lambda: optax.constant_schedule(rate.peak),
        "cosine": lambda: optax.cosine_decay_schedule(rate.peak, after),
        "inverse": lambda: lambda count: rate.peak / (1 + count // epoch),
        "exponential": lambda: optax.exponential_decay(rate.peak, epoch, rate.rate, staircase=True),
    }
    main = shapes[rate.schedule]()
    if not rate.warmup_steps:
        return main
    rise = optax.linear_schedule(0.0, rate.peak, rate.warmup_steps)
    return optax.join_schedules([rise, main], [rate.warmup_steps])


def make(
    phase: phases.Phase,
    params: Mapping[str, Any],
    *,
    name: str,
    weight_decay: float,
    clip_norm: float,
) -> optax.GradientTransformationExtraArgs:
    """The phase's optimizer over its trainable sub-tree (`phases.trainable`).

    Gradients are only ever taken with respect to that sub-tree. The partition is the second lock:
    should a frozen leaf come among them, its update is zero, and it neither decays nor counts. Its
    `update` takes the norm of the gradient as a further keyword, `norm`.

    Args:
      phase: says what trains and how fast.
      params: all parameters (arrays or shapes).
      name: "adam" or "sgd".
      weight_decay: decoupled decay, on kernels only (leaves named "kernel").
      clip_norm: largest norm of the trained gradient; 0 for none.

    Raises:
      InputError: a pattern that covers nothing.
    """
    optimizers = {"adam": optax.scale_by_adam, "sgd": optax.identity}
    clip = _clip(clip_norm) if clip_norm else optax.identity()
    moments = _packed(optax.chain(clip, optimizers[name]()))
    decay = optax.add_decayed_weights(weight_decay, mask=_kernels) if weight_decay else None
    rate = optax.scale_by_learning_rate(schedule(phase.learning_rate, phase.steps))
    chain = [moments, decay, rate] if decay else [moments, rate]
    marks = phases.labels(params, phase)
    return optax.partition(
        {"train": optax.chain(*chain), "freeze": optax.set_to_zero()},
        lambda tree: {path: marks[path] for path in tree},
    )


def _clip(largest: float) -> optax.GradientTransformationExtraArgs:
    """Gradients scaled down to the largest norm, given theirs.

    `optax.clip_by_global_norm` reads them all once more for it, and divides each number, for which
    XLA on CPU writes them to memory anew.
    """

    def update(updates: Any, state: Any, params: Any = None, *, norm: Float[Array, ""]) -> Any:
        scale = jnp.minimum(1.0, largest / norm)
        return jax.tree.map(lambda leaf: leaf * scale, updates), state

    return optax.GradientTransformationExtraArgs(lambda params: optax.EmptyState(), update)


def _packed(inner: optax.GradientTransformationExtraArgs) -> optax.GradientTransformationExtraArgs:
    """The transformation on fewer leaves: the short ones, joined, are one vector.

    A hundred short leaves compile and run several times faster so. Long ones stay as they are:
    joining them would copy every gradient and every update once more. (`optax.flatten` joins all:
    of ResNet-50 and twelve pose networks, 42 million numbers.)
    """

    def pack(tree: Mapping[str, Any]) -> tuple[Any, Any]:
        own = phases.by_path(tree)  # not what the partition has masked
        long = {path: leaf for path, leaf in own.items() if leaf.size > _LONG}
        short = {path: leaf for path, leaf in own.items() if leaf.size <= _LONG}
        vector, unravel = jax.flatten_util.ravel_pytree(short)
        return (long, vector), unravel

    def init(params: Mapping[str, Any]) -> Any:
        return inner.init(pack(params)[0])

    def update(updates: Any, state: Any, params: Any = None, **extra: Any) -> tuple[Any, Any]:
        packed, unravel = pack(updates)
        packed_params = None if params is None else pack(params)[0]
        (long, vector), state = inner.update(packed, state, packed_params, **extra)
        return dict(updates) | long | unravel(vector), state

    return optax.GradientTransformationExtraArgs(init, update)


def _kernels(tree: Mapping[str, Any]) -> dict[str, bool]:
    return {path: path.endswith("kernel") for path in tree}
