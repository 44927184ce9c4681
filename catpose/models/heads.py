"""The feature and category networks; `architectures` composes them with `pose_nets`.

Reference: Mahendran, Ali and Vidal, section 3.1.
"""

from typing import Any

import jax
from flax import linen as nn
from jax import numpy as jnp
from jaxtyping import Array, Float, Key

from catpose.models import init, norm, resnet, vgg_m


class FeatureNetwork(nn.Module):
    """A ResNet up to the split stage, or VGG-M, and the pooling for the pose networks.

    Attributes:
      trunk: a ResNet's description, or VGG-M's.
      split_stage: last stage of a ResNet; VGG-M is never split.
      pool_grid: see `average_cells`.
      pool_channels: of a 1x1 convolution before that average; 0 for none.
    """

    trunk: resnet.Architecture | vgg_m.Architecture
    split_stage: int
    pool_grid: int
    pool_channels: int

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
        if isinstance(self.trunk, vgg_m.Architecture):
            return vgg_m.features(self.trunk, image)
        if feature_map is None:
            feature_map = resnet.Stem(self.trunk, name="stem")(
                image, use_running=use_running, axis_name=axis_name
            )
            for number in range(resnet.FIRST_STAGE, self.split_stage + 1):
                stage = resnet.Stage(self.trunk, number, name=f"stage{number}")
                feature_map = stage(feature_map, use_running=use_running, axis_name=axis_name)
        x = feature_map
        if self.pool_channels:
            reduce = resnet.Conv(
                self.pool_channels, use_bias=True, dtype=self.trunk.dtype, name="reduce"
            )
            x = reduce(x)
        return feature_map, average_cells(x, self.pool_grid)


class CategoryNetwork(nn.Module):
    """Logits, from the feature network's map or pooled features, or from a network of its own.

    Attributes:
      own_features: a second feature network, which reads the image; None for the shared one. Then
        the category network begins at its pooled features.
      resnet: of the stages after the split, which a shared map goes through (`kind` "stage5").
      split_stage: the last stage of the shared map.
      kind: "stage5" or "pooled"; the latter standardises the pooled features that it reads.
      num_categories: K.
      hidden: units of the hidden layers.
      dropout: probability of dropping one of them.
      dtype: compute type; logits are at least float32.
    """

    own_features: FeatureNetwork | None
    resnet: resnet.Architecture | None
    split_stage: int
    kind: str
    num_categories: int
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
        """Logits of images, of what the shared network made of them, or of its own features."""
        dtype = self.dtype
        if self.own_features is not None:
            x = own_pooled
            if x is None:
                _, x = self.own_features(image, use_running=use_running, axis_name=axis_name)
        elif self.kind == "stage5":
            x = feature_map
            for number in range(self.split_stage + 1, resnet.LAST_STAGE + 1):
                stage = resnet.Stage(self.resnet, number, name=f"stage{number}")
                x = stage(x, use_running=use_running, axis_name=axis_name)
            x = average_cells(x, 1)
        else:
            x = pooled
        if self.kind == "pooled":
            standardise = norm.BatchNorm(name="bn0")
            x = standardise(x, use_running=use_running, axis_name=axis_name)
        for i, units in enumerate(self.hidden, start=1):
            x = nn.Dense(
                units,
                use_bias=False,
                dtype=dtype,
                kernel_init=init.glorot(),
                name=f"linear{i}",
            )(x)
            normalise = norm.BatchNorm(name=f"bn{i}")
            x = nn.relu(normalise(x, use_running=use_running, axis_name=axis_name))
            if key is not None and self.dropout:
                x = drop(jax.vmap(jax.random.fold_in, (0, None))(key, i), x, self.dropout)
        return nn.Dense(
            self.num_categories,
            dtype=jnp.promote_types(dtype, jnp.float32),
            kernel_init=init.glorot(),
            name="logits",
        )(x)


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
    """Dropout, each row by its own key: zero with probability `rate`, else over 1 - rate."""
    keep = jax.vmap(lambda key: jax.random.bernoulli(key, 1 - rate, x.shape[1:]))(key)
    return jnp.where(keep, x / (1 - rate), jnp.zeros_like(x))
