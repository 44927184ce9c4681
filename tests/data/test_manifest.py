"""A user's own CSV: what it means, and one line for each thing that is wrong with it."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from catpose.data import manifest
from catpose.errors import InputError

HEADER = "file,category,split,azimuth_deg,elevation_deg,theta_deg"
ROW = "a.jpg,car,train,30,10,5"


def write(folder, *lines, encoding="utf-8", images=("a.jpg", "b.jpg"), newline="\n"):
    (folder / "images").mkdir(exist_ok=True)
    for name in images:
        (folder / "images" / name).write_text(name)
    (folder / "manifest.csv").write_bytes(newline.join([*lines, ""]).encode(encoding))
    return folder


def from_angles(azimuth, elevation, theta):
    """The PASCAL3D+ formula, in degrees, by scipy: intrinsic rotations multiply to the right."""
    return Rotation.from_euler("ZXZ", [theta, elevation - 90, -azimuth], degrees=True).as_matrix()


def test_angles(tmp_path):
    angles = [(0, 0, 0), (324.7, 2.7, -1.8), (90, 89, 179), (-30.25, -90, 0), (725, 45, -180)]
    rows = [f"a.jpg,car,train,{a},{e},{t}" for a, e, t in angles]
    read = manifest.read(write(tmp_path, HEADER, *rows))
    np.testing.assert_allclose(read.rotation, [from_angles(*a) for a in angles], atol=1e-6)
    assert read.rotation.dtype == np.float32
    assert np.isnan(read.box).all()


def test_quaternions_of_any_length_and_sign(tmp_path):
    rotations = Rotation.random(5, random_state=0)
    rows = [
        "a.jpg,car,train," + ",".join(f"{scale * q:.9g}" for q in (w, x, y, z))
        for (x, y, z, w), scale in zip(rotations.as_quat(), (1, -1, 2, 0.1, 1e3), strict=True)
    ]
    read = manifest.read(write(tmp_path, "file,category,split,qw,qx,qy,qz", *rows))
    np.testing.assert_allclose(read.rotation, rotations.as_matrix(), atol=1e-6)


def test_a_frame_per_row(tmp_path):
    viewpoint = (30.0, 10.0, 5.0)
    rows = [f"{ROW},{frame}" for frame in ("camera", "upright", "paper", "")]
    read = manifest.read(write(tmp_path, HEADER + ",frame", *rows))
    # The angles say the same in every frame.
    np.testing.assert_allclose(read.rotation, [from_angles(*viewpoint)] * 4, atol=1e-6)

    camera = from_angles(*viewpoint)
    upright = Rotation.from_euler("X", 90, degrees=True).as_matrix() @ camera
    paper = Rotation.from_euler("ZXZ", [5, 10, 30], degrees=True).as_matrix()
    rows = []
    for frame, matrix in (("camera", camera), ("upright", upright), ("paper", paper)):
        x, y, z, w = Rotation.from_matrix(matrix).as_quat()
        rows.append(f"a.jpg,car,train,{w},{x},{y},{z},{frame}")
    read = manifest.read(write(tmp_path, "file,category,split,qw,qx,qy,qz,frame", *rows))
    np.testing.assert_allclose(read.rotation, [camera] * 3, atol=1e-5)


def test_rows_keep_their_order_and_meaning(tmp_path):
    lines = (
        HEADER + ",x0,y0,x1,y1",
        "b.jpg,van,val,0,0,0,1.5,2,30,40.25",
        "a.jpg,car,test,0,0,0,,,,",
        "b.jpg,bus,train,0,0,0,-5,0,10,10",
        "a.jpg,van,validation,0,0,0",
    )
    read = manifest.read(write(tmp_path, *lines))
    assert read.id.tolist() == ["b.jpg#1", "a.jpg#1", "b.jpg#2", "a.jpg#2"]
    assert [read.read_fn(i) for i in range(4)] == [b"b.jpg", b"a.jpg", b"b.jpg", b"a.jpg"]
    assert read.split.tolist() == ["validation", "test", "train", "validation"]
    assert read.categories == ("bus", "car", "van")
    assert read.category.tolist() == [2, 1, 0, 2]
    nan = np.nan
    expected = [[1.5, 2, 30, 40.25], [nan] * 4, [-5, 0, 10, 10], [nan] * 4]
    np.testing.assert_array_equal(read.box, expected)

    given = manifest.read(tmp_path, ("van", "car", "bus", "train"))
    assert given.categories == ("van", "car", "bus", "train")
    assert given.category.tolist() == [0, 1, 2, 0]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_what_editors_and_spreadsheets_write(tmp_path, encoding, newline):
    lines = (
        "note, file , category,split,azimuth_deg,elevation_deg,theta_deg,,year",
        'ein "Käfer",a.jpg, car ,train, 30 ,10,5,,1960',
        "",
        ",,,,,,,,",
        '"two, quoted\nlines",b.jpg,car,val,30.0,1e1,5',
        "empty cells,a.jpg,car,train,30,10,5,x,1961,,  ,",
    )
    read = manifest.read(write(tmp_path, *lines, encoding=encoding, newline=newline))
    assert read.categories == ("car",)
    assert read.split.tolist() == ["train", "validation", "train"]
    np.testing.assert_allclose(read.rotation, [from_angles(30, 10, 5)] * 3, atol=1e-6)


def test_images_may_lie_beside_the_manifest_or_below(tmp_path):
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "a.jpg", tmp_path / "sub" / "b.jpg"):
        path.write_text(path.name)
    (tmp_path / "link.jpg").symlink_to(__file__)  # a user's own link leads where it leads
    rows = [f"{file},car,train,0,0,0" for file in ("a.jpg", "sub/b.jpg", "sub/../link.jpg")]
    (tmp_path / "manifest.csv").write_text("\n".join([HEADER, *rows]))
    read = manifest.read(tmp_path)
    assert read.id.tolist() == ["a.jpg", "sub/b.jpg", "sub/../link.jpg"]
    assert [read.read_fn(i) for i in range(2)] == [b"a.jpg", b"b.jpg"]
    assert b"a user's own link" in read.read_fn(2)


def test_no_rows_are_no_error_of_the_manifest(tmp_path):
    read = manifest.read(write(tmp_path, HEADER), ("car",))
    fields = (read.id, read.category, read.split, read.rotation, read.box)
    assert [len(field) for field in fields] == [0] * 5
    assert read.rotation.shape == (0, 3, 3)


WITH_BOX = HEADER + ",x0,y0,x1,y1"
WRONG = {
    "a comma too many": (
        (HEADER, "a.jpg,car,train,30,5,10,5"),
        "line 2: 7 values for 6 columns; put",
    ),
    "no file column": (
        (HEADER.replace("file", "image"), ROW),
        "no column file; there are image, ca",
    ),
    "no columns": (("car",), "no column file, category, split; there are car$"),
    "semicolons": (
        (HEADER.replace(",", ";"), ROW),
        "line 1: the columns are divided by ';', not by",
    ),
    "no pose": (("file,category,split,qw,qx,qy", ROW), r"line 2: qz is missing; there are file, "),
    "no angles": (
        ("file,category,split", "a.jpg,car,test"),
        "line 2: no pose; there are file, category, split, give rotat",
    ),
    "no image": ((HEADER, ROW, "c.jpg,car,train,0,0,0"), r"line 3: no image .*images.c\.jpg$"),
    "no file name": ((HEADER, ",car,train,0,0,0"), "line 2: no image; file is empty$"),
    "a folder": ((HEADER, ".,car,train,0,0,0"), "line 2: cannot read .* it is a folder$"),
    "a long name": (
        (HEADER, "a" * 300 + ".png,car,train,0,0,0"),
        "line 2: '.*too long for the name",
    ),
    "outside": ((HEADER, "../../x.png,car,train,0,0,0"), r"line 2: '../../x.png' leads outside of"),
    "anywhere": ((HEADER, "/etc/passwd,car,train,0,0,0"), "line 2: '/etc/passwd' leads outside of"),
    "a huge angle": (
        (HEADER, "a.jpg,car,train,1e300,0,0"),
        "line 2: azimuth_deg is '1e300', not a",
    ),
    "45 digits": ((HEADER, f"a.jpg,car,train,0,0,{'9' * 45}"), "line 2: theta_deg is '9{40}', not"),
    "category": ((HEADER, "a.jpg,cat,train,0,0,0"), "line 2: unknown category 'cat'; known: car, "),
    "split": ((HEADER, "a.jpg,car,dev,0,0,0"), "line 2: unknown split 'dev'; known: train, val"),
    "short row": ((HEADER, "a.jpg,car"), "line 2: unknown split ''; known: "),
    "shorter row": ((HEADER, "a.jpg"), "line 2: unknown category ''; known: "),
    "frame": ((HEADER + ",frame", ROW + ",world"), "line 2: unknown frame 'world'; known: camera"),
    "not a number": ((HEADER, "a.jpg,car,train,0,x,0"), "line 2: elevation_deg is 'x', not a fin"),
    "nan": ((HEADER, ROW, "", "a.jpg,car,train,nan,0,0"), "line 4: azimuth_deg is 'nan', not a"),
    "infinite": ((HEADER, "a.jpg,car,train,0,0,-inf"), "line 2: theta_deg is '-inf', not a finite"),
    "empty": (
        (HEADER, "a.jpg,car,train,,0,0"),
        "line 2: azimuth_deg is missing; there are file, c",
    ),
    "quaternion": (
        ("file,category,split,qw,qx,qy,qz", "a.jpg,car,train,1,0,0,0", "a.jpg,car,train,0,0,0,0"),
        "line 3: a quaternion of length zero$",
    ),
    "half a box": ((WITH_BOX, ROW + ",1,2,3,"), "line 2: y1 is missing; there are file, ca"),
    "box of nan": ((WITH_BOX, ROW + ",nan,2,3,4"), "line 2: x0 is 'nan', not a finite number"),
    "turned box": ((WITH_BOX, ROW + ",30,2,3,40"), "line 2: the box 30,2,3,40 has no area"),
    "shares": ((WITH_BOX, ROW + ",0.1,0.2,0.8,0.9"), "has no area; .* are in pixels$"),
}


@pytest.mark.parametrize(("lines", "message"), WRONG.values(), ids=WRONG.keys())
def test_wrong_manifests_are_told_in_one_line(tmp_path, lines, message):
    with pytest.raises(InputError, match=message) as caught:
        manifest.read(write(tmp_path, *lines), ("car", "van"))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(str(tmp_path / "manifest.csv"))


@pytest.mark.parametrize("categories", [(), ("car",)])
def test_rows_without_category_are_no_category(tmp_path, categories):
    for row in ("a.jpg", "a.jpg,,train,0,0,0"):
        with pytest.raises(InputError, match="line 3: unknown category ''; known: car$"):
            manifest.read(write(tmp_path, HEADER, ROW, row), categories)


def test_no_manifest_or_none_that_can_be_read(tmp_path):
    with pytest.raises(InputError, match="no manifest at .*--config.data.root"):
        manifest.read(tmp_path)
    write(tmp_path, HEADER, "a.jpg,Käfer,train,0,0,0", encoding="latin-1")
    with pytest.raises(
        InputError, match=r"manifest\.csv, line 2: not UTF-8; save the file as UTF-8$"
    ) as caught:
        manifest.read(tmp_path)
    assert "\n" not in str(caught.value)
    write(tmp_path, HEADER, "a" * 200_000)  # longer than any value that CSV may have
    with pytest.raises(InputError, match="line 2: not CSV: field larger"):
        manifest.read(tmp_path)
