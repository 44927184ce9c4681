"""What a page of results is made of, as a JSON file beside it: pages are rendered from it alone.

So a page changes its looks without anything being trained again.
"""

import json
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from catpose import outputs
from catpose.data import disk_cache
from catpose.errors import InputError

_VERSION = 1


class Line(NamedTuple):
    """A row of a table.

    Attributes:
      labels: the paper's.
      mean: over seeds, by column; empty where there is none.
      deviation: standard deviation over seeds, by column; None where it is not known.
      absent: why there is none.
    """

    labels: tuple[str, ...]
    mean: Sequence[float]
    deviation: Sequence[float | None]
    absent: str = ""


class Claim(NamedTuple):
    """A claim of the paper with its test.

    Attributes:
      text: the claim in words.
      metric: its label in `catpose.metrics.METRICS`.
      verdict: of `significance.verdict`; "not tested" where a row is absent.
      difference: of the row that is to be better minus the other; None where one is absent.
      interval: 95 %.
      p: see `significance.compare`.
    """

    text: str
    metric: str
    verdict: str
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = None


class Table(NamedTuple):
    """A table: its rows by block (see `published.Table`), and its claims."""

    blocks: Mapping[str, Sequence[Line]]
    claims: Sequence[Claim]


class Representation(NamedTuple):
    """A row of the table of pose representations: means and deviations over seeds, and costs."""

    label: str
    pose_err_deg: tuple[float, float | None]
    acc_30: tuple[float, float | None]
    parameters: int
    seconds: float | None


class Stored(NamedTuple):
    """Everything on a page.

    Attributes:
      data: what was trained on, a name in `catpose.studies.paper.budgets.DATA`.
      split: which images were evaluated.
      seeds: how many.
      categories: in the order of the columns.
      tables: by number.
      representations: best first.
      parameters: counts by network, as `architectures.param_counts` returns them.
      made: how, in a sentence.
    """

    data: str
    split: str
    seeds: int
    categories: tuple[str, ...]
    tables: Mapping[int, Table]
    representations: Sequence[Representation]
    parameters: Mapping[str, Mapping[str, int]]
    made: str


def write(found: Stored, path: pathlib.Path) -> None:
    """Writes it as JSON."""
    tables = {
        number: {
            "blocks": {m: [line._asdict() for line in lines] for m, lines in table.blocks.items()},
            "claims": [claim._asdict() for claim in table.claims],
        }
        for number, table in found.tables.items()
    }
    content = {
        **outputs.MARK,
        "version": _VERSION,
        **found._asdict(),
        "tables": tables,
        "representations": [row._asdict() for row in found.representations],
    }
    disk_cache.write_whole(path, (json.dumps(content, ensure_ascii=False) + "\n").encode())


def read(path: pathlib.Path) -> Stored:
    """Reads what `write` has written.

    Raises:
      InputError: there is no such file, or it is another one.
    """
    try:
        content: dict[str, Any] = json.loads(path.read_text())
        if content.pop("version") != _VERSION or content.pop("made_by") != outputs.MARK["made_by"]:
            raise ValueError
        tables = {
            int(number): Table(
                {
                    metric: [Line(**{**line, "labels": tuple(line["labels"])}) for line in lines]
                    for metric, lines in table["blocks"].items()
                },
                [Claim(**claim) for claim in table["claims"]],
            )
            for number, table in content.pop("tables").items()
        }
        rows = [Representation(**row) for row in content.pop("representations")]
        return Stored(
            **{**content, "categories": tuple(content["categories"])},
            tables=tables,
            representations=rows,
        )
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(
            f"{path} is not a file of results that catpose tables has written beside a page"
        ) from error
