"""What the network `photo` sees on renders of objects that it has not trained on, as on README.

    python -m tests.support.photo_sheet

draws docs/photo_sheet.jpg: of COUNT renders of each category the one that the network is surest
about, with the box around the object, the predicted axes and a 3D model at the predicted pose. The
one of ALONE goes to docs/car.jpg too, and what the network predicts for that file to
docs/car_predicted.jpg, README.md and docs/getting_started.md. It prints how right the predictions
are, and how often the category of all is.
"""

import dataclasses
import json
import re

import jax
import numpy as np
from PIL import Image

import catpose
from catpose import outputs
from catpose.configs import photo
from catpose.data import online_rendering
from catpose.experiment import config as config_lib
from catpose.experiment import datasets
from catpose.geometry import so3
from catpose.synthetic.look import Look
from catpose.visualize import contact_sheet
from tests.support.paths import ROOT

COUNT, SEED = 16, 1  # of objects, views and backgrounds; the objects of training have seed 0
SIDE, CONTEXT, SMALLER, COLUMNS = 432, 1.3, 2, 6
ALONE, LEAST = "car", 0.01  # the category of docs/car.jpg; probabilities below are left out
# Whole objects, each in front of something, by mild light.
LOOK = {"squeeze": 0.0, "loosen": (0.0, 0.0), "box_jitter": 0.0, "grey": 0.0, "noise": 0.03}


def engine():
    """Categories, and what draws them."""
    config = photo.get_config()
    config.phases = []
    config.data.resolution = SIDE
    config.engine.update(
        per_category=COUNT,
        num_backgrounds=12 * COUNT,
        background_family="unseen",
        seed=SEED,
        look=dataclasses.asdict(Look(**LOOK)),
    )
    config = config_lib.read(config)
    none = datasets.load_dataset(config, only="none")
    return none.categories, datasets.build_engine(config, none)


def renders(made, num_categories):
    """(number, category) -> one picture of each: image, mask and rotation."""
    category = np.arange(num_categories, dtype=np.int32)
    how = online_rendering.arguments(made) | {"size": SIDE, "context": CONTEXT}
    fold = jax.vmap(jax.random.fold_in, (None, 0))

    @jax.jit
    def draw(number, assets):
        keys = fold(jax.random.fold_in(jax.random.key(SEED), number), category)
        index = COUNT * category + number
        return online_rendering.draw(keys, index, category, assets, **how)

    rounds = [jax.device_get(draw(number, made.assets)) for number in range(COUNT)]
    return jax.tree.map(lambda *leaves: np.stack(leaves), *rounds)


def box(mask):
    """x0, y0, x1, y1 around the pixels that an object fills by half or more, at even pixels."""
    x, y = (np.flatnonzero((mask >= 0.5).any(axis)) for axis in (0, 1))
    low, high = np.array([x[0], y[0]]), np.array([x[-1], y[-1]]) + 1
    return [*(low // SMALLER * SMALLER).tolist(), *(-(-high // SMALLER) * SMALLER).tolist()]


def surest(found, name):
    """Number of the prediction that is most probably of this category and turned rightly."""
    shares = [one.known * one.probabilities[name] * one.pose_confidence for one in found]
    return int(np.argmax(shares))


def main():
    """Draws, predicts and prints."""
    predictor = catpose.load("photo")
    categories, made = engine()
    drawn = renders(made, len(categories))
    cells = []
    for k, name in enumerate(categories):
        images = np.rint(drawn.image[:, k]).astype(np.uint8)
        boxes = [box(mask) for mask in drawn.mask[:, k]]
        found = predictor(list(images), box=boxes)
        chosen = surest(found, name)
        image, edges, one = Image.fromarray(images[chosen]), boxes[chosen], found[chosen]
        small = [edge // SMALLER for edge in edges]
        cells.append(np.asarray(predictor.draw(image.reduce(SMALLER), small, one, show="both")))
        error = np.degrees(so3.geodesic_distance(one.rotation, drawn.rotation[chosen, k]))
        named = np.mean([each.category == name for each in found])
        print(
            f"{name}: named {one.category} {one.confidence:.2f}, known {one.known:.2f}, "
            f"turned {error:.0f} degrees wrong; of all {named:.2f} are named rightly"
        )
        if name == ALONE:
            alone = edges
            save(image, f"{ALONE}.jpg")
    save(Image.fromarray(contact_sheet.sheet(cells, columns=COLUMNS)), "photo_sheet.jpg")
    answer(predictor, ROOT / "docs" / f"{ALONE}.jpg", alone)


def answer(predictor, path, edges):
    """Draws what is predicted for a file, and writes it into the pages."""
    found = predictor(path, box=edges)
    save(predictor.draw(path, edges, found, show="both"), f"{ALONE}_predicted.jpg")
    short = {"image": f"docs/{path.name}", **found.to_json()}
    short["probabilities"] = {k: p for k, p in short["probabilities"].items() if p >= LEAST}
    short = json.loads(json.dumps(short), parse_float=lambda text: round(float(text), 2))
    lines = ",\n ".join(f"{json.dumps(key)}: {json.dumps(value)}" for key, value in short.items())
    said = f"# {found.category} {found.known:.2f} {found.azimuth_deg:.0f}"
    for page in ("README.md", "docs/getting_started.md"):
        text = (ROOT / page).read_text()
        for pattern, new in (
            (r"(?<=car.jpg --box=)[\d,]+", ",".join(map(str, edges))),
            (r'(?<=car.jpg", box=\()[\d, ]+', ", ".join(map(str, edges))),
            (r"# \w+ [\d.]+ \d+$", said),
            (r'(?<=^```json\n)\{"image".*?(?=\n```$)', f"{{{lines}}}"),
        ):
            text = re.sub(pattern, lambda _, new=new: new, text, flags=re.DOTALL | re.MULTILINE)
        (ROOT / page).write_text(text)


def save(picture, name):
    """A picture in docs/."""
    outputs.save_picture(picture, ROOT / "docs" / name, quality=88)


if __name__ == "__main__":
    main()
