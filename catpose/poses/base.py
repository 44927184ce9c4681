"""What a pose representation is: one value of one small struct, no class hierarchy."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from jaxtyping import Array, Float, Int

Outputs = Float[Array, "*batch outputs"]
Rotation = Float[Array, "*batch 3 3"]
PerExample = Float[Array, "*batch"]


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
      make: the representation with other settings, which are its keywords; None where it has none.
        A keyword `frame` is the frame of learning, a keyword `keys` the key rotations fitted to
        the training split.
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
    make: Callable[..., Any] | None = None
