"""What a network takes as its input."""

from typing import NamedTuple

import jax
import numpy as np


class InputSpec(NamedTuple):
    """What must be known to feed a network and to read its poses.

    Attributes:
      resolution: side of the input in pixels.
      context: side of the crop over that of the box, see `catpose.data.augment.view_image`.
      normalization: see `catpose.data.augment.normalize`.
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
