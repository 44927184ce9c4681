"""Nanoseconds an element of the SO(3) operations, beside jaxlie's and scipy's.

    python tests/peers/so3_speed.py [--sizes 1000 1000000]

jaxlie 1.5 and scipy; jaxlie's and ours under jit, float32, scipy float64, on one device. Everybody
takes and gives matrices and rotation vectors: jaxlie and scipy hold quaternions inside, and what it
takes to get there counts, as it does for whoever has a matrix. They take turns; medians.
"""

import argparse
import statistics
import time

import jax
import jaxlie
import numpy as np
from jax import numpy as jnp
from scipy.spatial.transform import Rotation

from catpose.geometry import so3


def theirs():
    """jaxlie's operations on matrices."""

    def distance(a, b):
        a, b = jaxlie.SO3.from_matrix(a), jaxlie.SO3.from_matrix(b)
        return jnp.linalg.norm((a.inverse() @ b).log(), axis=-1)

    return {
        "exp": lambda omega: jaxlie.SO3.exp(omega).as_matrix(),
        "log": lambda rotation: jaxlie.SO3.from_matrix(rotation).log(),
        "distance": distance,
    }


def scipys():
    return {
        "exp": lambda omega: Rotation.from_rotvec(omega).as_matrix(),
        "log": lambda rotation: Rotation.from_matrix(rotation).as_rotvec(),
        "distance": lambda a, b: (
            Rotation.from_matrix(a).inv() * Rotation.from_matrix(b)
        ).magnitude(),
    }


def with_gradient(function):
    def total(*arrays):
        return function(*arrays).sum()

    return jax.jit(jax.grad(total))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--sizes", type=int, nargs="+", default=[1000, 1_000_000])
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    ours = {"exp": so3.exp, "log": so3.log, "distance": so3.geodesic_distance}
    print(f"{jax.devices()[0].device_kind}, jax {jax.__version__}: nanoseconds an element")
    print("| operation | elements | ours | jaxlie | scipy | ours, gradient | jaxlie, gradient |")
    print("|:--|--:|--:|--:|--:|--:|--:|")
    for size in options.sizes:
        omega = np.random.default_rng(0).uniform(-1.5, 1.5, (2, size, 3))
        matrices = [Rotation.from_rotvec(part).as_matrix() for part in omega]
        inputs = {"exp": omega[:1], "log": matrices[:1], "distance": matrices}
        for name, arrays in inputs.items():
            single = [jnp.asarray(array, jnp.float32) for array in arrays]
            # jaxlie's operations take one element unless vmapped.
            other = jax.vmap(theirs()[name])
            calls = [
                (jax.jit(ours[name]), single),
                (jax.jit(other), single),
                (scipys()[name], arrays),
                (with_gradient(ours[name]), single),
                (with_gradient(other), single),
            ]
            cells = [f"{1e9 * seconds / size:.1f}" for seconds in medians(calls, options.repeats)]
            print(f"| {name} | {size} | {' | '.join(cells)} |", flush=True)


def medians(calls, repeats):
    """Median seconds of each call; they take turns."""
    spent = [[] for _ in calls]
    for function, arrays in calls:
        jax.block_until_ready(function(*arrays))
    for _ in range(repeats):
        for times, (function, arrays) in zip(spent, calls, strict=True):
            count = max(1, 100_000 // len(arrays[0]))
            begin = time.perf_counter()
            for _ in range(count):
                result = function(*arrays)
            jax.block_until_ready(result)
            times.append((time.perf_counter() - begin) / count)
    return [statistics.median(times) for times in spent]


if __name__ == "__main__":
    main()
