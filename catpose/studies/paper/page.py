"""The page of results: what holds, every table as picture and text, and what made them.

Numbers of ours and of the paper share a table and an axis only where they are of the same data;
elsewhere the paper's stand apart, under their own heading.
"""

import pathlib
from collections.abc import Iterator, Mapping, Sequence

from catpose import outputs
from catpose.data import categories
from catpose.metrics import METRICS
from catpose.studies.paper import budgets, layout, pictures, published, stored, table_rows
from catpose.studies.paper.stored import Line, Stored
from catpose.visualize import text_tables

# Verdicts of `significance.verdict`, in the words for several claims.
_COUNTED = {
    "holds": "hold",
    "contradicted": "are contradicted",
    "not shown": "are not shown",
    "no difference": "make no difference",
    "not tested": "are not tested",
}
_NUM_ACROSS = 96  # characters of a row of categories: what fits into 900 pixels
_STARRED = (
    "Elhoseiny et al.* is the method of [8] in the paper's own version: one pose network for all "
    "categories."
)
REPRESENTATIONS = "Pose representations on the same frozen features, given the category"


def write(found: Stored, path: pathlib.Path) -> pathlib.Path:
    """Writes a page and its pictures beside the file of its results.

    Args:
      found: what `path` holds.
      path: of the results; the page has its name, and so has the folder of the pictures.

    Returns:
      The page.

    Raises:
      InputError: there is a page of this name, and catpose did not write it.
    """
    page, drawn = path.with_suffix(".md"), {}
    outputs.check_own([page])
    for number in found.tables:
        picture = f"figures/{path.stem}/table{number}.png"
        (path.parent / picture).parent.mkdir(parents=True, exist_ok=True)
        if pictures.draw(found, number, path.parent / picture):
            drawn[number] = picture
    page.write_text(markdown(found, drawn))
    return page


def markdown(found: Stored, linked: Mapping[int, str]) -> str:
    """The text of a page.

    Args:
      found: the results.
      linked: pictures of tables, by number, as the page is to link them.
    """
    title = "The paper's tables" if found.tables else "Pose representations"
    parts = [f"# {title} on {found.data}", *_introduction(found), _claims(found)]
    parts += [_section(found, number, linked.get(number, "")) for number in found.tables]
    if found.representations:
        parts += [f"## {REPRESENTATIONS}", _representations(found)]
    if found.tables and not layout.together(found):
        parts += [
            "## The paper's own numbers, on PASCAL3D+",
            "Photographs, other networks and other budgets: a number here does not compare with "
            "one above, only the order of the rows does.",
        ]
        for number in found.tables:
            own = {"paper": layout.of_paper(number)}
            parts += [f"### Table {number} of the paper", _means(number, own)]
            parts.append(_categories(number, own, published.CATEGORIES))
    parts += ["## Parameters", _parameters(found.parameters)]
    parts += ["## How it was made", found.made]
    return "\n\n".join(part for part in parts if part) + "\n"


def terminal(found: Stored) -> str:
    """The means of each table's rows as text."""
    rows = []
    for number, table in found.tables.items():
        # Tables 7 and 13 have no mean; their first value is shown instead.
        at = 0 if number in layout.SUMMARIES else -1
        for metric, lines in table.blocks.items():
            for line in lines:
                own = _cell(line, at, layout.digits(metric)[1])
                rows.append([str(number), metric, " ".join(layout.spelled(line.labels)), own])
    heads = ["table", "metric", "row", f"mean on {found.data}"]
    parts = [_representations(found)] if found.representations else []
    return "\n".join([*parts, *([text_tables.plain(heads, rows, 3)] if rows else [])])


def _introduction(found: Stored) -> list[str]:
    seeds = (
        f"means over {found.seeds} seeds ± standard deviation"
        if found.seeds > 1
        else "those of one seed"
    )
    what = f"Numbers are catpose's, {seeds}, of the {found.split} images of {found.data}"
    apart = (
        "beside the paper's."
        if layout.together(found)
        else "**not of the paper's data**: what compares with the paper is the order of the rows. "
        "Its own numbers are at the end, apart."
    )
    return [f"{what}, {apart}" if found.tables else f"{what}.", budgets.ABOUT[found.data]]


