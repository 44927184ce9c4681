"""Dictionaries of key rotations: clusters of the training rotations, or the cube's group.

A dictionary is an array (M, 3, 3) of rotation matrices, in the frame of the rotations that it was
made of. It is saved and restored as that array. Rotations within are unit quaternions
(w, x, y, z) in float64, q and -q the same.
"""

import itertools

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from catpose.geometry import so3

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
    """K-means on the rotation group: geodesic distances, Karcher means, k-means++ start.

    Args:
      rotations: to be covered; memory for n m numbers is needed.
      num_bins: m, from 1 to the number of different rotations.
      seed: of the start; the same arguments give the same dictionary.
      max_rounds: after which the rotations may still change their clusters.

    Returns:
      The dictionary in float32, and the sum of squared distances in squared radians to the
      nearest key rotation at the start and after each round, which never rises.

    Raises:
      ValueError: fewer different rotations than `num_bins`.

    Reference: Pennec, Intrinsic statistics on Riemannian manifolds, 2006, for the mean.
    """
    points = np.asarray(so3.quaternion_from_rotation(jnp.asarray(rotations)), np.float64)
    points /= np.linalg.norm(points, axis=-1, keepdims=True)
    keys = _start(points, num_bins, np.random.default_rng(seed))
    label, squared = _assign(points, keys)
    history = [squared.sum()]
    for _ in range(max_rounds):
        keys = _move(points, keys, label, squared)
        before = label
        label, squared = _assign(points, keys)
        history.append(squared.sum())
        if np.array_equal(label, before):
            break
    keys = np.asarray(so3.rotation_from_quaternion(jnp.asarray(keys, jnp.float32)))
    return keys, np.array(history)


def _start(points, num_bins, generator):
    """Points drawn far from each other: each with probability as its squared distance."""
    chosen = [generator.integers(len(points))]
    squared = _squared(points[chosen[0]], points)
    while len(chosen) < num_bins:
        squared = np.where(squared > _SAME, squared, 0)
        if not squared.any():
            raise ValueError(f"{len(chosen)} different rotations do not make {num_bins} bins")
        chosen.append(generator.choice(len(points), p=squared / squared.sum()))
        squared = np.minimum(squared, _squared(points[chosen[-1]], points))
    return points[chosen]


def _assign(points, keys):
    label = np.abs(points @ keys.T).argmax(-1)
    return label, _squared(keys[label], points)


def _move(points, keys, label, squared):
    """Each key to the mean of its cluster, where that is better; a key without points to the
    point that is farthest from its own.
    """
    keys, label, squared = keys.copy(), label.copy(), squared.copy()
    for lonely in np.flatnonzero(np.bincount(label, minlength=len(keys)) == 0):
        worst = squared.argmax()
        keys[lonely], label[worst], squared[worst] = points[worst], lonely, 0
    count = np.bincount(label, minlength=len(keys))

    def total(values):
        return np.bincount(label, values, minlength=len(keys))

    cost = total(_squared(keys[label], points))
    for _ in range(_KARCHER_STEPS):
        tangent = _log(_product(_conjugate(keys[label]), points))
        mean = (
            np.stack([total(tangent[:, i]) for i in range(3)], -1) / np.maximum(count, 1)[:, None]
        )
        moved = _product(keys, _exp(mean))
        new_cost = total(_squared(moved[label], points))
        # A cluster may be too wide for the step to be a descent: its key then stays.
        better = new_cost < cost
        keys, cost = np.where(better[:, None], moved, keys), np.where(better, new_cost, cost)
        if not better.any():
            break
    return keys


def _conjugate(quaternion):
    return quaternion * np.array([1.0, -1.0, -1.0, -1.0])


def _product(a, b):
    aw, av, bw, bv = a[..., :1], a[..., 1:], b[..., :1], b[..., 1:]
    scalar = aw * bw - (av * bv).sum(-1, keepdims=True)
    return np.concatenate([scalar, aw * bv + bw * av + np.cross(av, bv)], -1)


def _log(quaternion):
    """Axis times angle in [0, pi]."""
    w = quaternion[..., :1]
    vector = np.where(w < 0, -1, 1) * quaternion[..., 1:]
    sine = np.linalg.norm(vector, axis=-1, keepdims=True)
    return vector * np.where(
        sine > 0, 2 * np.arctan2(sine, np.abs(w)) / np.maximum(sine, 1e-300), 2
    )


def _exp(omega):
    half = np.linalg.norm(omega, axis=-1, keepdims=True) / 2
    quaternion = np.concatenate([np.cos(half), np.sinc(half / np.pi) / 2 * omega], -1)
    return quaternion / np.linalg.norm(quaternion, axis=-1, keepdims=True)


def _squared(a, b):
    return (_log(_product(_conjugate(a), b)) ** 2).sum(-1)
