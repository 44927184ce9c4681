"""One .mat record, in the shapes that MATLAB, scipy and years of tools give it."""

import math

import numpy as np
import pytest
import scipy.io

from catpose.data.pascal3d import annotations
from catpose.errors import InputError

EMPTY = np.zeros((0, 0))
# The example of facts.md, section 1.
VIEWPOINT = {
    "azimuth_coarse": 50.0,
    "azimuth": 72.5,
    "elevation_coarse": -32.5,
    "elevation": -38.12,
    "distance": 5.787,
    "focal": 1.0,
    "px": 280.26,
    "py": 144.34,
    "theta": -8.66,
    "viewport": 3000.0,
    "error": 30.0,
}
OBJECT = {
    "class": "aeroplane",
    "bbox": np.array([[11.0, 21.5, 110.0, 99.25]]),
    "truncated": 0.0,
    "occluded": 1.0,
    "difficult": 0.0,
    "cad_index": 3.0,
    "viewpoint": VIEWPOINT,
}


def struct_array(*items):
    array = np.zeros((1, len(items)), [(name, object) for name in items[0]])
    for i, item in enumerate(items):
        array[0, i] = tuple(item.values())
    return array


def read(folder, objects, imgsize=((500.0, 375.0, 3.0),)):
    record = {"filename": "a.jpg", "imgsize": np.array(imgsize), "objects": objects}
    path = folder / "a.mat"
    scipy.io.savemat(path, {"record": record})
    return annotations.read(path)


def test_a_plain_object(tmp_path):
    record = read(tmp_path, OBJECT)
    assert record.size == (500, 375)
    assert record.quirks == (("single_object", 0),)
    assert record.objects == (
        annotations.AnnotatedObject(
            number=1,
            category="aeroplane",
            box=(10.0, 20.5, 110.0, 99.25),
            truncated=False,
            occluded=True,
            difficult=False,
            cad_index=3,
            angles_deg=(72.5, -38.12, -8.66),
            coarse_deg=(50.0, -32.5),
            distance=5.787,
            focal=3000.0,
            center=(279.76, 143.84),
        ),
    )


def cell(*items):
    array = np.empty((1, len(items)), object)
    array[0, :] = items
    return array


@pytest.mark.parametrize("pack", [struct_array, cell])
def test_several_objects_keep_their_numbers(tmp_path, pack):
    names = ("person", "car", "bus")
    record = read(tmp_path, pack(*(OBJECT | {"class": name} for name in names)))
    assert [(o.number, o.category) for o in record.objects] == list(enumerate(names, start=1))
    assert record.quirks == ()


def test_what_is_no_object_still_counts(tmp_path):
    record = read(tmp_path, cell(EMPTY, OBJECT))
    assert [o.number for o in record.objects] == [2]


def test_an_array_of_one_struct_is_one_object(tmp_path):
    record = read(tmp_path, struct_array(OBJECT))
    assert len(record.objects) == 1
    assert record.quirks == (("single_object", 0),)


@pytest.mark.parametrize("objects", [EMPTY, np.array([1.0, 2.0]), "none"])
def test_no_objects(tmp_path, objects):
    record = read(tmp_path, objects)
    assert record.objects == ()
    assert record.quirks == (("no_objects", 0),)


def without(mapping, *names):
    return {name: value for name, value in mapping.items() if name not in names}


VIEWPOINTS = {
    "plain": (VIEWPOINT, (72.5, -38.12, -8.66, 5.787), ()),
    "in an array": (struct_array(VIEWPOINT), (72.5, -38.12, -8.66, 5.787), ()),
    "twice": (struct_array(VIEWPOINT, VIEWPOINT), (72.5, -38.12, -8.66, 5.787), ()),
    "no azimuth": (without(VIEWPOINT, "azimuth"), (None, -38.12, -8.66, 5.787), ("no_angles",)),
    "empty azimuth": (
        VIEWPOINT | {"azimuth": EMPTY},
        (None, -38.12, -8.66, 5.787),
        ("no_angles",),
    ),
    "no fine angles": (
        without(VIEWPOINT, "azimuth", "elevation", "distance"),
        (None, None, -8.66, None),
        ("no_angles",),
    ),
    "nan": (VIEWPOINT | {"elevation": np.nan}, (72.5, None, -8.66, 5.787), ("no_angles",)),
    "empty": (EMPTY, (None,) * 4, ("no_viewpoint",)),
    "absent": (None, (None,) * 4, ("no_viewpoint",)),
    "a float array": (np.array([[30.0, 10.0]]), (None,) * 4, ("viewpoint_numbers",)),
    "a number": (12.0, (None,) * 4, ("viewpoint_numbers",)),
}


