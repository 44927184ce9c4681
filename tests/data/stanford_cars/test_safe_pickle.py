"""Pickles are read as pickle reads them, as long as they are plain, and never run."""

import collections
import io
import os
import pickle
import struct

import numpy as np
import pytest

from catpose.data.stanford_cars import safe_pickle
from catpose.errors import InputError

ARRAYS = [
    np.arange(6, dtype=np.float64).reshape(2, 3) / 7,
    np.asfortranarray(np.arange(12, dtype=np.int16).reshape(3, 4)),
    np.arange(4, dtype=">i4"),
    np.array([True, False]),
    np.array(2.5, np.float32),
    np.zeros((0, 3)),
    np.array(["ä", "longer"]),
    np.array([b"a", b"bc"]),
    np.array([1 + 2j]),
]
PLAIN = {
    "00001.jpg": {
        "azimuth": 0.1,
        "model": "abc",
        "list": [1, (2, None, True)],
        "bytes": b"\x00\xff",
    },
    7: {1, 2},
    "ordered": collections.OrderedDict(a=1),
    "number": np.float64(1 / 3),
    "integer": np.int64(-(2**40)),
}


def write(tmp_path, data):
    path = tmp_path / "file.pkl"
    path.write_bytes(data)
    return path


def same(ours, theirs):
    if isinstance(theirs, np.ndarray | np.generic):
        assert ours.dtype.newbyteorder("=") == theirs.dtype.newbyteorder("=")
        assert ours.shape == theirs.shape
        np.testing.assert_array_equal(ours, theirs)
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, list | tuple):
        assert type(ours) is type(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    else:
        assert ours == theirs


@pytest.mark.parametrize("protocol", range(6))
def test_plain_data_of_every_protocol(tmp_path, protocol):
    content = [PLAIN, ARRAYS, (ARRAYS[0], ARRAYS[0])]
    data = pickle.dumps(content, protocol)
    same(safe_pickle.read(write(tmp_path, data)), pickle.loads(data))


@pytest.mark.parametrize("protocol", range(4))
def test_what_numpy_before_2_wrote(tmp_path, protocol):
    data = pickle.dumps(ARRAYS, protocol)
    old = data.replace(b"numpy._core.", b"numpy.core.")
    assert old != data
    same(safe_pickle.read(write(tmp_path, old)), ARRAYS)


def test_what_python_2_wrote(tmp_path):
    # As the published pose files are: text, byte strings and unicode strings as keys.
    data = b"(dp0\nS'00002.jpg'\np1\n(dp2\nVazimuth\np3\nF1.25\nsS'v'\np4\nF-3.5\n"
    data += b"sS'id'\nS'a\\xe4'\nss."
    expected = {"00002.jpg": {"azimuth": 1.25, "v": -3.5, "id": "aä"}}
    assert safe_pickle.read(write(tmp_path, data)) == expected
    value = struct.pack("<d", 1 / 3).decode("latin1")
    escaped = "".join(f"\\x{ord(c):02x}" for c in value)
    scalar = (
        "cnumpy.core.multiarray\nscalar\np0\n(cnumpy\ndtype\np1\n(S'f8'\np2\nI0\nI1\ntp3\nRp4\n"
        f"(I3\nS'<'\np5\nNNNI-1\nI-1\nI0\ntp6\nbS'{escaped}'\np7\ntp8\nRp9\n."
    )
    assert safe_pickle.read(write(tmp_path, scalar.encode())) == 1 / 3
    array = (
        "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n(I1\nt"
        f"cnumpy\ndtype\n(S'f8'\nI0\nI1\ntR(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\nS'{escaped}'\ntb."
    )
    read = safe_pickle.read(write(tmp_path, array.encode()))
    np.testing.assert_array_equal(read, [1 / 3])


class Evil:
    """Makes a file named by the variable of the environment when it is unpickled."""

    def __reduce__(self):
        return os.system, ("touch executed",)


class WithState:
    def __init__(self):
        self.value = 1


NAMES = [
    "posix\nsystem", "builtins\neval", "builtins\ngetattr", "__builtin__\nexec", "os\nsystem",
    "subprocess\nPopen", "numpy\nload", "numpy\nfromfile", "numpy\nvoid", "builtins\nbytearray",
    "numpy.core.multiarray\nfromstring", "numpy._core.multiarray\ndatetime_data",
    "functools\npartial", "copyreg\n_reconstructor", "builtins\nset.__class__",
    "numpy\ndtype.__setstate__", "\n",
]  # fmt: skip
STEPS = {name.replace("\n", "."): f"c{name}\n.".encode() for name in NAMES}
DTYPE = b"cnumpy\ndtype\n(S'%s'\nI0\nI1\ntR"
SCALAR = b"cnumpy.core.multiarray\nscalar\n(" + DTYPE + b"S'12345678'\ntR."
STEPS |= {
    "call": b"cos\nsystem\n(S'touch executed'\ntR.",
    "inst": b"(S'touch executed'\nios\nsystem\n.",
    "obj": b"(cos\nsystem\nS'touch executed'\no.",
    "extension": b"\x82\x01.",
    "persistent": b"Pname\n.",
    "object by its address": SCALAR % b"O8",
    "record": SCALAR % b"f4,O",
    "void": SCALAR % b"V8",
    "too few bytes": SCALAR % b"f4",
    "bytes by number": b"cnumpy.core.multiarray\nscalar\n(" + DTYPE % b"f8" + b"I8\ntR.",
    "no type": b"cnumpy.core.multiarray\nscalar\n(NS'12345678'\ntR.",
    "a type made a record": DTYPE % b"f8" + b"(I3\nS'<'\nN(S'a'\nt(dI-1\nI-1\nI0\ntb.",
    "state of a function": b"cnumpy\ndtype\n(dS'_function'\nNsb.",
    "slots of a function": b"cnumpy\ndtype\n(N(dS'_function'\nNstb.",
    "a function": b"cnumpy\ndtype\n.",
    "a type": DTYPE % b"f8" + b".",
    "new of a function": b"\x80\x02cnumpy\ndtype\n)\x81.",
    "call of a name": b"cnumpy\nndarray\n(tR.",
    "state of a name": b"cnumpy\nndarray\n(dS'a'\nNsb.",
    "another encoding": b"c_codecs\nencode\n(S'x'\nS'zlib'\ntR.",
    "a class of ours": pickle.dumps(WithState()),
    "objects in an array": pickle.dumps(np.array([1, "a"], object)),
    "records in an array": pickle.dumps(np.zeros(2, "f8,i4")),
    "evil": pickle.dumps({"00001.jpg": Evil()}),
    "evil of old": pickle.dumps({"00001.jpg": Evil()}, 0),
    "circle": b"(lp0\ng0\na.",
    "empty": b"",
    "half": pickle.dumps(ARRAYS)[:-40],
    "page": b"<html><body>404 not found</body></html>",
    "zip": b"PK\x03\x04 and so on",
}  # fmt: skip


@pytest.mark.parametrize("data", STEPS.values(), ids=STEPS.keys())
def test_anything_else_is_refused_and_not_run(tmp_path, monkeypatch, data):
    monkeypatch.chdir(tmp_path)
    path = write(tmp_path, data)
    with pytest.raises(InputError, match="^cannot read .*file.pkl as a pickle of plain") as caught:
        safe_pickle.read(path)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path) == ["file.pkl"]
    same(safe_pickle.read(write(tmp_path, pickle.dumps(ARRAYS))), ARRAYS)


