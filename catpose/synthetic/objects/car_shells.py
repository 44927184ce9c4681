"""The painted sheet metal and the glass of cars, as grids of corners over the left half.

Columns run from the middle of the front around the side to the middle of the rear, rows from below
to the middle of the top. What lies in a cell of a grid (a lamp, a pane, a pillar) is the cell's
color, so lamps and panes wrap around corners. Metres; front at -y, the object's left at +x, the
ground at z = 0.
"""

import numpy as np
from jaxtyping import Float

from catpose.synthetic.objects import colors, solids
from catpose.synthetic.objects.car_proportions import Car

# Columns of the body's grid: of the front, before each opening, and of the rear.
_FRONT, OPENINGS, _REAR = slice(0, 4), (4, 7), slice(9, 13)
# Bands between its rows, from below to the top.
SILL, FLANK, LAMPS, SHOULDER, TOP = range(5)
_ARC = np.deg2rad(np.linspace(200, -20, 7))  # of an opening, from its front to its rear


def shell(
    parts: solids.Parts, grid: Float[np.ndarray, "R C 3"], cells, gloss: float
) -> Float[np.ndarray, "R-1 C-1 4 3"]:
    """Adds the cells of a grid; those that face upward reflect the sky. NaN leaves a cell out."""
    quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
    flat, tint = quads.reshape(-1, 4, 3), np.reshape(cells, (-1, 3))
    normal = np.cross(flat[:, 2] - flat[:, 0], flat[:, 3] - flat[:, 1])
    size = np.linalg.norm(normal, axis=1)
    up = np.clip(normal[:, 2:] / (size[:, None] + 1e-12), 0, 1)
    tint = tint + gloss * up**2 * (0.9 - tint)
    kept = (size > 1e-6) & np.isfinite(tint[:, 0])
    parts.add(flat[kept], tint[kept])
    return quads


def _body_grid(generator: np.random.Generator, one: Car) -> Float[np.ndarray, "6 13 3"]:
    """Corners of the body, up to the lower edge of the windows."""
    (y0, y1), (front, rear), reach = one.ends, one.axles, one.opening * np.cos(_ARC[-1])
    bow = 0.05 if one.square else generator.uniform(0.1, 0.24)
    stern = 0.04 if one.square or one.tall else generator.uniform(0.06, 0.16)
    lamp = generator.uniform(0.38, 0.62)  # where lamps begin, as a share of half the width
    x = np.array([0, lamp, 0.86, 0.97, 1, 1, 1, 1, 1, 0.98, 0.88, lamp, 0]) * one.flank
    y = np.array(
        [y0, y0 + 0.2 * bow, y0 + bow, y0 + bow + generator.uniform(0.15, 0.3)]
        + [front - reach, front + reach, (front + rear) / 2, rear - reach, rear + reach]
        + [y1 - stern - 0.2, y1 - stern, y1 - 0.2 * stern, y1]
    )
    y[3] = min(y[3], (y[2] + y[4]) / 2)
    y[9] = max(y[9], (y[8] + y[10]) / 2)
    low, clear = one.clearance, one.radius + one.opening + 0.03
    at = [y0, one.windscreen[0], 0.3 * y1, min(one.rear_window[1], y1 - 0.1), y1]
    edge = np.interp(y, at, [one.nose, one.belt, one.belt + 0.01, one.boot, one.boot - 0.03])
    deep = generator.uniform(0.1, 0.16), generator.uniform(0.12, 0.2)
    lamps = np.interp(y, [y0, front, rear, y1], [deep[0], 0.12, 0.14, deep[1] + 0.1 * one.tall])
    beside = slice(4, 9)
    edge[beside] = np.maximum(edge[beside], clear + 0.05)
    crease = edge - lamps
    crease[beside] = np.maximum(crease[beside], clear)
    bumper = low + (0.5 if one.square else 0.6) * (crease - low)
    bottom = np.full(13, low)
    bottom[[0, 1, 2, 10, 11, 12]] += generator.uniform(0.0, 0.08)
    roll = one.flank * (0.95 if one.square else 0.9)
    inner = np.minimum(x, roll)
    crown = generator.uniform(0.02, 0.06)
    top = edge + 0.025
    middle = top + crown
    if one.style == "pickup":  # the bed
        bed = y > one.rear_window[1] - 0.05
        middle[bed] = top[bed] - 0.25
    sill = x * 0.95
    sill[[4, 5, 7, 8]] = x[[4, 5, 7, 8]]
    # How far the ends recede towards the top; bumpers stand out.
    lean = 0.3 if one.square else 1.0
    recede = np.zeros((6, 13))
    recede[:, _FRONT] = np.array([0.05, 0, 0.04, 0.04 + 0.1 * lean, 0.2, 0.2])[:, None]
    recede[:, _REAR] = -np.array([0.04, 0, 0.03, 0.06, 0.09, 0.09])[:, None]
    recede[:, [3, 9]] *= 0.3  # lest they pass the openings
    return np.stack(
        [
            np.stack([sill, x, x, x * 0.98, inner, x * 0], 0),
            y + recede,
            np.stack([bottom, bumper, crease, edge, top, middle], 0),
        ],
        axis=-1,
    )


