"""MultiBin: overlapping bins of each angle, and in each bin the rest of the angle.

For azimuth, elevation and theta each, n bins around the circle are wider than their distance, so
that an angle near an edge is in two of them. Each bin has a log-probability and a unit vector: the
cosine and sine of the angle from the bin's center. The angle of the most probable bin is decoded.

Fusion mixes the bins; the vector of a bin is the average of the networks' by P(c | bin), whose
direction is the circular mean. Fused vectors are therefore shorter than 1, and the localization
loss of the mixture is the networks' expected one.

The density: in each bin a von Mises distribution about its angle, with the concentration 1 /
spread^2 times the length of the vector, relative to the uniform distribution on SO(3) (see
`catpose.poses.angle_density`). The publication states no density and no spread.

The frame enters through `catpose.poses.euler`, as in `catpose.poses.euler_bins`.

Reference: Mousavian, Anguelov, Flynn and Kosecka, 3D bounding box estimation using deep learning
and geometry, CVPR 2017 ([3] of the paper), section 4.1, equations (2) and (3).
"""

import jax
import jax.numpy as jnp
import numpy as np

from catpose.geometry import so3
from catpose.poses import angle_density, base, bins, euler

ANGLES = 3
FIRST = np.zeros(ANGLES, np.float32)
_CELLS = 360  # of each angle, on which the density is normalized and sampled


