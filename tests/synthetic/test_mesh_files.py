"""Models written here by hand, in every format, against where their corners must come to lie."""

import json
import struct
import sys

import numpy as np
import pytest
from PIL import Image

from catpose.errors import InputError
from catpose.synthetic import mesh_cleanup, mesh_files
from catpose.synthetic.mesh_formats import model_source
from catpose.visualize import model_sheet
from tests.support import numpy_rasterizer, numpy_scene

pytest.importorskip("fast_simplification", reason="needs the extra: pip install 'catpose[cad]'")

RED, BLUE = (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)
# An L seen from the front, thinner towards the rear: no two of its sides are alike.
PROFILE = np.array([(0, 0), (3, 0), (3, 0.5), (1, 0.5), (1, 2), (0, 2)])
VERTICES = np.concatenate([np.insert(PROFILE, 1, 0, 1), np.insert(0.8 * PROFILE, 1, 1.5, 1)])
FRONT = [(0, 1, 2), (0, 2, 3), (0, 3, 4), (0, 4, 5)]
REAR = [(c + 6, b + 6, a + 6) for a, b, c in FRONT]
EDGES = [(i, (i + 1) % 6) for i in range(6)]
SIDES = [t for i, j in EDGES for t in ((j, i, i + 6), (j, i + 6, j + 6))]
TRIANGLES = np.array(FRONT + REAR + SIDES)
COLORS = np.array([RED] * 4 + [BLUE] * 16)
# What a point of the file is in the object frame, for its (up, front).
TURNS = {
    ("+z", "-y"): lambda x, y, z: (x, y, z),
    ("z", "-y"): lambda x, y, z: (x, y, z),
    ("+z", "+x"): lambda x, y, z: (y, -x, z),
    ("+y", "-z"): lambda x, y, z: (-x, z, y),
    ("+y", "+z"): lambda x, y, z: (x, -z, y),
    ("+y", "+x"): lambda x, y, z: (-z, -x, y),
    ("-x", "+y"): lambda x, y, z: (-z, -y, -x),
}


def expected(vertices=VERTICES, turned=TURNS["+z", "-y"]):
    half = np.linalg.norm(np.ptp(vertices, axis=0)) / 2
    centered = (vertices - (vertices.min(axis=0) + vertices.max(axis=0)) / 2) / half
    return np.stack(turned(*centered.T), axis=1)


def as_set(vertices, triangles, colors):
    """Triangles by the places of their corners, winding kept, with their colors."""
    found = {}
    for triangle, color in zip(vertices[triangles], colors, strict=True):
        rows = [tuple(row) for row in (np.round(triangle.astype(float), 4) + 0.0).tolist()]
        first = rows.index(min(rows))
        found[tuple(rows[first:] + rows[:first])] = tuple(
            np.round(np.asarray(color, float), 2).tolist()
        )
    assert len(found) == len(triangles)
    return found


def mesh_set(mesh):
    np.testing.assert_array_equal(mesh.faces[:, 2], mesh.faces[:, 3])
    return as_set(mesh.vertices, mesh.faces[:, :3], mesh.colors)


def write_obj(path, vertices=VERTICES, triangles=TRIANGLES, colors=COLORS):
    path.with_suffix(".mtl").write_text(
        "newmtl red\nKd 1 0 0\n\nnewmtl blue\nKd 0 0 1\n\nnewmtl green\nKd 0 1 0\n"
    )
    lines = [f"mtllib {path.stem}.mtl"] + ["v {} {} {}".format(*v) for v in vertices]
    for (a, b, c), color in zip(triangles + 1, colors, strict=True):
        lines += [f"usemtl {('red', 'green', 'blue')[int(np.argmax(color))]}", f"f {a} {b} {c}"]
    path.write_text("\n".join(lines) + "\n")


def write_off(path):
    lines = ["OFF", f"{len(VERTICES)} {len(TRIANGLES)} 0"]
    lines += ["{} {} {}".format(*v) for v in VERTICES]
    lines += ["3 {} {} {}".format(*t) for t in TRIANGLES]
    path.write_text("\n".join(lines) + "\n")


def write_ply(path):
    lines = ["ply", "format ascii 1.0", f"element vertex {len(VERTICES)}"]
    lines += [f"property float {axis}" for axis in "xyz"]
    lines += [f"element face {len(TRIANGLES)}", "property list uchar int vertex_indices"]
    lines += [f"property uchar {name}" for name in ("red", "green", "blue")] + ["end_header"]
    lines += ["{} {} {}".format(*v) for v in VERTICES]
    for triangle, color in zip(TRIANGLES, (COLORS * 255).astype(int), strict=True):
        lines.append("3 {} {} {} {} {} {}".format(*triangle, *color))
    path.write_text("\n".join(lines) + "\n")


