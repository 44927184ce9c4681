"""The pose networks of all categories at once.

K perceptrons of the same shape read the same features. Parameters and activations have a leading
axis K and every layer is one batched matrix product. For it the features are repeated K times: that
is much less than the kernels are, and without it XLA transposes every kernel and its gradient
(on CPU 46 against 20 ms forwards and 200 against 57 ms backwards for 12 networks of 1024 x 1000 and
a batch of 32).

Reference: Mahendran, Ali and Vidal, section 3.1: FC, BN and ReLU twice (1000 and 500 units), FC to
the pose, output non-linearity in each network.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import initializers, norm, ops

# The initial last layer is this much smaller than Glorot's. At 1, pi * tanh saturates in the first
# steps and training stays at the error of a constant pose.
LAST_LAYER_SCALE = 0.05


class PoseNetworks(nn.Module):
    """K pose networks side by side.

    Attributes:
      num_networks: K, one per category.
      num_outputs: P, the outputs of the pose representation.
      activate: output non-linearity, on (..., P).
      hidden: units of the hidden layers.
      dtype: compute type of the hidden layers; the last layer is at least float32.
    """

    num_networks: int
    num_outputs: int
    activate: Callable[[Array], Array]
    hidden: tuple[int, ...] = (1000, 500)
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self,
        features: Float[Array, "batch features"],
        *,
        use_running: bool,
        axis_name: str | None = None,
        weights: Float[Array, "batch networks"] | None = None,
    ) -> Float[Array, "batch networks outputs"]:
        """Poses of every image from every network.

        Args:
          features: shared by all networks.
          use_running: batch normalization on running statistics, unchanged; else on the batch's.
          axis_name: mapped axis over which the batch is spread, or None.
          weights: (B, K), of the images in each network's batch statistics; None for equal ones.
            Of no effect with use_running.

        Returns:
          Activated outputs, at least float32.
        """
        x = jnp.broadcast_to(features.astype(self.dtype), (self.num_networks, *features.shape))
        for i, units in enumerate(self.hidden, start=1):
            x = Linear(self.num_networks, units, dtype=self.dtype, name=f"linear{i}")(x)
            normalize = norm.BatchNorm(num_networks=self.num_networks, name=f"bn{i}")
            x = normalize(x, use_running=use_running, axis_name=axis_name, weights=weights)
            x = nn.relu(x)
        raw = Linear(
            self.num_networks,
            self.num_outputs,
            use_bias=True,
            scale=LAST_LAYER_SCALE,
            dtype=jnp.promote_types(self.dtype, jnp.float32),
            name="output",
        )(x)
        return jnp.swapaxes(self.activate(raw), 0, 1)


def apply_tied(
    module: PoseNetworks,
    variables: Mapping[str, Any],
    features: Float[Array, "batch features"],
    *,
    use_running: bool,
    axis_name: str | None = None,
    weights: Float[Array, "batch networks"] | None = None,
) -> tuple[Float[Array, "batch networks outputs"], Any]:
    """Network 0 alone, on all images, instead of all K.

    Only the first slice of each leaf is read: the parameters may hold nothing but that (leading
    axis 1), which spares a step that trains it the copy of the others.

    Args:
      module: the K networks.
      variables: of the module, `params` and `batch_stats`.
      features: see `PoseNetworks`.
      use_running: see `PoseNetworks`.
      axis_name: see `PoseNetworks`.
      weights: of the images as for K networks; here their sum over the networks counts.

    Returns:
      Outputs, the same for all K, and the statistics: new for network 0, the others' as they were.
    """
    single = module.clone(num_networks=1)
    first = jax.tree.map(lambda leaf: leaf[:1], variables)
    if weights is not None:
        weights = weights.sum(1, keepdims=True)
    outputs, updated = single.apply(
        first,
        features,
        use_running=use_running,
        axis_name=axis_name,
        weights=weights,
        mutable=["batch_stats"],
    )
    batch_stats = variables["batch_stats"]
    if not use_running:
        batch_stats = jax.tree.map(
            lambda old, new: old.at[:1].set(new), batch_stats, updated["batch_stats"]
        )
    batch, _, num_outputs = outputs.shape
    return jnp.broadcast_to(outputs, (batch, module.num_networks, num_outputs)), batch_stats


class Linear(nn.Module):
    """K linear maps, initialized by Glorot with each map's own fan, times `scale`."""

    num_networks: int
    num_outputs: int
    use_bias: bool = False
    scale: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(
        self, x: Float[Array, "networks batch inputs"]
    ) -> Float[Array, "networks batch outputs"]:
        """Each map on its own inputs."""
        shape = (self.num_networks, x.shape[-1], self.num_outputs)
        kernel = self.param("kernel", initializers.glorot(self.scale), shape, jnp.float32)
        y = ops.batched_matmul(x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias_shape = (self.num_networks, self.num_outputs)
            bias = self.param("bias", nn.initializers.zeros, bias_shape, jnp.float32)
            y = y + bias[:, None].astype(self.dtype)
        return y
