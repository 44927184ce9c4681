"""How fast the page for labeling follows the hand: python -m tests.turning [--moves=N] [WIDTH ...]

turns a model of 4,900 triangles by the mouse, drawn by the processor, and prints for each width of
the window the milliseconds from a move of the pointer to the frame after its drawing, and the
processor time of the whole browser a frame; then the same without the model, which is the floor.
"""

import argparse
import os
import pathlib
import tempfile

import numpy as np

from catpose.pages import label_page, models, proposals
from tests.support import browser, pages

WATCH = """(() => {
  window.waited = [];
  window.frames = 0;
  document.getElementById("stage").addEventListener("pointermove", ({ timeStamp }) =>
    requestAnimationFrame(() => requestAnimationFrame((now) => waited.push(now - timeStamp))));
  const count = () => { frames++; requestAnimationFrame(count); };
  count();
})()"""


def ball(path, num=50):
    """An ellipsoid in a file."""
    polar, around = np.pi * np.arange(num + 1) / num, 2 * np.pi * np.arange(num) / num
    lines = [
        f"v {np.sin(a) * np.cos(b):.5f} {1.6 * np.sin(a) * np.sin(b):.5f} {0.7 * np.cos(a):.5f}"
        for a in polar
        for b in around
    ]
    for i in range(num):
        for j in range(num):
            a, b = 1 + i * num + j, 1 + i * num + (j + 1) % num
            lines += [f"f {a} {a + num} {b + num}", f"f {a} {b + num} {b}"]
    path.parent.mkdir(parents=True)
    path.write_text("\n".join(lines))


def seconds():
    """Processor time of the browser: of all processes that this one has begun."""
    parent, spent = {}, {}
    for path in pathlib.Path("/proc").glob("[0-9]*/stat"):
        try:
            values = path.read_text().rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        parent[int(path.parent.name)] = int(values[1])
        spent[int(path.parent.name)] = (int(values[11]) + int(values[12])) / os.sysconf(
            "SC_CLK_TCK"
        )
    own = {os.getpid()}
    while more := {each for each, above in parent.items() if above in own} - own:
        own |= more
    return sum(spent[each] for each in own - {os.getpid()})


def measure(watched, num_moves):
    """Turns, and says how long it took."""
    page = watched.page
    frame = page.locator("#photo").bounding_box()
    x, y = frame["x"] + frame["width"] / 2, frame["y"] + frame["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    watched.settle()
    watched.run("waited.length = 0")
    begin = seconds(), watched.run("frames")
    for i in range(num_moves):
        page.mouse.move(x + 100 * np.sin(i / 10), y + 60 * np.cos(i / 7))
        page.wait_for_timeout(16)
    watched.settle()
    spent, frames = seconds() - begin[0], watched.run("frames") - begin[1]
    page.mouse.up()
    waited = np.percentile(watched.run("waited"), [50, 95])
    return f"{waited[0]:.0f} ms (95 %: {waited[1]:.0f}), {1000 * spent / frames:.0f} ms a frame"


def main() -> None:
    """Prints a line for each width."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moves", type=int, default=150)
    parser.add_argument("width", type=int, nargs="*", default=[1280, 390])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, browser.chromium() as chromium:
        folder = pathlib.Path(name)
        ball(folder / "models" / "ball" / "ball.obj")
        (folder / "photos").mkdir()
        pages.draw((40, 15, 0)).save(folder / "photos" / "a.jpg")
        available = models.available(folder / "models")
        own = label_page.session(folder / "photos", proposals.Proposer(""), available=available)
        with pages.serving(label_page.site(own)) as address:
            for width in given.width:
                context = chromium.new_context(viewport={"width": width, "height": 800})
                watched = browser.Watched(context, address)
                pages.opened(watched, "a.jpg")
                pages.set_category(watched.page, "ball")
                watched.run(WATCH)
                with_model = measure(watched, given.moves)
                watched.run("document.getElementById('model').style.display = 'none'")
                print(f"{width}: {with_model}; without the model {measure(watched, given.moves)}")
                context.close()


if __name__ == "__main__":
    main()
