"""The built-in dataset `shapes`: procedural objects of the twelve categories, rendered and kept.

Every object has its own random stream, named by seed, split, category and number, and every image
its own key, so a dataset depends on nothing but its arguments, and a smaller one is the start of a
larger one. No two splits share a stream, so none shares an object or a background.
"""

import functools
import pathlib
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from catpose import progress
from catpose.data import disk_cache, examples, parts
from catpose.errors import InputError
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
# One program renders all objects: the largest family has 1764 triangles.
_PADDING = {"multiple": 1792, "vertex_multiple": 3584}


def load(
    *,
    num_images: Mapping[str, int],
    seed: int,
    resolution: int,
    cache_dir: str = "",
    show_progress: bool = True,
    share: parts.Share = parts.ALONE,
) -> examples.Dataset:
    """The splits of `shapes`, each from objects and backgrounds of its own.

    Args:
      num_images: by split (see `generate`); 0 leaves a split out.
      seed: of everything rendered; another seed gives other objects.
      resolution: side of the images in pixels.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.
      share: of this process, which renders its part of each split.

    Raises:
      InputError: an unknown split.
    """
    unknown = sorted(set(num_images) - set(SPLITS))
    if unknown:
        raise InputError(
            f"config.data.num_images names '{unknown[0]}'; the splits of shapes are "
            + ", ".join(SPLITS)
        )
    code = source_digest(__file__)
    splits = {}
    for split, count in num_images.items():
        if not count:
            continue
        digest = disk_cache.digest(split, count, seed, resolution, code)

        def stored(first: int, stop: int, split=split, count=count) -> dict[str, np.ndarray]:
            part = () if (first, stop) == (0, count) else (first, stop)
            return disk_cache.stored(
                disk_cache.cache_dir(cache_dir),
                f"shapes-{split}",
                disk_cache.digest(split, count, seed, resolution, code, *part),
                lambda _: generate(
                    num_images=stop,
                    first_image=first,
                    split=split,
                    seed=seed,
                    resolution=resolution,
                    show_progress=show_progress,
                ),
            )

        arrays = parts.make(count, share, stored, ("category", "rotation"))
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


def source_digest(module: str) -> str:
    """Hash of the code that renders: an older version's images are not mistaken for this one's.

    Args:
      module: the file of the module that chooses what is rendered.
    """
    folder = pathlib.Path(backgrounds.__file__).parent
    files = [*sorted(folder.glob("**/*.py")), pathlib.Path(module)]
    return disk_cache.digest(*(file.read_bytes() for file in files))


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

    # The first batch compiles the program. It renders one image after another, so each core runs
    # one of its own.
    begin = first_image // _BATCH * _BATCH
    others = range(begin + _BATCH, num_images, _BATCH)
    drawn = [draw(begin)] + progress.thread_map(
        draw,
        others,
        total=len(others),
        desc=f"rendering {split} shapes",
        unit="image",
        unit_scale=_BATCH,
        show=show_progress,
    )
    category = (np.arange(first_image, num_images) % len(CATEGORIES)).astype(np.int32)
    wanted = slice(first_image - begin, num_images - begin)
    image, rotation = (np.concatenate(leaves)[wanted] for leaves in zip(*drawn, strict=True))
    return {"image": image, "category": category, "rotation": rotation}


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
