"""Figures that others published under a protocol, and where they stand; as plain data.

A source with a table's number was read for it; one that is authors and year alone is quoted second
hand. A protocol without figures, such as OOD-CV's, has none that were found.
"""

from collections.abc import Mapping
from typing import NamedTuple


class Figure(NamedTuple):
    """What one system published under a protocol; None where it did not.

    Attributes:
      system: its name and year.
      source: where the figures stand.
      pose_err_deg: median error, averaged as the protocol says, in degrees.
      acc_30: share of errors below 30 degrees.
      cat_acc: share of right categories.
    """

    system: str
    source: str
    pose_err_deg: float | None = None
    acc_30: float | None = None
    cat_acc: float | None = None


_PAPER = "arXiv 1711.07426"
_NOTE = "leoshine/Spherical_Regression, S1.Viewpoint/Note.md"

FIGURES: Mapping[str, tuple[Figure, ...]] = {
    "paper": (
        Figure("Top1, with rendered images", f"{_PAPER}, Table 5", 13.56, cat_acc=0.9181),
        Figure("Weighted, with rendered images", f"{_PAPER}, Table 5", 13.67, cat_acc=0.9150),
        Figure("Top1, real images", f"{_PAPER}, Table 10", 16.29, cat_acc=0.8930),
        Figure("Weighted, real images", f"{_PAPER}, Table 10", 16.07, cat_acc=0.8944),
    ),
    "paper_given_category": (
        Figure("real images", f"{_PAPER}, Table 13 (GT)", 15.28),
        Figure("pretrained stage 4", f"{_PAPER}, Table 4", 19.91),
    ),
    "voc_val": (
        Figure("Viewpoints & Keypoints 2015", f"{_PAPER}, Table 8; {_NOTE}", 13.59, 0.808),
        Figure("MultiBin 2017", f"{_PAPER}, Table 8; {_NOTE}", 11.1, 0.810),
        Figure("Mahendran 2018, bin and delta", _NOTE, 10.1, 0.859),
        Figure("implicit-PDF 2021", "Murphy et al. 2021", 10.3, 0.837),
        Figure("Rotation Laplace 2023", "Yin et al. 2023", 9.3),
    ),
    "voc_val_easy": (
        Figure("PoseFromShape 2019, 3D model given", "Xiao et al. 2019", 10.0, 0.827),
    ),
    "render_for_cnn": (
        Figure(
            "Render for CNN 2015",
            "ShapeNet/RenderForCNN, acc_mederr_results.txt",
            10.18,
            0.842,
        ),
    ),
    "spherical_regression": (
        Figure("Spherical Regression 2019, corrected", _NOTE, 13.03, 0.8337),
        Figure("Penedones et al., theirs, corrected", _NOTE, 16.42, 0.7782),
    ),
    "spherical_regression_withdrawn": (
        Figure("Spherical Regression 2019, withdrawn", _NOTE, 9.2, 0.882),
        Figure("Penedones et al., theirs, withdrawn", _NOTE, 11.6, 0.836),
    ),
    "image2sphere": (Figure("Image2Sphere 2023", "Klee et al. 2023", 9.6),),
    "nemo": (Figure("NeMo 2021, one cuboid", "Angtian/NeMo, README.md", acc_30=0.855),),
    "imagenet_val": (
        Figure("NOVUM 2024", "Jesslen et al. 2024", cat_acc=0.995),
        Figure("CAVE 2026", "CAVE 2026", cat_acc=0.994),
    ),
}
