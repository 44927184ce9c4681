"""Every metric of catpose, in one table, and how it is averaged; on the host, in float64.

`METRICS` defines once what a metric is: its value for each image, the statistic of these values,
and how it is printed. Validation, reports, scores, the paper's tables and their tests all read it,
so a metric that is added here is everywhere. Conventions:

- A metric without a suffix is the mean over categories of a per-category value. Categories without
  an image are None in the per-category list and left out of the mean.
- pose-err is the per-category median; the median of an even number is the mean of the middle two.
- Thresholds are strict (`error < 30`) and accuracies are fractions.
- "_gated" accuracies also ask for the right category; "_instance" values are over all images.
- Calibration (ECE) is a property of all predictions together, so its value is over all images, and
  a category's own is only beside it: of few images it is larger by chance.
- Sums are exact (`math.fsum`), so the order of the images cannot change the last digit.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

THRESHOLDS_DEG = {"10": 10.0, "15": 15.0, "22_5": 22.5, "30": 30.0, "45": 45.0}
WITHIN_DEG = 30.0  # the error to which `Errors.pose_confidence` refers
SET_LEVEL = 0.9  # of the sets whose coverage and volume are metrics
BINS = 15  # of a confidence, equally wide


class Errors(NamedTuple):
    """How wrong the predictions of N objects are; what metrics are computed from.

    Attributes:
      category: (N,) int, true categories.
      predicted_category: (N,) int; -1 where none is named.
      error_deg: (N,) geodesic distance to the true rotation, degrees in [0, 180].
      azimuth_error_deg: (N,) smallest difference of the azimuths, degrees in [0, 180].
      confidence: (N,) probability of the predicted category. This and all that follows is None of a
        system that does not say it.
      pose_confidence: (N,) probability that the error is below 30 degrees.
      log_density: (N,) of the true category and rotation together, in nats; uniform over rotations
        is 0.
      pose_log_density: (N,) of the true rotation, given the true category.
      covered: (N,) whether the truth is in the 90 % set.
      volume: (N,) of that set: the sum over categories of its share of all rotations.
      spread_deg: (N,) how unsure the density is of the pose, see `catpose.models.joint.spread`.
    """

    category: np.ndarray
    predicted_category: np.ndarray
    error_deg: np.ndarray
    azimuth_error_deg: np.ndarray
    confidence: np.ndarray | None = None
    pose_confidence: np.ndarray | None = None
    log_density: np.ndarray | None = None
    pose_log_density: np.ndarray | None = None
    covered: np.ndarray | None = None
    volume: np.ndarray | None = None
    spread_deg: np.ndarray | None = None


class Metric(NamedTuple):
    """One metric.

    Attributes:
      formula: `Errors` of N objects -> (N,) values; (N, 2) where the statistic is "ece".
      statistic: of a category's values, a key of `STATISTICS`.
      label: what reports and tables call it.
      digits: after the point of an average; a single category has half as many.
      sign: 1 where higher is better, -1 where lower is.
      unit: "degrees", "fraction" or "nats".
      needs_category: whether it has no meaning for a system that names no categories.
      needs: columns of `Errors` without which it has no meaning.
      pooled: whether its value is always that of all images together.
    """

    formula: Callable[[Errors], np.ndarray]
    statistic: str
    label: str
    digits: int
    sign: int
    unit: str = "fraction"
    needs_category: bool = False
    needs: tuple[str, ...] = ()
    pooled: bool = False


def _correct(errors: Errors) -> np.ndarray:
    return np.asarray(errors.predicted_category) == np.asarray(errors.category)


def _below(column: str, degrees: float, *, gated: bool = False) -> Callable[[Errors], np.ndarray]:
    def formula(errors: Errors) -> np.ndarray:
        below = np.asarray(getattr(errors, column), np.float64) < degrees
        return below & _correct(errors) if gated else below

    return formula


def _mean(values: np.ndarray) -> float:
    return math.fsum(values) / len(values)


def reliability(
    confidence: np.ndarray, right: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """How many predictions are in each bin of confidence, their mean confidence and share of right.

    Args:
      confidence: (N,) in [0, 1].
      right: (N,) bool.

    Returns:
      Three (15,) arrays; the last two are NaN for an empty bin.
    """
    index = np.minimum((np.asarray(confidence) * BINS).astype(int), BINS - 1)
    counts = np.bincount(index, minlength=BINS)
    with np.errstate(invalid="ignore"):
        means = (np.bincount(index, x, minlength=BINS) / counts for x in (confidence, right))
        return counts, *means


def _ece(values: np.ndarray) -> float:
    """The mean distance of confidence and share of right, weighted by the bins' counts.

    Reference: Guo, Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, 2017.
    """
    counts, confidence, right = reliability(*values.T)
    some = counts > 0
    return math.fsum(counts[some] * np.abs(confidence - right)[some]) / len(values)


STATISTICS = {"median": lambda values: float(np.median(values)), "mean": _mean, "ece": _ece}

METRICS: dict[str, Metric] = {
    "pose_err_deg": Metric(lambda e: e.error_deg, "median", "pose-err", 2, -1, "degrees"),
    "cat_acc": Metric(_correct, "mean", "cat-acc", 4, 1, needs_category=True),
    **{
        f"acc_{name}": Metric(_below("error_deg", t), "mean", f"acc@{t:g}", 4, 1)
        for name, t in THRESHOLDS_DEG.items()
    },
    **{
        f"acc_{name}_gated": Metric(
            _below("error_deg", t, gated=True), "mean", f"acc@{t:g} gated", 4, 1,
            needs_category=True,
        )
        for name, t in THRESHOLDS_DEG.items()
    },
    "aaai": Metric(lambda e: 1 - e.error_deg / 180, "mean", "AAAI", 4, 1),
    "azimuth_err_deg": Metric(
        lambda e: e.azimuth_error_deg, "median", "azimuth error", 2, -1, "degrees"
    ),
    **{
        f"azimuth_acc_{name}": Metric(
            _below("azimuth_error_deg", THRESHOLDS_DEG[name]), "mean",
            f"azimuth acc@{THRESHOLDS_DEG[name]:g}", 4, 1,
        )
        for name in ("22_5", "45")
    },
    "azimuth_aaai": Metric(lambda e: 1 - e.azimuth_error_deg / 180, "mean", "azimuth AAAI", 4, 1),
    "nll": Metric(
        lambda e: -e.log_density, "mean", "NLL", 4, -1, "nats", needs=("log_density",)
    ),
    "pose_nll": Metric(
        lambda e: -e.pose_log_density, "mean", "pose NLL", 4, -1, "nats",
        needs=("pose_log_density",),
    ),
    "ece": Metric(
        lambda e: np.stack([e.confidence, _correct(e)], axis=-1), "ece", "ECE", 4, -1,
        needs_category=True, needs=("confidence",), pooled=True,
    ),
    "pose_ece": Metric(
        lambda e: np.stack([e.pose_confidence, e.error_deg < WITHIN_DEG], axis=-1), "ece",
        "pose ECE", 4, -1, needs=("pose_confidence",), pooled=True,
    ),
    "coverage_90": Metric(
        lambda e: e.covered, "mean", "coverage of 90 % sets", 4, 1, needs=("covered",), pooled=True
    ),
    "volume_90": Metric(
        lambda e: e.volume, "median", "volume of 90 % sets", 4, -1, needs=("volume",), pooled=True
    ),
}  # fmt: skip


def values(name: str, errors: Errors) -> tuple[np.ndarray, str]:
    """A metric's values of all objects, (N,) or (N, 2) float64, and the statistic of them."""
    metric = METRICS[name]
    return np.asarray(metric.formula(errors), np.float64), metric.statistic


