"""Shows what a network sees on a photo, in a browser.

catpose demo [--workdir=DIR|photo] [--models=MODELS [--up=+y --front=+z]] [--host=ADDRESS]

opens a page where photos are dropped, pasted or taken with a telephone's camera. It shows the
category, the pose as a turning 3D model, how sure the network is, and the same in JSON and Python.
The page is served to this machine alone; with --host=ADDRESS, the machine's address in its network,
whoever knows the page's address can use it, several people at once.
"""

from catpose.launch import browser, command

OPTIONS = command.Options(command.PLUGINS, browser.OPTIONS)
HOST = OPTIONS.string("host", "127.0.0.1", "this machine's address, for others in its network")


def main() -> None:
    """Serves the page until it is stopped."""
    from catpose import devices
    from catpose.pages import demo_page, proposals

    devices.keep_compilations()
    own = demo_page.Session(
        proposals.Proposer(browser.WORKDIR.value, best=browser.BEST.value),
        browser.available(),
        demo_page.Photos(),
    )
    browser.serve(demo_page.site(own), HOST.value)


if __name__ == "__main__":
    command.run(main, OPTIONS)
