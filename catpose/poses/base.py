"""What a pose representation is, one value of one small struct, and what representations share."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.geometry import so3

Outputs = Float[Array, "*batch outputs"]
Rotation = Float[Array, "*batch 3 3"]
PerExample = Float[Array, "*batch"]


class Density(NamedTuple):
    """The probability density on SO(3) that a network's outputs are.

    Log-densities are in nats with respect to the uniform distribution, whose own is 0, and in the
    frame of learning.

    Attributes:
      log_density: activated or fused outputs (..., P) and rotation matrices (..., 3, 3), whose
        leading axes broadcast -> (...).
      modes: outputs (..., P) and k -> the k most probable modes (..., k, 3, 3), the most probable
        first, and their log-densities (..., k). Where there are fewer, the rest repeat the first
        with log-density -inf.
      sample: PRNG key, outputs (..., P) and n -> n independent rotations of each, (n, ..., 3, 3).
      temper: outputs (..., P) and a concentration, a scalar or (...), positive -> outputs of a
        density that is flatter below 1 and sharper above it; those given at 1.
      turned: outputs (..., P) and a rotation D (3, 3) -> outputs whose density at R is that of the
        given ones at D R. Where it is not None, sums of outputs are products of densities.
    """

    log_density: Callable[[Outputs, Rotation], PerExample]
    modes: Callable[[Outputs, int], tuple[Float[Array, "..."], Float[Array, "..."]]]
    sample: Callable[[Array, Outputs, int], Float[Array, "..."]]
    temper: Callable[[Outputs, Any], Outputs]
    turned: Callable[[Outputs, Float[Array, "3 3"]], Outputs] | None = None


class Pose(NamedTuple):
    """A way to write a rotation as the numbers that a pose network puts out.

    Attributes:
      name: key of the representation in `catpose.poses.POSES`.
      num_outputs: P, how many numbers a pose network puts out.
      activate: non-linearity at the end of each pose network, (..., P) -> (..., P), applied before
        fusion as in the paper.
      to_rotation: activated or fused outputs (..., P) -> rotation matrices (..., 3, 3).
      losses: name -> function of the outputs (..., P) and the target rotation (..., 3, 3) in the
        same frame, one loss per example (...), never reduced.
      fuse: outputs of K pose networks (B, K, P) and weights (B, K) that sum to 1 -> (B, P).
      choose: where `fuse` picks one network's pose: which, (B,), of the same arguments; None where
        all networks have a say.
      mirror: outputs (..., P) -> those of the same object in the left-right mirrored picture; None
        where a representation cannot say them.
      make: the representation with other settings, which are its keywords; None where it has none.
        A keyword `frame` is the frame of learning, a keyword `keys` the key rotations fitted to
        the training split.
      density: what the outputs say of every rotation; None where they are one rotation alone.
    """

    name: str
    num_outputs: int
    activate: Callable[[Outputs], Outputs]
    to_rotation: Callable[[Outputs], Rotation]
    losses: Mapping[str, Callable[[Outputs, Rotation], PerExample]]
    fuse: Callable[
        [Float[Array, "batch networks outputs"], Float[Array, "batch networks"]],
        Float[Array, "batch outputs"],
    ]
    choose: (
        Callable[
            [Float[Array, "batch networks outputs"], Float[Array, "batch networks"]],
            Int[Array, " batch"],
        ]
        | None
    ) = None
    mirror: Callable[[Outputs], Outputs] | None = None
    make: Callable[..., Any] | None = None
    density: Density | None = None


def weighted_sum(
    outputs: Float[Array, "batch networks outputs"], weights: Float[Array, "batch networks"]
) -> Float[Array, "batch outputs"]:
    """Fusion in R^P. With one-hot weights it is exactly the output of the selected network.

    Args:
      outputs: activated outputs of the K pose networks, in any unit.
      weights: weight of each network, summing to 1 over the networks.

    Returns:
      Their weighted sum in at least float32.

    Reference: equations (1) and (2) of the paper.
    """
    # Not a matmul: the default precision of an accelerator would round the outputs.
    outputs, weights = so3.at_least_float32(outputs, weights)
    return jnp.sum(outputs * weights[..., None], axis=1)


def unit(
    vector: Float[Array, "*batch n"], fallback: Float[Array, "*batch n"], shortest: float = 1e-12
) -> Float[Array, "*batch n"]:
    """The direction of a vector.

    Args:
      vector: any vectors.
      fallback: returned for vectors without a direction.
      shortest: vectors of at most this length have none; the default is where the gradient
        would leave the range of float32.

    Returns:
      Vectors of length 1, or the fallback; there the gradient with respect to `vector` is 0.
    """
    squared = jnp.sum(vector * vector, axis=-1, keepdims=True)
    usable = squared > shortest**2
    # Where there is no direction the root gets a harmless argument: `where` alone would let its
    # NaN through in the gradient.
    return jnp.where(usable, vector * jax.lax.rsqrt(jnp.where(usable, squared, 1)), fallback)


def offset(identity: Float[np.ndarray, " outputs"]) -> Callable[[Outputs], Outputs]:
    """The activation raw + identity, for representations with a singular point at 0.

    The publications have no offset, which a bias of the last layer could undo. With it a network
    whose initial last layer is small begins at the identity; without it, beside the singular point
    0, where any direction is one small step away.

    Args:
      identity: the outputs that are the identity rotation.

    Returns:
      A function of the outputs of the last linear layer, in at least float32.
    """

    def activate(raw):
        (raw,) = so3.at_least_float32(raw)
        return raw + jnp.broadcast_to(identity.astype(raw.dtype), raw.shape)

    return activate


def decoded(
    to_rotation: Callable[[Outputs], Rotation],
    loss_fn: Callable[[Rotation, Rotation], PerExample],
) -> Callable[[Outputs, Rotation], PerExample]:
    """A loss of outputs, from a loss of two rotations.

    Args:
      to_rotation: outputs -> rotation matrices.
      loss_fn: predicted and true rotation matrices -> one loss per example.

    Returns:
      The function of outputs and true rotation matrices that `Pose.losses` holds.
    """
    return lambda outputs, target_rotation: loss_fn(to_rotation(outputs), target_rotation)


def chordal(
    rotation: Float[Array, "*batch 3 3"], target_rotation: Float[Array, "*batch 3 3"]
) -> Float[Array, "*batch"]:
    """Squared Frobenius norm of the difference of two matrices.

    Of rotations at a geodesic distance d it is 8 sin(d/2)^2: smooth everywhere, with a gradient
    that vanishes at the target, where the geodesic distance has a kink, and at pi.

    Args:
      rotation: predicted rotation matrices, or any 3x3 matrices.
      target_rotation: true rotation matrices in the same frame.

    Returns:
      The sum over the nine entries, in [0, 8] for rotations.
    """
    rotation, target_rotation = so3.at_least_float32(rotation, target_rotation)
    return jnp.sum((rotation - target_rotation) ** 2, axis=(-2, -1))


def aligned(
    outputs: Float[Array, "... outputs"], rotation: Float[Array, "... 3 3"]
) -> tuple[Float[Array, "... outputs"], Float[Array, "... 3 3"]]:
    """Outputs (..., P) and rotations (..., 3, 3) with equally many leading axes, which broadcast.

    None of the two is repeated in memory for the other.
    """
    axes = max(outputs.ndim - 1, rotation.ndim - 2)
    outputs = outputs.reshape(*[1] * (axes + 1 - outputs.ndim), *outputs.shape)
    return outputs, rotation.reshape(*[1] * (axes + 2 - rotation.ndim), *rotation.shape)


def nll(
    log_density: Callable[[Outputs, Rotation], PerExample],
) -> Callable[[Outputs, Rotation], PerExample]:
    """The loss of a representation that has a density: minus the target's log-density, in nats.

    It is 0 for the uniform distribution and negative where the network knows more, without a lower
    bound.
    """
    return lambda outputs, target_rotation: -log_density(outputs, target_rotation)


def scaled(outputs: Outputs, concentration: Any) -> Outputs:
    """`Density.temper` where outputs times a number are the density to that power, normalized."""
    (outputs,) = so3.at_least_float32(outputs)
    by = jnp.asarray(concentration, outputs.dtype)
    return outputs * jnp.expand_dims(by, range(by.ndim, outputs.ndim))
