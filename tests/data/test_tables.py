"""Tables as editors, spreadsheets and programs write them, and one line for what is wrong."""

import json
import os

import pytest

from catpose.data import file_names, tables
from catpose.errors import InputError
from tests.support.pose_tables import one_line

ROWS = [{"a": "1", "b": "x y"}, {"a": "2"}]
PLAIN = "a,b\n1,x y\n2,\n"


def table(path, content, **options):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return tables.read(path, **options)


def values(found):
    return [dict(row.values) for row in found.rows]


@pytest.mark.parametrize(
    "content",
    {
        "plain": PLAIN,
        "UTF-8 with a byte order mark": b"\xef\xbb\xbf" + PLAIN.encode(),
        "UTF-16": PLAIN.encode("utf-16"),
        "UTF-16, big end first": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
        "CRLF": PLAIN.replace("\n", "\r\n"),
        "CR": PLAIN.replace("\n", "\r"),
        "no last line end": PLAIN.strip(),
        "blanks": " a , b \n 1,  x y\t\n2 ,\n",
        "quotes": '"a","b"\n"1","x y"\n"2",""\n',
        "quotes and blanks": '"a" , "b" \n"1", "x y" \n "2" ,\n',
        "empty rows": "\n,,\na,b\n\n1,x y\n , \n\r\n2,\n\n",
        "empty columns": "a,b,,\n1,x y,,\n2,,,\n",
    }.values(),
)
def test_what_does_not_count(tmp_path, content):
    found = table(tmp_path / "t.csv", content)
    assert found.columns == ("a", "b")
    assert values(found) == ROWS


def test_rows_are_called_by_their_first_line(tmp_path):
    found = table(tmp_path / "t.csv", '\na,b\n1,"two\nlines"\n\n2,x\n')
    assert [row.where for row in found.rows] == [f"{tmp_path}/t.csv, line {i}" for i in (3, 6)]


def test_csv_text_reads_back(tmp_path):
    rows = [("a", "b"), ('x, "y"', 1.5), ("two\nlines", "ü")]
    expected = [{"a": 'x, "y"', "b": "1.5"}, {"a": "two\nlines", "b": "ü"}]
    assert values(table(tmp_path / "t.csv", tables.csv_text(rows))) == expected


@pytest.mark.parametrize("suffix", ["json", "jsonl"])
def test_only_a_line_feed_ends_a_line(tmp_path, suffix):
    """JSON does not escape U+2028, U+2029 and U+0085, which Python calls ends of lines."""
    rows = [{"id": "a\u2028b\u2029c\x85d"}, {"id": "e"}]
    lines = [json.dumps(row, ensure_ascii=False) for row in rows]
    content = "\r\n\r\n".join(lines) if suffix == "jsonl" else f"[{','.join(lines)}]"
    assert values(table(tmp_path / f"t.{suffix}", content)) == rows
    csv_lines = tables.csv_text([("id",), *(row.values() for row in rows)])
    assert values(table(tmp_path / "t.csv", csv_lines)) == rows


def test_json_without_empty_values(tmp_path):
    content = '\ufeff{"a": {"x": null, "y": ""}, "b": {"x": 0, "id": "b"}}'
    found = table(tmp_path / "t.json", content)
    assert values(found) == [{"id": "a"}, {"x": 0, "id": "b"}]
    assert found.columns == ("id", "x")


