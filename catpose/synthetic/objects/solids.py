"""Builds a mesh from simple solids: boxes, lofts, turned parts, beams, and patches on them.

Frame: front at -y, the object's left at +x, z up. Any unit; `Parts.mesh` normalizes.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from catpose.synthetic import scene

# Corners of a hexahedron: 0..3 the bottom, 4..7 the top, both counter-clockwise from above and
# starting front right (-x, -y). Each face: lower left, lower right, upper right, upper left.
FRONT, LEFT, BACK, RIGHT, TOP, BOTTOM = range(6)
_HEXAHEDRON = np.array(
    [[0, 1, 5, 4], [1, 2, 6, 5], [2, 3, 7, 6], [3, 0, 4, 7], [4, 5, 6, 7], [3, 2, 1, 0]]
)
_MIRROR = np.array([-1.0, 1.0, 1.0])


def span(
    near: tuple[float, float, float], far: tuple[float, float, float]
) -> list[tuple[float, float, float]]:
    """The quadrilateral between two edges that are parallel to x and centered on x = 0.

    Args:
        near: half width (along x), y and z of the lower or front edge.
        far: the same of the upper or rear edge.

    Returns:
        Corners, counter-clockwise as seen from the front or from above; with negative half widths
        counter-clockwise as seen from behind or from below.
    """
    (a, *low), (b, *high) = near, far
    return [(-a, *low), (a, *low), (b, *high), (-b, *high)]


def _fan(ring: np.ndarray) -> np.ndarray:
    """Cuts a convex polygon into quadrilaterals and perhaps one triangle."""
    n = len(ring)
    index = [(0, i, i + 1, min(i + 2, n - 1)) for i in range(1, n - 1, 2)]
    return ring[np.array(index)]


def _cross(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """np.cross without its overhead, which would be half of the time spent here."""
    (ax, ay, az), (bx, by, bz) = a.T, b.T
    out = np.empty(np.broadcast_shapes(a.shape, b.shape))
    out.T[0], out.T[1], out.T[2] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return out


def _planar(quads: np.ndarray, colors: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cuts quadrilaterals that are not planar into two triangles."""
    a, b, c = (quads[:, i] - quads[:, 0] for i in (1, 2, 3))
    area = _cross(b, c - a)
    volume = np.abs((_cross(a, b) * c).sum(axis=1))
    bent = volume > 1e-4 * (area * area).sum(axis=1) ** 0.75
    if not bent.any():
        return quads, colors
    split = [quads[bent][:, [0, 1, 2, 2]], quads[bent][:, [0, 2, 3, 3]]]
    quads = np.concatenate([quads[~bent], *split])
    return quads, np.concatenate([colors[~bent], colors[bent], colors[bent]])


