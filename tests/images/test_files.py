"""Which files of a folder are images, and what is read as one."""

import os

import pytest

from catpose.errors import InputError
from catpose.images import files


def test_images_of_a_folder(tmp_path):
    (tmp_path / "deep").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "folder.png").mkdir()
    names = ("b.JPG", "a.png", "c.tiff", "d.HEIC", "deep/e.pgm")
    others = ("._a.png", ".hidden/f.png", "notes.txt", "deep/._e.pgm", "g")
    for name in names + others:
        (tmp_path / name).touch()
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "broken_link.jpg").symlink_to(tmp_path / "absent.jpg")
    (tmp_path / "link.jpg").symlink_to(tmp_path / "a.png")
    assert [path.name for path in files.find(tmp_path)] == [
        "a.png", "b.JPG", "c.tiff", "d.HEIC", "link.jpg",
    ]  # fmt: skip
    assert files.find(tmp_path, recursive=True) == sorted(
        tmp_path / name for name in (*names, "link.jpg")
    )
    assert files.find(tmp_path / "absent") == []
    # The folder itself may be hidden.
    assert [path.name for path in files.find(tmp_path / ".hidden", recursive=True)] == ["f.png"]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("absent.png", "^no image .*/absent.png$"),
        ("a" * 300, "^no image "),
        ("nul\0.png", "^no image "),
        ("folder", "^cannot read .*/folder as an image: it is a folder$"),
        ("pipe", "^cannot read .*/pipe as an image: it is no regular file$"),
        ("/dev/zero", "^cannot read /dev/zero as an image: it is no regular file$"),
    ],
)
def test_what_is_no_file_of_an_image(tmp_path, name, message):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match=message):
        files.read_bytes(tmp_path / name)


def test_a_file_of_more_than_memory(tmp_path):
    with (tmp_path / "sparse.jpg").open("wb") as file:
        file.truncate(5 << 30)
    with pytest.raises(InputError, match=r"sparse.jpg as an image: it has 5.0 GiB, and 1 is read"):
        files.read_bytes(tmp_path / "sparse.jpg")


def test_a_file_that_cannot_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"content")
    assert files.read_bytes(str(tmp_path / "a.png")) == b"content"

    def refuse(path, mode):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(files, "open", refuse, raising=False)
    with pytest.raises(InputError, match=r"a\.png as an image: Permission denied$"):
        files.read_bytes(tmp_path / "a.png")
