"""Cars and buses. Metres; front at -y, the object's left at +x, the ground at z = 0."""

import numpy as np

from catpose.synthetic.objects import colors, solids

# Share of the length, measured from the front: foot and top of the windscreen, top and foot of the
# rear window; height of the cabin in metres; share of the side that is glass, from the front.
_CARS = {
    "sedan": (0.27, 0.42, 0.70, 0.83, 0.46, 0.94),
    "hatchback": (0.25, 0.42, 0.88, 0.985, 0.50, 0.94),
    "estate": (0.25, 0.39, 0.93, 0.99, 0.50, 0.96),
    "suv": (0.27, 0.38, 0.93, 0.985, 0.58, 0.95),
    "coupe": (0.33, 0.50, 0.66, 0.92, 0.38, 0.86),
    "pickup": (0.27, 0.38, 0.56, 0.58, 0.56, 0.94),
    "van": (0.13, 0.27, 0.97, 0.99, 0.85, 0.40),
    # Made only on request, by name.
    "minivan": (0.15, 0.33, 0.95, 0.985, 0.68, 0.94),
    "convertible": (0.33, 0.45, 0.70, 0.80, 0.34, 0.9),
}
_NUM_DRAWN = 7
CAR_STYLES = tuple(_CARS)


def wheel(parts: solids.Parts, center, radius, width, tyre, hub, *, sides=12) -> None:
    """A wheel whose outer face is at +x."""
    w = width / 2
    profile = [(0, -w), (radius, -w), (radius, w), (radius * 0.62, w), (radius * 0.55, w), (0, w)]
    bands = [tyre, tyre, tyre, tyre * 0.5, hub]
    parts.lathe(profile, center, tyre, axis=0, sides=sides, bands=bands)


