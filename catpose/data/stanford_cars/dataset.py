"""Stanford Cars with 3D poses, as a manifest folder; see `annotations` for the downloads.

Photos stay whole, for crops with a margin; the boxes are columns of the manifest.

Stanford's two parts were made for the fine classes. Here each is divided anew into train (5/8),
validation (1/8) and test (2/8), stratified by category. A photo's place depends on its own name and
on those of its category, so every preparation gives the same splits, and those of the first part
stay when the second is added.
"""

import collections
import hashlib
import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

from catpose import errors, progress
from catpose.data import disk_cache, photos, tables
from catpose.data.stanford_cars import annotations as car_labels
from catpose.errors import InputError
from catpose.images import decode, files

COLUMNS = (
    "file", "category", "fine_category", "split", "azimuth_deg", "elevation_deg", "theta_deg",
    "x0", "y0", "x1", "y1",
)  # fmt: skip
SEED = 0
SHARES = {"validation": 1 / 8, "test": 2 / 8}  # the rest is "train"


def prepare(manual_dir: str, output_dir: str, *, show_progress: bool = True) -> tuple[str, ...]:
    """Makes `output_dir` a manifest folder: `images/` and, once all of them are there, the CSV.

    Images are hard links to the download's where both lie on one disk, else copies. Each is decoded
    before it is taken, so that damage is found now. What an earlier, stopped preparation has taken
    is not decoded again.

    Args:
      manual_dir: the folder with both downloads, unpacked.
      output_dir: made where it does not exist.
      show_progress: show a bar on a terminal.

    Returns:
      What was left out or changed, in words.

    Raises:
      InputError: something is missing, damaged or of another dataset, or the output cannot be
        written; the line names it.
    """
    output = pathlib.Path(output_dir)
    manifest = output / "manifest.csv"
    if manifest.is_file():
        header = manifest.read_text(encoding="utf-8", errors="replace").partition("\n")[0]
        if header.strip() != ",".join(COLUMNS):
            raise InputError(f"{manifest} is of another dataset; give another --output_dir")
    cars, notes = car_labels.read(pathlib.Path(manual_dir))
    splits = assign_splits([(p.part, p.category, p.path.name) for p in cars])
    try:
        (output / "images").mkdir(parents=True, exist_ok=True)
        boxes = _take(cars, output / "images", show_progress)
        rows = [
            [
                *(photo.file, photo.category, photo.fine_category, split),
                *(f"{angle:.4f}" for angle in photo.angles),
                *(f"{value:g}" for value in box),
            ]
            for photo, split, box in zip(cars, splits, boxes, strict=True)
            if not isinstance(box, str)
        ]
        disk_cache.write_whole(manifest, tables.csv_text([COLUMNS, *rows]).encode())
    except OSError as error:
        raise InputError(
            f"cannot write {output}: {errors.reason(error)}; give another --output_dir"
        ) from error
    reasons = collections.Counter(box for box in boxes if isinstance(box, str))
    notes += tuple(f"{number} photos left out: {reason}" for reason, number in reasons.items())
    cut = sum(b != p.box for p, b in zip(cars, boxes, strict=True) if not isinstance(b, str))
    if cut:
        notes += (f"{cut} boxes cut at the edge of their photo",)
    return notes


def assign_splits(photos: Sequence[tuple[str, str, str]]) -> list[str]:
    """The split of each photo, given its part, category and file name.

    Within a part each split takes its share of every category, rounded so that its share of the
    whole is right too. Which photos of a category these are is decided by a hash of their names.
    """
    result = ["train"] * len(photos)
    for part in sorted({photo[0] for photo in photos}):
        members = collections.defaultdict(list)
        for i, photo in enumerate(photos):
            if photo[0] == part:
                members[photo[1]].append(i)
        sizes = {name: len(members[name]) for name in sorted(members)}
        for indices in members.values():
            indices.sort(
                key=lambda i: hashlib.blake2b(
                    f"{SEED}/{part}/{photos[i][2]}".encode(), digest_size=16
                ).digest()
            )
        for split, share in SHARES.items():
            for name, number in quotas(sizes, round(share * sum(sizes.values()))).items():
                for i in members[name][:number]:
                    result[i] = split
                del members[name][:number]
    return result


def quotas(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """`total` shared out in proportion to `sizes`, what rounding leaves by largest remainder."""
    exact = {name: total * size / sum(sizes.values()) for name, size in sizes.items()}
    result = {name: int(value) for name, value in exact.items()}
    by_remainder = sorted(exact, key=lambda name: result[name] - exact[name])
    for name in by_remainder[: total - sum(result.values())]:
        result[name] += 1
    return result


def _take(cars: Sequence[car_labels.Photo], folder: pathlib.Path, show_progress: bool) -> list[Any]:
    """Puts the photos into `folder`; the box of each within its photo, or why it is left out."""
    damaged = []

    def take(photo: car_labels.Photo) -> Any:
        target = folder / photo.file
        taken = target.is_file() and target.stat().st_size == photo.path.stat().st_size
        try:
            data = files.read_bytes(photo.path)
            with decode.named(photo.path):
                image = decode.identify(data)
                size, turned = image.size, decode.is_turned(image)
                if not taken:
                    # An eighth of the size costs less and reads every byte all the same.
                    image.draft("RGB", (size[0] // 8, size[1] // 8))
                    decode.load(image, data)
        except InputError as error:
            damaged.append((photo.path, error))
            return "damaged"
        x0, y0, x1, y1 = photos.clip(photo.box, size)
        if x1 - x0 < 1 or y1 - y0 < 1:
            return "their box lies outside the photo"
        if turned:
            return "turned by their EXIF data, which boxes and poses may or may not follow"
        if not taken:
            _link_or_copy(photo.path, target)
        return (x0, y0, x1, y1)

    options = {"total": len(cars), "desc": "photos", "unit": "img"}
    results = progress.thread_map(take, cars, show=show_progress, **options)
    if damaged:
        path, error = min(damaged, key=lambda pair: pair[0])
        raise InputError(
            f"{len(damaged)} of {len(cars)} photos cannot be read, unpack {path.parent.name}.tgz "
            f"again; the first: {error}"
        )
    return results


def _link_or_copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Under another name first, so that a file in its place is complete."""
    partial = target.with_name(f".{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        try:
            os.link(source.resolve(), partial)
        except OSError:  # another disk, or one without hard links
            shutil.copyfile(source, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)
