"""PASCAL3D+ and ObjectNet3D as tensorflow-datasets builders, without TensorFlow.

tensorflow-datasets writes array_record files without TensorFlow as long as images come encoded and
a split stays under 1000 MiB; beyond that its shuffler needs TensorFlow. A split that would pass
`SPLIT_BYTES` is therefore written as several, `train_part1`, `train_part2` and so on, in the order
of the lists. Beside the examples lie `index.npz`, all of them but the pictures as columns, and
`cad_points.npz`, the CAD models.
"""

import collections
import functools
import itertools
import pathlib
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from catpose.data import disk_cache
from catpose.data.pascal3d import build_report, cad_points, staging
from catpose.data.pascal3d import layout as releases
from catpose.errors import InputError

SPLIT_BYTES = 900 << 20
# What an example needs beside its picture, at most.
OVERHEAD = 2048
_INSTRUCTIONS = """
Download and unpack the archive; pass the folder it was unpacked in as the manual directory.
"""
_CITATION = """
@inproceedings{xiang2014beyond, title={Beyond PASCAL: A benchmark for 3D object detection in the
  wild}, author={Xiang, Yu and Mottaghi, Roozbeh and Savarese, Silvio}, booktitle={WACV},
  year={2014}}
@inproceedings{xiang2016objectnet3d, title={ObjectNet3D: A large scale database for 3D object
  recognition}, author={Xiang, Yu and others}, booktitle={ECCV}, year={2016}}
"""


class Part(NamedTuple):
    """A split as tensorflow-datasets knows it.

    Attributes:
      name: the split's, with `_part<n>` where there are several.
      split: "train", "validation" or "test".
      start: the first of its rows in `Plan.columns`.
      stop: behind the last of them.
    """

    name: str
    split: str
    start: int
    stop: int


class Plan(NamedTuple):
    """A build, all but the writing.

    Attributes:
      chunks: the staged files, and how many examples each holds.
      columns: of the examples, by field; N rows in the order train, validation, test.
      parts: which rows are written as what.
      models: the CAD models.
      summary: what was found, see `catpose.data.pascal3d.build_report`.
    """

    chunks: tuple[tuple[pathlib.Path, int], ...]
    columns: dict[str, np.ndarray]
    parts: tuple[Part, ...]
    models: cad_points.Models
    summary: dict[str, Any]


FLAGS = ("truncated", "occluded", "difficult", "coarse")
NUMBERS = ("azimuth_deg", "elevation_deg", "theta_deg", "distance")
VECTORS = {"box": 4, "original_box": 4, "principal_point": 2, "focal": 2}
# The columns and their types.
COLUMNS = {
    **dict.fromkeys(("name", "image", "source", "digest", "split"), np.str_),
    **dict.fromkeys(FLAGS, np.bool_),
    **dict.fromkeys((*NUMBERS, *VECTORS), np.float64),
    **dict.fromkeys(("label", "object", "cad_index", "model"), np.int32),
    "bytes": np.int64,
}


def plan(
    root: pathlib.Path, dataset: str, variant: str, folder: pathlib.Path, show_progress: bool
) -> Plan:
    """Reads the release below `root` and decides what to write.

    Args:
      root: the release's own folder (see `releases.find`).
      dataset: "pascal3d" or "objectnet3d".
      variant: a name among the dataset's variants.
      folder: for what has to survive a killed build.
      show_progress: shows a bar.

    Raises:
      InputError: a damaged list, nothing to write, or no room to write it.
    """
    release, rule = releases.RELEASES[dataset], releases.variant(dataset, variant)
    listed = releases.read_lists(root, dataset, rule)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(staging.no_room(folder, error)) from error
    chunks = staging.stage(listed, release, rule, folder, show_progress)

    tally = build_report.Tally()
    tally.quirks["repeated"] += listed.repeated
    models = cad_points.read(root, release.cad, listed.categories)
    model_rows = {
        pair: i for i, pair in enumerate(zip(models.category, models.number, strict=True))
    }
    kept, counts, entries = [], [], iter(listed.entries)
    for chunk in chunks:
        before = len(kept)
        for (rows, quirks), entry in zip(staging.read_rows(chunk), entries, strict=False):
            tally.add(entry, rows, quirks)
            for row in rows:
                index = listed.categories.index(row["category"])
                row |= {
                    "label": index,
                    "model": model_rows.get((index, row["cad_index"]), -1),
                    "name": f"{row['image']}_{row['object']}",
                }
                if not row["dropped"]:
                    if row["model"] < 0 and models.category.size:
                        tally.quirks["no_model"].append(f"{row['category']} {row['name']}")
                    kept.append(row)
        counts.append(len(kept) - before)
    if not kept:
        raise InputError(
            f"{root}: none of the {len(listed.entries)} listed images has a usable object; "
            f"unpack {', '.join(release.archives)} completely"
        )
    columns = _columns(kept)
    parts = _parts(columns)
    summary = build_report.summarize(tally, dataset, variant, listed) | {
        "parts": [part._asdict() for part in parts],
        "content": disk_cache.digest(columns["digest"].tolist(), columns["box"], columns["label"]),
        "models": {
            "count": len(models.points),
            "missing": list(models.missing),
            "unreadable": list(models.unreadable),
        },
    }
    return Plan(tuple(zip(chunks, counts, strict=True)), columns, parts, models, summary)


