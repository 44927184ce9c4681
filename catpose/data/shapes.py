"""The built-in dataset: procedural objects of the twelve categories, drawn on the spot.

Every object has its own random stream, named by seed, split, category and number, so a data set
depends on nothing but its arguments: not on the number of workers, and a smaller set is the start
of a larger one. No two splits share a stream, so none shares an object or a background.
"""

import multiprocessing
import os
import signal
import sys
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from jaxtyping import Float, UInt8

from catpose import progress
from catpose.synthetic import numpy_scene
from catpose.synthetic.objects import catalogue

# "drawn" is of the objects that are drawn while training.
_STREAMS = ("train", "validation", "test", "pretrain", "drawn", "rendered")
SPLITS = tuple(name for name in _STREAMS if name != "drawn")
_BACKGROUND_FAMILY = {
    "train": "seen",
    "validation": "unseen",
    "test": "unseen",
    "pretrain": "seen",
    "rendered": "plain",
}
_VIEWS_PER_OBJECT = {"train": 4, "validation": 1, "test": 1, "pretrain": 4, "rendered": 4}
# Objects of each category in one piece of work; a worker takes about a second over it.
_OBJECTS_PER_CHUNK = 10


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
        category = (*catalogue.CATEGORIES, *catalogue.SUBTYPES).index(category)
    sequence = np.random.SeedSequence([seed, _STREAMS.index(name), category, number])
    return np.random.Generator(np.random.PCG64(sequence))


def _draw_object(
    seed: int, split: str, category: int, number: int, num_views: int, resolution: int
) -> tuple[UInt8[np.ndarray, "n S S 3"], Float[np.ndarray, "n 3"]]:
    """All views of one object: images, and azimuth, elevation and theta in radians."""
    generator = stream(seed, split, category, number)
    mesh = catalogue.make(generator, category)
    images = np.empty((num_views, resolution, resolution, 3), np.uint8)
    angles = np.empty((num_views, 3))
    for i in range(num_views):
        picture = numpy_scene.picture(generator, mesh, resolution, family=_BACKGROUND_FAMILY[split])
        images[i], angles[i] = picture.image, picture.angles
    return images, angles


def _draw_chunk(job: tuple[int, str, int, int, int, int, int]):
    """Images first ... last - 1 of a data set; a chunk holds whole rounds of all categories."""
    seed, split, first, last, num_views, resolution, chunk = job
    num = len(catalogue.CATEGORIES)
    images = np.empty((last - first, resolution, resolution, 3), np.uint8)
    angles = np.empty((last - first, 3))
    for category in range(num):
        # Image i shows category i % num, from view (i // num) % num_views of its object.
        rows = np.arange(category, last - first, num)
        for start in range(0, len(rows), num_views):
            rows_of_object = rows[start : start + num_views]
            number = (first // num + start) // num_views
            images[rows_of_object], angles[rows_of_object] = _draw_object(
                seed, split, category, number, len(rows_of_object), resolution
            )
    return chunk, images, angles


def _ignore_interrupts() -> None:
    """Ctrl-C reaches the whole process group; the parent alone answers, by ending the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _bare_main() -> Iterator[None]:
    """Keeps spawned processes from importing the main module again.

    They need nothing from it; it may import jax, lack a guard, or be no file at all (a notebook).
    """
    main = sys.modules["__main__"]
    sys.modules["__main__"] = types.ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Processes started in here ignore Ctrl-C from their first moment, when they still import.

    One that died of it while it held the pool's lock would leave the pool waiting for ever.
    """
    handler = signal.getsignal(signal.SIGINT)
    if handler is None or threading.current_thread() is not threading.main_thread():
        yield
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, handler)


def _num_workers(requested: int | None, num_chunks: int) -> int:
    if requested is None:
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
        requested = min(cores or 1, 32)
    if requested <= 1 or num_chunks <= 1 or multiprocessing.current_process().daemon:
        return 0
    return min(requested, num_chunks)


def generate(
    *,
    num_images: int,
    split: str,
    seed: int,
    resolution: int,
    views_per_object: int | None = None,
    num_workers: int | None = None,
    show_progress: bool = True,
) -> dict[str, np.ndarray]:
    """Draws a data set.

    Image i shows category i modulo 12, so every prefix is balanced.

    Args:
        num_images: any number; the categories differ by one image at most.
        split: "train", "validation", "test", "pretrain" or "rendered"; validation and test have
            backgrounds of a family that no other shows, "rendered" has plain ones.
        seed: 0 or greater.
        resolution: width and height of an image in pixels.
        views_per_object: images of an object before the next one is made; None: 1 in "validation"
            and "test", 4 elsewhere.
        num_workers: processes to draw in; 0 draws in this one, None takes what the machine has.
        show_progress: shows a bar if standard error is a terminal.

    Returns:
        image (N, S, S, 3) uint8; category (N,) int32; rotation (N, 3, 3) float32, object to camera
        in the frame "camera"; azimuth, elevation and theta (N,) float32 in radians.

    Raises:
        ValueError: for an unknown split or a number that is out of range.
    """
    if split not in SPLITS:
        raise ValueError(f"split {split!r} is not one of {SPLITS}")
    num_views = _VIEWS_PER_OBJECT[split] if views_per_object is None else views_per_object
    for name, value, least in (
        ("num_images", num_images, 0),
        ("seed", seed, 0),
        ("resolution", resolution, 1),
        ("views_per_object", num_views, 1),
    ):
        if value < least:
            raise ValueError(f"{name} is {value}, must be at least {least}")

    num = len(catalogue.CATEGORIES)
    step = num * num_views * max(1, _OBJECTS_PER_CHUNK * 4 // num_views)
    starts = range(0, num_images, step)
    jobs = [
        (seed, split, start, min(start + step, num_images), num_views, resolution, chunk)
        for chunk, start in enumerate(starts)
    ]
    images = np.empty((num_images, resolution, resolution, 3), np.uint8)
    angles = np.empty((num_images, 3))
    bar = progress.bar(
        total=num_images,
        desc=f"drawing {split} shapes",
        unit="image",
        show=show_progress,
    )

    def store(result) -> None:
        chunk, chunk_images, chunk_angles = result
        start = starts[chunk]
        images[start : start + len(chunk_images)] = chunk_images
        angles[start : start + len(chunk_images)] = chunk_angles
        bar.update(len(chunk_images))

    workers = _num_workers(num_workers, len(jobs))
    with bar:
        if workers:
            with _bare_main(), _interrupts_ignored():
                pool = multiprocessing.get_context("spawn").Pool(workers, _ignore_interrupts)
            with pool:  # on any exception, Ctrl-C included, this ends the workers
                for result in pool.imap_unordered(_draw_chunk, jobs):
                    store(result)
        else:
            for job in jobs:
                store(_draw_chunk(job))

    rotation = _rotations(angles)
    azimuth, elevation, theta = angles.T.astype(np.float32)
    return {
        "image": images,
        "category": (np.arange(num_images) % num).astype(np.int32),
        "rotation": rotation,
        "azimuth": azimuth,
        "elevation": elevation,
        "theta": theta,
    }


def _rotations(angles: Float[np.ndarray, "n 3"]) -> Float[np.ndarray, "n 3 3"]:
    if not len(angles):
        return np.empty((0, 3, 3), np.float32)
    return np.stack([numpy_scene.rotation_from_angles(*row) for row in angles]).astype(np.float32)
