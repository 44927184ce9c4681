"""Bicycles and motorbikes. Metres; front at -y, the object's left at +x, the ground at z = 0."""

import numpy as np

from catpose.synthetic.objects import colors, solids


def _spokes(p, center, radius, width, number, turn, color) -> None:
    angle = turn + np.arange(number) * (np.pi / number)
    d = radius * np.stack([0 * angle, np.cos(angle), np.sin(angle)], axis=1)
    p.beams(center - d, center + d, width, color)


def bicycle(generator: np.random.Generator) -> solids.Parts:
    """A city, road or mountain bike; the chain is on the right."""
    kind = ("city", "road", "mountain")[generator.integers(3)]
    radius = generator.uniform(0.33, 0.37)
    base = generator.uniform(0.98, 1.1)
    tyre = {"city": 0.055, "road": 0.04, "mountain": 0.075}[kind]
    rubber, metal = colors.gray(generator, 0.03, 0.2), colors.gray(generator, 0.55, 0.85)
    color = colors.lacquer(generator)
    saddle_color = (
        colors.gray(generator, 0.04, 0.2)
        if generator.random() < 0.7
        else colors.wood(generator) * 0.7
    )
    front, rear = np.array([0, -base / 2, radius]), np.array([0, base / 2, radius])
    p = solids.Parts()
    for hub in (front, rear):
        p.ring(hub, radius - tyre * 0.9, radius, tyre, rubber, sides=16)
        _spokes(p, hub, radius - tyre, 0.016, 5, generator.uniform(0, 3), metal)
        p.cylinder(hub, 0.04, 0.12, metal, axis=0, sides=6)
    width = generator.uniform(0.042, 0.055)
    bar_height = radius * 2 + generator.uniform(0.2, 0.34) + (0.08 if kind == "city" else 0)
    saddle_height = radius * 2 + generator.uniform(0.12, 0.28)
    head = np.array([0, front[1] + generator.uniform(0.16, 0.24), bar_height - 0.16])
    neck = head + [0, -0.05, -0.14]
    crank = np.array([0, base * 0.06, radius * 0.85])
    saddle = np.array([0, rear[1] - generator.uniform(0.2, 0.28), saddle_height])
    lug = crank + (saddle - crank) * 0.78
    if kind == "city" and generator.random() < 0.5:  # step-through frame
        p.path([neck, crank + [0, -0.12, 0.12], crank], width * 1.2, color)
    else:
        p.beams([neck, head], [crank, lug], width, color)
    p.beams([crank], [saddle], width, color)
    for x in (-0.05, 0.05):
        p.beams(
            [crank + [x, 0, 0], lug + [x / 2, 0, 0]],
            [rear + [x, 0, 0]] * 2,
            width * 0.6,
            color * 0.9,
        )
        p.beams([front + [x, 0, 0]], [neck + [x, 0, 0.06]], width * 0.7, color)
    bar = head + [0, -0.03, 0.12]
    p.beams([head], [bar], width * 0.8, metal)
    reach, w = generator.uniform(0.22, 0.3), 0.042
    for s in (-1, 1):
        end = bar + [s * reach, 0, 0]
        p.beams([bar], [end], w, metal)
        if kind == "road":
            drop = [end, end + [0, -0.12, 0.0], end + [0, -0.14, -0.12], end + [0, 0.0, -0.16]]
            p.path(drop, w * 1.1, rubber)
        elif kind == "city":
            p.path([end, end + [s * 0.02, 0.2, 0.02]], w * 1.3, rubber)
        else:
            p.beams([end - [s * 0.1, 0, 0]], [end + [s * 0.08, 0.03, 0]], w * 1.4, rubber)
        pedal = crank + [s * 0.09, s * 0.12, -s * 0.12]
        p.beams([crank + [s * 0.06, 0, 0]], [pedal], 0.03, metal)
        p.box(pedal + [s * 0.05, 0, 0], (0.1, 0.1, 0.03), rubber)
    p.hexahedron(
        [
            saddle + [-0.03, -0.15, 0],
            saddle + [0.03, -0.15, 0],
            saddle + [0.09, 0.13, 0],
            saddle + [-0.09, 0.13, 0],
        ],
        [
            saddle + [-0.03, -0.15, 0.05],
            saddle + [0.03, -0.15, 0.05],
            saddle + [0.1, 0.14, 0.08],
            saddle + [-0.1, 0.14, 0.08],
        ],
        saddle_color,
    )
    p.cylinder(crank - [0.06, 0, 0], 0.1, 0.02, metal * 0.7, axis=0)
    chain = crank - [0.06, 0, 0.08], rear - [0.06, 0, 0.04]
    p.beams([chain[0], chain[0] + [0, 0, 0.16]], [chain[1], chain[1] + [0, 0, 0.08]], 0.018, rubber)
    p.cylinder(front + [0, 0.06, radius + 0.2], 0.06, 0.08, colors.LAMP, axis=1, sides=8)
    p.box(
        rear + [0, 0.1 if kind == "city" else -0.1, radius + 0.1],
        (0.07, 0.04, 0.08),
        colors.TAIL_LIGHT,
    )
    if kind == "city":
        guard = color if generator.random() < 0.5 else rubber * 1.5
        for hub, a0, a1 in ((front, 0.1, 0.75), (rear, -0.1, 0.8)):
            a = np.linspace(a0, a1, 5) * np.pi
            arc = hub + (radius + 0.03) * np.stack([0 * a, np.cos(a), np.sin(a)], axis=1)
            p.path(arc, 0.05, guard)
        if generator.random() < 0.6:
            rack = rear + [0, 0.02, radius + 0.08]
            p.box(rack, (0.14, 0.36, 0.025), rubber)
        if generator.random() < 0.6:
            basket = colors.wood(generator) if generator.random() < 0.6 else rubber
            p.box(bar + [0, -0.2, -0.1], (0.32, 0.24, 0.22), basket, taper=(1.15, 1.15))
    return p


