"""The paper's representation: axis times angle in radians, each component within (-pi, pi).

The components fill a cube whose corners have norm sqrt(3) pi, so some rotations have two vectors.
A weighted sum of vectors on the two sides of the cut at angle pi is far from all of them.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base


def activate(raw: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3"]:
    """pi * tanh of each component.

    Args:
      raw: outputs of the last linear layer.

    Returns:
      Axis-angle vectors in radians, each component in [-pi, pi].
    """
    (raw,) = so3.at_least_float32(raw)
    return jnp.pi * jnp.tanh(raw)


AXIS_ANGLE = base.Pose(
    name="axis_angle",
    num_outputs=3,
    activate=activate,
    to_rotation=so3.exp,
    losses={"geodesic": base.decoded(so3.exp, losses.geodesic), "mse": losses.axis_angle_mse},
    fuse=base.weighted_sum,
)
