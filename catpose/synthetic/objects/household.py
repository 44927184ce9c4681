"""Bottles and television sets or monitors. Front at -y: the label, the screen."""

import numpy as np

from catpose.synthetic.objects import colors, solids


def _label(p, generator, radius, low, high, sides, share) -> None:
    """A label around the front of a turned body, with a mark in the middle."""
    paper = colors.hue(generator, (0.0, 0.5), (0.8, 1.0))
    ink = colors.hue(generator, (0.6, 1.0), (0.25, 0.9))
    facets = 2 * max(1, round(share * sides / 2))
    step = 2 * np.pi / sides
    # Facet edges of a lathe lie at (i + 1/2) * step; the label is symmetric about -y.
    angle = -np.pi / 2 + (np.arange(facets + 1) - facets / 2) * step
    r = radius + 0.006
    x, y = r * np.cos(angle), r * np.sin(angle)
    for i in range(facets):
        quad = [
            (x[i], y[i], low),
            (x[i + 1], y[i + 1], low),
            (x[i + 1], y[i + 1], high),
            (x[i], y[i], high),
        ]
        p.patch(quad, paper, lift=0.0)
        if abs(i - (facets - 1) / 2) < 1:
            p.patch(quad, ink, (0.0, 1.0), (0.35, 0.72))
        p.patch(quad, ink, (0.0, 1.0), (0.06, 0.14))


def _handle(p, radius, reach, low, high, width, color) -> None:
    """A handle behind."""
    a, b = low + 0.12 * (high - low), high
    p.path(
        [
            (0, radius * 0.8, low),
            (0, radius + reach, a),
            (0, radius + reach, b - 0.08),
            (0, radius * 0.6, b),
        ],
        width,
        color,
    )


def bottle(generator: np.random.Generator) -> solids.Parts:
    """A wine or beer bottle with a label, a jug, a spray or a pump bottle.

    Labels in front and handles behind show its azimuth, so the plain metric is right;
    `config.data.symmetry = {"bottle": "z"}` asks instead for what a plain bottle shows.
    """
    kind = ("glass", "glass", "jug", "spray", "pump")[generator.integers(5)]
    p = solids.Parts()
    sides = 12
    color = (
        colors.hue(generator, (0.3, 0.9), (0.2, 0.75))
        if kind == "glass"
        else colors.lacquer(generator)
    )
    cap = colors.hue(generator, (0.4, 0.95), (0.3, 0.95))
    radius = {"glass": generator.uniform(0.2, 0.27), "jug": generator.uniform(0.32, 0.42)}.get(
        kind, generator.uniform(0.25, 0.34)
    )
    body = generator.uniform(0.85, 1.15)
    if kind in ("glass", "jug"):
        shoulder, neck = generator.uniform(0.18, 0.34), generator.uniform(0.2, 0.42)
        slim = radius * generator.uniform(0.34, 0.46)
        if kind == "jug":
            neck, slim = neck * 0.5, slim * 0.9
        z1, z2 = body + shoulder, body + shoulder + neck
        profile = [
            (0, 0),
            (radius * 0.92, 0),
            (radius, 0.05),
            (radius, body),
            (radius * 0.8, body + shoulder * 0.45),
            (slim, z1),
            (slim, z2),
            (0, z2),
        ]
        p.lathe(profile, (0, 0, 0), color, sides=sides)
        p.cylinder((0, 0, z2 + 0.03), slim * 1.25, 0.14, cap, sides=10)
        reach = generator.uniform(0.16, 0.26)
        if kind == "jug":
            _handle(p, radius, reach, body * 0.4, body + shoulder * 0.5, 0.11, color * 0.85)
        else:
            _handle(p, radius * 0.9, reach * 0.9, body * 0.78, z1 + neck * 0.35, 0.075, cap)
        label_low, label_high = (
            body * generator.uniform(0.1, 0.2),
            body * generator.uniform(0.72, 0.88),
        )
    else:
        slim = radius * 0.4
        z1 = body + 0.14
        profile = [
            (0, 0),
            (radius, 0),
            (radius, body * 0.75),
            (radius * 0.85, body),
            (slim, z1),
            (slim, z1 + 0.1),
            (0, z1 + 0.1),
        ]
        p.lathe(profile, (0, 0, 0), color, sides=sides)
        z = z1 + 0.1
        if kind == "spray":
            p.box((0, 0.0, z + 0.05), (slim * 2.3, slim * 2.3, 0.12), cap)
            p.box(
                (0, -0.06, z + 0.2),
                (slim * 1.7, 0.62, 0.2),
                cap,
                taper=(0.8, 0.85),
                shift=(0, 0.03),
            )
            p.box((0, -0.42, z + 0.2), (0.1, 0.14, 0.1), cap * 0.5)
            p.path([(0, -0.2, z + 0.14), (0, -0.3, z - 0.04), (0, -0.26, z - 0.2)], 0.09, cap * 0.6)
        else:
            p.cylinder((0, 0, z + 0.04), slim * 1.3, 0.1, cap, sides=10)
            p.cylinder((0, 0, z + 0.2), 0.045, 0.3, cap * 0.8, sides=6)
            p.box((0, -0.02, z + 0.36), (0.2, 0.26, 0.09), cap)
            p.path([(0, -0.1, z + 0.36), (0, -0.42, z + 0.36), (0, -0.46, z + 0.26)], 0.08, cap)
        label_low, label_high = body * 0.12, body * 0.72
    _label(p, generator, radius, label_low, label_high, sides, generator.uniform(0.4, 0.55))
    return p


