"""Files of weights in all formats: found by their content, and told where they are not whole."""

import os
import pathlib
import pickle
import resource
import struct
import zipfile

import h5py
import numpy as np
import pytest
import safetensors.numpy

from catpose.errors import InputError
from catpose.models import torch_files, weight_files
from tests.support.paths import TESTS

GOLDEN = TESTS / "golden"
VALUES = np.arange(6, dtype=np.float32).reshape(2, 3)


class Global:
    """Pickled as the global name and called with arguments on loading."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


class TorchPickler(pickle._Pickler):
    """Writes storages as torch.save does, and names of torch that are not installed here."""

    def persistent_id(self, obj):
        return obj.values if isinstance(obj, StorageId) else None

    def save_global(self, obj, name=None):
        self.write(f"c{obj.module}\n{obj.name}\n".encode())

    dispatch = pickle._Pickler.dispatch.copy()


class StorageId:
    def __init__(self, *values):
        self.values = values


class TorchName:
    def __init__(self, module, name):
        self.module, self.name = module, name


TorchPickler.dispatch[TorchName] = TorchPickler.save_global


class Call:
    """A tensor as it is pickled: a function of torch's and its arguments."""

    def __init__(self, function, *arguments):
        self.function, self.arguments = function, arguments


def save_call(self, obj):
    self.save(TorchName("torch._utils", obj.function))
    self.save(obj.arguments)
    self.write(pickle.REDUCE)


TorchPickler.dispatch[Call] = save_call


def tensor(size, stride, *, key="0", count=6, offset=0, kind="FloatStorage", view=()):
    storage = StorageId("storage", TorchName("torch", kind), key, "cpu", count, *view)
    return Call("_rebuild_tensor_v2", storage, offset, size, stride, False, {})


def write_pth(path, content, *storages, compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as archive:
        with archive.open("archive/data.pkl", "w") as stream:
            TorchPickler(stream, protocol=2).dump(content)
        for key, storage in enumerate(storages):
            archive.writestr(f"archive/data/{key}", storage)


def write_legacy(path, content, storages):
    """As torch.save of PyTorch 1.5: five pickles, then each storage behind its length."""
    system = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"int": 4}}
    with path.open("wb") as stream:
        for part in (0x1950A86A20F9469CFC6C, 1001, system):
            pickle.dump(part, stream, protocol=2)
        TorchPickler(stream, protocol=2).dump(content)
        pickle.dump(list(storages), stream, protocol=2)
        for values in storages.values():
            stream.write(struct.pack("<q", len(values)) + values.tobytes())


@pytest.fixture
def files(tmp_path):
    """The same array in every format."""
    arrays = {"a.weight": VALUES}
    np.savez(tmp_path / "w.npz", **arrays)
    safetensors.numpy.save_file(arrays, tmp_path / "w.safetensors")
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file["a.weight"] = VALUES
    write_pth(tmp_path / "w.pth", {"a.weight": tensor((2, 3), (3, 1))}, VALUES.tobytes())
    write_legacy(
        tmp_path / "old.pth",
        {"a.weight": tensor((2, 3), (3, 1), view=(None,))},
        {"0": VALUES.ravel()},
    )
    return tmp_path


FORMATS = ["w.npz", "w.safetensors", "w.h5", "w.pth", "old.pth"]


@pytest.mark.parametrize("name", FORMATS)
def test_the_content_says_which_format_it_is(files, name):
    (files / name).rename(files / "weights.bin")
    (array,) = weight_files.read(files / "weights.bin").values()
    assert array.shape == (2, 3)
    np.testing.assert_array_equal(array, VALUES)


@pytest.mark.parametrize("name", FORMATS)
def test_half_of_a_file_is_told(files, name):
    whole = (files / name).read_bytes()
    for length in range(0, len(whole), 7):
        (files / name).write_bytes(whole[:length])
        with pytest.raises(InputError, match=rf"{name}( is damaged|: it is )"):
            np.asarray(weight_files.read(files / name)["a.weight"])


