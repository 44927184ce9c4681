"""The page of the paper's tables: whose numbers stand where; it is rendered from a file."""

import itertools
import re

import numpy as np
import pytest
from matplotlib.figure import Figure

from catpose.data import categories
from catpose.errors import InputError
from catpose.studies.paper import layout, page, pictures, published, results, stored, table_rows
from tests.studies import test_results
from tests.support.paths import ROOT

PAGES = ["results", "cars/results", "cars/representations"]
APART = "## The paper's own numbers, on PASCAL3D+"
CONTENT_PX, CHARACTER_PX, CELL_PX = 836, 8.0, 27  # of GitHub's style at 900 pixels


def numbered(data="shapes", seeds=3):
    """Results in which every value of ours is of its own, and none is one of the paper's."""
    count = itertools.count(1)
    tables = {}
    for number, table in published.TABLES.items():
        blocks = {
            metric: [
                stored.Line(labels, [next(count) + 0.125 for _ in values], [0.25] * len(values))
                for labels, values in block.items()
            ]
            for metric, block in table.blocks.items()
        }
        claims = [
            stored.Claim(claim.text, claim.metric, "holds", -1.5, (-2.5, -0.5), 0.0004)
            for claim in table_rows.TABLES[number].claims
        ]
        tables[number] = stored.Table(blocks, claims)
    rows = [stored.Representation("6D", (8.0, 0.5), (0.9, 0.01), 1234567, 12.0)]
    counts = {"one": {"total": 7654321}}
    return stored.Stored(data, "test", seeds, categories.CATEGORIES, tables, rows, counts, "So.")


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_what_is_stored_is_read_back(tmp_path):
    found = numbered()
    stored.write(found, tmp_path / "results.json")
    again = stored.read(tmp_path / "results.json")
    assert page.markdown(again, {}) == page.markdown(found, {})
    assert again.tables[9].claims[0].interval == [-2.5, -0.5]
    for wrong in ("{", "[]", '{"version": 1}', '{"made_by": "catpose", "version": 2}'):
        (tmp_path / "wrong.json").write_text(wrong)
        with pytest.raises(InputError, match="is not a file of results"):
            stored.read(tmp_path / "wrong.json")
    with pytest.raises(InputError, match="cannot read"):
        stored.read(tmp_path / "none.json")


def test_a_page_of_somebody_else_is_not_replaced(tmp_path):
    (tmp_path / "results.md").write_text("mine")
    with pytest.raises(InputError, match="did not write it"):
        page.write(numbered(), tmp_path / "results.json")


def test_claims_stand_first_with_their_intervals():
    text = page.markdown(numbered(), {})
    total = sum(len(table.claims) for table in table_rows.TABLES.values())
    assert f"Of {total} claims, {total} hold." in text
    assert text.index("What holds") < text.index("## Table 3:")
    row = next(row for row in cells(text) if "stage 4 beats stage 3" in row)
    assert row[2:] == ["pose-err", "-1.50", "-2.50\xa0to\xa0-0.50", "<\xa00.001", "holds"]


def test_the_papers_numbers_stand_apart_unless_they_are_of_the_same_data():
    ours, papers = page.markdown(numbered(), {}).split(APART)
    for number, table in published.TABLES.items():
        for metric, block in table.blocks.items():
            for values in block.values():
                printed = f"{values[-1]:.{layout.digits(metric)[1]}f}"
                assert printed in papers
                if number != 13:  # a true category is right in both
                    assert f" {printed} " not in ours
    assert "paper |" not in ours
    together = page.markdown(numbered("pascal3d"), {})
    assert APART not in together
    row, theirs = (row for row in cells(together) if row[:1] == ["Stage-4"] and "±" in "".join(row)
                   or row[:3] == ["Stage-4", "paper", "19.91"] and len(row) == 3)  # fmt: skip
    assert row[1] == "ours"
    assert theirs[1:] == ["paper", "19.91"]


def test_the_mean_is_the_first_column_and_every_value_in_its_place():
    found = numbered()
    text = page.markdown(found, {}).split(APART)[0].split("## Table 3:")[1].split("## Table 4:")[0]
    rows = cells(text)
    assert rows[0] == ["Features", "pose-err (degrees, lower is better)"]
    line = found.tables[3].blocks["pose-err"][0]
    assert rows[2] == ["Stage-3", f"{line.mean[-1]:.2f}\xa0±\xa00.25"]
    heads = [row for row in rows if row[1] == "mean"]
    assert [name for head in heads for name in head[2:]] == list(published.CATEGORIES)
    values = [row for row in rows if row[:2] == ["Stage-3", f"{line.mean[-1]:.2f}"]]
    assert [float(v) for row in values for v in row[2:]] == pytest.approx(line.mean[:-1], abs=0.051)


