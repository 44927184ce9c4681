"""Datasets that are rendered here and kept on disk: what `shapes` and `symsol` share."""

import pathlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from catpose import progress
from catpose.data import disk_cache, examples, parts
from catpose.errors import InputError
from catpose.synthetic import backgrounds


def load(
    name: str,
    generate_fn: Callable[..., dict[str, np.ndarray]],
    *,
    categories: tuple[str, ...],
    known: Sequence[str],
    module: str,
    num_images: Mapping[str, int],
    seed: int,
    resolution: int,
    cache_dir: str = "",
    show_progress: bool = True,
    share: parts.Share = parts.ALONE,
) -> examples.Dataset:
    """The splits of a dataset, each rendered where no cache has it.

    Args:
      name: of the dataset.
      generate_fn: renders images `first_image` to `num_images` of a split: image, category and
        rotation.
      categories: names.
      known: the splits that there are.
      module: the file of the module that chooses what is rendered.
      num_images: by split; 0 leaves a split out.
      seed: of everything rendered.
      resolution: side of the images in pixels.
      cache_dir: see `disk_cache.cache_dir`.
      show_progress: show a bar on a terminal.
      share: of this process, which renders its part of each split.

    Raises:
      InputError: an unknown split.
    """
    unknown = sorted(set(num_images) - set(known))
    if unknown:
        raise InputError(
            f"config.data.num_images names '{unknown[0]}'; the splits of {name} are "
            + ", ".join(known)
        )
    code = source_digest(module)
    splits = {}
    for split, count in num_images.items():
        if not count:
            continue
        digest = disk_cache.digest(split, count, seed, resolution, code)

        def stored(first: int, stop: int, split=split, count=count) -> dict[str, np.ndarray]:
            part = () if (first, stop) == (0, count) else (first, stop)
            return disk_cache.stored(
                disk_cache.cache_dir(cache_dir),
                f"{name}-{split}",
                disk_cache.digest(split, count, seed, resolution, code, *part),
                lambda _: generate_fn(
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
            categories=categories,
            split=np.full(count, split),
            id=np.array([f"{split} {i}" for i in range(count)]),
            digest=digest,
        )
    return examples.Dataset(categories, splits)


def source_digest(module: str) -> str:
    """Hash of the code that renders: an older version's images are not mistaken for this one's.

    Args:
      module: the file of the module that chooses what is rendered.
    """
    folder = pathlib.Path(backgrounds.__file__).parent
    files = [*sorted(folder.glob("**/*.py")), pathlib.Path(module)]
    return disk_cache.digest(*(file.read_bytes() for file in files))


def in_batches(
    draw_fn: Callable[[int], tuple[np.ndarray, np.ndarray]],
    *,
    first_image: int,
    num_images: int,
    batch_size: int,
    num_categories: int,
    desc: str,
    show: bool,
) -> dict[str, np.ndarray]:
    """Images `first_image` to `num_images`, of which number i shows category i modulo K.

    Args:
      draw_fn: number of a batch's first image, a multiple of `batch_size` -> images, rotations.
      first_image: number of images at the beginning that are left out.
      num_images: number of the last one, plus 1.
      batch_size: of `draw_fn`.
      num_categories: K.
      desc: of the progress bar.
      show: whether there is one.

    Returns:
      image (N, S, S, 3), category (N,) int32 and rotation (N, 3, 3).
    """
    # The first batch compiles the program. It renders one image after another, so each core runs
    # one of its own.
    begin = first_image // batch_size * batch_size
    others = range(begin + batch_size, num_images, batch_size)
    drawn = [draw_fn(begin)] + progress.thread_map(
        draw_fn,
        others,
        total=len(others),
        desc=desc,
        unit="image",
        unit_scale=batch_size,
        show=show,
    )
    wanted = slice(first_image - begin, num_images - begin)
    image, rotation = (np.concatenate(leaves)[wanted] for leaves in zip(*drawn, strict=True))
    category = (np.arange(first_image, num_images) % num_categories).astype(np.int32)
    return {"image": image, "category": category, "rotation": rotation}
