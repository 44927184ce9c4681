"""Parts of aeroplanes: colors, bodies, wings, tails, engines, propellers, landing gear.

Any unit; front at -y, the object's left at +x, z up.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose.synthetic.objects import colors, solids

# An aerofoil, around: shares of the chord behind the leading edge, of the thickness up.
_FOIL = np.array([(0, 0), (0.08, -0.42), (0.4, -0.5), (1, 0), (0.4, 0.5), (0.08, 0.42)])


class Paint(NamedTuple):
    """Colors of an airline or an owner."""

    body: Float[np.ndarray, "3"]
    belly: Float[np.ndarray, "3"]
    second: Float[np.ndarray, "3"]
    tail: Float[np.ndarray, "3"]
    wing: Float[np.ndarray, "3"]
    metal: Float[np.ndarray, "3"]
    window: Float[np.ndarray, "3"]
    dark: Float[np.ndarray, "3"]


def random_paint(generator: np.random.Generator, white: float) -> Paint:
    """Random colors; `white` is the probability of a white or light body."""
    plain = generator.random() < white
    body = colors.gray(generator, 0.78, 0.97) if plain else colors.lacquer(generator)
    second = colors.hue(generator, (0.5, 0.95), (0.25, 0.9))
    if generator.random() < 0.2:
        second = colors.gray(generator, 0.1, 0.35)
    metal = colors.gray(generator, 0.5, 0.85)
    belly = (body, body * 0.75, metal, second)[generator.integers(4)]
    tail = (second, second, colors.lacquer(generator), body)[generator.integers(4)]
    wing = metal if generator.random() < 0.6 else body * 0.9
    window, dark = colors.glass(generator), colors.gray(generator, 0.05, 0.13)
    return Paint(body, belly, second, tail, wing, metal, window, dark)


def from_top(sides: int) -> Float[np.ndarray, "S"]:
    """Angles of a body's facets from its top, in degrees: 90 is either side, 180 the bottom."""
    return np.abs((np.arange(sides) * (360 / sides) + 90) % 360 - 180)


def body(
    parts: solids.Parts, stations, skin, *, x: float | int = 0, square: float = 1.0
) -> Float[np.ndarray, "N S 4 3"]:
    """A round body along y.

    Args:
        parts: what it is added to.
        stations: its sections: y, half width, lowest and highest z of each.
        skin: colors (stations - 1, sides, 3), facet 0 on the left, a quarter of them to the top.
        x: of its middle.
        square: 1 for elliptic sections, less for rounded boxes.

    Returns:
        The facets; patches on those of the left side run from front to rear and from below up.
    """
    skin = np.asarray(skin, float)
    sides = skin.shape[1]
    angle = (np.arange(sides) - 0.5) * (2 * np.pi / sides)
    across, up = (np.sign(c) * np.abs(c) ** square for c in (np.cos(angle), np.sin(angle)))
    y, width, low, high = np.asarray(stations, float).T[:, :, None]
    rings = np.stack(
        [x + width * across, y + 0 * across, (low + high) / 2 + (high - low) / 2 * up], axis=-1
    )
    quads = parts.loft(list(rings), skin[-1, 0], bands=skin)
    return quads[: skin.shape[0] * sides, [3, 0, 1, 2]].reshape(*skin.shape[:2], 4, 3)


def surface(parts: solids.Parts, sections, color, *, upright: bool = False, edge=None) -> None:
    """A wing or, upright, a fin, of aerofoils.

    Args:
        parts: what it is added to.
        sections: of each aerofoil, from the root to the tip: x, y and z of its leading edge, chord,
            and thickness in shares of the chord.
        color: of everything.
        upright: the thickness is along x instead of z.
        edge: the leading edge's color.
    """
    x, y, z, chord, thick = np.asarray(sections, float).T[:, :, None]
    back, off = y + chord * _FOIL[:, 0], chord * thick * _FOIL[:, 1]
    rings = np.stack([x + off, back, z + 0 * off] if upright else [x + 0 * off, back, z + off], -1)
    bands = np.empty((len(rings) - 1, len(_FOIL), 3))
    bands[:] = color
    if edge is not None:
        bands[:, [0, -1]] = edge
    parts.loft(list(rings), color, bands=bands)


def between(sections, x: float) -> Float[np.ndarray, "5"]:
    """The section of a wing at x, see `surface`."""
    sections = np.asarray(sections, float)
    return np.array([np.interp(x, sections[:, 0], column) for column in sections.T])


def swept(lead, half_span, chords, z, rise, sweep, kink=0.0) -> list[tuple]:
    """Sections of a tapered wing or tailplane, for `surface`.

    Args:
        lead: y of the leading edge at the root, which is at x = 0.
        half_span: x of the tip.
        chords: of the root and of the tip.
        z: of the root.
        rise: of the tip above it.
        sweep: of the leading edge, in degrees.
        kink: to where the trailing edge is square to the body, in shares of the half span.
    """
    root, tip = chords
    slope = np.tan(np.deg2rad(sweep))
    sections = [(0, lead, z, root, 0.14)]
    if kink:
        x = kink * half_span
        chord = max(root - x * slope, 1.25 * tip)
        sections.append((x, lead + x * slope, z + rise * kink, chord, 0.12))
    return [*sections, (half_span, lead + half_span * slope, z + rise, tip, 0.1)]


