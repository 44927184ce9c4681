"""Wrong input, told to people."""

import difflib
from collections.abc import Iterable


class InputError(ValueError):
    """Something that the user gave is wrong: one line that names the thing and the remedy.

    The commands print it without a traceback and exit with status 1; any other exception is a
    defect of catpose and keeps its traceback.
    """


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'train'?", or ""."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
