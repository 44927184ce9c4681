"""The readers that `tests/fuzz.py` gives damaged files to, and what each may make of them.

A damaged file may still be a whole one: a flipped bit of a pixel is another pixel. So a result is
accepted where it is of the form that the reader promises; what has a checksum (zip members, PNG) is
refused by its reader. `functions` runs in the child, so that only there libraries are imported.
"""

import importlib
import json
import pathlib
import pickle
import shutil
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np


class Reader(NamedTuple):
    """A reader.

    Attributes:
      seeds: folder -> the whole files, in it.
      functions: -> what reads a file, and what says of a result why it is wrong, or "".
    """

    seeds: Callable[[pathlib.Path], list[pathlib.Path]]
    functions: Callable[[], tuple[Callable[[pathlib.Path], Any], Callable[[Any], str]]]


def _home(name: str) -> Any:
    return importlib.import_module(f"catpose.{name}")


def _written(folder: pathlib.Path, files: dict[str, bytes | str]) -> list[pathlib.Path]:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return [folder / name for name in files]


def _finite(*arrays: Any) -> bool:
    return all(np.isfinite(np.asarray(array, float)).all() for array in arrays)


def _are_rotations(rotation: np.ndarray) -> bool:
    rotation = np.asarray(rotation, float)
    same = np.abs(rotation @ rotation.swapaxes(-1, -2) - np.eye(3)).max(initial=0) < 1e-3
    return _finite(rotation) and bool(same) and bool((np.linalg.det(rotation) > 0).all())


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
    photos = _home("data.photos")

    def check(image: Any) -> str:
        fine = image.mode == "RGB" and 0 < image.width * image.height <= 64_000_000
        return "" if fine and np.asarray(image).ndim == 3 else f"{image.mode}, {image.size}"

    return photos.open_image, check


# Tables.

_CSV = (
    "id,category,azimuth_deg,elevation_deg,theta_deg,frame,occluded\n"
    "a,car,40,10,-3,camera,0\nb,chair,359.5,-4,0,upright,1\nc,car,1,89.99,2,paper,\n"
)
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
    return _written(folder, {"manifest.csv": text})


def _manifests():
    manifest = _home("data.manifest")

    def check(found: Any) -> str:
        fine = _are_rotations(found.rotation) and (found.category < len(found.categories)).all()
        return "" if fine and len(set(found.id.tolist())) == len(found.id) else "ids or rotations"

    return lambda path: manifest.read(path.parent), check


def _prediction_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    predictions = _home("data.predictions")
    found = predictions.Predictions(
        id=np.array(["a", "b"]),
        rotation={"weighted": np.stack([np.eye(3)] * 2)},
        frame=np.array(["camera"] * 2),
        category={"weighted": np.array(["car", "bus"])},
    )
    predictions.write(found, folder / "e.npz")
    return [*_written(folder, _TABLES), folder / "e.npz"]


def _predictions():
    predictions = _home("data.predictions")

    def check(found: Any) -> str:
        fine = all(_are_rotations(rotation) for rotation in found.rotation.values())
        return "" if fine and len(set(found.id.tolist())) == len(found.id) else "ids or rotations"

    return predictions.read, check


def _labels():
    labels = _home("data.labels")

    def check(found: Any) -> str:
        return "" if _are_rotations(found.rotation) and len(found.id) else "no rotations"

    return lambda path: labels.read(path, ""), check


# 3D models.

_OBJ = (
    "mtllib a.mtl\nusemtl red\nv 0 0 0\nv 1 0 0\nv 0 1 0\nv 0 0 1\nf 1 3 2\nf 1 2 4\n"
    "f 1 4 3\nf -3 -2 -1\n"
)
_OFF = "OFF\n4 4 0\n0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
_PLY = (
    "ply\nformat ascii 1.0\nelement vertex 4\nproperty float x\nproperty float y\n"
    "property float z\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n"
    "0 0 0\n1 0 0\n0 1 0\n0 0 1\n3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n"
)