@pytest.mark.parametrize("name", ["w.npz", "w.pth"])
def test_a_flipped_bit_is_told(files, name):
    content = bytearray((files / name).read_bytes())
    content[content.index(VALUES.tobytes()) + 5] ^= 4
    (files / name).write_bytes(content)
    with pytest.raises(InputError, match="damaged or half downloaded .Bad CRC-32.*download it ag"):
        np.asarray(weight_files.read(files / name)["a.weight"])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "it is empty; download it again"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a", "run git lfs pull"),
        (b"<!DOCTYPE html><html>404", "it is a web page, not weights"),
        (b"\xef\xbb\xbf\n  <?xml version='1.0'?><Error>AccessDenied", "it is a web page"),
        (b'{"error": "not found"}', "it is not a file of weights"),
        (bytes(4096), "it is not a file of weights"),
        (pickle.dumps({"a": 1}), "a pickle, but not of torch.save"),
    ],
)
@pytest.mark.parametrize("name", ["w.npz", "w.h5", "w.safetensors", "w.pth"])
def test_what_was_downloaded_in_the_place_of_weights(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=message):
        weight_files.read(tmp_path / name)


def test_a_zip_archive_of_something_else(tmp_path):
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("README.md", "weights")
    with pytest.raises(InputError, match=r"w.pth: it is a zip archive without arrays, of README"):
        weight_files.read(tmp_path / "w.pth")


@pytest.mark.parametrize(
    "prefix",
    ["module.", "_orig_mod.", "module._orig_mod.", "model.", "backbone.", "state_dict.model.",
     "model_state_dict.module.", "model_ema.", "net."],
)  # fmt: skip
@pytest.mark.parametrize("name", ["w.npz", "w.safetensors", "w.h5"])
def test_prefixes_are_taken_off_in_every_format(tmp_path, name, prefix):
    arrays = {f"{prefix}layer1.model.weight": VALUES}
    if name == "w.npz":
        np.savez(tmp_path / name, **arrays)
    elif name == "w.h5":
        with h5py.File(tmp_path / name, "w") as file:
            file[f"{prefix}layer1.model.weight"] = VALUES
    else:
        safetensors.numpy.save_file(arrays, tmp_path / name)
    assert list(weight_files.read(tmp_path / name)) == ["layer1.model.weight"]


def test_wrappers_of_state_dictionaries(tmp_path):
    own, average = tensor((2, 3), (3, 1)), tensor((1,), (1,))
    for content, shape in (
        ({"epoch": 3, "model_state_dict": {"module.a": own}}, (2, 3)),
        ({"model": {"state_dict": {"a": own}}, "optimizer": {"state": {0: own}}}, (2, 3)),
        ({"model_ema": {"a": average}}, (1,)),
        ({"model_ema": {"a": average}, "model": {"a": own}}, (2, 3)),
        ({"net": {"a": Call("_rebuild_parameter", own, True, {})}}, (2, 3)),
    ):
        write_pth(tmp_path / "w.pth", content, VALUES.tobytes())
        assert {n: a.shape for n, a in weight_files.read(tmp_path / "w.pth").items()} == {
            "a": shape
        }
    write_pth(tmp_path / "w.pth", {"epoch": 3, "weights": {"a": own}}, VALUES.tobytes())
    with pytest.raises(InputError, match="it has no tensors.*its keys are epoch, weights;"):
        weight_files.read(tmp_path / "w.pth")
    write_pth(tmp_path / "w.pth", {"a": own, "module.a": own}, VALUES.tobytes())
    with pytest.raises(InputError, match="it has a twice, the second time as module.a"):
        weight_files.read(tmp_path / "w.pth")


def test_several_storages_of_a_file_before_pytorch_16(tmp_path):
    content = {
        "state_dict": {
            "a": tensor((3, 2), (1, 3), view=(None,)),
            "b": tensor((2,), (1,), key="7", count=3, offset=1, kind="LongStorage", view=(None,)),
        }
    }
    storages = {"7": np.array([5, -6, 7]), "0": VALUES.ravel()}
    write_legacy(tmp_path / "w.pth.tar", content, storages)
    arrays = weight_files.read(tmp_path / "w.pth.tar")
    np.testing.assert_array_equal(arrays["a"], VALUES.T)
    np.testing.assert_array_equal(arrays["b"], [-6, 7])
    write_legacy(tmp_path / "w.pth.tar", content, storages | {"0": VALUES.ravel()[:4]})
    with pytest.raises(InputError, match="its storage 0 has 4 values, not 6"):
        weight_files.read(tmp_path / "w.pth.tar")


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_cannot_run_code(tmp_path, legacy):
    marker, path = tmp_path / "marker", tmp_path / "weights.pth"
    for function, arguments in (
        (os.mkdir, (str(marker),)),
        (eval, ("1 + 1",)),
        (getattr, ("text", "upper")),
    ):
        content = pickle.dumps({"conv1.weight": Global(function, *arguments)}, 2)
        if legacy:
            parts = [0x1950A86A20F9469CFC6C, 1001, {}]
            path.write_bytes(b"".join(pickle.dumps(part, 2) for part in parts) + content)
        else:
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("archive/data.pkl", content)
        with pytest.raises(InputError, match="only tensors are read: save model.state_dict"):
            weight_files.read(path)
    assert not marker.exists()


