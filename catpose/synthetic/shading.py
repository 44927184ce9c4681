"""Light on surfaces and what varies within a triangle, for `renderer`.

Vectors are sequences of their three components, (B, P) each: of P triangles or P samples. Places in
the image are in samples from where the optical axis meets it, y down; so is the focal length.
"""

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from catpose.synthetic import scene


def rotated(rotation: Float[Array, "B 3 3"], vector: Sequence[Array]) -> list[Array]:
    """The matrices' products with vectors."""
    x, y, z = vector
    return [
        rotation[:, i, 0, None] * x + rotation[:, i, 1, None] * y + rotation[:, i, 2, None] * z
        for i in range(3)
    ]


def unit(vector: Sequence[Array]) -> list[Array]:
    """Vectors at length 1; zero stays zero."""
    scale = jax.lax.rsqrt(jnp.maximum(sum(v * v for v in vector), 1e-30))
    return [v * scale for v in vector]


def received(
    light: scene.Light, normals: Sequence[Array], points: Sequence[Array] | None
) -> Float[Array, "B P"]:
    """The light on surfaces.

    Args:
        light: with a leading batch axis, in the camera frame.
        normals: unit, in the camera frame.
        points: in the camera frame and the mesh's unit; only lights with positions need them.
    """
    total = jnp.broadcast_to(light.ambient[:, None], normals[0].shape)
    if light.gradient is not None:
        slope = sum(light.gradient[:, j, None] * normals[j] for j in range(3))
        total *= jnp.maximum(1 + slope, 0)
    for i in range(light.intensities.shape[1]):
        cosine = sum(light.directions[:, i, j, None] * normals[j] for j in range(3))
        total += light.intensities[:, i, None] * jnp.maximum(cosine, 0)
    for i in range(0 if light.positions is None else light.positions.shape[1]):
        towards = [light.positions[:, i, j, None] - points[j] for j in range(3)]
        scale = jax.lax.rsqrt(sum(t * t for t in towards) + 1e-12)
        cosine = sum(t * n for t, n in zip(towards, normals, strict=True))  # times the distance
        total += light.powers[:, i, None] * jnp.maximum(cosine, 0) * (scale * scale * scale)
    return total


def blend(
    edges: Sequence, corners: Sequence[Sequence[Array]], scale: Array
) -> Float[Array, "B T 9"]:
    """Perspective-correct interpolation, as functions that are affine in the image.

    An edge's function is, up to a common factor, its opposite corner's weight over the depth.

    Args:
        edges: the functions (a, b, c), a x + b y + c, of the edges opposite to the three corners.
        corners: three values at each of the corners.
        scale: a factor; the weights over the depth come of 1 / determinant of the corners' (x, y,
            depth) in homogeneous coordinates.

    Returns:
        The three values over the depth, times the factor, each as (a, b, c).
    """
    return jnp.stack(
        [
            sum(
                scale * edge[i] * corner[value] for edge, corner in zip(edges, corners, strict=True)
            )
            for value in range(3)
            for i in range(3)
        ],
        axis=-1,
    )


def largest(edges: Sequence) -> Float[Array, "B T"]:
    """A scale for `blend` that keeps the functions' size in bounds."""
    scale = functools.reduce(jnp.maximum, [jnp.abs(e) for edge in edges for e in edge])
    return 1 / jnp.maximum(scale, 1e-30)


def at(functions: Sequence[Array], x: Array, y: Array) -> list[Array]:
    """What `blend` gave, at places in the image."""
    return [functions[i] * x + functions[i + 1] * y + functions[i + 2] for i in (0, 3, 6)]


def points(
    x: Array, y: Array, depth: Array, distance: Float[Array, "B"], focal: Float[Array, "B 2"]
) -> list[Array]:
    """Points of the camera frame from their places in the image and their depths."""
    across, down = (depth / focal[:, i, None] for i in range(2))
    return [x * across, -y * down, distance[:, None] - depth]