def write_stl(path):
    with path.open("wb") as file:
        file.write(b"\0" * 80 + struct.pack("<I", len(TRIANGLES)))
        for triangle in VERTICES[TRIANGLES]:
            file.write(struct.pack("<12fH", 0, 0, 0, *triangle.ravel(), 0))


def write_glb(path, red=TRIANGLES[:4], blue=TRIANGLES[4:]):
    """Vertices mirrored in x, which the node mirrors back; one primitive for each color."""
    positions = (VERTICES * [-1, 1, 1]).astype("<f4")
    parts = [positions, *(np.array(part)[:, ::-1].astype("<u2") for part in (red, blue))]
    data = b"".join(part.tobytes() for part in parts)
    ends = np.cumsum([part.nbytes for part in parts]).tolist()
    views = [(end - part.nbytes, part.nbytes) for end, part in zip(ends, parts, strict=True)]
    accessors = [
        {"componentType": 5126, "count": 12, "type": "VEC3"}
        | {"min": positions.min(0).tolist(), "max": positions.max(0).tolist()},
        {"componentType": 5123, "count": 3 * len(red), "type": "SCALAR"},
        {"componentType": 5123, "count": 3 * len(blue), "type": "SCALAR"},
    ]
    document = {
        "asset": {"version": "2.0"},
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "scale": [-1, 1, 1], "translation": [5, 0, 0]}],
        "meshes": [
            {
                "primitives": [
                    {"attributes": {"POSITION": 0}, "indices": 1 + i, "material": i}
                    for i in range(2)
                ]
            }
        ],
        "materials": [
            {"pbrMetallicRoughness": {"baseColorFactor": [*color, 1]}} for color in (RED, BLUE)
        ],
        "accessors": [a | {"bufferView": i} for i, a in enumerate(accessors)],
        "bufferViews": [{"buffer": 0, "byteOffset": a, "byteLength": n} for a, n in views],
        "buffers": [{"byteLength": len(data)}],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    chunks = struct.pack("<I4s", len(text), b"JSON") + text
    chunks += struct.pack("<I4s", len(data), b"BIN\0") + data
    path.write_bytes(struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks)


def test_the_solid_of_these_tests_is_closed_and_turned_outwards():
    volume = np.linalg.det(VERTICES[TRIANGLES]).sum() / 6
    assert volume == pytest.approx(3.0 * 1.5 * (1 + 0.8 + 0.64) / 3)


@pytest.mark.parametrize("axes", TURNS, ids=" ".join)
def test_axes_are_turned_into_the_object_frame(tmp_path, axes):
    write_obj(tmp_path / "l.obj")
    mesh = mesh_files.load(tmp_path / "l.obj", up=axes[0], front=axes[1])
    assert mesh_set(mesh) == as_set(expected(turned=TURNS[axes]), TRIANGLES, COLORS)
    assert (mesh.vertices.dtype, mesh.faces.dtype, mesh.colors.dtype) == ("f4", "i4", "f4")
    assert np.linalg.norm(mesh.vertices.max(axis=0)) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("name", "write", "colored"),
    [
        ("l.off", write_off, False),
        ("l.PLY", write_ply, True),
        ("l.stl", write_stl, False),
        ("l.glb", write_glb, True),
    ],
)
def test_every_format_gives_the_same_mesh(tmp_path, name, write, colored):
    write(tmp_path / name)
    mesh = mesh_files.load(tmp_path / name)
    colors = COLORS if colored else np.full((20, 3), model_source.GRAY)
    assert mesh_set(mesh) == as_set(expected(), TRIANGLES, colors)


def test_an_off_file_may_have_its_counts_on_the_first_line(tmp_path):
    write_off(tmp_path / "l.off")
    text = (tmp_path / "l.off").read_text()
    (tmp_path / "l.off").write_text(text.replace("OFF\n", "OFF ", 1))
    assert len(mesh_files.load(tmp_path / "l.off").faces) == 20


def test_vertex_colors_are_averaged_over_a_face(tmp_path):
    corners = ["0 0 0 1 0 0", "1 0 0 0 1 0", "0 0 1 0 0 1"]
    (tmp_path / "v.obj").write_text("".join(f"v {c}\n" for c in corners) + "f 1 2 3\n")
    mesh = mesh_files.load(tmp_path / "v.obj")
    np.testing.assert_allclose(mesh.colors, np.full((2, 3), 1 / 3), atol=0.01)


