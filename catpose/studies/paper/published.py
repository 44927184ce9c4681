"""What the paper published: the numbers of its Tables 3 to 13, and the sizes of its networks.

Source: S. Mahendran, H. Ali, R. Vidal, "Convolutional Networks for Object Category and 3D Pose
Estimation from 2D Images" (2018). Methods in brackets are numbered as in its references; "[8]*"
is the authors' own version of [8]. pose-err is in degrees, the median of each category and the
mean over categories; cat-acc and the values of Table 7 are fractions. The authors' models are
tested on the validation images of PASCAL VOC 2012 with the true box given.

What differs from the print, or from its text as extracted:

- Table 5: the text has its rows shifted against their labels. The first two of each block belong
  to "Only real images" (they are Table 10's "Pose-first"), the next two to "Real and rendered"
  (they are "Ours" in Table 6). The last row of pose-err is missing in the text and taken from
  Table 6.
- Table 11, cat-acc: the print calls its four rows "Before: Both, Weighted" and "After: Both,
  Weighted". The row "After: Both" and those called "Weighted" are the values of Table 10's
  "Balance" with Top1 and Weighted fusion, and Table 10 trains by the same steps; so they are
  given here as "After", once each.
- Table 7: "Ours-Weighted" is spelled "Ours-Wgt" as in Table 6.
- Table 13: the accuracy with the true category is printed as 100 and given here as 1.
"""

from collections.abc import Mapping
from typing import NamedTuple

from catpose.data import categories

# Labels of the print that say what they are only beside its columns and its list of references.
SPELLED = {
    "[8]": "Elhoseiny et al.",
    "[8]*": "Elhoseiny et al.*",
    "Ours-Wgt": "Weighted",
    "Ours-Weighted": "Weighted",
    "Ours-Top1": "Top1",
    "0.1": "lambda 0.1",
    "1": "lambda 1",
}
# The paper's column heads.
CATEGORIES = tuple(categories.SHORT_NAMES.get(name, name) for name in categories.CATEGORIES)


# By labels, one for each head: values, one for each column.
Block = Mapping[tuple[str, ...], tuple[float, ...]]


class Table(NamedTuple):
    """One table.

    Attributes:
      caption: what it compares, in our words.
      heads: names of the columns that hold labels.
      columns: names of the columns that hold values.
      blocks: table rows by metric ("pose-err" in degrees, "cat-acc" as a fraction); in Table 7 by
        the error that its values are of ("full rotation", "azimuth").
    """

    caption: str
    heads: tuple[str, ...]
    columns: tuple[str, ...]
    blocks: Mapping[str, Block]


def _rows(text: str) -> Block:
    """Table rows from lines "label | label | value value ..."."""
    split = [line.split("|") for line in text.strip().splitlines()]
    return {
        tuple(label.strip() for label in labels): tuple(map(float, values.split()))
        for *labels, values in split
    }


_COLUMNS = (*CATEGORIES, "mean")

