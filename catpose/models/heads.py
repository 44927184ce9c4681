"""The feature and category networks; `architectures` composes them with `pose_nets`.

Reference: Mahendran, Ali and Vidal, section 3.1.
"""

import functools
from typing import Any

import jax
import numpy as np
from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from catpose.models import initializers, norm, resnet
from catpose.models.backbone import CLASSIFIER, Backbone


class FeatureNetwork(nn.Module):
    """A backbone up to the split, and the pooling for the pose networks.

    Attributes:
      backbone: an entry of `catpose.models.BACKBONES`.
      net: what its `describe` returned.
      split: where it ends, in the backbone's own count.
      pool_grid: see `average_cells`; of no effect, like `pool_channels`, where the backbone pools.
      pool_channels: of a 1x1 convolution before that average; 0 for none.
      dtype: compute type of that convolution.
    """

    backbone: Backbone
    net: Any
    split: int
    pool_grid: int
    pool_channels: int
    dtype: Any

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width 3"] | None,
        feature_map: Float[Array, "batch h w c"] | None = None,
        *,
        use_running: bool,
        axis_name: str | None = None,
    ) -> tuple[Float[Array, "batch h w c"], Float[Array, "batch features"]]:
        """The map of the last stage, computed unless given, and the pooled features."""
        if feature_map is None:
            feature_map = self.backbone.features(
                self.net, self.split, image, use_running=use_running, axis_name=axis_name
            )
        if self.backbone.pool is not None:
            return feature_map, self.backbone.pool(self.net, feature_map)
        x = feature_map
        if self.pool_channels:
            x = resnet.Conv(self.pool_channels, use_bias=True, dtype=self.dtype, name="reduce")(x)
        return feature_map, average_cells(x, self.pool_grid)


class CategoryNetwork(nn.Module):
    """Logits, from the feature network's map or pooled features, or from a network of its own.

    Attributes:
      own_features: a second feature network, which reads the image; None for the shared one. Then
        the category network begins at its pooled features.
      backbone: whose layers after the split a shared map goes through (`kind` "stage5").
      net: what its `describe` returned.
      split: where the shared map ends.
      kind: "stage5", "classifier" or "pooled"; the last standardizes the pooled features that it
        reads.
      num_categories: K.
      classes: of "classifier", the backbone's own classes of each category.
      hidden: units of the hidden layers.
      dropout: probability of dropping one of them.
      dtype: compute type; logits are at least float32.
    """

    own_features: FeatureNetwork | None
    backbone: Backbone
    net: Any
    split: int
    kind: str
    num_categories: int
    classes: tuple[tuple[int, ...], ...]
    hidden: tuple[int, ...]
    dropout: float
    dtype: Any

    @nn.compact
    def __call__(
        self,
        image: Float[Array, "batch height width 3"] | None,
        feature_map: Float[Array, "batch h w c"] | None,
        pooled: Float[Array, "batch features"],
        own_pooled: Float[Array, "batch own"] | None = None,
        *,
        use_running: bool,
        key: Key[Array, " batch"] | None = None,
        axis_name: str | None = None,
    ) -> Float[Array, "batch categories"]:
        """Logits, from the image, the shared feature map or the pooled features.

        Those of "classifier" are logarithms of the probabilities that its classes sum to; what is
        missing to 1 is that of all other classes.
        """
        dtype = self.dtype
        if self.own_features is not None:
            x = own_pooled
            if x is None:
                _, x = self.own_features(image, use_running=use_running, axis_name=axis_name)
        elif self.kind != "pooled":
            x = self.backbone.rest(
                self.net, self.split, feature_map, use_running=use_running, axis_name=axis_name
            )
            x = average_cells(x, 1)
        else:
            x = pooled
        if self.kind == "pooled":
            standardize = norm.BatchNorm(name="bn0")
            x = standardize(x, use_running=use_running, axis_name=axis_name)
        for i, units in enumerate(self.hidden, start=1):
            x = nn.Dense(
                units,
                use_bias=False,
                dtype=dtype,
                kernel_init=initializers.glorot(),
                name=f"linear{i}",
            )(x)
            normalize = norm.BatchNorm(name=f"bn{i}")
            x = nn.relu(normalize(x, use_running=use_running, axis_name=axis_name))
            if key is not None and self.dropout:
                x = drop(jax.vmap(jax.random.fold_in, (0, None))(key, i), x, self.dropout)
        linear = functools.partial(
            nn.Dense,
            dtype=jnp.promote_types(dtype, jnp.float32),
            kernel_init=initializers.glorot(),
        )
        if self.kind != CLASSIFIER:
            return linear(self.num_categories, name="logits")(x)
        log_p = jax.nn.log_softmax(linear(self.backbone.num_classes, name=CLASSIFIER)(x))
        sums = [jax.nn.logsumexp(log_p[:, np.array(own)], axis=1) for own in self.classes]
        return jnp.stack(sums, axis=1)


def average_cells(x: Float[Array, "batch h w c"], grid: int) -> Float[Array, "batch features"]:
    """Average over grid x grid cells of equal size, flattened row by row; 0 keeps every position.

    Raises:
      ValueError: the map does not divide into that many cells.
    """
    batch, height, width, channels = x.shape
    if grid == 0:
        return x.reshape(batch, height * width * channels)
    if height % grid or width % grid:
        raise ValueError(f"a {height} x {width} map does not divide into {grid} x {grid} cells")
    cells = x.reshape(batch, grid, height // grid, grid, width // grid, channels)
    return cells.mean((2, 4)).reshape(batch, grid * grid * channels)


def drop(
    key: Key[Array, " batch"], x: Float[Array, "batch units"], rate: float
) -> Float[Array, "batch units"]:
    """Dropout, each image by its own PRNG key: zero with probability `rate`, else over 1 - rate."""
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))