def body(
    generator: np.random.Generator, side: solids.Parts, one: Car
) -> Float[np.ndarray, "5 12 4 3"]:
    """Adds the body up to the lower edge of the windows; returns the cells of its grid."""
    grid = _body_grid(generator, one)
    cells = np.empty((5, 12, 3))
    cells[:] = one.paint
    cells[SILL] = one.trim
    cells[SILL, 4:8] = one.trim if one.style == "suv" or one.square else one.paint * 0.85
    clear = colors.LAMP * generator.uniform(0.9, 1.0)
    if one.style != "classic":
        cells[LAMPS, 1] = clear
        cells[LAMPS, 2] = (clear, colors.AMBER, one.paint)[generator.integers(3)]
        cells[LAMPS, 9] = (colors.TAIL_LIGHT, one.paint)[int(generator.random() < 0.3)]
        cells[LAMPS, 10] = colors.TAIL_LIGHT
    cells[[SILL, FLANK], OPENINGS[0]] = cells[[SILL, FLANK], OPENINGS[1]] = np.nan
    if one.style == "pickup":
        cells[TOP, 7:] = one.dark
    ring = grid[0]
    middle = ring * [0, 1, 1]
    wide = ring[[2, 10]] * [0, 1, 1] + ring[6] * [1, 0, 0]
    floor = [
        [*wide, middle[10], middle[2]],
        [*ring[:3], middle[2]],
        [middle[10], *ring[10:]],
    ]
    side.add(np.array(floor)[:, ::-1], one.dark * 0.5)
    return shell(side, grid, cells, one.gloss)


def opening(side: solids.Parts, one: Car, axle: float, begin, end) -> None:
    """A wheel's opening in the flank, below the edge from `begin` to `end`: panel, lip and well."""

    def arc(x, radius):
        return np.stack(
            [
                np.full(len(_ARC), x),
                axle + radius * np.cos(_ARC),
                np.maximum(one.radius + radius * np.sin(_ARC), one.clearance),
            ],
            axis=-1,
        )

    x, reach = one.flank, one.opening
    lip = one.dark * 1.3 if one.style == "suv" and one.trim is not one.paint else one.paint * 0.9
    well = arc(x - 0.3, reach)
    if one.style == "classic":
        out = one.half
        low = np.array([1, 1, 0]) * [begin, end] + [0, 0, one.radius + 0.9 * reach]
        side.add([[*low, end, begin]], one.paint)
        rows = [well, arc(out, reach), arc(out - 0.03, reach * 1.15), arc(x - 0.02, reach * 1.4)]
        tint = [one.dark * 0.4, one.paint, one.paint]
    else:
        edge = arc(x, reach)
        share = np.clip((edge[:, 1:2] - begin[1]) / (end[1] - begin[1]), 0, 1)
        above = begin + share * (end - begin)
        shell(side, np.stack([edge, above]), np.tile(one.paint, (6, 1)), 0.0)
        rows = [well, arc(x + 0.025, reach), arc(x + 0.005, reach + 0.06)]
        tint = [one.dark * 0.4, lip]
    shell(side, np.stack(rows), np.repeat(tint, len(_ARC) - 1, axis=0), one.gloss)


def _panes(generator: np.random.Generator, one: Car) -> tuple[list[float], list[bool]]:
    """Where panes and pillars of a side end, in shares from the windscreen, and which is glass."""
    last = generator.uniform(0.05, 0.12) if one.tall else generator.uniform(0.1, 0.2)
    last = 0.04 if one.square or one.style == "pickup" else last
    if one.panes == 1 or (one.style == "pickup" and one.rear_window[1] < 0):
        return [0.72 if one.style == "coupe" else 1 - last], [True]
    thin = generator.uniform(0.025, 0.06)
    if one.panes == 2:
        door = 0.6 if one.style in ("coupe", "convertible") else generator.uniform(0.44, 0.52)
        return [door, door + thin, 1 - last], [True, False, True]
    first = generator.uniform(0.33, 0.4)
    closed = one.style == "van" and generator.random() < 0.6
    ends = [first, first + thin, 0.66, 0.66 + thin, 1 - last]
    return ends, [True, False, not closed, False, not closed]


