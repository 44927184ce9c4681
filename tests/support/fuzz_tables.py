"""Images and tables for `tests/fuzz.py`."""

import json
import pathlib
from typing import Any

import numpy as np

from tests.support.fuzz_reader import Reader, are_rotations, finite, home, written

# Images.


def _image_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 255, (24, 32, 4), np.uint8)
    rgba, rgb = Image.fromarray(noise), Image.fromarray(noise[..., :3])
    exif = Image.Exif()
    exif[0x0112] = 6
    for name in ("a.jpg", "b.png", "c.webp", "d.tif", "e.bmp", "f.gif", "g.ppm"):
        rgb.save(folder / name, **({"exif": exif} if name[0] in "abcd" else {}))
    rgba.save(folder / "h.png")
    rgb.convert("P").save(folder / "i.png", transparency=3)
    rgb.save(folder / "j.jpg", progressive=True)
    rgb.convert("CMYK").save(folder / "k.tif", compression="tiff_lzw")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 256).save(folder / "l.png")
    return sorted(folder.glob("?.*"))


def _images():
    photos = home("data.photos")

    def check(image: Any) -> str:
        fine = image.mode == "RGB" and 0 < image.width * image.height <= 64_000_000
        return "" if fine and np.asarray(image).ndim == 3 else f"{image.mode}, {image.size}"

    return photos.open_image, check


# Tables.

_CSV = (
    "id,category,azimuth_deg,elevation_deg,theta_deg,frame,occluded\n"
    "a,car,40,10,-3,camera,0\nb,chair,359.5,-4,0,upright,1\nc,car,1,89.99,2,paper,\n"
)
_BOXES = "file, x0, y0, x1, y1\na.jpg, 0, 0, 10, 20\nb.jpg, 1.5, 2, 30, 40\nc.jpg,,,,\n"
_QUATERNIONS = "id,category,qw,qx,qy,qz\na,car,1,0,0,0\nb,bus,0.5,0.5,0.5,0.5\n"
_MATRICES = [{"id": name, "category": "car", "rotation": np.eye(3).tolist()} for name in "ab"]
_LINES = "\n".join(map(json.dumps, _MATRICES))
_TABLES = {"a.csv": _CSV, "b.csv": _QUATERNIONS, "c.json": json.dumps(_MATRICES), "d.jsonl": _LINES}


def _manifest_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from PIL import Image

    for i in range(3):
        Image.new("RGB", (60, 40), (i, 9, 9)).save(folder / f"{i}.jpg")
    text = (
        "file,category,split,x0,y0,x1,y1,azimuth_deg,elevation_deg,theta_deg\n"
        "0.jpg,car,train,0,0,60,40,10,20,3\n1.jpg,bus,test,1.5,2,30,39,350,0,0\n"
        "2.jpg,car,train,0,0,9,9,-10,80,170\n"
    )
    return written(folder, {"manifest.csv": text})


def _manifests():
    manifest = home("data.manifest")

    def check(found: Any) -> str:
        fine = are_rotations(found.rotation) and (found.category < len(found.categories)).all()
        return "" if fine and len(set(found.id.tolist())) == len(found.id) else "ids or rotations"

    return lambda path: manifest.read(path.parent), check


def _prediction_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    predictions = home("data.predictions")
    found = predictions.Predictions(
        id=np.array(["a", "b"]),
        rotation={"weighted": np.stack([np.eye(3)] * 2)},
        frame=np.array(["camera"] * 2),
        category={"weighted": np.array(["car", "bus"])},
    )
    predictions.write(found, folder / "e.npz")
    return [*written(folder, _TABLES), folder / "e.npz"]


def _predictions():
    predictions = home("data.predictions")

    def check(found: Any) -> str:
        fine = all(are_rotations(rotation) for rotation in found.rotation.values())
        return "" if fine and len(set(found.id.tolist())) == len(found.id) else "ids or rotations"

    return predictions.read, check


def _labels():
    labels = home("data.labels")

    def check(found: Any) -> str:
        return "" if are_rotations(found.rotation) and len(found.id) else "no rotations"

    return lambda path: labels.read(path, ""), check


_MATCHED = (
    "file,category,azimuth_deg,elevation_deg,theta_deg,x0,y0,x1,y1\n"
    "im/a.jpg,car,40,10,-3,0,0,10,20\nb.png,bus,359.5,-4,0,,,,\n"
)
_PRINTED = {"image": "im/a.jpg", "box": [0, 0, 10, 20], "category": "car", **_MATRICES[0]}
_MATCHES = {"a.csv": _MATCHED, "b.json": json.dumps([_PRINTED | {"id": None}])}


def _truth() -> Any:
    from catpose.data.examples import Examples

    return Examples(
        id=np.array(["a1", "a2", "b1"]),
        category=np.array([0, 1, 1]),
        rotation=np.stack([np.eye(3)] * 3),
        categories=("car", "bus"),
        box=np.array([[0, 0, 10, 20.0], [30, 0, 40, 20], [np.nan] * 4]),
        flags={"image": np.array(["a.jpg", "a.jpg", "b"])},
        origin="the labels",
    )


def _matches():
    read, check = _predictions()
    return lambda path: read(path, _truth()), check


_OOD_CV = "imgs,labels,azimuth,elevation,theta,distance\na.jpg,car,40,10,-3,5\nb.jpg,bus,1,2,3,4\n"


def _parts():
    benchmarks = home("data.benchmarks")

    def read(path: pathlib.Path) -> Any:
        if path.suffix == ".txt":
            return benchmarks.by_lists(_truth(), path.parent)
        return benchmarks.read_ood_cv(path.parents[2])

    def check(found: Any) -> str:
        fine = are_rotations(found.rotation) and len(found.flags["part"]) == len(found.id)
        return "" if fine and len(found.id) else "parts or rotations"

    return read, check


def _boxes():
    tables, pose_table = home("data.tables"), home("data.pose_table")

    def read(path: pathlib.Path) -> list[Any]:
        table = tables.read(path, known=("file", *pose_table.BOX))
        pose_table.check_boxes(table)
        return [pose_table.box(row) for row in table.rows]

    return (
        read,
        lambda boxes: "" if all(b is None or finite(b) for b in boxes) else "a box",
    )


READERS = {
    "images": Reader(_image_seeds, _images),
    "manifest": Reader(_manifest_seeds, _manifests),
    "predictions": Reader(_prediction_seeds, _predictions),
    "labels": Reader(lambda folder: written(folder, _TABLES), _labels),
    "matches": Reader(lambda folder: written(folder, _MATCHES), _matches),
    "parts": Reader(
        lambda folder: written(
            folder,
            {"nuisances/pose/labels.csv": _OOD_CV, "carFGL1_BGL1.txt": "a.jpg.JPEG\nb.JPEG\n"},
        ),
        _parts,
    ),
    "boxes": Reader(lambda folder: written(folder, {"boxes.csv": _BOXES}), _boxes),
}
