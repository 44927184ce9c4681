"""Which changes an image and its pose undergo, at random or by name, inside the jitted step.

Rotations here are in frame "camera": x right, y up, z towards the viewer. Turning the picture
counter-clockwise by r left-multiplies the rotation by Rz(r) (theta grows by r); mirroring the
picture conjugates it with diag(-1, 1, 1). Shifting and scaling the crop leaves the rotation as it
is, as the field does. The 3D jitter (`catpose.data.pose_jitter`) comes first, then the crop with
its turn, the mirror last; `catpose.data.warp` resamples the image once for all of them.
"""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from catpose import config_keys
from catpose.data import pose_jitter
from catpose.geometry import so3, viewpoint


@dataclasses.dataclass(frozen=True)
class Augment:
    """How strongly training images are changed at random."""

    mirror: float = config_keys.key(
        0.0, "probability of a mirrored image", config_keys.between(0, 1)
    )
    zoom: float = config_keys.key(
        0.0,
        "the crop's side is scaled by a factor uniform in [1 - zoom, 1 + zoom]",
        config_keys.between(0, 1),
    )
    shift: float = config_keys.key(
        0.0,
        "the crop's center moves by at most this share of its side, each way",
        config_keys.at_least(0),
    )
    rotate_deg: float = config_keys.key(
        0.0,
        "the picture turns by an angle uniform in [-rotate_deg, rotate_deg]",
        config_keys.at_least(0),
    )
    brightness: float = config_keys.key(
        0.0, "added to all channels, uniform in +-brightness (1 = white)", config_keys.at_least(0)
    )
    contrast: float = config_keys.key(
        0.0,
        "factor on the distance from the image's mean, uniform in 1 +- contrast",
        config_keys.at_least(0),
    )
    saturation: float = config_keys.key(
        0.0, "factor on the distance from gray, uniform in 1 +- saturation", config_keys.at_least(0)
    )
    jitter_iou: float = config_keys.key(
        1.0,
        "the box's sides move at random, so that the new box overlaps the old one by an "
        "intersection over union uniform in [jitter_iou, 1]; 1 leaves the box. On top of zoom and "
        "shift: the bound is the whole crop's where those are 0",
        config_keys.Range(lambda value: 0 < value <= 1, lambda: "above 0, up to 1"),
    )
    pose_jitter_deg: tuple[float, float, float] = config_keys.key(
        (0.0, 0.0, 0.0),
        "the camera moves about the object by angles uniform in +-(azimuth, elevation, theta), "
        "where it is known (pascal3d, objectnet3d); the paper's are (1, 1, 4), in steps",
        config_keys.Range(
            lambda value: len(value) == 3 and min(value) >= 0,
            lambda: "three angles in degrees: azimuth, elevation, theta, each 0 or larger",
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
      shift_x: movement of the crop's center to the right, in sides of the box.
      shift_y: movement of the crop's center downwards, in sides of the box.
      angle: counter-clockwise turn of the picture's content about the crop's center, radians.
      stretch: the crop's height grows by this factor beyond `zoom`.
      azimuth: change of the pose before all this, radians; the box follows the object.
      elevation: likewise.
      theta: likewise; unlike `angle` about the object's center.
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

    They change pictures as the phase's `augment` says, colors included.
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


class Sample(NamedTuple):
    """What an augmentation changes in the pictures of B examples.

    Attributes:
      view: (B,) fields.
      color: (B, 3) for `warp.random_color`, where a half changes nothing.
    """

    view: View
    color: Float[Array, "B 3"]


def random_sample(keys: Array, augment: Augment, seen: pose_jitter.Seen | None) -> Sample:
    """A new sample for each of the (B,) keys; `seen` as for `jittered`."""
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (8,)))(keys)
    view = random_views(uniform[:, :5], augment)
    jitter_uniform = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 1), (8,)))(
        keys
    )
    view = jittered(jitter_uniform, view, augment, seen)
    return Sample(view, uniform[:, 5:])


def fixed_sample(
    views: tuple[str, ...],
    number: Int[Array, "B"],
    index: Int[Array, "B"],
    augment: Augment,
    seen: pose_jitter.Seen | None,
) -> Sample:
    """Samples that are the same at every call.

    Args:
      views: names, see `VIEWS` and `random_names`.
      number: which of the names.
      index: the examples' numbers in their split, on which random views depend.
      augment: strengths of the random ones.
      seen: as for `jittered`.
    """
    drawn_numbers = [random_number(name) for name in views]
    table = np.array([VIEWS.get(name, View()) for name in views]).T
    fixed = jax.tree.map(lambda column: jnp.asarray(column, float)[number], View(*table))
    if set(drawn_numbers) == {None}:
        return Sample(fixed, jnp.full((len(index), 3), 0.5))
    which = jnp.array([-1 if n is None else n for n in drawn_numbers])[number]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), jnp.maximum(which, 0))
    anew = random_sample(jax.vmap(jax.random.fold_in)(keys, index), augment, seen)
    view = jax.tree.map(lambda own, other: jnp.where(which < 0, own, other), fixed, anew.view)
    return Sample(view, jnp.where(which[:, None] < 0, 0.5, anew.color))


def resamples(views: tuple[str, ...], augment: Augment) -> bool:
    """Whether any of the views, or a new one where there are none, does more than mirror."""
    fixed = [VIEWS[name] for name in views if random_number(name) is None]
    if any(view._replace(mirror=0.0) != View() for view in fixed):
        return True
    return augment.resamples and (len(fixed) < len(views) or not views)
