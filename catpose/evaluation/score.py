"""The only code that evaluates: predictions and labels under a protocol.

Validation while training, a run's report, `launch.evaluate` and the paper's tables all call it.
The metrics are those of `catpose.metrics`, averaged as the protocol says. Predictions are found by
the id of their object. An object without a prediction, where that is allowed, is a miss: it has the
largest error there is and a wrong category. So has, under "gated", one whose category is wrong.
"""

from typing import Any, NamedTuple

import numpy as np

from catpose import metrics
from catpose.data import examples, predictions
from catpose.data.examples import BOOLEAN_FLAGS, Examples
from catpose.data.predictions import Predictions
from catpose.errors import InputError
from catpose.evaluation import bootstrap, distances, protocols
from catpose.geometry import symmetry

OF_CATEGORIES = ("pose_err_deg", "cat_acc")  # of which a report lists every category


class Score(NamedTuple):
    """The outcome of `score`.

    Attributes:
      protocol: as it was applied.
      origin: what the labels are.
      categories: names, in the order of the per-category lists; of the protocol's parts where it
        averages over these.
      num_objects: objects that count.
      num_per_category: of each category.
      left_out: by filter, objects that it left out.
      missing: objects that count and have no prediction.
      surplus: predictions of objects that the labels do not know.
      notes: remarks in words.
      metrics: by name, what `metrics.summarize` returns, and where there are resamples what
        `bootstrap.bootstrap` does.
      by_spread: the metrics of each quarter of the model's own spread, from the surest on, by name;
        empty where the predictions do not say it.
      replicates: resamples behind the intervals; 0 for none.
      errors: of the objects that count, in the order of the labels.
    """

    protocol: protocols.Protocol
    origin: str
    categories: tuple[str, ...]
    num_objects: int
    num_per_category: list[int]
    left_out: dict[str, int]
    missing: int
    surplus: int
    notes: list[str]
    metrics: dict[str, dict[str, Any]]
    by_spread: dict[str, list[float | None]]
    replicates: int
    errors: metrics.Errors


