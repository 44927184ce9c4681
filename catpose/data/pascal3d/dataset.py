"""PASCAL3D+ and ObjectNet3D: from the unpacked archive to examples that training reads.

`build` makes a dataset of tensorflow-datasets once, `read` opens it. The variant says which objects
it has: "paper" (Mahendran et al. 2018), "easy", "all", and for PASCAL3D+ "imagenet_val"; see
`catpose.data.pascal3d.layout`.
"""

import contextlib
import functools
import io
import pathlib
import shutil
import threading
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from catpose import progress
from catpose.data import disk_cache, pose_table, tables
from catpose.data.examples import Camera, Examples
from catpose.data.pascal3d import build_report, staging, tfds_builder
from catpose.data.pascal3d import layout as releases
from catpose.errors import InputError


def build(
    manual_dir: pathlib.Path | str,
    output_dir: pathlib.Path | str,
    *,
    dataset: str = "pascal3d",
    variant: str = "paper",
    show_progress: bool = True,
) -> dict[str, Any]:
    """Makes the dataset, goes on with it where an earlier try was stopped, or finds it made.

    Args:
      manual_dir: the folder that the archive was unpacked in, or the release's own folder.
      output_dir: the dataset is written to `<dataset>/<variant>/<version>` below it, together with
        report.md and report.json.
      dataset: "pascal3d" or "objectnet3d".
      variant: which objects, and what they are for.
      show_progress: shows bars.

    Returns:
      The report: counts per split and category beside the paper's Table 2, every oddity with
      examples, where it lies ("folder"). Its text is printed.

    Raises:
      InputError: not the release, or not the whole of it; no room; another build is at work
        there, or was made there from other files.
    """
    releases.variant(dataset, variant)
    root = releases.find(pathlib.Path(manual_dir), dataset)
    output_dir = pathlib.Path(output_dir)
    folder = output_dir / dataset / variant / staging.VERSION
    taken = f"another build is at work in {folder.parent}; wait for it"
    no_room = functools.partial(staging.no_room, folder.parent)
    with disk_cache.locked(folder.parent, taken, no_room):
        inputs = _inputs(root, dataset, variant)
        report = _finished(folder)
        if report is None:
            report = _build(root, output_dir, dataset, variant, inputs, show_progress)
        elif report["inputs"] != inputs:
            raise InputError(
                f"{folder} was built from other files than those in {root}; delete it to build it "
                "anew, or give another --output_dir"
            )
    print(build_report.markdown(report))
    return report | {"folder": str(folder)}


def _build(
    root: pathlib.Path,
    output_dir: pathlib.Path,
    dataset: str,
    variant: str,
    inputs: str,
    show_progress: bool,
) -> dict[str, Any]:
    import tensorflow_datasets as tfds

    folder = output_dir / dataset / variant / staging.VERSION
    staged = tfds_builder.staged_dir(output_dir, dataset, variant)
    # Left by killed builds: half written, or written and not yet checked.
    for stale in (folder, *folder.parent.glob("incomplete.*")):
        shutil.rmtree(stale, ignore_errors=True)
    if not show_progress:
        tfds.disable_progress_bar()
    builder = tfds_builder.builder_class(dataset)(
        data_dir=output_dir, config=variant, file_format="array_record"
    )
    builder.show_progress = show_progress
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints about downloads
            builder.download_and_prepare(
                download_dir=staged / "downloads",
                download_config=tfds.download.DownloadConfig(
                    manual_dir=root, try_download_gcs=False
                ),
            )
        report = builder.plan.summary | {"inputs": inputs, "root": str(root)}
        _verify(folder, builder.plan, show_progress)
        report["files"] = {path.name: path.stat().st_size for path in sorted(folder.iterdir())}
        build_report.write(report, folder)
    except OSError as error:
        raise InputError(staging.no_room(output_dir, error)) from error
    except RuntimeError as error:  # array_record's way to report a full disk
        if "write() failed" not in str(error):
            raise
        raise InputError(staging.no_room(output_dir, error)) from error
    shutil.rmtree(staged, ignore_errors=True)
    return report


def _verify(folder: pathlib.Path, plan: tfds_builder.Plan, show_progress: bool) -> None:
    """Reads everything back, because a full disk may lose data without an error."""
    digests = plan.columns["digest"]
    try:
        read_fn = _reader(folder, plan.parts)
        rows = progress.bar(range(len(digests)), desc="checking", show=show_progress)
        bad = sum(disk_cache.digest(read_fn(row)) != digests[row] for row in rows)
    except Exception as error:
        raise InputError(staging.no_room(folder, error)) from error
    if bad:
        shutil.rmtree(folder, ignore_errors=True)
        raise InputError(f"{bad} of {len(digests)} examples did not reach the disk {folder} whole")


def _inputs(root: pathlib.Path, dataset: str, variant: str) -> str:
    """A hash of everything that a build is made from."""
    rule = releases.variant(dataset, variant)
    listed = releases.read_lists(root, dataset, rule)
    models = sorted(
        (str(path.relative_to(root)), path.stat().st_size)
        for path in (root / "CAD").rglob("*")
        if path.suffix in (".off", ".mat")
    )
    # Without the times of change: the same files copied elsewhere are the same.
    marks = [
        [mark[:5], *(stamp[:1] for stamp in mark[5:])] for mark in staging.stamps(listed.entries)
    ]
    return disk_cache.digest(
        staging.VERSION, variant, listed.categories, listed.missing_lists, marks, models
    )


