"""Which triangle is seen at each sample: a z-buffer over square tiles of the picture.

Each tile has the list of the triangles that may touch it, and only those are drawn there, so the
cost grows with the area that triangles cover. Lists are kept as one bit per triangle; a tile is
drawn in as many steps as its list is long, so none overflows. Nothing is scattered.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

_UNROLL = 8  # triangles per step


def _lists(
    lines: Float[Array, "B T 4 3"], box: Float[Array, "B T 4"], origin: Float[Array, "B 2"], place
) -> UInt32[Array, "B K W"]:
    """Which triangles may cover a sample of each tile, as bits: a superset of those that do.

    The tiles of one row see the same stretch of a triangle: from its leftmost to its rightmost
    point in the row. A tile has those whose stretch it meets.
    """
    batch, num = box.shape[:2]
    reach = place[1]
    top = origin[:, 1, None, None] + place[0][None, :, None]  # (B, rows, 1)
    bottom = top + reach
    low = jnp.broadcast_to(box[:, None, :, 0], (batch, place[0].shape[0], num))
    high = jnp.broadcast_to(box[:, None, :, 1], low.shape)
    for edge in range(3):
        a, b, c = (lines[:, None, :, edge, i] for i in range(3))
        # Rounding must not lose a triangle that is drawn later: a hundredth of a sample more.
        most = jnp.maximum(b * top, b * bottom) + c + 0.01
        bound = -most / jnp.where(a == 0, 1, a)
        low = jnp.where(a > 1e-3, jnp.maximum(low, bound), low)
        high = jnp.where(a < -1e-3, jnp.minimum(high, bound), high)
    meets = (box[:, None, :, 2] <= bottom) & (box[:, None, :, 3] >= top)
    low, high = jnp.where(meets, low, jnp.inf), jnp.where(meets, high, -jnp.inf)
    count = -(-num // 32)

    def by_bit(values: Array, fill: float) -> Float[Array, "B rows 1 32 W"]:
        values = jnp.pad(values, ((0, 0), (0, 0), (0, 32 * count - num)), constant_values=fill)
        return values.reshape(batch, -1, 1, count, 32).swapaxes(-1, -2)

    low, high = jax.lax.optimization_barrier((by_bit(low, jnp.inf), by_bit(high, -jnp.inf)))
    left = origin[:, 0, None, None, None, None] + place[0][None, None, :, None, None]
    flags = (low <= left + reach) & (high >= left)
    bit = jnp.arange(32, dtype=jnp.uint32)[None, None, None, :, None]
    words = jnp.sum(flags.astype(jnp.uint32) << bit, axis=-2, dtype=jnp.uint32)
    return words.reshape(batch, -1, count)


def _select(
    words: UInt32[Array, "G W"], running: Int[Array, "G W"], k: Int[Array, "U"]
) -> Int[Array, "G U"]:
    """Place of each k-th set bit, counted from 1; undefined where there are fewer."""
    behind = running[:, None, :] < k[None, :, None]
    word = jnp.minimum(jnp.sum(behind, axis=-1, dtype=jnp.int32), words.shape[1] - 1)
    before = jnp.max(jnp.where(behind, running[:, None, :], 0), axis=-1)
    value = jnp.take_along_axis(words, word, axis=1)
    below = jnp.uint32(0xFFFFFFFF) >> (31 - jnp.arange(32, dtype=jnp.uint32))[None, None]
    count = jax.lax.population_count(value[..., None] & below).astype(jnp.int32)
    bit = jnp.sum(count < (k[None] - before)[..., None], axis=-1, dtype=jnp.int32)
    return word * 32 + bit


def visible(
    lines: Float[Array, "B T 4 3"],
    box: Float[Array, "B T 4"],
    limit: Float[Array, "B"],
    origin: Float[Array, "B 2"],
    *,
    samples: int,
    tile: int,
    together: int,
) -> tuple[Float[Array, "B N N"], Int[Array, "B N N"]]:
    """Resolves visibility.

    Args:
        lines: of each triangle, three functions (a, b, c), a x + b y + c, that are not negative
            inside, each in units of the distance from its edge, and its inverse depth.
        box: left, right, top and bottom of each triangle; right < left: it is never drawn.
        limit: the largest inverse depth that is drawn.
        origin: the (x, y) of the first sample; samples are one apart.
        samples: N, samples along a side of the picture.
        tile: samples along a side of a tile.
        together: tiles that are drawn at the same time.

    Returns:
        nearest: the largest inverse depth at each sample; 0 where nothing is drawn.
        index: the triangle that has it, the last of several; -1 where nothing is drawn.
    """
    batch, num = box.shape[:2]
    across = -(-samples // tile)
    place = jnp.arange(across, dtype=jnp.float32) * tile
    grid = jnp.stack(jnp.meshgrid(place, place, indexing="xy"), axis=-1).reshape(1, -1, 2)
    corner = origin[:, None, :] + grid
    words = _lists(lines, box, origin, (place, tile - 1))
    each = jax.lax.population_count(words).astype(jnp.int32)
    running = jnp.cumsum(each, axis=-1, dtype=jnp.int32)

    # Tiles of one group take as many steps as the longest list among them: sort by length.
    total = batch * across * across
    corner = corner.reshape(total, 2)
    words, running = words.reshape(total, -1), running.reshape(total, -1)
    length = running[:, -1]
    order = jnp.argsort(-length)
    group = min(together, total)
    padded = -(-total // group) * group
    groups = jnp.pad(order, (0, padded - total), mode="edge").reshape(-1, group)

    local = jnp.arange(tile * tile, dtype=jnp.int32)
    x = (local % tile).astype(jnp.float32)[None]
    y = (local // tile).astype(jnp.float32)[None]
    table = lines.reshape(batch * num, 4, 3)

    def draw(member: Int[Array, "G"]) -> tuple[Array, Array]:
        image = member // (across * across)
        bits, counts, at = words[member], running[member], corner[member]
        most, highest = length[member], limit[image][:, None]

        def step(i, state):
            nearest, index = state
            k = i * _UNROLL + 1 + jnp.arange(_UNROLL, dtype=jnp.int32)
            which = _select(bits, counts, k)
            real = k[None] <= most[:, None]
            which = jnp.minimum(which, num - 1)
            line = table[image[:, None] * num + which]  # (G, U, 4, 3)
            a, b = line[..., 0], line[..., 1]
            c = a * at[:, None, None, 0] + b * at[:, None, None, 1] + line[..., 2]
            c = jnp.where(real[..., None], c, -jnp.inf)
            # Found once, not again for each sample.
            a, b, c, which = jax.lax.optimization_barrier((a, b, c, which))
            for u in range(_UNROLL):
                e0, e1, e2, inverse = (
                    a[:, u, j, None] * x + b[:, u, j, None] * y + c[:, u, j, None] for j in range(4)
                )
                inside = jnp.minimum(jnp.minimum(e0, e1), e2) >= 0
                better = inside & (inverse >= nearest) & (inverse <= highest)
                nearest = jnp.where(better, inverse, nearest)
                index = jnp.where(better, which[:, u, None], index)
            return nearest, index

        start = (
            jnp.zeros((group, tile * tile), jnp.float32),
            jnp.full((group, tile * tile), -1, jnp.int32),
        )
        steps = (jnp.max(most) + _UNROLL - 1) // _UNROLL
        return jax.lax.fori_loop(0, steps, step, start)

    drawn = jax.lax.map(draw, groups)
    back = jnp.argsort(order)

    def picture(values: Array) -> Array:
        values = values.reshape(padded, -1)[back].reshape(batch, across, across, tile, tile)
        side = across * tile
        whole = values.transpose(0, 1, 3, 2, 4).reshape(batch, side, side)
        return whole[:, :samples, :samples]

    return picture(drawn[0]), picture(drawn[1])
