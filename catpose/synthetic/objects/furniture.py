"""Chairs, dining tables and sofas. Metres; the front (towards -y) is where one sits down."""

import copy

import numpy as np

from catpose.synthetic.objects import colors, solids


def _legs(p, half_x, half_y, height, width, color, *, splay=1.0) -> None:
    top = np.array([(sx * half_x, sy * half_y, height) for sx in (-1, 1) for sy in (-1, 1)])
    p.beams(top * [splay, splay, 0], top, width, color)


def dining_chair(generator, seat, frame, *, arms=False, high=None) -> solids.Parts:
    """A chair with four legs and a solid, slatted, barred or framed back."""
    p = solids.Parts()
    half = generator.uniform(0.21, 0.26)
    depth = generator.uniform(0.2, 0.25)
    height = generator.uniform(0.42, 0.5)
    back = generator.uniform(0.42, 0.62) if high is None else high
    tilt, leg = generator.uniform(0.04, 0.14), generator.uniform(0.035, 0.055)
    p.box((0, 0, height), (2 * half, 2 * depth, 0.07), seat)
    _legs(p, half * 0.88, depth * 0.88, height, leg, frame, splay=generator.uniform(1.0, 1.18))
    y, top = depth * 0.92, height + back
    posts = (-half * 0.9, half * 0.9)
    p.beams([(x, y, height) for x in posts], [(x, y + tilt, top) for x in posts], leg * 1.1, frame)
    kind = generator.integers(4)

    def panel(a, b, color, w=half * 0.86, t=0.02):
        za, zb, ya, yb = height + back * a, height + back * b, y + tilt * a, y + tilt * b
        p.hexahedron(
            solids.span((w, ya - t, za), (w, ya + t, za)),
            solids.span((w, yb - t, zb), (w, yb + t, zb)),
            color,
        )

    if kind == 0:
        panel(0.0, 1.0, seat, half * 0.98, 0.035)
    elif kind == 1:
        for a in np.linspace(0.15, 0.85, generator.integers(3, 5)):
            panel(a - 0.08, a + 0.08, frame)
    elif kind == 2:
        panel(0.86, 1.0, frame)
        x = np.linspace(-half * 0.6, half * 0.6, 4)
        p.beams(
            np.stack([x, 0 * x + y, 0 * x + height], 1),
            np.stack([x, 0 * x + y + tilt * 0.9, 0 * x + top - 0.04], 1),
            0.03,
            frame,
        )
    else:
        panel(0.3, 1.0, seat, half * 0.9, 0.03)
    if arms:
        for x in (-half, half):
            p.path(
                [
                    (x, y, height + 0.22),
                    (x, -depth * 0.8, height + 0.22),
                    (x, -depth * 0.8, height),
                ],
                0.045,
                frame,
            )
    return p


def _office_chair(generator, seat, frame) -> solids.Parts:
    p = solids.Parts()
    half, height = generator.uniform(0.23, 0.28), generator.uniform(0.45, 0.52)
    back = generator.uniform(0.45, 0.7)
    angle = generator.uniform(0, 2) + np.arange(5) * (2 * np.pi / 5)
    feet = np.stack([0.3 * np.cos(angle), 0.3 * np.sin(angle), 0 * angle + 0.06], axis=1)
    p.beams([(0, 0, 0.12)], feet, 0.05, frame)
    for foot in feet:
        p.box(foot - [0, 0, 0.03], (0.06, 0.06, 0.06), frame * 0.6)
    p.cylinder((0, 0, height / 2), 0.04, height, frame, sides=8)
    p.box((0, 0, height), (2 * half, 2 * half, 0.09), seat, taper=(0.92, 0.92))
    y, t = half * 0.95, generator.uniform(0.06, 0.14)
    p.beams([(0, y * 0.6, height - 0.02)], [(0, y + 0.06, height + 0.22)], 0.07, frame)
    w, z0, z1 = half * 0.9, height + 0.12, height + 0.12 + back
    p.hexahedron(
        solids.span((w, y - 0.02, z0), (w * 0.9, y + 0.06, z0)),
        solids.span((w * 0.85, y + t - 0.02, z1), (w * 0.75, y + t + 0.05, z1)),
        seat * 0.95,
    )
    if generator.random() < 0.7:
        for x in (-half * 1.08, half * 1.08):
            p.beams([(x, 0.05, height - 0.02)], [(x, 0.05, height + 0.2)], 0.05, frame)
            p.box((x, 0.0, height + 0.22), (0.07, 0.3, 0.04), frame)
    return p