def test_a_texture_is_averaged_over_each_face_and_its_first_row_is_on_top(tmp_path):
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[:32, :, 0], pixels[32:, ::2, 1] = 255, 255
    Image.fromarray(pixels).save(tmp_path / "t.png")
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 0 0 0\nmap_Kd t.png\n")
    text = "mtllib m.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 0 1\nv 1 0 1\n"
    # A face in the upper half, and one in the lower half seven repeats to the side.
    text += "vt 0.1 0.6\nvt 0.9 0.6\nvt 0.1 0.9\nvt 7.1 0.1\nvt 7.9 0.1\nvt 7.9 0.4\n"
    (tmp_path / "m.obj").write_text(text + "f 1/1 2/2 3/3\nf 2/4 4/5 3/6\n")
    mesh = mesh_files.load(tmp_path / "m.obj")
    above, below = mesh.colors[:2]
    np.testing.assert_allclose(above, RED, atol=0.01)
    np.testing.assert_allclose(below, (0, 0.5, 0), atol=0.2)


def test_without_its_material_file_a_model_is_grey(tmp_path):
    write_obj(tmp_path / "l.obj")
    (tmp_path / "l.mtl").unlink()
    colors = mesh_files.load(tmp_path / "l.obj").colors
    assert np.ptp(colors) == 0
    assert 0.2 < colors[0, 0] < 0.8


@pytest.mark.parametrize("texture", [None, b"\x89PNG\r\n\x1a\nno more"])
def test_without_its_texture_a_material_has_its_own_color(tmp_path, texture):
    if texture:
        (tmp_path / "t.png").write_bytes(texture)
    (tmp_path / "m.mtl").write_text("newmtl a\nKd 0 1 0\nmap_Kd t.png\n")
    (tmp_path / "m.obj").write_text(
        "mtllib m.mtl\nusemtl a\nv 0 0 0\nv 1 0 0\nv 0 0 1\nvt 0 0\nf 1/1 2/1 3/1\n"
    )
    np.testing.assert_allclose(mesh_files.load(tmp_path / "m.obj").colors, [[0, 1, 0]] * 2)


def test_a_solid_that_is_inside_out_is_turned(tmp_path):
    write_obj(tmp_path / "l.obj", triangles=TRIANGLES[:, ::-1])
    mesh = mesh_files.load(tmp_path / "l.obj")
    assert mesh_set(mesh) == as_set(expected(), TRIANGLES, COLORS)


@pytest.mark.parametrize("flipped", [[], [0], [3, 8, 19]])
def test_what_is_open_or_wound_both_ways_gets_two_sides(tmp_path, flipped):
    triangles, colors = TRIANGLES.copy(), COLORS
    triangles[flipped] = triangles[flipped, ::-1]
    if not flipped:
        triangles, colors = triangles[4:], colors[4:]  # without its front
    write_obj(tmp_path / "l.obj", triangles=triangles, colors=colors)
    both = np.concatenate([triangles, triangles[:, ::-1]])
    wanted = as_set(expected(), both, np.concatenate([colors, colors]))
    assert mesh_set(mesh_files.load(tmp_path / "l.obj")) == wanted


def test_a_closed_part_beside_an_open_one_keeps_one_side(tmp_path):
    vertices = np.concatenate([VERTICES, VERTICES[:3] + [9, 0, 0]])
    triangles = np.concatenate([TRIANGLES, [[12, 13, 14]]])
    write_obj(tmp_path / "l.obj", vertices, triangles, [*COLORS, RED])
    assert len(mesh_files.load(tmp_path / "l.obj").faces) == 22


@pytest.mark.parametrize("suffix", ["obj", "glb"])
def test_the_two_sides_of_a_sheet_keep_their_colors(tmp_path, suffix):
    front, path = TRIANGLES[:4], tmp_path / f"s.{suffix}"
    both, colors = np.concatenate([front, front[:, ::-1]]), np.array([RED] * 4 + [BLUE] * 4)
    if suffix == "obj":
        write_obj(path, triangles=both, colors=colors)
    else:
        write_glb(path, both[:4], both[4:])
    assert mesh_set(mesh_files.load(path)) == as_set(expected(VERTICES[:6]), both, colors)


