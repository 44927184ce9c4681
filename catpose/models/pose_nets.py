"""The pose networks of all categories at once.

K perceptrons of the same shape read the same features. Parameters and activations have a leading
axis K and every layer is one batched matrix product. For it the features are repeated K times: that
is much less than the kernels are, and without it XLA transposes every kernel and its gradient
(on CPU 46 against 20 ms forwards and 200 against 57 ms backwards for 12 networks of 1024 x 1000 and
a batch of 32).

Reference: Mahendran, Ali and Vidal, section 3.1: FC, BN and ReLU twice (1000 and 500 units), FC to
the pose, output non-linearity in each network.
"""

from collections.abc import Callable
from typing import Any

from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float

from catpose.models import initial, norm

# The last layer starts this much below Glorot. At 1, pi * tanh saturates in the first steps and
# training stays at the error of a constant pose.
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
        rows: Float[Array, "batch networks"] | None = None,
        tied: bool = False,
    ) -> Float[Array, "batch networks outputs"]:
        """Poses of every image from every network.

        Args:
          features: shared by all networks.
          use_running: batch normalisation on running statistics, unchanged; else on the batch's.
          axis_name: mapped axis over which the batch is spread, or None.
          rows: (B, K) weights of the images in each network's batch statistics; None for equal
            ones. Of no effect with use_running.
          tied: run network 0 alone, on all images, and give its outputs for all K. The
            parameters and statistics of the others are not touched. Its rows are then the sum of
            `rows` over the networks.

        Returns:
          Activated outputs, at least float32.
        """
        used = 1 if tied else self.num_networks
        if tied and rows is not None:
            rows = rows.sum(1, keepdims=True)
        x = jnp.broadcast_to(features.astype(self.dtype), (used, *features.shape))
        for i, units in enumerate(self.hidden, start=1):
            x = Linear(self.num_networks, units, dtype=self.dtype, name=f"linear{i}")(x)
            normalise = norm.BatchNorm(num_networks=self.num_networks, name=f"bn{i}")
            x = normalise(x, use_running=use_running, axis_name=axis_name, rows=rows)
            x = nn.relu(x)
        raw = Linear(
            self.num_networks,
            self.num_outputs,
            use_bias=True,
            scale=LAST_LAYER_SCALE,
            dtype=jnp.promote_types(self.dtype, jnp.float32),
            name="output",
        )(x)
        outputs = jnp.swapaxes(self.activate(raw), 0, 1)
        return jnp.broadcast_to(outputs, (len(outputs), self.num_networks, self.num_outputs))


class Linear(nn.Module):
    """K linear maps; Glorot-uniform start with each map's own fan, times `scale`."""

    num_networks: int
    num_outputs: int
    use_bias: bool = False
    scale: float = 1.0
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "used batch inputs"]) -> Float[Array, "used batch outputs"]:
        """Apply the first maps, as many as there are inputs, each to its own."""
        used, _, num_inputs = x.shape
        shape = (self.num_networks, num_inputs, self.num_outputs)
        kernel = self.param("kernel", initial.glorot(self.scale), shape, jnp.float32)[:used]
        y = jnp.einsum("kbi,kio->kbo", x.astype(self.dtype), kernel.astype(self.dtype))
        if self.use_bias:
            bias_shape = (self.num_networks, self.num_outputs)
            bias = self.param("bias", nn.initializers.zeros, bias_shape, jnp.float32)
            y = y + bias[:used, None].astype(self.dtype)
        return y
