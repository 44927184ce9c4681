"""The page that shows a network, in a real browser: drop, box, copy, words for what goes wrong."""

import base64
import json

import pytest

from tests.pages.test_label_page import drag, draw
from tests.support import browser, encoded


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


def test_two_people_at_once(chromium, command):
    contexts = [chromium.new_context() for _ in range(2)]
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
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="axe is not installed"
    )
    context = chromium.new_context(
        viewport={"width": width, "height": 844}, color_scheme=scheme, bypass_csp=True
    )
    watched = browser.Watched(context, command.address)
    drop(watched, "car.png", encoded.encode(draw((40, 15, 0)), "PNG"))
    looked(watched.page)
    for panel in watched.page.locator("details").all():
        panel.evaluate("panel => { panel.open = true; }")
    assert watched.run("document.documentElement.scrollWidth") <= width
    found = axe.Axe().run(watched.page).response["violations"]
    context.close()
    assert not [(each["id"], each["nodes"][0]["html"]) for each in found]