# Numbers that the paper repeats are repeated here: each table is as it was published.
TABLES: Mapping[int, Table] = {
    3: Table(
        "Features of three stages of a pre-trained ResNet-50",
        ("Features",),
        _COLUMNS,
        {
            "pose-err": _rows("""
                Stage-3 | 25.3 38.6 58.6 10.5 6.4 17.0 44.1 32.6 36.7 21.6 7.1 19.7 26.51
                Stage-4 | 18.4 32.3 40.9 9.6 5.0 10.4 26.8 27.8 28.7 14.6 7.3 16.9 19.91
                Stage-5 | 27.1 54.3 62.4 9.2 7.6 13.3 47.8 36.7 43.1 26.0 9.8 18.8 29.67
            """),
        },
    ),
    4: Table(
        "A pose network for each category, or one of three widths for all",
        ("Type",),
        _COLUMNS,
        {
            "pose-err": _rows("""
                Cat-dep. | 18.4 32.3 40.9 9.6 5.0 10.4 26.8 27.8 28.7 14.6 7.3 16.9 19.91
                Cat-ind.(12k) | 23.9 40.9 54.7 12.1 5.8 11.6 41.8 26.9 31.0 20.3 10.0 18.9 24.83
                Cat-ind.(5k) | 22.3 39.6 52.6 12.4 5.5 12.2 44.1 27.4 32.4 14.6 10.2 18.7 24.3
                Cat-ind.(1k) | 22.9 36.6 55.4 10.8 5.5 10.6 36.9 26.3 32.4 18.5 9.4 18.8 23.69
            """),
        },
    ),
    5: Table(
        "Joint category and pose, without and with rendered images",
        ("Data", "Model"),
        _COLUMNS,
        {
            "pose-err": _rows("""
  Only real images | Weighted | 13.6 21.3 34.8 9.0 3.4 7.8 26.6 20.8 17.6 15.8 6.9 15.2 16.07
  Only real images | Top1 | 13.4 22.2 33.5 9.2 3.3 7.7 26.2 24.0 17.8 16.5 6.6 15.2 16.29
  Real and rendered | Weighted | 11.5 15.7 30.5 9.0 2.9 6.8 16.2 22.5 14.4 13.8 7.3 13.4 13.67
  Real and rendered | Top1 | 10.2 17.1 29.2 8.1 2.6 6.0 13.8 26.7 14.1 14.3 7.1 13.5 13.56
            """),
            "cat-acc": _rows("""
  Only real images | Weighted | .94 .89 .95 .98 .96 .94 .83 .67 .93 .78 .94 .93 .8944
  Only real images | Top1 | .97 .87 .94 .96 .96 .95 .84 .62 .96 .78 .94 .93 .8930
  Real and rendered | Weighted | .96 .94 .97 1.00 .95 .96 .87 .71 .96 .77 .95 .95 .9150
  Real and rendered | Top1 | .96 .92 .98 .98 .97 .96 .89 .76 .93 .82 .88 .95 .9181
            """),
        },
    ),
    6: Table(
        "The integrated network (Weighted, Top1) against Elhoseiny et al. [8]",
        ("Model",),
        _COLUMNS,
        {
            "pose-err": _rows("""
                [8]* | 17.7 24.7 41.6 9.9 3.6 12.2 31.9 20.8 20.2 26.7 6.9 16.0 19.35
                Ours-Wgt | 11.5 15.7 30.5 9.0 2.9 6.8 16.2 22.5 14.4 13.8 7.3 13.4 13.67
                Ours-Top1 | 10.2 17.1 29.2 8.1 2.6 6.0 13.8 26.7 14.1 14.3 7.1 13.5 13.56
            """),
            "cat-acc": _rows("""
                [8]* | .95 .94 .98 .98 .99 .96 .89 .57 .96 .90 .97 .96 .9215
                Ours-Wgt | .96 .94 .97 1.00 .95 .96 .87 .71 .96 .77 .95 .95 .9150
                Ours-Top1 | .96 .92 .98 .98 .97 .96 .89 .76 .93 .82 .88 .95 .9181
            """),
        },
    ),
    7: Table(
        "The same under the metrics of Elhoseiny et al. [8]",
        ("Model",),
        ("cat-acc", "P(<22.5)", "P(<45)", "AAAI"),
        {
            "full rotation": _rows("""
                [8]* | 0.9215 0.5759 0.7647 0.8128
                Ours-Wgt | 0.9150 0.6853 0.8370 0.8495
                Ours-Top1 | 0.9181 0.7054 0.8436 0.8526
            """),
            "azimuth": _rows("""
                [8]* | 0.9215 0.5009 0.6939 0.7692
                Ours-Wgt | 0.9150 0.6627 0.7797 0.8130
                Ours-Top1 | 0.9181 0.7287 0.8170 0.8333
                [8] | 0.8379 0.5189 0.6074 0.7539
            """),
        },
    ),
    8: Table(
        "Weighted and Top1, which predict the category, and four methods that are given it",
        ("Method",),
        _COLUMNS,
        {
            "pose-err": _rows("""
  Viewpoints&Keypoints [1] | 13.8 17.7 21.3 12.9 5.8 9.1 14.8 15.2 14.7 13.7 8.7 15.4 13.59
  Render-for-CNN [2] | 15.4 14.8 25.6 9.3 3.6 6.0 9.7 10.8 16.7 9.5 6.1 12.6 11.67
  3D-pose-regression [6] | 13.97 21.07 35.52 8.99 4.08 7.56 21.18 17.74 17.87 12.70 8.22 15.68 15.38
  Multibin [3] | 13.6 12.5 22.8 8.3 3.1 5.8 11.9 12.5 12.3 12.8 6.3 11.9 11.1
  Ours-Weighted | 11.5 15.7 30.5 9.0 2.9 6.8 16.2 22.5 14.4 13.8 7.3 13.4 13.67
  Ours-Top1 | 10.2 17.1 29.2 8.1 2.6 6.0 13.8 26.7 14.1 14.3 7.1 13.5 13.56
            """),
        },
    ),
    9: Table(
        "Sequential, integrated and shared networks",
        ("Network", "Model"),
        _COLUMNS,
        {
            "pose-err": _rows("""
  Sequential | Everything | 11.7 17.5 27.4 8.4 3.3 5.9 14.5 24.8 15.0 11.1 6.3 13.2 13.25
  Sequential | FC | 11.7 17.7 27.1 8.5 3.2 6.4 16.7 24.8 15.0 11.1 6.9 13.2 13.54
  Sequential | FC+Stage5 | 11.7 17.6 27.3 8.2 3.2 5.9 14.5 24.8 14.3 12.7 6.3 13.2 13.30
  Integrated | Ours-Wgt | 11.5 15.7 30.5 9.0 2.9 6.8 16.2 22.5 14.4 13.8 7.3 13.4 13.67
  Integrated | Ours-Top1 | 10.2 17.1 29.2 8.1 2.6 6.0 13.8 26.7 14.1 14.3 7.1 13.5 13.56
  Shared | [8]* | 17.7 24.7 41.6 9.9 3.6 12.2 31.9 20.8 20.2 26.7 6.9 16.0 19.35
            """),
            "cat-acc": _rows("""
  Sequential | Everything | .96 .92 .98 .98 .95 .97 .88 .76 .93 .85 .97 .97 .9275
  Sequential | FC | .94 .92 .96 .97 .97 .88 .81 .62 .93 .95 .95 .95 .9033
  Sequential | FC+Stage5 | .98 .92 .98 .99 .97 .97 .90 .67 .96 .92 .99 .96 .9348
  Integrated | Ours-Wgt | .96 .94 .97 1.00 .95 .96 .87 .71 .96 .77 .95 .95 .9150
  Integrated | Ours-Top1 | .96 .92 .98 .98 .97 .96 .89 .76 .93 .82 .88 .95 .9181
  Shared | [8]* | .95 .94 .98 .98 .99 .96 .89 .57 .96 .90 .97 .96 .9215
            """),
        },
    ),
    10: Table(
        "Balanced and pose-first training, real images only",
        ("Training", "Model"),
        _COLUMNS,
        {
            "pose-err": _rows("""
  Balance | Weighted | 13.9 24.1 35.4 9.6 4.1 8.8 33.5 24.1 19.5 17.7 7.6 15.9 17.86
  Balance | Top1 | 13.7 23.9 32.4 10.6 3.8 8.0 32.5 26.3 17.8 18.0 7.6 15.4 17.51
  Pose-first | Weighted | 13.6 21.3 34.8 9.0 3.4 7.8 26.6 20.8 17.6 15.8 6.9 15.2 16.07
  Pose-first | Top1 | 13.4 22.2 33.5 9.2 3.3 7.7 26.2 24.0 17.8 16.5 6.6 15.2 16.29
            """),
            "cat-acc": _rows("""
  Balance | Weighted | .92 .89 .96 .96 .95 .81 .73 .71 .94 .87 .96 .96 .8889
  Balance | Top1 | .90 .89 .97 .88 .94 .79 .70 .73 .95 .87 .95 .95 .8760
  Pose-first | Weighted | .94 .89 .95 .98 .96 .94 .83 .67 .93 .78 .94 .93 .8944
  Pose-first | Top1 | .97 .87 .94 .96 .96 .95 .84 .62 .96 .78 .94 .93 .8930
            """),
        },
    ),
    11: Table(
        "Balanced training before and after the joint finetuning",
        ("Finetuning", "Model"),
        _COLUMNS,
        {
            "pose-err": _rows("""
  Before | Weighted | 25.5 39.0 47.6 13.4 9.7 15.2 34.6 38.2 37.5 21.5 9.6 16.6 25.70
  Before | Top1 | 25.5 38.9 49.5 13.4 9.4 14.5 35.8 38.2 37.2 21.5 8.9 16.7 25.79
  After | Weighted | 13.9 24.1 35.4 9.6 4.1 8.8 33.5 24.1 19.5 17.7 7.6 15.9 17.86
  After | Top1 | 13.7 23.9 32.4 10.6 3.8 8.0 32.5 26.3 17.8 18.0 7.6 15.4 17.51
            """),
            "cat-acc": _rows("""
  Before | Both | .97 .91 .97 .98 .95 .92 .90 .71 .97 .85 .95 .99 .9226
  After | Weighted | .92 .89 .96 .96 .95 .81 .73 .71 .94 .87 .96 .96 .8889
  After | Top1 | .90 .89 .97 .88 .94 .79 .70 .73 .95 .87 .95 .95 .8760
            """),
        },
    ),
    12: Table(
        "The weight lambda of the category loss, real images only",
        ("lambda", "Model"),
        _COLUMNS,
        {
            "pose-err": _rows("""
  0.1 | Weighted | 13.6 21.3 34.8 9.0 3.4 7.8 26.6 20.8 17.6 15.8 6.9 15.2 16.07
  0.1 | Top1 | 13.4 22.2 33.5 9.2 3.3 7.7 26.2 24.0 17.8 16.5 6.6 15.2 16.29
  1 | Weighted | 14.5 23.8 38.4 9.5 3.4 8.4 28.4 18.6 17.6 17.4 7.3 15.4 16.89
  1 | Top1 | 13.4 22.8 36.8 10.2 3.4 8.5 30.2 19.2 18.7 15.8 6.7 15.4 16.74
            """),
            "cat-acc": _rows("""
  0.1 | Weighted | .94 .89 .95 .98 .96 .94 .83 .67 .93 .78 .94 .93 .8944
  0.1 | Top1 | .97 .87 .94 .96 .96 .95 .84 .62 .96 .78 .94 .93 .8930
  1 | Weighted | .92 .91 .96 .91 .94 .82 .80 .70 .85 .75 .91 .93 .8678
  1 | Top1 | .92 .90 .93 .88 .95 .85 .73 .71 .91 .87 .95 .94 .8775
            """),
        },
    ),
    13: Table(
        "The best of the k likeliest categories, or the true one (GT), real images only",
        (),
        ("Top1", "Top-2", "Top-3", "GT"),
        {
            "cat-acc": _rows("0.8930 0.9455 0.9595 1"),
            "pose-err": _rows("16.29 14.08 13.15 15.28"),
        },
    ),
}

# Parameters of the networks that it compares, at their full size and for twelve categories. The
# paper prints none of them; these are of catpose's networks, which its tests build and count.
INTEGRATED, AGNOSTIC_12K = "integrated", "shared, one pose network of 12000 units"
PARAMETERS: Mapping[str, Mapping[str, int]] = {
    name: {
        "feature_network": features,
        "category_network": category,
        "pose_networks": pose,
        "total": features + category + pose,
    }
    for name, features, category, pose in (
        (INTEGRATED, 8_558_592, 15_000_588, 18_342_036),
        ("integrated, split after stage 3", 1_449_984, 22_109_196, 12_198_036),
        ("integrated, split after stage 5", 23_534_592, 24_588, 30_630_036),
        ("shared", 8_558_592, 15_000_588, 1_528_503),
        ("shared, one pose network of 5000 units", 8_558_592, 15_000_588, 7_632_503),
        (AGNOSTIC_12K, 8_558_592, 15_000_588, 18_314_503),
        ("sequential", 8_558_592, 23_559_180, 18_342_036),
        ("independent", 8_558_592, 23_559_180, 1_528_503),
        ("VGG-M", 82_030_208, 57_356, 55_206_036),
    )
}
