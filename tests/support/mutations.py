"""Random damage to files: what disks, downloads, editors and attackers do to them."""

import random

# What readers stumble over, put into text.
TOKENS = tuple(
    token.encode()
    for token in (
        *("nan", "inf", "-inf", "1e300", "-1", "0", "", "9" * 45, "1e-320", "0x10", "1,5"),
        *("\ufeff", "\u2028", "\x00", "\x1b[31m", "\r", "\n", '"', "'", ";", "\t", ",,", "{"),
        *("../../etc/passwd", "~/x", "/dev/zero", "a" * 300, "#REF!", "1.234.567", "−3", "true"),
        *("[" * 9, "NULL"),
    )
)
INTEGERS = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def mutate(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """The content of a file with one to four damages; `other` is another file of its format."""
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        data = chance.choice(_KINDS)(data, other, chance)
    return data


def _place(data, chance):
    """Half of the damages are in the first 300 bytes, where headers are."""
    return chance.randrange(max(1, len(data) if chance.random() < 0.5 else min(len(data), 300)))


def _flip(data, other, chance):
    if not data:
        return data
    at = _place(data, chance)
    return data[:at] + bytes([data[at] ^ (1 << chance.randrange(8))]) + data[at + 1 :]


def _overwrite(data, other, chance):
    at, size = _place(data, chance), chance.randrange(1, 9)
    return data[:at] + chance.randbytes(size) + data[at + size :]


def _integer(data, other, chance):
    at, size = _place(data, chance), chance.choice((2, 4, 8))
    value = chance.choice(INTEGERS) % (1 << (8 * size))
    return data[:at] + value.to_bytes(size, chance.choice(("little", "big"))) + data[at + size :]


def _cut(data, other, chance):
    return data[: _place(data, chance)]


def _drop(data, other, chance):
    at = _place(data, chance)
    return data[:at] + data[at + chance.randrange(1, 64) :]


def _repeat(data, other, chance):
    at, size = _place(data, chance), chance.randrange(1, 200)
    return data[: at + size] + data[at:]


def _insert(data, other, chance):
    at = _place(data, chance)
    return data[:at] + chance.choice(TOKENS) + data[at:]


def _replace_cell(data, other, chance):
    """One value of a text, between two of its separators."""
    ends = [i for i, byte in enumerate(data[:4000]) if byte in b',\n :"[]{}']
    if len(ends) < 2:
        return _insert(data, other, chance)
    at = chance.randrange(len(ends) - 1)
    return data[: ends[at] + 1] + chance.choice(TOKENS) + data[ends[at + 1] :]


def _swap_lines(data, other, chance):
    lines = data.split(b"\n")
    i, j = chance.randrange(len(lines)), chance.randrange(len(lines))
    lines[i], lines[j] = lines[j], lines[i]
    return b"\n".join(lines)


def _splice(data, other, chance):
    return data[: _place(data, chance)] + other[_place(other, chance) :]


_KINDS = (
    _flip, _flip, _overwrite, _integer, _integer, _cut, _drop, _repeat, _insert, _replace_cell,
    _replace_cell, _swap_lines, _splice,
)  # fmt: skip
