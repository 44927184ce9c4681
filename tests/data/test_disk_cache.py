"""Arrays on disk: made once per key, never half, never those of another key."""

import concurrent.futures
import hashlib
import os
import pathlib
import stat
import subprocess
import sys
import time

import jax.numpy as jnp
import numpy as np
import pytest

from catpose.data import disk_cache
from catpose.errors import InputError

ARRAYS = {
    "image": np.arange(24, dtype=np.uint8).reshape(2, 3, 4),
    "whole": np.array([True, False]),
    "none": np.zeros((0, 3, 3), np.float32),
}


class Maker:
    """Counts how often it is asked."""

    def __init__(self, arrays):
        self.arrays, self.calls = arrays, 0

    def __call__(self, _):
        self.calls += 1
        return self.arrays


def test_made_once_and_mapped_read_only(tmp_path):
    make = Maker(ARRAYS)
    for _ in range(3):
        found = disk_cache.stored(tmp_path / "a" / "b", "photos", "k1", make)
        assert make.calls == 1
        assert found.keys() == ARRAYS.keys()
        for name, expected in ARRAYS.items():
            assert found[name].dtype == expected.dtype
            np.testing.assert_array_equal(found[name], expected)
            assert isinstance(found[name], np.memmap)
    with pytest.raises(ValueError, match="read-only"):
        found["image"][0] = 1
    assert stat.S_IMODE((tmp_path / "a" / "b").stat().st_mode) == 0o700


def test_another_key_or_name_is_another_entry(tmp_path):
    disk_cache.stored(tmp_path, "photos", "k1", Maker(ARRAYS))
    for name, key in (("photos", "k2"), ("features", "k1")):
        other = Maker({"image": np.ones(3)})
        np.testing.assert_array_equal(
            disk_cache.stored(tmp_path, name, key, other)["image"], np.ones(3)
        )
        assert other.calls == 1


@pytest.mark.parametrize("name", ["image.npy", "crc32.json"])
def test_a_flipped_bit_is_told_and_the_entry_made_again(tmp_path, name, capfd):
    make = Maker(ARRAYS)
    disk_cache.stored(tmp_path, "photos", "k", make)
    path = tmp_path / "photos-k" / name
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    assert capfd.readouterr().err == ""
    found = disk_cache.stored(tmp_path, "photos", "k", make)
    assert make.calls == 2
    np.testing.assert_array_equal(found["image"], ARRAYS["image"])
    line = capfd.readouterr().err
    assert line.startswith(f"{tmp_path / 'photos-k'}/")
    assert line.endswith(": this part of the cache is made again\n")
    disk_cache.stored(tmp_path, "photos", "k", make)
    assert make.calls == 2
    assert [path.name for path in tmp_path.iterdir()] == ["photos-k"]


def test_an_entry_is_renewed_from_the_one_before(tmp_path):
    before = disk_cache.stored(tmp_path, "photos", "k", Maker(ARRAYS))

    def again(_):
        return {"image": before["image"] + 1}

    found = disk_cache.stored(tmp_path, "photos", "k", again, renew=True)
    assert found.keys() == {"image"}
    np.testing.assert_array_equal(found["image"], ARRAYS["image"] + 1)
    assert [path.name for path in tmp_path.iterdir()] == ["photos-k"]


@pytest.mark.parametrize(
    "error", [RuntimeError("stop"), KeyboardInterrupt(), OSError("of its own")]
)
def test_a_maker_that_fails_leaves_nothing_and_keeps_its_error(tmp_path, error):
    def fail(_):
        raise error

    with pytest.raises(type(error)) as caught:
        disk_cache.stored(tmp_path, "photos", "k", fail)
    assert caught.value is error
    assert not list(tmp_path.iterdir())


def test_a_killed_writer_leaves_no_entry(tmp_path):
    # Dies by a signal in the middle of writing, as no handler could clean up.
    script = """
import os, pathlib, signal, sys
import numpy as np
from catpose.data import disk_cache
save = np.save
def save_one(path, array):
    save(path, array)
    os.kill(os.getpid(), signal.SIGKILL)
np.save = save_one
make = lambda _: {"a": np.zeros(3), "b": np.zeros(3)}
disk_cache.stored(pathlib.Path(sys.argv[1]), "photos", "k", make)
"""
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=False)
    assert done.returncode < 0
    assert [path.suffix for path in tmp_path.iterdir()] == [".partial"]
    make = Maker(ARRAYS)
    assert disk_cache.stored(tmp_path, "photos", "k", make).keys() == ARRAYS.keys()
    assert make.calls == 1
    # Somebody could still be at work on it; not so after a day.
    (left,) = tmp_path.glob("*.partial")
    os.utime(left, (0, time.time() - 25 * 3600))
    disk_cache.stored(tmp_path, "photos", "other", Maker(ARRAYS))
    assert not left.exists()


def test_the_remains_of_a_process_with_the_same_number_do_not_matter(tmp_path):
    # In a container the first process always has the same number.
    (tmp_path / f"photos-k.{os.getpid()}.partial").mkdir()
    assert disk_cache.stored(tmp_path, "photos", "k", Maker(ARRAYS)).keys() == ARRAYS.keys()


