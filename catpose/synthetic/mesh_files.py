"""Models of your own: OBJ, OFF, PLY, STL and glTF files, and the folders that hold them.

A file does not define which way its object faces: `up` and `front` do, and are turned into the
object frame (z up, front at -y, left side at +x). The third axis follows from these two, so the
result is never a mirror image.
"""

import pathlib
import re
import sys
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from catpose import errors
from catpose.errors import InputError
from catpose.images import formats
from catpose.synthetic import mesh_cleanup, scene
from catpose.synthetic.mesh_formats import gltf, model_source, obj, off, ply, stl

READERS = {
    **{".obj": obj.read, ".off": off.read, ".ply": ply.read, ".stl": stl.read},
    **{".glb": gltf.read, ".gltf": gltf.read},
}
OBJECT_AXES = ("+z", "-y")  # up and front of catpose, of PASCAL3D+'s models too
GLTF_AXES = ("+y", "+z")  # by its standard
# ShapeNetCore's release 1 and its release 2, each with its name of the file below <synset>/<id>.
SHAPENET = {"model.obj": ("+y", "+x"), "models/model_normalized.obj": ("+y", "-z")}


class Found(NamedTuple):
    """A model in a folder.

    Attributes:
        category: its name; in ShapeNet's layout the synset, as `02958343`.
        name: of the model in its category.
        path: the file.
        up: the axis that points upwards in the file.
        front: the axis that points to the object's front.
    """

    category: str
    name: str
    path: pathlib.Path
    up: str
    front: str


def turn(up: str, front: str) -> Float[np.ndarray, "3 3"]:
    """The rotation from a file's axes to the object frame.

    Args:
        up: "+x", "-x", "+y", "-y", "+z" or "-z" (the plus may be left out).
        front: likewise.

    Returns:
        R, a proper rotation: `x_object = R x_file`.

    Raises:
        InputError: if one is no axis, or both are the same or opposite ones.
    """
    directions = []
    for name, axis in (("up", up), ("front", front)):
        match = re.fullmatch(r"([+-]?)([xyz])", axis)
        if not match:
            raise InputError(f"{name} must be +x, -x, +y, -y, +z or -z, not {axis!r}")
        directions.append(np.eye(3)["xyz".index(match[2])] * (-1 if match[1] == "-" else 1))
    above, ahead = directions
    if above @ ahead != 0:
        raise InputError(f"up and front must be square to each other, not {up!r} and {front!r}")
    return np.stack([np.cross(above, ahead), -ahead, above])


def load(
    path: str | pathlib.Path,
    *,
    up: str = OBJECT_AXES[0],
    front: str = OBJECT_AXES[1],
    max_triangles: int = 5000,
) -> scene.Mesh:
    """Reads a model.

    Colors are the file's own, one per face: of its faces, of its vertices (averaged), of its
    textures (averaged over the face) or materials; gray otherwise, and a line on standard error
    says what is missing beside the file. Transparency is left out.
    Closed parts are turned outwards; parts that are open or wound both ways get both sides of
    every face, since the renderer draws no face from behind.

    Args:
        path: an .obj, .off, .ply, .stl, .glb or .gltf file.
        up: the axis of the file that points upwards, see `turn`.
        front: the axis of the file that points to the object's front.
        max_triangles: larger meshes are simplified; both sides of an open part count.

    Returns:
        The mesh in the object frame, every face a triangle, float32; the box of the model as it
        was in the file is centered on the origin and has half diagonal 1.

    Raises:
        InputError: the file is missing, of another kind, damaged, too large, without faces, or uses
            what is not read here; to simplify it the extra `cad` is missing; or an argument is out
            of range.
    """
    path, rotation = pathlib.Path(path), turn(up, front)
    if max_triangles < 12:
        raise InputError(f"max_triangles must be at least 12, not {max_triangles}")
    if path.suffix.lower() not in READERS:
        raise InputError(f"{path} is not one of {', '.join(READERS)}")
    if not path.is_file():
        raise InputError(f"there is no model {path}")
    surface = _read(path)
    try:
        surface = mesh_cleanup.welded(surface)
        low, high = surface.vertices.min(axis=0), surface.vertices.max(axis=0)
        surface = mesh_cleanup.simplified(surface, max_triangles)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    vertices = (surface.vertices - (low + high) / 2) / np.linalg.norm((high - low) / 2)
    return scene.Mesh(
        (vertices @ rotation.T).astype(np.float32),
        surface.triangles[:, [0, 1, 2, 2]].astype(np.int32),
        np.clip(surface.colors, 0, 1).astype(np.float32),
    )


