"""Labeling in a real browser: by mouse, by keys, by touch, through a kill and a second window."""

import contextlib
import csv
import signal

import numpy as np
import pytest
from PIL import Image

from catpose.data import manifest
from catpose.pages import models
from catpose.synthetic import renderer, scene
from catpose.visualize import overlay
from tests.support import browser
from tests.support.model_files import tetrahedron

SIZE = (320, 200)
ANGLES = {
    "a.jpg": (40, 15, 0),
    "b.jpg": (200, 10, 5),
    "c.jpg": (300, 20, -8),
    "d.jpg": (90, 5, 0),
    "e.jpg": (150, 30, 0),
}
LIGHT = scene.Light(np.array([[-0.4, 0.6, 0.7]]), np.array([0.6]), 0.5)


def draw(angles, size=SIZE):
    """A photo of the model "car/sedan" that fills it, at azimuth, elevation and theta."""
    from catpose.geometry import viewpoint

    mesh = models.available()["car/sedan"]()
    rotation = viewpoint.rotation_from_angles(*np.radians(np.float32(angles)))
    side = max(size)
    box = (side - size[0]) / 2, (side - size[1]) / 2
    box = [box[0] + 8, box[1] + 8, side - box[0] - 8, side - box[1] - 8]
    turned, view = overlay.placed(mesh, rotation, box, stretch=False)
    picture, _ = renderer.render_one(turned, view, LIGHT, np.full((side, side, 3), 0.8, np.float32))
    pixels = np.round(255 * np.clip(picture, 0, 1)).astype(np.uint8)
    low = (side - size[1]) // 2
    return Image.fromarray(pixels[low : low + size[1]])


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    for name, angles in ANGLES.items():
        draw(angles).save(folder / name, quality=92)
    (folder / "zz_broken.jpg").write_bytes(b"half of a photo")
    return folder


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as found:
        yield found


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


def angle(page, name):
    return page.get_by_label(f"{name} in degrees")


def pose(watched):
    watched.settle()
    page = watched.page
    return [float(angle(page, name).input_value()) for name in ("Azimuth", "Elevation", "Theta")]


def set_pose(page, values):
    for name, value in zip(("Azimuth", "Elevation", "Theta"), values, strict=True):
        angle(page, name).fill(str(value))
        angle(page, name).press("Tab")


def opened(watched, file):
    """Waits until a photo is there."""
    watched.page.locator(f"img[alt='Photo {file}']").wait_for(timeout=30000)
    return watched.page


def saved(page):
    page.get_by_text("saved", exact=True).wait_for()


def drag(page, fraction, move, *, button="left", keys=()):
    """Drags from a share of the photo's box by pixels."""
    frame = page.locator("#photo").bounding_box()
    x, y = frame["x"] + fraction[0] * frame["width"], frame["y"] + fraction[1] * frame["height"]
    for key in keys:
        page.keyboard.down(key)
    page.mouse.move(x, y)
    page.mouse.down(button=button)
    for i in range(1, 6):
        page.mouse.move(x + move[0] * i / 5, y + move[1] * i / 5)
    page.mouse.up(button=button)
    for key in keys:
        page.keyboard.up(key)


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
        page.get_by_label("Category").fill("car")
        page.get_by_label("Category").press("Tab")
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
        assert float(row["x1"]) == SIZE[0]

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
        page.get_by_label("Category").fill("car")
        page.get_by_label("Category").press("Tab")
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
        page.get_by_label("Category").fill("mug")
        page.get_by_label("Category").press("Tab")
        assert page.locator("#models").input_value() == "mug/tetra"
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
        page.get_by_label("Category").fill("car")
        page.get_by_label("Category").press("Tab")
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


def touch(page, context, path):
    """Fingers that go along a path of shares of the photo."""
    frame = page.locator("#photo").bounding_box()
    session = context.new_cdp_session(page)

    def points(shares):
        return [
            {"x": frame["x"] + x * frame["width"], "y": frame["y"] + y * frame["height"], "id": i}
            for i, (x, y) in enumerate(shares)
        ]

    session.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": points(path[0])})
    for shares in path[1:]:
        session.send(
            "Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": points(shares)}
        )
    session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_no_serious_fault(chromium, photos, tmp_path, scheme, width):
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    with served("label", str(photos), "--workdir=", log=tmp_path / "log") as command:
        context = chromium.new_context(
            viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True
        )
        page = browser.Watched(context, command.address).page
        page.locator("img[alt^='Photo']").wait_for()
        for panel in page.locator("details").all():
            panel.evaluate("panel => { panel.open = true; }")
        found = axe.Axe().run(page).response["violations"]
        context.close()
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found]
