"""tests/bit_flips.py: which files it damages, in which order."""

import pathlib
import random
from collections import Counter

from tests import bit_flips

FILES = {
    "run": [pathlib.Path(f"checkpoints/{number}") for number in range(50)],
    "network": [pathlib.Path("config.json"), pathlib.Path("weights")],
    "photos": [pathlib.Path("image.npy")],
}


def test_few_flips_reach_every_subject_and_many_every_file():
    orders = [bit_flips.order(FILES, random.Random(seed)) for seed in range(20)]
    for order in orders:
        assert {name for name, _ in order[: len(FILES)]} == set(FILES)
        assert Counter(order) == Counter((name, path) for name in FILES for path in FILES[name])
    assert len({order[0][0] for order in orders}) > 1
    assert len({tuple(order) for order in orders}) == len(orders)
    assert bit_flips.order(FILES, random.Random(3)) == orders[3]


def test_only_files_with_bits_are_damaged(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "whole").write_bytes(b"1")
    (tmp_path / "empty").touch()
    assert bit_flips.files(tmp_path) == [pathlib.Path("inner/whole")]
