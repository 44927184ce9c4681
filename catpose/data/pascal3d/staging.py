"""Reads a release image by image, on all cores; a killed build resumes at the first missing chunk.

The images are taken in chunks. What comes out of a chunk, the pictures to store and everything that
the report counts, is one file under a name that hashes what went in: it is written beside its final
place and renamed when whole. A later build with the same images finds it and goes on behind it.
"""

import io
import json
import math
import pathlib
import zipfile
from collections.abc import Iterable
from typing import Any

import numpy as np

from catpose import progress
from catpose.data import disk_cache
from catpose.data.pascal3d import annotations, crops
from catpose.data.pascal3d import layout as releases
from catpose.errors import InputError

# To be raised when the same files would give other examples: everything is then made anew.
VERSION = "1.0.0"
CHUNK = 64

# A row describes an object: `dropped` is "" where it is kept and otherwise one of these reasons.
DROPPED = {
    "truncated": "truncated",
    "occluded": "occluded",
    "difficult": "difficult, in a test split without such",
    "coarse": "only the coarse viewpoint is known",
    "no_viewpoint": "no viewpoint at all",
    "no_box": "no box, or none within the photograph",
    "no_image": "the photograph is missing or unreadable",
}
Row = dict[str, Any]


def stamps(entries: Iterable[releases.Entry]) -> list[list[Any]]:
    """Of each entry what its hash is made of: names, sizes and times of change of its files."""

    def stamp(path: pathlib.Path) -> list[int]:
        stat = path.stat() if path.is_file() else None
        return [stat.st_size, stat.st_mtime_ns] if stat else []

    return [
        [e.id, e.category, e.source, e.split, e.image.name, stamp(e.annotation), stamp(e.image)]
        for e in entries
    ]


def stage(
    listed: releases.Listed,
    release: releases.Release,
    variant: releases.Variant,
    folder: pathlib.Path,
    show_progress: bool = True,
) -> list[pathlib.Path]:
    """Makes the chunk files that are not there yet.

    Args:
      listed: the images.
      release: where they come from.
      variant: which of their objects to keep.
      folder: for the chunk files; must exist.
      show_progress: shows a bar over the images.

    Returns:
      The chunk files, in the order of the images.

    Raises:
      InputError: the folder cannot be written or the disk is full.
    """
    entries = listed.entries
    marks = stamps(entries)
    rule = [VERSION, release.title, listed.categories, variant.clean, variant.easy, variant.coarse]

    def make(start: int) -> pathlib.Path:
        name = disk_cache.digest(rule, marks[start : start + CHUNK])
        path, chunk = folder / f"{name}.npz", entries[start : start + CHUNK]
        if not zipfile.is_zipfile(path):
            results = [read_entry(e, listed.categories, release, variant) for e in chunk]
            _write(path, results)
        return path

    starts = range(0, len(entries), CHUNK)
    options = {"total": len(starts), "desc": release.title, "unit": "img", "unit_scale": CHUNK}
    return progress.thread_map(make, starts, show=show_progress, **options)


def _write(path: pathlib.Path, results: list[tuple[list[Row], list, list[bytes]]]) -> None:
    jpegs = [jpeg for _, _, images in results for jpeg in images]
    text = json.dumps([[rows, quirks] for rows, quirks, _ in results])
    file = io.BytesIO()
    np.savez(
        file,
        text=np.frombuffer(text.encode(), np.uint8),
        lengths=np.array([len(jpeg) for jpeg in jpegs], np.int64),
        jpegs=np.frombuffer(b"".join(jpegs), np.uint8),
    )
    try:
        disk_cache.write_whole(path, file.getvalue())
    except OSError as error:
        raise InputError(no_room(path.parent, error)) from error


def no_room(folder: pathlib.Path, error: Exception) -> str:
    """The message for a failure to write below `folder`."""
    reason = getattr(error, "strerror", None) or " ".join(str(error).split()) or repr(error)
    return (
        f"cannot write to {folder}: {reason}; make room or give another --output_dir, then repeat "
        "the command: what is finished is kept"
    )


def read_rows(path: pathlib.Path) -> list[tuple[list[Row], list[list[str]]]]:
    """For each image of a chunk file its rows and its quirks."""
    with np.load(path) as chunk:
        return [(rows, quirks) for rows, quirks in json.loads(chunk["text"].tobytes())]


def read_jpegs(path: pathlib.Path) -> list[bytes]:
    """The encoded picture of each row of a chunk file that is kept, in order."""
    with np.load(path) as chunk:
        jpegs, lengths = chunk["jpegs"].tobytes(), chunk["lengths"]
    return [jpegs[end - n : end] for end, n in zip(np.cumsum(lengths), lengths, strict=True)]


