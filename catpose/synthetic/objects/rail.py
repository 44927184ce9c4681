"""Trains. Metres, shortened so that they fill a picture; front at -y, the rails at z = 0."""

import numpy as np

from catpose.synthetic.objects import colors, road, solids


def train(generator: np.random.Generator) -> solids.Parts:
    """A high-speed train, a metro or regional train, a diesel or a steam locomotive."""
    makers = (_fast, _fast, _metro, _metro, _steam, _diesel)
    return makers[generator.integers(len(makers))](generator)


def _bogies(parts, generator, positions, half) -> None:
    dark = colors.gray(generator, 0.06, 0.16)
    side = solids.Parts()
    for y in positions:
        side.box((half * 0.72, y, 0.5), (half * 0.3, 1.9, 0.36), dark)
        for dy in (-0.7, 0.7):
            side.cylinder(
                (half * 0.66, y + dy, 0.42), 0.42, half * 0.3, dark * 1.6, axis=0, sides=8
            )
    parts.join_both_sides(side)


def _pantograph(parts, generator, y, z) -> None:
    dark = colors.gray(generator, 0.1, 0.3)
    parts.path([(0, y, z), (0, y + 0.9, z + 0.55), (0, y, z + 1.1)], 0.14, dark)
    parts.beams([(-0.75, y, z + 1.1)], [(0.75, y, z + 1.1)], 0.14, dark)


def _tail(parts, quad, window, dark) -> None:
    """The rear end: a gangway, red lights."""
    parts.patch(quad, dark, (0.3, 0.7), (0.03, 0.8))
    parts.patch(quad, window, (0.38, 0.62), (0.42, 0.72), lift=0.02)
    parts.patch(quad, colors.TAIL_LIGHT, ((0.05, 0.22), (0.78, 0.95)), (0.08, 0.2))


def _windows(parts, quads, generator, window, second, u0, u1) -> None:
    number = int(generator.integers(6, 10))
    step = (u1 - u0) / number
    band = generator.random() < 0.4
    for quad, forwards in quads:

        def along(a, b, forwards=forwards):
            return (a, b) if forwards else (1 - b, 1 - a)

        parts.patch(quad, second, along(u0, 1.0), (0.1, 0.28))
        if band:
            parts.patch(quad, second * 0.35, along(u0, u1), (0.46, 0.84))
        doors = (0, number - 1)
        for i in range(number):
            a = u0 + (i + 0.1) * step
            if i in doors:
                parts.patch(quad, second * 0.7, along(a, a + step * 0.7), (0.04, 0.84), lift=0.02)
                parts.patch(
                    quad, window, along(a + step * 0.12, a + step * 0.58), (0.5, 0.78), lift=0.03
                )
            else:
                parts.patch(quad, window, along(a, a + step * 0.8), (0.5, 0.8), lift=0.03)


def _fast(generator: np.random.Generator) -> solids.Parts:
    length, half = generator.uniform(15, 20), generator.uniform(1.35, 1.5)
    low, height = 0.6, generator.uniform(2.9, 3.3)
    nose = generator.uniform(2.5, 4.5)
    color, second = colors.lacquer(generator), colors.lacquer(generator)
    window, dark = colors.glass(generator), colors.gray(generator, 0.07, 0.18)
    top, y0, y1 = low + height, -length / 2, length / 2
    p = solids.Parts()

    def ring(y, width, base, roof):
        w, middle = half * width, base + (roof - base) * 0.62
        return [
            (-w, y, base),
            (w, y, base),
            (w, y, middle),
            (w * 0.62, y, roof),
            (-w * 0.62, y, roof),
            (-w, y, middle),
        ]

    snub = generator.uniform(0.3, 0.45)
    tip, mid = ring(y0, 0.5, low, low + height * snub), y0 + nose * 0.45
    sections = [
        tip,
        ring(y0 + nose * 0.15, 0.72, low - 0.1, low + height * (snub + 0.12)),
        ring(mid, 0.92, low - 0.1, low + height * (snub + 0.28)),
        ring(y0 + nose, 1.0, low - 0.1, top),
        ring(y0 + nose + 0.5, 1.0, low - 0.1, top),
    ]
    cap = second if generator.random() < 0.6 else color
    bands = np.empty((4, 6, 3))
    bands[:] = cap
    bands[3] = color
    bands[2, 3] = window * 1.2  # the windscreen, on the top of the last slope
    bands[2, 2] = bands[2, 4] = window * 1.1
    p.loft(sections, cap, bands=bands)
    body = [ring(y0 + nose + 0.4, 1.0, low, top), ring(y1, 1.0, low, top)]
    p.loft(body, color, bands=np.array([[dark, color, color, color * 0.5 + 0.3, color, color]]))
    wall = low + height * 0.62
    left = np.array(
        [(half, y0 + nose, low), (half, y1, low), (half, y1, wall), (half, y0 + nose, wall)]
    )
    right = (left * [-1, 1, 1])[[1, 0, 3, 2]]
    number = int(generator.integers(6, 10))
    for i in range(number):
        a = 0.06 + i * 0.92 / number
        b = a + 0.7 / number
        p.patch(left, window, (a, b), (0.5, 0.96))
        p.patch(right, window, (1 - b, 1 - a), (0.5, 0.96))
    p.patch([left, right], second, (0, 1), (0.14, 0.38))
    face = [tip[0], tip[1], tip[2], tip[5]]
    p.patch(face, colors.LAMP, ((0.0, 0.32), (0.68, 1.0)), (0.15, 0.75), lift=0.03)
    back = solids.span((-half, y1, low), (-half * 0.8, y1, top))
    _tail(p, back, window, dark)
    _bogies(p, generator, (y0 + nose * 0.8 + 1, -0.5, y1 - 1.8), half)
    if generator.random() < 0.6:
        _pantograph(p, generator, y0 + nose + length * generator.uniform(0.2, 0.5), top)
    return p