class Parts:
    """Collects parts; each method adds one and returns its quadrilaterals where patches may go.

    Solids turn themselves outward. Patches and sheets are seen from the side from which their
    corners run counter-clockwise. A color is one RGB triple or one per face.
    """

    def __init__(self):
        self._quads: list[np.ndarray] = []
        self._colors: list[np.ndarray] = []
        self._patches: list[tuple] = []

    def add(self, quads, color) -> np.ndarray:
        """Adds quadrilaterals as they are."""
        quads = np.asarray(quads, float)
        colors = np.empty((len(quads), 3))
        colors[:] = color
        self._quads.append(quads)
        self._colors.append(colors)
        return quads

    def solid(self, quads, color) -> np.ndarray:
        """Adds a closed surface whose faces are wound alike, and turns it outward."""
        x, y, z = (quads - quads[0, 0]).T  # (4, F) each
        ax, ay, az = x[2] - x[0], y[2] - y[0], z[2] - z[0]
        bx, by, bz = x[3] - x[1], y[3] - y[1], z[3] - z[1]
        volume = (
            x.sum(0) @ (ay * bz - az * by)
            + y.sum(0) @ (az * bx - ax * bz)
            + z.sum(0) @ (ax * by - ay * bx)
        )
        return self.add(quads[:, ::-1] if volume < 0 else quads, color)

    def hexahedron(self, bottom, top, color) -> np.ndarray:
        """A solid between two quadrilaterals; its faces can be indexed by FRONT, LEFT, ..."""
        corners = np.concatenate([np.asarray(bottom, float), np.asarray(top, float)])
        return self.solid(corners[_HEXAHEDRON], color)

    def box(self, center, size, color, *, taper=(1.0, 1.0), shift=(0.0, 0.0)) -> np.ndarray:
        """A box; its top may be smaller by `taper` (x, y) and moved by `shift` (x, y)."""
        x, y, z = center
        a, b, h = size[0] / 2, size[1] / 2, size[2] / 2
        c, d, u, v = a * taper[0], b * taper[1], x + shift[0], y + shift[1]
        low, high = z - h, z + h
        return self.hexahedron(
            [(x - a, y - b, low), (x + a, y - b, low), (x + a, y + b, low), (x - a, y + b, low)],
            [
                (u - c, v - d, high),
                (u + c, v - d, high),
                (u + c, v + d, high),
                (u - c, v + d, high),
            ],
            color,
        )

    def loft(self, rings: Sequence, color, *, bands=None) -> np.ndarray:
        """A solid through rings of equally many points; the end rings are convex and closed.

        Args:
            rings: rings of (x, y, z), all wound alike.
            color: of everything, or of the ends if `bands` is given.
            bands: colors (rings - 1, 3) or (rings - 1, points, 3) of the sides.
        """
        rings = np.asarray(rings, float)
        nxt = np.roll(rings, -1, axis=1)
        sides = np.stack([rings[:-1], nxt[:-1], nxt[1:], rings[1:]], axis=2)
        first, last = _fan(rings[0][::-1]), _fan(rings[-1])
        quads = np.concatenate([sides.reshape(-1, 4, 3), first, last])
        colors = np.broadcast_to(np.asarray(color, float), (len(quads), 3)).copy()
        if bands is not None:
            bands = np.reshape(bands, (len(sides), -1, 3))
            around = np.broadcast_to(bands, (*sides.shape[:2], 3)).reshape(-1, 3)
            colors[: len(around)] = around
        return self.solid(quads, colors)

    def lathe(self, profile, center, color, *, axis=2, sides=10, bands=None) -> np.ndarray:
        """A solid of revolution.

        Args:
            profile: (radius, height) pairs; from the axis outwards and back to it, height rising,
                or a closed loop (last point = first) running counter-clockwise: a ring.
            center: where radius and height are zero.
            color: of everything, unless `bands` is given.
            axis: 0, 1 or 2: the axis of revolution, along +x, +y or +z.
            sides: facets around.
            bands: one color per step of the profile.
        """
        profile = np.asarray(profile, float)
        angle = (np.arange(sides + 1) + 0.5) * (2 * np.pi / sides)
        radius, height = profile[:, :1], profile[:, 1:]
        grid = np.stack(
            [radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], axis=-1
        )
        grid = np.roll(grid, (axis + 1) % 3, axis=-1) + np.asarray(center, float)
        quads = np.stack([grid[:-1, :-1], grid[:-1, 1:], grid[1:, 1:], grid[1:, :-1]], axis=2)
        if bands is not None:
            color = np.repeat(np.asarray(bands, float), sides, axis=0)
        return self.add(quads.reshape(-1, 4, 3), color)

    def cylinder(self, center, radius, length, color, *, axis=2, sides=10, tip=None) -> np.ndarray:
        """A cylinder or, with a second radius `tip` at its + end, a cone."""
        tip = radius if tip is None else tip
        profile = [(0, -length / 2), (radius, -length / 2), (tip, length / 2), (0, length / 2)]
        return self.lathe(profile, center, color, axis=axis, sides=sides)

    def ring(self, center, inner, outer, width, color, *, axis=0, sides=14) -> np.ndarray:
        """A flat ring of rectangular section."""
        w = width / 2
        profile = [(inner, w), (inner, -w), (outer, -w), (outer, w), (inner, w)]
        return self.lathe(profile, center, color, axis=axis, sides=sides)

    def beams(self, starts, ends, width, color) -> np.ndarray:
        """Square beams from each start to each end."""
        starts, ends = np.broadcast_arrays(np.array(starts, float), np.array(ends, float))
        along = ends - starts
        along /= np.sqrt((along * along).sum(axis=1, keepdims=True))
        up = np.where(np.abs(along[:, 2:]) < 0.8, [[0.0, 0.0, 1.0]], [[0.0, 1.0, 0.0]])
        side = _cross(along, up)
        side *= (width / 2) / np.sqrt((side * side).sum(axis=1, keepdims=True))
        over = _cross(side, along)
        offsets = np.stack([-side - over, side - over, side + over, -side + over], axis=1)
        corners = np.concatenate([starts[:, None] + offsets, ends[:, None] + offsets], axis=1)
        # The beam's "top" is its end; `over` x `side` x `along` is left-handed there.
        quads = corners[:, _HEXAHEDRON[:, ::-1]]
        return self.add(quads.reshape(-1, 4, 3), color)

    def path(self, points, width, color) -> np.ndarray:
        """A bent beam through points."""
        points = np.asarray(points, float)
        return self.beams(points[:-1], points[1:], width, color)

    def sheet(self, quad, color) -> np.ndarray:
        """A thin sheet, seen from both sides."""
        quad = np.asarray(quad, float)
        return self.add(np.stack([quad, quad[::-1]]), color)

    def patch(self, quad, color, u=(0.0, 1.0), v=(0.0, 1.0), *, lift=0.01) -> None:
        """Patches on quadrilaterals, a little above them.

        Args:
            quad: lower left, lower right, upper right, upper left corner as seen from outside; of
                one quadrilateral or of several.
            color: of the patches.
            u: from left to right, in shares of the quadrilateral; one range or several.
            v: from bottom to top, one range.
            lift: height above the quadrilateral.
        """
        for corners in np.reshape(quad, (-1, 4, 3)):
            for low, high in np.reshape(u, (-1, 2)):
                self._patches.append((corners, color, (low, high, *v), lift))

    def _settle(self) -> None:
        """Turns the patches into quadrilaterals, all at once: there may be a hundred."""
        if not self._patches:
            return
        quads, colors, shares, lifts = zip(*self._patches, strict=True)
        self._patches = []
        quads = np.array(quads, float)
        shares = np.array(shares)
        s, t = shares[:, [0, 1, 1, 0], None], shares[:, [2, 2, 3, 3], None]
        lower = (1 - s) * quads[:, None, 0] + s * quads[:, None, 1]
        upper = (1 - s) * quads[:, None, 3] + s * quads[:, None, 2]
        normal = _cross(quads[:, 2] - quads[:, 0], quads[:, 3] - quads[:, 1])
        normal *= (np.array(lifts) / (np.sqrt((normal * normal).sum(axis=1)) + 1e-12))[:, None]
        self.add((1 - t) * lower + t * upper + normal[:, None], np.array(colors, float))

    def join(self, other: "Parts", *, shift=(0.0, 0.0, 0.0), scale=1.0, turned=False) -> None:
        """Adds another set of parts, scaled, perhaps turned by half a turn about z, and moved."""
        other._settle()
        turn = np.array([-1.0, -1.0, 1.0]) if turned else 1.0
        for quads, colors in zip(other._quads, other._colors, strict=True):
            self.add(quads * (turn * scale) + shift, colors)

    def join_both_sides(self, other: "Parts") -> None:
        """Adds another set of parts and its mirror image in x = 0."""
        other._settle()
        for quads, colors in zip(other._quads, other._colors, strict=True):
            self.add(quads, colors)
            self.add((quads * _MIRROR)[:, ::-1], colors)

    def mesh(self) -> scene.Mesh:
        """The mesh of all parts: its box centered on the origin and of half diagonal 1."""
        self._settle()
        return normalized(np.concatenate(self._quads), np.concatenate(self._colors))


def normalized(quads: Float[np.ndarray, "F 4 3"], colors: Float[np.ndarray, "F 3"]) -> scene.Mesh:
    """Centers the bounding box on the origin, scales its half diagonal to 1, cuts bent faces."""
    low, high = quads.min(axis=(0, 1)), quads.max(axis=(0, 1))
    quads = (quads - (low + high) / 2) / np.linalg.norm((high - low) / 2)
    quads, colors = _planar(quads, colors)
    faces = np.arange(4 * len(quads), dtype=np.int32).reshape(-1, 4)
    # Corners that coincide are one, so that the renderer has no triangles without an area.
    for i, j in ((0, 1), (1, 2), (2, 3), (3, 0)):
        same = (quads[:, i] == quads[:, j]).all(axis=1)
        faces[same, j] = faces[same, i]
    vertices = quads.reshape(-1, 3).astype(np.float32)
    return scene.Mesh(vertices, faces, np.clip(colors, 0, 1).astype(np.float32))
