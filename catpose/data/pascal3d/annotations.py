"""One annotation file of PASCAL3D+ or ObjectNet3D: a MATLAB `record` and its objects.

The files were written by hand-operated tools over years, so nothing in them is taken for granted:
fields are absent, empty, of another type or one level deeper than usual. What is found is turned
into plain values, NaN where unknown, and every oddity is named in `Record.quirks`.

Annotated coordinates are MATLAB's: the center of the top left pixel is (1, 1). Here, as everywhere
in catpose, that pixel covers 0..1: a box becomes x1 - 1, y1 - 1, x2, y2 and a point loses 0.5.
Angles are in degrees, as annotated, and mean what `catpose.geometry.viewpoint` says.
"""

import math
import os
from typing import Any, NamedTuple

import numpy as np

from catpose.data import guarded, matlab
from catpose.errors import InputError

NAN = math.nan
LARGEST = 1e7  # of any number in a record
LARGEST_ANGLE = 720.0  # degrees
ANGLES = ("azimuth", "elevation", "theta", "azimuth_coarse", "elevation_coarse")


class AnnotatedObject(NamedTuple):
    """One object of an image.

    Attributes:
      number: its place in the record, from 1.
      category: the class as written; "" where there is none.
      box: x0, y0, x1, y1 in pixels of the annotated image, 0-based, x1 and y1 exclusive; not
        clipped; None where there is no such thing.
      truncated: part of it lies outside the image.
      occluded: part of it is hidden.
      difficult: marked as hard to recognize.
      cad_index: the most similar CAD model of its category, from 1; 0 where unknown.
      angles_deg: azimuth, elevation and in-plane angle theta of the alignment with the CAD model;
        NaN where there is none.
      coarse_deg: azimuth and elevation as an annotator estimated them, before any alignment.
      distance: camera center to object center in units of the CAD model; 0 where only the coarse
        label was made, NaN where unknown.
      focal: focal length in pixels; NaN where unknown.
      center: where the object's center is seen, x and y in pixels (0-based); NaN where unknown.
    """

    number: int
    category: str
    box: tuple[float, float, float, float] | None
    truncated: bool
    occluded: bool
    difficult: bool
    cad_index: int
    angles_deg: tuple[float, float, float]
    coarse_deg: tuple[float, float]
    distance: float
    focal: float
    center: tuple[float, float]


class Record(NamedTuple):
    """What is annotated in one image.

    Attributes:
      size: width and height of the annotated image as the record states them, 0 where it does not.
      objects: in the record's order.
      quirks: (name, object number) of each oddity; number 0 means the record itself. The names are
        explained in `catpose.data.pascal3d.build_report`.
    """

    size: tuple[int, int]
    objects: tuple[AnnotatedObject, ...]
    quirks: tuple[tuple[str, int], ...]


def read(path: str | os.PathLike, viewport: float = 3000.0) -> Record:
    """Reads one .mat file.

    Args:
      path: the file.
      viewport: pixels per unit of focal length where a viewpoint does not state it.

    Raises:
      InputError: the file is damaged, of another kind, has no `record`, or numbers in it that can
        be no angle and no place in an image.
    """
    # Structs would take longer from process to process than to read.
    return guarded.read(_read, os.fspath(path), viewport)


def _read(path: str, viewport: float) -> Record:
    records = _structs(matlab.load(path, "record", structs=True))
    if not records:
        raise InputError(f"{path} has no `record`: not an annotation of PASCAL3D+ or ObjectNet3D")
    try:
        return _record(records[0], viewport)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def _record(record: Any, viewport: float) -> Record:
    quirks: list[tuple[str, int]] = []
    field = _field(record, "objects")
    if _is_struct(field):
        quirks.append(("single_object", 0))
    listed = [field] if _is_struct(field) else list(np.asarray(field, dtype=object).ravel())
    objects = [
        _object(struct, number, viewport, quirks)
        for number, item in enumerate(listed, start=1)
        for struct in _structs(item)[:1]
    ]
    if not objects:
        quirks.append(("no_objects", 0))
    return Record(_size(_field(record, "imgsize")), tuple(objects), tuple(quirks))