def _finished(folder: pathlib.Path) -> dict[str, Any] | None:
    """The report in `folder`, the last thing that a build writes; None without."""
    path = folder / "report.json"
    if not path.is_file():
        return None
    try:
        found = tables.parse_json(tables.text(path), str(path))
    except InputError as error:
        raise InputError(f"{error}; the file is damaged: remove it, and build again") from error
    if not isinstance(found, dict) or not {"inputs", "files", "parts", "content"} <= found.keys():
        raise InputError(f"{path} is damaged: remove it, and build again")
    return found


def locate(
    folder: pathlib.Path | str, dataset: str = "pascal3d", variant: str = "paper"
) -> pathlib.Path:
    """The folder of a finished build: `folder` itself, or the one below an output folder.

    Raises:
      InputError: there is no such build, or it was not finished; the message names those there are.
    """
    folder = pathlib.Path(folder)
    for path in (folder, folder / dataset / variant / staging.VERSION):
        if (path / "report.json").is_file():
            return path
    there = [str(path.parent) for path in sorted(folder.glob("*/*/*/report.json"))]
    raise InputError(
        f"no finished build of {dataset}, variant {variant}, in {folder}"
        + (f"; there are {', '.join(there)}" if there else "")
        + f"; make it with python -m launch.prepare --dataset={dataset} --manual_dir=DIR "
        f"--output_dir={folder}"
    )


def read(
    folder: pathlib.Path | str, *, dataset: str = "pascal3d", variant: str = "paper"
) -> Examples:
    """Opens what `build` made.

    Args:
      folder: the `output_dir` of the build, or the folder of a single build.
      dataset: "pascal3d" or "objectnet3d"; counts only where `folder` is an `output_dir`.
      variant: likewise.

    Returns:
      The examples in the order train, validation, test. Images are JPEG crops with a margin, boxes
      are in their pixels; ids are "<image id>_<number of the object>", followed by the category
      where two would be equal. Objects with only a coarse viewpoint (flag "coarse", variant "all")
      have its rotation, with theta 0, and no camera.

    Raises:
      InputError: there is no such build, or it is damaged.
    """
    folder = locate(folder, dataset, variant)
    report = _finished(folder)
    for name, size in report["files"].items():
        if not (folder / name).is_file() or (folder / name).stat().st_size != size:
            raise InputError(f"{folder} is damaged: {name} is not whole; make it anew")
    try:
        with np.load(folder / "index.npz") as index, np.load(folder / "cad.npz") as models:
            columns, points = dict(index), models["points"]
        parts = [tfds_builder.Part(**part) for part in report["parts"]]
        read_fn = _reader(folder, parts)
    except Exception as error:  # half a copy of the folder can fail in many ways
        raise InputError(f"{folder} is damaged ({error}); make it anew") from error
    angles = np.stack([columns[name] for name in pose_table.ANGLES], axis=-1)
    rotation = pose_table.rotations_from_angles(angles, for_paper=True)
    return Examples(
        read_fn=read_fn,
        digest=report["content"],
        id=columns["name"],
        category=columns["label"],
        split=columns["split"],
        rotation=rotation.astype(np.float32),
        box=columns["box"],
        categories=tuple(report["categories"]),
        camera=_camera(columns, points),
        flags={
            **{name: columns[name] for name in (*tfds_builder.FLAGS, "object", "image", "source")},
            "box": columns["original_box"],
        },
        notes=_notes(report),
    )


def _camera(columns: dict[str, np.ndarray], points: np.ndarray) -> Camera:
    box = columns["original_box"]
    size = box[:, 2:] - box[:, :2]
    middle = (box[:, 2:] + box[:, :2]) / 2
    center = (columns["principal_point"] - middle) / size
    # An object's center far outside its box: the annotation contradicts itself.
    center[(np.abs(center) > 1).any(axis=1)] = np.nan
    return Camera(
        distance=columns["distance"].astype(np.float32),
        focal=(columns["focal"] / size).astype(np.float32),
        center=center.astype(np.float32),
        points=points,
        model=columns["model"],
    )


def _notes(report: dict[str, Any]) -> tuple[str, ...]:
    counts = ", ".join(f"{s} {c['objects']}" for s, c in report["splits"].items())
    notes = [f"{report['title']}, variant {report['variant']}: {counts} objects."]
    if report["partial"]:
        notes.append(
            f"Part of the release only: {report['absent_images']} of {report['listed_images']} "
            "listed images were not there."
        )
    table = report.get("table_2", {})
    differing = sum(bool(c["why"]) for row in table.values() for c in row.values())
    if differing:
        notes.append(
            f"{differing} of 36 counts differ from the paper's Table 2; see report.md beside"
            " the data."
        )
    return tuple(notes)


def _reader(folder: pathlib.Path, parts: Sequence[tfds_builder.Part]) -> Callable[[int], bytes]:
    """Encoded image of a row, from the parts in which tensorflow-datasets holds them."""
    import tensorflow_datasets as tfds

    builder = tfds.builder_from_directory(folder)
    decoders = {"image": tfds.decode.SkipDecoding()}  # the JPEG as it is stored
    stops = np.array([part.stop for part in parts])
    sources = [builder.as_data_source(part.name, decoders=decoders) for part in parts]
    for part, source in zip(parts, sources, strict=True):
        if len(source) != part.stop - part.start:
            raise InputError(
                f"{folder} has {len(source)} of {part.stop - part.start} examples of {part.name}"
            )
    lock = threading.Lock()  # not every release of array_record has readers for several threads

    def read_fn(row: int | np.integer) -> bytes:
        part = int(np.searchsorted(stops, row, side="right"))
        with lock:
            return sources[part][int(row) - parts[part].start]["image"]

    return read_fn
