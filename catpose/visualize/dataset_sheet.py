"""A dataset's own examples with their labels, so that a wrong convention is seen at once."""

import dataclasses
import functools
import pathlib
import tempfile
from collections.abc import Mapping, Sequence

import jax
import numpy as np
from PIL import Image, ImageDraw

from catpose import outputs
from catpose.data import augment as augmentation
from catpose.data import batch, crop_cache, examples
from catpose.data.examples import Examples
from catpose.data.input_spec import InputSpec
from catpose.geometry import viewpoint
from catpose.visualize import axes

_CELL, _LINE = 200, 15  # pixels of a picture and of a line of text


def dataset_sheet(
    split: Examples,
    categories: Sequence[str],
    path: pathlib.Path,
    *,
    changes: Mapping[str, augmentation.Augment],
    resolution: int,
    num: int = 4,
    seed: int = 0,
) -> None:
    """Draws examples of each category as they are cached and as training changes them.

    A line for each category: the cached crop with its box, axes and angles, and to its right one
    random sample of each augmentation with the axes of the changed label. If the axes lie right on
    the left and wrong on the right, the augmentation is at fault; if wrong on both, the dataset's
    convention is.

    Args:
      split: examples; the first `num` of each category are shown.
      categories: names in the order of the indices.
      path: the PNG to write.
      changes: the augmentations to show, by title.
      resolution: side of the changed images.
      num: examples of each category.
      seed: of the random changes.
    """
    rows = [np.flatnonzero(split.category == k)[:num] for k in range(len(categories))]
    index = np.concatenate(rows)
    if not len(index):
        return
    samples = {
        title: changed(split, index, augment, resolution, seed)
        for title, augment in changes.items()
    }
    place = {example: i for i, example in enumerate(index)}
    margin, side = split.margin, split.image.shape[1]
    box = (margin, margin, side - margin, side - margin) if margin else None
    lines = []
    for name, row in zip(categories, rows, strict=True):
        cells = []
        for i in row:
            before = axes.draw_axes(np.asarray(split.image[i]), split.rotation[i], box=box)
            cells.append(_cell(before, f"{name} {split.id[i]}", split.rotation[i]))
            for title, (images, rotations) in samples.items():
                image, rotation = images[place[i]], rotations[place[i]]
                cells.append(_cell(axes.draw_axes(image, rotation), title, rotation))
        if cells:
            blank = Image.new("RGB", cells[0].size, "white")
            cells += [blank] * (num * (1 + len(samples)) - len(cells))
            lines.append(np.concatenate(cells, axis=1))
    outputs.save_picture(Image.fromarray(np.concatenate(lines)), path)


def _cell(image: np.ndarray, title: str, rotation: np.ndarray) -> Image.Image:
    """One picture of the sheet, its title and its angles below."""
    turns = viewpoint.angles_from_rotation(rotation)
    azimuth, elevation, theta = (round(float(np.degrees(angle))) for angle in turns)
    cell = Image.new("RGB", (_CELL, _CELL + 2 * _LINE), "white")
    cell.paste(Image.fromarray(image).resize((_CELL - 6, _CELL - 6)), (3, 3))
    draw = ImageDraw.Draw(cell)
    draw.text((4, _CELL), title, "black", font_size=_LINE - 3)
    angles = f"az {azimuth % 360}  el {elevation}  th {theta}"
    draw.text((4, _CELL + _LINE), angles, "black", font_size=_LINE - 3)
    return cell


def of_examples(
    encoded: Examples,
    folder: pathlib.Path,
    *,
    augment: augmentation.Augment,
    num: int = 4,
    resolution: int = 160,
) -> list[pathlib.Path]:
    """Sheets of images decoded for them alone.

    `sheet_<split>.png` shows examples of each split before and after `augment`;
    `augmentations.png` one of each category of the first split, before and after each of its
    changes alone.

    Args:
      encoded: encoded examples; those shown are spread over each category's.
      folder: where the sheets go.
      augment: the random changes to show.
      num: see `dataset_sheet`.
      resolution: see `dataset_sheet`.
    """
    index = []
    for split in examples.splits(encoded):
        for k in range(len(encoded.categories)):
            rows = np.flatnonzero((encoded.split == split) & (encoded.category == k))
            index += rows[np.linspace(0, len(rows) - 1, min(num, len(rows))).astype(int)].tolist()
    paths = []
    with tempfile.TemporaryDirectory() as decoded:
        data = crop_cache.load(
            examples.take(encoded, np.array(index, np.int64)),
            resolution=resolution,
            margin=resolution // 4,
            max_broken_share=1.0,
            cache_dir=decoded,
            show_progress=False,
        )
        sheets = [(f"sheet_{name}", name, {"changed": augment}, num) for name in data.splits]
        sheets.append(("augmentations", next(iter(data.splits)), alone(augment), 1))
        for title, name, changes, count in sheets:
            paths.append(folder / f"{title}.png")
            dataset_sheet(
                data.splits[name],
                data.categories,
                paths[-1],
                changes=changes,
                resolution=resolution,
                num=count,
            )
    return paths


def alone(augment: augmentation.Augment) -> dict[str, augmentation.Augment]:
    """Each change of `augment` by itself, by the name of its config key; mirrored for certain."""
    strengths = dataclasses.asdict(augment) | {"mirror": float(augment.mirror > 0)}
    single = {name: augmentation.Augment(**{name: value}) for name, value in strengths.items()}
    return {name: one for name, one in single.items() if one != augmentation.Augment()}


def changed(
    split: Examples, index: np.ndarray, augment: augmentation.Augment, resolution: int, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The examples as training would see them once: RGB images and rotations."""
    records = {"show": batch.records(split, index, with_images=True)}
    points = None if split.camera is None else split.camera.points
    prepare_fn = functools.partial(
        batch.prepare,
        augment=augment,
        views=(),
        input_spec=InputSpec(resolution, 1.0, "none", "camera"),
        margins={"show": split.margin},
    )
    cache = {"show": batch.Cache(points=points)}
    made = jax.device_get(jax.jit(prepare_fn)(jax.random.key(seed), records, cache))
    return np.clip(made.image, 0, 255).astype(np.uint8), made.rotation
