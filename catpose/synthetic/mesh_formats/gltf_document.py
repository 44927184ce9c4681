"""A document of glTF 2.0 and what its numbers refer to: lists, buffers, accessors, textures."""

import base64
import functools
import json
import pathlib
import struct
import urllib.parse
from typing import Any

import numpy as np

from catpose.errors import InputError
from catpose.synthetic.mesh_formats import face_colors, model_source

_COMPONENTS = {5120: "<i1", 5121: "<u1", 5122: "<i2", 5123: "<u2", 5125: "<u4", 5126: "<f4"}
_WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3, "VEC4": 4, "MAT4": 16}
_WRAPS = {10497: "repeat", 33648: "mirror", 33071: "clamp"}
DRACO = "KHR_draco_mesh_compression"
_MESHOPT = ("EXT_meshopt_compression", "KHR_meshopt_compression")
_IMAGES = ("EXT_texture_webp", "EXT_texture_avif")
_READ = ("KHR_mesh_quantization", "KHR_texture_transform", "EXT_mesh_gpu_instancing", *_IMAGES)
# What begins so changes neither the shape nor, but for the one that is read, the base color.
_HARMLESS = ("KHR_materials_", "KHR_lights_", "KHR_animation_", "KHR_xmp")
_REMEDIES = {
    **dict.fromkeys((DRACO, *_MESHOPT), "write it without: gltf-transform copy in.glb out.glb"),
    "KHR_texture_basisu": "write it with PNG or JPEG textures",
}


def refuse(extension: str) -> None:
    """Raises InputError for an extension that is not read."""
    remedy = _REMEDIES.get(extension, "export it again without")
    raise InputError(f"it uses {extension}, which is not read; {remedy}")


class Document:
    """An open file.

    Attributes:
      json: the document.

    Raises:
      InputError: it is not glTF 2.0, cut short, or requires an extension that is not read.
    """

    def __init__(self, path: pathlib.Path):
        self.path, self._data, self._binary = path, model_source.read_bytes(path), None
        text = self._data
        if text.startswith(b"glTF"):
            text, self._binary = _chunks(text)
        self.json = json.loads(text)
        version = str(self.json["asset"]["version"])
        if not version.startswith("2"):
            raise InputError(f"it is glTF {version}; export it as glTF 2.0")
        for name in self.json.get("extensionsRequired", []):
            if name not in _READ and not name.startswith(_HARMLESS):
                refuse(name)
        # Each is read once, however often it is named.
        self._named = functools.cache(self._read_named)
        self.texture = functools.cache(self._read_texture)

    def item(self, kind: str, index: Any) -> Any:
        """The entry of one of the document's lists that a number names."""
        items = self.json.get(kind, [])
        if type(index) is not int or not 0 <= index < len(items):
            raise InputError(f"{kind}[{index}] is named, but not there")
        return items[index]

    def accessor(self, index: Any, *, color: bool = False) -> np.ndarray:
        """An accessor's numbers, (count, width); normalized integers in [-1, 1].

        Args:
          index: among the accessors.
          color: integers are normalized in any case.
        """
        accessor = self.item("accessors", index)
        count, kind = _whole(accessor["count"]), _COMPONENTS[accessor["componentType"]]
        width = _WIDTHS[accessor["type"]]
        if "bufferView" in accessor:
            values = self._elements(accessor, kind, count, width)
        elif count <= len(self._data):
            values = np.zeros((count, width), kind)
        else:
            raise InputError(f"accessors[{index}] has {count} elements without data")
        if "sparse" in accessor:
            sparse, values = accessor["sparse"], values.copy()
            changed, given = _whole(sparse["count"]), sparse["indices"]
            places = self._elements(given, _COMPONENTS[given["componentType"]], changed, 1)[:, 0]
            values[places] = self._elements(sparse["values"], kind, changed, width)
        if kind != "<f4" and (color or accessor.get("normalized")):
            values = np.maximum(values / np.iinfo(kind).max, -1)
        return values

    def _elements(self, given: Any, kind: str, count: int, width: int) -> np.ndarray:
        """Numbers at an offset of a view of a buffer, (count, width)."""
        view = self.item("bufferViews", given["bufferView"])
        data, offset = self._view(view), _whole(given.get("byteOffset", 0))
        size = width * np.dtype(kind).itemsize
        stride = _whole(view.get("byteStride", size))
        if stride < size or not count or offset + (count - 1) * stride + size > len(data):
            raise InputError(f"{count} elements do not fit bufferViews[{given['bufferView']}]")
        return np.ndarray((count, width), kind, data, offset, (stride, np.dtype(kind).itemsize))

    def _view(self, view: Any) -> memoryview:
        """The bytes of a view of a buffer."""
        index = view["buffer"]
        buffer = self.item("buffers", index)
        packed = [name for name in _MESHOPT if name in view.get("extensions", {})]
        if "uri" in buffer:
            data = self._named(buffer["uri"])
        else:
            data = self._binary if index == 0 and not packed else None
        if data is None and packed:
            refuse(packed[0])
        if data is None:
            raise InputError(f"the data of buffers[{index}] are missing; put its file beside it")
        start, length = _whole(view.get("byteOffset", 0)), _whole(view["byteLength"])
        if start + length > len(data):
            raise InputError(f"buffers[{index}] ends before a view of it does")
        return memoryview(data)[start : start + length]

    def _read_named(self, uri: str) -> bytes | None:
        """What a URI holds or names; None where there is no such file."""
        if uri.startswith("data:"):
            head, _, text = uri.partition(",")
            coded = urllib.parse.unquote_to_bytes(text)
            return base64.b64decode(coded) if head.endswith(";base64") else coded
        found = model_source.beside(self.path, uri)
        return found and model_source.read_bytes(found)

    def _read_texture(self, index: Any) -> tuple[np.ndarray | None, tuple[str, str]]:
        """A texture's pixels, None where they cannot be read, and what is beyond along u and v."""
        texture = self.item("textures", index)
        sampler = self.item("samplers", texture["sampler"]) if "sampler" in texture else {}
        others = texture.get("extensions", {})
        sources = [texture, *(others[name] for name in _IMAGES if name in others)]
        found = [source["source"] for source in sources if "source" in source]
        if not found:
            refuse(next(iter(others), "a texture without an image"))
        image = self.item("images", found[0])
        if "bufferView" in image:
            content = bytes(self._view(self.item("bufferViews", image["bufferView"])))
        else:
            content = self._named(image["uri"])
        name = str(image.get("name", image.get("uri", f"images[{found[0]}]")))
        wrap = tuple(_WRAPS[sampler.get(f"wrap{axis}", 10497)] for axis in "ST")
        return face_colors.opened(self.path, name, content), wrap


def _whole(value: Any) -> int:
    if type(value) is not int or value < 0:
        raise InputError(f"a count or an offset is {value}")
    return value


def _chunks(data: bytes) -> tuple[bytes, bytes | None]:
    """The JSON and the binary part of a .glb."""
    version, length = struct.unpack_from("<II", data, 4)
    if version != 2:
        raise InputError(f"it is glTF {version}; export it as glTF 2.0")
    chunks, at = {}, 12
    while at + 8 <= length <= len(data):
        size, kind = struct.unpack_from("<I4s", data, at)
        chunks.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size
    if max(at, length) > len(data):
        raise InputError(f"it ends after {len(data)} of {max(at, length)} bytes; copy it again")
    return chunks[b"JSON"], chunks.get(b"BIN\0")
