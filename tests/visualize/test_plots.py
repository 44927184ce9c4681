"""The pictures are judged by what was drawn (matplotlib's own objects) and by the written file."""

import statistics

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial.transform import Rotation

from catpose.visualize import axes, example_sheet, plots, style, training_curves

NAMES = ["bus", "car", "$odd_name|"]


@pytest.fixture
def drawn(monkeypatch):
    """The finished figures, in order, instead of their files (which take long to lay out)."""
    figures = []
    monkeypatch.setattr(
        Figure,
        "savefig",
        lambda figure, path, format, **_: figures.append(figure) if format == "png" else None,
    )
    return figures


def texts(panel):
    return [t.get_text() for t in panel.texts]


def training(step, phase, **losses):
    return {"step": step, "phase": phase, "loss": sum(losses.values()), **losses}


def validation(step, pose_err_deg, cat_acc):
    figures = {"pose_err_deg": pose_err_deg, "cat_acc": cat_acc}
    return {"step": step, "phase": "b", "split": "validation", "weighted": figures}


def test_loss_curves_draw_every_line_of_the_log_once(tmp_path, drawn):
    records = [
        training(1, "a", category_loss=3.0),
        training(2, "a", category_loss=2.0),
        training(3, "b", category_loss=1.0, pose_loss=0.5),
        training(4, "b", category_loss=0.9, pose_loss=9.0),
        validation(2, 60.0, 0.5),
        validation(4, 30.0, None),
        training(4, "b", category_loss=0.8, pose_loss=0.4),  # logged again after a resume
        validation(4, 20.0, 0.75),
        {"step": 4, "phase": "b", "phase_seconds": 12.0},
    ]
    said = training_curves.loss_curves(
        records, [("a", 0, 2), ("b", 2, 4)], tmp_path / "x.png", "smoke"
    )
    upper, lower, right = drawn[0].axes
    lines = [(list(line.get_xdata()), list(line.get_ydata())) for line in upper.lines]
    assert ([3, 4], [0.5, 0.4]) in lines  # pose_loss, in phase b only
    assert ([1, 2], [3.0, 2.0]) in lines
    assert len([x for x, _ in lines if x in ([1, 2], [3, 4])]) == 5
    assert [list(line.get_ydata()) for line in lower.lines if line.get_marker() == "o"] == [
        [60.0, 20.0]
    ]
    assert list(right.lines[0].get_ydata()) == [0.5, 0.75]
    assert texts(upper) == ["a", "b"]
    assert "smoke" in drawn[0].get_suptitle()
    assert "Below, on validation" in said
    assert "running mean" not in said  # of so few lines there is none


def test_a_single_validation_is_no_curve(tmp_path, drawn):
    records = [training(1, "a", pose_loss=0.5), validation(1, 20.0, 0.75)]
    said = training_curves.loss_curves(records, [("a", 0, 1)], tmp_path / "x.png")
    assert len(drawn[0].axes) == 1
    assert "Below" not in said
    assert drawn[0].axes[0].get_xlabel() == "step"


def test_losses_of_very_different_size_get_a_logarithmic_axis(tmp_path, drawn):
    for low in (0.001, 0.5):
        records = [training(s, "a", pose_loss=v) for s, v in enumerate((1.0, low))]
        training_curves.loss_curves(records, [("a", 0, 2)], tmp_path / "x.png")
    assert [figure.axes[0].get_yscale() for figure in drawn] == ["log", "linear"]
    labels = [label.get_text() for label in drawn[0].axes[0].get_yticklabels(which="both")]
    assert {"0.01", "0.1", "1"} < set(labels)
    assert not any("$" in label for label in labels)


def test_error_histogram_marks_the_medians_and_accumulates(tmp_path, drawn):
    errors = np.random.default_rng(0).gamma(1.5, 12, 51).clip(0, 180)
    plots.error_histogram(
        {"weighted": np.append(errors, np.nan), "top1": np.array([2.0, 4.0])}, tmp_path / "x.png"
    )
    left, right = drawn[0].axes
    medians = [line.get_xdata()[0] for line in left.lines]
    np.testing.assert_allclose(medians, [statistics.median(errors), 3.0], rtol=1e-12)
    curve = right.lines[0]
    below_30 = curve.get_ydata()[np.searchsorted(curve.get_xdata(), 30.0) - 1]
    assert below_30 == pytest.approx((errors < 30).mean())
    assert "51 images" in right.get_legend().get_texts()[0].get_text()


