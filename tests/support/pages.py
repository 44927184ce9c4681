"""What tests do with the pages in a browser, and what these show."""

import contextlib
import threading
import types

import jax.numpy as jnp
import numpy as np
from PIL import Image

from catpose.data.input_spec import InputSpec
from catpose.experiment.build import Model
from catpose.geometry import viewpoint
from catpose.pages import models, server
from catpose.poses import POSES
from catpose.synthetic import renderer, scene
from catpose.visualize import overlay

SIZE = (320, 200)
ANGLES = ("Azimuth", "Elevation", "Theta")
LIGHT = scene.Light(np.array([[-0.4, 0.6, 0.7]]), np.array([0.6]), 0.5)


def draw(angles, size=SIZE):
    """A photo of the model "car/sedan" that fills it, at azimuth, elevation and theta."""
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


def model(pose, tops):
    """A network of "car" and "bus" with the same outputs whatever it sees.

    Of a matrix Fisher `pose`, the densities of both have their tops at `tops`, (2, 3, 3) in frame
    "camera".
    """
    outputs = 20 * np.asarray(viewpoint.convert_frame(tops, "camera", "upright")).reshape(1, 2, 9)

    def apply_fn(variables, image, tied):
        found = types.SimpleNamespace(
            pose_outputs=jnp.asarray(outputs), category_logits=jnp.array([[20.0, 0.0]])
        )
        return found, {}

    network = types.SimpleNamespace(apply_fn=apply_fn)
    spec = InputSpec(8, 1.0, "torchvision", "upright")
    return Model(network, POSES[pose], ("car", "bus"), spec)


@contextlib.contextmanager
def serving(site):
    """The address of a site that this process serves."""
    listening, address = server.listen(site)
    thread = threading.Thread(target=listening.serve_forever)
    thread.start()
    try:
        yield address
    finally:
        listening.shutdown()
        listening.server_close()
        thread.join()


def angle(page, name):
    return page.get_by_label(f"{name} in degrees")


def pose(watched):
    """The angles that the page for labeling shows."""
    watched.settle()
    return [float(angle(watched.page, name).input_value()) for name in ANGLES]


def enter(field, value):
    """Types a value and goes on to the next field."""
    field.fill(value)
    # Under load Chromium may take a key before the text that was sent first.
    for _ in range(500):
        if field.input_value() == value:
            break
        field.page.wait_for_timeout(20)
    field.press("Tab")


def set_pose(page, values):
    for name, value in zip(ANGLES, values, strict=True):
        enter(angle(page, name), str(value))


def set_category(page, name):
    enter(page.get_by_label("Category"), name)


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


def touch(page, context, path):
    """Fingers that go along a path of shares of the photo."""
    frame = page.locator("#photo").bounding_box()
    session = context.new_cdp_session(page)

    def send(kind, shares):
        points = [
            {"x": frame["x"] + x * frame["width"], "y": frame["y"] + y * frame["height"], "id": i}
            for i, (x, y) in enumerate(shares)
        ]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", path[0])
    for shares in path[1:]:
        send("touchMove", shares)
    send("touchEnd", [])


def faults(page):
    """What axe-core finds: the rule, and the first element."""
    import pytest

    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    for panel in page.locator("details").all():
        panel.evaluate("panel => { panel.open = true; }")
    found = axe.Axe().run(page).response["violations"]
    return [(each["id"], each["nodes"][0]["html"]) for each in found]
