"""A saved run as a function of a photo, against the network evaluated by hand on the same crop."""

import json
import os
import pathlib
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

import catpose
from catpose import inference
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, workdir
from catpose.images import decode
from catpose.training import step as train_step
from catpose.visualize import axes, category_models, overlay
from tests.support import tiny
from tests.support.paths import ROOT

CATEGORIES = ("bus", "car", "vase")
BOX = (10, 6, 74, 70)
RUNS = {
    "weighted": {"frame": "upright", "phase": {"fusion": "weighted"}},
    "top1": {"frame": "camera", "phase": {"fusion": "top1"}},
    "oracle": {"frame": "paper", "phase": {"fusion": "oracle", "tied": True}},
}


def run_config(frame="upright", phase=None):
    config = tiny.config([tiny.phase(**(phase or {}))])
    config.frame = frame
    return config


def random_variables(config, seed):
    """Weights and statistics that differ in every place, so that the outputs vary widely."""
    network = build.build_model(tiny.read(config), CATEGORIES).network
    shape = jax.ShapeDtypeStruct((1, tiny.RESOLUTION, tiny.RESOLUTION, 3), jnp.float32)
    variables = network.init_fn(jax.random.key(seed), shape)
    generator = np.random.default_rng(seed)

    def changed(path, leaf):
        noise = generator.uniform(0.3, 1, leaf.shape).astype(np.float32)
        if path[0].key == "batch_stats":
            return leaf * noise + noise * 0.1
        return leaf + (noise - 0.65) * (3 if path[1].key == "pose_networks" else 0.5)

    return jax.tree_util.tree_map_with_path(changed, variables)


def save_run(folder, config, scored):
    """A workdir as training leaves it; `scored`: (step, score, variables)."""
    with workdir.opened(folder, tiny.read(config)):
        workdir.write_categories(folder, CATEGORIES)
        with checkpoint.open_manager(folder / "checkpoints") as manager:
            for step, score, variables in scored:
                saved = train_step.create_state(jax.random.key(0), variables)
                checkpoint.save(manager, step, saved._replace(step=jnp.int32(step)), score)
            manager.wait_until_finished()
    return folder


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Folder, and variables of the best and the last checkpoint, by the run's fusion."""
    made = {}
    for name, options in RUNS.items():
        config = run_config(**options)
        best, last = (random_variables(config, seed) for seed in (1, 2))
        folder = tmp_path_factory.mktemp("runs") / name
        save_run(folder, config, [(2, 10.0, best), (4, 20.0, last)])
        made[name] = (folder, config, best, last)
    return made


@pytest.fixture(scope="module")
def predictors(runs):
    return {name: catpose.load(folder) for name, (folder, *_) in runs.items()}