def _metro(generator: np.random.Generator) -> solids.Parts:
    length, half = generator.uniform(13, 17), generator.uniform(1.35, 1.55)
    low, height = 0.6, generator.uniform(2.8, 3.3)
    color, second = colors.lacquer(generator), colors.lacquer(generator)
    window, dark = colors.glass(generator), colors.gray(generator, 0.07, 0.18)
    top, y0, y1 = low + height, -length / 2, length / 2
    lean, k = generator.uniform(0.1, 0.8), 0.92
    p = solids.Parts()
    shell = p.hexahedron(
        solids.span((half, y0, low), (half, y1, low)),
        solids.span((half * k, y0 + lean, top), (half * k, y1, top)),
        color,
    )
    p.box(
        (0, lean / 2, top + 0.15),
        (half * 1.3, length * 0.94, 0.3),
        colors.gray(generator, 0.3, 0.6),
        taper=(0.7, 0.98),
    )
    front = shell[solids.FRONT]
    p.patch(front, second, (0, 1), (0, 1), lift=0.02)
    p.patch(front, window * 1.2, (0.06, 0.94), (0.42, 0.84), lift=0.04)
    p.patch(front, colors.AMBER, (0.25, 0.75), (0.87, 0.96), lift=0.04)
    p.patch(front, colors.LAMP, ((0.04, 0.25), (0.75, 0.96)), (0.1, 0.24), lift=0.04)
    _tail(p, shell[solids.BACK], window, dark)
    _windows(
        p,
        ((shell[solids.LEFT], True), (shell[solids.RIGHT], False)),
        generator,
        window,
        second,
        0.06,
        0.99,
    )
    p.box((0, y0 - 0.25, 0.75), (half * 0.5, 0.5, 0.25), dark)
    _bogies(p, generator, (y0 + 2.2, y1 - 2.2), half)
    if generator.random() < 0.7:
        _pantograph(p, generator, y0 + length * generator.uniform(0.2, 0.4), top + 0.3)
    return p


def _steam(generator: np.random.Generator) -> solids.Parts:
    half, radius = 1.25, generator.uniform(0.75, 0.95)
    boiler, cab, tender = generator.uniform(5.0, 6.5), 1.9, generator.uniform(3.0, 4.0)
    color = (
        colors.gray(generator, 0.08, 0.2)
        if generator.random() < 0.5
        else colors.hue(generator, (0.5, 0.9), (0.25, 0.6))
    )
    second = (
        colors.TAIL_LIGHT * generator.uniform(0.6, 1) if generator.random() < 0.6 else color * 1.5
    )
    dark, window = colors.gray(generator, 0.05, 0.14), colors.glass(generator)
    brass = np.array([0.85, 0.68, 0.25])
    y0, z = -(boiler + cab + tender) / 2, 1.35 + radius
    p = solids.Parts()
    p.box((0, y0 + (boiler + cab) / 2, 1.2), (2 * half * 0.9, boiler + cab, 0.22), second)
    p.cylinder((0, y0 + 0.3 + boiler / 2, z), radius, boiler, color, axis=1, sides=12)
    p.cylinder((0, y0 + 0.22, z), radius * 0.85, 0.2, dark * 2.2, axis=1, sides=12)
    for share in (0.25, 0.5, 0.75):
        p.cylinder((0, y0 + 0.3 + boiler * share, z), radius * 1.03, 0.14, brass, axis=1, sides=12)
    chimney = generator.uniform(0.7, 1.2)
    p.cylinder(
        (0, y0 + 0.9, z + radius + chimney / 2 - 0.1),
        0.24,
        chimney,
        dark,
        tip=generator.uniform(0.26, 0.5),
        sides=8,
    )
    p.cylinder((0, y0 + boiler * 0.55, z + radius + 0.15), 0.32, 0.6, brass, tip=0.2, sides=8)
    p.cylinder((0, y0 + 0.1, z + radius * 0.9), 0.28, 0.35, colors.LAMP, axis=1, sides=8)
    p.box((0, y0 - 0.05, 1.15), (2 * half, 0.25, 0.45), second)
    p.hexahedron(
        solids.span((half * 0.8, y0 - 0.9, 0.25), (half, y0, 0.25)),
        solids.span((half * 0.5, y0 - 0.2, 1.0), (half, y0, 1.0)),
        second,
    )
    yc, top = y0 + 0.3 + boiler, z + radius + 0.55
    house = p.box((0, yc + cab / 2, (1.3 + top) / 2), (2 * half, cab, top - 1.3), color)
    p.box((0, yc + cab / 2 + 0.1, top + 0.08), (2 * half * 1.12, cab * 1.3, 0.16), dark)
    p.patch(house[[solids.LEFT, solids.RIGHT]], window * 1.5, (0.2, 0.8), (0.5, 0.85), lift=0.02)
    yt = yc + cab + 0.25
    coal = p.box((0, yt + tender / 2, 1.95), (2 * half, tender, 1.6), color)
    p.box((0, yt + tender / 2, 2.8), (1.7 * half, tender * 0.85, 0.5), dark, taper=(0.5, 0.7))
    p.patch(coal[[solids.LEFT, solids.RIGHT]], second, (0.06, 0.94), (0.6, 0.85), lift=0.02)
    p.patch(
        coal[solids.BACK], colors.TAIL_LIGHT, ((0.06, 0.24), (0.76, 0.94)), (0.1, 0.28), lift=0.02
    )
    side = solids.Parts()
    hub = second if generator.random() < 0.6 else dark * 3
    number = int(generator.integers(2, 4))
    for i in range(number):
        y = y0 + 2.6 + i * (boiler + cab - 3.6) / max(number - 1, 1)
        road.wheel(side, (half * 0.85, y, 0.72), 0.72, 0.2, dark * 1.6, hub)
    rod = y0 + 2.6, y0 + boiler + cab - 1.0
    side.beams(
        [(half * 0.98, rod[0] - 1.5, 0.72)], [(half * 0.98, rod[1], 0.62)], 0.16, brass * 0.9
    )
    side.cylinder((half * 0.85, y0 + 0.9, 0.85), 0.36, 0.9, color * 1.2, axis=1, sides=8)
    for y in (yt + 0.7, yt + tender - 0.7):
        road.wheel(side, (half * 0.85, y, 0.5), 0.5, 0.2, dark * 1.6, hub, sides=8)
    p.join_both_sides(side)
    return p


