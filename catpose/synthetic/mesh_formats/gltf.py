"""glTF 2.0, as .gltf and .glb: the shape at rest and the base color, as its specification says.

Read are all kinds of triangles, sparse, quantized and normalized numbers, transforms, instances,
skins and default morphs; materials with factors, textures, their transforms and second coordinates,
and colors of vertices, which multiply them. Numbers of colors are taken as they stand, without a
change between linear and sRGB. Animations, lights and all else of a surface but its base color are
left out. A file that needs an extension that is not known here is refused.

Reference: Khronos Group, glTF 2.0 Specification, and the extensions in its registry.
"""

import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float, Int

from catpose.errors import InputError
from catpose.synthetic.mesh_cleanup import Surface
from catpose.synthetic.mesh_formats import face_colors, gltf_document, model_source, polygons

_POINTS_AND_LINES = (0, 1, 2, 3)
_GLOSS = "KHR_materials_pbrSpecularGlossiness"

Worlds = Mapping[int, Float[np.ndarray, "4 4"]]  # of each node, the transform to the scene


def read(path: pathlib.Path) -> Iterator[Surface]:
    """The meshes of the default scene; of the first scene, or of all nodes, where none is named.

    Raises:
        InputError: the file is damaged or needs what is not read here.
    """
    file = gltf_document.Document(path)
    worlds = _worlds(file)
    for index in _drawn(file) if worlds else ():
        node = file.item("nodes", index)
        if "mesh" in node:
            places = worlds[index] @ _instances(file, node)
            yield from _surfaces(file, file.item("meshes", node["mesh"]), node, worlds, places)
    for mesh in () if worlds else file.json.get("meshes", []):
        yield from _surfaces(file, mesh, {}, worlds, np.eye(4)[None])


def _worlds(file: gltf_document.Document) -> Worlds:
    nodes = file.json.get("nodes", [])
    children = [child for node in nodes for child in node.get("children", [])]
    if len(children) > len(set(children)):
        raise InputError("a node is the child of two others")
    worlds, left = {}, [(i, np.eye(4)) for i in {*range(len(nodes))} - {*children}]
    while left:
        index, parent = left.pop()
        node = file.item("nodes", index)
        worlds[index] = parent @ _matrix(node)
        left += [(child, worlds[index]) for child in node.get("children", [])]
    if len(worlds) < len(nodes):
        raise InputError("a node is its own ancestor")
    return worlds


def _drawn(file: gltf_document.Document) -> list[int]:
    """The nodes of the scene."""
    if not file.json.get("scenes"):
        return list(range(len(file.json["nodes"])))
    left = list(file.item("scenes", file.json.get("scene", 0)).get("nodes", []))
    found: dict[int, None] = {}
    while left:
        index = left.pop()
        found[index] = None
        left += file.item("nodes", index).get("children", [])
    return list(found)


def _matrix(node: Any) -> Float[np.ndarray, "4 4"]:
    if "matrix" in node:
        return np.array(node["matrix"], np.float64).reshape(4, 4).T
    parts = (("translation", [0, 0, 0]), ("rotation", [0, 0, 0, 1]), ("scale", [1, 1, 1]))
    return _transforms(*(np.array([node.get(k, v)], np.float64) for k, v in parts))[0]


def _instances(file: gltf_document.Document, node: Any) -> Float[np.ndarray, "N 4 4"]:
    """Where a node's mesh is drawn, from the node: once, if no extension says more."""
    extension = node.get("extensions", {}).get("EXT_mesh_gpu_instancing")
    if extension is None:
        return np.eye(4)[None]
    given = {k: file.accessor(i).astype(np.float64) for k, i in extension["attributes"].items()}
    count = max(map(len, given.values()))
    still = {"TRANSLATION": [0.0] * 3, "ROTATION": [0.0] * 3 + [1.0], "SCALE": [1.0] * 3}
    return _transforms(*(given.get(k, np.tile(v, (count, 1))) for k, v in still.items()))


def _transforms(
    translation: Float[np.ndarray, "N 3"],
    rotation: Float[np.ndarray, "N 4"],
    scale: Float[np.ndarray, "N 3"],
) -> Float[np.ndarray, "N 4 4"]:
    """Scaled, then turned by a quaternion (x, y, z, w), then moved."""
    from scipy.spatial import transform

    matrices = np.tile(np.eye(4), (len(scale), 1, 1))
    turns = transform.Rotation.from_quat(rotation).as_matrix()
    matrices[:, :3, :3] = turns * scale[:, None]
    matrices[:, :3, 3] = translation
    return matrices


