"""Rotations in three dimensions: matrices, axis-angle vectors and unit quaternions.

Conventions: a rotation is a 3x3 matrix that acts on column vectors, `omega` is the axis times the
angle in radians (right-handed), a quaternion is stored as (w, x, y, z). Every function takes any
leading axes and broadcasts them, computes in at least float32 (float64 stays float64) and has
finite gradients everywhere.

Products are written out elementwise: a matrix unit that rounds to TF32 or bfloat16 would turn a
zero angle into several degrees. Angles come from `2 * atan2(|v|, |w|)` of a quaternion, never
from `acos` of a trace, which reads 1e-4 rad as 0 in float32 and has no gradient there. Where a
formula is 0/0 the unused branch of the `where` gets a harmless argument, since `where` alone
would let its NaN through in the gradient.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float


def at_least_float32(*arrays: Any) -> tuple[Float[Array, "..."], ...]:
    """The arrays in one type, which is float32 or wider."""
    dtype = jnp.promote_types(jnp.result_type(*arrays), jnp.float32)
    return tuple(jnp.asarray(array, dtype) for array in arrays)


def _broadcast_leading(a, b, rank):
    """Gives both arrays the same leading axes; the last `rank` axes stay as they are."""
    leading = np.broadcast_shapes(a.shape[: a.ndim - rank], b.shape[: b.ndim - rank])
    return tuple(jnp.broadcast_to(x, leading + x.shape[x.ndim - rank :]) for x in (a, b))


def _squared_norm(vector):
    return jnp.sum(vector * vector, axis=-1)


def _sqrt_or_zero(x):
    """Square root with gradient 0, not infinity, at 0."""
    positive = x > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, x, 1)), 0)


def _matrix(rows):
    return jnp.stack([jnp.stack(row, axis=-1) for row in rows], axis=-2)


@jax.jit
def hat(omega: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """Skew-symmetric matrix of the cross product: `hat(a) @ b = a x b`.

    Args:
      omega: vectors, any length.

    Returns:
      The matrices [omega]_x.

    Reference: section 3.1 of the paper.
    """
    (omega,) = at_least_float32(omega)
    x, y, z = (omega[..., i] for i in range(3))
    zero = jnp.zeros_like(x)
    return _matrix([[zero, -z, y], [z, zero, -x], [-y, x, zero]])


def _entries(matrix):
    """The nine entries as arrays, by row and column.

    What is computed entry by entry is one loop over the rotations. Sums over axes of length three
    inside of it would be computed again for everything that uses them, on a CPU ten times slower.
    """
    return [[matrix[..., i, j] for j in range(3)] for i in range(3)]


def _product(a, b):
    return [[sum(a[i][k] * b[k][j] for k in range(3)) for j in range(3)] for i in range(3)]


def _skew_part(m):
    """The components of the vector v with hat(v) = m - m'."""
    return m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]