@pytest.mark.parametrize(("viewpoint", "expected", "quirks"), VIEWPOINTS.values(), ids=VIEWPOINTS)
def test_viewpoints(tmp_path, viewpoint, expected, quirks):
    given = without(OBJECT, "viewpoint") if viewpoint is None else OBJECT | {"viewpoint": viewpoint}
    record = read(tmp_path, struct_array(given, given))
    for item in record.objects:
        found = (*item.angles_deg, item.distance)
        assert [None if math.isnan(x) else x for x in found] == list(expected)
        assert item.box == (10.0, 20.5, 110.0, 99.25)
    assert record.quirks == tuple((name, n) for n in (1, 2) for name in quirks)


@pytest.mark.parametrize(
    ("viewport", "focal", "expected"),
    [(3000.0, 2.0, 6000.0), (EMPTY, 1.0, 2000.0), (1500.0, EMPTY, 1500.0)],
)
def test_focal_length(tmp_path, viewport, focal, expected):
    viewpoint = VIEWPOINT | {"viewport": viewport, "focal": focal}
    read(tmp_path, OBJECT | {"viewpoint": viewpoint})
    record = annotations.read(tmp_path / "a.mat", viewport=2000.0)
    assert record.objects[0].focal == expected


@pytest.mark.parametrize(
    ("field", "value", "expected", "quirks"),
    [
        ("bbox", [[110.0, 99.25, 11.0, 21.5]], (10.0, 20.5, 110.0, 99.25), ["box_swapped"]),
        ("bbox", EMPTY, None, ["no_box"]),
        ("bbox", [[1.0, 2.0, 3.0]], None, ["no_box"]),
        ("bbox", [[1.0, 2.0, np.inf, 4.0]], None, ["no_box"]),
        ("bbox", [[1.0], [2.0], [3.0], [4.0]], (0.0, 1.0, 3.0, 4.0), []),
        ("cad_index", EMPTY, 0, []),
        ("cad_index", 0.0, 0, []),
        ("cad_index", np.uint8(7), 7, []),
        ("truncated", EMPTY, False, ["no_flag"]),
        ("truncated", True, True, []),
        ("difficult", [[1.0]], True, []),
        ("class", EMPTY, "", []),
        ("class", "  car ", "car", []),
    ],
)
def test_fields(tmp_path, field, value, expected, quirks):
    if isinstance(value, list):
        value = np.array(value)
    record = read(tmp_path, OBJECT | {field: value})
    name = {"bbox": "box", "class": "category"}.get(field, field)
    assert getattr(record.objects[0], name) == expected
    assert record.quirks == (("single_object", 0), *((quirk, 1) for quirk in quirks))


@pytest.mark.parametrize("imgsize", [EMPTY, [[500.0]], [[np.nan, 3.0]]])
def test_no_size(tmp_path, imgsize):
    assert read(tmp_path, OBJECT, imgsize).size == (0, 0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bbox": np.array([[1.0, 2.0, 1e300, 4.0]])}, r"a number in its record is 1e\+300$"),
        ({"cad_index": 1e18}, r"a number in its record is 1e\+18$"),
        ({"viewpoint": VIEWPOINT | {"azimuth": 1e300}}, r"a number in its record is 1e\+300$"),
        ({"viewpoint": VIEWPOINT | {"theta": -721.0}}, "object 1: theta is -721 degrees$"),
        (
            {"viewpoint": VIEWPOINT | {"elevation_coarse": 1e4}},
            "object 1: elevation_coarse is 10000",
        ),
    ],
)
def test_numbers_that_can_be_nothing_are_refused_with_the_file(tmp_path, change, message):
    with pytest.raises(InputError, match=r"^.*a\.mat: .*" + message):
        read(tmp_path, OBJECT | change)


def test_files_that_are_no_annotation(tmp_path):
    path = tmp_path / "a.mat"
    with pytest.raises(InputError, match=r"^cannot read .*a\.mat as .*: No such file"):
        annotations.read(path)
    for content in (b"", b"MATLAB 5.0 MAT-file" + bytes(200), b"MATLAB 7.3 MAT-file", b"\xff\xd8"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"^cannot read .*a\.mat as a MATLAB file: "):
            annotations.read(path)
    scipy.io.savemat(path, {"annotation": OBJECT})
    with pytest.raises(InputError, match=r"a\.mat has no `record`: not an annotation of PASCAL"):
        annotations.read(path)
    scipy.io.savemat(path, {"record": 3.0})
    with pytest.raises(InputError, match=r"a\.mat has no `record`"):
        annotations.read(path)


def test_a_file_cut_anywhere_is_told_in_words(tmp_path):
    read(tmp_path, struct_array(OBJECT, OBJECT))
    path = tmp_path / "a.mat"
    content = path.read_bytes()
    for length in range(0, len(content) - 1, 37):
        path.write_bytes(content[:length])
        with pytest.raises(InputError):
            annotations.read(path)
