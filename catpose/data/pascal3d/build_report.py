"""What a build of PASCAL3D+ or ObjectNet3D found: counts, oddities, and the paper's own counts."""

import json
import pathlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from catpose.data import disk_cache
from catpose.data.categories import CATEGORIES
from catpose.data.examples import SPLITS
from catpose.data.pascal3d import layout as releases
from catpose.data.pascal3d import staging

EXAMPLES = 5
# Images per category, in the order of `CATEGORIES`: Mahendran et al. 2018, Table 2.
TABLE_2 = {
    "train": (1765, 794, 1979, 1303, 1024, 5287, 967, 737, 634, 601, 1016, 1195),
    "validation": (242, 108, 177, 201, 149, 294, 161, 26, 119, 38, 100, 167),
    "test": (244, 112, 163, 177, 144, 262, 180, 17, 127, 37, 105, 191),
}
# name: what it is, and what is made of it.
QUIRKS = {
    "missing_annotation": ("listed, but no .mat file", "left out"),
    "unreadable_annotation": ("the .mat file is damaged, senseless or has no record", "left out"),
    "missing_image": ("annotated, but no photograph", "left out"),
    "unreadable_image": ("the photograph is truncated or no image", "left out"),
    "repeated": ("listed twice for one category and source", "taken once, where listed first"),
    "no_objects": ("a record without objects", "nothing to take"),
    "single_object": ("`objects` is a scalar struct", "read as a list of one"),
    "other_category": ("an object of another class in a category's file", "left out here"),
    "unknown_category": ("a class that is not in classes.txt", "left out"),
    "no_viewpoint": ("the viewpoint is empty or absent", "left out"),
    "viewpoint_numbers": ("the viewpoint is an array of numbers", "left out"),
    "no_angles": ("azimuth or elevation absent", "counts as coarse only (PASCAL3D+)"),
    "coarse_only": ("distance 0 or absent: only the coarse label", "left out, flagged in `all`"),
    "no_flag": ("truncated, occluded or difficult is empty", "read as 0"),
    "no_box": ("the box is not four numbers", "left out"),
    "box_swapped": ("the box's corners are swapped", "put in order"),
    "box_outside": ("the box reaches beyond the photograph", "clipped"),
    "box_far_outside": ("the box reaches far beyond the photograph", "clipped"),
    "box_nowhere": ("less than a pixel of the box is in the photograph", "left out"),
    "other_scale": ("the box was drawn on a copy of other size", "brought to this one's"),
    "stated_size": ("the record states another size than the photograph has", "the file's counts"),
    "grayscale": ("a photograph in gray", "stored as RGB"),
    "other_colors": ("a photograph that is neither RGB nor gray", "stored as RGB"),
    "exif_turned": ("EXIF says turned", "not turned: boxes were drawn without"),
    "no_model": ("cad_index is empty or beyond the models", "no vertices for this object"),
}
# Other readings of "images of un-occluded and un-truncated objects", to explain a difference.
READINGS = {
    "coarse": "with images of which only the coarse viewpoint is known",
    "script": "without photographs not in RGB and boxes of another scale, as the authors' script",
    "whole": "without images that also show a truncated or occluded object of the category",
    "easy": "without difficult objects",
    "objects": "counting objects instead of images",
}