def test_the_refused_pickles_would_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("call", "inst", "obj", "evil", "evil of old"):
        pickle.load(io.BytesIO(STEPS[name]))
        assert (tmp_path / "executed").exists(), name
        (tmp_path / "executed").unlink()


REASONS = {
    "state of a function": "it sets the state of a function",
    "slots of a function": "it sets the state of a function",
    "a function": "it holds a function or a type, which is no plain data",
    "a type": "it holds a function or a type, which is no plain data",
    "object by its address": "it has an array of 'O8'",
    "record": "it has an array of 'f4,O'",
    "void": "it has an array of 'V8'",
    "objects in an array": "it has an array of 'O8'",
    "records in an array": "it has an array of 'V12'",
    "a type made a record": "it has an array of records",
    "too few bytes": r"8 bytes are no array of shape \(\)",
    "bytes by number": "it has an array made of a int",
    "no type": "it has an array without a type",
    "another encoding": "it asks for the encoding 'zlib'",
}


@pytest.mark.parametrize("name", REASONS)
def test_each_is_refused_for_its_own_reason(tmp_path, name):
    with pytest.raises(InputError, match=f"pickle of plain data: {REASONS[name]}$"):
        safe_pickle.read(write(tmp_path, STEPS[name]))


def test_what_is_refused_is_named(tmp_path):
    with pytest.raises(InputError, match=r"it asks for os\.system, which is no plain data$"):
        safe_pickle.read(write(tmp_path, STEPS["call"]))
    with pytest.raises(InputError, match="^no pickle .*missing.pkl$"):
        safe_pickle.read(tmp_path / "missing.pkl")


def test_shared_parts_stay_shared(tmp_path):
    nested = [ARRAYS[0]]
    for _ in range(60):  # 2 ** 60 without sharing
        nested = [nested, nested]
    read = safe_pickle.read(write(tmp_path, pickle.dumps(nested)))
    for _ in range(60):
        assert read[0] is read[1]
        read = read[0]
    same(read, [ARRAYS[0]])


BOMBS = {
    "a memo of 2 ** 31 places": b"\x80\x02Nr\xff\xff\xff\x7f.",
    "text of 2 ** 62 bytes": b"\x80\x04\x8d" + struct.pack("<Q", 2**62) + b"abc.",
    "a frame of 2 ** 33 bytes": b"\x80\x04\x95" + struct.pack("<Q", 2**33) + b"N.",
    "a list in a list, 10 ** 5 times": b"\x80\x02" + b"]" * 10**5 + b"a" * (10**5 - 1) + b".",
    "an array of 2 ** 40 numbers": pickle.dumps(np.zeros(3)).replace(
        b"K\x03\x85", b"\x8a\x06" + (2**40).to_bytes(6, "little") + b"\x85"
    ),
    "a number of 5000 digits": b"I" + b"9" * 5000 + b"\n.",
}  # fmt: skip


@pytest.mark.parametrize("data", BOMBS.values(), ids=BOMBS)
def test_small_files_that_claim_much_are_refused(tmp_path, data):
    with pytest.raises(InputError, match=r"^cannot read .*file\.pkl") as caught:
        safe_pickle.read(write(tmp_path, data))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300
