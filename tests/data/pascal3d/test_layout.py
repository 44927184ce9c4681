"""The lists of a release, as they are written, and names in them that lead elsewhere."""

import pytest

from catpose.data.pascal3d import layout
from catpose.errors import InputError

TRAIN = "Image_sets/car_imagenet_train.txt"
VOC = f"{layout.VOC_LISTS}/car_val.txt"


def read(root, dataset="pascal3d", **lists):
    for name, content in ({"train": "n1_1\n", "voc": "2008_1 1\n"} | lists).items():
        path = root / {"train": TRAIN, "voc": VOC, "classes": "Image_sets/classes.txt"}[name]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode("utf-8"))
    listed = layout.read_lists(root, dataset, layout.variant(dataset, "paper"))
    return [entry.id for entry in listed.entries]


def test_lists_as_editors_write_them(tmp_path):
    train = "\ufeffn1_1\r\n\r\n n1_2 \rn1_\u2028\n"
    # A blank of any kind ends the id; a line ends at its end alone.
    assert read(tmp_path, train=train) == ["n1_1", "n1_2", "n1_", "2008_1"]
    assert read(tmp_path, voc="2008_1  1\n2008_2 -1\n2008_3  0\n2008_4 1") == [
        "n1_1", "2008_1", "2008_4"
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        (
            {"train": "n1_1\n../../../../etc/passwd"},
            r"train\.txt, line 2: '\.\./.* leads outside of",
        ),
        ({"train": "/etc/passwd"}, r"train\.txt, line 1: '/etc/passwd' leads outside of"),
        ({"voc": "../x -1"}, r"car_val\.txt, line 1: '\.\./x' leads outside of"),
        ({"train": "a" * 300}, r"train\.txt, line 1: 'aaa.*\.\.\.' is too long for the name"),
        ({"voc": "2008_1 1\n\n2008_2"}, r"car_val\.txt, line 3: not an image's id and a flag"),
        ({"voc": "2008_1 2"}, r"car_val\.txt, line 1: not an image's id and a flag, -1, 0 or 1"),
        ({"train": "n1_\0"}, r"train\.txt, line 1: not text, or not UTF-8"),
    ],
)
def test_names_that_lead_elsewhere(tmp_path, lists, message):
    with pytest.raises(InputError, match=message) as caught:
        read(tmp_path, **lists)
    assert "\n" not in str(caught.value)


def test_categories_of_objectnet3d_are_folders_inside(tmp_path):
    with pytest.raises(InputError, match=r"classes\.txt, line 2: '\.\./x' leads outside of"):
        read(tmp_path, "objectnet3d", classes="car\n../x")
