"""Files of 3D models, put together byte by byte, and what must come out of them."""

import json
import struct

import numpy as np

from catpose.synthetic import mesh_files

COMPONENTS = {"i1": 5120, "u1": 5121, "i2": 5122, "u2": 5123, "u4": 5125, "f4": 5126}
TYPES = {1: "SCALAR", 2: "VEC2", 3: "VEC3", 4: "VEC4", 16: "MAT4"}
# A tetrahedron, wound outwards; no two of its sides are alike.
CORNERS = np.array([[0, 0, 0], [4, 0, 0], [0, 2, 0], [0, 0, 1]], "f4")
SIDES = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], "u2")


def triangles(path):
    """{its three corners, the smallest first: its color}, as the file is read."""
    surface = mesh_files._read(path)
    found = {}
    for corners, color in zip(surface.vertices[surface.triangles], surface.colors, strict=True):
        rows = [tuple(row) for row in (np.round(corners, 4) + 0.0).tolist()]
        first = rows.index(min(rows))
        found[tuple(rows[first:] + rows[:first])] = tuple(np.round(np.float64(color), 3).tolist())
    assert len(found) == len(surface.triangles)
    return found


def expected(corners=CORNERS, sides=SIDES, color=(0.6, 0.6, 0.6)):
    """The same for corners and sides in one color, or in one for each."""
    colors = np.broadcast_to(color, (len(sides), 3))
    found = {}
    for side, of in zip(sides, colors, strict=True):
        rows = [tuple(row) for row in (np.round(np.float64(corners[list(side)]), 4) + 0.0).tolist()]
        first = rows.index(min(rows))
        found[tuple(rows[first:] + rows[:first])] = tuple(np.round(of, 3).tolist())
    return found


class Gltf:
    """A document and its one buffer."""

    def __init__(self, **lists):
        self.binary = b""
        self.json = {"asset": {"version": "2.0"}, "bufferViews": [], "accessors": []} | lists

    def view(self, data, **more):
        """The number of a new view of these bytes."""
        self.binary += b"\0" * (-len(self.binary) % 4)
        self.json["bufferViews"].append(
            {"buffer": 0, "byteOffset": len(self.binary), "byteLength": len(data)} | more
        )
        self.binary += data
        return len(self.json["bufferViews"]) - 1

    def add(self, array, **more):
        """The number of a new accessor of these numbers."""
        array = np.asarray(array)
        view = {"bufferView": self.view(np.ascontiguousarray(array).tobytes())}
        return self.declare(array, **(view | more))

    def declare(self, array, **more):
        """The number of a new accessor for such numbers, without them."""
        width = 1 if array.ndim == 1 else array.shape[1]
        kind = COMPONENTS[array.dtype.str[1:]]
        self.json["accessors"].append(
            {"componentType": kind, "count": len(array), "type": TYPES[width]} | more
        )
        return len(self.json["accessors"]) - 1

    def glb(self):
        self.json["buffers"] = [{"byteLength": len(self.binary)}]
        text = json.dumps(self.json).encode()
        text += b" " * (-len(text) % 4)
        binary = self.binary + b"\0" * (-len(self.binary) % 4)
        body = struct.pack("<I4s", len(text), b"JSON") + text
        body += struct.pack("<I4s", len(binary), b"BIN\0") + binary
        return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body


def tetrahedron(positions=CORNERS, indices=SIDES, **primitive):
    """A document whose one mesh is the tetrahedron; lists of the document are given later."""
    file = Gltf(scenes=[{"nodes": [0]}], scene=0, nodes=[{"mesh": 0}])
    attributes = {"POSITION": file.add(positions)}
    attributes |= primitive.pop("attributes", {})
    given = {"attributes": attributes} | primitive
    if indices is not None:
        given["indices"] = file.add(np.asarray(indices).ravel())
    file.json["meshes"] = [{"primitives": [given]}]
    return file


def primitive_of(file):
    return file.json["meshes"][0]["primitives"][0]