def _armchair(generator, seat, frame) -> solids.Parts:
    p = solids.Parts()
    half, depth, height = (
        generator.uniform(0.28, 0.34),
        generator.uniform(0.28, 0.34),
        generator.uniform(0.36, 0.42),
    )
    back = generator.uniform(0.4, 0.55)
    _legs(p, half * 0.95, depth * 0.9, 0.18, 0.05, frame)
    p.box((0, 0, 0.16 + (height - 0.16) / 2), (2 * half, 2 * depth, height - 0.16), seat)
    p.box(
        (0, -0.04, height + 0.05), (1.75 * half, 1.7 * depth, 0.12), seat * 1.12, taper=(0.94, 0.94)
    )
    p.box(
        (0, depth * 0.9, height + back / 2),
        (2 * half, 0.16, back + 0.1),
        seat,
        taper=(0.92, 0.7),
        shift=(0, 0.1),
    )
    for x in (-half, half):
        p.box((x, -0.02, height + 0.02), (0.13, 1.9 * depth, 0.36), seat * 0.88)
    return p


def chair(generator: np.random.Generator) -> solids.Parts:
    """A dining chair, with or without arms, an office chair or an armchair."""
    kind = generator.random()
    frame = (
        colors.wood(generator) if generator.random() < 0.6 else colors.gray(generator, 0.06, 0.75)
    )
    seat = (
        colors.fabric(generator)
        if generator.random() < 0.6
        else frame * generator.uniform(0.9, 1.1)
    )
    if kind < 0.22:
        return _office_chair(generator, colors.fabric(generator), colors.gray(generator, 0.06, 0.5))
    if kind < 0.36:
        return _armchair(generator, colors.fabric(generator), frame)
    return dining_chair(generator, seat, frame, arms=generator.random() < 0.35)


def diningtable(generator: np.random.Generator) -> solids.Parts:
    """A table laid on one side, the front, where its chairs stand."""
    p = solids.Parts()
    color = colors.furniture(generator)
    frame = color * generator.uniform(0.6, 1.0)
    half, depth = generator.uniform(0.6, 0.95), generator.uniform(0.4, 0.52)
    height, kind = generator.uniform(0.7, 0.78), generator.random()
    round_top = kind < 0.2
    if round_top:
        half = depth = generator.uniform(0.5, 0.62)
        p.cylinder((0, 0, height), half, 0.06, color, sides=18)
    else:
        p.box((0, 0, height), (2 * half, 2 * depth, 0.06), color)
        if generator.random() < 0.5:
            p.box((0, 0, height - 0.08), (1.8 * half, 1.75 * depth, 0.1), frame)
    if round_top or kind < 0.35:
        p.cylinder((0, 0, height / 2), 0.09, height, frame, sides=8)
        p.cylinder((0, 0, 0.05), min(half, depth) * 0.75, 0.1, frame, tip=0.15, sides=10)
    elif kind < 0.5:
        for x in (-half * 0.72, half * 0.72):
            p.box((x, 0, height / 2), (0.08, 1.5 * depth, height), frame, taper=(1.0, 0.8))
        p.beams([(-half * 0.72, 0, 0.2)], [(half * 0.72, 0, 0.2)], 0.07, frame)
    else:
        _legs(p, half * 0.9, depth * 0.86, height, generator.uniform(0.06, 0.1), frame)
    places = 1 if round_top or half < 0.7 else 2
    chair_frame = colors.furniture(generator)
    chair_seat = colors.fabric(generator) if generator.random() < 0.5 else chair_frame
    # All chairs of a table are alike.
    seat = dining_chair(copy.deepcopy(generator), chair_seat, chair_frame, high=0.5)
    top = height + 0.03
    plate = colors.gray(generator, 0.85, 0.97)
    mat = colors.hue(generator, (0.3, 0.9), (0.3, 0.9))
    for i in range(places):
        x = 0.0 if places == 1 else (i - 0.5) * half
        p.join(seat, turned=True, shift=(x, -depth - 0.12, 0), scale=0.95)
        q = [
            (x - 0.23, -depth * 0.93, top),
            (x + 0.23, -depth * 0.93, top),
            (x + 0.23, -depth * 0.25, top),
            (x - 0.23, -depth * 0.25, top),
        ]
        p.patch(q, mat, lift=0.004)
        p.cylinder((x, -depth * 0.6, top + 0.012), 0.13, 0.02, plate, sides=10)
    vase = colors.hue(generator)
    x = generator.uniform(-0.3, 0.3) * half
    p.cylinder((x, depth * 0.45, top + 0.09), 0.05, 0.18, vase, tip=0.075, sides=8)
    if generator.random() < 0.6:
        p.lathe(
            [(0, 0), (0.1, 0.06), (0.12, 0.14), (0, 0.24)],
            (x, depth * 0.45, top + 0.15),
            colors.hue(generator, (0.5, 0.95), (0.5, 0.95)),
            sides=6,
        )
    return p


