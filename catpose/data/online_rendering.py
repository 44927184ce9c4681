"""Training images that are drawn from 3D models inside the step: no files, never twice the same.

The models are kept in buckets of equal padded size. All models of a category lie in one bucket, and
batch rows take the categories in turn. So which batch rows come from which bucket is known when the
step is compiled, and a bottle is not drawn at the price of a locomotive.
"""

import dataclasses
import pathlib
import re
import sys
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Int, UInt8
from PIL import Image

from catpose import errors
from catpose.data import disk_cache, examples, photos, shapes_dataset
from catpose.data.categories import SYNSETS
from catpose.errors import InputError
from catpose.images import files as image_files
from catpose.synthetic import (
    domain_randomization,
    mesh_batch,
    mesh_files,
    scene,
)
from catpose.synthetic.look import Look
from catpose.synthetic.objects import catalogue as families

NAME = "drawn"  # of the split, and of the source in a phase
_SIZES = (512, 1024)  # triangles of a bucket's models at most; those of the last are as they come


class Assets(NamedTuple):
    """What pictures are made of, in device memory.

    Attributes:
      buckets: models of about one size each.
      place: (M,) each model's number in its bucket.
      backgrounds: (N, P, P, 3) uint8.
      seen: where objects of each category are seen from.
    """

    buckets: tuple[mesh_batch.Padded, ...]
    place: Int[Array, "M"]
    backgrounds: UInt8[Array, "N P P 3"]
    seen: domain_randomization.Views


class Engine(NamedTuple):
    """What draws a phase's images.

    Attributes:
      assets: on the host.
      category: (M,) of each model.
      names: (M,) of each model in its category.
      bucket: of each category.
      look: how pictures differ.
      supersampling: samples per pixel and axis.
      digest: hash of all this.
    """

    assets: Assets
    category: np.ndarray
    names: np.ndarray
    bucket: tuple[int, ...]
    look: Look
    supersampling: int
    digest: str


def builtin_models(
    categories: Sequence[str], *, per_category: int, seed: int, detailed: bool = False
) -> list[dict[str, scene.Mesh]]:
    """Objects of the catalogue, none of which any split of the dataset `shapes` has.

    Args:
      categories: names of the catalogue's categories and subtypes.
      per_category: how many of each.
      seed: of the objects.
      detailed: closer to life, see `catalogue.make`.

    Raises:
      InputError: a category of which there are no built-in models.
    """
    known = (*families.CATEGORIES, *families.SUBTYPES)
    for name in categories:
        if name not in known:
            raise InputError(
                f"there is no built-in 3D model of {name}; name one in config.engine.names "
                f"({', '.join(known)}), or give a folder with config.engine.models"
            )
    return [
        {
            f"seed{seed}-{number}": families.make(
                shapes_dataset.stream(seed, NAME, name, number), name, detailed=detailed
            )
            for number in range(per_category)
        }
        for name in categories
    ]


def own_models(
    folder: str | pathlib.Path,
    categories: Sequence[str],
    *,
    per_category: int,
    max_triangles: int,
    up: str = "",
    front: str = "",
) -> list[dict[str, scene.Mesh]]:
    """The models of a folder, see `catpose.synthetic.mesh_files.find`; the first of each category.

    Args:
      folder: where they are.
      categories: to look for.
      per_category: at most.
      max_triangles: to which larger models are simplified.
      up: see `mesh_files.load`; empty: the layout's own.
      front: likewise.

    Raises:
      InputError: no such folder, a category without models, or too many that cannot be read.
    """
    found = mesh_files.find(folder, up=up or None, front=front or None)
    result = []
    for name in categories:
        own = [m for m in found if name in (m.category, SYNSETS.get(m.category))]
        own = own[:per_category]
        if not own:
            there = sorted({m.category for m in found})
            raise InputError(
                f"no 3D model of {name} in {folder} (config.engine.names gives its name "
                f"there); it has {', '.join(there[:8])}" + " ..." * (len(there) > 8)
            )
        loaded = list(mesh_files.load_each(own, max_triangles=max_triangles))
        called = [re.sub(r"[^0-9A-Za-z.-]", "-", model.name) for model, _ in loaded]
        result.append(
            {
                f"{i}-" * (called.count(called[i]) > 1) + called[i]: mesh
                for i, (_, mesh) in enumerate(loaded)
            }
        )
    return result


