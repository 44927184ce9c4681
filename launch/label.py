"""Labels the poses of objects in your own photos, in a browser.

catpose label FOLDER [--workdir=DIR|photo] [--models=MODELS [--up=+y --front=+z]] [--coco=FILE]
                     [--second_pass]

opens a page on this machine alone, where you turn a 3D model over each photo until it fits. FOLDER
has the photos, or a folder `images` with them; labels go to FOLDER/manifest.csv at every change,
and the same command continues them. --workdir is the network that proposes poses. --second_pass
labels the same objects once more, into FOLDER/second_pass.csv, and says how far apart both are.
"""

import pathlib

from catpose.errors import InputError
from catpose.launch import browser, command

OPTIONS = command.Options(command.PLUGINS, browser.OPTIONS)
COCO = OPTIONS.string("coco", None, "a file of COCO's format: boxes and categories to begin with")
SECOND_PASS = OPTIONS.bool("second_pass", False, "label the same objects once more")


def main(folder: str = "") -> None:
    """Serves the page until it is stopped."""
    if not folder:
        raise InputError("name the folder with your photos: catpose label FOLDER")
    from catpose import devices
    from catpose.data import coco, disk_cache
    from catpose.pages import label_page, labels, proposals

    devices.keep_compilations()
    root = pathlib.Path(folder).expanduser()
    if not root.is_dir():
        raise InputError(f"there is no folder {root}")
    taken = f"another catpose label works on {root}; close it first"
    with disk_cache.locked(
        root, taken, lambda error: f"cannot write into {root}: {error.strerror}"
    ):
        available = browser.available()
        session = label_page.session(
            root,
            proposals.Proposer(browser.WORKDIR.value, best=browser.BEST.value),
            second=SECOND_PASS.value,
            begun=coco.read(COCO.value, labels.images(root)) if COCO.value else None,
            available=available,
            plugins=OPTIONS.values["plugins"].value,
        )
        browser.serve(label_page.site(session), "127.0.0.1")


if __name__ == "__main__":
    command.run(main, OPTIONS)
