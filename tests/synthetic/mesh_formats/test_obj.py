"""OBJ and MTL as people and programs write them."""

import numpy as np
import pytest
from PIL import Image

from catpose.errors import InputError
from tests.support.model_files import CORNERS, SIDES, expected, triangles

VERTICES = "".join("v {} {} {}\n".format(*corner) for corner in CORNERS)
FACES = "".join("f {} {} {}\n".format(*side) for side in SIDES + 1)
GREEN = (51, 204, 102)


def write(folder, text, materials=None):
    if materials is not None:
        (folder / "a.mtl").write_text(materials)
        text = "mtllib a.mtl\nusemtl m\n" + text
    (folder / "a.obj").write_text(text)
    return folder / "a.obj"


def seen(folder, text, materials=None):
    return triangles(write(folder, text, materials))


def refused(folder, text, message, materials=None):
    with pytest.raises(InputError, match=message) as caught:
        seen(folder, text, materials)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        VERTICES + FACES,
        "# made by hand\r\n" + (VERTICES + FACES).replace("\n", "\r\n"),
        "\ufeff" + (VERTICES + FACES).replace(" ", "\t"),
        "  " + (VERTICES + FACES).replace("\n", " # here\n  "),
        VERTICES + FACES.replace("f 1 3 2", "f 1 \\\n 3 2"),
        "vn 0 0 1\n" + VERTICES + FACES.replace("f 1 3 2", "fo 1//1 3//1 2//1"),
        FACES + VERTICES,  # numbers from the first vertex on may be ahead
        "o a\ng b c\ns off\nl 1 2\np 1\nvp 1 2\n" + VERTICES + FACES + "f 1 2\n",
        VERTICES.replace("4.0 0.0 0.0", "4.0 0.0 0.0 1.0") + FACES,
    ],
)
def test_the_same_body_in_other_words(tmp_path, text):
    assert seen(tmp_path, text) == expected()


def test_numbers_below_zero_count_from_the_face(tmp_path):
    text = ""
    for side in SIDES:
        text += "".join("v {} {} {}\n".format(*CORNERS[corner]) for corner in side) + "f -3 -2 -1\n"
    assert seen(tmp_path, text) == expected()
    text = "vt 0 0\n" + text.replace("f -3 -2 -1", "vt 1 1\nf -3/-1 -2/-1 -1/-2")
    assert seen(tmp_path, text) == expected()


def test_a_face_that_is_not_convex(tmp_path):
    """An arrowhead: the fan around its first corner would reach beyond it."""
    corners = np.array([[0, 0, 0], [2, -2, 0], [0, 4, 0], [-2, -2, 0]])
    text = "".join("v {} {} {}\n".format(*corner) for corner in corners) + "f 2 3 4 1\n"
    assert seen(tmp_path, text) == expected(corners, [[0, 1, 2], [0, 2, 3]])


def test_materials_with_blanks_in_their_names(tmp_path):
    (tmp_path / "all of it.mtl").write_text("newmtl dark red\nKd 0.5 0 0\n\nnewmtl b\nKd 0.25\n")
    text = f"mtllib all of it.mtl\n{VERTICES}usemtl dark red\n{FACES[:16]}usemtl b\n{FACES[16:]}"
    assert seen(tmp_path, text) == expected(color=[(0.5, 0, 0)] * 2 + [(0.25, 0.25, 0.25)] * 2)
    (tmp_path / "b.mtl").write_text("newmtl b\nKd 0 0 1\n")
    (tmp_path / "c.mtl").write_text("newmtl dark red\nKd 1 0 0\n")
    text = text.replace("all of it.mtl", "b.mtl c.mtl")
    assert seen(tmp_path, text) == expected(color=[(1, 0, 0)] * 2 + [(0, 0, 1)] * 2)


@pytest.mark.parametrize(
    ("row", "kd", "color"),
    [
        ("1 0.5 0", None, (1, 0.5, 0)),
        ("1 0.5 0", "0.5 0.5 1", (0.5, 0.25, 0)),  # multiplied
        ("255 51 0", None, (1, 0.2, 0)),
        ("1 0.5 0 1", None, (1, 0.5, 0)),
    ],
)
def test_colors_behind_the_vertices(tmp_path, row, kd, color):
    text = VERTICES.replace("\n", f" {row}\n") + FACES
    materials = kd and f"newmtl m\nKd {kd}\n"
    assert seen(tmp_path, text, materials) == expected(color=color)


def test_some_vertices_without_a_color(tmp_path):
    text = VERTICES.replace("0.0 0.0 1.0", "0.0 0.0 1.0 1 0 0") + FACES
    assert set(seen(tmp_path, text).values()) == {(0.6, 0.6, 0.6)}


PLACED = "vt 0.1 0.1\n" + VERTICES + FACES.replace(" 1", " 1/1").replace(" 2", " 2/1").replace(
    " 3", " 3/1").replace(" 4", " 4/1")  # fmt: skip


def picture(path, color=GREEN):
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(np.full((8, 8, 3), color, np.uint8)).save(path)


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("wood.png", "wood.png"),
        ("wood.png", ".\\wood.png"),
        ("maps/wood.png", "maps\\wood.png"),
        ("old wood.png", "old wood.png"),
        ("old wood.png", "old%20wood.png"),
        ("old%20wood.png", "old%20wood.png"),
        ("old wood.png", '"old wood.png"'),
        ("wood.png", "C:\\Users\\me\\maps\\wood.png"),
        ("wood.png", "/home/me/wood.png"),
        ("Wood.PNG", "wood.png"),
        ("2.png", "-clamp on -blendu off -bm 0.5 2.png"),
        ("wood.png", "-s 1 1 1 -o 0 0 0 wood.png"),
        ("old wood.png", "-o 0.5 -s 2 2 old wood.png"),
        ("-wood.png", "-wood.png"),
    ],
)
def test_paths_of_textures(tmp_path, name, written):
    picture(tmp_path / name)
    found = seen(tmp_path, PLACED, f"newmtl m\nmap_Kd {written}\n")
    assert found == expected(color=np.array(GREEN) / 255)