def motorbike(generator: np.random.Generator) -> solids.Parts:
    """A cruiser, a sports bike, a dirt bike or a scooter; the exhaust is on the right."""
    kind = ("cruiser", "sport", "dirt", "scooter", "cruiser")[generator.integers(5)]
    radius = generator.uniform(0.29, 0.34) * {"scooter": 0.75, "dirt": 1.1}.get(kind, 1.0)
    base = generator.uniform(1.25, 1.45) * (0.92 if kind == "scooter" else 1)
    color = (
        colors.hue(generator, (0.6, 0.98), (0.35, 0.95))
        if generator.random() < 0.8
        else colors.lacquer(generator)
    )
    rubber, metal = colors.gray(generator, 0.03, 0.14), colors.gray(generator, 0.55, 0.85)
    engine, seat = colors.gray(generator, 0.2, 0.45), colors.gray(generator, 0.04, 0.16)
    fy, ry, z = -base / 2, base / 2, 2 * radius
    p = solids.Parts()
    for y, w in ((fy, 0.13), (ry, 0.17)):
        p.ring((0, y, radius), radius * 0.62, radius, w, rubber, sides=14)
        p.ring((0, y, radius), radius * 0.5, radius * 0.64, w * 0.7, metal, sides=14)
        _spokes(p, np.array([0, y, radius]), radius * 0.55, 0.04, 3, generator.uniform(0, 2), metal)
        p.cylinder((0, y, radius), radius * 0.22, w, engine, axis=0, sides=8)
    rake = {"cruiser": generator.uniform(0.35, 0.5), "scooter": 0.22}.get(kind, 0.28)
    hy, hz = fy + rake, z + {"cruiser": 0.28, "sport": 0.2, "dirt": 0.36, "scooter": 0.42}[kind]
    side = solids.Parts()
    side.beams([(0.1, fy, radius)], [(0.09, hy, hz)], 0.06, metal)
    rise, back = {
        "cruiser": (0.16, 0.2),
        "sport": (-0.02, 0.1),
        "dirt": (0.1, 0.1),
        "scooter": (0.08, 0.1),
    }[kind]
    grip = (generator.uniform(0.34, 0.42), hy + back + 0.04, hz + rise)
    side.path([(0.03, hy, hz), (0.16, hy + 0.02, hz + rise), grip], 0.05, metal)
    side.beams([(0.24, hy + back * 0.5, hz + rise)], [grip], 0.07, rubber)
    if generator.random() < 0.7:
        mirror = np.array([0.3, hy, hz + rise + 0.16])
        side.beams([(0.22, hy + 0.03, hz + rise)], [mirror], 0.025, rubber)
        side.box(mirror, (0.14, 0.04, 0.08), rubber)
    p.join_both_sides(side)

    arch = np.array([0, fy, radius + 0.04])
    a = np.linspace(0.2, 0.7, 4) * np.pi
    if kind == "dirt":
        p.box((0, fy + 0.02, z + 0.16), (0.15, 0.62, 0.04), color, taper=(0.8, 1.0))
    else:
        p.path(arch + radius * 1.08 * np.stack([0 * a, np.cos(a), np.sin(a)], axis=1), 0.15, color)
    lamp = (0, hy - 0.14, hz - 0.04)
    if kind == "sport":
        nose = p.hexahedron(
            solids.span((0.16, hy - 0.28, z - 0.06), (0.22, hy + 0.25, z - 0.12)),
            solids.span((0.11, hy - 0.2, hz + 0.02), (0.17, hy + 0.22, hz + 0.08)),
            color,
        )
        p.patch(nose[0], colors.LAMP, ((0.05, 0.45), (0.55, 0.95)), (0.3, 0.8))
        screen = solids.span((0.1, hy - 0.18, hz + 0.02), (0.07, hy + 0.03, hz + 0.22))
        p.sheet(screen, colors.glass(generator) * 1.3)
    elif kind == "scooter":
        p.hexahedron(
            solids.span((0.2, fy + 0.14, radius * 0.9), (0.24, fy + 0.26, radius * 0.8)),
            solids.span((0.14, hy - 0.1, hz), (0.16, hy - 0.02, hz)),
            color,
        )
        p.cylinder((0, hy - 0.12, hz + 0.04), 0.09, 0.14, colors.LAMP, axis=1, sides=8)
    else:
        size = 0.12 if kind == "cruiser" else 0.09
        p.cylinder(lamp, size, 0.16, colors.LAMP, axis=1, sides=10)
        p.cylinder(
            (0, hy - 0.05, hz - 0.04), size * 1.1, 0.14, engine, axis=1, sides=10, tip=size * 0.6
        )

    if kind == "scooter":
        floor = radius * 0.85
        p.box((0, 0.0, floor), (0.36, base * 0.5, 0.08), color * 0.9)
        p.hexahedron(
            solids.span((0.17, 0.06, floor), (0.2, ry + 0.16, radius)),
            solids.span((0.13, 0.14, z + 0.18), (0.14, ry + 0.3, z + 0.2)),
            color,
        )
        p.box((0, (ry + 0.4) / 2, z + 0.26), (0.27, ry + 0.1, 0.12), seat, taper=(0.85, 0.9))
        tail_y, tail_z = ry + 0.29, z + 0.08
        if generator.random() < 0.4:
            p.box((0, ry + 0.26, z + 0.46), (0.34, 0.3, 0.28), seat * 2)
    else:
        p.box(
            (0, -0.02, radius * 1.15), (0.28, base * 0.34, radius * 1.2), engine, taper=(0.8, 0.75)
        )
        side = solids.Parts()
        for i in range(3):
            side.box((0.15, -0.02, radius * (0.9 + 0.3 * i)), (0.05, base * 0.26, 0.04), metal)
        p.join_both_sides(side)
        p.beams(
            [(0, hy + 0.04, hz - 0.12), (0, hy + 0.04, hz - 0.14)],
            [(0, 0.0, z), (0, -0.1, radius * 0.7)],
            0.08,
            engine * 0.7,
        )
        tank_y = hy + 0.36
        p.box((0, tank_y, z + 0.1), (0.3, 0.46, 0.24), color, taper=(0.72, 0.7), shift=(0, 0.02))
        lift = {"cruiser": -0.08, "sport": 0.16, "dirt": 0.14}[kind]
        sy = tank_y + 0.2
        p.hexahedron(
            solids.span((0.12, sy, z - 0.02), (0.11, ry + 0.1, z + lift)),
            solids.span((0.13, sy, z + 0.12), (0.12, ry + 0.14, z + lift + 0.14)),
            seat,
        )
        p.box(
            (0, ry + 0.16, z + lift + (0.02 if kind == "cruiser" else 0.06)),
            (0.17, 0.5, 0.07),
            color,
            taper=(0.8, 0.9),
        )
        tail_y, tail_z = ry + 0.42, z + lift + 0.06
        p.beams(
            [(-0.05, ry, radius), (0.05, ry, radius)],
            [(-0.08, 0.05, radius), (0.08, 0.05, radius)],
            0.06,
            engine,
        )
        pipe = [
            (-0.16, -0.1, radius * 0.7),
            (-0.2, 0.25, radius * 0.6),
            (-0.22, ry + 0.3, radius * (0.75 if kind == "cruiser" else 1.3)),
        ]
        p.beams(pipe[:1], pipe[1:2], 0.08, metal)
        p.beams(pipe[1:2], pipe[2:], 0.12, metal)
        if kind == "cruiser" and generator.random() < 0.4:
            side = solids.Parts()
            side.box((0.2, ry + 0.02, z - 0.06), (0.14, 0.44, 0.28), seat * 1.6)
            p.join_both_sides(side)
    p.box((0, tail_y, tail_z), (0.2, 0.06, 0.1), colors.TAIL_LIGHT)
    p.box((0, tail_y - 0.02, tail_z - 0.16), (0.16, 0.02, 0.12), [0.9, 0.9, 0.86])
    return p