def _claims(found: Stored) -> str:
    """How many of the paper's claims hold, and each with its interval."""
    every = [(number, claim) for number, table in found.tables.items() for claim in table.claims]
    if not every:
        return ""
    counts = {
        plural: sum(claim.verdict == verdict for _, claim in every)
        for verdict, plural in _COUNTED.items()
    }
    counted = ", ".join(f"{count} {plural}" for plural, count in counts.items() if count)
    rows = []
    for number, claim in every:
        cells = ["–", "–", "–"]
        if claim.difference is not None:
            digits = layout.digits(claim.metric)[1]
            p = "< 0.001" if claim.p < 0.001 else f"{claim.p:.3f}"
            ends = text_tables.interval(claim.interval, digits)
            cells = [text_tables.number(claim.difference, digits), ends, p]
        rows.append([str(number), claim.text, claim.metric, *cells, claim.verdict])
    heads = ["Table", "claim", "metric", "difference", "95 % interval", "p", "here"]
    return "\n\n".join(
        [
            "## What holds of the paper's claims here",
            f"Of {len(every)} claims, {counted}.",
            _table(heads, rows, 3),
            "A difference is the first row that a claim names minus the second: below 0 it favors "
            "the claim for pose-err, above 0 for all else. Intervals and one-sided p-values are "
            "over seeds and images (catpose/studies/paper/significance.py); a claim holds with p "
            "below 0.025. Each is tested by itself; of so many, one or the other can come out "
            "wrongly by chance.",
        ]
    )


def _section(found: Stored, number: int, picture: str) -> str:
    own = layout.sources(found, number)
    parts = [f"## Table {number}: {published.TABLES[number].caption}"]
    if picture:
        several = found.seeds > 1
        points = "means over seeds, lines ± one standard deviation" if several else "one seed"
        paper = "; diamonds: the paper's" if layout.together(found) else ""
        parts += [f"![Table {number}]({picture})", f"*Points: {points}{paper}.*"]
    parts += [_means(number, own), _gaps(found.tables[number])]
    starred = any("*" in label for labels in layout.labels_of(own) for label in labels)
    parts += [table_rows.TABLES[number].note, _STARRED if starred else ""]
    parts.append(_categories(number, own, found.categories))
    return "\n\n".join(part for part in parts if part)


def _rows(
    sources: Mapping[str, layout.Blocks],
) -> Iterator[tuple[list[str], layout.Blocks, layout.Labels]]:
    """First cells of each row, and what it is of: a row of each origin where there are several."""
    for labels in layout.labels_of(sources):
        for whose, blocks in sources.items():
            if any(lines.get(labels, Line(labels, [], [])).mean for lines in blocks.values()):
                yield [*layout.spelled(labels), *([whose] * (len(sources) > 1))], blocks, labels


def _means(number: int, sources: Mapping[str, layout.Blocks]) -> str:
    """The means of all blocks as one table; tables without means as they are."""
    table = published.TABLES[number]
    heads = [*table.heads, *([""] * (len(sources) > 1))]
    if number in layout.SUMMARIES:
        parts = []
        for metric in table.blocks:
            digits = layout.digits(metric)[1]
            rows = [
                [*first, *(_cell(blocks[metric][labels], i, digits) for i in range(4))]
                for first, blocks, labels in _rows(sources)
                if labels in blocks[metric]
            ]
            parts += [
                f"{layout.described(metric)}:",
                _table([*heads, *table.columns], rows, len(heads)),
            ]
        return "\n\n".join(parts)
    rows = [
        [*first, *(_cell(blocks[m].get(labels), -1, layout.digits(m)[1]) for m in table.blocks)]
        for first, blocks, labels in _rows(sources)
    ]
    return _table([*heads, *map(layout.described, table.blocks)], rows, len(heads))


