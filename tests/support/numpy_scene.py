"""Random pictures of a mesh: view, light, background, and what a camera adds.

Angles are in radians; rotations are in the frame "camera" (x right, y up, z towards the viewer).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, UInt8

from catpose.synthetic import backgrounds
from tests.support import numpy_rasterizer


class Angles(NamedTuple):
    """A viewpoint: azimuth in [-pi, pi), elevation and theta, as PASCAL3D+ has them."""

    azimuth: float
    elevation: float
    theta: float


class Picture(NamedTuple):
    """A picture and what it shows.

    Attributes:
        image: the picture.
        mask: the object's share of each pixel, in [0, 1].
        rotation: object to camera, frame "camera".
        angles: the same, as angles.
    """

    image: UInt8[np.ndarray, "S S 3"]
    mask: Float[np.ndarray, "S S"]
    rotation: Float[np.ndarray, "3 3"]
    angles: Angles


def rotation_from_angles(
    azimuth: float, elevation: float, theta: float
) -> Float[np.ndarray, "3 3"]:
    """R = Rz(theta) Rx(elevation - 90 deg) Rz(-azimuth): object to camera, frame "camera".

    `catpose.geometry.viewpoint` is the library's own; this is its formula without jax, for the
    processes that render.
    """
    ca, sa = np.cos(azimuth), np.sin(azimuth)
    ce, se = np.cos(elevation), np.sin(elevation)
    ct, st = np.cos(theta), np.sin(theta)
    # Rx(elevation - 90 deg) has cosine sin(elevation) and sine -cos(elevation).
    turned = np.array([[ca, sa, 0], [-se * sa, se * ca, ce], [ce * sa, -ce * ca, se]])
    return np.array([[ct, -st, 0], [st, ct, 0], [0, 0, 1]]) @ turned


def sample_angles(generator: np.random.Generator) -> Angles:
    """Azimuth uniform, elevation uniform in -10..50 deg, theta normal (5 deg) clipped at 15 deg."""
    azimuth = generator.uniform(-np.pi, np.pi)
    elevation = np.deg2rad(generator.uniform(-10, 50))
    theta = np.deg2rad(np.clip(generator.normal(0, 5), -15, 15))
    return Angles(float(azimuth), float(elevation), float(theta))


def framed_view(
    mesh: numpy_rasterizer.Mesh,
    rotation: Float[np.ndarray, "3 3"],
    size: int,
    *,
    distance: float = 5.0,
    fill: float = 0.9,
    offset: tuple[float, float] = (0.0, 0.0),
) -> numpy_rasterizer.View:
    """The camera in which a mesh's box fills the picture.

    Args:
        mesh: what will be drawn.
        rotation: object to camera, frame "camera".
        size: width and height of the picture in pixels.
        distance: from the eye to the object's origin, in the mesh's unit.
        fill: the longer side of the object's box, in shares of the picture.
        offset: of the box's center from the picture's, in shares of the picture (right, down).
    """
    at_origin = numpy_rasterizer.View(rotation, distance, 1.0, np.zeros(2))
    points = numpy_rasterizer.project(mesh.vertices, at_origin)[0].T
    low, high = points.min(axis=1), points.max(axis=1)
    focal = fill * size / (high - low).max()
    center = size * (0.5 + np.asarray(offset)) - focal * (low + high) / 2
    return numpy_rasterizer.View(rotation, distance, float(focal), center)


def sample_view(
    generator: np.random.Generator,
    mesh: numpy_rasterizer.Mesh,
    rotation: Float[np.ndarray, "3 3"],
    size: int,
) -> numpy_rasterizer.View:
    """A view from a random distance, as a loose box around the object would crop it."""
    return framed_view(
        mesh,
        rotation,
        size,
        distance=float(np.exp(generator.uniform(np.log(3.0), np.log(8.0)))),
        fill=float(generator.uniform(0.8, 0.98)),
        offset=tuple(generator.uniform(-0.03, 0.03, 2).tolist()),
    )


def sample_light(generator: np.random.Generator) -> numpy_rasterizer.Light:
    """A key light from above, mostly in front, a weak one from elsewhere, and light all around."""
    key = np.array(
        [generator.uniform(-1, 1), generator.uniform(0.2, 1.2), generator.uniform(0.2, 1)]
    )
    weak = generator.normal(size=3)
    directions = np.stack([key / np.linalg.norm(key), weak / np.linalg.norm(weak)])
    ambient = generator.uniform(0.4, 0.6)
    intensities = np.array([generator.uniform(0.55, 0.8), generator.uniform(0.05, 0.25)])
    return numpy_rasterizer.Light(directions, intensities, float(ambient))


def develop(
    generator: np.random.Generator, image: Float[np.ndarray, "S S 3"]
) -> UInt8[np.ndarray, "S S 3"]:
    """What a camera adds: contrast, brightness, noise, eight bits."""
    contrast, brightness = generator.uniform(0.85, 1.15), generator.uniform(-0.06, 0.06)
    # Noise from random bytes: ten times as fast as normal noise, and as good at this strength.
    noise = generator.integers(-128, 128, image.shape, dtype=np.int8)
    image = image * np.float32(255 * contrast) + np.float32(
        127.5 * (1 - contrast) + 255 * brightness
    )
    image += noise * np.float32(generator.uniform(0, 0.04))
    return np.clip(image + 0.5, 0, 255).astype(np.uint8)


def picture(
    generator: np.random.Generator,
    mesh: numpy_rasterizer.Mesh,
    size: int,
    *,
    family: str = "seen",
    angles: Angles | None = None,
) -> Picture:
    """Draws a mesh from a random viewpoint, or a given one, under random light.

    Args:
        generator: the only source of chance.
        mesh: what to draw.
        size: width and height in pixels.
        family: of the background, see `backgrounds`.
        angles: the viewpoint; sampled if None.
    """
    if angles is None:
        angles = sample_angles(generator)
    rotation = rotation_from_angles(*angles)
    view = sample_view(generator, mesh, rotation, size)
    light = sample_light(generator)
    behind = backgrounds.background(generator, size, family)
    image, mask, _ = numpy_rasterizer.render(mesh, view, light, behind)
    return Picture(develop(generator, image), mask, rotation, angles)