def test_a_pickle_cannot_take_memory(tmp_path):
    """A number of an object of 2**29 makes a table of 4 GB."""
    with zipfile.ZipFile(tmp_path / "w.pth", "w") as archive:
        archive.writestr("archive/data.pkl", b"\x80\x02}r" + struct.pack("<I", 2**29) + b".")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(InputError, match="far more memory"):
        weight_files.read(tmp_path / "w.pth")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000


def test_files_that_claim_to_be_large_are_not_read(tmp_path):
    """A compressed array of zeros, and a dataset without data, of 2.4 GB each."""
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("a.npy", "w") as stream:
            header = {"descr": "<f4", "fortran_order": False, "shape": (600 << 20,)}
            np.lib.format.write_array_header_1_0(stream, header)
    with pytest.raises(InputError, match=r"a is not of its own size, \(629145600,\)"):
        weight_files.read(tmp_path / "a.npz")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (600 << 20,), "f4", chunks=(1 << 20,))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert weight_files.read(tmp_path / "a.h5")["a"].shape == (600 << 20,)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss < before + 100_000
    write_pth(tmp_path / "a.pth", {}, bytes(1 << 20), compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(InputError, match="it is compressed, which torch.save does not do"):
        weight_files.read(tmp_path / "a.pth")


def test_an_h5_file_reads_no_other_file(tmp_path):
    (tmp_path / "secret").write_bytes(bytes(16))
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("a", (4,), "f4", external=[(str(tmp_path / "secret"), 0, 16)])
    with pytest.raises(InputError, match="a is in another file"):
        weight_files.read(tmp_path / "a.h5")


def storage(values):
    return torch_files.Storage(values.dtype, len(values), values.tobytes)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (5,), (1,)), (1, (2, 2), (2, 1)), (0, (2,), (2**62,)), (4, (), ()), (2**63, (1,), (1,))],
)
def test_a_tensor_cannot_reach_outside_its_storage(offset, size, stride):
    with pytest.raises(InputError, match="outside its storage"):
        torch_files.tensor(storage(np.arange(4, dtype=np.float32)), offset, size, stride)


@pytest.mark.parametrize(
    ("offset", "size", "stride"),
    [(0, (2,), (-1,)), (-1, (2,), (1,)), (0, (2,), (np.int64(1),)), (0, (True,), (1,)),
     (0, (2,), (torch_files.Tensor((), lambda: np.int64(2**62)),))],
)  # fmt: skip
def test_sizes_and_strides_are_positive_integers(offset, size, stride):
    with pytest.raises(InputError, match="not a positive integer"):
        torch_files.tensor(storage(np.arange(4, dtype=np.float32)), offset, size, stride)


def test_strided_tensors():
    values = storage(np.arange(12, dtype=np.float32))

    def read(*arguments):
        return torch_files.tensor(values, *arguments).read_fn()

    np.testing.assert_array_equal(read(2, (3, 2), (1, 4)), [[2, 6], [3, 7], [4, 8]])
    np.testing.assert_array_equal(read(5, (), ()), 5)
    np.testing.assert_array_equal(read(7, (2, 3), (0, 0)), np.full((2, 3), 7))  # expanded
    assert read(12, (0, 3), (3, 1)).shape == (0, 3)


def test_the_golden_files_are_found_by_their_names():
    names = {path.name: set(weight_files.read(path)) for path in pathlib.Path(GOLDEN).glob("*.pt*")}
    assert "conv1.weight" in names["torch_bottleneck.pth"] & names["torch_basic_wrapped.pt"]