def summary(pose, cat):
    present = [p for p in pose if p is not None]
    return {
        "pose_err_deg": sum(present) / len(present) if present else None,
        "pose_err_deg_per_category": pose,
        "cat_acc": sum(cat) / len(cat),
        "cat_acc_per_category": cat,
    }


def test_category_dots_have_the_mean_the_values_and_their_intervals(tmp_path, drawn):
    table = {"weighted": summary([8.0, None, 3.0], [0.5, 0.7, 0.9])}
    table["weighted"] |= {
        "pose_err_deg_interval": [5.0, 6.0],
        "pose_err_deg_per_category_interval": [[7.0, 9.5], None, [2.0, 4.0]],
    }
    said = plots.category_dots(table, NAMES, tmp_path / "x.png")
    left, right = drawn[0].axes
    np.testing.assert_array_equal(left.lines[0].get_xdata(), [5.5, 8.0, np.nan, 3.0])
    np.testing.assert_allclose(right.lines[0].get_xdata(), [0.7, 0.5, 0.7, 0.9])
    ends = [own[:, 0].tolist() for own in left.collections[0].get_segments() if len(own)]
    assert ends == [[5.0, 6.0], [7.0, 9.5], [2.0, 4.0]]
    assert texts(left) == ["5.5", "8.0", "no image", "3.0"]
    assert [t.get_text() for t in left.get_yticklabels()] == ["mean", *NAMES]
    assert "95 % intervals" in said
    table["top1, oracle"] = summary([7.0, 9.0, 5.0], [0.5, 0.7, 0.9])
    del table["weighted"]["pose_err_deg_interval"]
    del table["weighted"]["pose_err_deg_per_category_interval"]
    said = plots.category_dots(table, NAMES, tmp_path / "x.png")
    assert "95 % intervals" not in said
    (legend,) = drawn[1].legends
    assert [t.get_text() for t in legend.get_texts()] == ["weighted", "top1, oracle"]


def test_confusion_prints_counts_and_colors_percent(tmp_path, drawn):
    counts = np.array([[3, 1, 0], [0, 0, 0], [1, 1, 6]])
    plots.confusion(counts, NAMES, tmp_path / "x.png")
    panel = drawn[0].axes[0]
    shown = np.ma.filled(panel.images[0].get_array().astype(float), np.nan)
    expected = [[75, 25, 0], [np.nan] * 3, [12.5, 12.5, 75]]
    np.testing.assert_allclose(shown, expected)
    placed = {t.get_position(): t.get_text() for t in panel.texts}
    assert placed == {(0, 0): "3", (1, 0): "1", (0, 2): "1", (1, 2): "1", (2, 2): "6"}
    assert panel.get_yticklabels()[2].get_text() == "$odd_name| (8)"
    plots.confusion(np.eye(21, dtype=int), [f"c{i}" for i in range(21)], tmp_path / "x.png")
    assert not drawn[1].axes[0].texts


def test_azimuths_are_wrapped_and_sorted_into_their_categories(tmp_path, drawn):
    target = np.array([-10.0, 20.0, 370.0, np.nan])
    predicted = np.array([725.0, -160.0, 12.0, 3.0])
    category = np.array([0, 2, 2, 0])
    plots.azimuth_scatter(target, predicted, category, NAMES, tmp_path / "x.png")
    points = [p.lines[-1].get_xydata().tolist() for p in drawn[0].axes if p.get_visible()]
    assert points == [[[350.0, 5.0]], [], [[20.0, 200.0], [10.0, 12.0]]]
    many = [f"c{i}" for i in range(100)]
    plots.azimuth_scatter(target, predicted, category, many, tmp_path / "x.png")
    assert len(drawn[1].axes) == 1


def some_examples(num, num_categories, seed=0):
    rng = np.random.default_rng(seed)
    rotation = Rotation.random(num, rng=seed).as_matrix()
    return {
        "images": rng.integers(0, 256, (num, 24, 24, 3), dtype=np.uint8),
        "target_rotation": rotation,
        "predicted_rotation": rotation,
        "errors_deg": np.arange(num, dtype=np.float64)[::-1].copy(),
        "category": np.zeros(num, np.int32),
        "probabilities": rng.dirichlet(np.ones(num_categories), num),
        "names": [f"name {i}" for i in range(num_categories)],
    }


def shown(figure):
    """The pictures and captions of each block."""
    return {
        part.get_suptitle(): [
            (p.images[0].get_array(), p.get_title(), p.title.get_color())
            for p in part.axes
            if p.images
        ]
        for part in figure.subfigs
    }


