"""The dataset `symsol`: solids with symmetries, each picture from a uniformly random rotation.

Made after SYMSOL I of Murphy et al., 2021, whose pictures are not used: five solids and a bottle,
in one random color under random lights on a plain background. The label is the rotation that was
rendered, one of many that give the same picture; a network has to find the others by itself.
"""

import functools
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np
from scipy.spatial.transform import Rotation

from catpose import progress
from catpose.data import disk_cache, examples, shapes_dataset
from catpose.errors import InputError
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


def load(
    *,
    num_images: Mapping[str, int],
    seed: int,
    resolution: int,
    cache_dir: str = "",
    show_progress: bool = True,
) -> examples.Dataset:
    """The splits, of independent pictures.

    Args:
      num_images: by split; 0 leaves it out.
      seed: of everything rendered.
      resolution: side of the pictures in pixels.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.

    Raises:
      InputError: an unknown split.
    """
    splits = {}
    code = shapes_dataset.source_digest(__file__)
    for split, count in num_images.items():
        if not count:
            continue
        if split not in SPLITS:
            raise InputError(
                f"config.data.num_images names '{split}'; the splits of symsol are "
                + ", ".join(SPLITS)
            )
        digest = disk_cache.digest(split, count, seed, resolution, code)
        arrays = disk_cache.stored(
            disk_cache.cache_dir(cache_dir),
            f"symsol-{split}",
            digest,
            lambda _, split=split, count=count: generate(
                count, split, seed, resolution, show_progress=show_progress
            ),
        )
        splits[split] = examples.Examples(
            image=arrays["image"],
            category=np.asarray(arrays["category"]),
            rotation=np.asarray(arrays["rotation"]),
            categories=CATEGORIES,
            split=np.full(count, split),
            id=np.array([f"{split} {i}" for i in range(count)]),
            digest=digest,
        )
    return examples.Dataset(CATEGORIES, splits)


def generate(
    num_images: int, split: str, seed: int, resolution: int, *, show_progress: bool = True
) -> dict[str, np.ndarray]:
    """Renders a split; picture i shows category i modulo 6.

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

    others = range(_BATCH, num_images, _BATCH)
    drawn = [draw(0)] + progress.thread_map(
        draw,
        others,
        total=len(others),
        desc=f"rendering {split} solids",
        unit="image",
        unit_scale=_BATCH,
        show=show_progress,
    )
    image, rotation = (np.concatenate(leaves)[:num_images] for leaves in zip(*drawn, strict=True))
    return {
        "image": image,
        "category": (np.arange(num_images) % len(CATEGORIES)).astype(np.int32),
        "rotation": rotation,
    }


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
