"""Miniature releases of PASCAL3D+ and ObjectNet3D, with all that is odd about the real ones."""

import itertools
from typing import NamedTuple

import numpy as np

from tests.support.miniature_records import EMPTY, HEIGHT, WIDTH, Writer

CATEGORIES = (
    *("aeroplane", "bicycle", "boat", "bottle", "bus", "car"),
    *("chair", "diningtable", "motorbike", "sofa", "train", "tvmonitor"),
)
VOC = "PASCAL/VOCdevkit/VOC2012/ImageSets/Main"


class Planted(NamedTuple):
    """What was written.

    Attributes:
      root: the release's folder.
      objects: each object of the category that its file speaks for, as dicts: source, listed,
        image, category, object (number), bbox (MATLAB), azimuth, elevation, theta, distance, px,
        py, cad_index, truncated, occluded, difficult, width, height, and `usable`: "yes", "coarse"
        or a word for why not.
      quirks: place of each oddity, by the name that the build report gives it.
    """

    root: object
    objects: list
    quirks: dict


def write(folder, *, images=1, quirks=True):
    """Writes a miniature of PASCAL3D+ release 1.1.

    Args:
      folder: where to; the release is made inside it, as its archive is unpacked.
      images: plain images per category and list, each with one clean object.
      quirks: plants every oddity of the real release as well.

    Returns:
      What was written, see `Planted`.
    """
    root = folder / "PASCAL3D+_release1.1"
    writer = Writer(root, viewport=3000.0)
    for c, category in enumerate(CATEGORIES):
        for source, listed in itertools.product(("imagenet", "pascal"), ("train", "val")):
            for n in range(images):
                number = 1000 * (listed == "val") + n
                name = f"n{c:08d}_{number}" if source == "imagenet" else f"2008_{c:02d}{number:04d}"
                writer.add(source, listed, category, name, [writer.seen(category)])
        # Half of the categories have the .mat file only, as the authors' code reads it.
        off = f"CAD/{category}" if c % 2 else None
        writer.models(off, None if off else f"CAD/{category}.mat", category)
    if quirks:
        _odd_annotations(writer)
        _odd_boxes(writer)
        _odd_photographs(writer)
        _filtered(writer)
    for (source, listed, category), names in writer.lists.items():
        if source == "imagenet":
            path = root / "Image_sets" / f"{category}_imagenet_{listed}.txt"
            lines = names
        else:
            path = root / VOC / f"{category}_{listed}.txt"
            # 2008_999998 shows only difficult ones, 2008_999999 none.
            lines = [f"{name}  1" for name in names] + ["2008_999998  0", "2008_999999 -1"]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([*lines, ""]))
    return Planted(root, writer.objects, writer.quirks)


def _odd_annotations(writer):
    """Viewpoints and records that are not what they should be."""

    def add(name, item, quirk, usable, listed="train", **options):
        where = writer.add("imagenet", listed, "boat", name, [item], usable=usable, **options)
        writer.quirk(quirk, f"{where} #1")
        return where

    boat = writer.seen
    fine = ("azimuth", "elevation", "theta", "distance", "focal", "px", "py", "viewport", "error")
    where = add("no_angles", boat("boat", without=fine), "no_angles", "coarse")
    writer.quirk("coarse_only", f"{where} #1")
    add("empty_viewpoint", boat("boat", viewpoint=EMPTY), "no_viewpoint", "no viewpoint")
    numbers = boat("boat", viewpoint=np.array([[30.0, 10.0]]))
    add("number_viewpoint", numbers, "viewpoint_numbers", "no viewpoint", listed="val")
    zero = dict.fromkeys(("azimuth", "elevation", "theta"), 0.0)
    coarse = boat("boat") | {**zero, "distance": 0.0}
    add("coarse", coarse, "coarse_only", "coarse")
    add("empty_flag", boat("boat", occluded=EMPTY), "no_flag", "yes")
    writer.objects[-1]["occluded"] = 0
    add("no_model", boat("boat") | {"cad_index": 7}, "no_model", "yes")
    writer.quirks["no_model"] = ["boat no_model_1"]
    add("no_box", boat("boat", bbox=EMPTY), "no_box", "no box")

    where = writer.add("imagenet", "train", "boat", "no_objects", [])
    writer.quirk("no_objects", where)
    where = writer.add("imagenet", "train", "boat", "no_mat", [boat("boat")], annotation=False)
    writer.quirk("missing_annotation", where)
    garbage = b"MATLAB 5.0 MAT-file" + bytes(200)
    where = writer.add("imagenet", "train", "boat", "bad_mat", [boat("boat")], annotation=garbage)
    writer.quirk("unreadable_annotation", where)
    items = [boat("person"), boat("boat"), boat("boat", occluded=1), boat("car")]
    writer.add("pascal", "train", "boat", "2008_900001", items)
    where = writer.add("imagenet", "val", "boat", "twice", [boat("boat")])
    writer.lists["imagenet", "val", "boat"].append("twice")
    writer.quirk("repeated", "boat_imagenet/twice")