@jax.jit
def multiply(
    a: Float[Array, "*#batch 3 3"], b: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*#batch 3 3"]:
    """Matrix product in full precision, whatever the default matmul precision is.

    Args:
      a: left matrices.
      b: right matrices; leading axes broadcast against those of `a`.

    Returns:
      The products `a @ b`.
    """
    a, b = _broadcast_leading(*at_least_float32(a, b), rank=2)
    return _matrix(_product(_entries(a), _entries(b)))


@jax.jit
def exp(omega: Float[Array, "*batch 3"]) -> Float[Array, "*batch 3 3"]:
    """Rotation by |omega| about omega, the exponential of `hat(omega)`.

    Args:
      omega: axis-angle vectors in radians, any length.

    Returns:
      Rotation matrices; the identity at zero.

    Reference: section 3.1 of the paper.
    """
    # Without the barrier XLA on CPU computes the sines again for each of the nine entries.
    quaternion = jax.lax.optimization_barrier(quaternion_from_axis_angle(omega))
    return rotation_from_quaternion(quaternion)


@jax.jit
def log(rotation: Float[Array, "*batch 3 3"]) -> Float[Array, "*batch 3"]:
    """Axis-angle vector of a rotation, the inverse of `exp` for angles up to pi.

    Args:
      rotation: rotation matrices.

    Returns:
      Vectors in radians with norm in [0, pi]. At exactly pi the vector is pi times one of the
      two axes; there the map is discontinuous and its gradient is that of one side.
    """
    return axis_angle_from_quaternion(quaternion_from_rotation(rotation))


@jax.jit
def geodesic_distance(
    a: Float[Array, "*#batch 3 3"], b: Float[Array, "*#batch 3 3"]
) -> Float[Array, "*#batch"]:
    """Angle of the rotation that takes `a` to `b`.

    Args:
      a: rotation matrices.
      b: rotation matrices in the same frame; leading axes broadcast against those of `a`.

    Returns:
      Angles in radians in [0, pi], exactly 0 for equal arguments. The gradient along the group
      has norm 1, except at 0 and pi, where it is 0.

    Reference: equations (3) and (4) of the paper.
    """
    a, b = _broadcast_leading(*at_least_float32(a, b), rank=2)
    transposed = _entries(jnp.swapaxes(a, -1, -2))
    relative = _product(transposed, _entries(b))
    # a'a is symmetric, so a'(b - a) has the skew part of a'b, but without its cancellation: near
    # zero the error is relative to the angle, and the direction of the gradient stays right.
    difference = _product(transposed, _entries(b - a))
    w, x, y, z = _scaled_quaternion(relative, _skew_part(difference))
    return 2 * jnp.arctan2(_sqrt_or_zero(x * x + y * y + z * z), jnp.abs(w))


def _scaled_quaternion(r, skew):
    """The components of the quaternion times 4 times its largest one, without roots and quotients.

    These are rows of 4 q q', whose entries are sums of entries of the rotation. The row with the
    largest diagonal entry has norm at least 2, so it may be normalized anywhere. On the rotation
    group all rows agree up to scale, so switching rows does not disturb the gradient along it.
    """
    trace = r[0][0] + r[1][1] + r[2][2]
    xy, xz, yz = r[0][1] + r[1][0], r[0][2] + r[2][0], r[1][2] + r[2][1]
    pivots = [1 + trace, *(2 * r[i][i] + (1 - trace) for i in range(3))]
    rows = [
        (pivots[0], *skew),
        (skew[0], pivots[1], xy, xz),
        (skew[1], xy, pivots[2], yz),
        (skew[2], xz, yz, pivots[3]),
    ]
    largest, chosen = pivots[0], rows[0]
    for pivot, row in zip(pivots[1:], rows[1:], strict=True):
        larger = pivot > largest
        largest = jnp.where(larger, pivot, largest)
        chosen = [jnp.where(larger, new, old) for new, old in zip(row, chosen, strict=True)]
    return chosen


@jax.jit
def quaternion_from_rotation(
    rotation: Float[Array, "*batch 3 3"],
) -> Float[Array, "*batch 4"]:
    """Unit quaternion of a rotation, from the largest of the four pivots.

    Only the gradient along the rotation group is meaningful: off the group the result depends on
    the pivot.

    Args:
      rotation: rotation matrices.

    Returns:
      Quaternions (w, x, y, z) of length 1 with w >= 0; for w = 0 the largest component is
      positive.
    """
    (rotation,) = at_least_float32(rotation)
    entries = _entries(rotation)
    scaled = jnp.stack(_scaled_quaternion(entries, _skew_part(entries)), axis=-1)
    scaled = jnp.where(scaled[..., :1] < 0, -scaled, scaled)
    return scaled / jnp.sqrt(_squared_norm(scaled))[..., None]


@jax.jit
def rotation_from_quaternion(
    quaternion_wxyz: Float[Array, "*batch 4"],
) -> Float[Array, "*batch 3 3"]:
    """Rotation of a quaternion of any length.

    Args:
      quaternion_wxyz: quaternions (w, x, y, z); q and -q are the same rotation.

    Returns:
      Rotation matrices; the identity for the zero quaternion.
    """
    (quaternion_wxyz,) = at_least_float32(quaternion_wxyz)
    squared = _squared_norm(quaternion_wxyz)
    scale = 2 / jnp.where(squared > 0, squared, 1)
    w, x, y, z = (quaternion_wxyz[..., i] for i in range(4))
    return _matrix(
        [
            [1 - scale * (y * y + z * z), scale * (x * y - w * z), scale * (x * z + w * y)],
            [scale * (x * y + w * z), 1 - scale * (x * x + z * z), scale * (y * z - w * x)],
            [scale * (x * z - w * y), scale * (y * z + w * x), 1 - scale * (x * x + y * y)],
        ]
    )


@jax.jit
def quaternion_multiply(
    a: Float[Array, "*#batch 4"], b: Float[Array, "*#batch 4"]
) -> Float[Array, "*#batch 4"]:
    """Hamilton product: the rotation of the result is that of `a` after that of `b`.

    Args:
      a: quaternions (w, x, y, z).
      b: quaternions (w, x, y, z); leading axes broadcast against those of `a`.

    Returns:
      Quaternions (w, x, y, z); their length is the product of the lengths.
    """
    a, b = _broadcast_leading(*at_least_float32(a, b), rank=1)
    aw, ax, ay, az = (a[..., i] for i in range(4))
    bw, bx, by, bz = (b[..., i] for i in range(4))
    return jnp.stack(
        [
            aw * bw - ax * bx - ay * by - az * bz,
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
        ],
        axis=-1,
    )


@jax.jit
def quaternion_from_axis_angle(omega: Float[Array, "*batch 3"]) -> Float[Array, "*batch 4"]:
    """Unit quaternion of the rotation by |omega| about omega.

    Args:
      omega: axis-angle vectors in radians, any length.

    Returns:
      Quaternions (w, x, y, z) of length 1; w is negative for angles between pi and 3 pi, so that
      the map is smooth.
    """
    (omega,) = at_least_float32(omega)
    squared = _squared_norm(omega)
    small = squared < 1e-2  # four terms of the series below are then exact in float64
    half = jnp.sqrt(jnp.where(small, 1, squared)) / 2
    q = jnp.where(small, squared, 0) / 4
    sine_ratio = 0.5 * (1 - q / 6 * (1 - q / 20 * (1 - q / 42)))
    cosine = 1 - q / 2 * (1 - q / 12 * (1 - q / 30 * (1 - q / 56)))
    sine_ratio = jnp.where(small, sine_ratio, jnp.sin(half) / (2 * half))
    cosine = jnp.where(small, cosine, jnp.cos(half))
    return jnp.concatenate([cosine[..., None], sine_ratio[..., None] * omega], axis=-1)


@jax.jit
def axis_angle_from_quaternion(
    quaternion_wxyz: Float[Array, "*batch 4"],
) -> Float[Array, "*batch 3"]:
    """Axis-angle vector of a quaternion of any length but zero.

    Args:
      quaternion_wxyz: quaternions (w, x, y, z); q and -q give the same vector.

    Returns:
      Vectors in radians with norm in [0, pi]; at exactly pi (w = 0) pi times (x, y, z) normalized.
    """
    (quaternion_wxyz,) = at_least_float32(quaternion_wxyz)
    positive = jnp.where(quaternion_wxyz[..., :1] < 0, -quaternion_wxyz, quaternion_wxyz)
    w, v = positive[..., 0], positive[..., 1:]
    squared = _squared_norm(v)
    small = squared < 1e-3 * w * w  # five terms of the series below are then exact in float64
    t = jnp.where(small, squared, 0) / jnp.where(small, w * w, 1)
    series = 1 - t * (1 / 3 - t * (1 / 5 - t * (1 / 7 - t / 9)))
    sine = jnp.sqrt(jnp.where(small | (squared == 0), 1, squared))
    # Beyond 90 deg the factor angle / sine is split into pi and a small rest: rounded as one number
    # it would cost up to 5e-7 rad at pi.
    large = sine > w
    part = jnp.arctan2(jnp.where(large, w, sine), jnp.where(large, sine, w))
    pi = jnp.asarray(jnp.pi, w.dtype)
    pi_remainder = np.pi - float(np.asarray(np.pi, w.dtype))
    rest = jnp.where(large, pi_remainder - 2 * part - pi * (sine - 1), 2 * part) / sine
    rest = jnp.where(small, 2 * series / jnp.where(small, w, 1), rest)
    whole = jnp.where(large & ~small, pi, 0)
    return whole[..., None] * v + rest[..., None] * v