class Tally:
    """Counts over the rows of a build, image by image."""

    def __init__(self) -> None:
        self.images: Counter = Counter()  # (reading, split, category)
        self.objects: Counter = Counter()  # (split, reason to leave it out, "" where kept)
        self.absent: Counter = Counter()  # (split, category): listed, but not in the tree
        self.distinct: defaultdict[str, set[str]] = defaultdict(set)
        self.quirks: defaultdict[str, list[str]] = defaultdict(list)  # name: places

    def add(
        self, entry: releases.Entry, rows: Iterable[staging.Row], quirks: Sequence[Sequence[str]]
    ) -> None:
        """Counts one image of a list."""
        groups = defaultdict(list)
        skipped = any(name in ("grayscale", "other_colors", "other_scale") for name, _ in quirks)
        for row in rows:
            groups[row["category"]].append(row)
            self.objects[entry.split, row["dropped"]] += 1
        for category, group in groups.items():
            clean = [not (row["truncated"] or row["occluded"]) for row in group]
            kept = [not row["dropped"] for row in group]
            easy = [k and not row["difficult"] for k, row in zip(kept, group, strict=True)]
            coarse = [c and row["dropped"] == "coarse" for c, row in zip(clean, group, strict=True)]
            counts = {
                "built": any(kept),
                "coarse": any(kept) or any(coarse),
                "script": any(kept) and not skipped,
                "whole": any(kept) and all(clean),
                "easy": any(easy),
                "objects": sum(kept),
            }
            self.images.update({(key, entry.split, category): int(n) for key, n in counts.items()})
            if any(kept):
                self.distinct[entry.split].add(entry.id)
        for name, where in quirks:
            self.quirks[name].append(where)
            if name in ("missing_annotation", "missing_image"):
                self.absent[entry.split, entry.category] += 1


def summarize(
    tally: Tally,
    dataset: str,
    variant: str,
    listed: releases.Listed,
) -> dict[str, Any]:
    """The counts of a build, ready for JSON.

    Args:
      tally: with every image added.
      dataset: "pascal3d" or "objectnet3d".
      variant: a name among the dataset's variants.
      listed: the images of the lists.
    """
    release = releases.RELEASES[dataset]
    absent = sum(tally.absent.values())
    splits = {}
    for split in SPLITS:
        per_category = {
            name: {
                "images": tally.images["built", split, name],
                "objects": tally.images["objects", split, name],
            }
            for name in listed.categories
        }
        splits[split] = {
            "objects": sum(c["objects"] for c in per_category.values()),
            "images": sum(c["images"] for c in per_category.values()),
            "distinct_images": len(tally.distinct[split]),
            "found_objects": sum(tally.objects[split, reason] for reason in ("", *staging.DROPPED)),
            "left_out": {
                reason: tally.objects[split, reason]
                for reason in staging.DROPPED
                if tally.objects[split, reason]
            },
            "per_category": per_category,
        }
    summary = {
        "dataset": dataset,
        "title": release.title,
        "variant": variant,
        "description": release.variants[variant].description,
        "version": staging.VERSION,
        "categories": list(listed.categories),
        "listed_images": len(listed.entries),
        "absent_images": absent,
        "missing_lists": [path for _, _, path in listed.missing_lists],
        "partial": bool(absent or listed.missing_lists),
        "splits": splits,
        "quirks": {
            name: {
                "count": len(tally.quirks[name]),
                "what": QUIRKS[name][0],
                "handling": QUIRKS[name][1],
                "examples": tally.quirks[name][:EXAMPLES],
            }
            for name in QUIRKS
            if tally.quirks[name]
        },
    }
    if dataset == "pascal3d":
        summary["table_2"] = {
            split: {
                name: {
                    "built": tally.images["built", split, name],
                    "paper": paper,
                    "why": _why(tally, variant, listed, split, name, paper),
                }
                for name, paper in zip(CATEGORIES, TABLE_2[split], strict=True)
            }
            for split in SPLITS
        }
    return summary