def read_entry(
    entry: releases.Entry,
    categories: tuple[str, ...],
    release: releases.Release,
    variant: releases.Variant,
) -> tuple[list[Row], list[tuple[str, str]], list[bytes]]:
    """Reads one image of a list.

    Returns:
      A row for each object of the entry's category, kept or not; (name, place) of each quirk; the
      encoded picture of each row that is kept.
    """
    where = f"{entry.category}_{entry.source}/{entry.id}" if entry.category else entry.id
    if not entry.annotation.is_file():
        return [], [("missing_annotation", where)], []
    try:
        record = annotations.read(entry.annotation, release.viewport)
    except InputError:
        return [], [("unreadable_annotation", where)], []

    wanted = (entry.category,) if entry.category else categories
    others = [item for item in record.objects if item.category not in wanted]
    name = "other_category" if entry.category else "unknown_category"
    quirks = [(name, f"{where} #{item.number} {item.category}") for item in others]
    rows = [
        describe(entry, item, release, variant)
        for item in record.objects
        if item.category in wanted
    ]
    quirks += [
        (name, f"{where} #{number}" if number else where)
        for name, number in record.quirks
        if number not in {item.number for item in others}
    ]
    quirks += [("coarse_only", f"{where} #{row['object']}") for row in rows if row["coarse"]]
    images = _cut_all(entry, record, rows, quirks, where)
    return rows, quirks, images


def describe(
    entry: releases.Entry,
    item: annotations.AnnotatedObject,
    release: releases.Release,
    variant: releases.Variant,
) -> Row:
    """What an annotation says of an object, and by which rule `variant` leaves it out, if any."""
    *fine, theta = item.angles_deg
    distance = item.distance if item.distance > 0 else math.nan
    if release.hand_aligned and math.isnan(sum(fine)):
        fine = item.coarse_deg
    # distance = 0 marks an object that was never aligned; its angles are then 0, too.
    coarse = math.isnan(distance) or math.isnan(sum(fine))
    azimuth, elevation = item.coarse_deg if coarse else fine
    known = not math.isnan(azimuth + elevation)
    reasons = {
        "no_viewpoint": not known,
        "coarse": coarse and not variant.coarse,
        "truncated": variant.clean and item.truncated,
        "occluded": variant.clean and item.occluded,
        "difficult": variant.easy and entry.split == "test" and item.difficult,
        "no_box": item.box is None,
    }
    return {
        "dropped": next((reason for reason, holds in reasons.items() if holds), ""),
        "image": entry.id,
        "object": item.number,
        "category": item.category,
        "source": entry.source,
        "split": entry.split,
        "truncated": item.truncated,
        "occluded": item.occluded,
        "difficult": item.difficult,
        "coarse": coarse and known,
        "azimuth_deg": azimuth,
        "elevation_deg": elevation,
        "theta_deg": 0.0 if coarse or math.isnan(theta) else theta,
        "distance": math.nan if coarse else distance,
        "cad_index": item.cad_index,
    }


def _cut_all(
    entry: releases.Entry,
    record: annotations.Record,
    rows: list[Row],
    quirks: list[tuple[str, str]],
    where: str,
) -> list[bytes]:
    """Crops the pictures of kept rows; updates `rows` with boxes, cameras and reasons to drop."""
    # Report missing images even if unused, so that an incomplete download is detected.
    if not entry.image.is_file():
        quirks.append(("missing_image", where))
    kept = [row for row in rows if not row["dropped"]]
    if not kept:
        return []
    try:
        image, oddities = crops.load(entry.image)
    except InputError:
        if entry.image.is_file():
            quirks.append(("unreadable_image", where))
        for row in kept:
            row["dropped"] = "no_image"
        return []
    quirks += [(name, where) for name in oddities]
    if record.size not in (image.size, (0, 0)):
        quirks.append(("stated_size", where))

    by_number = {item.number: item for item in record.objects}
    jpegs = []
    for row in kept:
        item = by_number[row["object"]]
        placed = crops.place(item, entry.id, record.size, image.size)
        names = placed.quirks if placed else ()
        crop = crops.cut(image, placed.box) if placed else None
        if crop is None:
            names += ("box_nowhere",)
            row["dropped"] = "no_box"
        quirks += [(name, f"{where} #{item.number}") for name in names]
        if crop is None:
            continue
        unknown = (math.nan, math.nan)
        row |= {
            "bytes": len(crop.jpeg),
            "digest": disk_cache.digest(crop.jpeg),
            "box": crop.box,
            "original_box": placed.box,
            "principal_point": unknown if row["coarse"] else placed.center,
            "focal": unknown if row["coarse"] else placed.focal,
        }
        jpegs.append(crop.jpeg)
    return jpegs
