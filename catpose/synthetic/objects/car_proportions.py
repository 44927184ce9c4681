"""Proportions and colors of cars, as they are in the streets. Metres; front at -y."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose.synthetic.objects import colors


class _Style(NamedTuple):
    """Ranges or means of a kind of cars; shares of the length are measured from the front."""

    often: float  # how often it is drawn, relative to the others
    length: tuple[float, float]
    half: tuple[float, float]  # half the width
    height: tuple[float, float]
    belt: float  # height of the windows' lower edge, as a share of the height
    windscreen: tuple[float, float]  # share of the length at its foot and at its top
    rear_window: tuple[float, float]  # at its top and at its foot
    panes: int  # on a side
    clearance: float
    nose: float  # height of the bonnet's front edge, as a share of that of the belt


_STYLES = {
    "sedan": _Style(
        5, (4.3, 5.0), (0.86, 0.93), (1.40, 1.50), 0.635, (0.27, 0.42), (0.71, 0.86), 2, 0.20, 0.80
    ),
    "hatchback": _Style(
        3, (3.5, 4.3), (0.82, 0.90), (1.42, 1.56), 0.62, (0.23, 0.41), (0.86, 0.975), 2, 0.20, 0.82
    ),
    "estate": _Style(
        2, (4.3, 4.9), (0.86, 0.93), (1.42, 1.54), 0.62, (0.26, 0.40), (0.91, 0.985), 3, 0.20, 0.80
    ),
    "suv": _Style(
        4, (4.2, 5.1), (0.90, 1.00), (1.62, 1.90), 0.61, (0.25, 0.37), (0.92, 0.985), 3, 0.30, 0.88
    ),
    "coupe": _Style(
        3, (4.1, 4.8), (0.88, 0.96), (1.24, 1.38), 0.65, (0.30, 0.47), (0.64, 0.88), 1, 0.16, 0.80
    ),
    "pickup": _Style(
        2, (5.0, 5.9), (0.92, 1.02), (1.70, 1.95), 0.60, (0.25, 0.34), (0.57, 0.60), 2, 0.34, 0.92
    ),
    "van": _Style(
        1, (4.6, 5.6), (0.92, 1.02), (1.85, 2.30), 0.53, (0.15, 0.27), (0.97, 0.99), 3, 0.26, 0.86
    ),
    "minivan": _Style(
        1, (4.3, 5.1), (0.90, 1.00), (1.60, 1.80), 0.58, (0.18, 0.36), (0.93, 0.985), 3, 0.20, 0.82
    ),
    "convertible": _Style(
        2, (4.0, 4.7), (0.86, 0.94), (1.26, 1.38), 0.66, (0.31, 0.44), (0.68, 0.80), 1, 0.17, 0.80
    ),
    "classic": _Style(
        1, (4.0, 4.9), (0.80, 0.90), (1.48, 1.65), 0.62, (0.36, 0.43), (0.66, 0.86), 2, 0.26, 0.90
    ),
}
STYLES: tuple[str, ...] = tuple(_STYLES)
"""Kinds of cars that can be requested."""


class Car(NamedTuple):
    """One car: y of the ends, of the axles and of the panes' edges; heights; colors."""

    style: str
    square: bool  # as cars of the 1980s
    ends: tuple[float, float]
    half: float
    flank: float  # half the width of the body without fenders
    top: float
    belt: float
    nose: float
    boot: float
    clearance: float
    windscreen: tuple[float, float]  # y at its foot and at its top
    rear_window: tuple[float, float]  # y at its top and at its foot
    panes: int
    axles: tuple[float, float]
    radius: float  # of the wheels
    opening: float  # radius of the wheels' openings
    gloss: float  # how strongly surfaces that face upward reflect the sky
    paint: np.ndarray
    trim: np.ndarray  # of bumpers and sills
    dark: np.ndarray
    glass: np.ndarray
    chrome: np.ndarray

    @property
    def tall(self) -> bool:
        """Whether the greenhouse reaches the rear."""
        return self.rear_window[1] > self.ends[1] - 0.15