@pytest.fixture(scope="module")
def photo():
    small = np.random.default_rng(5).integers(0, 256, (9, 12, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((120, 90), Image.Resampling.BICUBIC)


def by_hand(name, config, variables, photo, box):
    """Probabilities and rotation (frame "camera") with Pillow, scipy and the bare network."""
    pixels = photo.resize((32, 32), Image.Resampling.BILINEAR, box=box)
    image = (np.asarray(pixels) / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    network = build.build_model(tiny.read(config), CATEGORIES).network
    outputs, _ = network.apply_fn(variables, jnp.asarray(image[None], jnp.float32))
    logits, omegas = np.float64(outputs.category_logits[0]), np.float64(outputs.pose_outputs[0])
    probabilities = np.exp(logits - logits.max())
    probabilities /= probabilities.sum()
    omega = {
        "weighted": probabilities @ omegas,
        "top1": omegas[logits.argmax()],
        # Tied: network 0 speaks for all, and any weights give its own output.
        "oracle": omegas[0],
    }[name]
    rotation = Rotation.from_rotvec(omega)
    if config.frame == "upright":
        rotation = Rotation.from_euler("x", -90, degrees=True) * rotation
    if config.frame == "paper":
        theta, elevation, azimuth = rotation.as_euler("ZXZ", degrees=True)
        if abs(theta) > 90:
            theta, elevation, azimuth = theta - 180, -elevation, azimuth + 180
        rotation = Rotation.from_euler("ZXZ", [theta, elevation - 90, -azimuth], degrees=True)
    return probabilities, rotation.as_matrix()


@pytest.mark.parametrize("box", [BOX, None])
@pytest.mark.parametrize("name", RUNS)
def test_a_prediction_is_the_networks_own(runs, predictors, photo, name, box):
    _, config, _, variables = runs[name]
    found = predictors[name](photo, box)
    probabilities, rotation = by_hand(name, config, variables, photo, box)
    assert tuple(found.probabilities) == CATEGORIES
    np.testing.assert_allclose(list(found.probabilities.values()), probabilities, atol=1e-5)
    assert found.category == CATEGORIES[probabilities.argmax()]
    np.testing.assert_allclose(found.rotation, rotation, atol=2e-5)

    # The angles are those of this rotation, by the formula of PASCAL3D+.
    angles = [found.theta_deg, found.elevation_deg - 90, -found.azimuth_deg]
    again = Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()
    np.testing.assert_allclose(again, found.rotation, atol=1e-5)
    assert 0 <= found.azimuth_deg < 360
    assert -90 <= found.elevation_deg <= 90
    assert -180 < found.theta_deg <= 180


def test_the_runs_of_these_tests_differ(runs, photo):
    """Else the test above could not tell boxes, categories and weights apart."""
    for name, (_, config, best, last) in runs.items():
        results = [
            by_hand(name, config, variables, photo, box)
            for variables, box in ((last, None), (last, BOX), (best, BOX))
        ]
        for one, other in ((0, 1), (1, 2)):
            assert np.abs(results[one][0] - results[other][0]).max() > 1e-3
            assert np.abs(results[one][1] - results[other][1]).max() > 1e-3
        assert results[0][0].max() < 0.99


def test_any_form_of_a_photo(predictors, photo, tmp_path):
    predictor = predictors["weighted"]
    path = tmp_path / "photo.png"
    photo.save(path)
    expected = predictor(photo, BOX)
    for form in (path, str(path), path.read_bytes(), np.asarray(photo), photo.convert("RGBA")):
        for box in (BOX, list(BOX), np.array(BOX), np.array(BOX, np.float32)):
            found = predictor(form, box)
            np.testing.assert_array_equal(found.rotation, expected.rotation)
            assert found.probabilities == expected.probabilities
    whole = predictor(path)
    np.testing.assert_array_equal(whole.rotation, predictor(photo, (0, 0, *photo.size)).rotation)


def test_a_turned_photo_is_seen_upright(predictors, photo, tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held upright: turn a quarter clockwise to view
    path = tmp_path / "phone.png"
    photo.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    predictor = predictors["weighted"]
    np.testing.assert_array_equal(predictor(path, BOX).rotation, predictor(photo, BOX).rotation)
    np.testing.assert_array_equal(
        np.asarray(predictor.draw(path, BOX)), np.asarray(predictor.draw(photo, BOX))
    )


def test_best_and_last(runs, photo):
    folder, config, best, _ = runs["weighted"]
    found = catpose.load(str(folder), best=True)(photo, BOX)
    probabilities, rotation = by_hand("weighted", config, best, photo, BOX)
    np.testing.assert_allclose(list(found.probabilities.values()), probabilities, atol=1e-5)
    np.testing.assert_allclose(found.rotation, rotation, atol=2e-5)


@pytest.mark.parametrize("count", [1, 3, 9])
def test_many_photos_are_each_alone(predictors, photo, count):
    predictor = predictors["weighted"]
    turned = [photo.rotate(10 * number) for number in range(count)]
    boxes = [BOX, *[None] * (count - 1)]
    together = predictor(turned, boxes)
    assert len(together) == count
    for number, found in enumerate(together):
        alone = predictor(turned[number], boxes[number])
        np.testing.assert_allclose(found.rotation, alone.rotation, atol=2e-5)
        np.testing.assert_allclose(
            list(found.probabilities.values()), list(alone.probabilities.values()), atol=1e-5
        )


def test_whatever_their_number_three_programs_are_enough(predictors, photo):
    seen = []

    def predict(crops):
        seen.append(len(crops))
        probabilities, rotation, angles = (
            np.zeros((len(crops), *shape), np.float32) for shape in ((3,), (3, 3), (3,))
        )
        category = np.zeros(len(crops), np.int32)
        return inference.Seen(probabilities, category, rotation, angles, None, None)

    predictor = predictors["weighted"]._replace(predict_fn=predict)
    crop = predictor.crop(photo)
    for count in (0, 1, 2, 8, 9, 64, 65, 130):
        assert len(predictor.from_crops([crop] * count)) == count
    assert set(seen) == {1, 8, 64}
    with pytest.raises(InputError, match="2 photos and 1 boxes"):
        predictor([photo, photo], [None])


def test_json(predictors, photo):
    found = predictors["weighted"](photo, BOX)
    read = json.loads(json.dumps(found.to_json()))
    assert read == {
        "category": found.category,
        "probabilities": found.probabilities,
        "rotation": found.rotation.tolist(),
        "azimuth_deg": found.azimuth_deg,
        "elevation_deg": found.elevation_deg,
        "theta_deg": found.theta_deg,
        "confidence": max(found.probabilities.values()),
        "known": None,
        "pose_confidence": None,
        "within_deg": 30.0,
        "alternatives": [],
        "remark": found.remark,
        "frame": "camera",
    }
    assert (
        predictors["weighted"].note == "no pose_confidence: poses of 'axis_angle' have no density"
    )
    assert np.array(read["rotation"]).shape == (3, 3)
    assert abs(sum(read["probabilities"].values()) - 1) < 1e-5


def test_the_picture(predictors, photo):
    large = photo.resize((480, 360))
    drawn = predictors["weighted"].draw(large, (40, 24, 296, 280))
    assert isinstance(drawn, Image.Image)
    assert drawn.size == large.size
    changed = (np.asarray(drawn) != np.asarray(large)).any(-1)
    assert 0.002 < changed.mean() < 0.5
    assert not changed[300:, 320:].any()


def test_the_picture_of_the_model(predictors, photo):
    """The model under the caption (and the arrows), in the box; without one, the axes."""
    predictor, box = predictors["weighted"], (40, 24, 296, 280)
    large = photo.resize((480, 360))
    found = predictor(large, box)._replace(category="car")
    drawn = {
        show: np.asarray(predictor.draw(large, box, found, show=show))
        for show in ("axes", "model", "both")
    }
    label = f"car {found.probabilities['car']:.0%}"
    mesh = category_models.built_in("car")
    below = overlay.draw_model(np.asarray(large), found.rotation, mesh, box)
    expected = axes.draw_axes(below, None, box=box, label=label)
    np.testing.assert_array_equal(drawn["model"], expected)
    expected = axes.draw_axes(below, found.rotation, box=box, label=label)
    np.testing.assert_array_equal(drawn["both"], expected)

    def upside_down(category):
        assert category == "car"
        return mesh._replace(vertices=mesh.vertices * np.float32([-1, 1, -1]))

    other = predictor.draw(large, box, found, show="model", models=upside_down)
    assert (np.asarray(other) != drawn["model"]).any()

    small = photo.resize((60, 45))
    little = np.array(box) / 8
    found = predictor(small, little)._replace(category="bus")
    below = overlay.draw_model(
        np.asarray(small), found.rotation, category_models.built_in("bus"), little
    )
    assert len(below) == 4 * 45
    label = f"bus {found.probabilities['bus']:.0%}"
    expected = axes.draw_axes(below, found.rotation, box=4 * little, label=label)
    np.testing.assert_array_equal(predictor.draw(small, little, found, show="both"), expected)

    found = found._replace(category="vase")
    expected = np.asarray(predictor.draw(small, little, found))
    for show in ("model", "both"):
        np.testing.assert_array_equal(predictor.draw(small, little, found, show=show), expected)


WRONG_BOXES = {
    "three numbers": ((1, 2, 3), "^a box is four numbers x0, y0, x1, y1, not "),
    "words": (np.array(["a", "b", "c", "d"]), "^a box is four numbers"),
    "a number": (np.array(5), "^a box is four numbers"),
    "outside": ((200, 0, 210, 10), "lies outside the image .120 x 90 pixels.$"),
    "turned": ((50, 0, 10, 10), "has no area"),
    "shares": ((0.1, 0.1, 0.8, 0.8), "are in pixels$"),
    "nan": ((np.nan, 0, 10, 10), "has no area"),
    "infinite": ((0, 0, np.inf, 10), "far larger than the image"),
}


@pytest.mark.parametrize(("box", "message"), WRONG_BOXES.values(), ids=WRONG_BOXES.keys())
def test_wrong_boxes(predictors, photo, box, message):
    with pytest.raises(InputError, match=message) as caught:
        predictors["weighted"](photo, box)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("image", "message"),
    [
        ("missing.jpg", r"^no image missing\.jpg$"),
        (pathlib.Path(__file__), "^cannot read .*test_predict.py as an image"),
        (b"GIF89a", "^cannot read the image as an image"),
        (np.zeros((5, 5), np.uint8), r"^an image array is .*, not \(5, 5\) uint8$"),
        (np.zeros((5, 5, 4), np.uint8), r"not \(5, 5, 4\) uint8$"),
        (np.zeros((5, 5, 3), np.float32), r"not \(5, 5, 3\) float32$"),
        (np.zeros((0, 5, 3), np.uint8), "no area|not "),
    ],
)  # fmt: skip
def test_what_is_no_photo(predictors, image, message):
    with pytest.raises(InputError, match=message) as caught:
        predictors["weighted"](image)
    assert "\n" not in str(caught.value)


def test_no_run_no_data_no_checkpoint_another_network(runs, tmp_path):
    def check(folder, message):
        with pytest.raises(InputError, match=message) as caught:
            catpose.load(folder)
        assert "\n" not in str(caught.value)

    check(tmp_path / "none", "no run in .*none")
    config = run_config()
    folder = tmp_path / "run"
    with workdir.opened(folder, tiny.read(config)):
        check(folder, "has not begun to train$")
        workdir.write_categories(folder, CATEGORIES)
        check(folder, "has no checkpoint yet; train first$")
    (folder / "checkpoints").mkdir()
    check(folder, "has no checkpoint yet; train first$")

    wider = run_config()
    wider.model.pose_hidden = (9,)
    other = tmp_path / "other"
    with workdir.opened(other, tiny.read(wider)):
        workdir.write_categories(other, CATEGORIES)
    (other / "checkpoints").symlink_to(runs["weighted"][0] / "checkpoints")
    check(other, "'[a-z_]*.pose_networks.* has shape .* in the checkpoint and .* in this network")


def command(*arguments):
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(ROOT)}
    cache = jax.config.jax_compilation_cache_dir
    return subprocess.run(
        [sys.executable, "-m", "launch.predict", *map(str, arguments)],
        cwd=ROOT,
        env={**environment, "JAX_COMPILATION_CACHE_DIR": cache},
        capture_output=True,
        text=True,
        timeout=300,
    )


def test_the_command(runs, predictors, photo, tmp_path):
    for name in ("b1", "b0", "a"):
        photo.rotate({"b1": 10, "b0": 20, "a": 30}[name]).save(tmp_path / f"{name}.png")
    output = tmp_path / "new" / "pictures"
    box = ",".join(map(str, BOX))
    done = command(
        f"--workdir={runs['weighted'][0]}", f"--image={tmp_path}/a.png",
        f"--image={tmp_path}/b*.png", f"--box={box}", f"--output={output}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["image"] for line in lines] == [f"{tmp_path}/{n}.png" for n in ("a", "b0", "b1")]
    for line in lines:
        expected = predictors["weighted"](line.pop("image"), BOX).to_json()
        assert line.keys() == expected.keys()
        assert line["category"] == expected["category"]
        np.testing.assert_allclose(line["rotation"], expected["rotation"], atol=1e-5)
    assert sorted(path.name for path in output.iterdir()) == ["a.png", "b0.png", "b1.png"]
    drawn = predictors["weighted"].draw(tmp_path / "a.png", BOX)
    with Image.open(output / "a.png") as saved:
        np.testing.assert_array_equal(np.asarray(saved), np.asarray(drawn))


def test_the_command_draws_the_model(runs, predictors, photo, tmp_path):
    predictor, box = predictors["weighted"], (40, 0, 80, 40)
    photo.save(tmp_path / "vase.png")
    Image.new("RGB", photo.size, "white").save(tmp_path / "bus.png")
    done = command(
        f"--workdir={runs['weighted'][0]}", f"--image={tmp_path}/*.png", "--draw=model",
        f"--box={','.join(map(str, box))}", f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stderr == "no 3D model of vase: axes are drawn instead; see --models\n"
    for name in ("bus", "vase"):
        file = tmp_path / f"{name}.png"
        found = predictor(file, box)
        assert found.category == name
        expected = predictor.draw(file, box, found, show="model")
        with Image.open(tmp_path / "out" / file.name) as saved:
            np.testing.assert_array_equal(np.asarray(saved), np.asarray(expected))


def test_a_table_of_boxes_and_a_folder(runs, predictors, photo, tmp_path):
    (tmp_path / "photos").mkdir()
    photo.save(tmp_path / "photos" / "a.png")
    (tmp_path / "photos" / "notes.txt").write_text("no photo")
    (tmp_path / "photos" / "._a.png").write_bytes(b"\0\5\26\7")
    os.mkfifo(tmp_path / "photos" / "pipe.png")
    table = tmp_path / "boxes.csv"
    table.write_text(
        f"\ufefffile, x0, y0, x1, y1\nphotos/a.png, {', '.join(map(str, BOX))}\nphotos/a.png,,,,\n"
    )
    run = f"--workdir={runs['weighted'][0]}"
    done = command(run, f"--boxes={table}")
    assert done.returncode == 0, done.stderr
    first, second = (json.loads(line) for line in done.stdout.splitlines())
    assert (first["box"], second["box"]) == (list(BOX), None)
    for line, box in ((first, BOX), (second, None)):
        expected = predictors["weighted"](photo, box)
        np.testing.assert_allclose(line["rotation"], expected.rotation, atol=1e-5)
    done = command(run, f"--image={tmp_path / 'photos'}")
    assert [json.loads(line)["image"] for line in done.stdout.splitlines()] == [
        f"{tmp_path}/photos/a.png"
    ]
    table.write_text("name\na.png\n")
    done = command(run, f"--boxes={table}")
    assert done.stderr.startswith(f"error: {table}, line 2: no file; it needs the columns file, x0")


def test_one_bad_photo_does_not_end_the_list_and_names_may_repeat(runs, photo, tmp_path):
    for folder in ("x", "y"):
        (tmp_path / folder).mkdir()
        photo.save(tmp_path / folder / "photo.png")
    (tmp_path / "x" / "broken.png").write_bytes(b"no image")
    done = command(
        f"--workdir={runs['weighted'][0]}", f"--image={tmp_path}/x/*.png",
        f"--image={tmp_path}/y/photo.png", f"--output={tmp_path / 'out'}",
    )  # fmt: skip
    assert done.returncode == 1
    assert len(done.stdout.splitlines()) == 2
    first, second = done.stderr.splitlines()
    assert first.startswith("error: cannot read ")
    assert first.split(" as an image")[0].endswith("broken.png")
    assert second == "error: 1 of 3 photos have no prediction"
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == ["photo-2.png", "photo.png"]


def test_one_bad_photo_among_twenty_is_left_out(runs, photo, tmp_path):
    for number in range(19):
        photo.save(tmp_path / f"{number}.png")
    (tmp_path / "broken.png").write_bytes(b"%PDF-1.7")
    done = command(f"--workdir={runs['weighted'][0]}", f"--image={tmp_path}")
    assert done.returncode == 0
    assert len(done.stdout.splitlines()) == 19
    first, second = done.stderr.splitlines()
    assert first.startswith(f"error: cannot read {tmp_path}/broken.png as an image: it is a PDF")
    assert second == "1 of 20 photos have no prediction"


def test_a_huge_photo_is_drawn_on_where_its_box_is(predictors, photo, tmp_path, monkeypatch):
    predictor, box = predictors["weighted"], np.array(BOX)
    large = photo.resize((4 * photo.width, 4 * photo.height), Image.Resampling.NEAREST)
    large.save(tmp_path / "large.png")
    monkeypatch.setattr(decode, "MAX_KEPT", photo.width * photo.height)
    reduced = predictor(tmp_path / "large.png", 4 * box)
    np.testing.assert_allclose(reduced.rotation, predictor(photo, box).rotation, atol=1e-5)
    drawn = predictor.draw(tmp_path / "large.png", 4 * box, reduced)
    expected = predictor.draw(photo, box, reduced)
    np.testing.assert_array_equal(np.asarray(drawn), np.asarray(expected))


def test_one_bad_box_does_not_end_the_list_and_its_line_is_named(runs, photo, tmp_path):
    photo.save(tmp_path / "a.png")
    table = tmp_path / "boxes.csv"
    table.write_text(
        "file,x0,y0,x1,y1\na.png,10,10,10,40\na.png,10,10,30,40\na.png,500,500,600,600\n"
        "a.png,1,2,x,4\nmissing.png,,,,\na.png,,,,\n"
    )
    done = command(f"--workdir={runs['weighted'][0]}", f"--boxes={table}")
    assert done.returncode == 1
    assert [json.loads(line)["box"] for line in done.stdout.splitlines()] == [
        [10, 10, 30, 40],
        None,
    ]
    *lines, last = done.stderr.splitlines()
    beginnings = (
        "line 2: the box 10,10,10,40 has no area",
        "line 4: the box 500,500,600,600 lies outside the image",
        "line 5: x1 is 'x', not a finite number",
        f"line 6: no image {tmp_path / 'missing.png'}",
    )
    for line, beginning in zip(lines, beginnings, strict=True):
        assert line.startswith(f"error: {table}, {beginning}")
    assert last == "error: 4 of 6 photos have no prediction"


def test_the_commands_errors_are_one_line(runs, photo, tmp_path):
    path = tmp_path / "photo.png"
    photo.save(path)
    run = f"--workdir={runs['weighted'][0]}"
    tables = tmp_path / "coco.csv", tmp_path / "outside.csv"
    tables[0].write_text("file,x,y,width,height\nphoto.png,1,2,30,40\n")
    tables[1].write_text("file\n../photo.png\n")
    for arguments, message in (
        ([run, f"--image={path}", "--box=1,2,x,4"], "error: --box is x0,y0,x1,y1 in pixels"),
        ([f"--workdir={tmp_path}", f"--image={path}"], f"error: no run in {tmp_path}"),
        ([run, f"--image={path}", f"--output={path}/x.png"], "error: cannot write "),
        ([run, f"--image={path}", "--draw=model"], "error: --draw and --models change the picture"),
        (
            [run, f"--image={path}", "--output=x.png", f"--models={tmp_path}"],
            f"error: there is no model in {tmp_path}",
        ),
        ([run, f"--boxes={tables[0]}"], f"error: {tables[0]}: x, y, width, height look like a box"),
        (
            [run, f"--boxes={tables[1]}"],
            f"error: {tables[1]}, line 2: '../photo.png' leads outside",
        ),
        ([run, f"--image={path}", "--up=+y"], "error: --up and --front are axes of the files in"),
    ):
        done = command(*arguments)
        assert done.returncode == 1
        assert done.stderr.startswith(message), done.stderr
        assert done.stderr.count("\n") == 1
