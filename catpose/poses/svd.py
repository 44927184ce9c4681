"""Nine numbers: a 3x3 matrix, row by row, projected to the nearest rotation.

Reference: Levinson, Esteves, Chen, Snavely, Kanazawa, Rostamizadeh and Makadia, An Analysis of SVD
for Deep Rotation Estimation, 2020.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose import losses
from catpose.geometry import so3
from catpose.poses import base


def as_matrix(outputs: Float[Array, "*batch 9"]) -> Float[Array, "*batch 3 3"]:
    """The outputs as matrices, in at least float32."""
    (outputs,) = so3.at_least_float32(outputs)
    return outputs.reshape(*outputs.shape[:-1], 3, 3)


def _times_third_column(matrix, sign):
    ones = jnp.ones_like(sign)
    return matrix * jnp.stack([ones, ones, sign], axis=-1)[..., None, :]


def _handedness(orthogonal):
    """1 for a rotation, -1 for a reflection."""
    x, y, z = (orthogonal[..., i] for i in range(3))
    return jnp.where(jnp.sum(jnp.cross(x, y) * z, axis=-1) < 0, -1, 1).astype(orthogonal.dtype)


@jax.jit
def proper(
    matrix: Float[Array, "*batch 3 3"],
) -> tuple[Float[Array, "*batch 3 3"], Float[Array, "*batch 3"], Float[Array, "*batch 3 3"]]:
    """Singular value decomposition by two rotations, M = U diag(s) V'.

    Not for differentiation: U and V jump where singular values are equal.

    Args:
      matrix: any matrices.

    Returns:
      U, the singular values s1 >= s2 >= |s3| of which the last has the sign of the determinant,
      and V.
    """
    left, values, right = jnp.linalg.svd(matrix)
    right = jnp.swapaxes(right, -1, -2)
    turn_left, turn_right = _handedness(left), _handedness(right)
    values = jnp.concatenate(
        [values[..., :2], (values[..., 2] * turn_left * turn_right)[..., None]], axis=-1
    )
    return _times_third_column(left, turn_left), values, _times_third_column(right, turn_right)


@jax.custom_jvp
def nearest_rotation(matrix: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3 3"]:
    """The rotation R nearest to a matrix M in the Frobenius norm, which also maximizes tr(R'M).

    Args:
      matrix: any matrices in float32 or float64.

    Returns:
      Rotation matrices U V'; where several are equally near (s2 = -s3) one of them. The gradient
      is that of the closed form, not of the decomposition: only s2 = -s3 is singular, equal
      singular values are not. What is undetermined there has gradient 0.

    Reference: Levinson et al. 2020.
    """
    left, _, right = proper(matrix)
    return so3.multiply(left, jnp.swapaxes(right, -1, -2))


@nearest_rotation.defjvp
def _nearest_rotation_jvp(primals, tangents):
    (matrix,), (tangent,) = primals, tangents
    left, values, right = proper(matrix)
    transposed = jnp.swapaxes(right, -1, -2)
    # With dR = U W V', W skew, the skew part of U' dM V is W S + S W: W_ij (s_i + s_j).
    inner = so3.multiply(so3.multiply(jnp.swapaxes(left, -1, -2), tangent), right)
    sums = values[..., :, None] + values[..., None, :]
    smallest = jnp.finfo(matrix.dtype).eps * values[..., :1, None] + 1e-12
    usable = sums > smallest
    turn = (inner - jnp.swapaxes(inner, -1, -2)) / jnp.where(usable, sums, 1)
    turn = jnp.where(usable, turn, 0)
    return so3.multiply(left, transposed), so3.multiply(so3.multiply(left, turn), transposed)


def to_rotation(outputs: Float[Array, "*batch 9"]) -> Float[Array, "*batch 3 3"]:
    """The rotation nearest to the matrix of the outputs, see `nearest_rotation`.

    Args:
      outputs: matrices, row by row.

    Returns:
      Rotation matrices; the gradient is finite everywhere.
    """
    return nearest_rotation(as_matrix(outputs))


SVD = base.Pose(
    name="svd",
    num_outputs=9,
    activate=base.offset(np.eye(3).reshape(9)),
    to_rotation=to_rotation,
    losses={
        "geodesic": base.decoded(to_rotation, losses.geodesic),
        "chordal": base.decoded(to_rotation, base.chordal),
        # Of the matrix itself. The rotation is then taken at inference alone (SVD-Inference in the
        # publication, which found training through it, the loss "chordal", to be better).
        "raw": base.decoded(as_matrix, base.chordal),
    },
    fuse=base.weighted_sum,
)