@pytest.mark.parametrize("written", ["wood.png", "../maps/wood.png", "maps/wood.png"])
def test_paths_of_textures_begin_at_their_mtl_file(tmp_path, written):
    picture(tmp_path / "maps" / "wood.png")
    (tmp_path / "maps" / "b.mtl").write_text(f"newmtl m\nmap_Kd {written}\n")
    found = seen(tmp_path, "mtllib maps/b.mtl\nusemtl m\n" + PLACED)
    assert found == expected(color=np.array(GREEN) / 255)


def test_the_pictures_of_shapenet_lie_beside_the_folder_models(tmp_path):
    (tmp_path / "models").mkdir()
    picture(tmp_path / "images" / "a.png")
    found = seen(tmp_path / "models", PLACED, "newmtl m\nmap_Kd ../images/a.png\n")
    assert found == expected(color=np.array(GREEN) / 255)


@pytest.mark.parametrize("written", ["../wood.png", "..\\wood.png", "a/../../wood.png"])
def test_nothing_outside_the_folder_is_read(tmp_path, written):
    picture(tmp_path / "wood.png")
    (tmp_path / "in").mkdir()
    refused(tmp_path / "in", PLACED, "not in its folder", f"newmtl m\nmap_Kd {written}\n")
    refused(tmp_path / "in", "mtllib ../a.mtl\n" + VERTICES + FACES, "not in its folder")


@pytest.mark.parametrize(
    ("options", "color"),
    [
        ("", (1, 0, 0)),
        ("-o 0.5 0 0", (0, 0, 1)),
        ("-o 0 0.5", (0, 1, 0)),  # v points upwards, the first row is on top
        ("-s 7 1 1", (0, 0, 1)),
        ("-s 11 1 1", (1, 0, 0)),
        ("-s 11 1 1 -clamp on", (0, 0, 1)),
        ("-mm 0.1 0.5", (0.6, 0.1, 0.1)),
    ],
)
def test_options_of_textures(tmp_path, options, color):
    """Red and blue below, green above; the faces' place is (0.1, 0.1)."""
    pixels = np.zeros((8, 8, 3), np.uint8)
    pixels[:4, :, 1], pixels[4:, :4, 0], pixels[4:, 4:, 2] = 255, 255, 255
    Image.fromarray(pixels).save(tmp_path / "t.png")
    assert seen(tmp_path, PLACED, f"newmtl m\nmap_Kd {options} t.png\n") == expected(color=color)


@pytest.mark.parametrize(
    ("kd", "factor"), [("", 1), ("Kd 0.5 1 0.2", (0.5, 1, 0.2)), ("Kd 0 0 0", 1)]
)
def test_kd_multiplies_the_texture_unless_it_is_black(tmp_path, kd, factor):
    picture(tmp_path / "t.png")
    found = seen(tmp_path, PLACED, f"newmtl m\n{kd}\nmap_Kd t.png\n")
    assert found == expected(color=np.array(GREEN) / 255 * factor)


@pytest.mark.parametrize(
    ("text", "materials", "line"),
    [
        ("mtllib no.mtl\n" + VERTICES + FACES, None, "without its materials: there is no no.mtl"),
        ("usemtl x\n" + VERTICES + FACES, None, "without its material x, which is in no .mtl"),
        (PLACED, "newmtl m\nmap_Kd no.png\n", "without its texture no.png: it is not there"),
    ],
)
def test_what_is_missing_is_told_in_a_line(tmp_path, capsys, text, materials, line):
    assert seen(tmp_path, text, materials) == expected()
    err = capsys.readouterr().err
    assert f"{tmp_path / 'a.obj'}: {line}" in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("v 0 0\nv 1 0\nv 0 1\nf 1 2 3\n", "line 1: a vertex has 3 numbers"),
        ("v 0 0 x\n", "line 1: could not convert"),
        (VERTICES + "f 1 2 0\n", "line 5: there is no vertex 0"),
        (VERTICES + "f 1 2 -9\n", "line 5: there is no vertex -9"),
        (VERTICES + "f 1 2 9\n", "a face names a vertex that is not there"),
        (VERTICES + "f 1/1 2/1 3/1\n", "texture coordinate that is not there"),
        (VERTICES + "f a b c\n", "line 5: invalid literal"),
        (VERTICES + "cstype bezier\ndeg 3 3\nsurf 0 1 0 1 1 2 3 4\n", "line 7: free-form"),
        (VERTICES + "f 1 2 " + "9" * 5000, "line 5"),
        ("v 1e400 0 0\n" + VERTICES + "f 1 2 3\n", "three finite numbers|overflow"),
        (VERTICES, "has no faces"),
        ("\0" * 100, "has no faces"),
    ],
)
def test_damage_is_told_with_its_line(tmp_path, text, message):
    refused(tmp_path, text, message)


def test_a_damaged_material_is_told_with_its_line(tmp_path):
    refused(tmp_path, VERTICES + FACES, r"a\.mtl, line 2: Kd is not a color: r", "newmtl m\nKd r\n")
