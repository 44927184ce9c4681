"""What a network does on the page for labeling: proposals, order, snap, second pass, training."""

import csv
import shutil
import sys
import time

import numpy as np
import pytest

from catpose.evaluation import distances
from catpose.experiment import workdir
from catpose.geometry import viewpoint
from catpose.pages import label_page, labels, objects, proposals, snap, training
from catpose.prediction import Alternative, Prediction
from tests.support import browser, encoded, pages
from tests.support.pages import opened, pose, saved, set_category, set_pose

# By photo: how sure the network is, and where it sees the car; its alternatives are turned by 90.
SEEN = {
    "a.png": (0.9, (40.0, 15.0, 0.0)),
    "b.png": (0.2, (200.0, 10.0, 5.0)),
    "c.png": (0.6, (300.0, 20.0, -8.0)),
    "d.png": (0.4, (90.0, 5.0, 0.0)),
}
TOP = (75.0, 25.0, 10.0)  # of the density of cars


def rotation(angles):
    return np.asarray(viewpoint.rotation_from_angles(*np.radians(np.float32(angles))))


class Network(proposals.Proposer):
    """One that knows each photo by its width."""

    name = "known"

    def __init__(self):
        tops = np.stack([rotation(TOP), rotation((0, 0, 0))])
        self._snap = snap.compile_snap(pages.model("matrix_fisher", tops))

    def state(self):
        known = {"categories": ["car", "bus"], "has_density": True}
        return {"name": self.name, "ready": True, "error": "", **known}

    def propose(self, picture, box):
        sure, angles = list(SEEN.values())[picture.size[0] - 60]
        others = ((angles[0] + 90, *angles[1:]), (angles[0] + 180, *angles[1:]))
        return Prediction(
            "car",
            {"car": 0.8, "bus": 0.2},
            rotation(angles),
            *angles,
            confidence=0.8,
            known=0.9,
            pose_confidence=sure,
            alternatives=tuple(
                Alternative("car", rotation(each), *each, probability=0.1) for each in others
            ),
        )

    def snap(self, picture, box, category, begin):
        index = np.int32(["car", "bus"].index(category))
        found, reached = self._snap({}, np.zeros((8, 8, 3), np.uint8), index, np.float32(begin))
        return np.asarray(found), bool(reached)


@pytest.fixture(scope="module")
def chromium():
    with browser.chromium() as found:
        yield found


@pytest.fixture(scope="module")
def network():
    return Network()


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for i, name in enumerate(SEEN):
        (folder / name).write_bytes(encoded.encode(encoded.noise(60 + i, 40, seed=i), "PNG"))
    return folder


