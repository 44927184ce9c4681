"""Errors in what the user gave."""

import difflib
from collections.abc import Iterable

_LONGEST = 300  # characters of a message


class InputError(ValueError):
    """Invalid input: one line that says what is wrong, where, and what to do.

    The commands print it without a traceback and exit with status 1; any other exception is a
    defect of catpose and keeps its traceback.
    """

    def __str__(self) -> str:
        return printable(super().__str__())


def printable(text: str) -> str:
    """At most 300 characters of a text that may repeat what a file holds, all of them printable.

    The middle is left out: the thing is named at the beginning, the remedy at the end.
    """
    shown = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return shown if len(shown) <= _LONGEST else f"{shown[:190]} ... {shown[-105:]}"


def reason(error: BaseException) -> str:
    """What an exception says in one line, for the end of a message."""
    text = getattr(error, "strerror", None) or str(error)
    return next(iter(text.splitlines()), "") or type(error).__name__


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'train'?", or ""."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
