"""What the commands with a page in a browser share."""

import webbrowser
from typing import Any

from catpose.launch import command

OPTIONS = command.Options()
WORKDIR = OPTIONS.string("workdir", "photo", "a training run's folder, photo or mini")
BEST = OPTIONS.bool("best", False, "weights of the lowest validation error, not the last")
PORT = OPTIONS.integer("port", 0, "of the page's address; 0 takes a free one", 0, 65535)
OPEN = OPTIONS.bool("open", True, "show the page in the browser at once")
MODELS = OPTIONS.string("models", None, "folder of 3D models of your own")
UP = OPTIONS.string("up", None, "axis that points upwards in all of --models, such as +y")
FRONT = OPTIONS.string("front", None, "axis that points to the front, such as -z")


def available() -> Any:
    """The models that the options name, see `catpose.pages.models.available`."""
    from catpose.pages import models

    return models.available(MODELS.value, up=UP.value, front=FRONT.value)


def serve(site: Any, host: str) -> None:
    """Answers a page's questions until the command is stopped."""
    from catpose.pages import server

    listening, address = server.listen(site, host, PORT.value)
    print(f"open {address}\n(Ctrl-C ends it)", flush=True)
    if OPEN.value:
        webbrowser.open(address)
    try:
        listening.serve_forever()
    finally:
        listening.server_close()
