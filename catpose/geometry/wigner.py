"""Real Wigner D matrices: how the real spherical harmonics of each degree turn with a rotation.

D_l(R) is (2l + 1, 2l + 1), orthogonal, and Y(R x) = D_l(R) Y(x) for the harmonics Y of degree l in
the order m = -l, ..., l, so D_1 is R with its axes in the order y, z, x. The entries of all D_l are
an orthogonal basis of the functions on SO(3); the mean square of an entry is 1 / (2l + 1).

Degree l is the part of highest degree of the product of degrees l - 1 and 1: D_l(R) =
Q (D_{l-1}(R) x D_1(R)) Q' with Q of Clebsch-Gordan coefficients. So it is a polynomial in the
entries of R, exact at every rotation, without angles.

Reference: Varshalovich, Moskalev and Khersonskii, Quantum Theory of Angular Momentum, 1988,
section 8.5 (the coefficients).
"""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.geometry import so3

AXES = np.array([1, 2, 0])  # of R in the order of the harmonics of degree 1


def num_entries(degree: int) -> int:
    """Entries of D_1 to D_degree together."""
    return sum((2 * each + 1) ** 2 for each in range(1, degree + 1))


@functools.cache
def _real_from_complex(degree: int) -> np.ndarray:
    """The real harmonics in terms of the complex ones, with the Condon-Shortley phase."""
    result = np.zeros((2 * degree + 1, 2 * degree + 1), complex)
    result[degree, degree] = 1
    for m in range(1, degree + 1):
        plus, minus = degree + m, degree - m
        result[plus, plus], result[plus, minus] = (-1) ** m / math.sqrt(2), 1 / math.sqrt(2)
        result[minus, plus], result[minus, minus] = (
            -1j * (-1) ** m / math.sqrt(2),
            1j / math.sqrt(2),
        )
    return result


@functools.cache
def coupling(degree: int) -> Float[np.ndarray, "m m1 m2"]:
    """Q: the harmonics of a degree, from 2 on, in products of those of degree - 1 and of 1.

    Returns:
      (2l + 1, 2l - 1, 3) with orthonormal rows.
    """
    lower = degree - 1
    clebsch_gordan = np.zeros((2 * degree + 1, 2 * degree - 1, 3))
    for m1 in range(-lower, lower + 1):
        for m2 in (-1, 0, 1):
            ways = math.comb(2 * lower, lower + m1) * math.comb(2, 1 + m2)
            share = ways / math.comb(2 * degree, degree + m1 + m2)
            clebsch_gordan[degree + m1 + m2, lower + m1, 1 + m2] = math.sqrt(share)
    above, below, one = (_real_from_complex(each) for each in (degree, lower, 1))
    found = np.einsum("am,mpq,bp,cq->abc", above, clebsch_gordan, below.conj(), one.conj())
    return found.real


@functools.cache
def generators(degree: int) -> Float[np.ndarray, "3 m m"]:
    """The derivatives of D_degree(exp(omega)) with respect to omega at 0."""
    if degree == 1:
        hats = np.array([[[0, 0, 0], [0, 0, -1], [0, 1, 0]], [[0, 0, 1], [0, 0, 0], [-1, 0, 0]],
                         [[0, -1, 0], [1, 0, 0], [0, 0, 0]]], float)  # fmt: skip
        return hats[:, AXES][:, :, AXES]
    q, lower, one = coupling(degree), generators(degree - 1), generators(1)
    return np.einsum("abc,kbd,edc->kae", q, lower, q) + np.einsum("abc,kcd,ebd->kae", q, one, q)


def _blocks(rotation, degree, einsum):
    # Not an index: in float64 JAX would mix its integers' widths with those of an earlier program.
    order = np.eye(3)[list(AXES)].astype(rotation.dtype)
    one = einsum("ij,...jk,lk->...il", order, rotation, order)
    blocks = [one]
    for each in range(2, degree + 1):
        q = coupling(each).astype(rotation.dtype)
        blocks.append(einsum("abc,...bd,...ce,fde->...af", q, blocks[-1], one, q))
    return [block.reshape(*rotation.shape[:-2], -1) for block in blocks]


@functools.partial(jax.jit, static_argnames="degree")
def entries(rotation: Float[Array, "*batch 3 3"], degree: int) -> Float[Array, "*batch entries"]:
    """The entries of D_1 to D_degree, each row by row, one after the other.

    Args:
      rotation: rotation matrices.
      degree: the highest degree, from 1.

    Returns:
      `num_entries(degree)` numbers in [-1, 1].
    """
    einsum = functools.partial(jnp.einsum, precision="highest")
    return jnp.concatenate(_blocks(*so3.at_least_float32(rotation), degree, einsum), axis=-1)


def constant_entries(
    rotation: Float[np.ndarray, "*batch 3 3"], degree: int
) -> Float[np.ndarray, "*batch entries"]:
    """`entries` in numpy, for constants, in the type of the rotations."""
    einsum = functools.partial(np.einsum, optimize=True)
    return np.concatenate(_blocks(rotation, degree, einsum), axis=-1)