def _diesel(generator: np.random.Generator) -> solids.Parts:
    length, half, low = generator.uniform(11, 14), generator.uniform(1.4, 1.55), 1.0
    color, second = colors.lacquer(generator), colors.lacquer(generator)
    window, dark = colors.glass(generator), colors.gray(generator, 0.07, 0.18)
    y0, y1, top = -length / 2, length / 2, generator.uniform(3.9, 4.4)
    p = solids.Parts()
    p.box((0, 0, low), (2 * half, length, 0.4), dark)
    nose = p.box((0, y0 + 0.9, low + 0.9), (2 * half * 0.75, 1.5, 1.4), second, taper=(0.9, 0.85))
    cab = p.box(
        (0, y0 + 2.4, (low + top) / 2), (2 * half, 1.9, top - low), color, taper=(0.92, 0.86)
    )
    hood = p.box(
        (0, (y0 + 3.3 + y1 - 0.5) / 2, low + (top - 0.35 - low) / 2),
        (2 * half * 0.72, y1 - 0.5 - y0 - 3.3, top - 0.35 - low),
        color,
    )
    p.patch(cab[solids.FRONT], window * 1.2, (0.08, 0.92), (0.58, 0.9), lift=0.02)
    p.patch(nose[solids.FRONT], colors.LAMP, ((0.06, 0.34), (0.66, 0.94)), (0.5, 0.85), lift=0.02)
    for side in (solids.LEFT, solids.RIGHT):
        p.patch(cab[side], window, (0.15, 0.85), (0.55, 0.86), lift=0.02)
        p.patch(hood[side], second, (0.0, 1.0), (0.3, 0.55), lift=0.02)
        grilles = [(0.06 + i * 0.18, 0.18 + i * 0.18) for i in range(5)]
        p.patch(hood[side], dark, grilles, (0.66, 0.9), lift=0.02)
    p.patch(hood[solids.BACK], dark, (0.25, 0.75), (0.35, 0.85), lift=0.02)
    p.patch(
        hood[solids.BACK], colors.TAIL_LIGHT, ((0.04, 0.24), (0.76, 0.96)), (0.08, 0.22), lift=0.02
    )
    p.patch(hood[solids.TOP], dark * 2, (0.2, 0.8), (0.1, 0.9), lift=0.02)
    for y in (0.1, 0.55):
        p.cylinder((0, y0 + 3.3 + (length - 4) * (y + 0.2), top - 0.25), 0.45, 0.3, dark, sides=8)
    for x in (-half * 0.9, half * 0.9):
        p.path(
            [(x, y0 + 0.1, low), (x, y0 + 0.1, low + 1), (x, y0 + 1.5, low + 1)], 0.1, colors.AMBER
        )
        p.path(
            [(x, y0 + 3.5, low + 0.9), (x, y1 - 0.1, low + 0.9), (x, y1 - 0.1, low)],
            0.1,
            color * 0.7,
        )
    _bogies(p, generator, (y0 + 2.2, y1 - 2.2), half)
    return p