def car(generator: np.random.Generator, style: str = "") -> solids.Parts:
    """A sedan, hatchback, estate, SUV, coupe, pickup or van, or the requested style."""
    drawn = list(_CARS)[generator.integers(_NUM_DRAWN)]
    style = style or drawn
    foot, brow, roof_end, tail, cabin, glazed = _CARS[style]
    length = generator.uniform(3.8, 4.7) * (1.08 if style in ("van", "minivan", "pickup") else 1)
    half = generator.uniform(0.82, 0.95)
    clearance = generator.uniform(0.2, 0.28) + (0.12 if style in ("suv", "pickup") else 0)
    belt = clearance + generator.uniform(0.58, 0.68) + (0.1 if style == "van" else 0)
    cabin = cabin * generator.uniform(0.92, 1.1)
    radius = generator.uniform(0.33, 0.38) * (1.12 if style in ("suv", "pickup") else 1)
    color, window = colors.lacquer(generator), colors.glass(generator)
    dark, trim = colors.gray(generator, 0.06, 0.16), colors.gray(generator, 0.05, 0.3)
    if generator.random() < 0.5:
        trim = color * 0.8

    def at(share):
        return (share - 0.5) * length

    def section(share, width, low, high):
        w, y = half * width, at(share)
        waist = low + 0.62 * (high - low)
        return [
            (-w * 0.96, y, low),
            (w * 0.96, y, low),
            (w, y, waist),
            (w * 0.93, y, high),
            (-w * 0.93, y, high),
            (-w, y, waist),
        ]

    nose = belt - generator.uniform(0.08, 0.2) * (0.5 if style in ("suv", "van", "pickup") else 1)
    boot = belt + (0.0 if style in ("pickup", "coupe") else generator.uniform(0.0, 0.06))
    p = solids.Parts()
    body = [
        section(0.0, 0.9, clearance + 0.06, nose - 0.05),
        section(0.03, 0.97, clearance, nose),
        section(foot, 1.0, clearance, belt),
        section(0.75, 1.0, clearance, belt + 0.02),
        section(0.98, 0.98, clearance, boot),
        section(1.0, 0.93, clearance + 0.06, boot - 0.06),
    ]
    p.loft(body, color)

    w, k = half * 0.92, generator.uniform(0.78, 0.88)
    low, high = belt - 0.02, belt + cabin
    if style == "convertible":
        _open_cabin(p, at, (foot, brow, tail), (w, w * k), (low, high), window, dark)
    else:
        cab = p.hexahedron(
            solids.span((w, at(foot), low), (w, at(tail), low)),
            solids.span((w * k, at(brow), high), (w * k, at(roof_end), high)),
            color,
        )
        p.patch(cab[solids.FRONT], window * 1.25, (0.06, 0.94), (0.1, 0.92))
        foot_of_pane = 0.25 if style == "van" else 0.15
        p.patch(cab[solids.BACK], window * 0.8, (0.1, 0.9), (foot_of_pane, 0.88))
        panes = ((0.08, 0.46), (0.5, 0.92)) if style not in ("pickup", "coupe") else ((0.08, 0.9),)
        for u0, u1 in panes:
            u0, u1 = u0 * glazed, u1 * glazed
            p.patch(cab[solids.LEFT], window, (u0, u1), (0.14, 0.88))
            p.patch(cab[solids.RIGHT], window, (1 - u1, 1 - u0), (0.14, 0.88))

    z0, z1 = clearance + 0.06, nose - 0.05
    f = half * 0.9
    front = solids.span((f, at(0), z0), (f, at(0), z1))
    inset = generator.uniform(0.22, 0.3)
    p.patch(front, colors.LAMP, ((0.02, inset), (1 - inset, 0.98)), (0.56, 0.94))
    p.patch(front, dark, (inset + 0.04, 0.96 - inset), (0.45, 0.92))
    p.patch(front, trim, (0.0, 1.0), (0.0, 0.3))
    p.patch(front, [0.92, 0.92, 0.88], (0.38, 0.62), (0.12, 0.34), lift=0.02)
    r, z1 = half * 0.93, boot - 0.06
    rear = solids.span((-r, at(1), z0), (-r, at(1), z1))
    tall = style in ("van", "minivan", "estate", "suv") or generator.random() < 0.3
    inset = generator.uniform(0.1, 0.16) if tall else generator.uniform(0.2, 0.3)
    p.patch(
        rear, colors.TAIL_LIGHT, ((0.01, inset), (1 - inset, 0.99)), (0.35 if tall else 0.55, 0.97)
    )
    p.patch(rear, trim, (0.0, 1.0), (0.0, 0.28))
    p.patch(rear, [0.92, 0.92, 0.88], (0.37, 0.63), (0.36, 0.58), lift=0.02)
    if style == "pickup":
        bed = solids.span((w * 0.9, at(0.61), belt + 0.01), (w * 0.9, at(0.97), belt + 0.01))
        p.patch(bed, dark, lift=0.02)

    side = solids.Parts()
    hub = colors.gray(generator, 0.5, 0.85)
    for y in (at(0.19), at(0.8)):
        side.cylinder(
            (half * 0.84, y, radius * 1.03), radius * 1.2, 0.36 * half, dark * 0.6, axis=0
        )
        wheel(side, (half * 0.92, y, radius), radius, 0.24, dark, hub)
    side.box((half * 1.04, at(foot + 0.06), belt + 0.1), (0.18, 0.1, 0.13), trim)
    p.join_both_sides(side)
    if style in ("suv", "estate") and generator.random() < 0.5:
        p.box(
            (0, at((brow + roof_end) / 2 + 0.05), high + 0.04), (w * 1.2, length * 0.3, 0.06), dark
        )
    return p


def _open_cabin(p, at, shares, widths, heights, window, dark) -> None:
    """A windscreen, and seats in an open body."""
    (foot, brow, tail), (w, top), (low, high) = shares, widths, heights
    thick = 0.035
    p.hexahedron(
        solids.span((w, at(foot), low), (w, at(foot + thick), low)),
        solids.span((top, at(brow), high), (top, at(brow + thick), high)),
        window * 1.25,
    )
    deck = low + 0.05
    inside = solids.span((w * 0.86, at(foot + thick), deck), (w * 0.86, at(tail), deck))
    p.patch(inside, dark * 0.7, lift=0.02)
    middle = (brow + tail) / 2
    for share in (middle - 0.04, middle + 0.09):
        for x in (-0.45 * w, 0.45 * w):
            p.box((x, at(share), deck + 0.14), (0.6 * w, 0.16, 0.36), dark * 1.6, shift=(0, 0.08))


