"""The command as a user meets it: a file of predictions, a trained run, and wrong input."""

import csv
import json
import shutil

import numpy as np
import pytest
import test_commands
from scipy.spatial.transform import Rotation

import catpose
from catpose.data import predictions
from catpose.evaluation import protocols

# The runner, the one-line check and the small trained run of the other commands' tests.
launch, error, trained = test_commands.launch, test_commands.error, test_commands.trained

MODULE = "launch.evaluate"
ANGLES = ("azimuth_deg", "elevation_deg", "theta_deg")


def write(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return path


@pytest.fixture
def files(tmp_path):
    """Labels and predictions of six cars and buses whose azimuth is wrong by 1 to 6 degrees."""
    rows = [
        {"id": f"o{i}", "category": ("car", "bus")[i % 2], **dict.fromkeys(ANGLES, 0)}
        for i in range(6)
    ]
    found = [{**row, "azimuth_deg": i + 1} for i, row in enumerate(rows)]
    return write(tmp_path / "labels.csv", rows), write(tmp_path / "mine.csv", found)


def test_a_predictions_file(launch, files):
    truth, found = files
    status, out, err = launch(MODULE, f"--predictions={found}", f"--data={truth}")
    assert (status, err) == (0, "")
    assert f"catpose on {truth}: 6 objects" in out
    folder = found.parent
    assert str(folder / "mine-catpose.json") in out
    report = json.loads((folder / "mine-catpose.json").read_text())
    # Cars 1, 3, 5 and buses 2, 4, 6.
    assert report["figures"]["pose_err_deg"]["value"] == pytest.approx(3.5)
    assert report["figures"]["cat_acc"]["value"] == 1.0
    low, high = report["figures"]["pose_err_deg"]["interval"]
    assert 1.4 < low < 3.5 < high < 5.6
    assert (folder / "mine-catpose.md").is_file()


def test_several_protocols_into_a_folder(launch, files, tmp_path):
    truth, found = files
    status, _, err = launch(
        MODULE, f"--predictions={found}", f"--data={truth}", "--protocol=voc_val,render_for_cnn",
        f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    assert (status, err) == (0, "")
    values = [
        json.loads((tmp_path / "out" / f"mine-{name}.json").read_text())["figures"]
        for name in ("voc_val", "render_for_cnn")
    ]
    geodesic, two = (figures["pose_err_deg"]["value"] for figures in values)
    assert geodesic / two == pytest.approx(np.sqrt(2))


def test_the_list_of_protocols(launch):
    status, out, err = launch(MODULE, "--protocol=list")
    assert (status, err) == (0, "")
    for name, protocol in protocols.PROTOCOLS.items():
        assert f"{name}: {protocol.description}\n    {protocol.source}\n" in out


def test_missing_and_surplus(launch, error, files):
    truth, found = files
    rows = list(csv.DictReader(found.read_text().splitlines()))
    arguments = f"--predictions={found}", f"--data={truth}"
    write(found, rows[:4])
    assert "2 of 6 objects have no prediction, the first: 'o4'" in error(MODULE, *arguments)
    status, out, _ = launch(MODULE, *arguments, "--allow_missing")
    assert status == 0
    assert "2 objects without a prediction, scored as misses" in out
    write(found, [*rows, {**rows[0], "id": "other"}])
    assert "1 of 7 predictions are of objects that" in error(MODULE, *arguments)
    status, out, _ = launch(MODULE, *arguments, "--allow_surplus")
    assert status == 0
    assert "1 predictions of unknown objects left out" in out


def test_a_run(launch, trained, tmp_path):
    """The run's own figures, and the same ones again from the file that it leaves."""
    config, workdir, _ = trained
    status, out, err = launch(
        MODULE, f"--workdir={workdir}", "--split=validation",
        "--protocol=catpose,voc_val", f"--output={tmp_path}",
    )  # fmt: skip
    assert status == 0, err
    report = json.loads((workdir / "report.json").read_text())["splits"]["validation"]
    for fusion, protocol in (("weighted", "catpose"), ("oracle", "voc_val")):
        stem = f"validation-{fusion}"
        scored = json.loads((tmp_path / f"{stem}-{protocol}.json").read_text())
        for name in ("pose_err_deg", "cat_acc", "acc_30", "acc_30_gated", "azimuth_err_deg"):
            expected = report[fusion][name]
            assert scored["figures"][name]["value"] == pytest.approx(expected, abs=2e-3), name
        assert str(tmp_path / f"{stem}.csv") in out
        found = predictions.read(tmp_path / f"{stem}.csv")
        assert set(found.frame) == {"upright"}
        assert found.categories == ("ant", "bee", "cat")
        np.testing.assert_allclose(found.probabilities.sum(1), 1, atol=1e-5)
        again = tmp_path / "again"
        status, _, err = launch(
            MODULE, f"--predictions={tmp_path / stem}.csv", f"--data={config.parent / 'data'}",
            "--split=validation", f"--protocol={protocol}", f"--output={again}",
        )  # fmt: skip
        assert status == 0, err
        rescored = json.loads((again / f"{stem}-{protocol}.json").read_text())
        assert rescored["figures"] == scored["figures"]


def test_results_replace_nothing_of_the_user(launch, error, trained, files, tmp_path):
    _, workdir, _ = trained
    truth, found = files
    own = tmp_path / "validation-weighted.csv"
    own.write_text("my,table\n")
    run = (MODULE, f"--workdir={workdir}", "--split=validation", f"--output={tmp_path}")
    status, _, err = launch(*run)
    assert status == 1
    assert "catpose did not write it" in err
    assert own.read_text() == "my,table\n"
    own.unlink()
    for _ in range(2):  # its own are replaced
        assert launch(*run)[0] == 0
    page = tmp_path / f"{found.stem}-catpose.md"
    page.write_text("# Thoughts\n")
    line = error(MODULE, f"--predictions={found}", f"--data={truth}", f"--output={tmp_path}")
    assert "catpose did not write it" in line
    assert page.read_text() == "# Thoughts\n"


def test_a_shipped_network_on_photos_of_some_of_its_categories(launch, tmp_path):
    """The scores of its file of predictions, which say what the network says of each photo."""

    def known(rows):
        for row in rows:
            row.update(category={"ant": "car", "bee": "bus", "cat": "bus"}[row["category"]])

    test_commands.write_manifest(tmp_path / "data", known)
    status, out, err = launch(
        MODULE, "--workdir=mini", f"--data={tmp_path / 'data'}", "--split=validation",
        f"--output={tmp_path}",
    )  # fmt: skip
    assert status == 0, err
    scored = json.loads((tmp_path / "validation-weighted-catpose.json").read_text())
    assert scored["categories"] == ["bus", "car"]
    found = predictions.read(tmp_path / "validation-weighted.csv")
    assert len(found.categories) == 12
    rows = csv.DictReader((tmp_path / "data/manifest.csv").read_text().splitlines())
    category = {row["file"]: row["category"] for row in rows}
    right = np.array([category[name] for name in found.id]) == found.category["given"]
    truth = np.array([category[name] for name in found.id])
    expected = [right[truth == name].mean() for name in ("bus", "car")]
    assert scored["figures"]["cat_acc"]["per_category"] == pytest.approx(expected)
    predict = catpose.load("mini")
    alone = [
        predict(tmp_path / "data/images" / name, box=(2, 3, 45, 38)).category for name in found.id
    ]
    assert alone == found.category["given"].tolist()


def test_a_run_that_learned_in_paper(launch, trained, tmp_path):
    """What the network says stays as it is, and is measured where it learned."""
    config, workdir, _ = trained
    shutil.copytree(workdir, tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text())
    content["config"]["frame"] = "paper"
    del content["crc32"]
    path.write_text(json.dumps(content))
    status, _, err = launch(
        MODULE, f"--workdir={tmp_path / 'run'}", "--split=validation", "--protocol=paper"
    )
    assert status == 0, err
    folder = tmp_path / "run" / "evaluation"
    found = predictions.read(folder / "validation-weighted.csv")
    assert set(found.frame) == {"paper"}

    rows = list(csv.DictReader((config.parent / "data" / "manifest.csv").read_text().splitlines()))
    rows = {row["file"]: row for row in rows}
    angles = [[float(rows[name][a]) for a in reversed(ANGLES)] for name in found.id]
    target = Rotation.from_euler("ZXZ", angles, degrees=True)
    error = np.degrees((target.inv() * Rotation.from_matrix(found.rotation["given"])).magnitude())
    category = np.array([rows[name]["category"] for name in found.id])
    expected = np.mean([np.median(error[category == c]) for c in ("ant", "bee", "cat")])
    scored = json.loads((folder / "validation-weighted-paper.json").read_text())
    assert scored["figures"]["pose_err_deg"]["value"] == pytest.approx(expected, abs=1e-3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --workdir=DIR or --predictions=FILE"),
        (["--workdir=x", "--predictions=x.csv"], "give either --workdir=DIR or --predictions"),
        (["--predictions=x.csv"], "--predictions needs --data"),
        (["--predictions=x.csv", "--data=TRUTH"], "cannot read x.csv: No such file"),
        (["--predictions=FOUND", "--data=absent"], "no labels at absent"),
        (["--predictions=FOUND", "--data=TRUTH", "--protocol=mine"], "unknown protocol 'mine'"),
        (["--predictions=FOUND", "--data=TRUTH", "--output=/dev/null/x"], "cannot write to"),
        (["--workdir=absent"], "no run in absent"),
        (["--workdir=RUN", "--lists=x"], "--lists distributes the labels of --data; give --pred"),
        (["--predictions=FOUND", "--data=TRUTH", "--lists=absent"], "absent has no lists <categ"),
        (["--predictions=FOUND", "--data=TRUTH", "--protocol=ood_cv"], "does not say which part"),
        (["--workdir=RUN"], "has no split 'test'; it has train, validation"),
        (["--workdir=RUN", "--split=validation", "--fusion=mean"], "unknown fusion 'mean'"),
        (["--workdir=RUN", "--split=validation", "--data=absent"], "no manifest at absent"),
        (["--workdir=mini", "--data=absent"], "on shapes: --data is a folder with manifest"),
        (["--workdir=mini", "--data=PHOTOS"], "the category 'ant', and the run in "),
        (["x"], "unexpected argument 'x'"),
    ],
)  # fmt: skip
def test_wrong_input(error, trained, files, arguments, message):
    names = {"FOUND": files[1], "TRUTH": files[0], "RUN": trained[1]}
    names["PHOTOS"] = trained[0].parent / "data"
    for name, path in names.items():
        arguments = [text.replace(name, str(path)) for text in arguments]
    assert message in error(MODULE, *arguments)
