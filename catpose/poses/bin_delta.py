"""Bin and delta: which key rotation of a dictionary, and how far from it.

The dictionary is common to all categories and a constant that the representation closes over: a
change of it is another representation, and whoever keeps trained weights keeps it with them.
The outputs are M log-probabilities and axis-angle vectors delta in radians: one, or one for each
key rotation.

Two compositions, named as the publication's models. "riemannian": R = R_k exp(delta), the delta
on the right, in the object's axes. "geodesic": R = exp(log(R_k) + delta), which has the seam of
the axis-angle at angle pi. Distances to the key rotations, for the bin of a target, are those of
the composition: on the group, or of the axis-angle vectors.

The density: around each bin's rotation an isotropic matrix Fisher distribution, whose deviation
about every axis is the spread for narrow ones. The publications state no density and no spread.
The log-probabilities of a flatter or sharper density are those of bins that do not sum to 1: their
sum is what its concentration is multiplied by. (What decodes them takes the largest alone.)

Reference: Mahendran, Ali and Vidal, A mixed classification-regression framework for 3D pose
estimation from 2D images, BMVC 2018, and its released code.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base, bins, dictionary, matrix_fisher_mixture


class DeltaRule(NamedTuple):
    """How a key rotation and a delta make a rotation.

    Attributes:
      compose: key rotation, delta -> rotation.
      between: key rotation, rotation -> the delta that leads to it; its norm is their distance.
    """

    compose: Callable[[Array, Array], Array]
    between: Callable[[Array, Array], Array]


COMPOSITIONS: Mapping[str, DeltaRule] = {
    "riemannian": DeltaRule(
        compose=lambda key, delta: so3.multiply(key, so3.exp(delta)),
        between=lambda key, rotation: so3.log(so3.multiply(jnp.swapaxes(key, -1, -2), rotation)),
    ),
    "geodesic": DeltaRule(
        compose=lambda key, delta: so3.exp(so3.log(key) + delta),
        between=lambda key, rotation: so3.log(rotation) - so3.log(key),
    ),
}
DELTAS = ("shared", "per_bin")


def make(
    keys: Float[np.ndarray, "bins 3 3"] | None = None,
    *,
    composition: str = "riemannian",
    delta: str = "shared",
    delta_weight: float = 1.0,
    gamma: float = 10.0,
    spread_deg: float = 10.0,
    fusion: str = "mixture",
    name: str = "bin_delta",
) -> base.Pose:
    """The representation on a dictionary.

    Fusion mixes the bins over the networks c. A delta of one bin is the average of the networks'
    by P(c | bin); where there is one delta for all bins, by P(c | the most probable bin).

    Args:
      keys: the dictionary, M rotations in the frame of the targets; None for those of the cube.
      composition: "riemannian" or "geodesic", see above.
      delta: "shared" for one, "per_bin" for one for each key rotation.
      delta_weight: alpha, what the second term of each loss weighs.
      gamma: sharpness of the soft assignment, per squared radian.
      spread_deg: deviation in degrees of the density about the rotation of a bin.
      fusion: over the networks, see `catpose.poses.bins.fusion`.
      name: key in `catpose.poses.POSES`.

    Returns:
      The representation, with "nll", that of the density, and three losses:
        "geodesic": cross-entropy of the target's bin + alpha times the geodesic distance of the
          decoded rotation, of the most probable bin, right or wrong.
        "mse": cross-entropy + alpha times the mean squared error of the delta of the target's
          bin; the publication starts with it.
        "probabilistic": the divergence of the bins from the soft assignment, as
          exp(-gamma distance^2), + alpha times the expected geodesic distance over the bins.

    Raises:
      ValueError: an unknown composition, delta or fusion, or no spread.
    """
    if composition not in COMPOSITIONS or delta not in DELTAS:
        raise ValueError(
            f"composition is one of {', '.join(COMPOSITIONS)} and delta of {', '.join(DELTAS)}, "
            f"not {composition!r} and {delta!r}"
        )
    if not spread_deg > 0:
        raise ValueError(f"spread_deg is {spread_deg}, above 0")
    # In numpy, and its logarithm not before it is needed: an import must not start a backend.
    keys = np.asarray(dictionary.cube() if keys is None else keys, np.float32)
    num_bins = len(keys)
    shapes = [(num_bins,), (num_bins if delta == "per_bin" else 1, 3)]

    compose, between = COMPOSITIONS[composition]

    def squared_distance(rotation):
        """To each key rotation, (..., bins)."""
        each = jnp.broadcast_to(keys, (*rotation.shape[:-2], num_bins, 3, 3))
        return jnp.sum(between(each, rotation[..., None, :, :]) ** 2, axis=-1)

    def pick(deltas, chosen):
        if delta == "shared":
            return deltas[..., 0, :]
        return jnp.take_along_axis(deltas, chosen[..., None, None], axis=-2)[..., 0, :]

    def activate(raw):
        logits, deltas = bins.parts(*so3.at_least_float32(raw), *shapes)
        return bins.flat(bins.log_probabilities(logits), deltas, axes=raw.ndim - 1)

    def to_rotation(outputs):
        log_probability, deltas = bins.parts(outputs, *shapes)
        chosen = jnp.argmax(log_probability, axis=-1)
        return compose(jnp.asarray(keys)[chosen], pick(deltas, chosen))

    def geodesic(outputs, target_rotation):
        log_probability, _ = bins.parts(outputs, *shapes)
        label = jnp.argmin(squared_distance(target_rotation), axis=-1)
        rest = losses.geodesic(to_rotation(outputs), target_rotation)
        return bins.cross_entropy(log_probability, label) + delta_weight * rest

    def mse(outputs, target_rotation):
        log_probability, deltas = bins.parts(outputs, *shapes)
        label = jnp.argmin(squared_distance(target_rotation), axis=-1)
        wanted = between(jnp.asarray(keys)[label], target_rotation)
        error = jnp.mean((pick(deltas, label) - wanted) ** 2, axis=-1)
        return bins.cross_entropy(log_probability, label) + delta_weight * error

    def probabilistic(outputs, target_rotation):
        log_probability, deltas = bins.parts(outputs, *shapes)
        wanted = jax.nn.log_softmax(-gamma * squared_distance(target_rotation))
        divergence = jnp.sum(jnp.exp(wanted) * (wanted - log_probability), axis=-1)
        each = jnp.broadcast_to(keys, (*deltas.shape[:-2], num_bins, 3, 3))
        each = compose(each, jnp.broadcast_to(deltas, each.shape[:-1]))
        target = jnp.broadcast_to(target_rotation[..., None, :, :], each.shape)
        distance = losses.geodesic(each, target)
        return divergence + delta_weight * jnp.sum(jnp.exp(log_probability) * distance, axis=-1)

    def components(outputs):
        log_probability, deltas = bins.parts(*so3.at_least_float32(outputs), *shapes)
        every = jnp.broadcast_to(keys, (*outputs.shape[:-1], num_bins, 3, 3))
        every = compose(every, jnp.broadcast_to(deltas, every.shape[:-1]))
        total = jax.nn.logsumexp(log_probability, axis=-1, keepdims=True)
        value = jnp.exp(total) / (2 * float(np.radians(spread_deg)) ** 2)
        return log_probability - total, value[..., None, None] * every

    def temper(outputs, concentration):
        axes = outputs.ndim - 1
        log_probability, deltas = bins.parts(outputs, *shapes)
        by = jnp.log(jnp.asarray(concentration, log_probability.dtype))
        by = jnp.broadcast_to(by, outputs.shape[:-1])[..., None]
        return bins.flat(
            bins.tempered(log_probability, concentration, axes=axes) + by, deltas, axes=axes
        )

    density = matrix_fisher_mixture.density(components, temper)

    def mix(outputs, weights):
        log_probability, deltas = bins.parts(outputs, *shapes)
        mixed, posterior = bins.mixture(log_probability, weights)
        if delta == "shared":
            chosen = jnp.argmax(mixed, axis=-1)[:, None, None]
            posterior = jnp.take_along_axis(posterior, chosen, axis=-1)
        return bins.flat(mixed, jnp.sum(posterior[..., None] * deltas, axis=1), axes=1)

    return base.Pose(
        name=name,
        num_outputs=num_bins + 3 * shapes[1][0],
        activate=activate,
        to_rotation=to_rotation,
        losses={
            "geodesic": geodesic,
            "mse": mse,
            "probabilistic": probabilistic,
            "nll": base.nll(density.log_density),
        },
        **bins.fusion(fusion, mix, best=lambda outputs: bins.parts(outputs, *shapes)[0].max(-1)),
        make=make,
        density=density,
    )


BIN_DELTA = make()
