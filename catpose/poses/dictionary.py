"""Dictionaries of key rotations: clusters of the training rotations, or the cube's group.

A dictionary is an array (M, 3, 3) of rotation matrices, in the frame of the rotations that it was
made of. It is saved and restored as that array.
"""

import itertools

import numpy as np
from jaxtyping import Float

_SAME = 1e-10  # squared radians; float32 rotations are no closer
_KARCHER_STEPS = 20


def cube() -> Float[np.ndarray, "24 3 3"]:
    """The 24 rotations of the cube: a dictionary that needs no data.

    Every rotation is within 62.8 degrees of one of them. The identity is the first.
    """
    signed = [
        np.diag(signs)[list(order)]
        for order in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    return np.array([m for m in signed if np.linalg.det(m) > 0], np.float32)


def fit(
    rotations: Float[np.ndarray, "n 3 3"], num_bins: int, *, seed: int = 0, max_rounds: int = 100
) -> tuple[Float[np.ndarray, "m 3 3"], Float[np.ndarray, " rounds"]]:
    """K-means on the rotation group: geodesic distances, Karcher means, k-means++ to begin with.

    Args:
      rotations: to be covered; memory for n m numbers is needed.
      num_bins: m, from 1 to the number of different rotations.
      seed: of the first key rotations; the same arguments give the same dictionary.
      max_rounds: after which the rotations may still change their clusters.

    Returns:
      The dictionary in float32, and the sum of squared distances in squared radians to the
      nearest key rotation, of the first key rotations and after each round, which never rises.

    Raises:
      ValueError: fewer different rotations than `num_bins`.

    Reference: Pennec, Intrinsic statistics on Riemannian manifolds, 2006, for the mean.
    """
    from scipy.spatial.transform import Rotation  # 0.3 s, which only this spends

    points = Rotation.from_matrix(rotations)
    keys = _first_keys(points, num_bins, np.random.default_rng(seed))
    label, squared = _assign(points, keys)
    history = [squared.sum()]
    for _ in range(max_rounds):
        keys = _move(points, keys, label.copy(), squared)
        before = label
        label, squared = _assign(points, keys)
        history.append(squared.sum())
        if np.array_equal(label, before):
            break
    return keys.as_matrix().astype(np.float32), np.array(history)


def _squared_distance(a, b):
    return (a.inv() * b).magnitude() ** 2


def _first_keys(points, num_bins, generator):
    """Points drawn far from each other: each with probability as its squared distance."""
    chosen = [generator.integers(len(points))]
    squared = np.full(len(points), np.inf)
    while len(chosen) < num_bins:
        squared = np.minimum(squared, _squared_distance(points[chosen[-1]], points))
        squared[squared <= _SAME] = 0
        if not squared.any():
            raise ValueError(f"{len(chosen)} different rotations do not make {num_bins} bins")
        chosen.append(generator.choice(len(points), p=squared / squared.sum()))
    return points[chosen]


def _assign(points, keys):
    """The nearest key rotation of each point, and the squared distance to it."""
    label = np.abs(points.as_quat() @ keys.as_quat().T).argmax(-1)
    return label, _squared_distance(keys[label], points)


def _move(points, keys, label, squared):
    """Each key to the mean of its cluster; one without a cluster to the point farthest from any."""
    for empty in np.setdiff1d(np.arange(len(keys)), label):
        farthest = squared.argmax()
        label[farthest], squared[farthest] = empty, 0
    means = [_mean(points[label == i], key) for i, key in enumerate(keys)]
    return type(points).concatenate(means)


def _mean(cluster, mean):
    """The Karcher mean of a cluster, from a first guess; the guess where that is better."""
    from scipy.spatial.transform import Rotation

    cost = _squared_distance(mean, cluster).sum()
    for _ in range(_KARCHER_STEPS):
        moved = mean * Rotation.from_rotvec((mean.inv() * cluster).as_rotvec().mean(0))
        moved_cost = _squared_distance(moved, cluster).sum()
        if moved_cost >= cost:  # a cluster may be too wide for the step to be a descent
            break
        mean, cost = moved, moved_cost
    return mean