def sofa(generator: np.random.Generator) -> solids.Parts:
    """A sofa for two or three, perhaps with a chaise, perhaps with round arms."""
    p = solids.Parts()
    seats = int(generator.integers(2, 4))
    seat, depth = generator.uniform(0.6, 0.75), generator.uniform(0.42, 0.5)
    half, height = seats * seat / 2, generator.uniform(0.38, 0.45)
    back, thick = generator.uniform(0.38, 0.5), generator.uniform(0.18, 0.26)
    arm, arm_height = generator.uniform(0.14, 0.24), generator.uniform(0.14, 0.26)
    color = colors.fabric(generator)
    cushion = (
        color * generator.uniform(1.05, 1.3)
        if generator.random() < 0.75
        else colors.fabric(generator)
    )
    legs = colors.wood(generator) if generator.random() < 0.5 else colors.gray(generator, 0.06, 0.3)
    base = generator.uniform(0.06, 0.14)
    p.box((0, 0, (base + height) / 2), (2 * half, 2 * depth, height - base), color * 0.9)
    rear = p.box(
        (0, depth - thick / 2, height + back / 2),
        (2 * half, thick, back),
        color,
        taper=(1, 0.75),
        shift=(0, 0.05),
    )
    chaise = int(generator.choice([-1, 1])) if generator.random() < 0.25 else 0
    soft = solids.Parts()
    for i in range(seats):
        x = (i - (seats - 1) / 2) * seat
        front = -depth - (0.55 if chaise and i == (0 if chaise < 0 else seats - 1) else 0.02)
        y = (front + depth - thick) / 2
        if front < -depth - 0.1:
            p.box(
                (x, (front - depth) / 2, (base + height) / 2),
                (seat, -depth - front, height - base),
                color * 0.9,
            )
        soft.box(
            (x, y, height + 0.07),
            (seat * 0.96, depth - thick - front, 0.15),
            cushion,
            taper=(0.95, 0.95),
        )
        soft.box(
            (x, depth - thick - 0.06, height + 0.1 + back * 0.42),
            (seat * 0.94, 0.16, back * 0.85),
            cushion * 0.95,
            taper=(0.9, 0.7),
            shift=(0, 0.06),
        )
    p.join(soft)
    round_arms = generator.random() < 0.4
    for s in (-1, 1):
        x = s * (half + arm / 2)
        p.box(
            (x, 0, (base + height + arm_height) / 2),
            (arm, 2 * depth, height + arm_height - base),
            color * 0.95,
        )
        if round_arms:
            p.cylinder(
                (x + s * 0.02, -0.01, height + arm_height),
                arm * 0.62,
                2 * depth + 0.03,
                color,
                axis=1,
                sides=10,
            )
    for _ in range(int(generator.integers(0, 3))):
        x = generator.uniform(-0.8, 0.8) * (half - 0.2)
        p.box(
            (x, depth - thick - 0.24, height + 0.3),
            (0.36, 0.12, 0.32),
            colors.hue(generator, (0.4, 0.95), (0.4, 0.95)),
            taper=(0.85, 0.6),
            shift=(0, 0.1),
        )
    _legs(p, half + arm * 0.3, depth * 0.88, base + 0.02, 0.07, legs)
    if generator.random() < 0.5:
        p.patch(rear[2], color * 0.75, (0.03, 0.97), (0.05, 0.9))
    return p