def _picture(p, generator, screen) -> None:
    """What is on: windows, or a landscape."""
    base = colors.hue(generator, (0.3, 0.9), (0.45, 0.95))
    p.patch(screen, base, lift=0.012)
    if generator.random() < 0.5:
        p.patch(
            screen,
            colors.hue(generator, (0.4, 0.9), (0.3, 0.7)),
            (0, 1),
            (0, generator.uniform(0.25, 0.5)),
            lift=0.016,
        )
        u, v = generator.uniform(0.1, 0.8), generator.uniform(0.55, 0.75)
        p.patch(screen, [1.0, 0.95, 0.7], (u, u + 0.12), (v, v + 0.18), lift=0.016)
        return
    p.patch(screen, base * 0.4, (0, 1), (0, 0.08), lift=0.016)
    for i in range(int(generator.integers(1, 4))):
        u, v = generator.uniform(0.04, 0.5), generator.uniform(0.12, 0.4)
        w, h = generator.uniform(0.25, 0.45), generator.uniform(0.3, 0.5)
        lift = 0.02 + 0.008 * i
        p.patch(screen, [0.93, 0.94, 0.96], (u, u + w), (v, v + h), lift=lift)
        p.patch(
            screen,
            colors.hue(generator, (0.5, 0.9), (0.4, 0.8)),
            (u, u + w),
            (v + h * 0.82, v + h),
            lift=lift + 0.004,
        )


def tvmonitor(generator: np.random.Generator) -> solids.Parts:
    """A flat screen on its foot, a tube monitor or an old television set."""
    kind = ("flat", "flat", "tube", "old")[generator.integers(4)]
    p = solids.Parts()
    color = (
        colors.gray(generator, 0.05, 0.3)
        if generator.random() < 0.6
        else colors.gray(generator, 0.6, 0.9)
    )
    if kind == "old":
        color = (
            colors.wood(generator)
            if generator.random() < 0.6
            else colors.hue(generator, (0.3, 0.8), (0.4, 0.85))
        )
    half = generator.uniform(0.55, 0.85) if kind == "flat" else generator.uniform(0.45, 0.6)
    high = half * (generator.uniform(1.1, 1.3) if kind == "flat" else generator.uniform(1.4, 1.65))
    thick = generator.uniform(0.06, 0.1) if kind == "flat" else 0.18
    stand = generator.uniform(0.16, 0.3) if kind != "old" else 0.14
    z = stand + high / 2
    case = p.box((0, 0, z), (2 * half, thick, high), color)
    edge = generator.uniform(0.03, 0.05) if kind == "flat" else generator.uniform(0.07, 0.1)
    u = (edge, 1 - edge if kind != "old" else 0.76)
    v = (edge * 1.6, 1 - edge * 1.4)
    p.patch(case[solids.FRONT], np.full(3, 0.03), u, v, lift=0.006)
    if generator.random() < 0.9:
        a, b = half * (2 * u[0] - 0.97), half * (2 * u[1] - 1.03)
        low, top, y = stand + high * v[0] + 0.01, stand + high * v[1] - 0.01, -thick / 2
        screen = [(a, y, low), (b, y, low), (b, y, top), (a, y, top)]
        _picture(p, generator, screen)
    if kind == "old":
        for w in (0.66, 0.42):
            p.cylinder(
                (half * 0.77, -thick / 2 - 0.03, stand + high * w),
                0.06,
                0.06,
                colors.gray(generator, 0.7, 0.9),
                axis=1,
                sides=8,
            )
        p.patch(case[solids.FRONT], color * 0.4, (0.81, 0.96), (0.1, 0.3))
    y = thick / 2
    dull = color * 0.7
    if kind == "flat":
        bulge = generator.uniform(0.05, 0.12)
        p.box((0, y + bulge / 2, z - high * 0.1), (1.2 * half, bulge, high * 0.5), dull)
        p.patch(case[solids.BACK], dull * 0.5, (0.1, 0.9), (0.8, 0.92))
        p.beams([(0, y + 0.04, 0.03)], [(0, y + 0.02, z)], 0.09, dull)
        p.box(
            (0, y * 0.5, 0.02),
            (half * generator.uniform(0.6, 1.0), 0.36, 0.04),
            dull,
            taper=(0.92, 0.9),
        )
    else:
        deep, w, h = half * generator.uniform(0.8, 1.1), half * 0.9, high * 0.45
        k = generator.uniform(0.5, 0.65)
        bulge = p.hexahedron(
            solids.span((w, y, z - h), (w * k, y + deep, z - h * 0.8)),
            solids.span((w, y, z + h), (w * k, y + deep, z + h * 0.45)),
            dull,
        )
        p.patch(bulge[solids.BACK], dull * 0.35, (0.15, 0.85), (0.5, 0.85))
        p.patch(bulge[solids.TOP], dull * 0.4, (0.2, 0.8), (0.25, 0.6))
        p.patch(bulge[[solids.LEFT, solids.RIGHT]], dull * 0.4, (0.35, 0.7), (0.25, 0.6))
        if kind == "tube":
            p.cylinder(
                (0, deep * 0.3, stand / 2),
                half * 0.55,
                stand + 0.04,
                dull,
                tip=half * 0.35,
                sides=10,
            )
        else:
            p.beams(
                [(sx * half * 0.8, sy, 0) for sx in (-1, 1) for sy in (0, deep * 0.6)],
                [(sx * half * 0.7, sy, stand + 0.02) for sx in (-1, 1) for sy in (0, deep * 0.6)],
                0.06,
                dull * 0.6,
            )
            if generator.random() < 0.7:
                p.beams(  # an antenna
                    [(0, deep * 0.3, stand + high * 0.93)],
                    [(s * 0.34, deep * 0.3, stand + high + 0.4) for s in (-1, 1)],
                    0.03,
                    [0.7, 0.7, 0.72],
                )
    return p
