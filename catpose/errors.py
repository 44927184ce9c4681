"""Errors in what the user gave."""

import difflib
from collections.abc import Iterable, Sequence

_LONGEST = 300  # characters of a message
# Of many files, those that cannot be read are named and left out, up to this share.
MAX_BROKEN_SHARE = 0.05


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


def check_broken(
    broken: Sequence[str], total: int, what: str, share: float = MAX_BROKEN_SHARE, key: str = ""
) -> None:
    """Refuses too many broken files among many.

    Args:
      broken: a message for each that cannot be read.
      total: how many there are.
      what: they are, in the plural.
      share: of the total, which may be broken.
      key: of the config, that sets the share.

    Raises:
      InputError: more are broken.
    """
    if len(broken) > share * total:
        raise InputError(
            f"{len(broken)} of {total} {what} cannot be read, more than the allowed share "
            f"{share:g}{key and f' ({key})'}; the first: {broken[0]}"
        )


def extra(name: str) -> str:
    """How to get what an extra of catpose brings, for a message; no clone is needed for it."""
    return f"pip install 'catpose[{name}]'"


def near(word: str, known: Iterable[str]) -> str:
    """The end of a message about an unknown word: "; did you mean 'train'?", or ""."""
    found = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean '{found[0]}'?" if found else ""
