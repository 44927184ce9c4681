"""Viewpoints and Keypoints: azimuth, elevation and theta classified independently.

Each angle has, at every granularity, its own bins over the whole circle: elevation and theta with
a bin centered at 0, azimuth with an edge there, as in the published code. With 7 and 21 bins every
coarse bin is three fine ones. The finest bins are decoded, to their centers; the coarser ones only
help to learn. Elevations beyond +-90 degrees have bins too, which are never the truth. The density
is that of the finest bins, see `catpose.poses.angle_density`.

The frame enters through `catpose.poses.euler`: the angles are read from, and put into, rotations
of the frame of learning. "camera" and "upright" have the same angles.

Reference: Tulsiani and Malik, Viewpoints and Keypoints, CVPR 2015 ([1] of the paper), section 3.1
and its released code.
"""

from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np

from catpose.poses import angle_density, base, bins, euler

ANGLES = 3
# Centers of the bins 0 of azimuth, elevation and theta, in widths.
FIRST = np.array([0.5, 0.0, 0.0], np.float32)


def make(
    *,
    num_bins: Sequence[int] = (7, 21),
    frame: str = "upright",
    fusion: str = "mixture",
    name: str = "euler_bins",
) -> base.Pose:
    """The representation: three log-probabilities for each granularity.

    Args:
      num_bins: bins of each angle at each granularity, from coarse to fine.
      frame: of the rotations, "camera", "upright" or "paper".
      fusion: over the networks, see `catpose.poses.bins.fusion`.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation. Its loss "cross_entropy" is the sum over angles and granularities, in
      nats, "nll" that of the density; its outputs are log-probabilities, for each granularity
      (azimuth, elevation, theta).

    Raises:
      ValueError: no granularity, or an unknown fusion.
    """
    num_bins = tuple(num_bins)
    if not num_bins or min(num_bins) < 1:
        raise ValueError(f"num_bins is {num_bins}; it has one number of bins or more, from 1")
    shapes = [(ANGLES, count) for count in num_bins]

    def activate(raw):
        blocks = map(bins.log_probabilities, bins.parts(raw, *shapes))
        return bins.flat(*blocks, axes=raw.ndim - 1)

    def to_rotation(outputs):
        finest = bins.parts(outputs, *shapes)[-1]
        angles = bins.center(jnp.argmax(finest, axis=-1), num_bins[-1], FIRST)
        return euler.to_rotation(angles, frame=frame)

    def temper(outputs, concentration):
        blocks = [
            bins.tempered(block, concentration, axes=outputs.ndim - 1)
            for block in bins.parts(outputs, *shapes)
        ]
        return bins.flat(*blocks, axes=outputs.ndim - 1)

    density = angle_density.of_bins(
        lambda outputs: bins.parts(outputs, *shapes)[-1],
        temper,
        num_bins=num_bins[-1],
        first=FIRST,
        frame=frame,
    )

    def cross_entropy(outputs, target_rotation):
        target = euler.from_rotation(target_rotation, frame=frame)
        losses = [
            bins.cross_entropy(block, bins.index(target, count, FIRST)).sum(-1)
            for block, count in zip(bins.parts(outputs, *shapes), num_bins, strict=True)
        ]
        return sum(losses[1:], losses[0])

    return base.Pose(
        name=name,
        num_outputs=ANGLES * sum(num_bins),
        activate=activate,
        to_rotation=to_rotation,
        losses={"cross_entropy": cross_entropy, "nll": base.nll(density.log_density)},
        **bins.fusion(
            fusion,
            mix=lambda outputs, weights: bins.mixture(outputs, weights)[0],
            best=lambda outputs: bins.parts(outputs, *shapes)[-1].max(-1).sum(-1),
        ),
        make=make,
        density=density,
    )


EULER_BINS = make()
