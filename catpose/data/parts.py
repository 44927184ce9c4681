"""Examples that several processes make together: each makes, keeps and reads its own part.

Where the processes share a cache folder, each finds there what the others have made; where they do
not, it makes another part itself when one of its rows is asked for.
"""

import functools
import io
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np


class Share(NamedTuple):
    """A process's place among those that make examples together.

    Attributes:
      index: its number, from 0 on.
      count: how many there are.
      exchange_fn: called by all at the same time, with bytes of any length; returns those of all
        processes in their order.
    """

    index: int = 0
    count: int = 1
    exchange_fn: Callable[[bytes], list[bytes]] = lambda own: [own]


ALONE = Share()


class Parts:
    """Rows of an array that lies in parts, each opened when one of its rows is asked for.

    Attributes:
      rows: (N,) numbers in all parts together.
      shape: of the whole.
      dtype: of the whole.
      nbytes: of the whole.
    """

    def __init__(
        self,
        open_fns: Sequence[Callable[[], np.ndarray]],
        sizes: Sequence[int],
        row_shape: tuple[int, ...],
        rows: np.ndarray | None = None,
    ) -> None:
        self._open_fns, self._sizes = [functools.cache(fn) for fn in open_fns], sizes
        self._first = np.cumsum([0, *sizes])
        self.rows = np.arange(self._first[-1]) if rows is None else rows
        self.shape, self.dtype = (len(self.rows), *row_shape), np.dtype(np.uint8)
        self.nbytes = int(np.prod(self.shape))

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: int | np.integer | slice | np.ndarray) -> np.ndarray:
        wanted = np.asarray(self.rows[index])
        result = np.empty((*wanted.shape, *self.shape[1:]), self.dtype)
        owner = self._owners(wanted)
        for part in np.unique(owner):
            here = owner == part
            result[here] = self._open_fns[part]()[wanted[here] - self._first[part]]
        return result

    def take(self, index: np.ndarray) -> "Parts":
        """The rows that `index` picks, still unopened."""
        return Parts(self._open_fns, self._sizes, self.shape[1:], self.rows[index])

    def owners(self) -> np.ndarray:
        """(N,) in which part each row is."""
        return self._owners(self.rows)

    def _owners(self, rows: np.ndarray) -> np.ndarray:
        return np.asarray(np.searchsorted(self._first, rows, side="right") - 1)


def make(
    count: int,
    share: Share,
    open_fn: Callable[[int, int], Mapping[str, np.ndarray]],
    names: Sequence[str],
) -> dict[str, np.ndarray | Parts]:
    """What the processes of a job make of `count` examples.

    Args:
      count: number of examples.
      share: of this process.
      open_fn: (first, stop) -> arrays of these examples, `image` among them, made where nobody has
        made them yet.
      names: of the arrays that all processes need whole.

    Returns:
      These arrays, and `image`, of whose parts this process has opened its own.
    """
    if share.count == 1 or count < share.count:
        return dict(open_fn(0, count))
    bounds = [count * i // share.count for i in range(share.count + 1)]
    spans = list(zip(bounds[:-1], bounds[1:], strict=True))
    open_span = functools.cache(lambda part: open_fn(*spans[part]))
    own, file = open_span(share.index), io.BytesIO()
    np.savez(file, **{name: own[name] for name in names})
    # All have made their parts when this comes back.
    given = [np.load(io.BytesIO(content)) for content in share.exchange_fn(file.getvalue())]
    whole = {name: np.concatenate([each[name] for each in given]) for name in names}
    open_fns = [lambda part=part: open_span(part)["image"] for part in range(share.count)]
    image = Parts(open_fns, np.diff(bounds).tolist(), own["image"].shape[1:])
    return {**whole, "image": image}


def owners(image: np.ndarray | Parts, count: int) -> np.ndarray:
    """(N,) which of `count` processes has each row at hand."""
    if isinstance(image, Parts):
        return image.owners()
    return np.arange(len(image)) * count // max(len(image), 1)
