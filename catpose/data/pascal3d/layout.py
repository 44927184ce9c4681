"""What lies where in PASCAL3D+ release 1.1 and in ObjectNet3D, and who uses which part for what.

PASCAL3D+ has one folder per category and source,

    Annotations/<category>_{imagenet,pascal}/<id>.mat
    Images/<category>_{imagenet,pascal}/<id>.{JPEG,jpg}
    Image_sets/<category>_imagenet_{train,val}.txt                             one id per line
    PASCAL/VOCdevkit/VOC2012/ImageSets/Main/<category>_{train,val}.txt         id and flag
    CAD/<category>.mat and CAD/<category>/NN.off

and a file in a category's folder speaks for that category only, though it may list others.
ObjectNet3D has one folder for all, and an image has objects of several categories:

    Annotations/<id>.mat    Images/<id>.JPEG    CAD/off/<category>/NN.off
    Image_sets/{train,val,test}.txt and Image_sets/classes.txt
"""

import pathlib
from collections.abc import Mapping
from typing import NamedTuple

from catpose.data import file_names, tables
from catpose.data.categories import CATEGORIES
from catpose.data.examples import SPLITS
from catpose.errors import InputError

VOC_LISTS = "PASCAL/VOCdevkit/VOC2012/ImageSets/Main"
LISTS = {
    "imagenet": "Image_sets/{category}_imagenet_{name}.txt",
    "pascal": VOC_LISTS + "/{category}_{name}.txt",
    "objectnet": "Image_sets/{name}.txt",
}


class Variant(NamedTuple):
    """A published way to use a release.

    Attributes:
      description: one sentence.
      splits: (source, list) -> the split its objects go to; what is not named is left out.
      clean: only objects that are neither truncated nor occluded.
      easy: and, in the test split, not difficult either.
      coarse: also objects of which only the coarse viewpoint is known (flagged as such).
    """

    description: str
    splits: Mapping[tuple[str, str], str]
    clean: bool = True
    easy: bool = False
    coarse: bool = False


class Release(NamedTuple):
    """A dataset as it is distributed.

    Attributes:
      title: its name for people.
      folder: what its archive unpacks to.
      archives: names of the files to download, as shell patterns.
      required: what must be there, folders and files.
      viewport: pixels per unit of focal length where an annotation does not state it.
      hand_aligned: the coarse angles of an object with a distance are those of an alignment with
        the CAD model by hand (ObjectNet3D's tool writes them there), so they are good as they are.
      cad: folder of the .off files and of the .mat file of a category's CAD models.
      variants: by name.
    """

    title: str
    folder: str
    archives: tuple[str, ...]
    required: tuple[str, ...]
    viewport: float
    hand_aligned: bool
    cad: tuple[str, str]
    variants: Mapping[str, Variant]


_PAPER = {
    ("imagenet", "train"): "train",
    ("imagenet", "val"): "train",
    ("pascal", "train"): "validation",
    ("pascal", "val"): "test",
}
_IMAGENET_VAL = {
    ("imagenet", "train"): "train",
    ("pascal", "train"): "validation",
    ("imagenet", "val"): "test",
}
_OBJECTNET = {("objectnet", s): s for s in ("train", "test")} | {("objectnet", "val"): "validation"}

RELEASES = {
    "pascal3d": Release(
        title="PASCAL3D+ release 1.1",
        folder="PASCAL3D+_release1.1",
        archives=("PASCAL3D+_release1.1.zip",),
        required=("Annotations", "Images", "Image_sets", VOC_LISTS),
        viewport=3000.0,
        hand_aligned=False,
        cad=("CAD/{}", "CAD/{}.mat"),
        variants={
            "paper": Variant(
                "ImageNet trains, Pascal train validates, Pascal val tests; neither truncated nor "
                "occluded; difficult objects stay.",
                _PAPER,
            ),
            "easy": Variant(
                "As paper, and the test split leaves out difficult objects (the list of Render for "
                "CNN and of Viewpoints and Keypoints).",
                _PAPER,
                easy=True,
            ),
            "all": Variant(
                "The paper's splits with every object that has any viewpoint, flagged: for "
                "evaluators that filter by themselves.",
                _PAPER,
                clean=False,
                coarse=True,
            ),
            "imagenet_val": Variant(
                "ImageNet train trains, ImageNet val tests (matrix Fisher, NeMo), Pascal train "
                "validates; truncated, occluded and difficult objects stay, flagged, as there.",
                _IMAGENET_VAL,
                clean=False,
            ),
        },
    ),
    "objectnet3d": Release(
        title="ObjectNet3D",
        folder="ObjectNet3D",
        archives=("ObjectNet3D_*.zip",),
        required=("Annotations", "Images", "Image_sets", "Image_sets/classes.txt"),
        viewport=2000.0,
        hand_aligned=True,
        cad=("CAD/off/{}", "CAD/mat/{}.mat"),
        variants={
            "paper": Variant("Its own splits; neither truncated nor occluded.", _OBJECTNET),
            "easy": Variant("As paper; the test split without difficult.", _OBJECTNET, easy=True),
            "all": Variant(
                "Its own splits with every object that has any viewpoint, flagged.",
                _OBJECTNET,
                clean=False,
                coarse=True,
            ),
        },
    ),
}