def test_writers_at_the_same_time_get_along(tmp_path):
    def fast_one_overtakes(_):
        disk_cache.stored(tmp_path, "photos", "k", Maker(ARRAYS))
        return ARRAYS

    found = disk_cache.stored(tmp_path, "photos", "k", fast_one_overtakes)
    np.testing.assert_array_equal(found["image"], ARRAYS["image"])
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        all_found = list(
            pool.map(lambda _: disk_cache.stored(tmp_path, "photos", "k2", Maker(ARRAYS)), range(8))
        )
    for found in all_found:
        np.testing.assert_array_equal(found["image"], ARRAYS["image"])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos-k", "photos-k2"]


def test_a_folder_that_cannot_be_written_is_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    make = Maker(ARRAYS)
    with pytest.raises(InputError, match=r"cannot write the cache .*cache_dir=DIR$") as caught:
        disk_cache.stored(tmp_path / "file", "photos", "k", make)
    assert make.calls == 0
    assert "\n" not in str(caught.value)


def test_a_full_disk_is_told_and_leaves_nothing(tmp_path, monkeypatch):
    def save(path, array):
        pathlib.Path(path).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(disk_cache.np, "save", save)
    with pytest.raises(InputError, match="No space left on device"):
        disk_cache.stored(tmp_path, "photos", "k", Maker(ARRAYS))
    assert not list(tmp_path.iterdir())


def test_arrays_may_be_filled_in_place(tmp_path):
    def make(new_fn):
        image = new_fn("image", (2, 3, 4), np.uint8)
        image[:] = ARRAYS["image"]
        assert new_fn("none", (0, 3, 3), np.float32).shape == (0, 3, 3)
        return {"whole": ARRAYS["whole"]}

    found = disk_cache.stored(tmp_path, "photos", "k", make)
    assert found.keys() == ARRAYS.keys()
    for name, expected in ARRAYS.items():
        np.testing.assert_array_equal(found[name], expected)
        assert found[name].dtype == expected.dtype


def test_a_disk_too_small_is_told_before_anything_is_filled(tmp_path):
    # More than any disk has; a file with holes would be made without complaint.
    def make(new_fn):
        new_fn("image", (1 << 20, 1 << 25), np.uint8)
        raise AssertionError("went on")

    with pytest.raises(InputError, match="cannot write the cache .*cache_dir=DIR$"):
        disk_cache.stored(tmp_path, "photos", "k", make)
    assert not list(tmp_path.iterdir())


def test_digest_tells_everything_apart():
    array = np.arange(6, dtype=np.float32)
    parts = [
        (),
        ("a",),
        ("a", "b"),
        ("ab",),
        (["a", "b"],),
        (b"a",),
        (1,),
        (1.5,),
        (None,),
        ({"x": 1, "y": 2},),
        (array,),
        (array.astype(np.float64),),
        (array.reshape(2, 3),),
        (array.reshape(3, 2),),
        (array[::-1],),
        (array + np.float32(1e-7),),
        (np.zeros((0, 4)),),
        (np.array(["a", "b"]),),
    ]
    assert len({disk_cache.digest(*part) for part in parts}) == len(parts)
    assert disk_cache.digest({"x": 1, "y": 2}) == disk_cache.digest({"y": 2, "x": 1})
    strided = np.arange(12, dtype=np.float32)[::2]
    assert disk_cache.digest(strided) == disk_cache.digest(strided.copy())


def test_digest_is_the_same_in_every_process():
    # Python's own hashes of strings are not.
    script = (
        "from catpose.data import disk_cache as d; print(d.digest('a', ('b', 1.5), {'c': None}))"
    )
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == disk_cache.digest("a", ("b", 1.5), {"c": None})


def test_sha256_sees_values_names_and_types():
    trees = [
        {"a": jnp.zeros(2), "b": jnp.ones(2)},
        {"a": jnp.zeros(2), "c": jnp.ones(2)},
        {"b": jnp.zeros(2), "a": jnp.ones(2)},
        {"a": jnp.zeros(2), "b": jnp.full(2, 1 + 2**-23)},
        {"a": jnp.zeros(2, jnp.bfloat16), "b": jnp.ones(2)},
        {"a": jnp.zeros((2, 1)), "b": jnp.ones(2)},
        {"a": -jnp.zeros(2), "b": jnp.ones(2)},
    ]
    assert len({disk_cache.sha256(tree) for tree in trees}) == len(trees)
    host = {"a": np.zeros(2, np.float32), "b": np.ones(2, np.float32)}
    assert disk_cache.sha256(host) == disk_cache.sha256(trees[0])
    assert len(disk_cache.sha256(host)) == hashlib.sha256().digest_size * 2


def test_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert disk_cache.cache_dir() == tmp_path / ".cache" / "catpose"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert disk_cache.cache_dir() == tmp_path / "xdg" / "catpose"
    assert disk_cache.cache_dir(f"{tmp_path}/here") == tmp_path / "here"
