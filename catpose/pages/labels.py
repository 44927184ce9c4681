"""What a person says of the photos in a folder: `manifest.csv`, and beside it what is not yet one.

A labeled object is a row of `manifest.csv` (see `catpose.data.manifest`), with angles, its box and,
where it has one, the symmetry of its category. An object without a visible pose is one too in the
split train, where it teaches its category; what validates and tests needs a pose. All others, what
is begun and what was skipped are rows of `unfinished.csv`, which no training reads. Both are
written at each change, in one move. Rows that nobody changes stay as they are, with all columns.

The split of a photo follows from a hash of its content, so it stays when photos come or are
renamed, and two copies of a photo are in one split.
"""

import pathlib
import threading
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from catpose.data import disk_cache, file_names, manifest, pose_table, tables
from catpose.data.examples import POSE_LABELS
from catpose.errors import InputError
from catpose.geometry import symmetry
from catpose.images import files
from catpose.pages import objects
from catpose.pages.objects import STATES, Object, Photo

# Of a hash that is uniform in [0, 1): below the first number, below the second, the rest.
SHARES = {"train": 0.7, "validation": 0.85, "test": 1.0}
_COLUMNS = (*manifest.REQUIRED, *pose_table.ANGLES, *pose_table.BOX)
_UNFINISHED = ("file", "state", "category", *pose_table.ANGLES, *pose_table.BOX, "symmetry")
_WRITTEN = {*manifest.COLUMNS, *_UNFINISHED}
_LONGEST = 80  # characters of a category


class Labels:
    """The labels of one folder, for several threads.

    Attributes:
      images: the folder that names of files are relative to.
      manifest: the file of labels.
    """

    def __init__(self, folder: pathlib.Path, name: str = "manifest") -> None:
        """Reads what is there already.

        Args:
          folder: with photos, in its folder `images` where it has one.
          name: of the two files: NAME.csv, and NAME's of the unfinished.

        Raises:
          InputError: no folder, no photos, or files that cannot be read.
        """
        if not folder.is_dir():
            raise InputError(f"there is no folder {folder}")
        self.images = images(folder)
        self.manifest = folder / f"{name}.csv"
        self._unfinished = folder / (
            "unfinished.csv" if name == "manifest" else f"{name}_unfinished.csv"
        )
        found = files.find(self.images, recursive=self.images != folder)
        self._names = [path.relative_to(self.images).as_posix() for path in found]
        self._lock = threading.Lock()
        self._count = 0
        self._read()
        if not self._photos:
            raise InputError(f"there are no photos in {self.images}; put some there")

    def photos(self) -> dict[str, Photo]:
        """By file: those that lie in the folder, and those that the labels name."""
        with self._lock:
            return dict(self._photos)

    def path(self, file: str) -> pathlib.Path:
        """Where a photo lies.

        Raises:
          InputError: it is none of `photos`.
        """
        if file not in self._photos:
            raise InputError(f"there is no photo '{file}' in {self.images}; reload the page")
        return pathlib.Path(file_names.below(self.images, file, "the page"))

    def replace(self, file: str, revision: int, stated: Sequence[Any]) -> tuple[Photo, bool]:
        """Writes what a page says of a photo.

        Args:
          file: the photo.
          revision: of what the page has changed.
          stated: what `Object.to_json` makes; a new one has the id None.

        Returns:
          The photo as it is now, and whether it was written: not where another page or program has
          changed it since.

        Raises:
          InputError: an invalid object; a file that cannot be written.
        """
        path = self.path(file)
        with self._lock:
            if self._contents() != self._written:
                self._read()
            before = self._photos[file]
            if before.revision != revision:
                return before, False
            known, split = {each.id: each for each in before.objects}, self._split(file, path)
            after = tuple(
                self._object(value, known, file, split, f"object {i}")
                for i, value in enumerate(stated, start=1)
            )
            self._count += 1
            kept, self._photos[file] = before, Photo(after, self._count)
            try:
                self._write(grows=_num_rows(after) >= _num_rows(before.objects))
            except OSError as error:
                self._photos[file] = kept
                raise InputError(f"cannot write {self.manifest}: {error.strerror}") from error
            return self._photos[file], True

    def begin(self, found: Mapping[str, Sequence[Object]]) -> None:
        """Begins objects of photos, by file, that have nothing yet; other files are left out.

        Args:
          found: their categories, boxes and, where there are some, poses; see
            `catpose.pages.objects`.
        """
        with self._lock:
            for file, given in found.items():
                if file in self._photos and not self._photos[file].objects and given:
                    begun = (each._replace(id=self._next_id(), state="draft") for each in given)
                    rows = (each._replace(row=_row(each, file, "")) for each in begun)
                    self._photos[file] = Photo(tuple(rows), self._next_id())

    def _object(self, value, known, file, split, where):
        """An object from what a page says; as it was where the page changed nothing."""
        if not isinstance(value, dict):
            raise InputError(f"{where} is no object")
        state, category = value.get("state"), str(value.get("category") or "").strip()
        if state not in STATES:
            raise InputError(f"{where}: the state is '{state}', not {', '.join(STATES)}")
        if len(category) > _LONGEST or not category.isprintable():
            raise InputError(f"{where}: a category has {_LONGEST} letters at most, in one line")
        shape = str(value.get("symmetry") or "none")
        symmetry.orders({category: shape}, (category,))
        angles = objects.numbers(value.get("angles_deg"), 3, f"{where}: the pose")
        box = objects.numbers(value.get("box"), 4, f"{where}: the box")
        if box and not (box[2] - box[0] >= 1 and box[3] - box[1] >= 1):
            raise InputError(f"{where}: the box is smaller than a pixel")
        if state == "labeled" and not (category and angles):
            raise InputError(f"{where} has no {'pose' if category else 'category'} yet")
        number = value.get("id")
        old = known.get(number) if isinstance(number, int) else None
        new = Object(
            self._next_id() if old is None else old.id, state, category, angles, box, shape
        )
        if old is not None and new == old._replace(row={}):
            return old
        written = _WRITTEN
        if old is not None and old.state == new.state == "no pose":
            written = written - {pose_table.ANGLES[0]}  # another tool may know the azimuth alone
        kept = {} if old is None else {k: v for k, v in old.row.items() if k not in written}
        return new._replace(row=kept | _row(new, file, split))

    def _next_id(self) -> int:
        self._count += 1
        return self._count

    def _split(self, file, path):
        """That of the photo's rows; of its content where it has none."""
        rows = (each.row for each in self._photos[file].objects)
        given = next((row["split"] for row in rows if row.get("split")), "")
        return given or split_of(files.read_bytes(path))

    def _contents(self):
        return [_content(self.manifest), _content(self._unfinished)]

    def _read(self):
        self._written = self._contents()
        self._columns = list(_COLUMNS)
        of_file: dict[str, list[Object]] = {name: [] for name in self._names}
        if self._written[0].strip():
            table = tables.read(
                self.manifest, required=manifest.REQUIRED, known=manifest.COLUMNS, allow_empty=True
            )
            pose_table.check_boxes(table)
            self._columns = list(dict.fromkeys([*table.columns, *_COLUMNS]))
            for row, pose in zip(table.rows, _poses(table), strict=True):
                found = self._of_row(row, "labeled" if pose else "no pose", pose)
                of_file.setdefault(row.values.get("file", ""), []).append(found)
        if self._written[1].strip():
            table = tables.read(self._unfinished, required=_UNFINISHED, allow_empty=True)
            for row in table.rows:
                has_pose = not row.values.keys().isdisjoint(pose_table.ANGLES)
                pose = (
                    tuple(tables.number(row, name) for name in pose_table.ANGLES)
                    if has_pose
                    else None
                )
                found = self._of_row(row, tables.string(row, "state"), pose)
                if found.state not in STATES[1:]:
                    raise InputError(f"{row.where}: unknown state '{found.state}'")
                own = of_file.setdefault(row.values.get("file", ""), [])
                # A kill between the two files leaves an object in both.
                if not any(
                    each.box == found.box and each.category == found.category for each in own
                ):
                    own.append(found)
        if "" in of_file:
            raise InputError(f"{self.manifest}: a row without a file")
        self._photos = {name: Photo(tuple(own), self._next_id()) for name, own in of_file.items()}

    def _of_row(self, row, state, pose):
        box = pose_table.box(row)
        return Object(
            self._next_id(),
            state,
            tables.string(row, "category"),
            pose,
            box and tuple(box),
            tables.string(row, "symmetry") or "none",
            row.values,
        )

    def _write(self, grows):
        """Both files; the one that gains an object first, so that a kill loses none."""
        labeled, others = [], []
        for photo in self._photos.values():
            for each in photo.objects:
                (labeled if _is_row(each) else others).append(each.row)
        has_symmetry = any("symmetry" in row for row in labeled)
        columns = [*self._columns, *(["symmetry"] if has_symmetry else [])]
        columns = list(dict.fromkeys(columns))
        contents = [_csv(columns, labeled), _csv(_UNFINISHED, others)]
        order = (0, 1) if grows else (1, 0)
        for i in order:
            path = (self.manifest, self._unfinished)[i]
            if contents[i] != self._written[i] and (others or i == 0 or self._written[1]):
                disk_cache.write_whole(path, contents[i])
                self._written[i] = contents[i]