class Entry(NamedTuple):
    """An image of a list.

    Attributes:
      id: the image's.
      category: the one that its annotation speaks for; "" where for all.
      source: "imagenet", "pascal" or "objectnet".
      split: "train", "validation" or "test".
      annotation: the .mat file, whether or not it exists.
      image: the image file; the first of the possible names where none exists.
    """

    id: str
    category: str
    source: str
    split: str
    annotation: pathlib.Path
    image: pathlib.Path


class Listed(NamedTuple):
    """What a release's lists say.

    Attributes:
      entries: each image once per category, split by split.
      categories: in the order of their indices.
      missing_lists: (split, category, file) of lists that are not there.
      repeated: (place, id) of images that a list has once more.
    """

    entries: tuple[Entry, ...]
    categories: tuple[str, ...]
    missing_lists: tuple[tuple[str, str, str], ...]
    repeated: tuple[str, ...]


def variant(dataset: str, name: str) -> Variant:
    """The variant `name` of `dataset`.

    Raises:
      InputError: there is no such dataset or variant.
    """
    if dataset not in RELEASES:
        raise InputError(f"unknown dataset '{dataset}'; known: {', '.join(RELEASES)}")
    variants = RELEASES[dataset].variants
    if name not in variants:
        raise InputError(f"{dataset} has no variant '{name}'; known: {', '.join(variants)}")
    return variants[name]


def find(manual_dir: pathlib.Path, dataset: str) -> pathlib.Path:
    """The release's own folder: `manual_dir`, or the one that the archive unpacks to inside it.

    Raises:
      InputError: no such folder, nothing or another release in it, or a part of it is missing. The
        message says what to do.
    """
    release = RELEASES[dataset]
    manual_dir = pathlib.Path(manual_dir)
    if not manual_dir.is_dir():
        raise InputError(
            f"no folder {manual_dir}; --manual_dir is where {release.archives[0]} was unpacked"
        )

    def inside(other: Release) -> pathlib.Path:
        return manual_dir / other.folder if (manual_dir / other.folder).is_dir() else manual_dir

    root = inside(release)
    missing = [name for name in release.required if not (root / name).exists()]
    if not missing:
        return root
    # The other release has the same three folders, so its own files decide.
    for other, it in RELEASES.items():
        if other != dataset and all((inside(it) / name).exists() for name in it.required):
            raise InputError(
                f"{inside(it)} is {it.title}, not {release.title}: use --dataset={other}"
            )
    archives = sorted(path for name in release.archives for path in manual_dir.glob(name))
    if archives and len(missing) == len(release.required):
        raise InputError(
            f"{archives[0]} is still packed; unpack it there: cd {manual_dir} && unzip "
            f"'{archives[0].name}'"
        )
    raise InputError(
        f"{root} is not {release.title}, or not the whole of it: no {', '.join(missing)}; "
        f"unpack {', '.join(release.archives)} completely"
    )


def read_lists(root: pathlib.Path, dataset: str, variant: Variant) -> Listed:
    """The images that `variant` uses, in the order train, validation, test.

    Raises:
      InputError: a list cannot be read, or there is none at all.
    """
    entries, missing, repeated = {}, [], []  # entries by source, category and id
    categories = (
        CATEGORIES if dataset == "pascal3d" else _categories(root / "Image_sets/classes.txt")
    )
    by_split = sorted(variant.splits.items(), key=lambda item: SPLITS.index(item[1]))
    for (source, name), split in by_split:
        for category in categories if dataset == "pascal3d" else ("",):
            path = LISTS[source].format(category=category, name=name)
            if not (root / path).is_file():
                missing.append((split, category, path))
                continue
            for id in _ids(root, path, flagged=source == "pascal"):
                key = (source, category, id)
                if key in entries:
                    repeated.append(f"{category}_{source}/{id}" if category else id)
                else:
                    entries[key] = _entry(root, id, category, source, split)
    if not entries:
        raise InputError(
            f"{root} lists no images; unpack {', '.join(RELEASES[dataset].archives)} completely"
        )
    return Listed(tuple(entries.values()), categories, tuple(missing), tuple(repeated))


def _categories(path: pathlib.Path) -> tuple[str, ...]:
    """The categories of ObjectNet3D, names of folders, one a line."""
    listed = tables.lines(path)
    for i, name in listed:
        file_names.below(path.parent, name, f"{path}, line {i}")
    return tuple(dict.fromkeys(name for _, name in listed))


def _ids(root: pathlib.Path, name: str, flagged: bool) -> list[str]:
    """The images of a list, one a line."""
    found, path = [], root / name
    for i, line in tables.lines(path):
        id, *rest = line.split()
        file_names.below(root, id, f"{path}, line {i}")
        # 1: the image has such an object; 0: only difficult ones; -1: none.
        if flagged and rest[:1] not in (["-1"], ["0"], ["1"]):
            raise InputError(f"{path}, line {i}: not an image's id and a flag, -1, 0 or 1")
        if not flagged or rest[0] == "1":
            found.append(id)
    return found


def _entry(root: pathlib.Path, id: str, category: str, source: str, split: str) -> Entry:
    folder = f"{category}_{source}" if category else ""
    usual = ".jpg" if source == "pascal" else ".JPEG"
    suffixes = (usual, ".jpg", ".jpeg", ".JPG", ".JPEG")
    paths = [root / "Images" / folder / f"{id}{suffix}" for suffix in suffixes]
    return Entry(
        id=id,
        category=category,
        source=source,
        split=split,
        annotation=root / "Annotations" / folder / f"{id}.mat",
        image=next((path for path in paths if path.is_file()), paths[0]),
    )
