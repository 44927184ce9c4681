"""The page of results: what holds, every table, and what made them."""

import pathlib
from collections.abc import Mapping, Sequence

import jax

from catpose import metrics
from catpose.experiment import workdir
from catpose.metrics import METRICS
from catpose.studies.paper import figure, published, results, table_rows
from catpose.visualize import text_tables

_BLOCKS = {
    "full rotation": "error of the full rotation (fractions, higher is better)",
    "azimuth": "error of the azimuth (fractions, higher is better)",
}
# Verdicts of `significance.verdict`, in the words for several claims.
_COUNTED = {
    "holds": "hold",
    "not shown": "are not shown",
    "contradicted": "are contradicted",
    "no difference": "make no difference",
    "not tested": "are not tested",
}
REPRESENTATIONS = "Pose representations on the same frozen features, given the category"
# How what is trained on each dataset differs from the paper's.
_ABOUT: Mapping[str, str] = {
    "shapes": "Objects of twelve built-in families, drawn at 48 pixels (32 of smoke, 64 of full), "
    "and a small residual network with its stages in the places of a ResNet-50's. It has been "
    'trained on the categories of further drawn objects, in the place of ImageNet. "Real" '
    'images have clutter behind the objects, "rendered" ones a plain color. Methods of others '
    "are their representation and loss on this network.",
    "cars3d": "Photographs of cars in nine categories (body types). But with the preset full, "
    "ResNet-50's ImageNet features stay as they are and are cached: the phases in which the "
    "feature network trains fall away, no images are rendered, and all rows read the same "
    "features. The second ResNet of the sequential network is then a copy of the first, and so "
    "differs from the integrated network in the joint phase alone. Top1 fusion sends the category "
    "network no gradient of the pose, and Adam divides the factor lambda of all others out again: "
    "Table 12's two Top1 rows are the same training.",
    "pascal3d": "The paper's own data; the preset small has a twentieth of its steps and fewer "
    "rendered images.",
}


def preface(
    data: str,
    *,
    command: str,
    frame: str,
    trained_at: Sequence[str],
    seconds: float,
    split: str,
    seeds: int,
    tested: bool,
) -> str:
    """What made the numbers of a page, and how to read them.

    Args:
      data: a name in `catpose.studies.paper.budgets.DATA`.
      command: that made the page.
      frame: of learning.
      trained_at: commits.
      seconds: that all training took.
      split: which images were evaluated.
      seeds: how many.
      tested: whether there are claims on the page.
    """
    text = (
        f"Made by `{command}` at {workdir.commit()} on {jax.devices()[0].device_kind}, in the "
        f"frame '{frame}'; trained at {', '.join(trained_at)}, in {text_tables.duration(seconds)} "
        f"in all. Ours are metrics of the {split} images, "
    )
    text += f"means over {seeds} seeds ± standard deviation." if seeds > 1 else "of one seed."
    if data != "pascal3d":
        text += (
            f" **Ours are of {data}, the paper's of PASCAL3D+**: what compares is the order of "
            "the rows, not a number of ours with the paper's."
        )
    if tested:
        text += (
            " Differences are of the first row that a claim names minus the second, with 95 % "
            "intervals and one-sided p-values over seeds and images "
            "(catpose/studies/paper/significance.py)."
        )
    return f"{text}\n\n{_ABOUT[data]}"


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
    for block in table.blocks:
        heading = _BLOCKS.get(block) or metrics.explanation(METRICS[metrics.by_label(block)])
        parts += [f"{heading}:", results.block_markdown(found, number, block)]
    if gaps := results.gaps_markdown(found, number):
        parts.append(gaps)
    if judged:
        parts.append(results.claims_markdown(judged))
    if note := table_rows.TABLES[number].note:
        parts.append(note)
    if picture:
        parts.append(f"![Table {number}]({picture})")
    return "\n\n".join(parts)


def overview_markdown(judged: Sequence[results.Judged]) -> str:
    """How many of the paper's claims hold, and which do not."""
    if not judged:
        return ""
    counts = {
        plural: sum(one.verdict == verdict for one in judged)
        for verdict, plural in _COUNTED.items()
    }
    said = ", ".join(f"{count} {plural}" for plural, count in counts.items() if count)
    parts = [
        "## What holds of the paper's claims here",
        f"Of {len(judged)} claims, {said}. Each is tested by itself; of so many, one or the other "
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


def parameters_markdown(ours: Mapping[str, Mapping[str, int]]) -> str:
    """Exact numbers of parameters: of the paper's networks, then of those trained here.

    Args:
      ours: by network, what `catpose.models.architectures.param_counts` returns.
    """
    heads = ["network", "feature network", "category network", "pose networks", "total"]
    groups = ("feature_network", "category_network", "pose_networks", "total")
    tables = [
        text_tables.markdown(
            heads,
            [[name, *(f"{own.get(g, 0):,}" for g in groups)] for name, own in counts.items()],
            1,
        )
        for counts in (published.PARAMETERS, ours)
    ]
    one, twelve = (
        published.PARAMETERS[name]["pose_networks"]
        for name in (published.AGNOSTIC_12K, published.INTEGRATED)
    )
    return "\n\n".join(
        [
            "Of the paper's networks, with twelve categories:",
            tables[0],
            f"The category-independent pose network of 12000 units has {one / twelve:.4f} times "
            "the parameters of the twelve of 1000, as the paper has it (section 4.3).",
            "Of the networks above:",
            tables[1],
        ]
    )


def terminal(found: results.Results, numbers: Sequence[int]) -> str:
    """The means of each table's rows as text."""
    rows = []
    for number in numbers:
        for metric, lines in ((m, results.lines(found, number, m)) for m in
                              published.TABLES[number].blocks):  # fmt: skip
            for line in lines:
                digits = results.digits(metric)[1]
                # Tables 7 and 13 have no mean; their first value is shown instead.
                at = 0 if number in results.SUMMARIES else -1
                own = results.spread([seed[at] for seed in line.ours], digits) if line.ours else "–"
                theirs = text_tables.number(line.published[at], digits)
                rows.append([str(number), metric, " ".join(line.labels), own, theirs])
    return text_tables.plain(["table", "metric", "row", found.ours, found.papers], rows, 3)
