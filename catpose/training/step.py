"""One training step as a pure function, on one device or as one of many.

With `axis_name` the function is one device's part of a data-parallel step. What keeps the parts
equal to the whole: each loss is a sum of weighted terms over the weight of the global batch (never
a mean of means), gradients are summed over devices, BatchNorm in training mode is synchronized,
and every example draws its own random numbers from its number in the global batch.
"""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Bool, Float, Int, UInt32

from catpose import losses
from catpose.data.batch import Batch, Records
from catpose.experiment import phases
from catpose.geometry import symmetry
from catpose.models import fusion
from catpose.models.architectures import Outputs
from catpose.poses import azimuth
from catpose.poses.base import Pose


class TrainState(NamedTuple):
    """Everything a step reads and writes; a pytree of arrays.

    Attributes:
      step: () int32, updates done so far.
      key: data of the run's random key; never changes, each step folds its number in.
      params: nested dict; the top level are the parameter groups.
      batch_stats: running statistics of BatchNorm, same groups.
      opt_state: of the current phase's optimizer.
    """

    step: Int[Array, ""]
    key: UInt32[Array, "..."]
    params: dict[str, Any]
    batch_stats: dict[str, Any]
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        """Of the network."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create_state(key: Array, variables: Mapping[str, Any]) -> TrainState:
    """The state before the first phase is entered; it has no optimizer yet."""
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        key=jax.random.key_data(key),
        params=variables["params"],
        batch_stats=variables["batch_stats"],
        opt_state=(),
    )


def phase_forward(network_apply: Callable, phase: phases.Phase, num_categories: int) -> Callable:
    """The network as the phase runs it: `forward_fn(variables, batch, key, axis_name)`."""

    def forward_fn(
        variables: Mapping[str, Any], batch: Batch, key: Array, axis_name: str | None
    ) -> tuple[Outputs, Mapping[str, Any]]:
        weights = None
        if phase.fusion == "oracle" and phase.pose_bn == "own" and not phase.tied:
            own = jax.nn.one_hot(batch.category, num_categories)
            weights = own * batch.pose_weight[:, None]
        return network_apply(
            variables,
            batch.image,
            jax.vmap(jax.random.fold_in, (None, 0))(key, batch.position),
            features=batch.features,
            batch_norm_train=frozenset(phase.batch_norm),
            pose_bn_weights=weights,
            tied=phase.tied,
            axis_name=axis_name,
        )

    return forward_fn


def phase_loss(
    pose: Pose,
    phase: phases.Phase,
    orders: Int[np.ndarray, " K"] | None = None,
    *,
    azimuth_frame: str | None = None,
) -> Callable:
    """The phase's losses: `loss_fn(outputs, batch) -> (pose (B,) radians, category (B,))`.

    The pose is fused in the representation's own space (eq. 1 and 2), then compared (eq. 3).

    Args:
      pose: the representation of the outputs.
      phase: says which loss and which fusion.
      orders: each category's symmetry (see `catpose.geometry.symmetry`): every loss then compares
        with the nearest equivalent of the target. None for the plain losses of the paper.
      azimuth_frame: the frame of learning, where of some examples the azimuth alone is known: their
        loss is that of the density's marginal. None where there are none.
    """

    def loss_fn(outputs: Outputs, batch: Batch) -> tuple[Float[Array, "B"], Float[Array, "B"]]:
        weights = fusion.weights(phase.fusion, outputs.category_logits, batch.category)
        fused = pose.fuse(outputs.pose_outputs, weights)
        target = batch.rotation
        if orders is not None:
            own = jnp.asarray(orders)[batch.category]
            target = symmetry.nearest(pose.to_rotation(fused), target, own)
        pose_loss = pose.losses[phase.pose_loss](fused, target)
        if azimuth_frame is not None:
            marginal = azimuth.log_density(pose.density, fused, target, azimuth_frame)
            pose_loss = jnp.where(batch.azimuth_only, -marginal, pose_loss)
        category_loss = losses.CATEGORY_LOSSES[phase.category_loss]
        return pose_loss, category_loss(outputs.category_logits, batch.category)

    return loss_fn


def train_step(
    state: TrainState,
    records: Mapping[str, Records],
    cache: Mapping[str, Any],
    *,
    phase: phases.Phase,
    prepare_fn: Callable[[Array, Mapping[str, Records], Mapping[str, Any]], Batch],
    forward_fn: Callable,
    loss_fn: Callable,
    tx: optax.GradientTransformation,
    axis_name: str | None = None,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update; none where the loss or the gradient of the batch is NaN or infinite.

    Args:
      state: see `TrainState`; `opt_state` belongs to this phase.
      records: what to train on, by source.
      cache: where each source's images or features are.
      phase: which losses count and what trains.
      prepare_fn: (key, records, cache) -> batch; augmentation happens here.
      forward_fn: see `phase_forward`.
      loss_fn: see `phase_loss`.
      tx: the phase's optimizer.
      axis_name: of the mapped axis over devices; None on one device or under jit's shardings.

    Returns:
      The next state, and sums over the global batch: pose_loss and category_loss with their
      weights pose_count and category_count, correct (weighted right categories), grad_norm; and
      skipped: 1 where the batch had a NaN or an infinity, the others then 0.
    """
    key = jax.random.fold_in(jax.random.wrap_key_data(state.key), state.step)
    prepare_key, network_key = jax.random.split(key)
    batch = prepare_fn(prepare_key, records, cache)
    trained = phases.trainable(state.params, phase)
    gradient, (sums, counts, batch_stats) = jax.grad(objective, has_aux=True)(
        trained,
        state,
        batch,
        network_key,
        phase=phase,
        forward_fn=forward_fn,
        loss_fn=loss_fn,
        axis_name=axis_name,
    )
    # Leaf by leaf: XLA carries all of them in one all-reduce, and one long vector would be copied.
    gradient, sums = _across((gradient, sums), axis_name)
    # Products of vectors: squares would be written to memory first.
    squares = [jnp.vdot(leaf, leaf, precision="highest") for leaf in jax.tree.leaves(gradient)]
    norm = jnp.sqrt(sum(squares))
    sums = {**sums, **counts, "grad_norm": norm}
    good = jnp.isfinite(jnp.stack(list(sums.values()))).all()

    def update(params: Any, opt_state: Any) -> Any:
        updates, opt_state = tx.update(gradient, opt_state, params, norm=norm)
        return optax.apply_updates(params, updates), opt_state

    moved, opt_state = where(good, update, trained, state.opt_state)
    keep = functools.partial(jax.tree.map, lambda new, old: jnp.where(good, new, old))
    new_state = state._replace(
        step=state.step + 1,
        # Frozen leaves are not even added to: x + 0 is not always x (-0.0).
        params=phases.merge(state.params, moved, phase),
        batch_stats=keep(batch_stats, state.batch_stats),
        opt_state=opt_state,
    )
    sums = keep(sums, jax.tree.map(jnp.zeros_like, sums))
    return new_state, {**sums, "skipped": 1.0 - good}


