"""Batch normalisation with weighted rows, synchronised over devices, in one pass.

Statistics are float32 (float64 for float64 inputs). The variance is the biased one, for the
normalisation and for the running statistics alike.
"""

import math

from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float


class BatchNorm(nn.Module):
    """Normalise with the moments of the batch or with the running ones, then scale and shift.

    Reference: Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1.

    Attributes:
      momentum: share of the old running statistics that an update keeps, in [0, 1].
      eps: added to the variance.
      num_networks: 0, or the number K of networks normalised side by side; the input is then
        (K, B, C), each network has statistics of its own, and parameters are (K, C).
    """

    momentum: float = 0.9
    eps: float = 1e-5
    num_networks: int = 0

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "..."],
        *,
        use_running: bool,
        axis_name: str | None = None,
        rows: Float[Array, "batch networks"] | None = None,
    ) -> Float[Array, "..."]:
        """Normalise the last axis, per network where there are several.

        Args:
          x: (B, ..., C); with num_networks (K, B, C).
          use_running: normalise with the running statistics and leave them as they are; else
            with those of the batch, which also move the running ones.
          axis_name: the mapped axis (pmap, shard_map) over which the batch is spread. None where
            the whole batch is visible, as it is under jit with sharded arrays.
          rows: (B, K) weights, at least 0, of each row in the batch statistics of each network;
            only with num_networks. None weighs all rows alike. A network whose rows weigh 0
            uses and keeps its running statistics.

        Returns:
          Array of the shape and type of x.
        """
        num_channels = x.shape[-1]
        if self.num_networks:
            shape, axes = (self.num_networks, num_channels), (1,)
            view = (self.num_networks, 1, num_channels)
        else:
            shape, axes = (num_channels,), tuple(range(x.ndim - 1))
            view = (1,) * len(axes) + shape
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        scale, bias, mean, var = (
            v.reshape(view) for v in (scale, bias, running_mean.value, running_var.value)
        )
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        if not use_running:
            old_mean, old_var = mean, var
            weights = None if rows is None else rows.T[..., None]
            # Without rows the mean is the running one as it is; the variance is 0.
            mean, batch_var, weight = moments(wide, old_mean, axes, weights, axis_name)
            var = jnp.where(weight > 0, batch_var, old_var)
            for running, old, new in ((running_mean, old_mean, mean), (running_var, old_var, var)):
                # Exactly old where new is old.
                moved = lax.stop_gradient(old + (1 - self.momentum) * (new - old))
                running.value = moved.reshape(shape).astype(running.value.dtype)
        return ((wide - mean) * (scale * lax.rsqrt(var + self.eps)) + bias).astype(x.dtype)


def moments(
    x: Float[Array, "..."],
    shift: Float[Array, "..."],
    axes: tuple[int, ...],
    weights: Float[Array, "..."] | None = None,
    axis_name: str | None = None,
) -> tuple[Float[Array, "..."], Float[Array, "..."], Float[Array, "..."]]:
    """Weighted mean and biased variance in one pass over the data and one over the devices.

    The sums are taken of x - shift: with a shift near the mean nothing cancels in
    E[x^2] - E[x]^2. They cross devices as one vector, in one all-reduce.

    Args:
      x: data.
      shift: a guess of the mean, in the shape of the results; no gradient flows into it.
      axes: axes to reduce; they stay with length 1.
      weights: at least 0, of the rank of x and length 1 or that of x on each axis; None for 1.
      axis_name: mapped axis over which the data are spread, or None.

    Returns:
      Mean, variance, and the total weight. Where that is 0 they are shift, 0 and 0.
    """
    shift = lax.stop_gradient(shift)
    centred = x - shift
    if weights is None:
        weights = jnp.ones((1,) * x.ndim, x.dtype)
    weights = weights.astype(x.dtype)
    weighted = weights * centred
    # Rows that share one weight count as often as they are.
    repeats = math.prod(x.shape[a] // weights.shape[a] for a in axes)
    sums = [
        weighted.sum(axes, keepdims=True),
        (weighted * centred).sum(axes, keepdims=True),
        weights.sum(axes, keepdims=True) * repeats,
    ]
    if axis_name is not None:
        total = lax.psum(jnp.concatenate([s.ravel() for s in sums]), axis_name)
        ends = (shift.size, 2 * shift.size)
        sums = [part.reshape(s.shape) for part, s in zip(jnp.split(total, ends), sums, strict=True)]
    first, second, weight = sums
    divisor = jnp.where(weight > 0, weight, 1)
    mean = first / divisor
    return mean + shift, jnp.maximum(second / divisor - mean**2, 0), weight
