"""A real browser for the tests of pages: Chromium of the system, driven by Playwright."""

import contextlib
import pathlib
import re
import shutil
import signal
import subprocess
import sys

import pytest

CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# Drawn by the processor, since a CI machine has no graphics card: WebGL alone by SwiftShader, which
# takes five times as long for text and lines.
ARGUMENTS = [
    "--no-sandbox",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    "--disable-gpu-rasterization",
    "--disable-accelerated-2d-canvas",
]


@contextlib.contextmanager
def chromium():
    """A browser without a window; the test is skipped where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    path = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if path is None:
        pytest.skip("no Chromium is installed (apt-get install chromium)")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


class Command:
    """A command of catpose that serves a page, as a process of its own."""

    def __init__(self, *words, log):
        self.log = pathlib.Path(log).open("w")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "catpose", *words, "--noopen"],
            stdout=subprocess.PIPE,
            stderr=self.log,
            text=True,
        )
        line = self.process.stdout.readline()
        self.address = re.search(r"http://\S+", line)[0]

    def stop(self, number=signal.SIGTERM):
        """Ends it by a signal."""
        self.process.send_signal(number)
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()


class Watched:
    """A page of a browser, whose console and requests are looked at."""

    def __init__(self, context, address):
        self.page, self.address = context.new_page(), address
        self.errors, self.elsewhere = [], []
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.page.goto(address)

    def _said(self, message):
        if message.type in ("error", "warning"):
            self.errors.append(message.text)

    def _asked(self, request):
        own = self.address.partition("#")[0]
        if not request.url.startswith((own, "blob:", "data:")):
            self.elsewhere.append(request.url)

    def run(self, expression):
        """The value of an expression in the page, whose own rules forbid Playwright's way."""
        session = self.page.context.new_cdp_session(self.page)
        given = {"expression": expression, "awaitPromise": True, "returnByValue": True}
        found = session.send("Runtime.evaluate", given)
        session.detach()
        return found["result"].get("value")

    def settle(self):
        """Waits until what was changed is drawn."""
        frame = "requestAnimationFrame"
        self.run(f"new Promise(done => {frame}(() => {frame}(() => done(1))))")
