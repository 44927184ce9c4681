"""Random colors: RGB in [0, 1], shape (3,)."""

import colorsys

import numpy as np
from jaxtyping import Float

LAMP = np.array([1.0, 0.96, 0.72])
TAIL_LIGHT = np.array([0.88, 0.06, 0.04])
AMBER = np.array([1.0, 0.6, 0.1])


def hue(
    generator: np.random.Generator, saturation=(0.3, 0.9), value=(0.4, 0.95)
) -> Float[np.ndarray, "3"]:
    """Any hue, with saturation and value from the given ranges."""
    return np.array(
        colorsys.hsv_to_rgb(
            generator.random(), generator.uniform(*saturation), generator.uniform(*value)
        )
    )


def gray(generator: np.random.Generator, low=0.05, high=0.3) -> Float[np.ndarray, "3"]:
    """A gray with a slight cast."""
    return np.clip(generator.uniform(low, high) + generator.uniform(-0.02, 0.02, 3), 0, 1)


def lacquer(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Vehicle paint: a color, or white, silver, black."""
    kind = generator.random()
    if kind < 0.16:
        return gray(generator, 0.85, 0.97)
    if kind < 0.3:
        return gray(generator, 0.45, 0.7)
    if kind < 0.38:
        return gray(generator, 0.1, 0.2)
    return hue(generator, (0.45, 0.95), (0.4, 0.95))


def wood(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """From beech to walnut."""
    return np.array(
        colorsys.hsv_to_rgb(
            generator.uniform(0.05, 0.11), generator.uniform(0.35, 0.7), generator.uniform(0.3, 0.8)
        )
    )


def fabric(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Upholstery: mostly muted, sometimes loud, sometimes neutral."""
    if generator.random() < 0.25:
        return gray(generator, 0.2, 0.8)
    return hue(generator, (0.2, 0.8), (0.35, 0.85))


def furniture(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Wood, or paint."""
    return wood(generator) if generator.random() < 0.6 else hue(generator, (0.1, 0.8), (0.3, 0.9))


def glass(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """Window glass from outside, in daylight."""
    return np.array([0.13, 0.18, 0.25]) * generator.uniform(0.6, 1.7)