DEEP = "[" * 100_000
WRONG = {
    "semicolons": ("t.csv", "a;b\n1;2\n", "line 1: the columns are divided by ';', not by commas"),
    "tabs": ("t.csv", "\na\tb\n1\t2\n", r"line 2: the columns are divided by '\\t', not by comm"),
    "Excel's text": ("t.csv", "a\tb\n".encode("utf-16"), r"line 1: the columns are divided by"),
    "a column twice": ("t.csv", "a,b, a\n1,2,3\n", "line 1: the column 'a' stands twice$"),
    "open quote": ("t.csv", 'a,b\n1,2\n3,"4\n5,6\n', "line 3: a quote is not closed$"),
    "two open quotes": ("t.csv", 'a,b\n"1,2\n"3,4\n', "line 2: not CSV: ',' expected after '\"'$"),
    "decimal commas": ("t.csv", "a,b\n1,2\n3,5,4,5\n", "line 3: 4 values for 2 columns; put a v"),
    "Latin-1": ("t.csv", "a,b\n1,\xe9\n".encode("latin-1"), "line 2: not UTF-8; save the file as"),
    "half a UTF-16": ("t.csv", PLAIN.encode("utf-16")[:-1], r"line \d: not UTF-8; save the file"),
    "UTF-16 without its mark": ("t.csv", PLAIN.encode("utf-16-le"), "line 1: not text, or not UTF"),
    "an image": ("t.csv", b"\x89PNG\r\n\x1a\n\0\0", "line 1: not UTF-8; save the file as UTF-8$"),
    "required": ("t.csv", "A,c\n1,2\n", "no column a; there are A, c$"),
    "other spelling": ("t.csv", "a,X_0\n1,2\n", "the column 'X_0' is not read; call it 'x0'$"),
    "other spelling in JSON": ("t.json", '[{"X0": 1}]', "the column 'X0' is not read; call it 'x0"),
    "a key twice": ("t.json", '[{"a": 1},\n{"b": "}", "a": {}, "b": 2\n}]', "line 3: the key 'b'"),
    "an id twice": ("t.json", '{"a": {}, "b": {}, "a": {}}', r"t\.json: the key 'a' stands twice"),
    "a key twice in a line": ("t.jsonl", '{}\n{"a": 1, "a": 2}', r"line 2: the key 'a' stands"),
    "another id": ("t.json", '{"a": {"id": "b"}}', "the object of the key 'a' has another id$"),
    "no JSON": ("t.json", '[{"a": 1},\n{"a" 2}]', r"line 2: not JSON: Expecting ':' delimiter$"),
    "no JSON in a line": ("t.jsonl", '{"a": 1}\n{"a" 2}', r"line 2: not JSON: Expecting ':' delim"),
    "deep": ("t.json", DEEP, r"t\.json: lists or objects are nested too deep$"),
    "deep in a line": ("t.jsonl", f"{{}}\n{DEEP}", r"line 2: lists or objects are nested too"),
    "5000 digits": ("t.json", f'[{{"a": {"9" * 5000}}}]', "t.json: a number has thousands of digi"),
    "no objects": ("t.json", "[[1]]", "entry 1: not an object with keys and values$"),
    "no list": ("t.json", '"x"', r"t\.json must hold a list of objects$"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "content", "message"), WRONG.values(), ids=WRONG.keys())
def test_one_line_for_what_is_wrong(tmp_path, name, content, message):
    path, required = tmp_path / name, ["a"] if name.endswith("csv") else []
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message) as caught:
        tables.read(path, required=required, known=("x0",))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


NUMBERS = {
    "1e300": "1e300",
    "45 digits": "9" * 45,
    "400 digits": 10**400,
    "infinite": "-inf",
    "NaN": float("nan"),
    "true": True,
    "a list": [1],
    "a word": "x",
    "as Python writes it": "1_000",
}


@pytest.mark.parametrize("value", NUMBERS.values(), ids=NUMBERS)
def test_what_is_not_a_number(value):
    row = tables.Row("t.csv, line 2", {"a": value})
    one_line(tables.number, row, "a", match=r"^t\.csv, line 2: a is '.{1,40}', not a finite numb")


def test_numbers_and_texts():
    row = tables.Row("t.csv, line 2", {"a": " -2.5e1 ", "b": 7, "c": "x", "d": {}, "e": 1.5})
    assert [tables.number(row, name) for name in "ab"] == [-25.0, 7.0]
    assert [tables.string(row, name) for name in "bcz"] == ["7", "x", ""]
    one_line(
        tables.number, row, "z", match="^t.csv, line 2: z is missing; there are a, b, c, d, e$"
    )
    for name in "de":
        one_line(tables.string, row, name, match=f"^t.csv, line 2: {name} is .*, not a text$")


def test_a_folder_or_a_name_that_is_too_long(tmp_path):
    (tmp_path / "t.csv").mkdir()
    one_line(
        tables.read, tmp_path / "t.csv", match=r"^cannot read .*t\.csv: it is no regular file$"
    )
    one_line(
        tables.read, tmp_path / f"{'a' * 300}.csv", match="^cannot read .*: File name too long$"
    )


def test_a_pipe_is_not_waited_for_and_a_huge_file_not_read(tmp_path):
    os.mkfifo(tmp_path / "t.csv")
    one_line(tables.read, tmp_path / "t.csv", match="it is no regular file$")
    with (tmp_path / "u.csv").open("wb") as file:
        file.truncate(5 << 30)
    one_line(tables.read, tmp_path / "u.csv", match="it has 5.0 GiB, and 1 is read$")


@pytest.mark.parametrize("name", ["../a", "/etc/passwd", "a/../../b", "..", "a\0b"])
def test_names_that_lead_outside(tmp_path, name):
    one_line(
        file_names.below, tmp_path, name, "t.csv, line 2", match="^t.csv, line 2: .* outside of "
    )


def test_names_below_a_folder(tmp_path):
    for name in ("a", "a/b.jpg", "a/../b", "..a", "\ud800"):
        assert file_names.below(tmp_path, name, "") == f"{tmp_path}/{name}"
    for name in ("a" * 300, "b/" + "ü" * 130 + "/c"):
        one_line(file_names.below, tmp_path, name, "t.csv, line 2", match="too long for the name")
