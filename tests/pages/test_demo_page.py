"""The page that shows a network, in a real browser: drop, box, copy, words for what goes wrong."""

import base64
import functools
import json
import urllib.request

import pytest

from tests.support import browser, encoded
from tests.support.pages import drag, draw, faults


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    found = browser.Command("demo", "--workdir=mini", log=tmp_path_factory.mktemp("demo") / "log")
    yield found
    found.stop()


@pytest.fixture
def watched(chromium, command):
    context = chromium.new_context(viewport={"width": 1280, "height": 800})
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    yield browser.Watched(context, command.address)
    context.close()


def drop(watched, name, content):
    """Drops a file on the page."""
    text = base64.b64encode(content).decode()
    watched.run(f"""(() => {{
      const bytes = Uint8Array.from(atob("{text}"), (letter) => letter.charCodeAt(0));
      const transfer = new DataTransfer();
      transfer.items.add(new File([bytes], "{name}", {{ type: "image/png" }}));
      document.dispatchEvent(new DragEvent("drop", {{ dataTransfer: transfer, cancelable: true }}));
    }})()""")


def answer(page):
    return json.loads(page.locator("#json").text_content())


def looked(page):
    """Waits until the network has answered."""
    page.locator("#saved", has_text="…").wait_for(state="hidden", timeout=60000)
    page.locator("#azimuth", has_text="°").wait_for()


def test_drop_box_and_copy(watched):
    page = watched.page
    drop(watched, "car.png", encoded.encode(draw((40, 15, 0)), "PNG"))
    page.locator("img[alt='Photo car.png']").wait_for(timeout=60000)
    looked(page)
    before = answer(page)
    assert before["image"] == "car.png"
    assert before["box"] is None
    assert sum(before["probabilities"].values()) == pytest.approx(1, abs=1e-3)
    shown = page.locator("#azimuth").inner_text()
    assert float(shown[:-1]) == pytest.approx(before["azimuth_deg"], abs=0.06)

    drag(page, (0.1, 0.1), (300, 200))
    page.locator("#json", has_text='"box": [').wait_for(state="attached")
    after = answer(page)
    assert after["box"][2] > after["box"][0] + 20
    page.get_by_text("The same in JSON").click()
    page.get_by_role("button", name="Copy JSON").click()
    page.get_by_role("button", name="Copied").wait_for()
    assert json.loads(watched.run("navigator.clipboard.readText()")) == after
    page.get_by_text("The same in Python").click()
    assert f"box=({', '.join(map(number, after['box']))})" in page.locator("#python").inner_text()
    page.get_by_role("button", name="Whole photo").click()
    page.locator("#json", has_text='"box": null').wait_for(state="attached")
    assert not watched.errors + watched.elsewhere


def number(value):
    return f"{value:g}" if value != int(value) else str(int(value))


def test_what_is_no_photo_is_named(watched):
    drop(watched, "page.png", b"<!doctype html><p>no photo")
    watched.page.get_by_text("it is a web page (a failed download?)").wait_for()


PASTE = """(async () => {{
  const bytes = Uint8Array.from(atob("{text}"), (letter) => letter.charCodeAt(0));
  const picture = new Blob([bytes], {{ type: "image/png" }});
  await navigator.clipboard.write([new ClipboardItem({{ "image/png": picture }})]);
}})()"""


def test_paste(watched):
    picture = encoded.encode(draw((120, 15, 0)), "PNG")
    watched.run(PASTE.format(text=base64.b64encode(picture).decode()))
    watched.page.keyboard.press("Control+V")
    looked(watched.page)
    found = answer(watched.page)
    assert found["image"].endswith(".png")
    assert found == asked(watched, picture) | {"image": found["image"]}


def test_a_telephones_camera(watched):
    camera = watched.page.locator("#camera")
    assert camera.get_attribute("capture") == "environment"
    assert camera.get_attribute("accept") == "image/*"
    picture = encoded.encode(draw((300, 15, 0)), "JPEG")
    for name in ("first.jpg", "second.jpg"):  # the same photo may be taken twice
        camera.set_input_files([{"name": name, "mimeType": "image/jpeg", "buffer": picture}])
        watched.page.locator(f"img[alt='Photo {name}']").wait_for(timeout=60000)
        looked(watched.page)
    assert answer(watched.page) == asked(watched, picture) | {"image": "second.jpg"}
    assert not watched.errors + watched.elsewhere


def asked(watched, content):
    """What the server says of a photo, without the page; the whole of it."""
    ask = functools.partial(urllib.request.Request, method="POST")
    kind = {"Content-Type": "application/octet-stream"}
    with urllib.request.urlopen(ask(watched.address + "photos", content, kind)) as reply:
        given = reply.read()
    kind = {"Content-Type": "application/json"}
    with urllib.request.urlopen(ask(watched.address + "predict", given, kind)) as reply:
        return {"box": None, **json.load(reply)}


def test_copying_where_the_clipboard_is_not_given(chromium, command):
    """As to a page of another machine, over plain HTTP."""
    context = chromium.new_context()
    context.grant_permissions(["clipboard-read"])
    watched = browser.Watched(context, "about:blank")
    watched.page.add_init_script(
        "window.read = () => clipboard.readText(); const clipboard = navigator.clipboard;"
        "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
    )
    watched.page.goto(command.address)
    drop(watched, "car.png", encoded.encode(draw((40, 15, 0)), "PNG"))
    looked(watched.page)
    watched.page.get_by_text("The same in Python").click()
    watched.page.get_by_role("button", name="Copy Python").click()
    watched.page.get_by_role("button", name="Copied").wait_for()
    assert watched.run("read()") == watched.page.locator("#python").text_content()
    context.close()


def test_three_people_at_once(chromium, command):
    contexts = [chromium.new_context() for _ in range(3)]
    people = [browser.Watched(context, command.address) for context in contexts]
    for i, each in enumerate(people):
        drop(each, f"{i}.png", encoded.encode(draw((90 * i, 15, 0)), "PNG"))
    for i, each in enumerate(people):
        each.page.locator(f"img[alt='Photo {i}.png']").wait_for(timeout=60000)
        looked(each.page)
        assert answer(each.page)["image"] == f"{i}.png"
    for context in contexts:
        context.close()


def test_a_foreign_page_can_neither_read_nor_write(chromium, command):
    context = chromium.new_context()
    page = context.new_page()
    page.route("http://evil.example/*", lambda route: route.fulfill(body="<p>evil"))
    watched = browser.Watched(context, command.address)
    page.goto("http://evil.example/")
    watched.page.close()
    watched.page = page
    for options in ("{}", "{mode: 'no-cors'}", "{method: 'POST', body: '{}'}"):
        # What cannot be read is an error, or an answer of which nothing is known.
        seen = f"""fetch("{command.address}network", {options}).then(
            (response) => response.text(), () => "")"""
        assert watched.run(seen) == ""
    statuses = []
    page.on("response", lambda response: statuses.append(response.status))
    watched.run(f"fetch('{command.address}photos', {{method: 'POST', mode: 'no-cors', body: 'x'}})")
    page.wait_for_timeout(300)
    assert statuses in ([], [403])
    context.close()


@pytest.mark.parametrize(("scheme", "width"), [("light", 1280), ("dark", 390)])
def test_axe_finds_no_fault(chromium, command, scheme, width):
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True
    )
    watched = browser.Watched(context, command.address)
    drop(watched, "car.png", encoded.encode(draw((40, 15, 0)), "PNG"))
    looked(watched.page)
    assert watched.run("document.documentElement.scrollWidth") <= width
    assert not faults(watched.page)
    context.close()
