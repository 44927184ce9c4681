"""Changes to the pixels of crops: where each is taken from, by one resampling, and its color."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from catpose.data import pose_jitter
from catpose.data.augment import Augment, Sample, View
from catpose.data.input_spec import InputSpec


def grid(resolution: int, share: float = 1.0) -> Float[Array, "S"]:
    """Centers of a crop's pixels along one axis, in shares of the box's side from its center.

    Args:
      resolution: S, number of pixels.
      share: side of the crop over the side of the box.
    """
    return ((jnp.arange(resolution, dtype=jnp.float32) + 0.5) / resolution - 0.5) * share


def through(
    homography: Float[Array, "B 3 3"], x: Float[Array, "B S T"], y: Float[Array, "B S T"]
) -> tuple[Float[Array, "B S T"], Float[Array, "B S T"]]:
    """Where homographies take the places (x, y) of a grid."""
    h = homography[:, :, :, None, None]
    across, down, scale = (h[:, i, 0] * x + h[:, i, 1] * y + h[:, i, 2] for i in range(3))
    return across / scale, down / scale


def bilinear(
    image: Num[Array, "B H W 3"], column: Float[Array, "B S T"], row: Float[Array, "B S T"]
) -> Float[Array, "B S T 3"]:
    """Values of images between their pixels; beyond their edges the edge repeats.

    Args:
      image: any numbers.
      column: across, 0 at the center of the first pixel.
      row: down, 0 at the center of the first pixel.
    """
    batch, height, width, _ = image.shape
    shape = (*column.shape, 3)
    column, row = jnp.clip(column, 0, width - 1), jnp.clip(row, 0, height - 1)
    left, top = jnp.floor(column).astype(jnp.int32), jnp.floor(row).astype(jnp.int32)
    right, bottom = jnp.minimum(left + 1, width - 1), jnp.minimum(top + 1, height - 1)
    u, v = (column - left)[..., None], (row - top)[..., None]
    flat = image.reshape(batch, height * width, 3)

    def at(row: Array, column: Array) -> Array:
        index = (row * width + column).reshape(batch, -1, 1)
        return jnp.take_along_axis(flat, index, axis=1).reshape(shape).astype(jnp.float32)

    above = (1 - u) * at(top, left) + u * at(top, right)
    below = (1 - u) * at(bottom, left) + u * at(bottom, right)
    return (1 - v) * above + v * below


def picture(
    image: Num[Array, "B H W 3"],
    sample: Sample,
    augment: Augment,
    *,
    input_spec: InputSpec,
    **crop: Any,
) -> Float[Array, "B S S 3"]:
    """What the network sees; `crop` are the other keywords of `view_image`."""
    image = view_image(
        image, sample.view, resolution=input_spec.resolution, context=input_spec.context, **crop
    )
    image = random_color(sample.color, image, augment)
    return input_spec.normalize(image)


def view_image(
    image: Num[Array, "B H W 3"],
    view: View,
    *,
    resolution: int,
    margin: int,
    resample: bool,
    aspect: Num[Array, "B"] | float = 1.0,
    context: float = 1.0,
    seen: pose_jitter.Seen | None = None,
) -> Float[Array, "B S S 3"]:
    """The crop of each stored image that `view` shows, (B, S, S, 3) with values in [0, 255].

    Args:
      image: stored crops with `margin` pixels around the box on each side.
      view: (B,) fields.
      resolution: S, the side of the result.
      margin: of the stored crops, in their pixels.
      resample: static; False where no view does more than mirror: then the stored pixels are
        taken as they are if they are as many as asked for. Bilinear, without antialiasing, else.
      aspect: width over height of the box in its photo. A crop is squeezed to a square, and what
        turns is the photo: turning the square would shear what it shows.
      context: static; side of the crop over the side of the box, at least 1, whatever the view:
        224/192 shows 16 pixels around the box on each side of 224.
      seen: how the objects were seen; needed, and used, only where the views change poses.
    """
    box = image.shape[1] - 2 * margin
    around, odd = divmod(resolution - box, 2)
    # Less than a hundredth of a pixel: 224/192 has no exact decimal.
    whole = abs(box * context - resolution) < 0.01 and not odd and 0 <= around <= margin
    if resample or not whole:
        image = _resample(image, view, resolution, margin, aspect, context, seen)
    else:
        image = without_margin(image, margin - around).astype(float)
    mirror = jnp.asarray(view.mirror).reshape(-1, 1, 1, 1) > 0
    return jnp.where(mirror, image[:, :, ::-1], image)


def random_color(
    uniform: Float[Array, "B 3"], image: Float[Array, "B H W 3"], augment: Augment
) -> Float[Array, "B H W 3"]:
    """Random brightness, contrast and saturation; values in [0, 255] before and after.

    Args:
      uniform: numbers uniform in [0, 1).
      image: RGB.
      augment: strengths.
    """
    if not (augment.brightness or augment.contrast or augment.saturation):
        return image
    brightness, contrast, saturation = (2 * uniform - 1).T[:, :, None, None, None]
    gray = image.mean(axis=-1, keepdims=True)
    image = gray + (image - gray) * (1 + augment.saturation * saturation)
    mean = image.mean(axis=(1, 2, 3), keepdims=True)
    image = mean + (image - mean) * (1 + augment.contrast * contrast)
    return jnp.clip(image + 255 * augment.brightness * brightness, 0, 255)


def without_margin(image: Any, margin: int) -> Any:
    """The box's own pixels of stored crops (B, H, W, 3) with `margin` pixels on each side."""
    return image[:, margin : image.shape[1] - margin, margin : image.shape[2] - margin]


def _resample(
    image: Num[Array, "B H W 3"],
    view: View,
    resolution: int,
    margin: int,
    aspect: Num[Array, "B"] | float,
    context: float,
    seen: pose_jitter.Seen | None,
) -> Float[Array, "B S S 3"]:
    """For each output pixel, what lies at its place in the stored crop."""
    batch, height, _, _ = image.shape
    box = height - 2 * margin

    def field(value: Num[Array, "..."] | float) -> Float[Array, "B 1 1"]:
        return jnp.broadcast_to(jnp.asarray(value, float), (batch,))[:, None, None]

    aspect, back = field(aspect), None
    if seen is not None:
        pose = (field(value)[:, 0, 0] for value in (view.azimuth, view.elevation, view.theta))
        back, widening = pose_jitter.box_map(seen, *pose)
        aspect = aspect * field(widening)
    # Output coordinates in shares of the box's sides, y down. Content turned counter-clockwise by
    # r on the screen means: the output pixel at p shows what was at p turned clockwise by r.
    line = grid(resolution, context)
    x, y = line[None, None, :], line[None, :, None] * field(view.stretch)
    cos, sin = jnp.cos(field(view.angle)), jnp.sin(field(view.angle))
    source_x = (cos * x - sin * y / aspect) * field(view.zoom) + field(view.shift_x)
    source_y = (sin * x * aspect + cos * y) * field(view.zoom) + field(view.shift_y)
    if back is not None:
        source_x, source_y = through(back, source_x, source_y)
    # From shares of the box's sides to the stored crop's pixels.
    column, row = ((source + 0.5) * box + margin - 0.5 for source in (source_x, source_y))
    return bilinear(image, column, row)
