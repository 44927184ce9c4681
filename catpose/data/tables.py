"""Tables as people and programs write them: CSV, JSON and JSON lines.

What editors and spreadsheets do to a table does not count: a byte order mark (UTF-8, UTF-16), line
ends (LF, CRLF, CR), blanks around names and values, empty rows, empty cells. What would be read
wrongly is an error that names the line: other delimiters, quotes that are not closed, more values
than columns, and a column or key that stands twice.
"""

import csv
import io
import json
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from catpose import errors
from catpose.errors import InputError

MAX_BYTES = 1 << 30  # of a table; a million rows have less than a tenth of it
LARGEST = 1e9  # no angle, pixel or number of an object is larger
_NUM_NAMED = 12  # column names in a message


class Row(NamedTuple):
    """A row's values, and what to call it in a message ("predictions.csv, line 3")."""

    where: str
    values: Mapping[str, Any]


class Table(NamedTuple):
    """A table: its file, the names of its columns, and its rows without empty values."""

    path: pathlib.Path
    columns: tuple[str, ...]
    rows: list[Row]


def read(
    path: pathlib.Path,
    *,
    required: Sequence[str] = (),
    known: Sequence[str] = (),
    allow_empty: bool = False,
) -> Table:
    """Reads a file by its ending: `.csv`, `.json` or `.jsonl`.

    JSON is a list of objects, or one object whose keys are the ids. A line of `.jsonl` ends at a
    line feed and nowhere else.

    Args:
      path: the file.
      required: columns that a CSV file must have.
      known: columns that the caller reads; one that is spelled otherwise ("X0" for "x0") is an
        error, since it would be ignored. Further columns are nobody's concern.
      allow_empty: a file without rows is not an error.

    Raises:
      InputError: no such file, another ending, a required column that is missing, or a content
        that is not of this form.
    """
    readers = {".csv": _read_csv, ".json": _read_json, ".jsonl": _read_json_lines}
    if path.suffix.lower() not in readers:
        raise InputError(f"{path} must end in {', '.join(readers)}")
    columns, rows = readers[path.suffix.lower()](path, text(path), required)
    if not rows and not allow_empty:
        raise InputError(f"{path} has no rows")
    spelled = {plain(name): name for name in columns}
    for name in known:
        found = spelled.get(plain(name), name)
        if found != name and name not in columns:
            raise InputError(f"{path}: the column '{found}' is not read; call it '{name}'")
    return Table(path, columns, rows)


def text(path: pathlib.Path) -> str:
    """The content of a text file in UTF-8, or in UTF-16 with a byte order mark.

    Raises:
      InputError: the file cannot be read, has more than MAX_BYTES, or is not such a text.
    """
    try:
        if path.exists() and not path.is_file():  # a named pipe would be waited for
            raise InputError(f"cannot read {path}: it is no regular file")
        if (size := path.stat().st_size) > MAX_BYTES:
            raise InputError(
                f"cannot read {path}: it has {size / MAX_BYTES:.1f} GiB, and 1 is read"
            )
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {errors.reason(error)}") from error
    return decoded(content, str(path))