def bus(generator: np.random.Generator) -> solids.Parts:
    """A city bus, coach, double-decker or school bus; doors on the right side."""
    style = ("city", "city", "coach", "double", "school")[generator.integers(5)]
    length = generator.uniform(8.5, 11.5) * (0.85 if style == "double" else 1)
    half, low = generator.uniform(1.2, 1.35), 0.35
    height = generator.uniform(2.6, 2.95) * (1.42 if style == "double" else 1)
    color, window = colors.lacquer(generator), colors.glass(generator)
    second = colors.lacquer(generator) if generator.random() < 0.7 else color * 0.6
    if style == "school":
        color, second = np.array([0.95, 0.68, 0.1]), np.array([0.12, 0.12, 0.12])
    dark = colors.gray(generator, 0.06, 0.14)
    p = solids.Parts()
    y0, y1 = -length / 2, length / 2
    if style == "school":
        nose = 1.3
        bonnet = p.box(
            (0, y0 + nose / 2, low + 0.6),
            (2 * half * 0.8, nose, 1.2),
            color,
            taper=(0.85, 0.85),
            shift=(0, 0.1),
        )
        y0 += nose - 0.05
        face, lamp_v, screen_v = bonnet[solids.FRONT], (0.45, 0.8), (0.46, 0.84)
        p.patch(face, dark, (0.25, 0.75), (0.15, 0.85))
    lean = 0.12 if style in ("city", "double") else generator.uniform(0.2, 0.5)
    k, top = 0.96, low + height
    shell = p.hexahedron(
        solids.span((half, y0, low), (half, y1, low)),
        solids.span((half * k, y0 + lean, top), (half * k, y1 - 0.06, top)),
        color,
    )
    front, back, left, right = shell[[solids.FRONT, solids.BACK, solids.LEFT, solids.RIGHT]]
    p.patch(shell[solids.TOP], 0.3 * color + 0.6, (0.06, 0.94), (0.03, 0.97))
    if style != "school":
        face, lamp_v, screen_v = front, (0.08, 0.17), (0.3, 0.84)
    if style == "double":
        lamp_v, screen_v = (0.06, 0.13), (0.22, 0.48)
        p.patch(front, window * 1.2, (0.06, 0.94), (0.6, 0.88))
    p.patch(front, window * 1.2, (0.05, 0.95), screen_v)
    if style != "coach":
        v = (0.5, 0.58) if style == "double" else (0.87, 0.97)
        p.patch(front, colors.AMBER, (0.15, 0.85), v)
    for u in ((0.03, 0.24), (0.76, 0.97)):
        p.patch(face, colors.LAMP, u, lamp_v, lift=0.03)
        p.patch(back, colors.TAIL_LIGHT, u, (0.12, 0.24) if style == "double" else (0.14, 0.32))
    p.patch(front, dark, (0.0, 1.0), (0.0, 0.05), lift=0.04)
    p.patch(back, dark, (0.27, 0.73), (0.06, 0.3 if style == "double" else 0.42))
    p.patch(back, window * 0.8, (0.12, 0.88), (0.62, 0.86))

    decks = [(0.42, 0.84)] if style != "double" else [(0.22, 0.46), (0.62, 0.88)]
    number = int(generator.integers(5, 8))
    step = 0.92 / number
    stripe = (0.14, 0.28) if style != "double" else (0.48, 0.58)
    for quad, sign in ((left, 1), (right, -1)):
        p.patch(quad, second, (0, 1), stripe)
        for deck, v in enumerate(decks):
            for i in range(number):
                a = 0.03 + i * step
                door = (
                    sign < 0 and deck == 0 and i in ((0, number // 2) if style == "city" else (0,))
                )
                u = (a, a + step * (0.6 if door else 0.84))
                u = u if sign > 0 else (1 - u[1], 1 - u[0])
                if door:
                    p.patch(quad, dark, u, (0.02, v[1]), lift=0.02)
                    middle = (u[0] + u[1]) / 2
                    p.patch(
                        quad,
                        window * 1.8,
                        ((u[0] + 0.008, middle - 0.005), (middle + 0.005, u[1] - 0.008)),
                        (0.06, v[1] - 0.03),
                        lift=0.03,
                    )
                else:
                    p.patch(quad, window, u, v, lift=0.02)
    if style == "city" and generator.random() < 0.6:
        p.box(
            (0, -length * 0.05, top + 0.12), (half * 1.3, length * 0.25, 0.24), 0.3 * color + 0.55
        )

    side = solids.Parts()
    hub = colors.gray(generator, 0.45, 0.8)
    for y in (-length * generator.uniform(0.27, 0.32), length * generator.uniform(0.24, 0.3)):
        side.cylinder((half - 0.2, y, 0.52), 0.62, 0.44, dark * 0.6, axis=0, sides=12)
        wheel(side, (half - 0.14, y, 0.5), 0.5, 0.34, dark, hub)
    side.box((half + 0.2, y0 - 0.12, low + height * 0.62), (0.22, 0.2, 0.5), dark)
    side.beams(
        [(half * 0.95, y0, top - 0.3)], [(half + 0.2, y0 - 0.12, low + height * 0.7)], 0.08, dark
    )
    p.join_both_sides(side)
    return p
