"""Patterns on surfaces, from a point's place in the object alone: no image, no texture coordinates.

Everything is float32 and integer arithmetic on the device: the same arguments give the same
pattern everywhere.

References: Perlin, An image synthesizer, 1985 (solid textures, wood). Teschner et al., Optimized
spatial hashing, 2003 (the primes). Wellons, Prospecting for hash functions, 2018 (the mixing).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

from catpose.geometry import so3

KINDS: tuple[str, ...] = ("stripes", "checks", "noise", "rings")
"""In the order in which kinds are numbered."""

_PRIMES = (73856093, 19349663, 83492791)
_WOBBLE = 0.4  # of rings, in periods


class Texture(NamedTuple):
    """One pattern per image.

    A point p of the object frame has the place q = rotation p / scale + phase in its pattern.
    Stripes change at whole and half q_x; checks are half a unit wide along all three axes; noise
    has a random value at each whole q and is smooth between; rings lie around the z axis, a unit
    apart, bent by that noise.

    Attributes:
        kind: number in `KINDS`.
        scale: period of the pattern, in the mesh's unit.
        strength: the color is multiplied by 1 - strength to 1 + strength.
        rotation: of the object frame to that of the pattern.
        phase: in periods.
        seed: of the noise.
    """

    kind: Int[Array, "B"]
    scale: Float[Array, "B"]
    strength: Float[Array, "B"]
    rotation: Float[Array, "B 3 3"]
    phase: Float[Array, "B 3"]
    seed: UInt32[Array, "B"]


def _mixed(value: UInt32[Array, "B P"]) -> Float[Array, "B P"]:
    """Numbers in [-1, 1) that change with every bit of their argument."""
    value = (value ^ (value >> 16)) * jnp.uint32(0x7FEB352D)
    value = (value ^ (value >> 15)) * jnp.uint32(0x846CA68B)
    value = value ^ (value >> 16)
    return (value >> 8).astype(jnp.int32).astype(jnp.float32) * 2.0**-23 - 1


def _noise(q: list[Array], seed: UInt32[Array, "B"]) -> Float[Array, "B P"]:
    """A random value at each point of the integer lattice, smooth between."""
    cell = [jnp.floor(c) for c in q]
    share = [c - low for c, low in zip(q, cell, strict=True)]
    share = [s * s * (3 - 2 * s) for s in share]
    ends = []
    for low, prime in zip(cell, _PRIMES, strict=True):
        first = low.astype(jnp.int32).astype(jnp.uint32) * jnp.uint32(prime)
        ends.append((first, first + jnp.uint32(prime)))

    def between(axis: int, hashed: Array) -> Array:
        if axis == 3:
            return _mixed(hashed)
        low, high = (between(axis + 1, hashed ^ end) for end in ends[axis])
        return low + share[axis] * (high - low)

    return between(0, jnp.broadcast_to(seed[:, None], q[0].shape))


def factor(texture: Texture, points: Float[Array, "B P 3"]) -> Float[Array, "B P"]:
    """What the color at points of the object frame is multiplied by: 1 + strength * pattern.

    Patterns are in [-1, 1]; their mean over the space is about 0.
    """
    q = [
        sum(texture.rotation[:, i, j, None] * points[..., j] for j in range(3))
        / texture.scale[:, None]
        + texture.phase[:, i, None]
        for i in range(3)
    ]
    halves = [(jnp.floor(2 * c).astype(jnp.int32)) for c in q]
    kind = texture.kind[:, None]
    parity = jnp.where(kind == 0, halves[0], halves[0] ^ halves[1] ^ halves[2])
    even = 1 - 2 * (parity & 1).astype(jnp.float32)

    def smooth() -> Array:
        noise = _noise(q, texture.seed)
        turns = jnp.sqrt(q[0] * q[0] + q[1] * q[1]) + _WOBBLE * noise
        rings = 4 * jnp.abs(turns - jnp.floor(turns) - 0.5) - 1
        return jnp.where(kind == 2, noise, rings)

    # Noise is most of the cost: none where no image of the batch has any.
    hard = kind < 2
    other = jax.lax.cond(jnp.all(hard), lambda: jnp.zeros_like(even), smooth)
    return 1 + texture.strength[:, None] * jnp.where(hard, even, other)


def sample(key: Array, batch: int, *, strength: float) -> Texture:
    """Draws a texture of any kind for each image of a batch.

    Args:
        key: the only source of chance.
        batch: B, how many.
        strength: each image's strength is uniform from 0 up to it, at most 1. Periods are 0.1 to 1
            of the mesh's unit, small ones as likely as large ones in ratio.
    """
    keys = jax.random.split(key, 6)
    low, high = jnp.log(0.1), jnp.log(1.0)
    quaternion = jax.random.normal(keys[3], (batch, 4))
    return Texture(
        jax.random.randint(keys[0], (batch,), 0, len(KINDS)),
        jnp.exp(jax.random.uniform(keys[1], (batch,), minval=low, maxval=high)),
        jax.random.uniform(keys[2], (batch,), maxval=strength),
        so3.rotation_from_quaternion(quaternion),
        jax.random.uniform(keys[4], (batch, 3)),
        jax.random.bits(keys[5], (batch,), jnp.uint32),
    )
