"""Random backgrounds: soft color fields, a horizon, scattered shapes, grain.

Two families are for the dataset `shapes`, so that a test can show backgrounds of a kind that no
training image has: they share the color field but not the clutter ("seen": rectangles, ellipses,
lines; "unseen": triangles, rings, bands). "plain" is one color, as behind renders of a model alone.
"cluttered" is for networks that are to work on photographs: many shapes of both kinds, in all
colors, sharp or soft.
"""

import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image, ImageDraw, ImageFilter

FAMILIES = ("seen", "unseen", "plain", "cluttered")


def background(
    generator: np.random.Generator, size: int, family: str = "seen"
) -> Float[np.ndarray, "{size} {size} 3"]:
    """Draws a background.

    Args:
        generator: the only source of chance.
        size: width and height in pixels.
        family: one of FAMILIES.

    Returns:
        Colors in [0, 1], float32.

    Raises:
        ValueError: if there is no such family.
    """
    if family not in FAMILIES:
        raise ValueError(f"background family {family!r} is not one of {FAMILIES}")
    if family == "plain":
        color = np.clip(generator.uniform(0.1, 0.9) + generator.normal(0, 0.05, 3), 0, 1)
        return np.full((size, size, 3), color, np.float32)
    cells = int(generator.integers(2, 6))
    field = generator.uniform(0.25, 0.9) + generator.normal(0, 0.1, 3)
    field = field + generator.normal(0, generator.uniform(0.03, 0.14), (cells, cells, 3))
    if generator.random() < 0.4:  # a ground below a horizon
        ground = generator.uniform(0.1, 0.8) + generator.normal(0, 0.1, 3)
        field[cells - max(1, cells // 2) :] += ground - field.mean(axis=(0, 1))
    image = Image.fromarray((np.clip(field, 0, 1) * 255).astype(np.uint8))
    image = image.resize((size, size), Image.Resampling.BICUBIC)
    draw = ImageDraw.Draw(image)
    clutter = (
        [_seen, _unseen] if family == "cluttered" else [_seen if family == "seen" else _unseen]
    )
    count, spread = (40, 0.35) if family == "cluttered" else (6, 0.22)
    base = field.mean(axis=(0, 1))
    for i in range(int(generator.integers(0, count))):
        color = np.clip(base + generator.normal(0, spread, 3), 0, 1)
        draw_one = clutter[i % len(clutter)]
        draw_one(generator, draw, size, tuple((color * 255).astype(int).tolist()))
    if family == "cluttered" and generator.random() < 0.5:  # out of focus
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0, size / 40)))
    pixels = np.asarray(image, np.float32) / 255
    gray = pixels.mean(axis=-1, keepdims=True)
    pixels = gray + (pixels - gray) * np.float32(generator.uniform(0.15, 0.65))
    if generator.random() < 0.6:
        grain = int(generator.choice([8, 16, 32, 64]))
        noise = generator.standard_normal((grain, grain), dtype=np.float32)
        repeat = -(-size // grain)
        noise = noise.repeat(repeat, axis=0).repeat(repeat, axis=1)[:size, :size]
        pixels = pixels + noise[..., None] * np.float32(generator.uniform(0.01, 0.04))
    return np.clip(pixels, 0, 1)


def table(
    generator: np.random.Generator, count: int, size: int, family: str = "seen"
) -> UInt8[np.ndarray, "N P P 3"]:
    """Draws several backgrounds, in [0, 255]; the arguments are those of `background`."""
    result = np.empty((count, size, size, 3), np.uint8)
    for i in range(count):
        result[i] = np.rint(255 * background(generator, size, family))
    return result


def _seen(generator, draw, size, color) -> None:
    x, y = generator.uniform(-0.1, 1.0, 2) * size
    w, h = generator.uniform(0.05, 0.4, 2) * size
    kind = generator.integers(3)
    if kind == 0:
        draw.rectangle([x, y, x + w, y + h], fill=color)
    elif kind == 1:
        draw.ellipse([x, y, x + w, y + h], fill=color)
    else:
        u, v = generator.uniform(-0.1, 1.1, 2) * size
        draw.line([x, y, u, v], fill=color, width=max(1, int(generator.uniform(0.01, 0.07) * size)))


def _unseen(generator, draw, size, color) -> None:
    x, y = generator.uniform(0, 1, 2) * size
    reach = generator.uniform(0.1, 0.3) * size
    kind = generator.integers(3)
    if kind == 0:
        angle = generator.uniform(0, 2 * np.pi, 3)
        corners = np.stack([x + reach * np.cos(angle), y + reach * np.sin(angle)], axis=1)
        draw.polygon([tuple(c) for c in corners.tolist()], fill=color)
    elif kind == 1:
        width = max(1, int(generator.uniform(0.02, 0.06) * size))
        draw.ellipse([x - reach, y - reach, x + reach, y + reach], outline=color, width=width)
    else:
        h = generator.uniform(0.03, 0.12) * size
        draw.rectangle([0, y, size, y + h], fill=color)