def test_other_categories_have_their_own_columns():
    names = tuple("abcdefghi")
    nine = numbered()
    line = stored.Line(("Stage-3",), [*map(float, range(9)), 4.5], [None] * 10)
    table = nine.tables[3]._replace(blocks={"pose-err": [line]})
    text = page.markdown(nine._replace(categories=names, tables={3: table}, seeds=1), {})
    assert any(row[1:3] == ["mean", "a"] for row in cells(text))
    ours, papers = text.split(APART)
    assert "25.3" not in ours
    assert "25.3" in papers


def test_gaps_and_notes_are_named():
    found = numbered()
    lines = found.tables[8].blocks["pose-err"]
    lines[2] = stored.Line(lines[2].labels, [], [], "no such weights")
    text = page.markdown(found, {8: "figures/x.png"})
    assert "3D-pose-regression [6]: no such weights." in text
    assert "![Table 8](figures/x.png)\n\n*Points: means over seeds" in text
    assert "0.9985 times" in text
    assert "7,654,321" in text
    assert "| 6D             | 8.00\xa0±\xa00.50 | 0.900\xa0±\xa00.010 |" in text


@pytest.mark.parametrize("data", ["shapes", "pascal3d"])
@pytest.mark.parametrize("number", [3, 7, 9, 11, 13])
def test_pictures_have_ours_alone_unless_of_the_same_data(tmp_path, monkeypatch, data, number):
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: figures.append(figure))
    found = numbered(data)
    assert pictures.draw(found, number, tmp_path / "x.png")
    blocks = list(found.tables[number].blocks)
    panels = figures[0].axes
    assert len(panels) == len(blocks)
    for panel, metric in zip(panels, blocks, strict=True):
        assert len(panel.get_yticks()) == len(panels[0].get_yticks())
        diamonds = [line for line in panel.lines if line.get_marker() == "D"]
        assert len(diamonds) == (data == "pascal3d")
        (points,) = (line for line in panel.lines if line.get_marker() == "o")
        shown = np.asarray(points.get_xdata(), np.float64)
        columns = slice(None) if number in layout.SUMMARIES else slice(-1, None)
        expected = np.concatenate(
            [own.mean[columns] for own in found.tables[number].blocks[metric]]
        )
        np.testing.assert_array_equal(np.sort(shown[np.isfinite(shown)]), np.sort(expected))


def test_stored_values_are_means_and_deviations_over_seeds():
    found = results.Results(
        test_results.TRUTH,
        {row: [test_results.outcome(row, s) for s in range(2)] for row in test_results.ROWS},
        {"stage5": "no weights"},
    )
    line = results.lines(found, 3, "pose-err")[1]
    kept = results.store_table(found, 3).blocks["pose-err"]
    np.testing.assert_allclose(kept[1].mean, np.mean(line.ours, axis=0))
    np.testing.assert_allclose(kept[1].deviation, np.std(line.ours, axis=0, ddof=1))
    assert kept[2] == stored.Line(("Stage-5",), [], [], "no weights")


@pytest.mark.parametrize("name", PAGES)
def test_the_pages_in_docs_are_rendered_from_their_results(name):
    path = ROOT / "docs" / "tables" / f"{name}.json"
    text = path.with_suffix(".md").read_text()
    linked = {int(n): file for n, file in re.findall(r"!\[Table (\d+)\]\((.*?)\)", text)}
    found = stored.read(path)
    assert list(linked) == list(found.tables)
    for picture in linked.values():
        assert (path.parent / picture).is_file()
        assert (path.parent / picture).with_suffix(".svg").is_file()
    assert page.markdown(found, linked) == text


@pytest.mark.parametrize("name", PAGES)
def test_no_table_is_wider_than_a_page_of_900_pixels(name):
    """By what cannot break into lines; measured in a browser, the widest has 821 pixels."""
    text = (ROOT / "docs" / "tables" / f"{name}.md").read_text()
    blocks = re.findall(r"(?:^\|.*\n)+", text, flags=re.MULTILINE)
    assert len(blocks) > 2
    for block in blocks:
        head, _, *rows = cells(block)
        widths = [
            max(len(word) for cell in column for word in cell.split(" "))
            for column in zip(head, *rows, strict=True)
        ]
        assert sum(CHARACTER_PX * width + CELL_PX for width in widths) <= CONTENT_PX, block