def _model_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    corners = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], "<f4")
    faces = np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]], "<u2")
    stl = b" " * 80 + struct.pack("<I", 4)
    for face in faces:
        stl += bytes(12) + corners[face].tobytes() + bytes(2)
    header = (
        "ply\nformat binary_little_endian 1.0\nelement vertex 4\nproperty float x\n"
        "property float y\nproperty float z\nelement face 4\n"
        "property list uchar int vertex_indices\nend_header\n"
    )
    lists = b"".join(b"\x03" + face.astype("<i4").tobytes() for face in faces)
    document = {
        "asset": {"version": "2.0"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0}],
        "meshes": [{"primitives": [{"attributes": {"POSITION": 0}, "indices": 1}]}],
        "buffers": [{"byteLength": 72}],
        "bufferViews": [
            {"buffer": 0, "byteLength": 48},
            {"buffer": 0, "byteOffset": 48, "byteLength": 24},
        ],
        "accessors": [
            {"bufferView": 0, "componentType": 5126, "count": 4, "type": "VEC3"},
            {"bufferView": 1, "componentType": 5123, "count": 12, "type": "SCALAR"},
        ],
    }
    text = json.dumps(document).encode()
    text += b" " * (-len(text) % 4)
    binary = corners.tobytes() + faces.tobytes()
    glb = struct.pack("<4sIII4s", b"glTF", 2, 28 + len(text) + 72, len(text), b"JSON") + text
    glb += struct.pack("<I4s", 72, b"BIN\0") + binary
    _written(folder, {"a.mtl": "newmtl red\nKd 1 0 0\n"})
    files = {
        "a.obj": _OBJ, "b.off": _OFF, "c.ply": _PLY, "d.stl": stl, "e.glb": glb,
        "f.ply": header.encode() + corners.tobytes() + lists,
    }  # fmt: skip
    return _written(folder, files)


def _models():
    mesh_files = _home("synthetic.mesh_files")

    def check(mesh: Any) -> str:
        fine = _finite(mesh.vertices, mesh.colors) and len(mesh.faces) > 0
        inside = mesh.faces.min() >= 0 and mesh.faces.max() < len(mesh.vertices)
        return "" if fine and inside and np.abs(mesh.vertices).max() <= 1.01 else "a wrong mesh"

    return mesh_files.load, check


# Weights.


def _weight_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    import h5py
    import safetensors.numpy

    golden = pathlib.Path(__file__).parents[1] / "golden"
    for file in golden.glob("torch_*"):
        if file.stat().st_size < 1 << 20:
            shutil.copy(file, folder / file.name)
    arrays = {"conv1_conv/kernel": np.ones((2, 2, 3, 4), "f4"), "conv1_bn/gamma": np.ones(4, "f4")}
    np.savez(folder / "a.npz", **arrays)
    safetensors.numpy.save_file(arrays, folder / "b.safetensors")
    with h5py.File(folder / "c.h5", "w") as file:
        layer = file.create_group("conv1_bn")
        layer.attrs["weight_names"] = [b"conv1_bn/gamma:0"]
        layer.create_dataset("conv1_bn/gamma:0", data=np.ones(4, "f4"))
        file.attrs["layer_names"] = [b"conv1_bn"]
    return sorted(path for path in folder.iterdir() if path.is_file())


def _weights():
    weight_files = _home("models.weight_files")

    def read(path: pathlib.Path) -> dict[str, np.ndarray]:
        return {name: np.asarray(array) for name, array in weight_files.read(path).items()}

    return read, lambda arrays: "" if all(a.size < 1 << 28 for a in arrays.values()) else "huge"


# MATLAB files and pickles.


def _matlab_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from tests.support import miniature_pascal3d

    planted = miniature_pascal3d.write(folder / "release", quirks=False)
    files = sorted(planted.root.glob("Annotations/car*/*.mat"))[:2]
    for i, file in enumerate(files):
        shutil.copy(file, folder / f"{i}.mat")
    shutil.rmtree(folder / "release")
    return sorted(folder.glob("*.mat"))


def _annotations():
    annotations = _home("data.pascal3d.annotations")
    return annotations.read, lambda record: "" if record is not None else "nothing"


def _pickle_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    entries = {f"{i:05d}.jpg": {"azimuth": 0.1 * i, "elevation": 0.0, "theta": 0} for i in range(5)}
    files = {f"{p}.pkl": pickle.dumps(entries, p) for p in (0, 2, 4)}
    return _written(folder, files)


def _pickles():
    return _home("data.stanford_cars.safe_pickle").read, lambda found: ""


# The folder of a run, of which one file is damaged.


def _run_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    mini = _home("experiment.workdir").find("mini")
    shutil.copytree(mini, folder / "run")
    return sorted(path for path in (folder / "run").iterdir() if path.suffix == ".json")


def _runs():
    build = _home("experiment.build")

    def read(path: pathlib.Path) -> Any:
        return build.read_model(path.parent)

    return read, lambda found: "" if len(found[0].categories) == 12 else "other categories"


READERS = {
    "images": Reader(_image_seeds, _images),
    "manifest": Reader(_manifest_seeds, _manifests),
    "predictions": Reader(_prediction_seeds, _predictions),
    "labels": Reader(lambda folder: _written(folder, _TABLES), _labels),
    "models": Reader(_model_seeds, _models),
    "weights": Reader(_weight_seeds, _weights),
    "annotations": Reader(_matlab_seeds, _annotations),
    "pickles": Reader(_pickle_seeds, _pickles),
    "runs": Reader(_run_seeds, _runs),
}