def load_each(
    models: Sequence[Found], *, max_triangles: int = 5000
) -> Iterator[tuple[Found, scene.Mesh]]:
    """Loads models one by one; those that cannot be read are left out and named on standard error.

    Args:
        models: what `find` gave.
        max_triangles: see `load`.

    Raises:
        InputError: at the end, if the share of those is above `errors.MAX_BROKEN_SHARE`.
    """
    broken = []
    for model in models:
        try:
            mesh = load(model.path, up=model.up, front=model.front, max_triangles=max_triangles)
        except InputError as error:
            broken.append(str(error))
            continue
        yield model, mesh
    errors.check_broken(broken, len(models), "models")
    for line in broken:
        print(f"left out: {line}", file=sys.stderr)


def _read(path: pathlib.Path) -> mesh_cleanup.Surface:
    """All triangles of a file, in its own axes."""
    try:
        with path.open("rb") as file:
            foreign = formats.foreign(file.read(1024))
        if foreign:
            raise InputError(f"it is {foreign}")
        with np.errstate(over="raise", invalid="raise"):
            return model_source.join(READERS[path.suffix.lower()](path))
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:  # a damaged file can make a reader raise anything
        reason = f"{type(error).__name__}: {errors.reason(error)}"
        raise InputError(f"{path} is damaged, or no {path.suffix[1:]} file ({reason})") from error


def find(
    folder: str | pathlib.Path, *, up: str | None = None, front: str | None = None
) -> list[Found]:
    """Lists the models in a folder, sorted by category and name.

    Three layouts are known, tried in this order:

        PASCAL3D+   CAD/<category>/NN.off below the folder; z up, front at -y
        ShapeNet    <synset>/<id>/model.obj (release 1; y up, front at +x) or
                    <synset>/<id>/models/model_normalized.obj (release 2; y up, front at -z);
                    the folder may be the synset's own
        plain       files in the folder or in folders in it; the category is the name of the
                    folder that the file is in; z up, front at -y (.glb, .gltf: y up, front at +z)

    Args:
        folder: where to look.
        up: what points upwards in all of the files, instead of the layout's axis.
        front: what points to the front, likewise.

    Raises:
        InputError: if there is no such folder, no model in it, or the axes are no axes.
    """
    folder = pathlib.Path(folder)
    if not folder.is_dir():
        raise InputError(f"there is no folder {folder}")
    found = [
        Found(path.parent.name, path.stem, path, *OBJECT_AXES)
        for path in folder.glob("CAD/*/*.off")
        if re.fullmatch(r"\d+", path.stem)
    ]
    found = found or _in_shapenet(folder) or _plain(folder)
    if not found:
        raise InputError(f"there is no model in {folder}: no {', '.join(READERS)} file")
    found = [model._replace(up=up or model.up, front=front or model.front) for model in found]
    for model in found:
        turn(model.up, model.front)
    return sorted(found)


def _in_shapenet(folder: pathlib.Path) -> list[Found]:
    found = {}
    for synset in (folder.resolve(), *folder.iterdir()):
        if re.fullmatch(r"\d{8}", synset.name):
            for pattern, axes in SHAPENET.items():
                for path in synset.glob("*/" + pattern):
                    name = path.relative_to(synset).parts[0]
                    found[synset.name, name] = Found(synset.name, name, path, *axes)
    return list(found.values())


def _plain(folder: pathlib.Path) -> list[Found]:
    found = []
    for path in (*folder.glob("*"), *folder.glob("*/*")):
        suffix = path.suffix.lower()
        is_hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if suffix in READERS and not is_hidden and path.is_file():
            axes = GLTF_AXES if suffix in (".glb", ".gltf") else OBJECT_AXES
            found.append(Found(path.absolute().parent.name, path.stem, path, *axes))
    return found
