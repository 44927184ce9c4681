"""Renders images of 3D models to a folder, named and laid out as those of Render for CNN.

catpose render --output_dir=DIR [--per_category=N] [--size=S] [--config=NAME|FILE]

What is drawn is what a training phase with the source "drawn" sees: the config's models, views,
light and backgrounds (`config.engine`; all its keys can be set here, as in
--config.engine.backgrounds=FOLDER). An interrupted command continues where it stopped. A contact
sheet of each category is drawn beside the images.
"""

import pathlib

from catpose.launch import command

OPTIONS = command.Options(command.PLUGINS)
CONFIG = OPTIONS.config("what to draw", default="mini")
OUTPUT_DIR = OPTIONS.string("output_dir", None, "where the images go", required=True)
PER_CATEGORY = OPTIONS.integer("per_category", 1000, "images of each category", lower_bound=1)
SIZE = OPTIONS.integer("size", 224, "width and height of the images", lower_bound=16)
SEED = OPTIONS.integer("seed", 0, "of the pictures", lower_bound=0)


def main() -> None:
    """Renders the images and their contact sheets, and prints where they are."""
    # The libraries take seconds to load, so wrong options are reported first.
    from catpose.data.render_for_cnn import write as render_files
    from catpose.experiment import config as config_lib
    from catpose.experiment import datasets
    from catpose.visualize import contact_sheet

    config = CONFIG.value
    config.data.resolution = SIZE.value
    config.phases = []  # nothing is trained, so the images to train on need not be made
    config.data.rendered = ""  # perhaps the very images that are to be drawn
    config = config_lib.read(config)
    loaded = datasets.load_dataset(config, only=config.engine.views_like or "none")
    made = datasets.build_engine(config, loaded)
    folder = pathlib.Path(OUTPUT_DIR.value)
    count = render_files.write(
        made,
        loaded.categories,
        folder,
        per_category=PER_CATEGORY.value,
        size=SIZE.value,
        seed=SEED.value,
    )
    for path in contact_sheet.of_manifest(folder):
        print(f"sheet: {path}")
    print(f"{count} images in {folder}")


if __name__ == "__main__":
    command.run(main, OPTIONS)
