"""No command writes over what is the user's."""

import os

import pytest
from PIL import Image

from catpose import outputs
from catpose.errors import InputError


def picture(path):
    Image.new("RGB", (8, 8)).save(path)
    return path


@pytest.mark.parametrize("link", [os.link, os.symlink, None])
def test_an_input_is_never_an_output(tmp_path, link):
    photo, other = picture(tmp_path / "a.png"), tmp_path / "b.png"
    if link:
        link(photo, other)
    else:
        other = tmp_path / "." / "a.png"
    with pytest.raises(InputError, match="is an input of this command"):
        outputs.check_inputs([tmp_path / "new.png", other], [tmp_path / "absent.png", photo])
    outputs.check_inputs([tmp_path / "new.png"], [photo])


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.tiff"])
def test_a_picture_of_catpose_is_replaced_and_no_other(tmp_path, name):
    path = picture(tmp_path / name)
    before = path.read_bytes()
    with pytest.raises(InputError, match="catpose did not write it; remove it, or name another"):
        outputs.save_picture(Image.new("RGB", (640, 480), "red"), path)
    assert path.read_bytes() == before
    path.unlink()
    for color in ("red", "blue"):
        outputs.save_picture(Image.new("RGB", (640, 480), color), path)
    with Image.open(path) as drawn:
        assert drawn.convert("RGB").getpixel((0, 0))[2] > 200


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    folder = tmp_path / "results"
    outputs.check_folder(folder, ("config.json",), "a run's")
    folder.mkdir()
    (folder / ".gitkeep").touch()
    outputs.check_folder(folder, ("config.json",), "a run's")
    (folder / "thesis.tex").touch()
    with pytest.raises(InputError, match="results has files and is not a run's"):
        outputs.check_folder(folder, ("config.json",), "a run's")
    (folder / "config.json").touch()
    outputs.check_folder(folder, ("config.json",), "a run's")