def train_steps(
    state: TrainState, records: Mapping[str, Records], cache: Mapping[str, Any], **bound: Any
) -> tuple[TrainState, dict[str, Float[Array, "n"]]]:
    """Several updates in one program, for networks whose steps are shorter than their dispatch.

    Args:
      state: see `train_step`.
      records: with the steps as a further axis before the rows.
      cache: see `train_step`.
      **bound: the keywords of `train_step`.

    Returns:
      The state after the last, and the sums of each.
    """

    def update(state: TrainState, records: Mapping[str, Records]) -> Any:
        return train_step(state, records, cache, **bound)

    return jax.lax.scan(update, state, records)


def objective(
    trained: Mapping[str, Array],
    state: TrainState,
    batch: Batch,
    key: Array,
    *,
    phase: phases.Phase,
    forward_fn: Callable,
    loss_fn: Callable,
    axis_name: str | None = None,
) -> tuple[Float[Array, ""], tuple[dict[str, Array], dict[str, Array], Any]]:
    """What the phase minimizes on a batch; on one of many devices, that device's summand of it.

    Args:
      trained: the parameters to differentiate by, see `phases.trainable`.
      state: has the others.
      batch: what the network and the losses see.
      key: of the network's own random numbers.
      phase: see `train_step`, as for the others.
      forward_fn: see `phase_forward`.
      loss_fn: see `phase_loss`.
      axis_name: of the mapped axis over devices, or None.

    Returns:
      The loss, and (sums of this device, weights of the global batch, new batch statistics).
    """
    pose_count, category_count = _across(
        (batch.pose_weight.sum(), batch.category_weight.sum()), axis_name
    )
    variables = {"params": phases.seen(state.params, trained), "batch_stats": state.batch_stats}
    outputs, batch_stats = forward_fn(variables, batch, key, axis_name)
    pose, category = loss_fn(outputs, batch)
    pose_mean = category_mean = jnp.zeros(())
    sums = {}
    # A loss that the phase leaves out is not computed at all.
    if phase.pose_weight:
        sums["pose_loss"] = (pose * batch.pose_weight).sum()
        pose_mean = phase.pose_weight * sums["pose_loss"] / jnp.maximum(pose_count, 1e-6)
    if phase.category_weight:
        sums["category_loss"] = (category * batch.category_weight).sum()
        category_mean = sums["category_loss"] / jnp.maximum(category_count, 1e-6)
        right = outputs.category_logits.argmax(-1) == batch.category
        sums["correct"] = (right * batch.category_weight).sum()
    total = losses.joint(pose_mean, category_mean, category_weight=phase.category_weight)
    for name, weight in phase.auxiliary_losses.items():
        loss = losses.AUXILIARY_LOSSES[name](outputs, batch)
        sums[f"{name}_loss"] = (loss * batch.pose_weight).sum()
        total += weight * sums[f"{name}_loss"] / jnp.maximum(pose_count, 1e-6)
    counts = {"pose_count": pose_count, "category_count": category_count}
    return total, (sums, counts, batch_stats)


def where(good: Bool[Array, ""], update: Callable, *old: Any) -> tuple[Any, ...]:
    """`update(*old)` where good, else old.

    On CPU as a branch: what XLA makes of the choice between numbers copies parameters and moments
    first and takes twice as long. On accelerators as that choice: a branch waits for the host.
    """

    def branch(good: Array, *old: Any) -> tuple[Any, ...]:
        return jax.lax.cond(good, update, lambda *old: old, *old)

    def choice(good: Array, *old: Any) -> tuple[Any, ...]:
        return jax.tree.map(lambda new, old: jnp.where(good, new, old), update(*old), old)

    return jax.lax.platform_dependent(good, *old, cpu=branch, default=choice)


def _across(tree: Any, axis_name: str | None) -> Any:
    return jax.lax.psum(tree, axis_name) if axis_name else tree
