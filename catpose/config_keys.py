"""Settings as frozen dataclasses: a key, its default, range and meaning stand in one place.

Each field of such a class is made by `key`. `read` makes the class from a mapping (a config, or
what a run's folder keeps) and checks every value; `keys` lists them for people.
"""

import collections.abc
import dataclasses
import os
import typing
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, TypeVar

from catpose.errors import InputError

Settings = TypeVar("Settings")
_LARGEST = 2**32  # integers are below it: seeds have 32 bits
_LARGEST_FLOAT = 2.0**127  # so that float32 holds it
_KINDS = {
    bool: "True or False",
    int: "an integer of 32 bits",
    float: "a finite number",
    str: "a text",
    tuple: "a list",
    collections.abc.Mapping: "a mapping",
}


class Range(NamedTuple):
    """The values that a key can have.

    Attributes:
      contains: whether a value is one of them.
      text: names them, after "it can be". A function, since plugins add to the tables of names.
    """

    contains: Callable[[Any], bool]
    text: Callable[[], str]


class Key(NamedTuple):
    """A key as people read it: its full name, value, range ("" for any) and meaning."""

    name: str
    value: Any
    range: str
    meaning: str


ANY = Range(lambda value: True, lambda: "")
NOT_EMPTY = Range(bool, lambda: "anything but empty")


def at_least(low: int | float) -> Range:
    """Numbers from `low` on."""
    return Range(lambda value: value >= low, lambda: f"{low} or larger")


def between(low: int | float, high: int | float) -> Range:
    """Numbers from `low` to `high`, both included."""
    return Range(lambda value: low <= value <= high, lambda: f"from {low} to {high}")


def one_of(names: Collection[str]) -> Range:
    """Texts that are in a table or list of names, as it is when a value is checked."""
    return Range(lambda value: value in names, lambda: ", ".join(name or "''" for name in names))


def each(one: Range) -> Range:
    """Lists whose values, and mappings whose keys, are all in a range."""
    return Range(
        lambda value: all(map(one.contains, value)), lambda: f"each {one.text() or 'of a plugin'}"
    )


def values(one: Range) -> Range:
    """Mappings whose values are all in a range."""
    return Range(
        lambda value: all(map(one.contains, value.values())), lambda: f"values {one.text()}"
    )


def spread(low: float = 0.0) -> Range:
    """Pairs (low, high) in order, not below `low`."""
    return Range(
        lambda value: len(value) == 2 and low <= value[0] <= value[1],
        lambda: f"a range (low, high), {low:g} <= low <= high",
    )


def key(default: Any, meaning: str, allowed: Range = ANY) -> Any:
    """A field of a class of settings.

    Args:
      default: its value where none is given; `dataclasses.MISSING` for a key that must be given.
      meaning: one sentence with the unit.
      allowed: the values it can have; by default all of its type.
    """
    metadata = {"meaning": meaning, "range": allowed}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=default.copy, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


def group(default: Any, meaning: str) -> Any:
    """A field that is a class of settings itself; `default` is an instance, or makes one."""
    metadata = {"meaning": meaning, "range": ANY}
    make = default if isinstance(default, type) else lambda: default
    return dataclasses.field(default_factory=make, metadata=metadata)


def read(cls: type[Settings], values: Any, where: str) -> Settings:
    """Settings from a mapping, each value checked; keys that it lacks have their defaults.

    Args:
      cls: the class of settings.
      values: a dict or a ConfigDict; lists, as JSON has them, count as tuples.
      where: what the mapping is called in messages, such as "config.data".

    Raises:
      InputError: a key that is unknown or missing, or a value that is out of its range.
    """
    if not hasattr(values, "items"):
        raise InputError(f"{where} is {values!r}; it can be a mapping")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    values = dict(values)
    if unknown := [name for name in values if name not in fields]:
        known = ", ".join(sorted(fields))
        raise InputError(f"{where} has the unknown key '{unknown[0]}'; known: {known}")
    for name, field in fields.items():
        if name in values:
            given = values[name]
            if dataclasses.is_dataclass(field.type) and hasattr(given, "items"):
                given = vars(field.default_factory()) | dict(given)
            values[name] = _value(field.type, given, f"{where}.{name}")
            if not (allowed := field.metadata["range"]).contains(values[name]):
                raise InputError(f"{where}.{name} is {values[name]!r}; it can be {allowed.text()}")
        elif dataclasses.MISSING is field.default is field.default_factory:
            raise InputError(f"{where} lacks the key '{name}'")
    try:
        return cls(**values)
    except ValueError as error:
        raise InputError(f"{where}: {error}") from error


def _value(expected: Any, value: Any, where: str) -> Any:
    """A value as its field has it: mappings as dicts, lists as tuples, integers as numbers."""
    kind = typing.get_origin(expected) or expected
    if dataclasses.is_dataclass(kind):
        return value if isinstance(value, kind) else read(kind, value, where)
    if kind is collections.abc.Mapping and hasattr(value, "items"):
        _, inner = typing.get_args(expected)
        return {
            name: _plain(item) if inner is Any else _value(inner, item, f"{where}[{name!r}]")
            for name, item in value.items()
        }
    if kind is tuple and isinstance(value, list | tuple):
        inner, *_ = typing.get_args(expected)
        return tuple(_value(inner, item, f"{where}[{i}]") for i, item in enumerate(value))
    is_huge = type(value) is int and abs(value) >= _LARGEST
    if kind is float and type(value) is int and not is_huge:
        value = float(value)
    wrong = isinstance(value, bool) if kind is int else kind is float and not _is_finite(value)
    if not isinstance(value, kind) or is_huge or wrong:
        raise InputError(f"{where} is {value!r}; it can be {_KINDS[kind]}")
    return expanded(value) if kind is str else value


def expanded(path: str | os.PathLike) -> str:
    """A path in which ~ is the home folder: in options, config keys and arguments from Python."""
    return os.path.expanduser(path)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and abs(value) < _LARGEST_FLOAT


def _plain(value: Any) -> Any:
    if hasattr(value, "items"):
        return {name: _plain(item) for name, item in value.items()}
    return tuple(map(_plain, value)) if isinstance(value, list | tuple) else value


def keys(cls: type, values: Any = None, prefix: str = "") -> list[Key]:
    """The keys of a class of settings and of the classes in it, in order.

    Args:
      cls: the class of settings.
      values: whose values are listed; None for the defaults.
      prefix: of each name.
    """
    found = []
    for field in dataclasses.fields(cls):
        name, metadata = prefix + field.name, field.metadata
        value = field.default if values is None else getattr(values, field.name)
        if field.default_factory is not dataclasses.MISSING and values is None:
            value = field.default_factory()
        if dataclasses.is_dataclass(field.type):
            found += keys(field.type, value, f"{name}.")
            continue
        inner = next(iter(typing.get_args(field.type)), None)
        if dataclasses.is_dataclass(inner):  # a list of such settings: the keys that each has
            found += keys(inner, None, f"{name}[].")
            continue
        value = "(must be given)" if value is dataclasses.MISSING else value
        found.append(Key(name, value, metadata["range"].text(), metadata["meaning"]))
    return found