def _paint(generator: np.random.Generator) -> Float[np.ndarray, "3"]:
    """White, silver, gray, black, red or blue, as most cars are; seldom another color."""
    kind = generator.random()
    for share, low, high in ((0.22, 0.82, 0.97), (0.40, 0.55, 0.78), (0.52, 0.25, 0.5)):
        if kind < share:
            return colors.gray(generator, low, high)
    if kind < 0.66:
        return colors.gray(generator, 0.04, 0.14)
    shade = generator.uniform(0.3, 0.9)
    if kind < 0.78:
        return shade * np.array([1.0, generator.uniform(0.02, 0.2), generator.uniform(0.03, 0.2)])
    if kind < 0.9:
        return shade * np.array([generator.uniform(0.1, 0.4), generator.uniform(0.25, 0.55), 1.0])
    return colors.hue(generator, (0.2, 0.9), (0.3, 0.9))


def draw(generator: np.random.Generator, style: str = "") -> Car:
    """Draws a car's numbers and colors; without a style, that too."""
    often = np.array([kind.often for kind in _STYLES.values()])
    drawn = STYLES[generator.choice(len(STYLES), p=often / often.sum())]
    style = style or drawn
    kind = _STYLES[style]
    square = style not in ("coupe", "classic", "minivan") and generator.random() < 0.3
    length, half, top = (generator.uniform(*r) for r in (kind.length, kind.half, kind.height))
    clearance = kind.clearance + generator.uniform(-0.03, 0.05)
    belt = top * kind.belt * generator.uniform(0.97, 1.03)
    shift = generator.uniform(-0.02, 0.02)
    foot, brow = kind.windscreen[0] + shift, kind.windscreen[1] + shift
    y0, y1 = -length / 2, length / 2
    roof_end, tail = kind.rear_window
    tail += generator.uniform(-0.015, 0.01)
    if square:
        brow, tail = brow - 0.3 * (brow - foot), tail - 0.2 * (tail - roof_end)
    if style == "pickup":
        cab = -0.1 if generator.random() < 0.5 else 0.0
        roof_end, tail = roof_end + cab, tail + cab
    radius = generator.uniform(0.31, 0.35) + 0.05 * (style in ("suv", "pickup"))
    opening = radius * generator.uniform(1.12, 1.2)
    nose = max(belt * kind.nose * generator.uniform(0.96, 1.05), radius + opening + 0.02)
    boot = belt + (0.06 if style in ("sedan", "coupe") else 0.0) * generator.uniform(0.3, 1.3)
    overhang = (0.15 if style in ("van", "minivan") else 0.18) + generator.uniform(-0.02, 0.03)
    behind = (0.17 if tail > 0.95 else 0.21) + generator.uniform(-0.02, 0.03)
    paint, dark = _paint(generator), colors.gray(generator, 0.04, 0.12)
    trims = (paint, paint, paint, dark * 1.5, colors.gray(generator, 0.3, 0.5))
    trim = trims[generator.integers(3, 5) if square else generator.integers(5)]
    return Car(
        style=style,
        square=square,
        ends=(y0, y1),
        half=half,
        flank=half * (0.8 if style == "classic" else 1.0),
        top=top,
        belt=belt,
        nose=min(nose, belt),
        boot=boot,
        clearance=clearance,
        windscreen=(y0 + foot * length, y0 + brow * length),
        rear_window=(y0 + roof_end * length, y0 + tail * length),
        panes=2 if kind.panes == 1 and generator.random() < 0.4 else kind.panes,
        axles=(y0 + overhang * length, y1 - behind * length),
        radius=radius,
        opening=opening,
        gloss=generator.uniform(0.0, 0.4),
        paint=paint,
        trim=trim,
        dark=dark,
        glass=colors.glass(generator),
        chrome=colors.gray(generator, 0.55, 0.85),
    )
