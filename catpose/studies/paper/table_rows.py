"""The rows of the paper's tables: how each is trained, how it is read, and what a table claims.

A table row is defined here alone. Its labels are those of `catpose.studies.paper.published`, where
the paper's numbers are. Rows of several tables that are one network share its recipe, and recipes
that begin alike are trained together up to where they part (`shared_phases`).
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

Labels = tuple[str, ...]


class Recipe(NamedTuple):
    """How a row is trained.

    Attributes:
      name: of the row, as in configs/tables.py:DATA,PRESET,ROW.
      steps: of Table 1, by their names in `catpose.studies.paper.recipes.STEPS`.
      model: what differs in `config.model`.
      rendered: the pose networks learn from rendered images, too.
      fusion: in the joint phase.
      category_weight: lambda of the joint phase.
      with_frozen: it also compares something where the feature network never trains.
    """

    name: str
    steps: tuple[str, ...]
    model: Mapping[str, Any] = {}
    rendered: bool = False
    fusion: str = "weighted"
    category_weight: float = 0.1
    with_frozen: bool = False


class TableRow(NamedTuple):
    """A row of a table: what is trained, and by which fusion its pose networks answer."""

    recipe: Recipe
    fusion: str


class Claim(NamedTuple):
    """A claim that a table supports: one of its rows is better than another.

    Attributes:
      text: the claim in words.
      better: labels of the row that is to be better.
      worse: labels of the other.
      metric: its label in `catpose.metrics.METRICS`; of errors, those of the full
        rotation.
    """

    text: str
    better: Labels
    worse: Labels
    metric: str


class Table(NamedTuple):
    """A table of the paper as it is made here.

    Attributes:
      rows: by the paper's labels; rows that are missing here only the paper has.
      claims: in the order of the page.
      note: what must be known to compare with the paper's numbers.
    """

    rows: Mapping[Labels, TableRow]
    claims: Sequence[Claim] = ()
    note: str = ""


FUSIONS = {"Weighted": "weighted", "Top1": "top1"}
POSE_FIRST = ("networks", "pose", "category", "joint")
BALANCED = ("networks", "category", "joint")


def _oracle(
    name: str, steps: tuple[str, ...] = ("networks",), *, rendered: bool = False, **model: Any
) -> TableRow:
    """A row whose pose networks are given the category."""
    # Pose networks alone are trained on frozen features everywhere.
    alone = steps == ("networks",)
    return TableRow(Recipe(name, steps, model, rendered=rendered, with_frozen=alone), "oracle")


def _other_method(name: str, **model: Any) -> TableRow:
    return _oracle(name, ("networks", "pose"), rendered=True, **model)


def _each_fusion(name: str, steps: tuple[str, ...], **changes: Any) -> dict[str, TableRow]:
    """Two rows, one trained and read with each fusion, by the paper's word for it."""
    return {
        word: TableRow(Recipe(f"{name}_{fusion}", steps, fusion=fusion, **changes), fusion)
        for word, fusion in FUSIONS.items()
    }


def _labeled(label: str, rows: Mapping[str, TableRow]) -> dict[Labels, TableRow]:
    return {(label, word): row for word, row in rows.items()}


def _sequential(name: str, learns: str, **changes: Any) -> TableRow:
    steps = ("networks", "pose", f"own {learns}")
    model = {"architecture": "sequential"}
    recipe = Recipe(f"sequential_{name}", steps, model, rendered=True, fusion="top1", **changes)
    return TableRow(recipe, "top1")


def _claims(text: str, better: str, worse: str, *metrics: str) -> list[Claim]:
    """The same claim about the rows of each fusion."""
    return [
        Claim(f"{text} ({word})", (better, word), (worse, word), metric)
        for metric in metrics
        for word in FUSIONS
    ]