def make(
    *,
    num_bins: int = 8,
    overlap: float = 0.1,
    localization_weight: float = 0.4,
    spread_deg: float = 10.0,
    frame: str = "upright",
    fusion: str = "mixture",
    name: str = "multibin",
) -> base.Pose:
    """The representation: a log-probability, a cosine and a sine for each bin of each angle.

    Args:
      num_bins: n, bins of each angle; their centers are at multiples of 2 pi / n.
      overlap: how far each bin reaches into each of its neighbors, as a share of 2 pi / n;
        below 0.5.
      localization_weight: w, what the localization loss weighs.
      spread_deg: deviation in degrees of the density about the angle in a bin.
      frame: of the rotations, "camera", "upright" or "paper".
      fusion: over the networks, see `catpose.poses.bins.fusion`.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation. Its loss "multibin" is the sum over the angles of the cross-entropy with
      the bins that cover the true angle, in equal parts, and of w times the mean over them of
      1 - cos(error): the publication's -cos, moved so that a perfect residual costs nothing.

    Raises:
      ValueError: no bin, an overlap outside [0, 0.5), no spread, or an unknown fusion.
    """
    if num_bins < 1 or not 0 <= overlap < 0.5 or not spread_deg > 0:
        raise ValueError(
            f"num_bins is {num_bins}, from 1; overlap {overlap}, within [0, 0.5); spread_deg "
            f"{spread_deg}, above 0"
        )
    shapes = [(ANGLES, num_bins), (ANGLES, num_bins, 2)]
    centers = np.arange(num_bins, dtype=np.float32) * np.float32(2 * np.pi / num_bins)
    concentration = float(np.radians(spread_deg)) ** -2

    def activate(raw):
        logits, vector = bins.parts(*so3.at_least_float32(raw), *shapes)
        forward = jnp.broadcast_to(jnp.asarray([1, 0], vector.dtype), vector.shape)
        unit = base.unit(vector, forward)
        return bins.flat(bins.log_probabilities(logits), unit, axes=raw.ndim - 1)

    def to_rotation(outputs):
        log_probability, vector = bins.parts(outputs, *shapes)
        chosen = jnp.argmax(log_probability, axis=-1)
        cosine, sine = (
            jnp.take_along_axis(vector[..., i], chosen[..., None], axis=-1)[..., 0] for i in (0, 1)
        )
        rest = jnp.arctan2(sine, cosine)
        return euler.to_rotation(bins.center(chosen, num_bins, FIRST) + rest, frame=frame)

    def multibin(outputs, target_rotation):
        log_probability, vector = bins.parts(outputs, *shapes)
        target = euler.from_rotation(target_rotation, frame=frame)[..., None]
        rest = target - jnp.broadcast_to(centers, (*target.shape[:-1], num_bins))
        distance = jnp.abs(jnp.mod(rest + jnp.pi, 2 * jnp.pi) - jnp.pi)
        covers = distance <= (0.5 + overlap) * 2 * np.pi / num_bins
        # Rounding must not leave an edge between two bins uncovered.
        covers |= distance == distance.min(-1, keepdims=True)
        share = covers / covers.sum(-1, keepdims=True)
        error = 1 - jnp.cos(rest) * vector[..., 0] - jnp.sin(rest) * vector[..., 1]
        loss = share * (localization_weight * error - log_probability)
        return jnp.sum(loss, axis=(-2, -1))

    volume = angle_density.log_volume(_CELLS, FIRST, frame)
    cells = np.arange(_CELLS, dtype=np.float32) * np.float32(2 * np.pi / _CELLS)

    def in_bins(outputs, angles):
        """Log-density of each bin at angles (..., 3, n), not normalized, (..., 3, n, bins)."""
        _, vector = bins.parts(outputs, *shapes)
        rest = angles[..., None]
        rest = rest - jnp.broadcast_to(centers, (*rest.shape[:-1], num_bins))
        x, y = vector[..., None, :, 0], vector[..., None, :, 1]
        return concentration * (x * jnp.cos(rest) + y * jnp.sin(rest))

    def log_at(outputs, angles):
        """Log-density relative to the uniform distribution, (..., 3, n)."""
        log_probability, _ = bins.parts(outputs, *shapes)
        every = jnp.broadcast_to(cells, (*outputs.shape[:-1], ANGLES, _CELLS))
        every = in_bins(outputs, every)
        weight = jnp.broadcast_to(volume.astype(every.dtype)[..., None], every.shape)
        log_constant = jax.nn.logsumexp(every + weight, axis=-2, keepdims=True)
        each = in_bins(outputs, angles) - log_constant + log_probability[..., None, :]
        return jax.nn.logsumexp(each, axis=-1)

    def log_mass(outputs):
        every = jnp.broadcast_to(cells, (*outputs.shape[:-1], ANGLES, _CELLS))
        mass = log_at(outputs, every)
        return bins.log_probabilities(
            mass + jnp.broadcast_to(volume.astype(mass.dtype), mass.shape)
        )

    def temper(outputs, concentration):
        axes = outputs.ndim - 1
        log_probability, vector = bins.parts(outputs, *shapes)
        by = jnp.asarray(concentration, vector.dtype)
        by = jnp.broadcast_to(by, vector.shape[:axes])[..., None, None, None]
        log_probability = bins.tempered(log_probability, concentration, axes=axes)
        return bins.flat(log_probability, by * vector, axes=axes)

    density = angle_density.density(
        lambda outputs, angles: log_at(outputs, angles[..., None])[..., 0],
        log_mass,
        temper,
        num_cells=_CELLS,
        first=FIRST,
        frame=frame,
    )

    def mix(outputs, weights):
        log_probability, vector = bins.parts(outputs, *shapes)
        log_probability = bins.flat(log_probability, axes=2)
        mixed, posterior = bins.mixture(log_probability, weights)
        posterior = bins.parts(posterior, *shapes[:1])[0][..., None]
        return bins.flat(mixed, jnp.sum(posterior * vector, axis=1), axes=1)

    return base.Pose(
        name=name,
        num_outputs=ANGLES * num_bins * 3,
        activate=activate,
        to_rotation=to_rotation,
        losses={"multibin": multibin, "nll": base.nll(density.log_density)},
        **bins.fusion(
            fusion, mix, best=lambda outputs: bins.parts(outputs, *shapes)[0].max(-1).sum(-1)
        ),
        make=make,
        density=density,
    )


MULTIBIN = make()
