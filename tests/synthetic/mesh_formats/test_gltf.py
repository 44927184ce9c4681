"""glTF files built from the specification's own words, against what these say must be seen."""

import base64
import io
import json
import struct

import numpy as np
import pytest
from PIL import Image

from catpose.errors import InputError
from tests.support import model_files
from tests.support.model_files import CORNERS, SIDES, expected, primitive_of, tetrahedron, triangles

RED = (0.9, 0.1, 0.1)


def write(folder, file):
    path = folder / "a.glb"
    path.write_bytes(file.glb())
    return path


def seen(folder, file):
    return triangles(write(folder, file))


def refused(folder, file, message):
    with pytest.raises(InputError, match=message) as caught:
        seen(folder, file)
    assert "a.glb" in str(caught.value)
    assert "\n" not in str(caught.value)


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(np.array(pixels, np.uint8)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize("kind", ["u1", "u2", "u4"])
def test_indices_of_every_type(tmp_path, kind):
    assert seen(tmp_path, tetrahedron(indices=SIDES.astype(kind))) == expected()


def test_without_indices_three_vertices_are_a_triangle(tmp_path):
    assert seen(tmp_path, tetrahedron(CORNERS[SIDES.ravel()], None)) == expected()


@pytest.mark.parametrize(
    ("kind", "largest"), [("i1", 127), ("u1", 255), ("i2", 32767), ("u2", 65535)]
)
def test_quantized_positions(tmp_path, kind, largest):
    """KHR_mesh_quantization: normalized, or whole numbers that a node scales."""
    numbers = CORNERS.astype(kind)
    required = ["KHR_mesh_quantization"]
    file = tetrahedron(numbers)
    file.json["extensionsRequired"] = required
    file.json["nodes"][0] |= {"scale": [0.5] * 3, "translation": [0, 0, 3]}
    assert seen(tmp_path, file) == expected(0.5 * CORNERS + [0, 0, 3])
    file = tetrahedron((CORNERS * (largest // 4)).astype(kind))
    file.json["extensionsRequired"] = required
    file.json["accessors"][0]["normalized"] = True
    file.json["nodes"][0]["scale"] = [largest / (largest // 4)] * 3
    assert seen(tmp_path, file) == expected()


def test_the_most_negative_number_is_minus_one(tmp_path):
    file = tetrahedron(np.array([[-128, -127, 127], [127, 0, 0], [0, 127, 0], [0, 0, 127]], "i1"))
    file.json["accessors"][0]["normalized"] = True
    corners = np.array([[-1, -1, 1], [1, 0, 0], [0, 1, 0], [0, 0, 1.0]])
    assert seen(tmp_path, file) == expected(corners)


@pytest.mark.parametrize("with_base", [True, False])
def test_sparse_accessors(tmp_path, with_base):
    """Numbers that replace some of an accessor's, or of as many zeros."""
    file = tetrahedron(CORNERS * np.float32([[1], [1], [1], [0]]) if with_base else CORNERS)
    changed = np.array([3] if with_base else [1, 2, 3], "u1")
    accessor = file.json["accessors"][0]
    accessor["sparse"] = {
        "count": len(changed),
        "indices": {"bufferView": file.view(changed.tobytes()), "componentType": 5121},
        "values": {"bufferView": file.view(CORNERS[changed].tobytes())},
    }
    if not with_base:
        del accessor["bufferView"]
    assert seen(tmp_path, file) == expected()
    accessor["sparse"]["indices"]["bufferView"] = file.view(bytes([9] * len(changed)))
    refused(tmp_path, file, "IndexError")


def test_interleaved_attributes(tmp_path):
    """One view for positions and colors, 16 bytes a vertex, behind 8 others."""
    rows = np.zeros(4, [("position", "<f4", 3), ("color", "u1", 4)])
    rows["position"], rows["color"] = CORNERS, (0, 51, 255, 7)
    file = tetrahedron()
    view = file.view(b"12345678" + rows.tobytes(), byteStride=16)
    for name, array, more in (
        ("POSITION", CORNERS, {"byteOffset": 8}),
        ("COLOR_0", rows["color"], {"byteOffset": 20, "normalized": True}),
    ):
        number = file.declare(array, bufferView=view, **more)
        primitive_of(file)["attributes"][name] = number
    assert seen(tmp_path, file) == expected(color=(0, 0.2, 1))


@pytest.mark.parametrize(
    ("mode", "corners", "sides"),
    [
        (5, [0, 2, 1, 3, 0], [[0, 2, 1], [2, 3, 1], [1, 3, 0]]),
        (6, [0, 2, 1, 3], [[2, 1, 0], [1, 3, 0]]),
    ],
)
def test_strips_and_fans(tmp_path, mode, corners, sides):
    file = tetrahedron(indices=np.array(corners, "u2"), mode=mode)
    assert seen(tmp_path, file) == expected(sides=sides)


def test_points_and_lines_beside_triangles_are_no_surface(tmp_path):
    file = tetrahedron()
    first = primitive_of(file)
    file.json["meshes"][0]["primitives"] += [first | {"mode": mode} for mode in range(4)]
    assert seen(tmp_path, file) == expected()


TURNED = CORNERS[:, [2, 0, 1]]  # by 120 degrees about x = y = z: x becomes y


@pytest.mark.parametrize(
    ("nodes", "corners"),
    [
        ([{"mesh": 0, "rotation": [0.5, 0.5, 0.5, 0.5]}], TURNED),
        (
            [{"mesh": 0, "translation": [1, 2, 3], "scale": [2, 1, 1]}],
            CORNERS * [2, 1, 1] + [1, 2, 3],
        ),
        # A matrix goes column by column.
        (
            [{"mesh": 0, "matrix": [0, 1, 0, 0, 0, 0, 1, 0, 1, 0, 0, 0, 7, 8, 9, 1]}],
            TURNED + [7, 8, 9],
        ),
        (
            [
                {"children": [1], "rotation": [0.5, 0.5, 0.5, 0.5]},
                {"mesh": 0, "translation": [1, 0, 0]},
            ],
            TURNED + [0, 1, 0],
        ),
    ],
)
def test_nodes_move_their_meshes(tmp_path, nodes, corners):
    file = tetrahedron()
    file.json["nodes"] = nodes
    assert seen(tmp_path, file) == expected(corners)


def test_a_mirroring_node_keeps_the_outside_out(tmp_path):
    file = tetrahedron()
    file.json["nodes"][0]["scale"] = [-1, 1, 1]
    assert seen(tmp_path, file) == expected(CORNERS * [-1, 1, 1], SIDES[:, ::-1])


def test_one_scene_is_drawn(tmp_path):
    """The one that is named; else the first; else every node; without nodes, every mesh."""
    both = expected() | expected(CORNERS + [9, 0, 0])
    file = tetrahedron()
    file.json["nodes"].append({"mesh": 0, "translation": [9, 0, 0]})
    file.json |= {"scenes": [{"nodes": [0]}, {"nodes": [0, 1]}, {"nodes": [1]}], "scene": 1}
    assert seen(tmp_path, file) == both
    del file.json["scene"]
    assert seen(tmp_path, file) == expected()
    del file.json["scenes"]
    assert seen(tmp_path, file) == both
    del file.json["nodes"]
    assert seen(tmp_path, file) == expected()


def test_instances_of_a_mesh(tmp_path):
    file = tetrahedron()
    moves = file.add(np.array([[0, 0, 0], [9, 0, 0]], "f4"))
    scales = file.add(np.array([[1, 1, 1], [2, 2, 2]], "f4"))
    attributes = {"TRANSLATION": moves, "SCALE": scales}
    file.json["nodes"][0]["extensions"] = {"EXT_mesh_gpu_instancing": {"attributes": attributes}}
    file.json["extensionsRequired"] = ["EXT_mesh_gpu_instancing"]
    assert seen(tmp_path, file) == expected() | expected(2 * CORNERS + [9, 0, 0])


def test_morph_targets_at_rest(tmp_path):
    file = tetrahedron()
    target = file.add(np.array([[0, 0, 0], [0, 0, 0], [0, 0, 0], [0, 0, 4]], "f4"))
    primitive_of(file)["targets"] = [{"POSITION": target}]
    assert seen(tmp_path, file) == expected()
    file.json["meshes"][0]["weights"] = [0.5]
    moved = CORNERS + np.array([[0, 0, 0]] * 3 + [[0, 0, 2]])
    assert seen(tmp_path, file) == expected(moved)
    file.json["nodes"][0]["weights"] = [0.0]
    assert seen(tmp_path, file) == expected()


def test_a_skin_takes_vertices_along_with_its_joints(tmp_path):
    """The node's own place does not count; half of a vertex may follow either joint."""
    file = tetrahedron()
    joints = file.add(np.array([[0, 1, 0, 0]] * 4, "u1"))
    weights = np.array([[255, 0, 0, 0]] * 3 + [[51, 204, 0, 0]], "u1")
    primitive_of(file)["attributes"] |= {
        "JOINTS_0": joints,
        "WEIGHTS_0": file.add(weights, normalized=True),
    }
    still = np.eye(4, dtype="f4")
    bind = still.copy()
    bind[3, :3] = (-1, 0, 0)  # transposed: the specification goes column by column
    file.json["skins"] = [
        {"joints": [1, 2], "inverseBindMatrices": file.add(np.stack([still, bind]).reshape(2, 16))}
    ]
    file.json["nodes"] = [
        {"mesh": 0, "skin": 0, "translation": [50, 0, 0]},
        {"translation": [0, 10, 0]},
        {"translation": [1, 20, 0]},
    ]
    moved = CORNERS + np.array([[0, 10, 0]] * 3 + [[0, 18, 0]])
    assert seen(tmp_path, file) == expected(moved)


@pytest.mark.parametrize(
    ("colors", "color"),
    [
        (np.array([[*RED, 1]] * 4, "f4"), RED),
        (np.array([RED] * 4, "f4"), RED),
        (np.array([[51, 102, 255, 9]] * 4, "u1"), (0.2, 0.4, 1)),
        (np.array([[13107, 26214, 65535]] * 4, "u2"), (0.2, 0.4, 1)),
    ],
)
@pytest.mark.parametrize("factor", [None, (1, 1, 1, 1), (0.5, 1, 0.1, 1)])
def test_colors_of_vertices_multiply_the_material(tmp_path, colors, color, factor):
    file = tetrahedron()
    number = file.add(colors, normalized=colors.dtype.kind == "u")
    primitive_of(file)["attributes"]["COLOR_0"] = number
    if factor:
        primitive_of(file)["material"] = 0
        file.json["materials"] = [{"pbrMetallicRoughness": {"baseColorFactor": factor}}]
        color = np.multiply(color, factor[:3])
    assert seen(tmp_path, file) == expected(color=color)


def test_specular_glossiness_comes_before_the_fallback(tmp_path):
    file = tetrahedron(material=0)
    gloss = {"KHR_materials_pbrSpecularGlossiness": {"diffuseFactor": [*RED, 1]}}
    other = {"baseColorFactor": [0, 0, 1, 1]}
    file.json["materials"] = [{"extensions": gloss, "pbrMetallicRoughness": other}]
    file.json["extensionsRequired"] = [*gloss]
    assert seen(tmp_path, file) == expected(color=RED)


def test_a_material_without_a_color_is_white(tmp_path):
    file = tetrahedron(material=0)
    file.json["materials"] = [{"extensions": {"KHR_materials_unlit": {}}}]
    assert seen(tmp_path, file) == expected(color=(1, 1, 1))


# Four quarters of a texture, the first row on top: red, green; blue, white.
QUARTERS = np.repeat(np.repeat([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255] * 3]], 8, 0), 8, 1)
COLORS = {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "white": (1, 1, 1)}
PLACES = np.array([[0.2, 0.3], [0.3, 0.2], [0.2, 0.2], [0.3, 0.3]], "f4")  # in the red


def textured(uv, info=None, sampler=None, picture=None, **texture):
    file = tetrahedron(material=0)
    primitive_of(file)["attributes"]["TEXCOORD_0"] = file.add(np.asarray(uv))
    info = {"index": 0} | (info or {})
    file.json |= {
        "materials": [{"pbrMetallicRoughness": {"baseColorTexture": info}}],
        "textures": [{"source": 0} | ({"sampler": 0} if sampler else {}) | texture],
        "samplers": [sampler] if sampler else [],
        "images": [{"bufferView": file.view(picture or png(QUARTERS)), "mimeType": "image/png"}],
    }
    return file


@pytest.mark.parametrize(
    ("uv", "color"),
    [
        (PLACES, "red"),
        (PLACES + np.float32([0.5, 0]), "green"),
        (PLACES + np.float32([0, 0.5]), "blue"),
        (PLACES + np.float32([-2, 7]), "red"),
        ((PLACES * 255).astype("u1"), "red"),
        ((PLACES * 65535).astype("u2"), "red"),
    ],
)
def test_places_in_a_texture(tmp_path, uv, color):
    file = textured(uv)
    file.json["accessors"][2]["normalized"] = uv.dtype.kind == "u"
    assert seen(tmp_path, file) == expected(color=COLORS[color])


@pytest.mark.parametrize(
    ("sampler", "color"),
    [
        ({"wrapS": 10497}, "red"),
        ({"wrapS": 33071}, "green"),  # the edge goes on
        ({"wrapS": 33648}, "green"),  # mirrored
        ({"wrapT": 33071}, "red"),
    ],
)
def test_what_is_beyond_a_texture(tmp_path, sampler, color):
    file = textured(PLACES + np.float32([1, 0]), sampler=sampler)
    assert seen(tmp_path, file) == expected(color=COLORS[color])


TRANSFORM = "KHR_texture_transform"


@pytest.mark.parametrize(
    ("change", "color"),
    [
        ({"offset": [0.5, 0.5]}, "white"),
        ({"scale": [3, 1]}, "green"),
        # The specification's own example: the lower left quarter, turned clockwise.
        ({"offset": [0, 1], "rotation": np.pi / 2, "scale": [0.5, 0.5]}, "blue"),
        # A quarter turn takes u to -v, and v to u.
        ({"rotation": np.pi / 2}, "blue"),
        ({"rotation": np.pi / 2, "scale": [3, 1]}, "red"),
        ({"rotation": np.pi / 2, "scale": [1, 3]}, "white"),
    ],
)
def test_transforms_of_a_texture(tmp_path, change, color):
    file = textured(PLACES, {"extensions": {TRANSFORM: change}})
    file.json["extensionsRequired"] = [TRANSFORM]
    assert seen(tmp_path, file) == expected(color=COLORS[color])


@pytest.mark.parametrize("by_transform", [False, True])
def test_second_coordinates(tmp_path, by_transform):
    info = {"extensions": {TRANSFORM: {"texCoord": 1}}} if by_transform else {"texCoord": 1}
    file = textured(PLACES, info)
    second = file.add(PLACES + np.float32([0.5, 0.5]))
    primitive_of(file)["attributes"]["TEXCOORD_1"] = second
    assert seen(tmp_path, file) == expected(color=(1, 1, 1))


def test_factor_texture_and_vertices_are_multiplied(tmp_path):
    file = textured(PLACES, picture=png(np.full((4, 4, 3), 51)))
    file.json["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [1, 0.5, 1, 1]
    colors = np.array([[1, 1, 0.1, 1]] * 4, "f4")
    primitive_of(file)["attributes"]["COLOR_0"] = file.add(colors)
    assert seen(tmp_path, file) == expected(color=(0.2, 0.1, 0.02))


def test_the_transparency_of_a_texture_does_not_count(tmp_path):
    picture = png(np.full((4, 4, 4), (51, 102, 255, 0)))
    assert seen(tmp_path, textured(PLACES, picture=picture)) == expected(color=(0.2, 0.4, 1))


def test_a_texture_in_webp(tmp_path):
    picture = io.BytesIO()
    Image.fromarray(np.full((8, 8, 3), (51, 102, 255), np.uint8)).save(
        picture, "WEBP", lossless=True
    )
    file = textured(PLACES, picture=picture.getvalue())
    file.json["textures"] = [{"extensions": {"EXT_texture_webp": {"source": 0}}}]
    file.json["extensionsRequired"] = ["EXT_texture_webp"]
    assert seen(tmp_path, file) == expected(color=(0.2, 0.4, 1))


def test_basisu_is_named_unless_there_is_another_picture(tmp_path):
    basisu = {"KHR_texture_basisu": {"source": 1}}
    file = textured(PLACES, extensions=basisu)
    assert seen(tmp_path, file) == expected(color=(1, 0, 0))
    del file.json["textures"][0]["source"]
    refused(tmp_path, file, "it uses KHR_texture_basisu, which is not read; .*PNG or JPEG")
    refused(tmp_path, textured(PLACES, picture=b"\xabKTX 20\xbb\r\n"), "is a KTX file.*PNG or JPEG")


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_without_its_texture_a_line_says_so(tmp_path, capsys, content):
    file = textured(PLACES)
    file.json["images"] = [{"uri": "wood.png"}]
    file.json["materials"][0]["pbrMetallicRoughness"]["baseColorFactor"] = [*RED, 1]
    if content:
        (tmp_path / "wood.png").write_bytes(content)
    assert seen(tmp_path, file) == expected(color=RED)
    assert "a.glb: without its texture wood.png: " in capsys.readouterr().err


@pytest.mark.parametrize("uri", ["wood%20and%20more.png", "./wood and more.png", "data"])
def test_pictures_beside_the_file_and_in_it(tmp_path, uri):
    (tmp_path / "wood and more.png").write_bytes(png(QUARTERS))
    file = textured(PLACES)
    if uri == "data":
        uri = "data:image/png;base64," + base64.b64encode(png(QUARTERS)).decode()
    file.json["images"] = [{"uri": uri}]
    assert seen(tmp_path, file) == expected(color=(1, 0, 0))


@pytest.mark.parametrize("where", ["beside", "inside", "with blanks"])
def test_a_gltf_file_and_its_buffer(tmp_path, where):
    file = tetrahedron()
    (tmp_path / "a b.bin").write_bytes(file.binary)
    uri = {
        "beside": "a%20b.bin",
        "with blanks": "a b.bin",
        "inside": "data:application/octet-stream;base64," + base64.b64encode(file.binary).decode(),
    }[where]
    file.json["buffers"] = [{"byteLength": len(file.binary), "uri": uri}]
    (tmp_path / "a.gltf").write_text("\ufeff" + json.dumps(file.json))
    assert triangles(tmp_path / "a.gltf") == expected()


@pytest.mark.parametrize("uri", ["../a.bin", "..%2Fa.bin", "..\\a.bin", "sub/../../a.bin"])
def test_nothing_outside_the_folder_is_read(tmp_path, uri):
    (tmp_path / "in").mkdir()
    file = tetrahedron()
    (tmp_path / "a.bin").write_bytes(file.binary)
    file.json["buffers"] = [{"byteLength": len(file.binary), "uri": uri}]
    (tmp_path / "in" / "a.gltf").write_text(json.dumps(file.json))
    with pytest.raises(InputError, match=r"which is not in its folder|buffers\[0\] are missing"):
        triangles(tmp_path / "in" / "a.gltf")


def test_draco_is_named_even_in_one_part(tmp_path):
    draco = "KHR_draco_mesh_compression"
    remedy = f"it uses {draco}, which is not read; .*gltf-transform copy"
    file = tetrahedron()
    packed = {"attributes": {"POSITION": file.declare(CORNERS)}, "extensions": {draco: {}}}
    file.json["meshes"][0]["primitives"].append(packed)
    refused(tmp_path, file, remedy)
    packed["attributes"] = {"POSITION": 0}  # plain numbers beside the packed ones
    packed["indices"] = 1
    file.json["nodes"] = [{"mesh": 0}]
    file.json["meshes"].append({"primitives": [file.json["meshes"][0]["primitives"].pop()]})
    file.json["nodes"][0]["mesh"] = 1
    assert seen(tmp_path, file) == expected()
    file.json["extensionsRequired"] = [draco]
    refused(tmp_path, file, remedy)


@pytest.mark.parametrize("name", ["EXT_meshopt_compression", "KHR_meshopt_compression"])
@pytest.mark.parametrize("required", [False, True])
def test_meshopt_is_named(tmp_path, name, required):
    file = tetrahedron()
    view = file.json["bufferViews"][0]
    view |= {"buffer": 1, "extensions": {name: {"buffer": 0, "byteLength": 9}}}
    if required:
        file.json["extensionsRequired"] = [name]
    original = file.glb

    def with_fallback():
        original()
        file.json["buffers"].append({"byteLength": 48, "extensions": {name: {"fallback": True}}})
        text = json.dumps(file.json).encode()
        body = struct.pack("<I4s", len(text), b"JSON") + text
        return struct.pack("<4sII", b"glTF", 2, 12 + len(body)) + body

    file.glb = with_fallback
    refused(tmp_path, file, f"it uses {name}, which is not read; .*gltf-transform copy")


def test_an_unknown_extension_is_named_where_it_is_required(tmp_path):
    file = tetrahedron()
    file.json["extensionsUsed"] = ["ACME_shape"]
    assert seen(tmp_path, file) == expected()
    file.json["extensionsRequired"] = ["ACME_shape"]
    refused(tmp_path, file, "it uses ACME_shape, which is not read; export it again without")


def change(*path_and_value):
    def apply(file):
        *path, last, value = path_and_value
        place = file.json
        for key in path:
            place = place[key]
        place[last] = value

    return apply


LOOP = [{"mesh": 0, "children": [1]}, {"children": [0]}]
DAMAGES = {
    "a loop": (change("nodes", LOOP), "own ancestor"),
    "a loop of its own": (change("nodes", [{"mesh": 0, "children": [0]}]), "own ancestor"),
    "two parents": (
        change("nodes", [{"children": [2]}, {"children": [2]}, {"mesh": 0}]),
        "child of two others",
    ),
    "zeros without end": (
        change("accessors", 0, {"componentType": 5126, "count": 3 * 10**8, "type": "VEC3"}),
        "300000000 elements without data",
    ),
    "too many": (change("accessors", 0, "count", 10**12), r"do not fit bufferViews\[0\]"),
    "a huge stride": (change("bufferViews", 0, "byteStride", 2**62), "do not fit"),
    "no stride": (change("bufferViews", 0, "byteStride", 0), "do not fit"),
    "an offset below zero": (change("accessors", 0, "byteOffset", -12), "an offset is -12"),
    "half a vertex": (change("accessors", 0, "count", 3.5), "a count or an offset is 3.5"),
    "a view beyond": (change("bufferViews", 0, "byteLength", 10**6), "ends before a view"),
    "no such view": (change("accessors", 0, "bufferView", -1), r"bufferViews\[-1\] is named"),
    "no such mesh": (change("nodes", 0, "mesh", 7), r"meshes\[7\] is named"),
    "no such scene": (change("scene", 7), r"scenes\[7\]"),
    "no such type": (change("accessors", 0, "componentType", 5130), "damaged, or no glb file"),
    "a corner too many": (change("meshes", 0, "primitives", 0, "indices", 0), "a.glb"),
    "not finite": (change("nodes", 0, "translation", [float("nan"), 0, 0]), "finite"),
    "very far": (change("nodes", 0, "scale", [1e300] * 3), "finite|overflow"),
    "version 1": (change("asset", {"version": "1.0"}), "it is glTF 1.0; export it as glTF 2.0"),
    "no turn": (change("nodes", 0, "rotation", [0, 0, 0, 0]), "a.glb"),
    "a list for a number": (change("nodes", 5), "a.glb"),
    "nothing drawn": (change("scenes", [{}]), "has no faces"),
}


@pytest.mark.parametrize(("damage", "message"), DAMAGES.values(), ids=DAMAGES)
def test_damage_is_told(tmp_path, damage, message):
    file = tetrahedron()
    damage(file)
    refused(tmp_path, file, message)


def test_a_file_cut_anywhere_is_told(tmp_path):
    path = write(tmp_path, tetrahedron())
    content = path.read_bytes()
    for length in range(0, len(content), 13):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"a\.glb"):
            triangles(path)


def test_many_places_of_one_mesh_are_limited(tmp_path, monkeypatch):
    monkeypatch.setattr(model_files.mesh_files.model_source, "MAX_TRIANGLES", 10)
    file = tetrahedron()
    file.json["nodes"] = [{"mesh": 0, "translation": [i, 0, 0]} for i in range(3)]
    file.json["scenes"] = [{"nodes": [0, 1, 2]}]
    refused(tmp_path, file, "more than 10 triangles; simplify it")


def test_a_deep_document_is_told(tmp_path):
    (tmp_path / "a.gltf").write_text("[" * 10**5)
    with pytest.raises(InputError, match=r"a\.gltf is damaged"):
        triangles(tmp_path / "a.gltf")
    (tmp_path / "a.gltf").write_text('{"asset": {"version": ' + "9" * 5000 + "}}")
    with pytest.raises(InputError, match=r"a\.gltf is damaged"):
        triangles(tmp_path / "a.gltf")