_POSE_FIRST = _each_fusion("pose_first", POSE_FIRST, with_frozen=True)
_RENDERED = _each_fusion("rendered", POSE_FIRST, rendered=True)
# The same training as `_RENDERED`, against other architectures: that also compares something where
# no images are rendered.
_INTEGRATED = _each_fusion("integrated", POSE_FIRST, rendered=True, with_frozen=True)
_WEIGHTED, _TOP1 = _INTEGRATED.values()
_BALANCED = _each_fusion("balanced", BALANCED)
_BEFORE = Recipe("balanced_before", BALANCED[:-1], with_frozen=True)
_SHARED = TableRow(
    Recipe("shared", POSE_FIRST, {"architecture": "shared"}, rendered=True, with_frozen=True),
    "weighted",
)
_INTEGRATED_LABELS = {"Ours-Wgt": "Weighted", "Ours-Top1": "Top1"}
_AGAINST_SHARED = {("[8]*",): _SHARED, ("Ours-Wgt",): _WEIGHTED, ("Ours-Top1",): _TOP1}
_SAME_IMAGES = (
    "The paper says of this comparison that no rendered images were used, and prints the numbers "
    "of networks that used them. Here all learn from the same images."
)

TABLES: Mapping[int, Table] = {
    3: Table(
        {(f"Stage-{n}",): _oracle(f"stage{n}", split_stage=n) for n in (3, 4, 5)},
        [
            Claim(f"stage 4 beats stage {n}", ("Stage-4",), (f"Stage-{n}",), "pose-err")
            for n in (3, 5)
        ],
    ),
    4: Table(
        {
            ("Cat-dep.",): _oracle("stage4", split_stage=4),
            # One pose network for all, as wide as one of the others or wider.
            **{
                (f"Cat-ind.({n}k)",): _oracle(f"agnostic_{n}k", architecture="shared", wider=n)
                for n in (12, 5, 1)
            },
        },
        [
            Claim(
                f"networks for each category beat one for all ({n})",
                ("Cat-dep.",),
                (f"Cat-ind.({n})",),
                "pose-err",
            )
            for n in ("12k", "5k", "1k")
        ],
    ),
    5: Table(
        _labeled("Only real images", _POSE_FIRST) | _labeled("Real and rendered", _RENDERED),
        _claims(
            "rendered images help", "Real and rendered", "Only real images", "pose-err", "cat-acc"
        ),
    ),
    6: Table(
        _AGAINST_SHARED,
        [
            Claim(
                f"Elhoseiny et al.* name categories better than {word}",
                ("[8]*",),
                (name,),
                "cat-acc",
            )
            for name, word in _INTEGRATED_LABELS.items()
        ],
        _SAME_IMAGES + " That the integrated network is better in pose is tested with Table 9.",
    ),
    7: Table(
        _AGAINST_SHARED,
        [
            Claim(f"{word} beats Elhoseiny et al.*", (name,), ("[8]*",), metric)
            for metric in ("acc@22.5", "acc@45", "AAAI")
            for name, word in _INTEGRATED_LABELS.items()
        ],
        _SAME_IMAGES + " These numbers are means over categories; the paper speaks of shares of "
        "all images.",
    ),
    8: Table(
        {
            ("Viewpoints&Keypoints [1]",): _other_method("euler_bins", pose="euler_bins"),
            ("Render-for-CNN [2]",): _other_method("fine_bins", pose="fine_bins"),
            ("3D-pose-regression [6]",): _other_method("vgg_m", trunk="vgg_m"),
            ("Multibin [3]",): _other_method("multibin", pose="multibin"),
            ("Ours-Weighted",): _WEIGHTED,
            ("Ours-Top1",): _TOP1,
        },
        note="The paper claims no order here, so none is tested. Methods in brackets are catpose's "
        "own versions: the representation and the loss of the publication on the feature network "
        "of this page (of [6], VGG-M), given the category.",
    ),
    9: Table(
        {
            ("Sequential", "Everything"): _sequential("everything", "category"),
            ("Sequential", "FC"): _sequential("fc", "head", with_frozen=True),
            ("Sequential", "FC+Stage5"): _sequential("fc_stage5", "head and stage 5"),
            ("Integrated", "Ours-Wgt"): _WEIGHTED,
            ("Integrated", "Ours-Top1"): _TOP1,
            ("Shared", "[8]*"): _SHARED,
        },
        [
            *(
                Claim(
                    f"integrated beats shared ({word})",
                    ("Integrated", name),
                    ("Shared", "[8]*"),
                    "pose-err",
                )
                for name, word in _INTEGRATED_LABELS.items()
            ),
            Claim(
                "a second ResNet (FC+Stage5) names categories better",
                ("Sequential", "FC+Stage5"),
                ("Integrated", "Ours-Top1"),
                "cat-acc",
            ),
        ],
        "The independent network of figure 2a is in no table; it is a config all the same.",
    ),
    10: Table(
        _labeled("Balance", _BALANCED) | _labeled("Pose-first", _POSE_FIRST),
        _claims("pose-first beats balanced", "Pose-first", "Balance", "pose-err", "cat-acc"),
        "As in the paper's Table 1, pose-first trains the feature network for one step more than "
        "balanced training does (on the pose), so that order and budget change together.",
    ),
    11: Table(
        {
            **{("Before", word): TableRow(_BEFORE, fusion) for word, fusion in FUSIONS.items()},
            ("Before", "Both"): TableRow(_BEFORE, "weighted"),
            **_labeled("After", _BALANCED),
        },
        [
            *_claims("joint fine-tuning helps the pose", "After", "Before", "pose-err"),
            *(
                Claim(
                    f"joint fine-tuning costs categories ({word})",
                    ("Before", "Both"),
                    ("After", word),
                    "cat-acc",
                )
                for word in FUSIONS
            ),
        ],
    ),
    12: Table(
        _labeled("0.1", _POSE_FIRST)
        | _labeled("1", _each_fusion("lambda1", POSE_FIRST, category_weight=1.0, with_frozen=True)),
        _claims("lambda 0.1 beats 1", "0.1", "1", "pose-err", "cat-acc"),
    ),
    13: Table(
        {
            (): _POSE_FIRST["Top1"],
            # Its columns, which the claim compares.
            ("GT",): TableRow(_POSE_FIRST["Top1"].recipe, "oracle"),
            ("Top1",): _POSE_FIRST["Top1"],
        },
        [Claim("knowing the category helps the pose", ("GT",), ("Top1",), "pose-err")],
    ),
}
# A table that the paper does not have: all representations on the same frozen features, given the
# category, for the same number of steps.
REPRESENTATIONS: Mapping[str, TableRow] = {
    "axis-angle, geodesic": _oracle("frozen_axis_angle", pose="axis_angle"),
    "quaternion, geodesic": _oracle("frozen_quaternion", pose="quaternion"),
    "Euler angles, MSE": _oracle("frozen_euler", pose="euler"),
    "6D, geodesic": _oracle("frozen_sixd", pose="sixd"),
    "9D and SVD, geodesic": _oracle("frozen_svd", pose="svd"),
    "matrix Fisher": _oracle("frozen_matrix_fisher", pose="matrix_fisher"),
    "Euler bins": _oracle("frozen_euler_bins", pose="euler_bins"),
    "fine bins, soft loss": _oracle("frozen_fine_bins", pose="fine_bins"),
    "MultiBin": _oracle("frozen_multibin", pose="multibin"),
    "bin and delta (cube)": _oracle("frozen_bin_delta", pose="bin_delta"),
    "bin and delta (fitted)": _oracle("frozen_bin_delta_fitted", pose="bin_delta", pose_keys=16),
}
# What replaces ImageNet's weights on shapes, and what is in no table.
_OTHERS = (
    Recipe("phase0", ("phase0",)),
    Recipe("phase0_vgg_m", ("phase0",), {"trunk": "vgg_m"}),
    Recipe(
        "independent", ("networks", "pose", "own category"), {"architecture": "independent"},
        rendered=True,
    ),
)  # fmt: skip
RECIPES: Mapping[str, Recipe] = {
    recipe.name: recipe
    for recipe in (
        *_OTHERS,
        *(row.recipe for table in TABLES.values() for row in table.rows.values()),
        *(row.recipe for row in REPRESENTATIONS.values()),
    )
}
