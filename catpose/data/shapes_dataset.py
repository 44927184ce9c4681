"""The built-in dataset `shapes`: procedural objects of the twelve categories, rendered and kept.

Every object has its own random stream, named by seed, split, category and number, and every image
its own key, so a dataset depends on nothing but its arguments, and a smaller one is the start of a
larger one. No two splits share a stream, so none shares an object or a background.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from catpose.data import examples, rendered_splits
from catpose.synthetic import backgrounds, domain_randomization, mesh_batch, view_density
from catpose.synthetic.look import Look
from catpose.synthetic.objects import catalogue
from catpose.synthetic.objects.catalogue import CATEGORIES

# "drawn" is of the objects that are rendered online.
_STREAMS = ("train", "validation", "test", "pretrain", "drawn", "rendered")
SPLITS = tuple(name for name in _STREAMS if name != "drawn")
_BACKGROUND_FAMILY = {"validation": "unseen", "test": "unseen", "rendered": "plain"}  # else "seen"
_VIEWS_PER_OBJECT = {"validation": 1, "test": 1}  # else 4
_LOOK = Look(
    squeeze=0.0,
    loosen=(0.01, 0.125),
    key_light=(0.55, 0.8),
    ambient=(0.4, 0.6),
    more_lights=0.2,
    sky=0.0,
    grey=0.0,
    saturation=0.0,
)
_BATCH = 4 * len(CATEGORIES)  # images rendered at a time
# One program renders all objects: the largest family has 1352 triangles.
_PADDING = {"multiple": 1792, "vertex_multiple": 3584}


def load(**options: Any) -> examples.Dataset:
    """The splits of `shapes`, each from objects and backgrounds of its own.

    Args:
      **options: what, how large and where, see `rendered_splits.load`.
    """
    return rendered_splits.load(
        "shapes", generate, categories=CATEGORIES, known=SPLITS, module=__file__, **options
    )


def stream(seed: int, name: str, category: int | str, number: int) -> np.random.Generator:
    """The random stream of one object.

    Args:
      seed: 0 or greater.
      name: of the split, or "drawn" for the objects of `catpose.data.online_rendering`.
      category: number of the category, or a name of `catalogue.CATEGORIES` or
        `catalogue.SUBTYPES`.
      number: of the object in its category.
    """
    if isinstance(category, str):
        category = (*CATEGORIES, *catalogue.SUBTYPES).index(category)
    sequence = np.random.SeedSequence([seed, _STREAMS.index(name), category, number])
    return np.random.Generator(np.random.PCG64(sequence))


def generate(
    *,
    num_images: int,
    split: str,
    seed: int,
    resolution: int,
    first_image: int = 0,
    views_per_object: int | None = None,
    show_progress: bool = True,
) -> dict[str, np.ndarray]:
    """Renders a dataset.

    Image i shows category i modulo 12, so every prefix is balanced.

    Args:
      num_images: any number; the categories differ by one image at most.
      split: "train", "validation", "test", "pretrain" or "rendered"; validation and test have
        backgrounds of a family that no other shows, "rendered" has plain ones.
      seed: 0 or greater.
      resolution: width and height of an image in pixels.
      first_image: number of images at the beginning that are left out.
      views_per_object: images of an object before the next one is made; None: 1 in "validation"
        and "test", 4 elsewhere.
      show_progress: shows a bar if standard error is a terminal.

    Returns:
      image (N, S, S, 3) uint8; category (N,) int32; rotation (N, 3, 3) float32, object to camera
      in the frame "camera".
    """
    num_views = _VIEWS_PER_OBJECT.get(split, 4) if views_per_object is None else views_per_object
    limits = view_density.stack([view_density.ranges()] * len(CATEGORIES))
    root = np.random.SeedSequence([seed, _STREAMS.index(split)]).generate_state(1)[0]

    def draw(first: int) -> tuple[np.ndarray, np.ndarray]:
        """The images and rotations from `first` on."""
        here = np.arange(first, first + _BATCH)  # some too many at the end: one program for all
        own = (here % len(CATEGORIES)).astype(np.int32)
        named = np.stack([own, here // len(CATEGORIES) // num_views], axis=1)
        objects, which = np.unique(named, axis=0, return_inverse=True)
        meshes = [catalogue.make(stream(seed, split, *one), one[0]) for one in objects.tolist()]
        padded = mesh_batch.pad(meshes, **_PADDING)
        family = _BACKGROUND_FAMILY.get(split, "seen")
        generator = np.random.default_rng([seed, _STREAMS.index(split), first])
        size = domain_randomization.background_size(resolution)
        table = backgrounds.table(generator, _BATCH // num_views or 1, size, family)
        batch = (padded, which.reshape(-1), own, limits, table)
        with jax.enable_x64(False):  # the same images in every mode
            return jax.device_get(_draw(root, here, *batch, size=resolution))

    return rendered_splits.in_batches(
        draw,
        first_image=first_image,
        num_images=num_images,
        batch_size=_BATCH,
        num_categories=len(CATEGORIES),
        desc=f"rendering {split} shapes",
        show=show_progress,
    )


@functools.partial(jax.jit, static_argnames="size")
def _draw(root, index, meshes, which, category, limits, table, *, size):
    """One batch: images, rounded, and rotations."""
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(root), index)
    drawn = domain_randomization.draw(
        keys,
        jax.tree.map(lambda leaf: leaf[which], meshes),
        category,
        domain_randomization.Views(limits),
        table,
        look=_LOOK,
        size=size,
    )
    return jnp.round(drawn.image).astype(jnp.uint8), drawn.rotation
