"""The data engine: pictures of 3D models from random views, drawn inside a jitted step.

Each picture depends on its own key alone, so a batch may be divided among devices. Rotations are
in frame "camera". What is random and how strongly is a `Look`, whose numbers are static.

Reference: Su, Qi, Li and Guibas, Render for CNN, 2015, section 4: views like those of photographs,
random light, backgrounds of real scenes, crops that are loose or cut the object.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from catpose.synthetic import mesh_batch, renderer, scene, textures, view_density
from catpose.synthetic.look import Look

_ROOM = 1.25  # side of a background over that of a picture: it is cut out anywhere
_LIGHTS = 4  # a key light and three others, some of which may be off


class Views(NamedTuple):
    """Where objects are seen from, for each of K categories.

    Attributes:
      limits: ranges, from `view_density.stack`.
      density: of annotations, from `view_density.stack`; None: views are drawn from the ranges
        alone.
      share: of the views that are drawn from the ranges nevertheless, so that none is impossible.
    """

    limits: view_density.Ranges
    density: view_density.Density | None = None
    share: float | Float[Array, ""] = 1.0


class Drawn(NamedTuple):
    """Pictures and their labels.

    Attributes:
      image: RGB in [0, 255].
      mask: the object's share of each pixel, in [0, 1], without what hides it.
      rotation: object to camera, frame "camera".
      distance: from the camera to the object's origin, in half diagonals of its bounding box.
    """

    image: Float[Array, "B S S 3"]
    mask: Float[Array, "B S S"]
    rotation: Float[Array, "B 3 3"]
    distance: Float[Array, "B"]


def background_size(size: int) -> int:
    """Side of the backgrounds for pictures of side `size`."""
    return round(_ROOM * size)


def _folded(keys: Array, number: int) -> Array:
    return jax.vmap(jax.random.fold_in, (0, None))(keys, number)


class _Numbers:
    """Uniform numbers of each example, handed out in order; `between` scales the next ones."""

    def __init__(self, keys: Array, count: int):
        self._uniform = jax.vmap(lambda key: jax.random.uniform(key, (count,)))(keys)
        self._next = 0

    def between(self, low: float | int, high: float | int, count: int | None = None) -> Array:
        first, self._next = self._next, self._next + (count or 1)
        some = self._uniform[:, first : self._next]
        return low + (high - low) * (some if count else some[:, 0])


def _each(draw_fn: Callable, keys: Array, *rows: Array) -> Any:
    """Calls a function that draws a batch from one key, for each example with its own key."""
    one = jax.vmap(lambda key, *row: draw_fn(key, *(value[None] for value in row)))
    return jax.tree.map(lambda leaf: leaf[:, 0], one(keys, *rows))


def _sampled_views(keys: Array, seen: Views, category: Int[Array, "B"]) -> view_density.CameraViews:
    ranged = _each(
        lambda key, one: view_density.sample_ranges(key, seen.limits, one), keys, category
    )
    if seen.density is None:
        return ranged
    like = _each(
        lambda key, one: view_density.sample(key, seen.density, one), _folded(keys, 1), category
    )
    anywhere = jax.vmap(jax.random.uniform)(_folded(keys, 2)) < seen.share

    def choose(a: Array, b: Array) -> Array:
        return jnp.where(anywhere.reshape(-1, *[1] * (a.ndim - 1)), a, b)

    return jax.tree.map(choose, ranged, like)


def _framed(
    vertices: Float[Array, "B V 3"],
    seen: view_density.CameraViews,
    numbers: _Numbers,
    look: Look,
    size: int,
    context: float,
) -> scene.View:
    """The camera whose picture is a crop around the object."""
    # Elementwise: a matrix product would be rounded on accelerators.
    points = jnp.sum(seen.rotation[:, None] * vertices[:, :, None], axis=-1)
    depth = seen.distance[:, None] - points[..., 2]
    on_plane = jnp.stack([points[..., 0], -points[..., 1]], -1) / depth[..., None]
    low, high = on_plane.min(axis=1), on_plane.max(axis=1)
    extent = high - low
    loose = numbers.between(*look.loosen)[:, None]
    moved = numbers.between(-look.box_jitter, look.box_jitter, 4)
    cut = numbers.between(0, look.truncation_most) * (numbers.between(0, 1) < look.truncation)
    side = numbers.between(0, 4).astype(jnp.int32)
    moved = moved - cut[:, None] * (side[:, None] == jnp.arange(4, dtype=jnp.int32)[None])
    low = low - (loose + moved[:, :2]) * extent
    high = high + (loose + moved[:, 2:]) * extent
    extent = context * (high - low)
    squeezed = numbers.between(0, 1) < look.squeeze
    whole = jnp.broadcast_to(extent.max(axis=1, keepdims=True), extent.shape)
    focal = size / jnp.where(squeezed[:, None], extent, whole)
    center = size / 2 - focal * (low + high) / 2
    return scene.View(seen.rotation, seen.distance, focal, center)


def _sphere(numbers: _Numbers, count: int) -> Float[Array, "B count 3"]:
    """Directions, uniform on the sphere."""
    height = numbers.between(-1, 1, count)
    around = numbers.between(-np.pi, np.pi, count)
    flat = jnp.sqrt(1 - height * height)
    return jnp.stack([flat * jnp.cos(around), flat * jnp.sin(around), height], axis=-1)


def _lights(numbers: _Numbers, look: Look, rotation: Float[Array, "B 3 3"]) -> scene.Light:
    key = jnp.stack(
        [numbers.between(-1, 1), numbers.between(0.2, 1.2), numbers.between(0.2, 1)], axis=-1
    )
    others = _sphere(numbers, _LIGHTS - 1)
    key = key / jnp.linalg.norm(key, axis=-1, keepdims=True)
    strong = numbers.between(*look.key_light)
    on = numbers.between(0, 1, _LIGHTS - 1) < 0.5
    weak = numbers.between(0, look.more_lights, _LIGHTS - 1) * on
    directions = jnp.concatenate([key[:, None], others], axis=1)
    intensities = jnp.concatenate([strong[:, None], weak], axis=1)
    light = scene.Light(directions, intensities, numbers.between(*look.ambient))
    if look.sky:
        light = light._replace(gradient=rotation[:, :, 2] * numbers.between(0, look.sky)[:, None])
    if look.point_lights:
        away = numbers.between(2, 5, look.point_lights)
        on = numbers.between(0, 1, look.point_lights) < 0.5
        power = numbers.between(0, look.point_power, look.point_lights) * on * away * away
        at = away[..., None] * _sphere(numbers, look.point_lights)
        light = light._replace(positions=at, powers=power)
    return light


def _cut_out(table: Num[Array, "N P P 3"], numbers: _Numbers, size: int) -> Float[Array, "B S S 3"]:
    """A random part of a random background, perhaps mirrored; colors in [0, 1]."""
    number, row, column, mirror = numbers.between(0, 1, 4).T
    room = table.shape[1] - size + 1

    def one(number: Array, row: Array, column: Array) -> Array:
        corner = (number * table.shape[0], row * room, column * room)
        corner = [value.astype(jnp.int32) for value in corner]
        return jax.lax.dynamic_slice(table, (*corner, 0), (1, size, size, 3))[0]

    part = jax.vmap(one)(number, row, column)
    part = jnp.where(mirror[:, None, None, None] < 0.5, part[:, :, ::-1], part)
    return part.astype(jnp.float32) / 255


def _hidden(
    image: Float[Array, "B S S 3"], table: Array, numbers: _Numbers, look: Look
) -> Float[Array, "B S S 3"]:
    """A box or an ellipse of another background, or of one color, before the object."""
    size = image.shape[1]
    place = (jnp.arange(size, dtype=jnp.float32) + 0.5) / size
    middle, reach = numbers.between(0, 1, 2), numbers.between(0.1, look.occlusion_most, 2) / 2
    x = (place[None, None, :] - middle[:, 0, None, None]) / reach[:, 0, None, None]
    y = (place[None, :, None] - middle[:, 1, None, None]) / reach[:, 1, None, None]
    round_ = numbers.between(0, 1) < 0.5
    inside = jnp.where(round_[:, None, None], x * x + y * y, jnp.maximum(jnp.abs(x), jnp.abs(y)))
    there = (numbers.between(0, 1) < look.occlusion)[:, None, None] & (inside < 1)
    color = numbers.between(0, 1, 3)[:, None, None]
    plain = (numbers.between(0, 1) < 0.5)[:, None, None, None]
    cover = jnp.where(plain, color, _cut_out(table, numbers, size))
    return jnp.where(there[..., None], cover, image)


def _spread(
    image: Float[Array, "B S S 3"], share: Float[Array, "B 1 1 1"], axis: int
) -> Float[Array, "B S S 3"]:
    """Each pixel with shares of its two neighbors along an axis; the edges repeat."""
    around = [(1, 1) if i == axis else (0, 0) for i in range(4)]
    padded = jnp.pad(image, around, mode="edge")
    size = image.shape[axis]
    before, after = (jax.lax.slice_in_dim(padded, i, i + size, axis=axis) for i in (0, 2))
    return (1 - 2 * share) * image + share * (before + after)


def _developed(
    keys: Array, image: Float[Array, "B S S 3"], numbers: _Numbers, look: Look
) -> Float[Array, "B S S 3"]:
    """What a camera adds; levels of [0, 255], not rounded."""

    def field(value: Array) -> Array:
        return value[:, None, None, None]

    contrast = field(numbers.between(1 - look.contrast, 1 + look.contrast))
    brightness = field(numbers.between(-look.brightness, look.brightness))
    saturation = field(numbers.between(1 - look.saturation, 1 + look.saturation))
    gray = image.mean(axis=-1, keepdims=True)
    image = gray + saturation * (image - gray)
    image = 0.5 + contrast * (image - 0.5) + brightness
    if look.cast:
        image *= numbers.between(1 - look.cast, 1 + look.cast, 3)[:, None, None]
    if look.monochrome:
        gray = image.mean(axis=-1, keepdims=True)
        image = jnp.where(field(numbers.between(0, 1)) < look.monochrome, gray, image)
    if look.blur:
        # Four times (share, 1 - 2 share, share): the variances, of 2 shares each, add up.
        share = field(numbers.between(0, look.blur)) ** 2 / 8
        for axis in (1, 2, 1, 2, 1, 2, 1, 2):
            image = _spread(image, share, axis)
    # Random bytes are a quarter of the work of normal numbers, and as good at this strength.
    shape = image.shape[1:]
    grain = jax.vmap(lambda key: jax.random.bits(key, shape, jnp.uint8))(keys)
    image += (grain.astype(jnp.float32) / 255 - 0.5) * field(numbers.between(0, look.noise))
    return 255 * jnp.clip(image, 0, 1)


def draw(
    keys: Array,
    meshes: mesh_batch.Padded,
    category: Int[Array, "B"],
    seen: Views,
    table: Num[Array, "N P P 3"],
    corner_normals: Float[Array, "B T 3 3"] | None = None,
    *,
    look: Look,
    size: int,
    context: float = 1.0,
    supersampling: int = 2,
) -> Drawn:
    """Draws one random picture of each mesh; may be called inside jit.

    Args:
      keys: (B,) random keys, the only source of chance.
      meshes: one per picture, from `mesh_batch.pad`.
      category: of each mesh, for its views.
      seen: where from.
      table: backgrounds, uint8, of side P at least `size`.
      corner_normals: for smooth shading, see `renderer.render`.
      look: static; how pictures differ.
      size: static; S, the side of the pictures.
      context: static; side of the crop over that of the box, as photos are cropped.
      supersampling: static; samples per pixel and axis.
    """
    numbers = _Numbers(_folded(keys, 0), 64 + 5 * look.point_lights)
    sampled = _sampled_views(_folded(keys, 1), seen, category)
    view = _framed(meshes.vertices, sampled, numbers, look, size, context)
    light = _lights(numbers, look, sampled.rotation)
    behind = _cut_out(table, numbers, size)
    plain = (numbers.between(0, 1) < look.grey)[:, None, None, None]
    behind = jnp.where(plain, numbers.between(0, 1)[:, None, None, None], behind)
    texture = None
    if look.texture:
        texture = _each(
            lambda key: textures.sample(key, 1, strength=look.texture), _folded(keys, 3)
        )
    picture = renderer.render(
        meshes,
        view,
        light,
        behind,
        corner_normals,
        supersampling=supersampling,
        texture=texture,
    )
    image = picture.image
    if look.occlusion:
        image = _hidden(image, table, numbers, look)
    image = _developed(_folded(keys, 2), image, numbers, look)
    return Drawn(image, picture.mask, sampled.rotation, sampled.distance)
