"""What a network takes as its input."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Num

# What each set of pretrained weights wants to see: (order of channels, scale, mean, deviation), by
# the names in `catpose.models.settings.NORMALIZATIONS`.
NORMALIZATIONS = {
    "keras": ("bgr", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torchvision": ("rgb", 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "efficientnet": ("rgb", 1.0, (127.0, 127.0, 127.0), (128.0, 128.0, 128.0)),
    "none": ("rgb", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # for pictures that people look at
}


class InputSpec(NamedTuple):
    """What must be known to feed a network and to read its poses.

    Attributes:
      resolution: side of the input in pixels.
      context: side of the crop over that of the box, see `catpose.data.warp.view_image`.
      normalization: one of `NORMALIZATIONS`.
      frame: the frame of learning: of the target rotations, and of those that the network predicts.
    """

    resolution: int
    context: float
    normalization: str
    frame: str

    @property
    def image(self) -> jax.ShapeDtypeStruct:
        """The form of one image, as a batch: what a network's `init_fn` wants to know."""
        return jax.ShapeDtypeStruct((1, self.resolution, self.resolution, 3), np.float32)

    def normalize(self, image: Num[Array, "B H W 3"]) -> Float[Array, "B H W 3"]:
        """RGB values in [0, 255] -> what the network with these pretrained weights reads."""
        order, scale, mean, deviation = NORMALIZATIONS[self.normalization]
        image = image.astype(float)  # float64 under jax_enable_x64
        if order == "bgr":
            image = image[..., ::-1]
        mean = jnp.array(mean, float)[None, None, None]
        deviation = jnp.array(deviation, float)[None, None, None]
        return (image / scale - mean) / deviation
