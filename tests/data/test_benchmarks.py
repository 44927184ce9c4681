"""Benchmarks in parts, from files as their authors have them."""

import numpy as np
import pytest

from catpose.data import benchmarks, labels
from tests.support.pose_tables import ANGLES, camera, one_line, write_csv


def ood_cv(folder, part, *rows):
    (folder / "nuisances" / part).mkdir(parents=True)
    lines = ("imgs,labels,azimuth,elevation,theta,distance", *rows)
    (folder / "nuisances" / part / "labels.csv").write_text("\n".join(lines))
    return folder


def test_ood_cv(tmp_path):
    row = "pascal_car_2008_001719_0.jpg,car,107.21,39.46,16.17,6.79"
    folder = ood_cv(tmp_path, "shape", row)
    ood_cv(tmp_path, "pose", row, "imagenet_bus_n02690373_0.jpg,bus,280.34,-13.8,-0.49,4.4")
    found = benchmarks.read_ood_cv(folder)
    assert found.id.tolist() == [
        "pose/pascal_car_2008_001719_0.jpg",
        "pose/imagenet_bus_n02690373_0.jpg",
        "shape/pascal_car_2008_001719_0.jpg",
    ]
    assert found.flags["part"].tolist() == ["pose", "pose", "shape"]
    assert [found.categories[c] for c in found.category] == ["car", "bus", "car"]
    np.testing.assert_allclose(found.rotation[1], camera(280.34, -13.8, -0.49), atol=1e-12)


def test_wrong_copies_of_ood_cv(tmp_path):
    one_line(
        benchmarks.read_ood_cv, tmp_path, match="has no tables nuisances/<nuisance>/labels.csv"
    )
    folder = ood_cv(tmp_path, "pose", "a.jpg,car,1,2,3,4", "a.jpg,car,5,6,7,8")
    one_line(
        benchmarks.read_ood_cv, folder, match="labels.csv, line 3: the id 'pose/a.jpg' is also that"
    )
    (folder / "nuisances" / "pose" / "labels.csv").write_text("imgs,labels,azimuth\na,car,1")
    one_line(
        benchmarks.read_ood_cv, folder, match="no column elevation, theta; there are imgs, lab"
    )


@pytest.fixture
def truth(tmp_path):
    rows = [
        {"id": f"{image}_1", "image": image, "category": category, "azimuth_deg": i, **rest}
        for i, (image, category) in enumerate([("n1_1", "car"), ("n1_2", "car"), ("n1_1", "bus")])
        for rest in [{"elevation_deg": 0, "theta_deg": 0}]
    ]
    rows[2]["id"] = "n1_1_1_bus"
    return labels.read(write_csv(tmp_path / "labels.csv", rows))


def test_occluded_pascal3d(tmp_path, truth):
    lists = tmp_path / "lists"
    lists.mkdir()
    (lists / "carFGL1_BGL1.txt").write_text("n1_1.JPEG\nn1_9.JPEG\n")
    (lists / "carFGL2_BGL2.txt").write_text("n1_2.JPEG\r\nn1_1.JPEG")
    (lists / "busFGL2_BGL2.txt").write_text("n1_1.JPEG")
    (lists / "notes.txt").write_text("n1_1.JPEG")
    found = benchmarks.by_lists(truth, lists)
    assert dict(zip(found.id.tolist(), found.flags["part"].tolist(), strict=True)) == {
        "FGL2_BGL2/n1_1_1_bus": "FGL2_BGL2",
        "FGL1_BGL1/n1_1_1": "FGL1_BGL1",
        "FGL2_BGL2/n1_2_1": "FGL2_BGL2",
        "FGL2_BGL2/n1_1_1": "FGL2_BGL2",
    }
    azimuths = [camera(azimuth, 0, 0) for azimuth in (2, 0, 1, 0)]
    np.testing.assert_allclose(found.rotation, azimuths, atol=1e-12)
    # Where the benchmark has its files: images/carFGL1_BGL1/n1_1.JPEG.
    assert found.flags["image"].tolist()[:2] == ["busFGL2_BGL2/n1_1", "carFGL1_BGL1/n1_1"]
    assert found.notes == ("1 listed images have no object in the labels",)


def test_wrong_lists(tmp_path, truth):
    one_line(benchmarks.by_lists, truth, tmp_path, match="has no lists <category><level>.txt, such")
    (tmp_path / "carFGL1_BGL1.txt").write_text("other.JPEG")
    one_line(benchmarks.by_lists, truth, tmp_path, match="no image in the lists of .* is one of")
    unnamed = truth._replace(flags={})
    one_line(
        benchmarks.by_lists, unnamed, tmp_path, match="does not name the images of its objects"
    )


def test_the_angles_of_tables_that_are_ours(tmp_path):
    """A table with the column part is labels of a benchmark too."""
    rows = [{"id": "a", "category": "car", "part": "pose", **ANGLES}]
    assert labels.read(write_csv(tmp_path / "l.csv", rows)).flags["part"].tolist() == ["pose"]
