"""The page of results: what holds, every table, and what made them."""

import pathlib
from collections.abc import Mapping, Sequence

from catpose.studies.paper import figure, published, results, table_rows
from catpose.visualize import text_tables

_METRIC = {
    "pose-err": "pose-err (degrees, lower is better)",
    "cat-acc": "cat-acc (fraction, higher is better)",
    "full rotation": "error of the full rotation (fractions, higher is better)",
    "azimuth": "error of the azimuth (fractions, higher is better)",
}


def table_markdown(
    found: results.Results, number: int, judged: Sequence[results.Judged], picture: str
) -> str:
    """One table as a section: its blocks, its claims, its picture.

    Args:
      found: what has been trained.
      number: 3 to 13.
      judged: its claims.
      picture: path of the picture as the page is to link it; "" for none.
    """
    table = published.TABLES[number]
    parts = [f"## Table {number}: {table.caption}"]
    for metric in table.blocks:
        parts += [f"{_METRIC[metric]}:", results.block_markdown(found, number, metric)]
    if gaps := results.gaps_markdown(found, number):
        parts.append(gaps)
    if judged:
        parts.append(results.claims_markdown(judged))
    if number in table_rows.NOTES:
        parts.append(table_rows.NOTES[number])
    if picture:
        parts.append(f"![Table {number}]({picture})")
    return "\n\n".join(parts)


def overview_markdown(judged: Sequence[results.Judged]) -> str:
    """How many of the paper's claims hold, and which do not."""
    if not judged:
        return ""
    verdicts = ("holds", "not shown", "contradicted", "no difference", "not tested")
    counts = {v: sum(j.verdict == v for j in judged) for v in verdicts}
    said = ", ".join(f"{verdict} {count}" for verdict, count in counts.items() if count)
    parts = [
        "## What holds of the paper's claims here",
        f"Of {len(judged)} claims: {said}. Each is tested by itself; of so many, one or the other "
        "can come out wrongly by chance.",
    ]
    for verdict in ("contradicted", "not shown", "no difference"):
        texts = [f"{j.claim.text} [{j.claim.figure}, Table {j.number}]" for j in judged
                 if j.verdict == verdict]  # fmt: skip
        if texts:
            parts.append(f"**{verdict.capitalize()}**: " + "; ".join(texts) + ".")
    return "\n\n".join(parts)


def write(
    found: results.Results,
    numbers: Sequence[int],
    folder: pathlib.Path,
    *,
    name: str,
    title: str,
    preface: str,
    extra: Mapping[str, str],
) -> pathlib.Path:
    """Writes a page of all these tables, and a picture of each in a folder of the page's own.

    Args:
      found: what has been trained.
      numbers: of the tables.
      folder: where to.
      name: of the page's file, without ".md".
      title: of the page.
      preface: below the title, Markdown.
      extra: further sections, by heading.

    Returns:
      The page.
    """
    (folder / "figures" / name).mkdir(parents=True, exist_ok=True)
    sections, every = [], []
    for number in numbers:
        picture = f"figures/{name}/table{number}.png"
        drawn = figure.draw(found, number, folder / picture)
        judged = results.judge(found, number)
        sections.append(table_markdown(found, number, judged, picture if drawn else ""))
        every += judged
    sections += [f"## {heading}\n\n{text}" for heading, text in extra.items() if text]
    overview = overview_markdown(every)
    page = folder / f"{name}.md"
    text = "\n\n".join([f"# {title}", preface, *([overview] if overview else []), *sections])
    page.write_text(text + "\n")
    return page


def parameters_markdown(counts: Mapping[str, Mapping[str, int]]) -> str:
    """Exact numbers of parameters.

    Args:
      counts: by network, what `catpose.models.architectures.param_counts` says.
    """
    heads = ["network", "feature network", "category network", "pose networks", "total"]
    groups = ("feature_network", "category_network", "pose_networks", "total")
    rows = [[name, *(f"{own.get(g, 0):,}" for g in groups)] for name, own in counts.items()]
    return text_tables.markdown(heads, rows, 1)


def terminal(found: results.Results, numbers: Sequence[int]) -> str:
    """The means of each table's rows as text."""
    rows = []
    for number in numbers:
        for metric, lines in ((m, results.lines(found, number, m)) for m in
                              published.TABLES[number].blocks):  # fmt: skip
            for line in lines:
                digits = results.DIGITS.get(metric, (4, 4))[1]
                # Tables 7 and 13 have no mean; their first figure stands for them.
                at = 0 if number in results.SUMMARIES else -1
                own = results.spread([seed[at] for seed in line.ours], digits) if line.ours else "–"
                theirs = text_tables.number(line.published[at], digits)
                rows.append([str(number), metric, " ".join(line.labels), own, theirs])
    return text_tables.plain(["table", "figure", "row", "ours", "paper"], rows, 3)