def _why(
    tally: Tally, variant: str, listed: releases.Listed, split: str, name: str, paper: int
) -> str:
    """Why a count is not the paper's; "" where it is."""
    built = tally.images["built", split, name]
    if built == paper:
        return ""
    reasons = []
    lists = [
        path for where in listed.missing_lists for path in where[2:] if where[:2] == (split, name)
    ]
    if lists:
        reasons.append(f"no list {', '.join(lists)}")
    if tally.absent[split, name]:
        reasons.append(f"{tally.absent[split, name]} listed images are not in this tree")
    if variant != "paper":
        reasons.append(f"the variant {variant} has its own rule")
    count = sum(entry.split == split and entry.category == name for entry in listed.entries)
    if count < paper:
        reasons.append(f"the lists name {count} images only")
    if not reasons:
        reasons = [
            f"equal {text}"
            for reading, text in READINGS.items()
            if tally.images[reading, split, name] == paper
        ]
    return "; ".join(reasons) or (
        f"of {count} listed images; the paper's own list is not published, and no other reading of "
        "its rule gives its count"
    )


def write(summary: Mapping[str, Any], folder: pathlib.Path) -> None:
    """Writes report.md and then, last of all a build's files, report.json."""
    disk_cache.write_whole(folder / "report.md", markdown(summary).encode())
    disk_cache.write_whole(folder / "report.json", json.dumps(summary, indent=1).encode())


def markdown(summary: Mapping[str, Any]) -> str:
    """The report for people."""
    lines = [f"# {summary['title']}, variant {summary['variant']}", "", summary["description"], ""]
    if summary["partial"]:
        lists = summary["missing_lists"]
        lines += [
            f"**Part of the release only**: {summary['absent_images']} of "
            f"{summary['listed_images']} listed images are not in this tree"
            + (f"; no list {', '.join(lists[:EXAMPLES])}" if lists else "")
            + (f" and {len(lists) - EXAMPLES} more" if len(lists) > EXAMPLES else "")
            + ".",
            "",
        ]
    splits = [
        (
            *(split, counts["objects"], counts["images"], counts["found_objects"]),
            ", ".join(f"{n} {staging.DROPPED[reason]}" for reason, n in counts["left_out"].items())
            or "none",
        )
        for split, counts in summary["splits"].items()
    ]
    quirks = [
        (quirk["what"], quirk["handling"], quirk["count"], ", ".join(quirk["examples"]))
        for quirk in summary["quirks"].values()
    ]
    lines += [
        *_table(("split", "objects", "images", "objects found", "left out"), splits),
        "",
        "Images are counted once per category.",
        "",
        *(_table_2(summary) if "table_2" in summary else _per_category(summary)),
        "",
        "## Oddities",
        "",
        *_table(("what", "handling", "count", "for example"), quirks or [("none", "", "", "")]),
        "",
    ]
    return "\n".join(lines)


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """The lines of a Markdown table."""
    return [f"| {' | '.join(map(str, row))} |" for row in (head, ["---"] * len(head), *rows)]


def _table_2(summary: Mapping[str, Any]) -> list[str]:
    table, rows, reasons = summary["table_2"], [], []
    for split, cells in table.items():
        total = {key: sum(cell[key] for cell in cells.values()) for key in ("built", "paper")}
        texts = [
            str(c["built"]) if c["built"] == c["paper"] else f"**{c['built']}** / {c['paper']}"
            for c in (*cells.values(), total)
        ]
        rows.append([split, *texts])
        whys = {cell["why"] for cell in cells.values()}
        if len(whys) == 1:
            reasons += [f"- {split}, every category: {why}" for why in whys if why]
            continue
        reasons += [
            f"- {split}, {name}: {cell['built']} instead of {cell['paper']}: {cell['why']}"
            for name, cell in cells.items()
            if cell["why"]
        ]
    return [
        "## Beside Table 2 of the paper: images, built / paper",
        "",
        *_table(("split", *next(iter(table.values())), "total"), rows),
        "",
        *(reasons or ["Every row is the paper's."]),
    ]


def _per_category(summary: Mapping[str, Any]) -> list[str]:
    splits = [summary["splits"][split]["per_category"] for split in SPLITS]
    rows = [(name, *(split[name]["objects"] for split in splits)) for name in summary["categories"]]
    return ["## Objects per category", "", *_table(("category", *SPLITS), rows)]