@pytest.fixture
def watch(chromium):
    """Opens the page of a session, and looks after its end whether anything went wrong."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900})
    seen = []

    def start(address):
        seen.append(browser.Watched(context, address))
        return seen[-1]

    yield start
    assert not [fault for each in seen for fault in each.errors + each.elsewhere]
    context.close()


@pytest.fixture
def own(photos, network):
    return label_page.session(photos, network)


def angles_of(watched, files):
    """The pose that the page shows for each photo."""
    found = []
    for file in files:
        watched.page.locator("#photos").select_option(file)
        opened(watched, file)
        watched.page.get_by_role("button", name="Proposal:").wait_for()
        found.append(tuple(pose(watched)))
    return found


def test_the_least_sure_come_first(own, watch):
    (own.folder / "zz.png").write_bytes(b"half of a photo")
    own = label_page.session(own.folder, own.proposer[0])
    with pages.serving(label_page.site(own)) as address:
        watched = watch(address)
        page = opened(watched, "a.png")
        page.get_by_label("Order").select_option("unsure")
        page.get_by_text("it is least sure of come first").wait_for()
        order = [each.get_attribute("value") for each in page.locator("#photos option").all()]
        assert order == ["zz.png", "b.png", "d.png", "c.png", "a.png"]
        page.locator("#photos").select_option("b.png")
        opened(watched, "b.png")
        page.locator("#stage").focus()
        page.keyboard.press("]")
        opened(watched, "d.png")
        page.get_by_label("Order").select_option("listed")
        order = [each.get_attribute("value") for each in page.locator("#photos option").all()]
        assert order == [*SEEN, "zz.png"]
        # The broken photo could not be looked at.
        assert all("400" in each for each in watched.errors)
        watched.errors.clear()


def test_proposals_and_alternatives_are_one_key_away(own, watch):
    with pages.serving(label_page.site(own)) as address:
        watched = watch(address)
        page = opened(watched, "a.png")
        assert angles_of(watched, SEEN) == [angles for _, angles in SEEN.values()]
        assert page.get_by_label("Category").input_value() == "car"
        assert "80 %" in page.locator("#bars").inner_text()
        page.locator("#stage").focus()
        azimuth, *rest = SEEN["d.png"][1]
        for key, turned in (("1", 90), ("2", 180), ("p", 0)):
            page.keyboard.press(key)
            assert pose(watched) == [azimuth + turned, *rest]
        page.get_by_role("button", name="Alternative 2").click()
        assert pose(watched) == [azimuth + 180, *rest]
        page.locator("#stage").focus()
        page.keyboard.press("Enter")
        page.get_by_text("1 of 4 photos done, 1 object labeled").wait_for()
        saved(page)
    with (own.folder / "manifest.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert (row["file"], row["category"], row["azimuth_deg"]) == ("d.png", "car", "270.00")


def test_snap_and_its_undo(own, watch):
    with pages.serving(label_page.site(own)) as address:
        watched = watch(address)
        page = opened(watched, "a.png")
        page.get_by_role("button", name="Proposal:").wait_for()
        begin = [TOP[0] - 15, TOP[1] + 10, TOP[2] - 5]
        set_pose(page, begin)
        page.locator("#stage").focus()
        page.keyboard.press("s")
        page.get_by_text("Snapped; Z undoes it.").wait_for(timeout=60000)
        found, top = rotation(pose(watched)), rotation(TOP)
        assert distances.distance_deg(found[None], top[None], np.array([1]))[0] < 0.5
        page.keyboard.press("z")
        assert pose(watched) == begin
        saved(page)
        # There is no top near the opposite view: nothing changes.
        set_pose(page, [TOP[0] - 180, 0, 0])
        before = pose(watched)
        page.get_by_role("button", name="Snap").click()
        page.get_by_text("likes no pose near this one").wait_for()
        assert pose(watched) == before


def test_a_second_pass_says_how_far_apart_both_are(photos, network, watch):
    first = labels.Labels(photos)
    before = {"a.png": [40.0, 0.0, 0.0], "b.png": [200.0, 0.0, 0.0]}
    for file, angles in before.items():
        thing = {"state": "labeled", "category": "car", "angles_deg": angles}
        first.replace(file, first.photos()[file].revision, [thing])
    manifest = first.manifest.read_text()
    own = label_page.session(photos, network, second=True)
    with pages.serving(label_page.site(own)) as address:
        watched = watch(address)
        page = opened(watched, "a.png")
        page.get_by_text("Nothing is labeled twice yet").wait_for()
        # One's own eyes first: the network proposes when it is asked.
        assert page.locator("#alternatives button").count() == 0
        assert pose(watched) != list(SEEN["a.png"][1])
        page.locator("#stage").focus()
        page.keyboard.press("p")
        page.get_by_role("button", name="Proposal:").wait_for()
        assert pose(watched) == list(SEEN["a.png"][1])
        for file, angles in (("a.png", [50, 0, 0]), ("b.png", [200, 0, 4])):
            opened(watched, file)
            # What is half typed stays, whatever is drawn anew meanwhile.
            pages.angle(page, "Azimuth").fill(str(angles[0]))
            page.locator("#opacity").dispatch_event("input")
            watched.settle()
            assert pages.angle(page, "Azimuth").input_value() == str(angles[0])
            set_pose(page, angles)
            assert pose(watched) == angles
            saved(page)
            page.locator("#done").click()
        # Turns about the upright axis and in the picture: 10 and 4 degrees; scipy's percentiles.
        page.get_by_text("2 objects: median 7.0°, nine of ten within 9.4°").wait_for()
        assert "Furthest: a.png 10.0°, b.png 4.0°" in page.locator("#agreement").inner_text()
    assert first.manifest.read_text() == manifest
    assert (photos / "second_pass.csv").read_text().count("\n") == 3


# What stands for `catpose train`: the network mini appears in the folder of the run, in two steps.
TRAIN = """#!{python}
import pathlib, shutil, sys, time
assert sys.argv[1:5] == ["-m", "catpose", "train", "--config=own"], sys.argv
assert sys.argv[-1] == "--plugins=mine", sys.argv
values = dict(each[2:].split("=", 1) for each in sys.argv[4:])
assert pathlib.Path(values["config.data.root"], "manifest.csv").exists()
run = pathlib.Path(values["workdir"])
run.parent.mkdir(exist_ok=True)
shutil.copytree("{mini}", run)
(run / "{log}").write_text('{{"step": 7}}\\n')
print("features of 4 photos", flush=True)
while not (run.parent / "go").exists():
    time.sleep(0.02)