def _odd_boxes(writer):
    """Boxes that lie elsewhere than in their photograph."""
    large = (500, 333)
    boxes = {
        "n02691156_39039": [401.1399689, 424.97433904, 1999.82892691, 1381.09097978],
        "n03335030_14098": [548.71150855, 558.91290824, 4957.73172628, 2673.99844479],
    }
    for name, box in boxes.items():
        item = writer.seen("aeroplane", size=large, bbox=box)
        where = writer.add("imagenet", "train", "aeroplane", name, [item], size=large)
        writer.quirk("other_scale", f"{where} #1")

    item = writer.seen("aeroplane", px=90.0)
    # Annotated on a copy of twice the size: MATLAB's point x becomes 2 x - 0.5 there.
    item["bbox"] = [2 * item["bbox"][i] - (1, 1, 0, 0)[i] for i in range(4)]
    item |= {"px": 2 * item["px"] - 0.5, "py": 2 * item["py"] - 0.5, "viewport": 6000.0}
    stated = (2 * WIDTH, 2 * HEIGHT)
    where = writer.add("imagenet", "train", "aeroplane", "doubled", [item], stated=stated)
    writer.quirk("other_scale", f"{where} #1")
    writer.quirk("stated_size", where)

    for name, box, quirk, usable in (
        ("outside", [-3.5, 10.0, 170.25, 90.0], "box_outside", "yes"),
        ("far_outside", [20.0, 10.0, 400.0, 90.0], "box_far_outside", "yes"),
        ("nowhere", [165.0, 10.0, 190.0, 90.0], "box_nowhere", "no box"),
        ("swapped", [120.0, 90.5, 30.0, 20.0], "box_swapped", "yes"),
    ):
        item = writer.seen("aeroplane", bbox=box)
        where = writer.add("imagenet", "train", "aeroplane", name, [item], usable=usable)
        writer.quirk(quirk, f"{where} #1")


def _odd_photographs(writer):
    """Photographs that are missing, damaged, gray or turned."""
    for name, quirk, options in (
        ("no_image", "missing_image", {"keep": 0, "usable": "no photograph"}),
        ("cut", "unreadable_image", {"keep": 900, "usable": "no photograph"}),
        ("gray", "grayscale", {"mode": "L"}),
        ("cmyk", "other_colors", {"mode": "CMYK"}),
        ("turned", "exif_turned", {"exif": 6}),
    ):
        where = writer.add("imagenet", "train", "bus", name, [writer.seen("bus")], **options)
        writer.quirk(quirk, where)


def _filtered(writer):
    """Objects that only some variants use."""
    car = writer.seen
    for source, listed in itertools.product(("imagenet", "pascal"), ("train", "val")):
        items = [
            car("car", truncated=1),
            car("car", occluded=1),
            car("car", difficult=1),
            car("car"),
        ]
        name = f"2010_{900000 + (listed == 'val')}" if source == "pascal" else f"filters_{listed}"
        writer.add(source, listed, "car", name, items)
    writer.add("pascal", "val", "car", "2010_900002", [car("car", difficult=1)])


def write_objectnet3d(folder):
    """Writes a miniature of ObjectNet3D: categories that PASCAL3D+ lacks, several in one image.

    Returns:
      What was written, see `Planted`; source is "objectnet" and the category of a file is "".
    """
    writer = Writer(folder / "ObjectNet3D", viewport=2000.0)
    categories = ("ashtray", "bed", "car", "teapot")
    see = writer.seen
    for n, (listed, category) in enumerate(itertools.product(("train", "val", "test"), categories)):
        writer.add("objectnet", listed, "", f"n{n:08d}_1", [see(category)])
    # Aligned by hand: the tool writes its angles into the coarse fields.
    by_hand = see("bed", azimuth=90.0, elevation=5.0, without=("azimuth", "elevation"))
    items = [see("teapot"), by_hand, see("unheard_of")]
    where = writer.add("objectnet", "train", "", "n00000900_1", items)
    writer.quirk("no_angles", f"{where} #2")
    writer.objects.pop()
    writer.quirk("unknown_category", f"{where} #3 unheard_of")
    for category in categories:
        writer.models(f"CAD/off/{category}", None, category)
    lists = writer.root / "Image_sets"
    lists.mkdir(parents=True)
    for listed in ("train", "val", "test"):
        names = writer.lists["objectnet", listed, ""]
        (lists / f"{listed}.txt").write_text("\n".join([*names, ""]))
    (lists / "classes.txt").write_text("\n".join([*categories, ""]))
    return Planted(writer.root, writer.objects, writer.quirks)