def _is_struct(value: Any) -> bool:
    return hasattr(value, "_fieldnames")


def _structs(value: Any) -> list[Any]:
    """The structs in `value`, which may be one, an array or cell array of them, or anything."""
    if _is_struct(value):
        return [value]
    if isinstance(value, np.ndarray) and value.dtype == object:
        return [found for item in value.ravel() for found in _structs(item)]
    return []


def _field(struct: Any, name: str) -> Any:
    return getattr(struct, name, None)


def _numbers(value: Any) -> np.ndarray:
    """`value` as a flat array of float64, empty where it is nothing of the kind.

    Raises:
      InputError: a number beyond `LARGEST`.
    """
    if value is None or isinstance(value, str):
        return np.empty(0)
    try:
        numbers = np.asarray(value, dtype=np.float64).ravel()
    except (TypeError, ValueError):  # structs, or arrays of different lengths
        return np.empty(0)
    beyond = numbers[np.isfinite(numbers) & (np.abs(numbers) > LARGEST)]
    if beyond.size:
        raise InputError(f"it is damaged: a number in its record is {beyond[0]:g}")
    return numbers


def _number(value: Any) -> float:
    """The first number in `value`, NaN where there is none or it is infinite."""
    numbers = _numbers(value)
    return float(numbers[0]) if numbers.size and np.isfinite(numbers[0]) else NAN


def _size(value: Any) -> tuple[int, int]:
    numbers = _numbers(value)
    if numbers.size < 2 or not np.isfinite(numbers[:2]).all():
        return 0, 0
    return int(numbers[0]), int(numbers[1])


def _text(value: Any) -> str:
    items = np.asarray("" if value is None else value, dtype=object).ravel()
    return str(items[0]).strip() if items.size and isinstance(items[0], str) else ""


def _box(value: Any, number: int, quirks: list) -> tuple[float, float, float, float] | None:
    numbers = _numbers(value)
    if numbers.size != 4 or not np.isfinite(numbers).all():
        quirks.append(("no_box", number))
        return None
    x1, y1, x2, y2 = (float(n) for n in numbers)
    if x1 > x2 or y1 > y2:
        quirks.append(("box_swapped", number))
    return min(x1, x2) - 1, min(y1, y2) - 1, max(x1, x2), max(y1, y2)


def _object(struct: Any, number: int, viewport: float, quirks: list) -> AnnotatedObject:
    flags = {n: _number(_field(struct, n)) for n in ("truncated", "occluded", "difficult")}
    if any(math.isnan(flag) for flag in flags.values()):
        quirks.append(("no_flag", number))
    cad_index = _number(_field(struct, "cad_index"))

    field = _field(struct, "viewpoint")
    viewpoint = next(iter(_structs(field)), None)
    if viewpoint is None:
        quirks.append(("viewpoint_numbers" if _numbers(field).size else "no_viewpoint", number))
    value = {
        name: _number(_field(viewpoint, name))
        for name in (*ANGLES, "distance", "focal", "viewport", "px", "py")
    }
    for name in ANGLES:
        if abs(value[name]) > LARGEST_ANGLE:
            raise InputError(f"object {number}: {name} is {value[name]:g} degrees")
    if math.isnan(value["viewport"]):
        value["viewport"] = viewport
    if viewpoint is not None:
        if math.isnan(value["azimuth"] + value["elevation"]):
            quirks.append(("no_angles", number))
        if math.isnan(value["focal"]):  # as both toolboxes read an empty one
            value["focal"] = 1.0
    return AnnotatedObject(
        number=number,
        category=_text(_field(struct, "class")),
        box=_box(_field(struct, "bbox"), number, quirks),
        truncated=flags["truncated"] > 0,
        occluded=flags["occluded"] > 0,
        difficult=flags["difficult"] > 0,
        cad_index=int(cad_index) if cad_index >= 1 else 0,
        angles_deg=(value["azimuth"], value["elevation"], value["theta"]),
        coarse_deg=(value["azimuth_coarse"], value["elevation_coarse"]),
        distance=value["distance"],
        focal=value["viewport"] * value["focal"],
        center=(value["px"] - 0.5, value["py"] - 0.5),
    )