def photo_backgrounds(
    folder: str | pathlib.Path, count: int, size: int, *, seed: int
) -> UInt8[np.ndarray, "N P P 3"]:
    """Random square parts of the photographs in a folder, from a quarter of their side up.

    Raises:
      InputError: no such folder, no photograph in it, or too many that cannot be read.
    """
    files = image_files.find(folder, recursive=True)
    if not files:
        raise InputError(
            f"no photographs in {folder}; give a folder with some, or leave "
            "config.engine.backgrounds empty for drawn ones"
        )
    generator = np.random.default_rng([seed, count, size])
    table = np.empty((count, size, size, 3), np.uint8)
    num, waiting, broken = min(len(files), count), [], []
    # Each photo is opened once, and few at a time are in memory.
    for number, rows in enumerate(np.array_split(np.arange(count), num)):
        waiting += rows.tolist()
        try:
            photo = photos.open_image(files[number * len(files) // num])
        except InputError as error:  # the next one has more parts
            broken.append(str(error))
            continue
        while waiting:
            i = waiting.pop(0)
            side = min(photo.size) * generator.uniform(0.25, 1)
            x, y = (generator.uniform(0, edge - side) for edge in photo.size)
            part = photo.resize(
                (size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side), 4
            )
            table[i] = np.asarray(part)
    errors.check_broken(broken, num, f"photographs in {folder}")
    for line in broken:
        print(f"left out: {line}", file=sys.stderr)
    table[waiting] = table[: len(waiting)]
    return table


def build(
    models_by_name: Sequence[Mapping[str, scene.Mesh]],
    table: UInt8[np.ndarray, "N P P 3"],
    seen: domain_randomization.Views,
    *,
    look: Look,
    supersampling: int = 2,
) -> Engine:
    """Puts the models of K categories in buckets of padded size.

    Args:
      models_by_name: of each category, at least one.
      table: backgrounds, see `domain_randomization.background_size`.
      seen: where objects of each category are seen from.
      look: how pictures differ.
      supersampling: samples per pixel and axis.
    """
    names = np.array([name for some in models_by_name for name in some])
    meshes = [mesh for some in models_by_name for mesh in some.values()]
    counts = [len(some) for some in models_by_name]
    category = np.repeat(np.arange(len(counts)), counts).astype(np.int32)
    most = [
        mesh_batch.pad(list(some.values()), multiple=1).triangles.shape[1]
        for some in models_by_name
    ]
    sizes, bucket = np.unique(np.searchsorted(_SIZES, most), return_inverse=True)
    buckets, place = [], np.zeros(len(meshes), np.int32)
    for number in range(len(sizes)):
        here = np.flatnonzero(bucket[category] == number)
        place[here] = np.arange(len(here))
        buckets.append(mesh_batch.pad([meshes[model] for model in here]))
    assets = Assets(tuple(buckets), place, table, seen)
    arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(assets)]
    digest = disk_cache.digest(*arrays, category, dataclasses.astuple(look), supersampling)
    return Engine(assets, category, names, tuple(bucket.tolist()), look, supersampling, digest)


def split(made: Engine) -> examples.Examples:
    """The models as examples without images: what sampling and records read."""
    count = len(made.category)
    return examples.Examples(
        image=np.zeros((count, 0, 0, 3), np.uint8),
        category=made.category,
        rotation=np.broadcast_to(np.eye(3, dtype=np.float32), (count, 3, 3)),
        id=made.names,
        digest=made.digest,
    )


def check_count(count: int, num_categories: int, num_devices: int) -> None:
    """Raises InputError where a batch does not hold all categories equally on each device."""
    if count % (num_categories * num_devices):
        raise InputError(
            f"{count} images of the source '{NAME}' in a batch: all {num_categories} categories "
            f"must come equally often on each of {num_devices} devices; take a multiple of "
            f"{num_categories * num_devices}"
        )


def draw(
    keys: Array,
    index: Int[Array, "B"],
    category: Int[Array, "B"],
    assets: Assets,
    *,
    bucket: tuple[int, ...],
    look: Look,
    size: int,
    context: float,
    supersampling: int,
) -> domain_randomization.Drawn:
    """Draws the models `index`, whose categories must be 0, 1, ... K - 1, 0, 1, ... in turn.

    Args:
      keys: (B,) random keys.
      index: of the models.
      category: of the models.
      assets: see `Engine`.
      bucket: static; see `Engine`.
      look: static.
      size: static; side of the pictures.
      context: static; see `domain_randomization.draw`.
      supersampling: static.
    """
    turn = np.arange(len(index)) % len(bucket)
    rows = [np.flatnonzero(np.asarray(bucket)[turn] == s) for s in range(len(assets.buckets))]
    parts = []
    for here, meshes in zip(rows, assets.buckets, strict=True):
        at = assets.place[index[here]]
        parts.append(
            domain_randomization.draw(
                keys[here],
                jax.tree.map(lambda leaf, at=at: leaf[at], meshes),
                category[here],
                assets.seen,
                assets.backgrounds,
                look=look,
                size=size,
                context=context,
                supersampling=supersampling,
            )
        )
    back = np.argsort(np.concatenate(rows))
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves)[back], *parts)


def arguments(made: Engine) -> dict[str, Any]:
    """What is static about an engine, for `draw`."""
    return {"bucket": made.bucket, "look": made.look, "supersampling": made.supersampling}
