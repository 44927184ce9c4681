"""A metric that is added to `metrics.METRICS` is in every report, score and table."""

import json

import numpy as np
import pytest
import test_score

from catpose import metrics
from catpose.evaluation import protocols, run_report_text, score, score_report
from catpose.studies.paper import (
    page,
    pictures,
    published,
    results,
    significance,
    stored,
    table_rows,
)

NAME, LABEL = "acc_65", "acc@65"


@pytest.fixture
def added(monkeypatch):
    """acc@65: of the errors 10, 20 of ants and 40 to 70 of bees, all and three of four."""
    metric = metrics.Metric(lambda errors: errors.error_deg < 65, "mean", LABEL, 2, 1)
    monkeypatch.setitem(metrics.METRICS, NAME, metric)


def cells(markdown):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in markdown.split("\n")]


def test_in_scores(added, tmp_path):
    truth, found = test_score.TRUTH, test_score.FOUND
    result = score.score(truth, found, protocols.PROTOCOLS["catpose"], replicates=50)
    assert result.metrics[NAME]["value"] == (1 + 3 / 4) / 2
    low, high = result.metrics[NAME]["interval"]
    assert low <= 7 / 8 <= high
    assert f"{LABEL} 0.88 {low:.2f} to {high:.2f}" in " ".join(
        score_report.terminal(result, "catpose").split()
    )
    paths = score_report.write(result, "catpose", "p.csv", tmp_path, "p")
    assert json.loads(paths[0].read_text())["figures"][NAME]["per_category"] == [1.0, 0.75]


def test_in_the_report_of_a_run(added):
    truth, found = test_score.TRUTH, test_score.FOUND
    (scored,) = score.by_fusion(truth, found).values()
    summary = score.summary(scored)
    assert summary[NAME] == 7 / 8
    assert summary[f"{NAME}_per_category"] == [1.0, 0.75]
    report = {"splits": {"validation": {"weighted": summary}}}
    assert [LABEL, "0.88", "–"] in cells(run_report_text.markdown(report, truth.categories))


def test_in_the_papers_tables(added, monkeypatch, tmp_path):
    truth, found = test_score.TRUTH, test_score.FOUND
    (labels, row), (others, other) = list(table_rows.TABLES[10].rows.items())[:2]
    rotation, category = (next(iter(own.values())) for own in (found.rotation, found.category))
    of_network = found._replace(
        rotation={row.fusion: rotation, other.fusion: rotation},
        category={row.fusion: category, other.fusion: category},
    )
    every = {reading.recipe.name: [of_network] for reading in (row, other)}
    made = results.Results(truth, every, {})
    assert results.values(made, row, LABEL) == [[1.0, 0.75, 7 / 8]]
    # A block of a table that the paper has not, and a claim about it.
    block = {own: (np.nan,) * 3 for own in (labels, others)}
    table = published.TABLES[10]._replace(blocks={LABEL: block}, columns=("ant", "bee", "mean"))
    monkeypatch.setitem(published.TABLES, 10, table)
    claim = table_rows.Claim("one beats the other", labels, others, LABEL)
    ours = table_rows.TABLES[10]._replace(claims=[claim])
    monkeypatch.setitem(table_rows.TABLES, 10, ours)
    judged = results.judge(made, 10)
    assert [j.verdict for j in judged] == ["no difference"]
    kept = {10: results.store_table(made, 10)}
    found = stored.Stored("shapes", "test", 1, truth.categories, kept, [], {}, "So.")
    text = page.markdown(found, {})
    assert f"{LABEL} (fraction, higher is better)" in text
    assert any(row[-3:] == ["0.88", "1.0", "0.8"] for row in cells(text))
    assert pictures.draw(found, 10, tmp_path / "table.png")
    errors = [scored.errors for scored in results.scores(made, row)]
    difference = significance.compare(errors, errors, NAME, num_categories=2, replicates=20)
    assert significance.verdict(difference, NAME) == "no difference"
