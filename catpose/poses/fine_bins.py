"""Render for CNN: azimuth, elevation and theta classified into whole degrees.

A cross-entropy over 360 classes takes a miss by one degree for as bad as one by 180. The
geometry-aware one spreads the truth over the neighbors: bins at a circular distance of d degrees
weigh exp(-d / sigma), up to a distance of `window`. As published, the weights are not normalized.
The most probable degree is decoded.

The frame enters through `catpose.poses.euler`, as in `catpose.poses.euler_bins`.

Reference: Su, Qi, Li and Guibas, Render for CNN, ICCV 2015 ([2] of the paper), equation (1);
sigma and window are those of the released training network.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.poses import angle_density, base, bins, euler

ANGLES, DEGREES = 3, 360
FIRST = np.zeros(ANGLES, np.float32)


def spread(
    degree: Int[Array, "*batch angles"], sigma: Sequence[float], window: Sequence[int]
) -> Float[Array, "*batch angles 360"]:
    """What each bin weighs in the loss.

    Args:
      degree: the true bin of each angle.
      sigma: bandwidth in degrees, for each angle.
      window: largest circular distance in degrees that has a weight.

    Returns:
      1 at the true bin, exp(-distance / sigma) around it, 0 beyond the window.
    """
    shape = (*degree.shape, DEGREES)
    apart = jnp.abs(jnp.broadcast_to(jnp.arange(DEGREES), shape) - degree[..., None])
    distance = jnp.minimum(apart, DEGREES - apart)
    scale = jnp.broadcast_to(jnp.asarray(sigma, jnp.float32)[:, None], shape)
    near = distance <= jnp.broadcast_to(jnp.asarray(window)[:, None], shape)
    return jnp.where(near, jnp.exp(-distance / scale), 0)


def make(
    *,
    sigma: Sequence[float] = (5.0, 3.0, 3.0),
    window: Sequence[int] = (15, 5, 5),
    frame: str = "upright",
    fusion: str = "mixture",
    name: str = "fine_bins",
) -> base.Pose:
    """The representation: 360 log-probabilities for each of azimuth, elevation and theta.

    Args:
      sigma: bandwidth of the loss in degrees, for azimuth, elevation and theta.
      window: distance in degrees up to which it reaches.
      frame: of the rotations, "camera", "upright" or "paper".
      fusion: over the networks, see `catpose.poses.bins.fusion`.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation. Its loss "soft_cross_entropy" is the sum over the angles, in nats; it is
      at its smallest, which is not 0, where the probabilities are as the weights of `spread`.

    Raises:
      ValueError: an unknown fusion.
    """
    shape = (ANGLES, DEGREES)

    def log_probability(outputs):
        return bins.parts(outputs, shape)[0]

    def activate(raw):
        return bins.flat(bins.log_probabilities(log_probability(raw)), axes=raw.ndim - 1)

    def to_rotation(outputs):
        degree = jnp.argmax(log_probability(outputs), axis=-1)
        return euler.to_rotation(bins.center(degree, DEGREES, FIRST), frame=frame)

    def temper(outputs, concentration):
        axes = outputs.ndim - 1
        return bins.flat(
            bins.tempered(log_probability(outputs), concentration, axes=axes), axes=axes
        )

    density = angle_density.of_bins(
        log_probability, temper, num_bins=DEGREES, first=FIRST, frame=frame
    )

    def soft_cross_entropy(outputs, target_rotation):
        target = euler.from_rotation(target_rotation, frame=frame)
        weight = spread(bins.index(target, DEGREES, FIRST), sigma, window)
        return -jnp.sum(weight * log_probability(outputs), axis=(-2, -1))

    return base.Pose(
        name=name,
        num_outputs=ANGLES * DEGREES,
        activate=activate,
        to_rotation=to_rotation,
        losses={"soft_cross_entropy": soft_cross_entropy, "nll": base.nll(density.log_density)},
        **bins.fusion(
            fusion,
            mix=lambda outputs, weights: bins.mixture(outputs, weights)[0],
            best=lambda outputs: log_probability(outputs).max(-1).sum(-1),
        ),
        make=make,
        density=density,
    )


FINE_BINS = make()
