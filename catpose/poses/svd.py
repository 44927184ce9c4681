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

_PAIRS = ((0, 1), (0, 2), (1, 2))
_SWEEPS = 8  # each at least squares what is left; six are enough in float64


def as_matrix(outputs: Float[Array, "*batch 9"]) -> Float[Array, "*batch 3 3"]:
    """The outputs as matrices, in at least float32."""
    (outputs,) = so3.at_least_float32(outputs)
    return outputs.reshape(*outputs.shape[:-1], 3, 3)


def _turn_pair(columns: tuple, others: tuple, p: int, q: int) -> tuple[tuple, tuple]:
    """Turns columns p and q in their plane until they are perpendicular; `others` by as much."""
    first, second = columns[p], columns[q]
    product = jnp.sum(first * second, axis=-1, keepdims=True)
    difference = jnp.sum(second * second - first * first, axis=-1, keepdims=True)
    turns = product != 0
    ratio = difference / jnp.where(turns, 2 * product, 1)
    tangent = jnp.where(ratio < 0, -1, 1) / (jnp.abs(ratio) + jnp.sqrt(1 + ratio * ratio))
    tangent = jnp.where(turns, tangent, 0)
    cosine = jax.lax.rsqrt(1 + tangent * tangent)
    sine = cosine * tangent

    def turned(vectors):
        vectors = list(vectors)
        x, y = vectors[p], vectors[q]
        vectors[p], vectors[q] = cosine * x - sine * y, sine * x + cosine * y
        return tuple(vectors)

    return turned(columns), turned(others)


def _sort_pair(columns: tuple, others: tuple, p: int, q: int) -> tuple[tuple, tuple]:
    """Exchanges p and q where column q is the longer one."""
    longer = jnp.sum(columns[q] ** 2 - columns[p] ** 2, axis=-1, keepdims=True) > 0

    def sorted_by_length(vectors):
        vectors = list(vectors)
        x, y = vectors[p], vectors[q]
        vectors[p], vectors[q] = jnp.where(longer, y, x), jnp.where(longer, x, y)
        return tuple(vectors)

    return sorted_by_length(columns), sorted_by_length(others)


@jax.jit
def proper(
    matrix: Float[Array, "*batch 3 3"],
) -> tuple[Float[Array, "*batch 3 3"], Float[Array, "*batch 3"], Float[Array, "*batch 3 3"]]:
    """Singular value decomposition by two rotations, M = U diag(s) V'.

    Not for differentiation: U and V jump where singular values are equal. By turning pairs of
    columns until all are perpendicular (Jacobi; Hestenes 1958), in elementwise operations: that is
    faster for many small matrices than LAPACK, of which several calls in one program can wait for
    each other on a CPU, and than what an accelerator makes of `jnp.linalg.svd`.

    Args:
      matrix: any matrices.

    Returns:
      U, the singular values s1 >= s2 >= |s3| of which the last has the sign of the determinant,
      and V.
    """
    scale = jnp.max(jnp.abs(matrix), axis=(-2, -1), keepdims=True)
    scale = jnp.where(scale > 0, scale, 1)
    columns = tuple((matrix / scale)[..., i] for i in range(3))
    axes = tuple(jnp.broadcast_to(row, columns[0].shape) for row in jnp.eye(3, dtype=matrix.dtype))

    def sweep(_, state):
        for pair in _PAIRS:
            state = _turn_pair(*state, *pair)
        return state

    columns, right = jax.lax.fori_loop(0, _SWEEPS, sweep, (columns, axes))
    for pair in ((0, 1), (1, 2), (0, 1)):
        columns, right = _sort_pair(columns, right, *pair)
    # What rounding or rank leave open is completed to a right-handed frame.
    first = base.unit(columns[0], axes[0])
    # Any direction across the first: from the coordinate axis that it is least along.
    least = jax.nn.one_hot(jnp.argmin(jnp.abs(first), axis=-1), 3, dtype=matrix.dtype)
    second = base.unit(_across(columns[1], first), base.unit(_across(least, first), axes[1]))
    second = base.unit(_across(second, first), axes[1])
    left = (first, second, jnp.cross(first, second))
    third = jnp.cross(right[0], right[1])
    mirrored = jnp.where(jnp.sum(third * right[2], axis=-1) < 0, -1, 1)
    values = [jnp.linalg.norm(column, axis=-1) for column in columns[:2]]
    smallest = jnp.sum(left[2] * columns[2], axis=-1) * mirrored
    values = [*values, jnp.clip(smallest, -values[1], values[1])]
    return (
        jnp.stack(left, axis=-1),
        jnp.stack(values, axis=-1) * scale[..., 0],
        jnp.stack([right[0], right[1], third], axis=-1),
    )


def _across(vector, unit):
    """What is left of a vector without its part along a unit vector."""
    return vector - unit * jnp.sum(vector * unit, axis=-1, keepdims=True)


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
