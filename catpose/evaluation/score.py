"""Labels and predictions under a protocol: which objects count, their errors, the figures.

The figures are those of `catpose.metrics`, with its conventions (strict thresholds, the median of
an even number between the middle two), averaged as the protocol says. Predictions are found by the
id of their object. An object without a prediction, where that is allowed, is a miss: it has the
largest error there is and a wrong category. So has, under "gated", one whose category is wrong.
"""

from typing import Any, NamedTuple

import jax
import numpy as np

from catpose import metrics
from catpose.data import examples
from catpose.data.examples import BOOLEAN_FLAGS, Examples
from catpose.errors import InputError
from catpose.evaluation import averages, bootstrap, prediction_files, protocols
from catpose.geometry import so3, viewpoint

# Filters in the order in which objects are left out; each object is counted once.
FILTERS = (*BOOLEAN_FLAGS, "first_object_only", "test_list")
_ISOMETRIC = ("camera", "upright")


class Score(NamedTuple):
    """The outcome of `score`.

    Attributes:
      protocol: as it was applied.
      what: what the labels are.
      categories: names, in the order of the per-category lists.
      num_objects: objects that count.
      num_per_category: of each category.
      left_out: by filter, objects that it left out.
      missing: objects that count and have no prediction.
      surplus: predictions of objects that the labels do not know.
      notes: remarks in words.
      figures: see `averages.summarize`.
      replicates: resamples behind the intervals; 0 for none.
    """

    protocol: protocols.Protocol
    what: str
    categories: tuple[str, ...]
    num_objects: int
    num_per_category: list[int]
    left_out: dict[str, int]
    missing: int
    surplus: int
    notes: list[str]
    figures: dict[str, dict[str, Any]]
    replicates: int


def score(
    truth: Examples,
    found: prediction_files.Predictions,
    protocol: protocols.Protocol,
    *,
    allow_missing: bool = False,
    allow_surplus: bool = False,
    replicates: int = bootstrap.REPLICATES,
    seed: int = 0,
) -> Score:
    """Scores predictions.

    Args:
      truth: the objects.
      found: predictions of them, in any order.
      protocol: see `catpose.evaluation.protocols`.
      allow_missing: objects without a prediction are misses instead of an error.
      allow_surplus: predictions of unknown objects are left out instead of an error.
      replicates: resamples for the 95 % intervals; 0 for none.
      seed: of the resamples.

    Raises:
      InputError: no object is left, a missing or surplus prediction, an unknown category, or no
        categories where the protocol asks the system for them.
    """
    known = {name: i for i, name in enumerate(truth.id.tolist())}
    strangers = [name for name in found.id.tolist() if name not in known]
    if strangers and not allow_surplus:
        raise InputError(
            f"{len(strangers)} of {len(found.id)} predictions are of objects that {truth.origin} "
            f"does not have, the first: '{strangers[0]}' (--allow_surplus leaves them out)"
        )
    kept, left_out, notes = select(truth, protocol)
    counted = examples.take(truth, kept)
    if not len(counted.id):
        raise InputError(f"no object of {truth.origin} is left after the protocol's filters")
    if protocol.num_objects not in (0, len(counted.id)):
        notes.append(
            f"the published list has {protocol.num_objects} objects, this one {len(counted.id)}"
        )
    place = {name: i for i, name in enumerate(found.id.tolist())}
    row = np.array([place.get(name, -1) for name in counted.id.tolist()])
    missing = int((row < 0).sum())
    if missing and not allow_missing:
        raise InputError(
            f"{missing} of {len(row)} objects have no prediction, the first: "
            f"'{counted.id[row < 0][0]}' (--allow_missing scores them as misses)"
        )
    table, named = _table(counted, found, row, protocol)
    categories = counted.categories
    return Score(
        protocol=protocol,
        what=truth.origin,
        categories=categories,
        num_objects=len(row),
        num_per_category=np.bincount(counted.category, minlength=len(categories)).tolist(),
        left_out=left_out,
        missing=missing,
        surplus=len(strangers),
        notes=notes,
        figures=averages.summarize(
            table,
            len(categories),
            average=protocol.average,
            named=named,
            replicates=replicates,
            seed=seed,
        ),
        replicates=replicates,
    )


