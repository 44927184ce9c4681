"""A page is judged by html.parser's reading of it, and its pictures by what they decode to."""

import base64
import html.parser
import io

import matplotlib.figure
import numpy as np
import pytest
from PIL import Image

from catpose.visualize import html_page

VOID = {"meta", "img", "br", "hr"}


class Reader(html.parser.HTMLParser):
    """Elements with the tags around them, and their text; refuses tags that do not match."""

    def __init__(self, page):
        super().__init__()
        self.open, self.found, self.text = [], [], {}
        self.feed(page)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs), tuple(self.open)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and data.strip():
            self.text.setdefault(self.open[-1], []).append(data.strip())

    def all(self, tag):
        return [(attrs, around) for name, attrs, around in self.found if name == tag]


def check(page):
    """What every report must be: whole, captioned, and asking for nothing."""
    read = Reader(page)
    assert page.startswith("<!DOCTYPE html>")
    assert not read.all("script")
    assert not read.all("link")
    for tag, attrs, _ in read.found:
        for name, value in attrs.items():
            assert not name.startswith("on"), f"{tag} {name}"
            if name in ("src", "srcset", "href", "data", "action", "poster"):
                assert value.startswith(("data:image/", "#")), f"{tag} {name}={value[:60]}"
    assert "@import" not in page
    assert "url(" not in page
    for attrs, around in read.all("img"):
        assert "figure" in around
        assert attrs["alt"]
        assert base64.b64decode(attrs["src"].split("base64,")[1], validate=True)
    captions = [around for _, around in read.all("figcaption")]
    assert len(captions) == len(read.all("figure")) == len(read.all("img"))
    assert all(around[-1] == "figure" for around in captions)
    return read


TEXT = """# <b>mine</b> & yours

first line

### Loss

![Loss](figures/loss.png)

The lower the better: 1 < 2.

### Photos

![Photos](figures/photos.png)

Arrows.

| category | pose-err |
|:---------|---------:|
| a\\|b<script>alert(1)</script> | 1.5 |

- a note
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "figures").mkdir()
    figure = matplotlib.figure.Figure(figsize=(2, 1))
    figure.subplots().plot([0, 1])
    for kind in ("png", "svg"):
        figure.savefig(tmp_path / "figures" / f"loss.{kind}")
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "figures" / "photos.png")
    # Of a sheet of photos, the SVG is large.
    (tmp_path / "figures" / "photos.svg").write_bytes(bytes(html_page._LARGEST + 1))
    return tmp_path


def test_a_page_is_one_file_with_its_pictures_and_captions_inside(folder):
    read = check(html_page.page(TEXT, folder))
    assert read.text["title"] == ["<b>mine</b> & yours"]
    assert read.text["figcaption"] == ["The lower the better: 1 < 2.", "Arrows."]
    (loss, _), (photos, _) = read.all("img")
    assert loss["src"].startswith("data:image/svg+xml;base64,")
    assert photos["src"].startswith("data:image/jpeg;base64,")
    with Image.open(io.BytesIO(base64.b64decode(photos["src"].split(",")[1]))) as picture:
        assert picture.size == (400, 300)
    assert read.text["td"] == ["a|b<script>alert(1)</script>", "1.5"]
    assert read.text["li"] == ["a note"]


def test_without_the_svg_the_png_is_there(folder):
    (folder / "figures" / "loss.svg").unlink()
    read = check(html_page.page(TEXT, folder))
    assert all(attrs["src"].startswith("data:image/jpeg") for attrs, _ in read.all("img"))


def test_a_missing_picture_is_an_error(folder):
    (folder / "figures" / "loss.svg").unlink()
    (folder / "figures" / "loss.png").unlink()
    with pytest.raises(FileNotFoundError):
        html_page.page(TEXT, folder)


@pytest.mark.parametrize("wrong", ['<img src="http://a.b/c.png">', "<script></script>", "<figure>"])
def test_the_check_finds_what_it_looks_for(folder, wrong):
    page = html_page.page(TEXT, folder)
    with pytest.raises((AssertionError, KeyError)):
        check(page.replace("<h3>Photos", f"{wrong}<h3>Photos"))
