"""Messages are one printable line."""

import pytest

from catpose import errors
from catpose.errors import InputError


def test_what_a_file_holds_cannot_reach_the_terminal():
    shown = str(InputError("line 2: unknown split '\x1b[2Jtrain\nx\u202e\udcff'; known: val"))
    assert shown.isprintable()
    assert shown.startswith("line 2: unknown split '")
    assert shown.endswith("'; known: val")


def test_a_long_message_keeps_its_beginning_and_its_end():
    shown = str(InputError(f"a.csv, line 2: unknown split '{'x' * 5000}'; known: train, val"))
    assert len(shown) == 300
    assert shown.startswith("a.csv, line 2: unknown split 'xxx")
    assert shown.endswith("xxx'; known: train, val")
    assert errors.printable("y" * 300) == "y" * 300


def test_few_broken_files_among_many_are_passed_over():
    errors.check_broken([], 0, "images")
    errors.check_broken(["a.png: cut"], 20, "images")
    message = (
        r"^1 of 19 images cannot be read, more than the allowed share 0\.05; the first: a: cut$"
    )
    with pytest.raises(InputError, match=message):
        errors.check_broken(["a: cut"], 19, "images")
    with pytest.raises(InputError, match=r"share 0\.1 \(config\.key\); the first: b$"):
        errors.check_broken(["b", "c"], 10, "models", 0.1, "config.key")
