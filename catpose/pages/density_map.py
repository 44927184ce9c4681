"""From where a network believes that it sees an object: the density of poses as a map of views."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catpose.experiment import build
from catpose.geometry import viewpoint
from catpose.models import fusion

AZIMUTHS, ELEVATIONS, _THETAS = 72, 37, 36  # of the map: every 5 degrees; of the sum: every 10


def compile_map(model: build.Model) -> Callable | None:
    """What draws a model's density as a map, compiled; None where its representation has none.

    Returns:
      `(variables, (S, S, 3) uint8 crop)` -> (37, 72) densities of elevations 90 to -90 and azimuths
      0 to 355 degrees, the mean over all thetas, relative to the uniform distribution of poses.
    """
    density = model.pose.density
    if density is None:
        return None
    azimuth = np.radians(np.arange(AZIMUTHS) * 360 / AZIMUTHS)
    # The poles themselves have no azimuth; half a degree beside them is on the map.
    elevation = np.radians(np.linspace(89.5, -89.5, ELEVATIONS))
    theta = np.radians(np.arange(_THETAS) * 360 / _THETAS)
    grid = np.meshgrid(elevation, azimuth, theta, indexing="ij")
    e, a, t = (each.astype(np.float32) for each in grid)
    frame = model.input_spec.frame

    @jax.jit
    def draw(variables: Any, crop: jax.Array) -> jax.Array:
        image = model.input_spec.normalize(crop[None])
        outputs, _ = model.network.apply_fn(variables, image, tied=model.tied)
        weights = fusion.weights(model.fusion, outputs.category_logits, None)
        fused = model.pose.fuse(outputs.pose_outputs, weights)[:, None, None]
        rotation = viewpoint.convert_frame(viewpoint.rotation_from_angles(a, e, t), "camera", frame)
        return jnp.exp(density.log_density(fused, rotation)).mean(-1)

    return draw