def _columns(rows: list[staging.Row]) -> dict[str, np.ndarray]:
    # Two categories may number the objects of one image differently.
    counts = collections.Counter(row["name"] for row in rows)
    for row in rows:
        if counts[row["name"]] > 1:
            row["name"] += f"_{row['category']}"
    return {name: np.array([row[name] for row in rows], kind) for name, kind in COLUMNS.items()}


def _parts(columns: dict[str, np.ndarray]) -> tuple[Part, ...]:
    parts = []
    for split in build_report.SPLITS:
        rows = np.flatnonzero(columns["split"] == split)
        if not rows.size:
            continue
        bounds, total = [int(rows[0])], 0
        for row in rows:
            size = int(columns["bytes"][row]) + OVERHEAD
            if total and total + size > SPLIT_BYTES:
                bounds.append(int(row))
                total = 0
            total += size
        bounds.append(int(rows[-1]) + 1)
        for number, (start, stop) in enumerate(itertools.pairwise(bounds), start=1):
            name = split if len(bounds) == 2 else f"{split}_part{number}"
            parts.append(Part(name, split, start, stop))
    return tuple(parts)


def examples(plan: Plan, part: Part) -> Iterator[tuple[int, dict[str, Any]]]:
    """(row, example) of one part, in order; only the chunks that it needs are read."""
    first = 0
    for chunk, kept in plan.chunks:
        start, stop = max(part.start, first), min(part.stop, first + kept)
        if start < stop:
            jpegs = staging.read_jpegs(chunk)
            for row in range(start, stop):
                yield row, _example(plan.columns, row, jpegs[row - first])
        first += kept


def _example(columns: dict[str, np.ndarray], row: int, jpeg: bytes) -> dict[str, Any]:
    values = {name: column[row] for name, column in columns.items()}
    return {
        "image": jpeg,
        "category": int(values["label"]),
        "image_id": str(values["image"]),
        **{name: str(values[name]) for name in ("name", "source")},
        **{name: values[name] for name in ("object", "cad_index", *FLAGS)},
        **{name: values[name].astype(np.float32) for name in (*NUMBERS, *VECTORS)},
    }


@functools.cache
def builder_class(dataset: str) -> type:
    """The builder of `dataset`, a `tfds.core.GeneratorBasedBuilder` with a config per variant.

    It reads the release in the manual directory and writes array_record files below its data
    directory; its `show_progress` may be set to False, and `plan` is what the last build was made
    from.
    """
    import tensorflow_datasets as tfds

    release = releases.RELEASES[dataset]

    class Builder(tfds.core.GeneratorBasedBuilder, skip_registration=True):
        """One example per annotated object: a picture with a margin, its box, and its pose."""

        name = dataset
        VERSION = tfds.core.Version(staging.VERSION)
        MANUAL_DOWNLOAD_INSTRUCTIONS = _INSTRUCTIONS
        BUILDER_CONFIGS = [
            tfds.core.BuilderConfig(name=name, description=variant.description)
            for name, variant in release.variants.items()
        ]
        # Where tfds would look for checksums of downloads, of which there are none; looking needs
        # a package (importlib_resources) that it does not install.
        code_path = None
        show_progress = True
        plan: Plan | None = None

        def _info(self):
            features = {
                "image": tfds.features.Image(shape=(None, None, 3), encoding_format="jpeg"),
                "category": tfds.features.ClassLabel(),  # the names are in the release
                "name": tfds.features.Text(),
                "image_id": tfds.features.Text(),
                "source": tfds.features.Text(),
                "object": tfds.features.Scalar(np.int32),
                "cad_index": tfds.features.Scalar(np.int32),
                **dict.fromkeys(FLAGS, tfds.features.Scalar(np.bool_)),
                **dict.fromkeys(NUMBERS, tfds.features.Scalar(np.float32)),
                **{
                    n: tfds.features.Tensor(shape=(k,), dtype=np.float32)
                    for n, k in VECTORS.items()
                },
            }
            return tfds.core.DatasetInfo(
                builder=self,
                description=f"{release.title}. {self.builder_config.description}",
                features=tfds.features.FeaturesDict(features),
                citation=_CITATION,
                disable_shuffling=True,  # the order of the lists
            )

        def _split_generators(self, dl_manager):
            root = releases.find(pathlib.Path(dl_manager.manual_dir), dataset)
            folder = staged_dir(pathlib.Path(self.data_dir_root), dataset, self.builder_config.name)
            self.plan = plan(root, dataset, self.builder_config.name, folder, self.show_progress)
            self.info.features["category"].names = self.plan.summary["categories"]
            # Into the folder that becomes the data's when all is written.
            target = pathlib.Path(self.data_dir)
            np.savez(target / "index.npz", **self.plan.columns)
            arrays = ("points", "category", "number")
            np.savez(target / "cad.npz", **{n: getattr(self.plan.models, n) for n in arrays})
            return {p.name: self._generate_examples(p) for p in self.plan.parts}

        def _generate_examples(self, part):
            yield from examples(self.plan, part)

    return Builder


def staged_dir(output_dir: pathlib.Path, dataset: str, variant: str) -> pathlib.Path:
    """Where a build keeps what has to survive it being killed."""
    return output_dir / dataset / variant / "staged"
