"""The dataset `symsol`: solids with symmetries, each picture from a uniformly random rotation.

Made after SYMSOL I of Murphy et al., 2021, whose pictures are not used: five solids and a bottle,
in one random color under random lights on a plain background. The label is the rotation that was
rendered, one of many that give the same picture; a network has to find the others by itself.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from catpose.data import examples, rendered_splits
from catpose.synthetic import domain_randomization, mesh_batch, view_density
from catpose.synthetic.look import Look
from catpose.synthetic.objects import symmetric

CATEGORIES = tuple(symmetric.SOLIDS)
GROUPS = {name: group for name, (_, group) in symmetric.SOLIDS.items()}
"""By category, its name in `catpose.geometry.point_groups`."""
SPLITS = ("train", "validation", "test")
_LOOK = Look(squeeze=0.0, loosen=(0.02, 0.12), sky=0.0, grey=1.0, more_lights=0.2)
_BATCH = 8 * len(CATEGORIES)  # pictures rendered at a time
_PADDING = {"multiple": 128, "vertex_multiple": 256}


def load(**options: Any) -> examples.Dataset:
    """The splits, of independent pictures.

    Args:
      **options: what, how large and where, see `rendered_splits.load`.
    """
    return rendered_splits.load(
        "symsol", generate, categories=CATEGORIES, known=SPLITS, module=__file__, **options
    )


def generate(
    *,
    num_images: int,
    split: str,
    seed: int,
    resolution: int,
    first_image: int = 0,
    show_progress: bool = True,
) -> dict[str, np.ndarray]:
    """Renders a split; picture i shows category i modulo 6.

    Args:
      num_images: any number.
      split: of `SPLITS`.
      seed: 0 or greater.
      resolution: width and height of an image in pixels.
      first_image: number of images at the beginning that are left out.
      show_progress: shows a bar if standard error is a terminal.

    Returns:
      image (N, S, S, 3) uint8; category (N,) int32; rotation (N, 3, 3) float32, object to camera in
      the frame "camera", uniform on SO(3).
    """
    number = SPLITS.index(split)
    root = np.random.SeedSequence([seed, number]).generate_state(1)[0]
    limits = view_density.stack([view_density.ranges()] * len(CATEGORIES))
    category = (np.arange(_BATCH) % len(CATEGORIES)).astype(np.int32)

    def draw(first: int) -> tuple[np.ndarray, np.ndarray]:
        generator = np.random.default_rng([seed, number, first])
        meshes = [symmetric.make(CATEGORIES[c], generator.uniform(0.3, 0.95, 3)) for c in category]
        # Each solid is turned before it is seen: then its rotation is uniform, whatever the view.
        turned = Rotation.random(_BATCH, generator).as_matrix().astype(np.float32)
        meshes = [
            mesh._replace(vertices=mesh.vertices @ turn.T)
            for mesh, turn in zip(meshes, turned, strict=True)
        ]
        padded = mesh_batch.pad(meshes, **_PADDING)
        size = domain_randomization.background_size(resolution)
        table = np.full((1, size, size, 3), 128, np.uint8)
        with jax.enable_x64(False):  # the same pictures in every mode
            image, seen = jax.device_get(
                _draw(root, first, padded, category, limits, table, size=resolution)
            )
        return image, seen @ turned

    return rendered_splits.in_batches(
        draw,
        first_image=first_image,
        num_images=num_images,
        batch_size=_BATCH,
        num_categories=len(CATEGORIES),
        desc=f"rendering {split} solids",
        show=show_progress,
    )


@functools.partial(jax.jit, static_argnames="size")
def _draw(root, first, meshes, category, limits, table, *, size):
    """One batch: images, rounded, and rotations."""
    index = first + jnp.arange(_BATCH, dtype=jnp.int32)
    drawn = domain_randomization.draw(
        jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(root), index),
        meshes,
        category,
        domain_randomization.Views(limits),
        table,
        look=_LOOK,
        size=size,
    )
    return jnp.round(drawn.image).astype(jnp.uint8), drawn.rotation
