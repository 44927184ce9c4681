"""The azimuth's density: that of a pose, over all elevations and thetas."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3, viewpoint
from catpose.poses import base

_ELEVATIONS, _THETAS = 24, 48  # of the grid: 7.5 degrees apart


def _views(frame):
    """Elevations and thetas of the grid, and their shares of the uniform distribution."""
    if frame == "paper":  # whose volume is as the sine of elevations on both sides of 0
        node, weight = np.polynomial.legendre.leggauss(_ELEVATIONS // 2)
        half = np.arccos((node + 1) / 2)
        elevation, weight = np.concatenate([half, -half]), np.tile(weight, 2)
    else:
        node, weight = np.polynomial.legendre.leggauss(_ELEVATIONS)
        elevation = np.arcsin(node)
    theta = np.arange(_THETAS) * (2 * np.pi / _THETAS)
    elevation, theta = (x.reshape(-1) for x in np.meshgrid(elevation, theta, indexing="ij"))
    return elevation, theta, np.repeat(weight / weight.sum() / _THETAS, _THETAS)


def log_density(
    density: base.Density,
    outputs: Float[Array, "batch outputs"],
    rotation: Float[Array, "batch 3 3"],
    frame: str,
) -> Float[Array, " batch"]:
    """Logarithm of the marginal density of a rotation's azimuth.

    It is a sum over a grid, for densities that are not much narrower than 5 degrees. In frame
    "paper" elevations up to 90 degrees reach half of all rotations, and the mean density is that
    over this half: what the density has elsewhere is lost.

    Args:
      density: of the pose.
      outputs: of the density.
      rotation: whose azimuths are meant.
      frame: of the rotations, "camera", "upright" or "paper".

    Returns:
      Nats, 0 where all azimuths are equally probable.
    """
    elevation, theta, weight = _views(frame)
    turned, _, _ = viewpoint.angles_from_rotation(jax.lax.stop_gradient(rotation), frame)
    shape = (len(outputs), len(elevation))
    angles = (turned[:, None], jnp.asarray(elevation)[None], jnp.asarray(theta)[None])
    angles = (jnp.broadcast_to(x, shape) for x in so3.at_least_float32(*angles))
    views = viewpoint.rotation_from_angles(*angles, frame=frame)
    each = density.log_density(outputs[:, None], views)
    weight = jnp.broadcast_to(weight.astype(each.dtype), shape)
    return jax.scipy.special.logsumexp(each, axis=1, b=weight)
