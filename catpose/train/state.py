"""What training carries from step to step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Int, UInt32

from catpose.experiment import phases


class TrainState(NamedTuple):
    """Everything a step reads and writes; a pytree of arrays.

    Attributes:
      step: () int32, updates done so far.
      key: data of the run's random key; never changes, each step folds its number in.
      params: nested dict; the top level are the parameter groups.
      batch_stats: running statistics of BatchNorm, same groups.
      opt_state: of the current phase's optimiser.
    """

    step: Int[Array, ""]
    key: UInt32[Array, "..."]
    params: dict[str, Any]
    batch_stats: dict[str, Any]
    opt_state: Any


def create(key: Array, variables: dict[str, Any]) -> TrainState:
    """The state before the first phase is entered; it has no optimiser yet."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(key),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=(),
    )


def enter_phase(
    state: TrainState, phase: phases.Phase, tx: optax.GradientTransformation
) -> TrainState:
    """The state at the phase's first step: its `on_enter` applied, a fresh optimiser state."""
    params, batch_stats = phases.enter(state.params, state.batch_stats, phase)
    opt_state = tx.init(phases.trainable(params, phase))
    return state._replace(params=params, batch_stats=batch_stats, opt_state=opt_state)