def score(
    truth: Examples,
    found: Predictions,
    protocol: protocols.Protocol,
    *,
    fusion: str = "",
    orders: np.ndarray | None = None,
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
      fusion: which of the predictions; "" for the only one.
      orders: (K,) symmetries (see `catpose.geometry.symmetry`) that all errors respect, by those
        of the true category; None for plain errors.
      allow_missing: objects without a prediction are misses instead of an error.
      allow_surplus: predictions of unknown objects are left out instead of an error.
      replicates: resamples for the 95 % intervals; 0 for none.
      seed: of the resamples.

    Raises:
      InputError: no object is left, a missing or surplus prediction, an unknown category or
        fusion, or no categories where the protocol asks the system for them.
    """
    found = predictions.only(found, fusion)
    truth = truth._replace(image=None, camera=None, read_fn=None)  # not needed, so not copied
    known = set(truth.id.tolist())
    strangers = [name for name in found.id.tolist() if name not in known]
    if strangers and not allow_surplus:
        raise InputError(
            f"{len(strangers)} of {len(found.id)} predictions are of objects that {truth.origin} "
            f"does not have, the first: '{strangers[0]}' (--allow_surplus leaves them out)"
        )
    kept, left_out, lacking = select(truth, protocol)
    notes = [*truth.notes, *found.notes, *lacking]
    counted = examples.take(truth, kept)
    if not len(counted.id):
        raise InputError(f"no object of {truth.origin} is left after the protocol's filters")
    if protocol.num_objects not in (0, len(counted.id)):
        notes.append(
            f"the published list has {protocol.num_objects} objects, this one {len(counted.id)}"
        )
    if "paper" in found.frame and protocol.frame != "paper":
        notes.append(
            f"the poses are in frame paper, where a small error can be a large one in "
            f"{protocol.frame}, see docs/conventions.md"
        )
    index = _index(counted, found)
    missing = int((index < 0).sum())
    if missing and not allow_missing:
        raise InputError(
            f"{missing} of {len(index)} objects have no prediction, the first: "
            f"'{counted.id[index < 0][0]}' (--allow_missing scores them as misses)"
        )
    errors, named = _errors(counted, found, index, protocol, orders)
    groups, names, average = errors.category, counted.categories, protocol.average
    if average == "part":
        names, average = protocol.parts, "category"
        groups = np.array([names.index(part) for part in counted.flags["part"].tolist()])
        notes += [f"no object of the part {names[i]}" for i in set(range(len(names))) - {*groups}]
    summary = metrics.summarize(errors, len(names), average=average, named=named, groups=groups)
    if replicates:
        # Not of an ECE, which is biased, and more so when resampled.
        resampled = [name for name in summary if metrics.METRICS[name].statistic != "ece"]
        intervals = {}
        for pooled, kind in ((False, average), (True, "instance")):
            own = [name for name in resampled if metrics.METRICS[name].pooled == pooled]
            intervals |= bootstrap.bootstrap(
                groups,
                len(names),
                {name: metrics.values(name, errors) for name in own},
                average=kind,
                replicates=replicates,
                seed=seed,
            )
        for name, ends in intervals.items():
            summary[name] |= ends
    return Score(
        protocol=protocol,
        origin=truth.origin,
        categories=names,
        num_objects=len(index),
        num_per_category=np.bincount(groups, minlength=len(names)).tolist(),
        left_out=left_out,
        missing=missing,
        surplus=len(strangers),
        notes=notes,
        metrics=summary,
        by_spread=_by_spread(errors, named),
        replicates=replicates,
        errors=errors,
    )


def by_fusion(
    truth: Examples,
    found: Predictions,
    orders: np.ndarray | None = None,
    *,
    replicates: int = 0,
) -> dict[str, Score]:
    """Scores of every fusion of a network, by catpose's conventions, in the frame it learned in.

    Args:
      truth: the objects; all of them count.
      found: predictions of each of them.
      orders: see `score`.
      replicates: see `score`.
    """
    protocol = protocols.PROTOCOLS["catpose"]._replace(coarse=True, frame=str(found.frame[0]))
    return {
        fusion: score(truth, found, protocol, fusion=fusion, orders=orders, replicates=replicates)
        for fusion in found.rotation
    }


def summary(scored: Score, orders: np.ndarray | None = None) -> dict[str, Any]:
    """A score as `report.json` has it: `pose_err_deg`, `pose_err_deg_per_category`, and so on.

    `symmetry` is what the errors respect, by category; None where they are the plain ones.
    """
    result: dict[str, Any] = {}
    for name, metric in scored.metrics.items():
        result |= {name: metric["value"], f"{name}_per_category": metric["per_category"]}
        if "interval" in metric:
            result[f"{name}_interval"] = metric["interval"]
            if name in OF_CATEGORIES:
                result[f"{name}_per_category_interval"] = metric["per_category_interval"]
    pooled = metrics.summarize(scored.errors, len(scored.categories), average="instance")
    for name in OF_CATEGORIES:
        result[f"{name}_instance"] = pooled[name]["value"]
    respected = None if orders is None else symmetry.names(orders)
    frame = scored.protocol.frame
    if scored.by_spread:
        result["by_spread"] = scored.by_spread
    return {**result, "num_images": scored.num_objects, "frame": frame, "symmetry": respected}


def summaries(
    truth: Examples,
    found: Predictions,
    orders: np.ndarray | None = None,
    *,
    replicates: int = 0,
) -> dict[str, Any]:
    """The metrics of a split as `report.json` has them: by fusion, and `topk` (Table 13)."""
    scores = by_fusion(truth, found, orders, replicates=replicates)
    result = {fusion: summary(scored, orders) for fusion, scored in scores.items()}
    return {**result, "topk": topk(truth, found, orders)}


def topk(truth: Examples, found: Predictions, orders: np.ndarray | None = None) -> dict[str, Any]:
    """`metrics.topk` of a network's predictions, in the frame in which it learned."""
    frame, index = str(found.frame[0]), _index(truth, found)
    error = distances.distance_deg(
        found.network_rotation[index],
        distances.converted(truth.rotation, "camera", frame)[:, None],
        None if orders is None else orders[truth.category][:, None],
    )
    return metrics.topk(error, found.probabilities[index], truth.category)


def select(
    truth: Examples, protocol: protocols.Protocol
) -> tuple[np.ndarray, dict[str, int], list[str]]:
    """Which objects count.

    Returns:
      A mask (N,), how many objects each filter left out, and remarks on filters that could not be
      applied because the labels lack the flag. An object is counted by the first filter that leaves
      it out.

    Raises:
      InputError: the labels do not say which part of the protocol's benchmark an object is in.
    """
    wanted = {name: (name, (False,)) for name in BOOLEAN_FLAGS if not getattr(protocol, name)}
    if protocol.first_object_only:
        wanted["first_object_only"] = ("object", (1,))
    if protocol.test_list != "any":
        wanted["test_list"] = ("source", (protocols.TEST_LISTS[protocol.test_list],))
    if protocol.parts:
        wanted["part"] = ("part", protocol.parts)
        if "part" not in truth.flags:
            raise InputError(
                f"{truth.origin} does not say which part of the benchmark an object is in, and the "
                f"protocol scores {', '.join(protocol.parts)}; see docs/evaluation.md"
            )
    kept = np.ones(len(truth.id), bool)
    left_out, lacking = {}, []
    for name, (flag, values) in wanted.items():
        if flag in truth.flags:
            passes = np.isin(truth.flags[flag], values)
            left_out[name] = int((kept & ~passes).sum())
            kept &= passes
        else:
            lacking.append(flag)
    # Labels of a folder of one's own have no flags; only published protocols rely on them.
    if not lacking or protocol.test_list == "any":
        return kept, left_out, []
    note = (
        f"the labels have no flag {', '.join(lacking)}: their objects count as already chosen by it"
    )
    return kept, left_out, [note]


def _index(truth: Examples, found: Predictions) -> np.ndarray:
    """(N,) the prediction of each object, -1 for none."""
    place = {name: i for i, name in enumerate(found.id.tolist())}
    return np.array([place.get(name, -1) for name in truth.id.tolist()], np.int64)


def _errors(
    truth: Examples,
    found: Predictions,
    index: np.ndarray,
    protocol: protocols.Protocol,
    orders: np.ndarray | None,
) -> tuple[metrics.Errors, bool]:
    """The errors of each object, and whether the system names categories."""
    category = _categories(truth, found, index)
    present = index >= 0
    named = bool(present.any()) and bool((category[present] >= 0).all())
    if not named and protocol.category != "oracle":
        some = found.id[index[present & (category < 0)]]
        which = f"'{some[0]}' has none" if some.size else "there is no prediction"
        raise InputError(
            f"the protocol scores categories that the system names, and {which}; add a column "
            "category, or choose a protocol that gives the category (--protocol=list)"
        )
    error, azimuth = distances.errors_deg(truth, found, index, protocol.frame, orders)
    if protocol.category == "gated":
        wrong = category != truth.category
        error[wrong] = azimuth[wrong] = 180.0
    error *= protocols.NORMS[protocol.norm]
    columns = _certainty(found, index) if present.all() else {}
    return metrics.Errors(truth.category, category, error, azimuth, **columns), named


def _certainty(found: Predictions, index: np.ndarray) -> dict[str, np.ndarray]:
    """The columns of `metrics.Errors` on what predictions say of their own certainty."""
    columns = {name: getattr(found, name) for name in predictions.COLUMNS if name != "known"}
    columns["pose_confidence"] = next(iter(found.pose_confidence.values()), None)
    if found.probabilities is not None and not np.isnan(found.probabilities).any():
        (category,) = found.category.values()
        number = {name: c for c, name in enumerate(found.categories)}
        own = [number.get(str(name), -1) for name in category]
        if min(own, default=-1) >= 0:
            columns["confidence"] = found.probabilities[np.arange(len(own)), own]
    return {name: values[index] for name, values in columns.items() if values is not None}


def _by_spread(errors: metrics.Errors, named: bool) -> dict[str, list[float | None]]:
    if errors.spread_deg is None:
        return {}
    limits = np.quantile(errors.spread_deg, [0.25, 0.5, 0.75])
    quarter = np.searchsorted(limits, errors.spread_deg)
    found = metrics.summarize(errors, 4, named=named, groups=quarter)
    spread = [errors.spread_deg[quarter == i] for i in range(4)]
    medians = [float(np.median(own)) if own.size else None for own in spread]
    return {"spread_deg": medians} | {name: own["per_category"] for name, own in found.items()}


def _categories(truth: Examples, found: Predictions, index: np.ndarray) -> np.ndarray:
    """(N,) numbers of the predicted categories, -1 where none is named or predicted."""
    (category,) = found.category.values()
    # A category that has probabilities, and no object in the labels, is known and always wrong.
    number = dict.fromkeys(found.categories, len(truth.categories))
    number |= {name: c for c, name in enumerate(truth.categories)} | {"": -1}
    for i in index[index >= 0]:
        if str(category[i]) not in number:
            raise InputError(
                f"'{found.id[i]}': unknown category '{category[i]}'; known: "
                f"{', '.join(truth.categories)}"
            )
    return np.array([number[str(category[i])] if i >= 0 else -1 for i in index])
