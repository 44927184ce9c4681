"""What a table of results shows: whose values, of which rows, under which words."""

from collections.abc import Mapping, Sequence

from catpose import metrics
from catpose.metrics import METRICS
from catpose.studies.paper import published, results
from catpose.studies.paper.stored import Line, Stored

SUMMARIES = (7, 13)  # tables whose columns are not categories
_BLOCKS = {
    "full rotation": "by the error of the full rotation (fractions, higher is better)",
    "azimuth": "by the error of the azimuth (fractions, higher is better)",
}

Labels = tuple[str, ...]
# Lines of a table by block, of one origin.
Blocks = Mapping[str, Mapping[Labels, Line]]


def together(found: Stored) -> bool:
    """Whether ours are of the paper's data."""
    return found.data == "pascal3d"


def sources(found: Stored, number: int) -> dict[str, Blocks]:
    """What a table shows, by whose it is."""
    blocks = found.tables[number].blocks
    ours = {metric: {line.labels: line for line in lines} for metric, lines in blocks.items()}
    return {"ours": ours} | ({"paper": of_paper(number)} if together(found) else {})


def of_paper(number: int) -> Blocks:
    """The paper's own values."""
    return {
        metric: {row: Line(row, values, [None] * len(values)) for row, values in own.items()}
        for metric, own in published.TABLES[number].blocks.items()
    }


def labels_of(sources: Mapping[str, Blocks]) -> list[Labels]:
    """Labels of the rows that have values in any block, each once."""
    return list(
        dict.fromkeys(
            row
            for blocks in sources.values()
            for lines in blocks.values()
            for row, line in lines.items()
            if line.mean
        )
    )


def spelled(labels: Sequence[str]) -> list[str]:
    """The paper's labels in words that need no list of references."""
    return [published.SPELLED.get(label, label) for label in labels]


def described(metric: str) -> str:
    """A block's metric with its unit and direction."""
    return _BLOCKS.get(metric) or metrics.explanation(METRICS[metrics.by_label(metric)])


def digits(block: str) -> tuple[int, int]:
    """After the point, of a category's value and of their mean."""
    if block in results.BLOCKS:
        return 4, 4
    mean = METRICS[metrics.by_label(block)].digits
    return mean // 2, mean
