"""3D models, weights, MATLAB files, pickles, downloads and runs for `tests/fuzz.py`."""

import json
import pathlib
import pickle
import shutil
import struct
from typing import Any

import numpy as np

from tests.support.fuzz_reader import Reader, are_rotations, finite, home, written

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
    written(folder, {"a.mtl": "newmtl red\nKd 1 0 0\n"})
    files = {
        "a.obj": _OBJ, "b.off": _OFF, "c.ply": _PLY, "d.stl": stl, "e.glb": glb,
        "f.ply": header.encode() + corners.tobytes() + lists,
    }  # fmt: skip
    return written(folder, files)


def _models():
    mesh_files = home("synthetic.mesh_files")

    def check(mesh: Any) -> str:
        fine = finite(mesh.vertices, mesh.colors) and len(mesh.faces) > 0
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
    weight_files = home("models.weight_files")

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
    annotations = home("data.pascal3d.annotations")
    return annotations.read, lambda record: "" if record is not None else "nothing"


def _pickle_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    entries = {f"{i:05d}.jpg": {"azimuth": 0.1 * i, "elevation": 0.0, "theta": 0} for i in range(5)}
    files = {f"{p}.pkl": pickle.dumps(entries, p) for p in (0, 2, 4)}
    return written(folder, files)


def _pickles():
    return home("data.stanford_cars.safe_pickle").read, lambda found: ""


# Whole downloads, of which one file is damaged.


def _car_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from tests.support import car_downloads

    root = car_downloads.downloads(folder, train=6)
    return sorted(path for end in ("*.mat", "*.pkl") for path in root.glob(f"**/{end}"))


def _cars():
    annotations = home("data.stanford_cars.annotations")

    def read(path: pathlib.Path) -> Any:
        return annotations.read(_ancestor(path, "manual"))

    return read, lambda found: "" if 0 < len(found[0]) <= 6 else "other photos"


def _release_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from tests.support import miniature_pascal3d

    root = miniature_pascal3d.write(folder, quirks=False).root
    wanted = ("Image_sets/car*.txt", "PASCAL/**/car*.txt", "CAD/bus/*.off", "CAD/*.mat")
    return sorted(path for pattern in wanted for path in root.glob(pattern))


def _releases():
    layout, cad_points = (
        home("data.pascal3d.layout"),
        home("data.pascal3d.cad_points"),
    )
    categories = home("data.categories").CATEGORIES
    variant = layout.variant("pascal3d", "paper")

    def read(path: pathlib.Path) -> Any:
        root = _ancestor(path, "PASCAL3D+_release1.1")
        folders = layout.RELEASES["pascal3d"].cad
        return layout.read_lists(root, "pascal3d", variant), cad_points.read(
            root, folders, categories
        )

    return (
        read,
        lambda found: "" if finite(found[1].points) else "points that are not finite",
    )


def _rendered_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    from PIL import Image

    name = "02958343/one/02958343_one_a010_e020_t003_d004.jpg"
    (folder / name).parent.mkdir(parents=True)
    Image.new("RGB", (20, 20)).save(folder / name)
    return written(folder, {"rendered.json": json.dumps({"tilt": "fresh", "made_by": "catpose"})})


def _rendered():
    reader = home("data.render_for_cnn.read")
    categories = home("data.categories").CATEGORIES

    def read(path: pathlib.Path) -> Any:
        return reader.read(path.parent, categories=categories, show_progress=False)

    return read, lambda found: "" if are_rotations(found.rotation) else "no rotations"


def _ancestor(path: pathlib.Path, name: str) -> pathlib.Path:
    return next(parent for parent in path.parents if parent.name == name)


# The folder of a run, of which one file is damaged.


def _run_seeds(folder: pathlib.Path) -> list[pathlib.Path]:
    mini = home("experiment.workdir").find("mini")
    shutil.copytree(mini, folder / "run")
    return sorted(path for path in (folder / "run").iterdir() if path.suffix == ".json")


def _runs():
    build = home("experiment.build")

    def read(path: pathlib.Path) -> Any:
        return build.read_model(path.parent)

    return read, lambda found: "" if len(found[0].categories) == 12 else "other categories"


READERS = {
    "models": Reader(_model_seeds, _models),
    "weights": Reader(_weight_seeds, _weights),
    "annotations": Reader(_matlab_seeds, _annotations),
    "pickles": Reader(_pickle_seeds, _pickles),
    "cars": Reader(_car_seeds, _cars),
    "releases": Reader(_release_seeds, _releases),
    "rendered": Reader(_rendered_seeds, _rendered),
    "runs": Reader(_run_seeds, _runs),
}