def sphere(rings=60, sides=120, top=np.pi):
    polar, around = np.meshgrid(
        np.linspace(0, top, rings + 1), np.arange(sides) * (2 * np.pi / sides), indexing="ij"
    )
    points = [np.sin(polar) * np.cos(around), np.sin(polar) * np.sin(around), np.cos(polar)]
    i, j = (a.ravel() for a in np.mgrid[:rings, :sides])
    a, b = i * sides + j, i * sides + (j + 1) % sides
    triangles = np.concatenate(
        [np.stack(t, 1) for t in ((a, a + sides, b), (b, a + sides, b + sides))]
    )
    vertices = np.stack(points, axis=-1).reshape(-1, 3)
    colors = np.where(vertices[triangles].mean(axis=1)[:, :1] > 0, RED, BLUE)
    return mesh_cleanup.Surface(vertices, triangles, colors)


def test_a_simplified_sphere_is_still_one_in_its_colors():
    small = mesh_cleanup.simplified(mesh_cleanup.welded(sphere()), 400)
    assert 300 <= len(small.triangles) <= 400
    corners = small.vertices[small.triangles]
    np.testing.assert_allclose(np.linalg.norm(small.vertices, axis=1), 1, atol=0.03)
    assert np.linalg.det(corners).sum() / 6 == pytest.approx(4 / 3 * np.pi, rel=0.06)
    x = corners[:, :, 0]
    for color, of in ((RED, x.min(axis=1) > 0.05), (BLUE, x.max(axis=1) < -0.05)):
        np.testing.assert_allclose(small.colors[of], np.tile(color, (of.sum(), 1)), atol=1e-9)
        assert of.sum() > 100


def test_both_sides_of_an_open_bowl_count():
    bowl = sphere(top=np.pi / 2)
    small = mesh_cleanup.simplified(mesh_cleanup.welded(bowl), 600)
    assert 300 <= len(small.triangles) <= 600
    height = small.vertices[:, 2]
    assert height.min() == pytest.approx(0, abs=0.08)
    np.testing.assert_allclose(np.linalg.norm(small.vertices, axis=1), 1, atol=0.08)
    normals = np.cross(*np.diff(small.vertices[small.triangles], axis=1).transpose(1, 0, 2))
    outwards = (normals * small.vertices[small.triangles].mean(axis=1)).sum(axis=1) > 0
    assert outwards.sum() * 2 == len(outwards)


def test_a_large_triangle_hands_its_color_to_all_of_its_place():
    """A red triangle below the diagonal of a square, hundreds of blue ones above."""
    steps = np.linspace(0, 1, 31)
    i, j = (a.ravel() for a in np.mgrid[:30, :30])
    i, j = i[i + j >= 30], j[i + j >= 30]
    a, b = i * 31 + j, (i + 1) * 31 + j
    vertices = np.stack([*np.meshgrid(steps, steps, indexing="ij"), np.zeros((31, 31))], -1)
    blue = np.concatenate([np.stack(t, 1) for t in ((a, b, a + 1), (a + 1, b, b + 1))])
    triangles = np.concatenate([[[0, 30 * 31, 30]], blue])
    colors = np.array([RED] + [BLUE] * len(blue))
    whole = mesh_cleanup.welded(mesh_cleanup.Surface(vertices.reshape(-1, 3), triangles, colors))
    small = mesh_cleanup.simplified(whole, 500)
    across = small.vertices[small.triangles][..., :2].sum(axis=-1)
    for color, of in ((RED, across.max(axis=1) < 1.02), (BLUE, across.min(axis=1) > 1.02)):
        assert of.any()
        np.testing.assert_allclose(small.colors[of], np.tile(color, (of.sum(), 1)), atol=1e-9)


def test_loose_triangles_are_brought_within_the_budget_too():
    generator = np.random.default_rng(0)
    soup = mesh_cleanup.Surface(
        generator.normal(size=(3000, 3)), np.arange(3000).reshape(-1, 3), np.zeros((1000, 3))
    )
    small = mesh_cleanup.simplified(mesh_cleanup.welded(soup), 300)
    assert 0 < len(small.triangles) <= 300


def test_what_is_small_enough_stays_as_it_is():
    whole = mesh_cleanup.welded(sphere(8, 12))
    same = mesh_cleanup.simplified(whole, len(whole.triangles))
    np.testing.assert_array_equal(same.triangles, whole.triangles)


