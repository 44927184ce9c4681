"""Changes to an image and the same change to its pose, on the device, inside the jitted step.

Rotations here are in frame "camera": x right, y up, z towards the viewer. Turning the picture
counter-clockwise by r left-multiplies the rotation by Rz(r) (theta grows by r); mirroring the
picture conjugates it with diag(-1, 1, 1). Shifting and scaling the crop leaves the rotation as it
is, as the field does. The 3D jitter (`catpose.data.pose_jitter`) comes first, then the crop with
its turn, the mirror last; the image is resampled once for all of them.
"""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, Num

from catpose import fields
from catpose.data import pose_jitter, warp
from catpose.geometry import so3, viewpoint

# What each set of pretrained weights wants to see: (order of channels, scale, mean, deviation).
NORMALIZATIONS = {
    "keras": ("bgr", 1.0, (103.939, 116.779, 123.68), (1.0, 1.0, 1.0)),
    "torchvision": ("rgb", 255.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "none": ("rgb", 1.0, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),  # for pictures that people look at
}


@dataclasses.dataclass(frozen=True)
class Augment:
    """How strongly training images are changed at random."""

    mirror: float = fields.key(0.0, "probability of a mirrored image", fields.between(0, 1))
    zoom: float = fields.key(
        0.0,
        "the crop's side is scaled by a factor uniform in [1 - zoom, 1 + zoom]",
        fields.between(0, 1),
    )
    shift: float = fields.key(
        0.0,
        "the crop's center moves by at most this share of its side, each way",
        fields.at_least(0),
    )
    rotate_deg: float = fields.key(
        0.0,
        "the picture turns by an angle uniform in [-rotate_deg, rotate_deg]",
        fields.at_least(0),
    )
    brightness: float = fields.key(
        0.0, "added to all channels, uniform in +-brightness (1 = white)", fields.at_least(0)
    )
    contrast: float = fields.key(
        0.0,
        "factor on the distance from the image's mean, uniform in 1 +- contrast",
        fields.at_least(0),
    )
    saturation: float = fields.key(
        0.0, "factor on the distance from gray, uniform in 1 +- saturation", fields.at_least(0)
    )
    jitter_iou: float = fields.key(
        1.0,
        "the box's sides move at random, so that the new box overlaps the old one by an "
        "intersection over union uniform in [jitter_iou, 1]; 1 leaves the box. On top of zoom and "
        "shift: the bound is the whole crop's where those are 0",
        fields.Range(lambda value: 0 < value <= 1, lambda: "above 0, up to 1"),
    )
    pose_jitter_deg: tuple[float, float, float] = fields.key(
        (0.0, 0.0, 0.0),
        "the camera moves about the object by angles uniform in +-(azimuth, elevation, theta), "
        "where it is known (pascal3d, objectnet3d); the paper's are (1, 1, 4), in steps",
        fields.Range(
            lambda value: len(value) == 3,
            lambda: "three angles in degrees: azimuth, elevation, theta",
        ),
    )

    @property
    def resamples(self) -> bool:
        """Whether any change needs the image to be resampled."""
        moves = self.zoom or self.shift or self.rotate_deg or self.jitter_iou < 1
        return bool(moves or self.jitters_pose)

    @property
    def jitters_pose(self) -> bool:
        """Whether poses are jittered in 3D, which needs their cameras."""
        return any(self.pose_jitter_deg)


class View(NamedTuple):
    """One way of looking at an example: scalars or (B,) arrays.

    Attributes:
      mirror: 1 where the picture is mirrored (after everything else), else 0.
      zoom: side of the crop over the side of the box; of its width, where `stretch` is not 1.
      shift_x: movement of the crop's centre to the right, in sides of the box.
      shift_y: movement of the crop's centre downwards, in sides of the box.
      angle: counter-clockwise turn of the picture's content about the crop's centre, radians.
      stretch: the crop's height grows by this factor beyond `zoom`.
      azimuth: change of the pose before all this, radians; the box follows the object.
      elevation: likewise.
      theta: likewise; unlike `angle` about the object's centre.
    """

    mirror: Num[Array, "..."] | float = 0.0
    zoom: Num[Array, "..."] | float = 1.0
    shift_x: Num[Array, "..."] | float = 0.0
    shift_y: Num[Array, "..."] | float = 0.0
    angle: Num[Array, "..."] | float = 0.0
    stretch: Num[Array, "..."] | float = 1.0
    azimuth: Num[Array, "..."] | float = 0.0
    elevation: Num[Array, "..."] | float = 0.0
    theta: Num[Array, "..."] | float = 0.0


# Views for cached features: the names that a phase's `views` may use, beside those of
# `random_names`.
VIEWS = {
    "identity": View(),
    "mirror": View(mirror=1.0),
    "in": View(zoom=0.9),
    "in_mirror": View(zoom=0.9, mirror=1.0),
    "left": View(zoom=0.95, shift_x=-0.04, shift_y=0.03, angle=0.035),
    "left_mirror": View(zoom=0.95, shift_x=-0.04, shift_y=0.03, angle=0.035, mirror=1.0),
    "right": View(zoom=0.95, shift_x=0.04, shift_y=-0.03, angle=-0.035),
    "right_mirror": View(zoom=0.95, shift_x=0.04, shift_y=-0.03, angle=-0.035, mirror=1.0),
}
_RANDOM = "random"


def random_names(count: int) -> tuple[str, ...]:
    """Names of views that are drawn once, and kept, for each example: "random0", "random1", ...

    They change pictures as the phase's `augment` says, colours included.
    """
    return tuple(f"{_RANDOM}{number}" for number in range(count))


def random_number(name: str) -> int | None:
    """Which of the random views this is; None for one of `VIEWS`.

    Raises:
      KeyError: no view at all.
    """
    number = name.removeprefix(_RANDOM)
    if number != name and number.isdecimal():
        return int(number)
    VIEWS[name]
    return None


def random_views(uniform: Float[Array, "B 5"], augment: Augment) -> View:
    """A random view for each row of numbers uniform in [0, 1)."""
    mirror, zoom, shift_x, shift_y, angle = uniform.T
    return View(
        mirror=(mirror < augment.mirror).astype(jnp.float32),
        zoom=1 + augment.zoom * (2 * zoom - 1),
        shift_x=augment.shift * (2 * shift_x - 1),
        shift_y=augment.shift * (2 * shift_y - 1),
        angle=jnp.radians(augment.rotate_deg) * (2 * angle - 1),
    )


def jittered(
    uniform: Float[Array, "B 8"], view: View, augment: Augment, seen: pose_jitter.Seen | None = None
) -> View:
    """The view with its box and its pose jittered.

    Args:
      uniform: numbers uniform in [0, 1): five for the box, three for the pose.
      view: (B,) fields, without jitter.
      augment: strengths.
      seen: how the examples were seen; poses with an unknown camera, all of them for None, are not
        jittered.
    """
    if augment.jitter_iou < 1:
        size, shift = pose_jitter.box_moves(uniform[:, :5], augment.jitter_iou)
        view = view._replace(
            zoom=view.zoom * size[:, 0],
            stretch=view.stretch * size[:, 1] / size[:, 0],
            shift_x=view.shift_x + shift[:, 0],
            shift_y=view.shift_y + shift[:, 1],
        )
    if augment.jitters_pose and seen is not None:
        range_deg = jnp.array([augment.pose_jitter_deg], jnp.float32)
        change = jnp.radians(range_deg) * (2 * uniform[:, 5:] - 1)
        change = jnp.where(pose_jitter.known(seen)[:, None], change, 0)
        view = view._replace(azimuth=change[:, 0], elevation=change[:, 1], theta=change[:, 2])
    return view


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


def view_rotation(rotation: Float[Array, "B 3 3"], view: View) -> Float[Array, "B 3 3"]:
    """The rotations (frame "camera") of what `view` shows of each example."""
    azimuth, elevation, theta, angle = (
        jnp.broadcast_to(jnp.asarray(value, rotation.dtype), rotation.shape[:1])
        for value in (view.azimuth, view.elevation, view.theta, view.angle)
    )
    jittered = pose_jitter.turn(rotation, azimuth, elevation, theta)
    zero = jnp.zeros_like(angle)
    turned = so3.multiply(so3.exp(jnp.stack([zero, zero, angle], -1)), jittered)
    mirror = jnp.asarray(view.mirror).reshape(-1, 1, 1) > 0
    return jnp.where(mirror, viewpoint.mirror(turned), turned)


def random_colour(
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
    grey = image.mean(axis=-1, keepdims=True)
    image = grey + (image - grey) * (1 + augment.saturation * saturation)
    mean = image.mean(axis=(1, 2, 3), keepdims=True)
    image = mean + (image - mean) * (1 + augment.contrast * contrast)
    return jnp.clip(image + 255 * augment.brightness * brightness, 0, 255)


def normalize(image: Num[Array, "B H W 3"], normalization: str) -> Float[Array, "B H W 3"]:
    """RGB values in [0, 255] -> what the network with these pretrained weights reads."""
    order, scale, mean, deviation = NORMALIZATIONS[normalization]
    image = image.astype(float)  # float64 under jax_enable_x64
    if order == "bgr":
        image = image[..., ::-1]
    mean = jnp.array(mean, float)[None, None, None]
    deviation = jnp.array(deviation, float)[None, None, None]
    return (image / scale - mean) / deviation


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
    line = warp.grid(resolution, context)
    x, y = line[None, None, :], line[None, :, None] * field(view.stretch)
    cos, sin = jnp.cos(field(view.angle)), jnp.sin(field(view.angle))
    source_x = (cos * x - sin * y / aspect) * field(view.zoom) + field(view.shift_x)
    source_y = (sin * x * aspect + cos * y) * field(view.zoom) + field(view.shift_y)
    if back is not None:
        source_x, source_y = warp.through(back, source_x, source_y)
    # From shares of the box's sides to the stored crop's pixels.
    column, row = ((source + 0.5) * box + margin - 0.5 for source in (source_x, source_y))
    return warp.bilinear(image, column, row)