def decoded(content: bytes, where: str) -> str:
    """The text of `content`, as `text` reads it; `where` is its name in a message."""
    utf_16 = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        found = content.decode("utf-16" if utf_16 else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise InputError(f"{where}, line {line}: not UTF-8; save the file as UTF-8") from error
    if "\0" in found:
        line = 1 + found.count("\n", 0, found.index("\0"))
        raise InputError(f"{where}, line {line}: not text, or not UTF-8; save the file as UTF-8")
    return found


def lines(path: pathlib.Path) -> list[tuple[int, str]]:
    """The lines of a text file that are not empty, without blanks around them, and their numbers.

    Raises:
      InputError: see `text`.
    """
    split = re.split("\r\n|\r|\n", text(path))
    return [(i, line.strip()) for i, line in enumerate(split, start=1) if line.strip()]


def parse_json(content: str | bytes, where: str) -> Any:
    """What JSON says, with every key of an object once.

    Args:
      content: the JSON; bytes as in `decoded`.
      where: what to call it in a message.

    Raises:
      InputError: not JSON, a key twice in an object, too deep, or a number of thousands of digits.
    """
    content = decoded(content, where) if isinstance(content, bytes) else content
    ended = 0  # objects so far

    def place(end):
        return f"{where}, line {1 + content.count(chr(10), 0, end)}" if "\n" in content else where

    def unique(pairs):
        nonlocal ended
        ended += 1
        values = dict(pairs)
        if len(values) < len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            marks = re.finditer(r'"(?:\\.|[^"\\])*"|\}', content)
            ends = [mark.end() for mark in marks if mark[0] == "}"]
            raise InputError(
                f"{place(ends[ended - 1])}: the key '{twice}' stands twice in an object"
            )
        return values

    try:
        return json.loads(content, object_pairs_hook=unique)
    except InputError:
        raise
    except RecursionError as error:
        raise InputError(f"{where}: lists or objects are nested too deep") from error
    except json.JSONDecodeError as error:
        raise InputError(f"{place(error.pos)}: not JSON: {error.msg}") from error
    except ValueError as error:  # Python converts no integer of more than 4300 digits
        raise InputError(f"{where}: a number has thousands of digits") from error


def string(row: Row, name: str) -> str:
    """The text in the column `name`; "" where it is missing.

    Raises:
      InputError: it is neither a text nor an integer.
    """
    value = row.values.get(name, "")
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if type(value) is not int:
        raise InputError(f"{row.where}: {name} is {json.dumps(value)[:40]}, not a text")
    return str(value)


def number(row: Row, name: str) -> float:
    """The number in the column `name`.

    Raises:
      InputError: it is missing, not a finite number, or beyond `LARGEST`.
    """
    value = row.values.get(name)
    found = as_float(value)
    if not abs(found) <= LARGEST:  # or NaN
        if value is None:
            raise InputError(f"{row.where}: {name} is missing; there are {named(row.values)}")
        raise InputError(
            f"{row.where}: {name} is '{str(value)[:40]}', not a finite number below {LARGEST:g}"
        )
    return found


def as_float(value: Any) -> float:
    """A number, or a text that is one, as a float; NaN for anything else."""
    if isinstance(value, bool) or (isinstance(value, str) and "_" in value):  # 1_000 is Python's
        return float("nan")
    try:
        return float(value)
    except (TypeError, ValueError):
        return float("nan")
    except OverflowError:  # an integer beyond all floats
        return float("inf")


def named(columns: Iterable[str]) -> str:
    """Names of columns for a message, not too many of them."""
    names = list(columns)
    return ", ".join(names[:_NUM_NAMED]) + ", ..." * (len(names) > _NUM_NAMED) or "none"


def plain(name: str) -> str:
    """The name of a column in small letters and digits alone: "X_0" is "x0"."""
    return re.sub("[^0-9a-z]", "", name.lower())


def csv_text(rows: Iterable[Iterable[Any]]) -> str:
    """Rows as CSV; the first of a file are the names of its columns."""
    file = io.StringIO(newline="")
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()


def _read_csv(path, content, required):
    if '"' in content:  # blanks after a closing quote
        content = re.sub(r'"[ \t]+(?=[,\r\n]|\Z)', '"', content)
    reader = csv.reader(io.StringIO(content, newline=""), strict=True, skipinitialspace=True)
    header, rows, line = (), [], 1
    try:
        for cells in reader:
            if header:
                values = {
                    name: value
                    for name, cell in zip(header, cells, strict=False)
                    if (value := cell.strip())
                }
                if len(cells) > len(header) and any(map(str.strip, cells[len(header) :])):
                    raise InputError(
                        f"{path}, line {line}: {len(cells)} values for {len(header)} columns; "
                        "put a value with a comma between quotes"
                    )
                if values:
                    rows.append(Row(f"{path}, line {line}", values))
            elif any(map(str.strip, cells)):
                header = _header([cell.strip() for cell in cells], f"{path}, line {line}")
            line = reader.line_num + 1
    except csv.Error as error:
        what = "a quote is not closed" if "end of data" in str(error) else f"not CSV: {error}"
        raise InputError(f"{path}, line {line}: {what}") from error
    if missing := [name for name in required if name not in header]:
        raise InputError(f"{path}: no column {', '.join(missing)}; there are {named(header)}")
    return tuple(filter(None, header)), rows


def _header(names, where):
    divided = re.search("[;\t|]", names[0]) if len(names) == 1 else None
    if divided:
        raise InputError(
            f"{where}: the columns are divided by {divided[0]!r}, not by commas; save the table "
            "with commas, and numbers with points"
        )
    twice = next((name for name in names if name and names.count(name) > 1), None)
    if twice:
        raise InputError(f"{where}: the column '{twice}' stands twice")
    return tuple(names)


def _read_json(path, content, required):
    found = parse_json(content, str(path))
    if isinstance(found, dict):
        for key, value in found.items():
            if isinstance(value, dict) and value.setdefault("id", key) != key:
                raise InputError(f"{path}: the object of the key '{key}' has another id")
        found = list(found.values())
    if not isinstance(found, list):
        raise InputError(f"{path} must hold a list of objects")
    return _of_objects((f"{path}, entry {i}", values) for i, values in enumerate(found, start=1))


def _read_json_lines(path, content, required):
    numbered = ((f"{path}, line {i}", text) for i, text in enumerate(content.split("\n"), start=1))
    return _of_objects((where, parse_json(text, where)) for where, text in numbered if text.strip())


def _of_objects(found):
    rows = []
    for where, values in found:
        if not isinstance(values, dict):
            raise InputError(f"{where}: not an object with keys and values")
        rows.append(Row(where, {k: v for k, v in values.items() if v is not None and v != ""}))
    return tuple(dict.fromkeys(name for row in rows for name in row.values)), rows
