"""Named ways in which poses of objects have been scored, as plain data.

Published results differ in which objects count, in the norm of the error, in how categories are
averaged and in who names the category: the same predictions give 10.2 degrees under one protocol
and 14.4 under another. A protocol fixes all of it. A variant of one is its `_replace`:

    protocols.PROTOCOLS["paper"]._replace(norm="two_norm")
"""

import math
from typing import NamedTuple

from catpose.errors import InputError

DEFAULT = "catpose"

# What a protocol's `test_list` means; the value of the labels' flag "source" that it keeps.
TEST_LISTS = {
    "any": "",
    "voc_val": "pascal",  # the images of PASCAL VOC 2012's validation lists
    "imagenet_val": "imagenet",  # the images of PASCAL3D+'s own ImageNet validation lists
}

# Factor on the geodesic distance. With R' R* = exp([w]), the Frobenius norm of log(R' R*) is
# sqrt(2) |w| and its 2-norm is |w|; both have been divided by sqrt(2) and called the angle.
NORMS = {"frobenius": 1.0, "two_norm": math.sqrt(0.5)}

# "category": the mean over categories of each category's value.
# "weighted": that mean with each category weighing as many as it has objects.
# "instance": one value over all objects, as if of one category.
# "part": the mean over the parts of a benchmark of the value over all objects of each part.
AVERAGES = ("category", "weighted", "instance", "part")

# "oracle": the category is given. Of a run, the pose network of the true category answers.
# "predicted": the system names the category; a wrong name does not touch the pose error.
# "gated": as "predicted", but an object with a wrong name is a miss, with the largest error.
CATEGORY_MODES = ("oracle", "predicted", "gated")


class Protocol(NamedTuple):
    """One way to score; what is not given is as in catpose's own conventions.

    Attributes:
      description: one line.
      source: where the choices are from, and what is not known.
      test_list: a key of `TEST_LISTS`.
      occluded: whether occluded objects count.
      truncated: whether truncated objects count.
      difficult: whether objects flagged as difficult count.
      coarse: whether objects count whose azimuth and elevation are known only coarsely; they are
        scored against whatever rotation the labels give them.
      first_object_only: whether only object number 1 of each image's annotation counts.
      parts: which parts of a benchmark count, values of the labels' flag "part"; () for all.
      frame: where errors are measured; "camera" and "upright" give the same, "paper" others.
      average: one of `AVERAGES`.
      norm: a key of `NORMS`.
      category: one of `CATEGORY_MODES`.
      num_objects: how many objects the published list has after its filters; 0 where unknown.
    """

    description: str
    source: str
    test_list: str = "any"
    occluded: bool = True
    truncated: bool = True
    difficult: bool = True
    coarse: bool = False
    first_object_only: bool = False
    parts: tuple[str, ...] = ()
    frame: str = "camera"
    average: str = "category"
    norm: str = "frobenius"
    category: str = "predicted"
    num_objects: int = 0


_CLEAR = {"occluded": False, "truncated": False}  # "clear": the object is seen whole
_EASY = {**_CLEAR, "difficult": False}  # RenderForCNN's word

_SPHERICAL = Protocol(
    description="Spherical Regression: the easy list and objects with coarse labels only",
    source="leoshine/Spherical_Regression, dataset/Pascal3D/prepare_data/prepare_anno_db.py: "
    "coarse azimuth and elevation where only they exist. The norm is that of its "
    "S1.Viewpoint/Note.md, which corrects the published table.",
    test_list="voc_val",
    coarse=True,
    category="oracle",
    num_objects=2136,
    **_EASY,
)
# As NeMo, on the images of one level. By level: the list, and the number of its images.
_OCCLUDED = {1: ("FGL1_BGL1", 10421), 2: ("FGL2_BGL2", 10219), 3: ("FGL3_BGL3", 9983)}

