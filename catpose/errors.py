"""Errors in what the user gave."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Invalid input: one line that says what is wrong, where, and what to do.

    The commands print it without a traceback and exit with status 1; any other exception is a
    defect of catpose and keeps its traceback.
    """


def reason(error: BaseException) -> str:
    """What an exception says in one line, for the end of a message."""
    text = getattr(error, "strerror", None) or str(error)
    return next(iter(text.splitlines()), "") or type(error).__name__


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'train'?", or ""."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