def images(folder: pathlib.Path) -> pathlib.Path:
    """Where the photos of a folder lie: in its folder `images` where it has one."""
    return folder / "images" if (folder / "images").is_dir() else folder


def split_of(content: bytes) -> str:
    """The split of a photo, by a hash of its bytes: 70, 15 and 15 of 100."""
    value = int(disk_cache.digest(content), 16) / 16 ** len(disk_cache.digest(content))
    return next(name for name, share in SHARES.items() if value < share)


def _is_row(found):
    """Whether an object belongs into the manifest."""
    can_teach = found.category and found.row.get("split") == "train"
    return found.state == "labeled" or (found.state == "no pose" and bool(can_teach))


def _num_rows(given):
    return sum(map(_is_row, given))


def _poses(table):
    """The angles of each row of a manifest; None where it has no whole pose."""
    whole, label, _ = manifest.completed(table)
    angles = np.round(objects.angles_deg(manifest.rotations(whole)[0]), 2).tolist()
    if label is None:
        return [tuple(each) for each in angles]
    is_whole = label == POSE_LABELS.index("whole")
    return [tuple(each) if has else None for each, has in zip(angles, is_whole, strict=True)]


def _row(found, file, split):
    values = {"file": file, "category": found.category, "split": split}
    values |= {} if found.state == "labeled" else {"state": found.state}
    for names, numbers, digits in (
        (pose_table.ANGLES, found.angles_deg, 2),
        (pose_table.BOX, found.box, 1),
    ):
        values |= {
            name: f"{number:.{digits}f}" for name, number in zip(names, numbers or (), strict=False)
        }
    return values | ({} if found.symmetry == "none" else {"symmetry": found.symmetry})


def _csv(columns, rows):
    return tables.csv_text(
        [columns, *([row.get(name, "") for name in columns] for row in rows)]
    ).encode()


def _content(path):
    try:
        return path.read_bytes() if path.exists() else b""
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from error
