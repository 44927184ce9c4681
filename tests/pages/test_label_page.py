"""Labeling in a real browser: by mouse, by keys, by touch, through a kill and a second window."""

import contextlib
import csv
import io
import signal

import numpy as np
import pytest
from PIL import Image

from catpose.data import manifest
from catpose.pages import label_page, proposals
from tests.support import browser, pages
from tests.support.model_files import tetrahedron
from tests.support.pages import angle, drag, opened, pose, saved, set_category, set_pose, touch

ANGLES = {
    "a.jpg": (40, 15, 0),
    "b.jpg": (200, 10, 5),
    "c.jpg": (300, 20, -8),
    "d.jpg": (90, 5, 0),
    "e.jpg": (150, 30, 0),
}


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, angles in ANGLES.items():
        pages.draw(angles).save(folder / name, quality=92)
    (folder / "zz_broken.jpg").write_bytes(b"half of a photo")
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def served_here(photos):
    own = label_page.session(photos, proposals.Proposer(""))
    with pages.serving(label_page.site(own)) as address:
        yield address


@contextlib.contextmanager
def served(*words, log):
    command = browser.Command(*words, log=log)
    try:
        yield command
    finally:
        if command.process.poll() is None:
            command.stop()


def rows(folder):
    with (folder / "manifest.csv").open() as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def test_labeling(chromium, photos, tmp_path):
    """The whole way, in one browser, as its parts follow from each other."""
    own = tmp_path / "own"
    (own / "mug").mkdir(parents=True)
    (own / "mug" / "tetra.glb").write_bytes(tetrahedron().glb())
    words = ("label", str(photos), "--workdir=", f"--models={own}")
    with served(*words, log=tmp_path / "first.log") as command:
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        watched = browser.Watched(context, command.address)
        page = opened(watched, "a.jpg")

        # By mouse: the category, a drag, a tilt, the box; a move on the page alone is no change.
        set_category(page, "car")
        before = pose(watched)
        drag(page, (0.5, 0.5), (60, 0))
        after = pose(watched)
        assert after[0] == pytest.approx(
            before[0] - np.degrees(60 / (0.5 * box_side(page))), abs=0.3
        )
        assert after[1:] == before[1:]
        drag(page, (0.75, 0.5), (0, -60), keys=["Shift"])
        assert pose(watched)[2] > 5
        drag(page, (0.5, 0.5), (40, 20), button="right")
        drag(page, (0.0, 0.5), (50, 0))  # the left edge
        set_pose(page, ANGLES["a.jpg"])
        page.locator("#done").click()
        opened(watched, "b.jpg")
        saved(page)
        row = rows(photos)["a.jpg"]
        assert [float(row[f"{name}_deg"]) for name in ("azimuth", "elevation", "theta")] == [
            40,
            15,
            0,
        ]
        assert 5 < float(row["x0"]) < 60
        assert float(row["x1"]) == pages.SIZE[0]

        # By keys alone.
        page.get_by_label("Category").focus()
        page.keyboard.type("car")
        page.keyboard.press("Enter")
        set_to = (200, 10, 5)
        press_to(watched, set_to)
        assert pose(watched) == pytest.approx(set_to)
        page.keyboard.press("m")
        assert pose(watched) == pytest.approx([160, 10, -5])
        page.keyboard.press("f")
        assert pose(watched) == pytest.approx([340, 10, -5])
        page.keyboard.press("z")
        page.keyboard.press("z")
        assert pose(watched) == pytest.approx(set_to)
        page.keyboard.press("Enter")
        opened(watched, "c.jpg")
        saved(page)

        # A kill in the middle: what was turned and not yet done is there again.
        set_category(page, "car")
        set_pose(page, (300, 20, -8))
        saved(page)
        command.stop(signal.SIGKILL)
        page.keyboard.press("f")
        page.get_by_text("The server does not answer").wait_for()
        watched.errors.clear()  # of the connection that was refused
        context.close()
    with served(*words, log=tmp_path / "second.log") as command:
        context = chromium.new_context(viewport={"width": 1280, "height": 800})
        watched = browser.Watched(context, command.address)
        page = opened(watched, "c.jpg")
        assert pose(watched) == [300, 20, -8]
        assert page.get_by_label("Category").input_value() == "car"
        assert "2 of 6 photos done" in page.locator("#counted").inner_text()
        page.keyboard.press("Enter")
        opened(watched, "d.jpg")
        page.reload()
        opened(watched, "d.jpg")
        assert set(rows(photos)) == {"a.jpg", "b.jpg", "c.jpg"}

        # One's own model, of a category of one's own; two objects in a photo.
        with page.expect_response("**/model?name=mug*") as answer:
            set_category(page, "mug")
        assert page.locator("#models").input_value() == "mug/tetra"
        assert len(answer.value.body()) == 4 + 4 * 36 + 4 * 12  # four corners, four sides
        watched.settle()
        assert has_outline(page)
        page.get_by_label("Outline").uncheck()
        watched.settle()
        assert not has_outline(page)
        page.get_by_label("Outline").check()
        page.get_by_label("Looks the same").select_option("z")
        page.get_by_role("button", name="Another object").click()
        drag(page, (0.2, 0.2), (100, 80))
        set_pose(page, (10, 20, 0))
        page.locator("#done").click()
        page.locator("#done").click()
        saved(page)

        # A second window changes the same photo: the first one is not written over.
        second = browser.Watched(context, command.address + "#d.jpg")
        other = opened(second, "d.jpg")
        page.locator("#photos").select_option("d.jpg")
        opened(watched, "d.jpg")
        set_pose(other, (77, 0, 0))
        saved(other)
        angle(page, "Azimuth").fill("88")
        angle(page, "Azimuth").press("Enter")
        page.get_by_text("changed elsewhere").wait_for()
        assert pose(watched)[0] == 77
        watched.errors.remove(next(each for each in watched.errors if "409" in each))
        other.close()

        # A photo that cannot be read is named, and skipped.
        page.locator("#photos").select_option("zz_broken.jpg")
        page.get_by_text("cannot read").wait_for()
        watched.errors[:] = [each for each in watched.errors if "400" not in each]
        page.keyboard.press("k")
        opened(watched, "e.jpg")
        assert not watched.errors + second.errors
        assert not watched.elsewhere + second.elsewhere
        context.close()

        # By touch, on a telephone.
        context = chromium.new_context(
            viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True
        )
        watched = browser.Watched(context, command.address)
        page = opened(watched, "e.jpg")
        set_category(page, "car")
        before = pose(watched)
        touch(page, context, [[(0.5, 0.5)], [(0.6, 0.5)], [(0.7, 0.5)]])
        assert 5 < (before[0] - pose(watched)[0]) % 360 < 120
        assert pose(watched)[1:] == before[1:]
        before = pose(watched)
        touch(page, context, [[(0.3, 0.5), (0.7, 0.5)], [(0.3, 0.7), (0.7, 0.3)]])
        assert pose(watched)[2] > before[2] + 10
        assert pose(watched)[:2] == before[:2]
        set_pose(page, ANGLES["e.jpg"])
        page.locator("#done").tap()
        page.get_by_text("Every photo is done").wait_for()
        saved(page)
        assert watched.run("document.documentElement.scrollWidth") <= 390
        assert not watched.errors + watched.elsewhere
        context.close()
    found = manifest.read(photos)
    assert len(found.id) == 6
    assert set(found.categories) == {"car", "mug"}


def box_side(page):
    frame = page.locator("#photo").bounding_box()
    return min(frame["width"], frame["height"])


def has_outline(page):
    """Whether a model's yellow rim is seen."""
    content = page.locator("#stage").screenshot()
    pixels = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"), int)
    return (np.abs(pixels - [255, 219, 0]).max(axis=-1) < 30).sum() > 100


def press_to(watched, goal):
    """Turns by arrow keys to whole degrees."""
    keys = (("ArrowLeft", "ArrowRight"), ("ArrowDown", "ArrowUp"), (",", "."))
    page = watched.page
    for i, (more, less) in enumerate(keys):
        left = round((goal[i] - pose(watched)[i] + 180) % 360 - 180)
        key, left = (more, left) if left > 0 else (less, -left)
        for _ in range(left // 5):
            page.keyboard.press(key)
        for _ in range(left % 5):
            page.keyboard.press({",": "<", ".": ">"}.get(key, f"Shift+{key}"))


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(chromium, served_here, scheme, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True
    )
    page = browser.Watched(context, served_here).page
    page.locator("img[alt^='Photo']").wait_for()
    assert not pages.faults(page)
    context.close()