print("done", flush=True)
"""


def test_training_and_then_proposals_of_its_run(photos, watch, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    stub = tmp_path / "python"
    mini = workdir.SHIPPED / "mini"
    stub.write_text(TRAIN.format(python=sys.executable, mini=mini, log=training.training_log.FILE))
    stub.chmod(0o755)
    monkeypatch.setattr(training.sys, "executable", str(stub))
    shutil.rmtree(photos)
    photos.mkdir()
    pages.draw((40, 15, 0)).save(photos / "a.png")
    own = label_page.session(photos, proposals.Proposer(""), plugins=["mine"])
    with pages.serving(label_page.site(own)) as address:
        watched = watch(address)
        page = opened(watched, "a.png")
        page.get_by_text("no network was chosen").wait_for()
        set_category(page, "car")
        set_pose(page, [1, 2, 3])
        # The panel opens before the label is saved.
        page.route("**/objects", lambda route: (time.sleep(1), route.continue_()))
        page.locator("#done").click()
        page.get_by_text("Every photo is done").wait_for()
        page.get_by_text("1 labeled object: ").wait_for()
        command = page.locator("#command").inner_text()
        assert command.startswith("catpose train --config=own")
        assert f"--workdir={tmp_path.name}" not in command
        page.get_by_role("button", name="Train now").click()
        page.get_by_text("features of 4 photos").wait_for()
        bar = page.locator("#train-progress")
        watched.run("new Promise(done => setTimeout(done, 1100))")  # its next look
        total = bar.evaluate("bar => bar.max")
        assert bar.evaluate("bar => bar.value") == 7
        assert total == training.progress(tmp_path / "runs" / "photos-1")[1] > 7
        assert page.get_by_role("button", name="Train now").is_disabled()
        assert page.get_by_role("button", name="Use it").is_hidden()
        (tmp_path / "runs" / "go").touch()
        page.get_by_text("Finished. The new network").wait_for()
        page.get_by_role("button", name="Use it").click()
        page.get_by_text("Proposal of runs/photos-1").wait_for()
        page.get_by_role("button", name="Proposal:").wait_for(timeout=60000)
        # What it proposes now is what the run answers.
        expected = own.proposer[0].propose(own.open_picture("a.png"), None)
        assert own.proposer[0].name == "runs/photos-1"
        assert expected.category in page.locator("#bars").inner_text()
        page.locator("#stage").focus()
        page.keyboard.press("p")
        angles = objects.angles_deg(expected.rotation[None])[0]
        assert pose(watched) == pytest.approx(angles, abs=0.06)
        saved(page)
