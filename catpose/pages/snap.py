"""From a pose that nearly fits to the best one nearby, by the density that a network predicts."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catpose.experiment import build
from catpose.geometry import so3, viewpoint

FIRST_DEG, LAST_DEG = 8.0, 0.25  # of the steps
FARTHEST_DEG = 35.0  # from the beginning; what lies further away is another pose
_STEPS = 24
# Axes to turn about: to the faces, edges and corners of a cube.
_AXES = np.array([[x, y, z] for x in (-1, 0, 1) for y in (-1, 0, 1) for z in (-1, 0, 1)], float)
_AXES = _AXES[np.abs(_AXES).sum(1) > 0]
_AXES /= np.linalg.norm(_AXES, axis=1, keepdims=True)


def compile_snap(model: build.Model) -> Callable | None:
    """What climbs a model's density, compiled; None where its representation has none.

    From the given rotation it goes to the best of 26 neighbors, or, where none is better, to
    smaller steps, so densities made of steps are climbed as smooth ones are.

    Returns:
      `(variables, (S, S, 3) uint8 crop, category, (3, 3) rotation)` -> the rotation at the top and
      whether there is one within `FARTHEST_DEG`. The category is an index, rotations are in frame
      "camera".
    """
    density = model.pose.density
    if density is None:
        return None
    axes = jnp.asarray(np.concatenate([np.zeros((1, 3)), _AXES]), jnp.float32)

    @jax.jit
    def snap(variables: Any, crop: jax.Array, category: jax.Array, rotation: jax.Array):
        image = model.input_spec.normalize(crop[None])
        outputs, _ = model.network.apply_fn(variables, image, tied=model.tied)
        weights = jax.nn.one_hot(category, len(model.categories))[None]
        fused = model.pose.fuse(outputs.pose_outputs, weights)
        begin = viewpoint.convert_frame(rotation, "camera", model.input_spec.frame)

        def step(_, state):
            found, size = state
            turns = so3.exp(axes * size)
            near = jnp.einsum("nij,jk->nik", turns, found, precision="highest")
            away = so3.geodesic_distance(near, jnp.broadcast_to(begin, near.shape))
            score = density.log_density(
                jnp.broadcast_to(fused, (len(near), *fused.shape[1:])), near
            )
            best = jnp.argmax(jnp.where(away <= np.radians(FARTHEST_DEG), score, -jnp.inf))
            size = jnp.where(best == 0, jnp.maximum(size / 2, np.radians(LAST_DEG)), size)
            return near[best], size

        found, size = jax.lax.fori_loop(
            0, _STEPS, step, (begin, jnp.float32(np.radians(FIRST_DEG)))
        )
        away = so3.geodesic_distance(found, begin)
        reached = away < np.radians(FARTHEST_DEG - FIRST_DEG)
        return viewpoint.convert_frame(found, model.input_spec.frame, "camera"), reached

    return snap