def test_example_sheet_shows_best_typical_and_worst_with_both_sets_of_axes(tmp_path, drawn):
    table = some_examples(9, 2)
    table["errors_deg"][4] = np.nan
    table["probabilities"][8] = [0.75, 0.25]
    table["probabilities"][0] = [0.25, 0.75]
    table["predicted_rotation"] = table["predicted_rotation"][::-1].copy()
    example_sheet.example_sheet(**table, path=tmp_path / "x.png", num=2, where="test")
    blocks = shown(drawn[0])
    assert list(blocks) == ["best", "typical: about the median error, 4.0°", "worst"]
    assert [len(block) for block in blocks.values()] == [2, 2, 2]
    image, caption, color = blocks["best"][0]
    assert caption == "name 0 (p = 0.75)\nerror 0.0°"
    assert color == style.INK
    expected = axes.draw_axes(
        table["images"][8],
        table["predicted_rotation"][8],
        target_rotation=table["target_rotation"][8],
    )
    np.testing.assert_array_equal(image, expected)
    _, caption, color = blocks["worst"][0]
    assert caption == "name 1 (p = 0.75), is name 0\nerror 8.0°"
    assert color == style.WRONG


@pytest.mark.parametrize(
    ("num", "errors"),
    [(1, [0]), (2, [0, 1]), (3, [0, 1, 2]), (4, [0, 1, 3, 2]), (5, [0, 1, 2, 4, 3]),
     (9, [0, 1, 2, 3, 4, 5, 8, 7, 6])],
)  # fmt: skip
def test_example_sheet_shows_no_image_twice(tmp_path, drawn, num, errors):
    example_sheet.example_sheet(**some_examples(num, 3), path=tmp_path / "x.png")
    captions = [c.split("error ")[1] for b in shown(drawn[0]).values() for _, c, _ in b]
    assert captions == [f"{error}.0°" for error in errors]


def test_example_sheet_takes_pictures_of_many_sizes_and_passes_over_nan(tmp_path, drawn):
    table = some_examples(3, 100)
    table["images"] = [np.zeros((h, 30, 3), np.uint8) for h in (10, 60, 300)]
    table["predicted_rotation"][0] = np.nan
    table["probabilities"][1] = np.nan
    example_sheet.example_sheet(**table, path=tmp_path / "x.png")
    assert drawn
    table["errors_deg"][:] = np.nan
    example_sheet.example_sheet(**table, path=tmp_path / "x.png")
    assert list(shown(drawn[1])) == ["no finite error"]


@pytest.mark.parametrize(("num", "num_categories"), [(0, 1), (1, 1), (40, 100)])
def test_every_picture_is_written_for_any_size(tmp_path, num, num_categories):
    names = [f"a rather long category name {i}" for i in range(num_categories)]
    rng = np.random.default_rng(1)
    category = rng.integers(0, num_categories, num)
    angles, errors = rng.uniform(0, 360, (2, num)), rng.uniform(0, 180, num)
    pose = [float(errors[category == k].mean()) if (category == k).any() else None
            for k in range(num_categories)]  # fmt: skip
    counts = np.zeros((num_categories, num_categories), int)
    np.add.at(counts, (category, category), 1)
    records = [training(i, "only", pose_loss=float(e)) for i, e in enumerate(errors)]
    records += [validation(i, None, None) for i in range(num)]
    training_curves.loss_curves(records, [("only", 0, num)], tmp_path / "loss.png")
    plots.error_histogram({"weighted": errors, "other": errors * np.nan}, tmp_path / "errors.png")
    table = {"weighted": summary(pose, [0.5] * num_categories), "top1": {}}
    plots.category_dots(table, names, tmp_path / "dots.png")
    plots.confusion(counts, names, tmp_path / "confusion.png")
    plots.azimuth_scatter(*angles, category, names, tmp_path / "azimuth.png")
    table = some_examples(max(num, 1), num_categories)
    table = {k: v[:num] if k != "names" else v for k, v in table.items()}
    example_sheet.example_sheet(**table, path=tmp_path / "examples.png", num=1)
    written = sorted(tmp_path.glob("*.png"))
    assert len(written) == len(list(tmp_path.glob("*.svg"))) == 6
    for path in written:
        with Image.open(path) as picture:
            assert min(picture.size) >= 70
            assert np.asarray(picture.convert("L")).std() > 1  # not blank


def test_nothing_to_draw_says_so(tmp_path, drawn):
    training_curves.loss_curves([], [], tmp_path / "x.png")
    plots.error_histogram({}, tmp_path / "x.png")
    plots.category_dots({}, NAMES, tmp_path / "x.png")
    (losses,) = drawn[0].axes
    assert texts(losses) == ["no training step was logged"]
    assert "no finite error" in texts(drawn[1].axes[1])