def select(
    truth: Examples, protocol: protocols.Protocol
) -> tuple[np.ndarray, dict[str, int], list[str]]:
    """Which objects count.

    Returns:
      A mask (N,), how many objects each filter left out, and remarks on filters that could not be
      applied because the labels lack the flag.
    """
    source = protocols.TEST_LISTS[protocol.test_list]
    tests = {
        name: (name, lambda flag: ~flag) for name in BOOLEAN_FLAGS if not getattr(protocol, name)
    }
    if protocol.first_object_only:
        tests["first_object_only"] = ("object", lambda flag: flag == 1)
    if source:
        tests["test_list"] = ("source", lambda flag: flag == source)
    kept = np.ones(len(truth.id), bool)
    left_out, lacking = {}, []
    for name in FILTERS:
        if name not in tests:
            continue
        flag, passes = tests[name]
        if flag not in truth.flags:
            # Labels of a folder of one's own know no flags; only published protocols rely on them.
            lacking += [flag] if protocol.test_list != "any" else []
            continue
        before = int(kept.sum())
        kept &= passes(np.asarray(truth.flags[flag]))
        left_out[name] = before - int(kept.sum())
    notes = []
    if lacking:
        notes.append(
            f"the labels do not say: {', '.join(lacking)}; they are taken as already chosen"
        )
    return kept, left_out, notes


def errors_deg(
    truth: Examples, found: prediction_files.Predictions, row: np.ndarray, frame: str
) -> np.ndarray:
    """Geodesic errors.

    Args:
      truth: N objects.
      found: predictions.
      row: (N,) the prediction of each object, -1 for none.
      frame: where distances are measured.

    Returns:
      (N,) degrees in [0, 180]; 180 without a prediction.
    """
    error = np.full(len(row), 180.0)
    for source in np.unique(found.frame):
        mine = (row >= 0) & (found.frame[row] == source)
        if not mine.any():
            continue
        predicted = _converted(found.rotation[row[mine]], str(source), frame)
        target = _converted(truth.rotation[mine], "camera", frame)
        with jax.enable_x64(True):
            error[mine] = np.degrees(np.asarray(so3.geodesic_distance(predicted, target)))
    return error


def _converted(rotation: np.ndarray, source: str, target: str) -> np.ndarray:
    if source == target:
        return rotation
    # To "paper" in float32, as in training: where the elevation is 90 deg, the angles of a
    # rotation are only rounding, and a coarser tolerance knows such a rotation for what it is.
    exact = source in _ISOMETRIC and target in _ISOMETRIC
    rotation = np.asarray(rotation, np.float64 if exact else np.float32)
    with jax.enable_x64(True):
        return np.asarray(viewpoint.convert_frame(rotation, source, target), np.float64)


def _table(
    truth: Examples,
    found: prediction_files.Predictions,
    row: np.ndarray,
    protocol: protocols.Protocol,
) -> tuple[metrics.Table, bool]:
    """One row an object, and whether the system names categories."""
    category = _categories(truth, found, row)
    present = row >= 0
    named = bool(present.any()) and bool((category[present] >= 0).all())
    if not named and protocol.category != "oracle":
        some = found.id[row[present & (category < 0)]]
        which = f"'{some[0]}' has none" if some.size else "there is no prediction"
        raise InputError(
            f"the protocol scores categories that the system names, and {which}; add a column "
            "category, or choose a protocol that gives the category (--protocol=list)"
        )
    error = errors_deg(truth, found, row, protocol.frame)
    azimuth = np.full(len(row), 180.0)
    for source in np.unique(found.frame):
        mine = present & (found.frame[row] == source)
        azimuth[mine] = metrics.azimuth_difference_deg(
            _azimuth_deg(_converted(found.rotation[row[mine]], str(source), "camera")),
            _azimuth_deg(truth.rotation[mine]),
        )
    if protocol.category == "gated":
        wrong = category != truth.category
        error[wrong] = azimuth[wrong] = 180.0
    table = metrics.Table(
        category=truth.category,
        predicted_category=category,
        error_deg=error * protocols.NORMS[protocol.norm],
        azimuth_error_deg=azimuth,
        weight=np.ones(len(row)),
    )
    return table, named


def _azimuth_deg(rotation: np.ndarray) -> np.ndarray:
    with jax.enable_x64(True):
        return np.degrees(np.asarray(viewpoint.angles_from_rotation(rotation)[0]))


def _categories(
    truth: Examples, found: prediction_files.Predictions, row: np.ndarray
) -> np.ndarray:
    """(N,) numbers of the predicted categories, -1 where none is named or predicted."""
    index = {name: c for c, name in enumerate(truth.categories)} | {"": -1}
    for i in row[row >= 0]:
        if str(found.category[i]) not in index:
            raise InputError(
                f"'{found.id[i]}': unknown category '{found.category[i]}'; known: "
                f"{', '.join(truth.categories)}"
            )
    return np.array([index[str(found.category[i])] if i >= 0 else -1 for i in row])
