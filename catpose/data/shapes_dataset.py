"""The built-in dataset `shapes`: rendered objects of the twelve categories, drawn once and kept."""

import pathlib
from collections.abc import Mapping

import numpy as np

from catpose.data import disk_cache, examples, shapes
from catpose.errors import InputError
from catpose.synthetic.objects.catalogue import CATEGORIES


def load(
    *,
    num_images: Mapping[str, int],
    seed: int,
    resolution: int,
    cache_dir: str = "",
    show_progress: bool = True,
) -> examples.Dataset:
    """The splits of `shapes`, each from objects and backgrounds of its own.

    Args:
      num_images: by split (see `shapes.generate`); 0 leaves a split out.
      seed: of everything drawn; another seed gives other objects.
      resolution: side of the images in pixels.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.

    Raises:
      InputError: an unknown split.
    """
    unknown = sorted(set(num_images) - set(shapes.SPLITS))
    if unknown:
        raise InputError(
            f"config.data.num_images names '{unknown[0]}'; the splits of shapes are "
            + ", ".join(shapes.SPLITS)
        )
    code = _source_digest()
    splits = {}
    for split, count in num_images.items():
        if not count:
            continue
        key = disk_cache.digest(split, count, seed, resolution, code)
        arrays = disk_cache.stored(
            disk_cache.cache_dir(cache_dir),
            f"shapes-{split}",
            key,
            lambda _, split=split, count=count: shapes.generate(
                num_images=count,
                split=split,
                seed=seed,
                resolution=resolution,
                show_progress=show_progress,
            ),
        )
        splits[split] = examples.Examples(
            image=arrays["image"],
            category=np.asarray(arrays["category"]),
            rotation=np.asarray(arrays["rotation"]),
            categories=CATEGORIES,
            split=np.full(count, split),
            id=np.array([f"{split} {i}" for i in range(count)]),
            digest=key,
        )
    return examples.Dataset(CATEGORIES, splits)


def _source_digest() -> str:
    """Hash of the code that draws: images of an older version are not mistaken for this one's."""
    folder = pathlib.Path(shapes.__file__).parent.parent / "render"
    files = [*sorted(folder.glob("**/*.py")), pathlib.Path(shapes.__file__)]
    return disk_cache.digest(*(file.read_bytes() for file in files))
