"""How far two passes of labeling the same photos are apart."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from catpose.data import pose_table
from catpose.evaluation import distances
from catpose.geometry import symmetry
from catpose.pages.objects import Object, Photo

_WORST = 5


def pairs(
    first: Mapping[str, Photo], second: Mapping[str, Photo]
) -> Iterator[tuple[str, Object, Object]]:
    """Objects labeled in both passes: file, first and second label."""
    for file, photo in second.items():
        left = [each for each in first.get(file, Photo()).objects if each.state == "labeled"]
        for new in photo.objects:
            same = [each for each in left if each.category == new.category]
            if new.state == "labeled" and same:
                old = max(same, key=lambda each, new=new: overlap(each.box, new.box))
                left.remove(old)
                yield file, old, new


def overlap(one: tuple[float, ...] | None, other: tuple[float, ...] | None) -> float:
    """Intersection over union of two boxes; of a box and the whole photo 0, of two of these 1."""
    if one is None or other is None:
        return float(one is other)
    low, high = np.maximum(one[:2], other[:2]), np.minimum(one[2:], other[2:])
    common = np.prod(np.maximum(high - low, 0))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return float(common / (sum(areas) - common))


def summary(first: Mapping[str, Photo], second: Mapping[str, Photo]) -> dict[str, Any]:
    """Their number, the median and the 90th percentile in degrees, and the worst.

    Distances respect the symmetry of the first label.
    """
    found = list(pairs(first, second))
    if not found:
        return {"count": 0}
    angles = [np.array([pair[i].angles_deg for pair in found]) for i in (1, 2)]
    one, other = (pose_table.rotations_from_angles(each, for_paper=False) for each in angles)
    orders = [int(symmetry.orders({"it": old.symmetry}, ("it",))[0]) for _, old, _ in found]
    apart = distances.distance_deg(other, one, np.array(orders, np.int32))
    worst = sorted(zip(apart.tolist(), (pair[0] for pair in found), strict=True), reverse=True)
    return {
        "count": len(found),
        "median_deg": float(np.median(apart)),
        "percentile_90_deg": float(np.percentile(apart, 90)),
        "worst": [{"file": file, "degrees": degrees} for degrees, file in worst[:_WORST]],
    }