def tail(
    parts: solids.Parts, generator, end, fin, span, place, paint: Paint, *, sweep=38.0, x=0
) -> None:
    """A tailplane and a fin, or two fins.

    Args:
        parts: what they are added to.
        generator: the only source of chance.
        end: y and z of the fin's root at its rear.
        fin: its height and its root's chord.
        span: of the tailplane, halved; 0 for none.
        place: its height in shares of the fin's.
        paint: colors.
        sweep: of the fin's leading edge, in degrees.
        x: of the fin; where it is not in the middle there are two.
    """
    (y, z), (height, chord) = end, fin
    back = height * np.tan(np.deg2rad(sweep))
    tip = max(0.36 * chord, 0.82 * chord - 0.45 * back)
    first = y - chord
    lean = height * generator.uniform(0, 0.4) if x else 0
    sections = [(x, first, z, chord, 0.1), (x + lean, first + back, z + height, tip, 0.09)]
    if not x and generator.random() < 0.6:
        foot = (0, first - 0.4 * chord, z - 0.02 * height, 1.4 * chord, 0.07)
        sections = [
            foot,
            (0, first + 0.13 * back, z + 0.13 * height, chord * 0.92, 0.1),
            sections[1],
        ]
    side = solids.Parts()
    surface(side if x else parts, sections, paint.tail, upright=True)
    if span:
        on_top = place > 0.9
        root = (1.05 * tip if on_top else 0.6 * chord) * generator.uniform(0.9, 1.1)
        lead = first + back * max(place, 0) + (0 if on_top else 0.35 * chord)
        rise = span * generator.uniform(-0.05, 0.12)
        plane = swept(lead, span, (root, 0.45 * root), z + place * height, rise, 0.75 * sweep)
        surface(side, plane, paint.wing, edge=paint.metal)
    parts.join_both_sides(side)


def jet(parts: solids.Parts, center, radius, length, shades, *, sides: int = 10) -> None:
    """A turbofan in its nacelle.

    Args:
        parts: what it is added to.
        center: of the nacelle.
        radius: the largest.
        length: from the lip to the tip of the exhaust's cone.
        shades: colors of the lip, the nacelle and its rear.
        sides: facets around.
    """
    lip, cowl, rear = shades
    dark = np.full(3, 0.06)
    r, h = radius, length / 2
    profile = [(0, 0.3 * r - h), (0.76 * r, 0.3 * r - h), (0.88 * r, -h), (r, 0.5 * r - h)]
    profile += [(0.95 * r, 0.2 * h), (0.62 * r, 0.7 * h), (0.4 * r, 0.7 * h), (0, h)]
    bands = [dark * 2, dark, lip, cowl, rear, dark, rear * 0.5]
    parts.lathe(profile, center, cowl, axis=1, sides=sides, bands=bands)


def propeller(parts: solids.Parts, hub, radius, spinner, blades, turn, shades) -> None:
    """A propeller.

    Args:
        parts: what it is added to.
        hub: the middle of the spinner's rear.
        radius: of the blades' tips.
        spinner: its radius.
        blades: how many.
        turn: of the first, in radians.
        shades: colors of the spinner and of the blades.
    """
    hub = np.asarray(hub, float)
    profile = [(0, -1.7), (0.55, -1.2), (0.9, -0.5), (1, 0), (0, 0)]
    parts.lathe(spinner * np.array(profile), hub, shades[0], axis=1, sides=8)
    hub = hub - [0, 0.5 * spinner, 0]
    for angle in turn + np.arange(blades) * (2 * np.pi / blades):
        out = np.array([np.cos(angle), 0, np.sin(angle)])
        along = np.array([-np.sin(angle), 0, np.cos(angle)])
        root = 0.06 * radius * (0.6 * along + [0, 0.8, 0])
        tip = 0.05 * radius * (0.9 * along + [0, 0.4, 0])
        start, end = hub + 0.5 * spinner * out, hub + radius * out
        parts.sheet([start - root, start + root, end + tip, end - tip], shades[1])


def wheel(parts: solids.Parts, center, radius, width, paint: Paint) -> None:
    """A wheel on an axle along x."""
    tyre, hub = paint.dark, paint.metal
    w, rim = width / 2, 0.62 * radius
    profile = [(0, -w), (rim, -w), (radius, 0), (rim, w), (0, w)]
    parts.lathe(profile, center, tyre, axis=0, sides=8, bands=[hub, tyre, tyre, hub])


def leg(parts: solids.Parts, top, foot, radius, paint: Paint, *, wheels: int = 1) -> None:
    """A strut of the landing gear with its wheels one behind the other.

    Args:
        parts: what it is added to.
        top: where it leaves the body.
        foot: between the wheels' centers.
        radius: of the wheels.
        paint: colors.
        wheels: how many.
    """
    parts.beams([top], [foot], 0.35 * radius, paint.metal * 0.9)
    for i in range(wheels):
        y = foot[1] + 2.2 * radius * (i - (wheels - 1) / 2)
        wheel(parts, (foot[0], y, foot[2]), radius, 0.7 * radius, paint)


def spat(parts: solids.Parts, center, radius, color) -> None:
    """The fairing of a wheel."""
    x, y, z = center
    shape = [(-1.5, 0.1, -0.3, 0.2), (-0.7, 0.42, -0.7, 0.75), (0.6, 0.42, -0.6, 0.7)]
    stations = np.array([*shape, (2.6, 0.05, -0.05, 0.1)]) * radius + [y, 0, z, z]
    body(parts, stations, np.broadcast_to(color, (3, 8, 3)), x=x)