PROTOCOLS = {
    "catpose": Protocol(
        description="catpose's own: every object of the labels, class mean, geodesic",
        source="docs/conventions.md.",
    ),
    "catpose_gated": Protocol(
        description="catpose's own, an object of the wrong category is a miss",
        source="docs/conventions.md: the gated accuracies, and the same gate on the median.",
        category="gated",
    ),
    "paper": Protocol(
        description="Mahendran et al. 2018: category and pose (Tables 5 to 13)",
        source="Mahendran, Ali and Vidal 2018, sections 3.3 and 4.1, equation (4), Table 5. The "
        "frame, 'difficult' objects that stay and every object of an image counted are those of "
        "the authors' code (JHUVisionLab/multi-modal-regression, setupDataOriginal_pascal3d.m).",
        test_list="voc_val",
        frame="paper",
        **_CLEAR,
    ),
    "paper_given_category": Protocol(
        description="Mahendran et al. 2018, the category given (Tables 3, 4 and 'GT' of 13)",
        source="Mahendran, Ali and Vidal 2018, sections 4.2 and 4.3; the rest as in 'paper'.",
        test_list="voc_val",
        frame="paper",
        category="oracle",
        **_CLEAR,
    ),
    "voc_val": Protocol(
        description="given category, clear objects of VOC-val: the class-mean tables of the field",
        source="The form of Table 8 of the paper and of the tables since (MultiBin 2017, "
        "implicit-PDF 2021, Rotation Laplace 2023). Those papers do not all say whether "
        "'difficult' objects count: here they do, 'voc_val_easy' leaves them out.",
        test_list="voc_val",
        category="oracle",
        **_CLEAR,
    ),
    "voc_val_easy": Protocol(
        description="RenderForCNN's easy list with the right norm (PoseFromShape)",
        source="The list of ShapeNet/RenderForCNN with the geodesic distance; PoseFromShape's "
        "code (YoungXIAO13/PoseFromShape, auxiliary/dataset.py, evaluation.py) filters alike, "
        "leaves out elevation 90 and counts errors of exactly 30 degrees as right.",
        test_list="voc_val",
        category="oracle",
        num_objects=2108,
        **_EASY,
    ),
    "render_for_cnn": Protocol(
        description="RenderForCNN's easy list with its own metric script, sqrt(2) too small",
        source="ShapeNet/RenderForCNN, view_estimation/compute_vp_acc_mederror.m: MATLAB's norm() "
        "of a matrix is the 2-norm. Its class mean of 10.18 degrees is 14.39 geodesic.",
        test_list="voc_val",
        norm="two_norm",
        category="oracle",
        num_objects=2108,
        **_EASY,
    ),
    "spherical_regression": _SPHERICAL,
    "spherical_regression_withdrawn": _SPHERICAL._replace(
        description="Spherical Regression as first published and withdrawn, sqrt(2) too small",
        source="leoshine/Spherical_Regression, S1.Viewpoint/lib/eval/eval_aet_multilevel.py "
        "(arccos over sqrt(2)); S1.Viewpoint/Note.md withdraws its results. The rest as in "
        "'spherical_regression'.",
        norm="two_norm",
    ),
    "image2sphere": Protocol(
        description="Image2Sphere: VOC-val, easy, the first annotated object of each image",
        source="dmklee/image2sphere, src/pascal_dataset.py, after the code of Mohlin et al. 2020 "
        "(matrix Fisher). There an image listed under several categories counts several times.",
        test_list="voc_val",
        first_object_only=True,
        category="oracle",
        **_EASY,
    ),
    "nemo": Protocol(
        description="NeMo family: ImageNet-val, first object, category values weighted by images",
        source="Angtian/NeMo, CreatePascal3DNeMo.py (objects[0], no flag is read) and "
        "CalAccuracy.py (the mean, of medians too, is weighted by the number of images); NOVUM "
        "2024 scores the pose alike. Their code does not look for coarse labels; here they are "
        "left out. Their crops use the true distance and principal point.",
        test_list="imagenet_val",
        first_object_only=True,
        average="weighted",
        category="oracle",
    ),
    "imagenet_val": Protocol(
        description="category and pose on ImageNet-val, every object counting the same",
        source="The test images of NOVUM 2024 and CAVE 2026, which name the category; means of "
        "that family are over images, and here the median is as well.",
        test_list="imagenet_val",
        first_object_only=True,
        average="instance",
    ),
    **{
        f"occluded_pascal3d_{level}": Protocol(
            description=f"OccludedPASCAL3D+, level {level} ({part}), scored as by NeMo",
            source="Angtian/OccludedPASCAL3D, README.md (levels and their numbers of images) and "
            "code/CreateOccludedDataset.py (images with one object); Angtian/NeMo, CalAccuracy.py.",
            parts=(part,),
            average="weighted",
            category="oracle",
            num_objects=count,
        )
        for level, (part, count) in _OCCLUDED.items()
    },
    "ood_cv": Protocol(
        description="OOD-CV: each nuisance over all its objects, and the mean of the six",
        source="eccv22-ood-workshop/ROBIN-dataset, evaluation/pose/evaluate_pose.py. The share of "
        "errors below 30 degrees is its figure; its test without a nuisance (iid) does not count.",
        coarse=True,
        parts=("shape", "pose", "texture", "context", "weather", "occlusion"),
        average="part",
        category="oracle",
    ),
}


def find(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
      InputError: there is none.
    """
    if name not in PROTOCOLS:
        raise InputError(
            f"unknown protocol '{name}'; known: {', '.join(PROTOCOLS)} "
            "(--protocol=list describes them)"
        )
    return PROTOCOLS[name]


def fusion_of(protocol: Protocol, answering: str) -> str:
    """How a run's pose networks answer: the oracle where the category is given, else `answering`.

    Args:
      protocol: under which the run is scored.
      answering: the run's fusion where nobody gives the category.
    """
    return "oracle" if protocol.category == "oracle" else answering