def obj(text):
    return lambda path: path.write_text(text)


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.obj", None, "there is no model"),
        ("a.blend", obj("v"), "not one of .obj"),
        ("a.off", obj("no model"), "not an OFF file"),
        ("a.ply", obj("ply\nformat ascii 1.0\nelement vertex 3\n"), "a.ply"),
        ("a.glb", obj("glTF broken"), "damaged, or no glb file"),
        ("a.stl", obj(""), "a.stl"),
        ("a.obj", obj("v 0 0 0\nv 1 0 0\nv 0 1 0\n"), "a.obj"),
        ("a.obj", obj(""), "a.obj"),
        (
            "a.glb",
            obj("version https://git-lfs.github.com/spec/v1\n"),
            "Git LFS pointer .*git lfs pull",
        ),
        ("a.obj", obj("\n<!DOCTYPE html>"), "it is a web page"),
        ("a.obj", obj("v 0 0 0\nv 1 0 0\nv 2 0 0\nf 1 2 3\n"), "no area"),
        ("a.obj", obj("v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n"), "no area"),
        ("a.obj", obj("v 0 0 0\nv nan 0 0\nv 0 1 0\nf 1 2 3\n"), "three finite numbers"),
        ("a.obj", obj("v 0 0 0\nv 1 0 0\nv 0 1 0\nf 1 2 9\n"), "a.obj"),
    ],
)
def test_wrong_files_are_refused_in_one_line(tmp_path, name, write, message):
    if write:
        write(tmp_path / name)
    with pytest.raises(InputError, match=message) as caught:
        mesh_files.load(tmp_path / name)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"up": "up"}, "up must be"),
        ({"front": "y+"}, "front must be"),
        ({"up": "+y"}, "square"),
        ({"up": "-y"}, "square"),
        ({"max_triangles": 3}, "at least 12"),
    ],
)
def test_wrong_arguments_are_refused(tmp_path, options, message):
    write_obj(tmp_path / "l.obj")
    with pytest.raises(InputError, match=message):
        mesh_files.load(tmp_path / "l.obj", **options)


def test_without_the_extra_its_name_is_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "fast_simplification", None)
    write_obj(tmp_path / "l.obj")
    with pytest.raises(InputError, match=r"pip install 'catpose\[cad\]'"):
        mesh_files.load(tmp_path / "l.obj", max_triangles=12)


def test_one_broken_model_among_many_is_left_out_and_named(tmp_path, capsys):
    for i in range(20):
        write_obj(tmp_path / f"{i:02}.obj")
    (tmp_path / "07.obj").write_text("f 1 2 3\n")
    loaded = [model.name for model, _ in mesh_files.load_each(mesh_files.find(tmp_path))]
    assert loaded == [f"{i:02}" for i in range(20) if i != 7]
    err = capsys.readouterr().err
    assert err.startswith(f"left out: {tmp_path / '07.obj'}: ")
    assert err.count("\n") == 1
    (tmp_path / "09.obj").write_text("f 1 2 3\n")
    with pytest.raises(InputError, match=r"^2 of 20 models cannot be read.*07\.obj"):
        list(mesh_files.load_each(mesh_files.find(tmp_path)))


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def listed(folder, **options):
    return [(m.category, m.name, m.up, m.front) for m in mesh_files.find(folder, **options)]


def test_the_models_of_pascal3d_are_found(tmp_path):
    touch(tmp_path, "CAD/car/02.off", "CAD/car/01.off", "CAD/boat/01.off", "CAD/car.mat")
    touch(tmp_path, "CAD/car/notes.off", "Images/a.obj")
    names = [("boat", "01"), ("car", "01"), ("car", "02")]
    assert listed(tmp_path) == [(*name, "+z", "-y") for name in names]


def test_the_models_of_shapenet_are_found(tmp_path):
    touch(tmp_path, "02958343/abc/model.obj", "02958343/abc/model.mtl", "taxonomy.json")
    touch(tmp_path, "03001627/def/models/model_normalized.obj", "03001627/readme/a.obj")
    first, second = ("02958343", "abc", "+y", "+x"), ("03001627", "def", "+y", "-z")
    assert listed(tmp_path) == [first, second]
    assert listed(tmp_path / "02958343") == [first]
    assert listed(tmp_path, front="+z")[0] == (*first[:3], "+z")


def test_the_models_of_a_plain_folder_are_found(tmp_path):
    root = tmp_path / "mugs"
    touch(root, "b.STL", "a.obj", "a.mtl", "cups/c.glb", "cups/deep/d.obj")
    touch(root, "._a.obj", ".hidden/e.obj", "cups/._c.glb")
    wanted = [("cups", "c", "+y", "+z"), ("mugs", "a", "+z", "-y"), ("mugs", "b", "+z", "-y")]
    assert listed(root) == wanted
    assert {m[2:] for m in listed(root, up="+x", front="+y")} == {("+x", "+y")}


