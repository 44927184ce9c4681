"""Batch normalization with weighted batch rows, synchronized over devices, in one pass.

Statistics are float32 (float64 for float64 inputs). The variance is the biased one, for the
normalization and for the running statistics alike.
"""

import functools
import math

import jax
import numpy as np
from flax import linen as nn
from jax import lax
from jax import numpy as jnp
from jaxtyping import Array, Float


class BatchNorm(nn.Module):
    """Normalize with the moments of the batch or with the running ones, then scale and shift.

    Reference: Ioffe and Szegedy, Batch Normalization, 2015, algorithm 1.

    Attributes:
      momentum: share of the old running statistics that an update keeps, in [0, 1].
      eps: added to the variance.
      num_networks: 0, or the number K of networks normalized side by side; the input is then
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
        weights: Float[Array, "batch networks"] | None = None,
    ) -> Float[Array, "..."]:
        """Normalize the last axis, per network where there are several.

        Args:
          x: (B, ..., C); with num_networks (K, B, C).
          use_running: normalize with the running statistics and leave them as they are; else
            with those of the batch, which also move the running ones.
          axis_name: the mapped axis (pmap, shard_map) over which the batch is spread. None where
            the whole batch is visible, as it is under jit with sharded arrays.
          weights: (B, K), at least 0, of each batch row in the batch statistics of each network;
            only with num_networks. None weighs all batch rows alike. A network whose weights are
            all 0 uses and keeps its running statistics. No gradient flows into the weights.

        Returns:
          Array of the shape and type of x.
        """
        num_channels = x.shape[-1]
        if self.num_networks:
            shape, axes = (self.num_networks, num_channels), (1,)
            broadcast_shape = (self.num_networks, 1, num_channels)
        else:
            shape, axes = (num_channels,), tuple(range(x.ndim - 1))
            broadcast_shape = (1,) * len(axes) + shape
        scale = self.param("scale", nn.initializers.ones, shape, jnp.float32)
        bias = self.param("bias", nn.initializers.zeros, shape, jnp.float32)
        running_mean = self.variable("batch_stats", "mean", jnp.zeros, shape, jnp.float32)
        running_var = self.variable("batch_stats", "var", jnp.ones, shape, jnp.float32)
        scale, bias, mean, var = (
            v.reshape(broadcast_shape) for v in (scale, bias, running_mean.value, running_var.value)
        )
        if use_running:
            return _affine(_wide(x), mean, scale * lax.rsqrt(var + self.eps), bias).astype(x.dtype)
        weights = None if weights is None else weights.T[..., None]
        y, *new = _normalize(self.eps, axes, axis_name, x, scale, bias, (mean, var), weights)
        moving = ((running_mean, mean, new[0]), (running_var, var, new[1]))
        for running, old, now in moving:
            # Exactly old where the batch's is old.
            moved = old + (1 - self.momentum) * (now - old)
            running.value = moved.reshape(shape).astype(running.value.dtype)
        return y


def _wide(x):
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def _affine(x, mean, factor, bias):
    return (x - mean) * factor + bias


# With a derivative of its own, that keeps the input and numbers for each channel until the backward
# pass: automatic differentiation keeps more arrays of the input's size, in float32 (for ResNet-50's
# step on a CPU a quarter more memory). `running` and `weights` are taken as constants, and nothing
# but the first result is differentiated.
@functools.partial(jax.custom_vjp, nondiff_argnums=(0, 1, 2))
def _normalize(eps, axes, axis_name, x, scale, bias, running, weights):
    """x normalized with its own moments, scaled and shifted; these moments."""
    return _forward(eps, axes, axis_name, x, scale, bias, running, weights)[0]


def _forward(eps, axes, axis_name, x, scale, bias, running, weights):
    wide = _wide(x)
    # Without any weight the mean is the running one as it is; the variance is 0.
    mean, var, weight = moments(wide, running[0], axes, weights, axis_name)
    var = jnp.where(weight > 0, var, running[1])
    inverse = lax.rsqrt(var + eps)
    y = _affine(wide, mean, scale * inverse, bias).astype(x.dtype)
    return (y, mean, var), (x, scale, bias, running, weights, mean, inverse, weight)


def _backward(eps, axes, axis_name, residuals, gradients):
    x, scale, bias, running, weights, mean, inverse, weight = residuals
    gradient, normal = _wide(gradients[0]), (_wide(x) - mean) * inverse
    total = gradient.sum(axes, keepdims=True)
    # That is (gradient * normal).sum(), for which XLA on CPU would write `normal` to memory first.
    # What cancels is no more than the rounding of x itself costs.
    along = ((gradient * _wide(x)).sum(axes, keepdims=True) - mean * total) * inverse
    # Of the batch rows on this device, as a parameter's gradient is until all devices' are added.
    sums = [total, along]
    first, second = _over_devices(sums, axis_name)
    share = (1 if weights is None else weights) / jnp.where(weight > 0, weight, 1)
    x_gradient = (gradient - share * (first + normal * second)) * (scale * inverse)
    return (
        x_gradient.astype(x.dtype),
        sums[1].astype(scale.dtype),
        sums[0].astype(bias.dtype),
        *jax.tree.map(jnp.zeros_like, (running, weights)),
    )


_normalize.defvjp(_forward, _backward)


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
      shift: a guess of the mean, in the shape of the results.
      axes: axes to reduce; they stay with length 1.
      weights: at least 0, of the rank of x and length 1 or that of x on each axis; None for 1.
      axis_name: mapped axis over which the data are spread, or None.

    Returns:
      Mean, variance, and the total weight. Where that is 0 they are shift, 0 and 0.
    """
    centered = x - shift
    if weights is None:
        weights = jnp.ones((1,) * x.ndim, x.dtype)
    weights = weights.astype(x.dtype)
    weighted = weights * centered
    # A weight on an axis of length 1 counts once for each value of x along it.
    repeats = math.prod(x.shape[a] // weights.shape[a] for a in axes)
    sums = [
        weighted.sum(axes, keepdims=True),
        (weighted * centered).sum(axes, keepdims=True),
        weights.sum(axes, keepdims=True) * repeats,
    ]
    first, second, weight = _over_devices(sums, axis_name)
    divisor = jnp.where(weight > 0, weight, 1)
    mean = first / divisor
    return mean + shift, jnp.maximum(second / divisor - mean**2, 0), weight


def _over_devices(sums, axis_name):
    """The sums of all devices, in one all-reduce; `axis_name` is None on one device."""
    if axis_name is None:
        return sums
    total = lax.psum(jnp.concatenate([part.ravel() for part in sums]), axis_name)
    ends = np.cumsum([part.size for part in sums])[:-1]
    return [part.reshape(own.shape) for part, own in zip(jnp.split(total, ends), sums, strict=True)]
