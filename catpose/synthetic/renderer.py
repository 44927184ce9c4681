"""The renderer: pictures of a batch of meshes, in jax, the same on CPU, GPU and TPU.

Frames and units are those of `scene`; flat triangles are drawn with perspective and supersampling,
and only those that face the eye. A sample belongs to every triangle that it lies in or on the edge
of, within `_TOLERANCE`; the nearest is seen, among equals the last. Triangles are not projected but
drawn in homogeneous coordinates, so they may reach past the eye: what is nearer than the near plane
is cut off.

Everything is float32 and deterministic. Memory beyond the arguments and the result is some sixty
numbers per triangle of the batch, and what `images_at_once` pictures take: some ten numbers per
sample, and per row of tiles and triangle four.

Reference: Olano and Greer, Triangle scan conversion using 2D homogeneous coordinates, 1997.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from catpose.errors import InputError
from catpose.synthetic import mesh_batch, scene, shading, textures, tiles

# How far outside an edge a sample still counts, in shares of the picture's side: above rounding, so
# that there is no crack between neighbors (1/5000 of a sample at 448 samples).
_TOLERANCE = 5e-7


class Picture(NamedTuple):
    """What was drawn.

    Attributes:
        image: colors in [0, 1].
        mask: the covered share of each pixel, in [0, 1].
        depth: of the nearest sample in each pixel; infinite where nothing is drawn.
        normals: mean over a pixel's covered samples of the unit normal, in the camera frame, scaled
            to length 1; zero where nothing is drawn. None unless requested.
    """

    image: Float[Array, "B S S 3"]
    mask: Float[Array, "B S S"]
    depth: Float[Array, "B S S"]
    normals: Float[Array, "B S S 3"] | None


class _Triangles(NamedTuple):
    """What is drawn; x and y are in samples from where the optical axis meets the picture."""

    lines: Float[Array, "B T 4 3"]  # three edges and the inverse depth, see `tiles.visible`
    box: Float[Array, "B T 4"]
    normals: Float[Array, "B T 3"]  # unit, camera frame
    blend: Float[Array, "B T 9"] | None  # the interpolated normal up to length, see `shading.blend`
    colors: Float[Array, "B T C"]  # C = 3, or 9 for the color over the depth, likewise


def _cross(a: tuple, b: tuple) -> tuple:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def _difference(a: tuple, b: tuple) -> tuple:
    return tuple(p - q for p, q in zip(a, b, strict=True))


def _corners(meshes: mesh_batch.Padded, rotation: Float[Array, "B 3 3"]) -> list[tuple]:
    """The corners of triangles in the camera frame: x, y and z (B, T) of each."""
    batch, num = meshes.triangles.shape[:2]
    vertices = shading.rotated(rotation, [meshes.vertices[..., i] for i in range(3)])
    points = jnp.stack(vertices, axis=-1)
    at = meshes.triangles.reshape(batch, 3 * num, 1)
    points = jnp.take_along_axis(points, at, axis=1).reshape(batch, num, 3, 3)
    return [tuple(points[:, :, i, j] for j in range(3)) for i in range(3)]


def _set_up(
    meshes: mesh_batch.Padded,
    view: scene.View,
    light: scene.Light,
    corner_normals: Array | None,
    near: Float[Array, "B 1"],
    focal: Float[Array, "B 2"],  # along x and along y
    tolerance: float,
) -> _Triangles:
    num = meshes.triangles.shape[1]
    corners = _corners(meshes, view.rotation)
    distance = view.distance[:, None]

    sides = [_difference(corners[i], corners[0]) for i in (1, 2)]
    normal = _cross(*sides)
    area = jnp.sqrt(sum(n * n for n in normal))
    normal = tuple(n / jnp.maximum(area, 1e-30) for n in normal)
    longest = functools.reduce(jnp.maximum, [sum(s * s for s in side) for side in sides])
    x, y, z = corners[0]
    height = normal[2] * (distance - z) - normal[0] * x - normal[1] * y
    depth = [distance - z for _, _, z in corners]
    farthest = functools.reduce(jnp.maximum, depth)
    nearest = functools.reduce(jnp.minimum, depth)
    # Computed once, not again in each expression that uses them: that compiles faster.
    corners, normal, area, height = jax.lax.optimization_barrier((corners, normal, area, height))
    real = jnp.arange(num, dtype=jnp.int32)[None] < meshes.count[:, None]
    drawn = real & (height > 1e-6 * distance) & (area > 1e-7 * longest) & (farthest > near)

    focal_x, focal_y = focal[:, :1], focal[:, 1:]
    places = [(focal_x * x, -focal_y * y, w) for (x, y, _), w in zip(corners, depth, strict=True)]
    edges = []
    for i in range(3):
        # Of two corners' product only the difference matters, and it keeps its precision.
        first, second = places[(i + 1) % 3], places[(i + 2) % 3]
        edges.append(_cross(second, _difference(first, second)))
    drawn, places, edges = jax.lax.optimization_barrier((drawn, places, edges))
    lines = []
    for a, b, c in edges:
        scale = 1 / jnp.maximum(jnp.sqrt(a * a + b * b), 1e-30)
        a, b, c = a * scale, b * scale, c * scale + tolerance
        lines.append([jnp.where(drawn, a, 0), jnp.where(drawn, b, 0), jnp.where(drawn, c, -1)])

    # The inverse depth is exact at the farthest corner, which is in front of the eye.
    scale = 1 / jnp.where(drawn, height, 1)
    across, down = -normal[0] * scale / focal_x, normal[1] * scale / focal_y
    far = [
        jnp.where(depth[0] == farthest, a, jnp.where(depth[1] == farthest, b, c))
        for a, b, c in zip(*places, strict=True)
    ]
    inverse = 1 / jnp.where(drawn, farthest, 1)
    constant = inverse * (1 - across * far[0] - down * far[1])
    lines.append([across, down, constant])
    lines = jnp.stack([jnp.stack(line, axis=-1) for line in lines], axis=-2)

    ends = []
    for axis in range(2):
        on_picture = [place[axis] / jnp.maximum(place[2], near) for place in places]
        low = functools.reduce(jnp.minimum, on_picture) - 0.01
        high = functools.reduce(jnp.maximum, on_picture) + 0.01  # rounding must lose nothing
        whole = nearest < near  # it passes the near plane: anywhere
        low, high = jnp.where(whole, -jnp.inf, low), jnp.where(whole, jnp.inf, high)
        ends += [jnp.where(drawn, low, jnp.inf), jnp.where(drawn, high, -jnp.inf)]

    colors, blend = meshes.colors, None
    if corner_normals is None:
        centroid = [sum(places) * (1 / 3) for places in zip(*corners, strict=True)]
        received = shading.received(light, normal, centroid)
        colors = colors * received.reshape(*received.shape, *(1,) * (colors.ndim - 2))
    else:
        turned = [
            shading.rotated(view.rotation, [corner_normals[:, :, i, j] for j in range(3)])
            for i in range(3)
        ]
        blend = shading.blend(edges, turned, shading.largest(edges))
    if colors.ndim == 4:
        values = [[colors[:, :, i, j] for j in range(3)] for i in range(3)]
        determinant = jnp.where(drawn, focal_x * focal_y * area * height, 1)
        colors = shading.blend(edges, values, 1 / determinant)
    return _Triangles(lines, jnp.stack(ends, -1), jnp.stack(normal, -1), blend, colors)


def _draw(
    triangles,
    view,
    focal,
    light,
    texture,
    origin,
    limit,
    background,
    *,
    supersampling,
    normals,
    tiling,
):
    """Draws some of the batch; colors are lit already unless the shading is smooth."""
    batch, size = background.shape[:2]
    samples = size * supersampling
    nearest, index = tiles.visible(
        triangles.lines, triangles.box, limit, origin, samples=samples, **tiling
    )
    flat = jnp.maximum(index, 0).reshape(batch, -1)
    covered = (index >= 0).astype(jnp.float32)

    def of_triangle(values: Float[Array, "B T C"]) -> list[Array]:
        return [
            jnp.take_along_axis(values[..., i], flat, axis=1, mode="promise_in_bounds")
            for i in range(values.shape[-1])
        ]

    def shifted(values: Array) -> list[Array]:
        """The first sample of each pixel, the second and so on: (B, S, S) each."""
        step = range(supersampling)
        return [values[:, i::supersampling, j::supersampling] for i in step for j in step]

    def averaged(values: Array) -> Float[Array, "B S S"]:
        return sum(shifted(values)) * (1 / supersampling**2)

    step = jnp.arange(samples, dtype=jnp.float32)
    x = jnp.tile((origin[:, 0, None] + step[None])[:, None, :], (1, samples, 1))
    y = jnp.tile((origin[:, 1, None] + step[None])[:, :, None], (1, 1, samples))
    x, y = x.reshape(batch, -1), y.reshape(batch, -1)
    depths = jnp.where(nearest > 0, 1 / jnp.where(nearest > 0, nearest, 1), 1).reshape(batch, -1)
    points = shading.points(x, y, depths, view.distance, focal)

    seen, facing = of_triangle(triangles.colors), None
    if len(seen) == 9:
        seen = [channel * depths for channel in shading.at(seen, x, y)]
    if texture is not None:
        here = shading.rotated(view.rotation.swapaxes(1, 2), points)
        factor = textures.factor(texture, jnp.stack(here, axis=-1))
        seen = [channel * factor for channel in seen]
    if triangles.blend is not None:
        facing = shading.unit(shading.at(of_triangle(triangles.blend), x, y))
        received = shading.received(light, facing, points)
        seen = [channel * received for channel in seen]
    elif normals:
        facing = of_triangle(triangles.normals)

    seen = [jnp.clip(channel, 0, 1) for channel in seen]

    def masked(values: list[Array]) -> Float[Array, "B S S C"]:
        return jnp.stack(
            [averaged(v.reshape(batch, samples, samples) * covered) for v in values], axis=-1
        )

    mask = averaged(covered)
    image = masked(seen) + (1 - mask[..., None]) * background
    inverse = functools.reduce(jnp.maximum, shifted(nearest))
    depth = jnp.where(inverse > 0, 1 / jnp.where(inverse > 0, inverse, 1), jnp.inf)
    if not normals:
        return Picture(image, mask, depth, None)
    mean = masked(facing)
    mean = shading.unit([mean[..., i] for i in range(3)])
    return Picture(image, mask, depth, jnp.stack(mean, -1))


@functools.partial(
    jax.jit,
    static_argnames=("supersampling", "normals", "near", "tile", "tiles_at_once", "images_at_once"),
)
def render(
    meshes: mesh_batch.Padded,
    view: scene.View,
    light: scene.Light,
    background: Float[Array, "B H W 3"],
    corner_normals: Float[Array, "B T 3 3"] | None = None,
    *,
    texture: textures.Texture | None = None,
    supersampling: int = 2,
    normals: bool = False,
    near: float = 0.01,
    tile: int | None = None,
    tiles_at_once: int = 8,
    images_at_once: int = 1,
) -> Picture:
    """Draws a batch of meshes over backgrounds.

    Args:
        meshes: from `mesh_batch.pad`.
        view: cameras with a leading batch axis; pixels are the background's.
        light: in the camera frame, with a leading batch axis. Flat triangles are lit as at their
            centroids, smooth ones at each sample.
        background: colors in [0, 1]; H = W = S.
        corner_normals: from `mesh_batch.corner_normals`, for smooth shading; flat if None.
        texture: multiplies the colors before they are lit; none if None.
        supersampling: samples per pixel and axis.
        normals: whether the picture has normals.
        near: what is nearer to the eye than this share of `view.distance` is not drawn.
        tile: side of a tile in samples; 16 for pictures of up to 160 samples, else 32, if None.
        tiles_at_once: tiles that are drawn at the same time.
        images_at_once: images that are drawn at the same time; the largest divisor of B up to it.

    Raises:
        InputError: if backgrounds are not square or the batch sizes differ.
    """
    batch, size = background.shape[:2]
    if background.shape != (batch, size, size, 3):
        raise InputError(f"backgrounds must be (B, S, S, 3), not {background.shape}")
    sizes = {"meshes": meshes.count, "view": view.distance, "light": light.ambient}
    if texture is not None:
        sizes["texture"] = texture.kind
    for name, value in sizes.items():
        if jnp.shape(value) != (batch,):
            raise InputError(f"{batch} backgrounds, but the shape of {name} is {jnp.shape(value)}")
    as_float = functools.partial(jnp.asarray, dtype=jnp.float32)
    view, light = jax.tree.map(as_float, (view, light))
    meshes = meshes._replace(
        vertices=as_float(meshes.vertices),
        triangles=jnp.asarray(meshes.triangles),
        colors=as_float(meshes.colors),
    )
    samples = size * supersampling
    tile = tile or (16 if samples <= 160 else 32)
    closest = near * view.distance
    focal = supersampling * jnp.broadcast_to(view.focal.reshape(batch, -1), (batch, 2))
    triangles = _set_up(
        meshes,
        view,
        light,
        corner_normals,
        closest[:, None],
        focal,
        _TOLERANCE * samples,
    )
    origin = 0.5 - supersampling * view.center
    arguments = (triangles, view, focal, light, texture, origin, 1 / closest, as_float(background))
    draw = functools.partial(
        _draw,
        supersampling=supersampling,
        normals=normals,
        tiling={"tile": tile, "together": tiles_at_once},
    )
    some = max(n for n in range(1, min(images_at_once, batch) + 1) if batch % n == 0)
    split = jax.tree.map(lambda a: a.reshape(batch // some, some, *a.shape[1:]), arguments)
    drawn = jax.lax.map(lambda some_of: draw(*some_of), split)
    return jax.tree.map(lambda a: a.reshape(batch, *a.shape[2:]), drawn)


def render_one(
    mesh: scene.Mesh,
    view: scene.View,
    light: scene.Light,
    background: Float[np.ndarray, "S S 3"],
    *,
    supersampling: int = 2,
) -> tuple[Float[np.ndarray, "S S 3"], Float[np.ndarray, "S S"]]:
    """Draws one mesh over a background; image and mask as in `Picture`.

    Sizes are rounded up, so that few programs are compiled for many meshes and pictures.

    Args:
        mesh: what to draw.
        view: the camera; its pixels are those of the background.
        light: in the camera frame.
        background: colors in [0, 1].
        supersampling: samples per pixel and axis.
    """
    size = len(background)
    more = -size % 128
    padded = mesh_batch.pad([mesh], multiple=1024, vertex_multiple=2048)
    view, light = jax.tree.map(lambda leaf: np.asarray(leaf)[None], (view, light))
    behind = np.pad(background, ((0, more), (0, more), (0, 0)))[None]
    picture = render(padded, view, light, behind, supersampling=supersampling)
    return tuple(np.array(leaf[0, :size, :size]) for leaf in (picture.image, picture.mask))
