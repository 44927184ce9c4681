"""What pages ask their servers: whatever is sent, the answer is one of words."""

import contextlib
import json

import pytest
from PIL import Image

from catpose.errors import InputError
from catpose.pages import demo_page, label_page, models, proposals
from tests.support import encoded

DEEP = "[" * 100_000
BODIES = [
    b"",
    b"null",
    b"[]",
    b"{",
    b"\xff\xfe",
    b'{"id": 1, "id": 2}',
    DEEP.encode(),
    b'{"file": "../a.png"}',
    b'{"file": "/etc/passwd"}',
    b'{"file": 5, "id": {}}',
    b'{"file": "b.png"}',
    b'{"file": "a.png", "objects": [1], "revision": []}',
    b'{"file": "a.png", "objects": {}, "revision": 0}',
    b'{"file": "a.png", "rotation": [1, 0, 0, 0, 1, 0, 0, 0, "x"], "category": "car"}',
    b'{"file": "a.png", "rotation": [1, 0, 0, 0, 1, 0, 0, 0, null], "category": "car"}',
    b'{"file": "a.png", "rotation": [2, 0, 0, 0, 1, 0, 0, 0, 1], "category": "car"}',
    b'{"file": "a.png", "rotation": [1e999, 0, 0, 0, 1, 0, 0, 0, 1], "category": "car"}',
    b'{"file": "a.png", "rotation": [1, 0, 0, 0, 1, 0, 0, 0, 1], "category": []}',
    *(
        json.dumps({"file": "a.png", "id": "PHOTO", "box": box}).encode()
        for box in ("x", {}, [1], [1, 2, 3, None], [5, 5, 5, 5], [9, 9, 2, 2], [1e9, 0, 2e9, 5])
    ),
]


@pytest.fixture(scope="module")
def network():
    return proposals.Proposer("mini")


@pytest.fixture(scope="module")
def photo():
    return encoded.encode(encoded.noise(30, 20), "PNG")


@pytest.fixture(scope="module")
def label(tmp_path_factory, network, photo):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "a.png").write_bytes(photo)
    (folder.parent / "a.png").write_bytes(photo)
    return label_page.site(label_page.session(folder, network)), folder


@pytest.fixture(scope="module")
def demo(network, photo):
    photos = demo_page.Photos()
    name = photos.add(photo)
    return demo_page.site(demo_page.Session(network, models.available(), photos)), name


@pytest.mark.parametrize("name", ["objects", "propose", "snap", "use"])
def test_labels_answer_whatever_is_asked_in_words(label, name):
    site, folder = label
    before = sorted(folder.iterdir())
    for body in BODIES:
        with contextlib.suppress(InputError):  # and nothing else
            site.post[name]({}, body)
            assert name == "propose"
            assert b"a.png" in body
            assert b"box" not in body
    assert sorted(folder.iterdir()) == before


def test_the_demo_answers_whatever_is_asked_in_words(demo):
    site, photo = demo
    for body in BODIES:
        with pytest.raises(InputError):
            print(body[:100], site.post["predict"]({}, body.replace(b"PHOTO", photo.encode())))


@pytest.mark.parametrize("file", ["../a.png", "/etc/passwd", "", "a.png/../a.png", "manifest.csv"])
def test_photos_of_the_folder_alone_are_shown(label, file):
    site, _ = label
    assert site.get["photo"]({"file": "a.png"}, b"").kind == "image/jpeg"
    with pytest.raises(InputError, match="there is no photo"):
        site.get["photo"]({"file": file}, b"")


@pytest.mark.parametrize("name", ["../a", "car/../car", "/etc/passwd", ""])
def test_models_are_asked_for_by_name(label, name):
    site, _ = label
    with pytest.raises(InputError, match="there is no model"):
        site.get["model"]({"name": name}, b"")


def test_what_is_uploaded_must_be_a_photo(demo):
    site, _ = demo
    for content in (b"", b"<svg onload='alert(1)'/>", bytes(1000), b"\x89PNG\r\n\x1a\n"):
        with pytest.raises(InputError, match="this file"):
            site.post["photos"]({}, content)


def test_a_photo_of_someone_else_has_a_name_that_nobody_can_guess():
    photos = demo_page.Photos()
    content = encoded.encode(encoded.noise(8, 8), "PNG")
    names = {photos.add(content) for _ in range(70)}
    assert len(names) == 70
    assert min(map(len, names)) >= 16
    kept = []
    for name in names:
        with contextlib.suppress(InputError):  # "this photo is no longer here"
            kept.append(photos.find(name))
    assert len(kept) == 64


def test_large_photos_are_kept_small():
    photos = demo_page.Photos()
    content = encoded.encode(Image.new("RGB", (3000, 1500)), "PNG")
    found = photos.find(photos.add(content))
    assert found.size == (3000, 1500)
    assert max(found.image.size) == 2000
