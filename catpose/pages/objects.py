"""Objects of photos, as a person labels them."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from catpose.data import tables
from catpose.data.examples import Examples
from catpose.errors import InputError
from catpose.geometry import viewpoint

STATES = ("labeled", "draft", "no pose", "skipped")


class Object(NamedTuple):
    """One object of a photo, or the remark that the photo was skipped.

    Attributes:
      id: its number while the pages are open.
      state: one of STATES.
      category: a name; "" where nobody has said one.
      angles_deg: azimuth, elevation and theta; None where there is no pose.
      box: x0, y0, x1, y1 in pixels of the upright photo; None for the whole of it.
      symmetry: "none", "z" or a number, see `catpose.geometry.symmetry`.
      row: its CSV row.
    """

    id: int
    state: str
    category: str = ""
    angles_deg: tuple[float, ...] | None = None
    box: tuple[float, ...] | None = None
    symmetry: str = "none"
    row: Mapping[str, str] = {}

    def to_json(self) -> dict[str, Any]:
        """What a page knows of it."""
        found = self._asdict()
        del found["row"]
        return found


class Photo(NamedTuple):
    """A photo's objects, and a number that grows with each change of them."""

    objects: tuple[Object, ...] = ()
    revision: int = 0

    def to_json(self) -> dict[str, Any]:
        """What a page knows of it."""
        return {
            "objects": [each.to_json() for each in self.objects],
            "revision": self.revision,
        }


def numbers(value: Any, count: int, where: str) -> tuple[float, ...] | None:
    """What a page sends as a list of numbers; None where it sends none.

    Raises:
      InputError: something else; the message begins with `where`.
    """
    if value is None:
        return None
    if not isinstance(value, list | tuple) or len(value) != count:
        raise InputError(f"{where} is not {count} numbers")
    found = tuple(tables.as_float(each) for each in value)
    if not all(abs(each) <= tables.LARGEST for each in found):
        raise InputError(f"{where} is not {count} finite numbers")
    return found


def without_poses(photos: Mapping[str, Photo]) -> dict[str, list[Object]]:
    """What was labeled, to be labeled once more; see `Labels.begin`."""
    return {
        file: [each._replace(angles_deg=None) for each in photo.objects if each.state == "labeled"]
        for file, photo in photos.items()
    }


def of_examples(examples: Examples) -> dict[str, list[Object]]:
    """Objects that another tool has found, by the flag "image"; see `Labels.begin`.

    Those whose rotation is NaN have no pose.
    """
    found: dict[str, list[Object]] = {}
    for i, file in enumerate(examples.flags["image"].tolist()):
        has_pose = np.isfinite(examples.rotation[i]).all()
        pose = tuple(angles_deg(examples.rotation[i][None])[0].tolist()) if has_pose else None
        box = tuple(examples.box[i].tolist()) if np.isfinite(examples.box[i]).all() else None
        name = examples.categories[examples.category[i]]
        found.setdefault(file, []).append(Object(0, "draft", name, pose, box))
    return found


def angles_deg(rotation: np.ndarray) -> np.ndarray:
    """Azimuth, elevation and theta of rotations in "camera", (N, 3) degrees."""
    radians = viewpoint.angles_from_rotation(np.asarray(rotation, np.float32))
    return np.degrees(np.stack(radians, axis=-1).astype(np.float64))