@pytest.mark.parametrize(
    ("folder", "options", "message"),
    [("none", {}, "no folder"), ("empty", {}, "no model"), ("full", {"up": "+y"}, "square")],
)
def test_wrong_folders_are_refused(tmp_path, folder, options, message):
    (tmp_path / "empty").mkdir()
    touch(tmp_path, "full/a.obj")
    with pytest.raises(InputError, match=message):
        mesh_files.find(tmp_path / folder, **options)


def test_the_sheet_shows_front_left_and_rear(tmp_path):
    write_obj(tmp_path / "l.obj")
    mesh, size = mesh_files.load(tmp_path / "l.obj"), 240
    picture = model_sheet.sheet(mesh, size=size)
    assert picture.shape == (size + 128, 4 * size, 3)
    cells = [picture[1 : size - 1, i * size + 1 : (i + 1) * size - 1] for i in range(4)]
    boxes, reddish = [], []
    for cell in cells:
        drawn = np.abs(cell.astype(int) - cell[0, 0]).sum(axis=2) > 60
        rows, columns = np.flatnonzero(drawn.any(axis=1)), np.flatnonzero(drawn.any(axis=0))
        boxes.append((columns[0] + 1, columns[-1] + 2, rows[0] + 1, rows[-1] + 2))
        reddish.append(bool((cell[..., 0] > 2.0 * cell[..., 2] + 20).sum() > 100))
    assert reddish == [True, False, False, True]
    # The eye is 5 away, at -y, +x and +y in turn.
    x, y, z = mesh.vertices.T
    places = [(x, 5 + y), (y, 5 - x), (-x, 5 - y)]
    focal = (boxes[0][1] - boxes[0][0]) / np.ptp(x / (5 + y))
    for box, (across, depth) in zip(boxes, places, strict=False):
        u, v = size / 2 + focal * across / depth, size / 2 - focal * z / depth
        np.testing.assert_allclose(box, (u.min(), u.max(), v.min(), v.max()), atol=1.5)


@pytest.fixture(scope="module")
def real(data_dir):
    """The three models of the data folder, simplified, by category."""
    if not (data_dir / "meshes").is_dir():
        pytest.skip("CATPOSE_DATA has no meshes")
    found = mesh_files.find(data_dir / "meshes", up="+y", front="+x")
    assert [m.category for m in found] == ["aeroplane", "car", "chair"]
    return {m.category: (m, mesh_files.load(m.path, up=m.up, front=m.front)) for m in found}


def test_real_models_keep_their_outlines_within_the_budget(real):
    behind = np.zeros((112, 112, 3))
    light = numpy_rasterizer.Light(np.array([[0.0, 0.0, 1.0]]), np.array([0.0]), 1.0)
    for model, mesh in real.values():
        whole = mesh_files.load(model.path, up=model.up, front=model.front, max_triangles=10**6)
        assert len(mesh.faces) <= 5000
        assert np.linalg.norm(np.ptp(whole.vertices, axis=0)) == pytest.approx(2, abs=1e-5)
        for azimuth in (0.4, 2.3):
            view = numpy_scene.framed_view(
                whole, numpy_scene.rotation_from_angles(azimuth, 0.4, 0.0), 112
            )
            _, few, _ = numpy_rasterizer.render(mesh, view, light, behind)
            _, many, _ = numpy_rasterizer.render(whole, view, light, behind)
            assert np.abs(few - many).sum() < 0.08 * many.sum()


def test_real_models_look_the_right_way(real):
    def middle(mesh, of):
        return mesh.vertices[mesh.faces[of][:, :3]].mean(axis=(0, 1))

    car = real["car"][1]
    red, green, blue = car.colors.T
    tail, head = (red > 0.5) & (green < 0.25), (red > 0.7) & (green > 0.5) & (blue < 0.35)
    assert middle(car, tail)[1] > 0.6  # tail lights
    assert middle(car, head)[1] < -0.6  # yellow headlights
    for name in ("aeroplane", "chair"):  # fin and backrest: high, and at the rear
        vertices = real[name][1].vertices
        top = vertices[vertices[:, 2] > vertices[:, 2].max() * 0.8]
        assert top[:, 1].min() > 0 if name == "aeroplane" else top[:, 1].mean() > 0.05
