"""Names of files that others have written: in tables, and in the lists of a dataset."""

import os

from catpose.errors import InputError

LONGEST = 250  # bytes; file systems have 255, and an ending may follow


def below(folder: str | os.PathLike, name: str, where: str) -> str:
    """The path of a file in a folder or deeper; whether it exists is not asked.

    Links in the folder are followed: they are the user's own.

    Args:
      folder: the folder.
      name: relative to it.
      where: what names the file, for a message.

    Raises:
      InputError: the name leads outside the folder, or is longer than any file's.
    """
    up = ".." in name and os.path.normpath(name).split(os.sep)[0] == ".."
    if up or os.path.isabs(name) or "\0" in name:
        raise InputError(
            f"{where}: '{name}' leads outside of {os.fspath(folder)}; put the file, or a link to "
            "it, in there and name it from there"
        )
    long = len(name) > LONGEST // 4  # a letter has up to four bytes
    if long and max(len(part.encode(errors="replace")) for part in name.split(os.sep)) > LONGEST:
        raise InputError(f"{where}: '{name[:40]}...' is too long for the name of a file")
    return os.path.join(folder, name)