def applies(name: str, errors: Errors, *, named: bool = True) -> bool:
    """Whether a metric has a meaning for these errors, of a system that names categories or not."""
    metric = METRICS[name]
    has_columns = all(getattr(errors, column) is not None for column in metric.needs)
    return has_columns and (named or not metric.needs_category)


def by_label(label: str) -> str:
    """The name of the metric that tables call `label`.

    Raises:
      ValueError: there is none.
    """
    names = {metric.label: name for name, metric in METRICS.items()}
    if label not in names:
        raise ValueError(f"no metric '{label}'; there are {', '.join(names)}")
    return names[label]


def heading(metric: Metric) -> str:
    """The label with the unit where that is degrees: "pose-err (°)"."""
    return f"{metric.label} (°)" if metric.unit == "degrees" else metric.label


def explanation(metric: Metric) -> str:
    """The label with its unit and direction: "pose-err (degrees, lower is better)"."""
    better = "higher" if metric.sign > 0 else "lower"
    return f"{metric.label} ({metric.unit}, {better} is better)"


def azimuth_difference_deg(azimuth_deg, target_azimuth_deg) -> np.ndarray:
    """Smallest angle between two azimuths.

    Args:
      azimuth_deg: degrees, any value.
      target_azimuth_deg: degrees, any value.

    Returns:
      Degrees in [0, 180].
    """
    difference = np.abs(np.subtract(azimuth_deg, target_azimuth_deg, dtype=np.float64)) % 360.0
    return np.asarray(np.minimum(difference, 360.0 - difference))