def _surfaces(
    file: gltf_document.Document,
    mesh: Any,
    node: Any,
    worlds: Worlds,
    places: Float[np.ndarray, "N 4 4"],
) -> Iterator[Surface]:
    """The surfaces of a node's mesh, each drawn with every transform."""
    weights = node.get("weights", mesh.get("weights", []))
    for primitive in mesh["primitives"]:
        attributes = primitive["attributes"]
        if primitive.get("mode", 4) in _POINTS_AND_LINES or "POSITION" not in attributes:
            continue
        position = file.item("accessors", attributes["POSITION"])
        if gltf_document.DRACO in primitive.get("extensions", {}) and "bufferView" not in position:
            gltf_document.refuse(gltf_document.DRACO)
        vertices = file.accessor(attributes["POSITION"]).astype(np.float64)
        for weight, target in zip(weights, primitive.get("targets", []), strict=False):
            if weight and "POSITION" in target:
                vertices += weight * file.accessor(target["POSITION"])
        triangles = _triangles(file, primitive, len(vertices))
        colors = _colors(file, primitive, triangles)
        if "skin" in node and "JOINTS_0" in attributes:
            skin = file.item("skins", node["skin"])
            yield Surface(_skinned(file, attributes, skin, worlds, vertices), triangles, colors)
            continue
        for place in places:
            turned = triangles[:, ::-1] if np.linalg.det(place[:3, :3]) < 0 else triangles
            yield Surface(vertices @ place[:3, :3].T + place[:3, 3], turned, colors)


def _triangles(
    file: gltf_document.Document, primitive: Any, num_vertices: int
) -> Int[np.ndarray, "T 3"]:
    """Vertex numbers of triangles, a strip or a fan."""
    mode, corners = primitive.get("mode", 4), np.arange(num_vertices)
    if "indices" in primitive:
        corners = file.accessor(primitive["indices"])[:, 0].astype(np.int64)
    polygons.check(corners, num_vertices)
    if mode == 4 and len(corners) % 3 == 0:
        return corners.reshape(-1, 3)
    if mode == 5 and len(corners) > 2:
        return polygons.strip(corners)
    if mode == 6 and len(corners) > 2:
        a, b = corners[1:-1], corners[2:]
        return np.stack([a, b, np.full_like(a, corners[0])], axis=1)
    raise InputError(f"{len(corners)} corners do not make triangles of mode {mode}")


def _skinned(
    file: gltf_document.Document,
    attributes: Any,
    skin: Any,
    worlds: Worlds,
    vertices: Float[np.ndarray, "V 3"],
) -> Float[np.ndarray, "V 3"]:
    """Vertices where the joints of a skin take them."""
    matrices = np.stack([worlds[joint] for joint in skin["joints"]])
    if "inverseBindMatrices" in skin:
        inverse = file.accessor(skin["inverseBindMatrices"]).astype(np.float64)
        matrices = matrices @ inverse[: len(matrices)].reshape(-1, 4, 4).transpose(0, 2, 1)
    moved, number = np.zeros_like(vertices), 0
    while f"JOINTS_{number}" in attributes:
        joints = file.accessor(attributes[f"JOINTS_{number}"]).astype(np.int64)
        weights = file.accessor(attributes[f"WEIGHTS_{number}"])
        for joint, weight in zip(joints.T, weights.T, strict=True):
            places = np.einsum("vij,vj->vi", matrices[joint, :3, :3], vertices)
            moved += weight[:, None] * (places + matrices[joint, :3, 3])
        number += 1
    return moved


def _colors(
    file: gltf_document.Document, primitive: Any, triangles: Int[np.ndarray, "T 3"]
) -> Float[np.ndarray, "T 3"]:
    """The base color of each triangle."""
    attributes, shade = primitive["attributes"], np.ones((len(triangles), 3))
    if "COLOR_0" in attributes:
        shade = file.accessor(attributes["COLOR_0"], color=True)[triangles][..., :3].mean(axis=1)
    if "material" not in primitive:
        return shade if "COLOR_0" in attributes else shade * model_source.GRAY
    material = file.item("materials", primitive["material"])
    kind, surface = "baseColor", material.get("pbrMetallicRoughness", {})
    if _GLOSS in material.get("extensions", {}):
        kind, surface = "diffuse", material["extensions"][_GLOSS]
    factor = np.array(surface.get(f"{kind}Factor", [1.0] * 4), np.float64)[:3]
    if f"{kind}Texture" in surface:
        shade = shade * _textured(file, surface[f"{kind}Texture"], attributes, triangles)
    return shade * factor


def _textured(
    file: gltf_document.Document, info: Any, attributes: Any, triangles: Int[np.ndarray, "T 3"]
) -> Float[np.ndarray, "T 3"] | float:
    """The mean of a texture over each triangle; 1 where the texture cannot be read."""
    pixels, wrap = file.texture(info["index"])
    if pixels is None:
        return 1.0
    change = info.get("extensions", {}).get("KHR_texture_transform", {})
    name = f"TEXCOORD_{change.get('texCoord', info.get('texCoord', 0))}"
    if name not in attributes:
        return face_colors.means(pixels, np.full((len(triangles), 3, 2), np.nan))
    uv = file.accessor(attributes[name]) * np.array(change.get("scale", [1.0, 1.0]))
    # Counter-clockwise, with v downwards.
    cos, sin = np.cos(change.get("rotation", 0.0)), np.sin(change.get("rotation", 0.0))
    uv = uv @ np.array([[cos, -sin], [sin, cos]]) + np.array(change.get("offset", [0.0, 0.0]))
    return face_colors.means(pixels, uv[triangles], wrap)