def _greenhouse_grid(generator: np.random.Generator, one: Car, ends) -> np.ndarray:
    """Corners of windscreen, sides, rear window and roof; ends: see `_panes`."""
    (foot, brow), (roof_end, tail) = one.windscreen, one.rear_window
    foot, tail = foot - 0.03, tail + 0.02
    curve = 0.06 if one.square else generator.uniform(0.1, 0.2)
    share = np.array([0, *ends, 1.0])
    wide = one.flank * 0.89
    narrow = wide * (0.9 if one.style == "van" else generator.uniform(0.74, 0.84))
    sides = len(share)
    x = np.array([0, 0.92, *[1.0] * (sides - 1), 0.98, 0.88, 0])
    below = np.array(
        [foot, foot + curve * 0.6, *(foot + curve + 0.1 + share * (tail - foot - 2 * curve - 0.12))]
        + [tail - curve * 0.3, tail]
    )
    above = np.array(
        [brow, brow + curve * 0.4, *(brow + curve + share * (roof_end - brow - 1.5 * curve))]
        + [roof_end - curve * 0.2, roof_end]
    )
    arched = np.array([0, 0, *share, 1, 1])
    fall = generator.uniform(0.02, 0.06), generator.uniform(0.02, 0.07)
    bend = np.where(arched < 0.4, fall[0], fall[1]) * ((arched - 0.4) / 0.6) ** 2
    edge, low = one.top - 0.06 - bend, np.interp(below, one.ends, [one.belt, one.belt + 0.01])
    rows = []
    for t in (0.0, generator.uniform(0.08, 0.16), generator.uniform(0.82, 0.9), 1.0):
        swell = 0.03 * np.sin(np.pi * t)
        rows.append(
            [
                x * (wide + t * (narrow - wide) + swell),
                below + t * (above - below),
                low - 0.02 + t * (edge - low + 0.02),
            ]
        )
    rows.append([x * narrow * 0.75, above + 0.02 * np.sign(-above), edge + 0.045])
    rows.append([x * 0, above + 0.02 * np.sign(-above), edge + 0.06])
    return np.moveaxis(np.array(rows), 1, 2)


def greenhouse(generator: np.random.Generator, side: solids.Parts, one: Car) -> None:
    """Windscreen, panes, pillars, rear window and roof."""
    ends, glass = _panes(generator, one)
    grid = _greenhouse_grid(generator, one, ends)
    cells = np.empty((5, grid.shape[1] - 1, 3))
    fabric = one.style == "convertible"
    roof = one.dark * 2 if fabric or generator.random() < 0.1 else one.paint
    cells[:] = one.dark * 2 if fabric else one.paint
    cells[3:] = roof
    pillars = one.dark if generator.random() < 0.4 else cells[0, 0].copy()
    cells[1, 2:-2] = pillars
    cells[1, -3] = cells[0, 0]
    for column, clear in enumerate(glass, 2):
        if clear:
            cells[1, column] = one.glass
        elif one.style == "van":
            cells[1, column] = one.paint
    cells[1, 0] = one.glass * generator.uniform(1.0, 1.8)
    cells[1, -1] = one.glass * generator.uniform(0.7, 1.2)
    if one.tall and generator.random() < 0.4:
        cells[:2, -2] = colors.TAIL_LIGHT
    shell(side, grid, cells, one.gloss)
    if one.style in ("suv", "estate") and generator.random() < 0.5:
        low = grid[3, [3, -4]] + [-0.06, 0.0, 0.02]
        rail = [*low, *(low[::-1] + [0.0, 0.0, 0.07])]
        side.sheet(rail, one.dark if generator.random() < 0.5 else one.chrome)


def open_cabin(generator: np.random.Generator, side: solids.Parts, one: Car) -> None:
    """A windscreen, and seats in an open body."""
    grid = _greenhouse_grid(generator, one, [0.5])[:4, :3]
    cells = np.empty((3, 2, 3))
    cells[:] = one.dark if generator.random() < 0.5 else one.paint
    cells[1, 0] = one.glass * generator.uniform(1.5, 3)
    shell(side, grid, cells, one.gloss)
    shell(side, grid[:, ::-1], cells[:, ::-1], 0.0)
    inside = colors.gray(generator, 0.05, 0.7) * [1, generator.uniform(0.75, 1), 0.8]
    begin, end, z = one.windscreen[0] + 0.3, one.rear_window[1], one.belt + 0.1
    w = one.flank * 0.78
    side.add([[(0, begin, z), (w, begin, z), (w, end, z), (0, end, z)]], inside * 0.4)
    for y in (begin + 0.42 * (end - begin), begin + 0.85 * (end - begin)):
        size = (0.46, 0.14, generator.uniform(0.3, 0.5))
        center = (w * 0.5, y, z + 0.1)
        side.box(center, size, inside, taper=(0.6, 0.7), shift=(0, 0.08))