def summarize(
    errors: Errors,
    num_categories: int,
    *,
    average: str = "category",
    named: bool = True,
    groups: np.ndarray | None = None,
) -> dict[str, dict[str, Any]]:
    """All metrics of one evaluation.

    Args:
      errors: of all objects that count.
      num_categories: length of the per-category lists.
      average: "category" for the mean over categories, "weighted" for that mean with each category
        weighing as many as it has objects, "instance" for one value over all objects.
      named: whether the system names categories; else metrics that need them are left out.
      groups: (N,) int, what stands in the place of the category in averages, such as the parts of a
        benchmark; None for the true categories.

    Returns:
      By metric, ready for JSON: "value", None without any object, and "per_category", a list with
      None for categories without an object.

    Raises:
      ValueError: a category or group is outside [0, num_categories), or lengths differ.

    Reference: sections 3.3 and 4.4 of the paper, Tables 5 and 7.
    """
    columns = errors._asdict().items()
    lengths = {name: len(column) for name, column in columns if column is not None}
    if len(set(lengths.values())) != 1:
        raise ValueError(f"the columns of errors must have one length; got {lengths}")
    category = np.asarray(errors.category if groups is None else groups)
    if category.size and not (category.min() >= 0 and category.max() < num_categories):
        raise ValueError(
            f"categories must be in [0, {num_categories}); got {category.min()} to {category.max()}"
        )
    members = [np.flatnonzero(category == c) for c in range(num_categories)]
    weights = [own.size if average == "weighted" else 1 for own in members]
    summary = {}
    for name, metric in METRICS.items():
        if not applies(name, errors, named=named):
            continue
        found, kind = values(name, errors)
        statistic = STATISTICS[kind]
        each = [statistic(found[own]) if own.size else None for own in members]
        present = [(v, w) for v, w in zip(each, weights, strict=True) if v is not None]
        if not present:
            value = None
        elif average == "instance" or metric.pooled:
            value = statistic(found)
        else:
            value = math.fsum(v * w for v, w in present) / sum(w for _, w in present)
        summary[name] = {"value": value, "per_category": each}
    return summary


def topk(
    error_deg_per_network: np.ndarray,
    probabilities: np.ndarray,
    category: np.ndarray,
    ks: Sequence[int] = (1, 2, 3),
) -> dict[str, dict[str, float | None]]:
    """Metrics when the category network may name k categories.

    The pose error of an example is the least among the pose networks of its k most probable
    categories; its category is right if it is among them. Of equally probable categories the one
    with the lower index comes first.

    Args:
      error_deg_per_network: geodesic distance of each of the K pose networks' poses to the true
        rotation, (N, K), degrees.
      probabilities: of the K categories, (N, K); logits do as well.
      category: true category, (N,), int.
      ks: how many categories may be named.

    Returns:
      `{"top1": {"cat_acc": ..., "pose_err_deg": ...}, "top2": ..., "gt": ...}`, class means as in
      `summarize`; "gt" takes the pose network of the true category.

    Raises:
      ValueError: if a category is outside [0, K).

    Reference: section 4.4 and Table 13 of the paper.
    """
    error, category = np.asarray(error_deg_per_network, np.float64), np.asarray(category)
    order = np.argsort(-np.asarray(probabilities), axis=1, kind="stable")
    named = {f"top{k}": order[:, :k] for k in ks} | {"gt": category[:, None]}
    result = {}
    for name, some in named.items():
        right = np.any(some == category[:, None], axis=1)
        least = np.min(np.take_along_axis(error, some, axis=1), axis=1)
        found = summarize(
            Errors(category, np.where(right, category, -1), least, np.zeros(len(category))),
            error.shape[1],
        )
        result[name] = {key: found[key]["value"] for key in ("cat_acc", "pose_err_deg")}
    return result