def _categories(number: int, sources: Mapping[str, layout.Blocks], names: Sequence[str]) -> str:
    """Every category, folded away, the mean first, in as many tables as fit beside each other."""
    if number in layout.SUMMARIES:
        return ""
    table, parts = published.TABLES[number], []
    heads = [*table.heads, *([""] * (len(sources) > 1))]
    for metric in table.blocks:
        digits, mean = layout.digits(metric)
        lines = [(first, blocks[metric].get(labels)) for first, blocks, labels in _rows(sources)]
        # The paper has values of its own categories alone.
        lines = [(first, line) for first, line in lines if line and len(line.mean) > len(names)]
        columns = zip(heads, *(first for first, _ in lines), strict=True)
        taken = sum(max(map(len, column)) + 3 for column in columns) + mean + 6
        parts.append(f"{layout.described(metric)}:")
        for chunk in _chunks(names, _NUM_ACROSS - taken, digits + 3):
            shown = [categories.SHORT_NAMES.get(names[i], names[i]) for i in chunk]
            rows = [
                [*first, text_tables.number(line.mean[-1], mean),
                 *(text_tables.number(line.mean[i], digits) for i in chunk)]
                for first, line in lines
            ]  # fmt: skip
            parts.append(_table([*heads, "mean", *shown], rows, len(heads)))
    return "\n\n".join(["<details><summary>Every category</summary>", *parts, "</details>"])


def _chunks(names: Sequence[str], room: int, least: int) -> list[range]:
    """Consecutive columns, about as many in each chunk, that fit into so many characters."""
    widths = [max(len(categories.SHORT_NAMES.get(name, name)), least) + 3 for name in names]
    count = -(-sum(widths) // room)
    step = -(-len(names) // count)
    return [range(at, min(at + step, len(names))) for at in range(0, len(names), step)]


def _gaps(table: stored.Table) -> str:
    """Why rows have no values; "" where all have."""
    lines = next(iter(table.blocks.values()))
    return " ".join(f"{' '.join(layout.spelled(o.labels))}: {o.absent}." for o in lines if o.absent)


def _representations(found: Stored) -> str:
    digits = {"pose_err_deg": 2, "acc_30": 3}
    rows = [
        [
            row.label,
            *(_spread(*getattr(row, key), own) for key, own in digits.items()),
            f"{row.parameters:,}",
            text_tables.number(row.seconds, 0),
        ]
        for row in found.representations
    ]
    labels = [METRICS[key].label for key in digits]
    return _table(["representation", *labels, "pose networks' parameters", "seconds"], rows, 1)


def _parameters(ours: Mapping[str, Mapping[str, int]]) -> str:
    """Exact numbers of parameters: of the networks here, then of the paper's."""
    heads = ["network", "features", "category", "poses", "total"]
    groups = ("feature_network", "category_network", "pose_networks", "total")
    tables = [
        _table(
            heads, [[n, *(f"{own.get(g, 0):,}" for g in groups)] for n, own in counts.items()], 1
        )
        for counts in (ours, published.PARAMETERS)
    ]
    one, twelve = (
        published.PARAMETERS[name]["pose_networks"]
        for name in (published.AGNOSTIC_12K, published.INTEGRATED)
    )
    return "\n\n".join(
        [
            tables[0],
            "Of the paper's networks, with twelve categories:",
            tables[1],
            f"The category-independent pose network of 12000 units has {one / twelve:.4f} times "
            "the parameters of the twelve of 1000, as the paper has it (section 4.3).",
        ]
    )


def _cell(line: Line | None, column: int, digits: int) -> str:
    if line is None or not line.mean:
        return "–"
    return _spread(line.mean[column], line.deviation[column], digits)


def _spread(mean: float, deviation: float | None, digits: int) -> str:
    """Mean and standard deviation over seeds; the mean alone of one seed."""
    text = text_tables.number(mean, digits)
    return text if deviation is None else f"{text} ± {text_tables.number(deviation, digits)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], num_words: int) -> str:
    """A Markdown table whose numbers do not break into lines."""
    rows = [
        [*row[:num_words], *(cell.replace(" ", "\N{NO-BREAK SPACE}") for cell in row[num_words:])]
        for row in rows
    ]
    return text_tables.markdown(heads, rows, num_words)
