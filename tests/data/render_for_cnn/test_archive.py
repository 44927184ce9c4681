"""Files of folders and tars, read in place; incomplete tars are not taken for whole."""

import bz2
import concurrent.futures
import gzip
import io
import lzma
import os
import tarfile

import pytest

from catpose.data.render_for_cnn import archive
from catpose.errors import InputError

LONG = "a_long_name_" + "x" * 60
CONTENT = {
    f"{folder}/{LONG}_{i}.png": os.urandom(0 if i == 3 else 700 * i + 1)
    for folder in ("02691156/" + "f" * 32, "02958343/" + "0" * 31, "Ordner ü")
    for i in range(5)
} | {"top.png": b"top", "notes.txt": b"not wanted"}
FORMATS = {"gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT, "ustar": tarfile.USTAR_FORMAT}


def folder(tmp_path):
    for name, content in CONTENT.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return str(tmp_path / "folder")


def tar(tmp_path, form=tarfile.GNU_FORMAT, prefix="some/renders/"):
    path = tmp_path / "some.tar"
    with tarfile.open(path, "w", format=form) as file:
        link = tarfile.TarInfo("link.png")
        link.type, link.linkname = tarfile.SYMTYPE, "top.png"
        file.addfile(link)
        for name, content in CONTENT.items():
            info = tarfile.TarInfo(prefix + name)
            info.size, info.mtime = len(content), 1234567890.5 if form == FORMATS["pax"] else 12345
            file.addfile(info, io.BytesIO(content))
    return str(path)


def is_image(name):
    return name.endswith(".png")


def check(files, prefix=""):
    expected = {prefix + name: CONTENT[name] for name in CONTENT if is_image(name)}
    assert sorted(files.path) == sorted(expected)
    indices = range(len(files.path))
    where, begin = files.inspect(indices, 2)
    for i, path in enumerate(files.path):
        assert files.name(i) == path.rsplit("/", 1)[-1]
        assert where[i, 1] == len(expected[path])
        assert begin[i] == expected[path][:2]
        assert files.read(i) == expected[path]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        read = list(pool.map(files.read, list(indices) * 20))
    assert read == [expected[path] for path in files.path] * 20


def test_a_folder(tmp_path):
    check(archive.find(folder(tmp_path), is_image, show_progress=False))


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_a_tar_of_every_format(tmp_path, form):
    # Long paths are written in three different ways.
    check(archive.find(tar(tmp_path, form), is_image, show_progress=False), "some/renders/")


@pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
def test_entries_of_other_kinds_are_passed_over(tmp_path, form):
    path = tmp_path / "some.tar"
    options = {"pax_headers": {"comment": "of all"}} if form == FORMATS["pax"] else {}
    long = "x" * (90 if form == FORMATS["ustar"] else 200)
    with tarfile.open(path, "w", format=form, **options) as file:
        for number, (kind, name) in enumerate(
            [
                (tarfile.DIRTYPE, "folder.png"), (tarfile.REGTYPE, "folder.png/0.png"),
                (tarfile.LNKTYPE, "hard.png"), (tarfile.SYMTYPE, f"{long}.png"),
                (tarfile.AREGTYPE, "1.png"), (tarfile.FIFOTYPE, "fifo.png"),
                (tarfile.CONTTYPE, f"{long}/2.png"), (b"Z", "unknown.png"),
                (tarfile.REGTYPE, "3.png"),
            ]
        ):  # fmt: skip
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.mtime = kind, long, number
            if kind in (*tarfile.REGULAR_TYPES, b"Z"):
                info.size = 1000
                file.addfile(info, io.BytesIO(bytes([number]) * 1000))
            else:
                info.size = 4096 if kind == tarfile.DIRTYPE else 0  # some write a folder's own size
                file.addfile(info)
    files = archive.find(str(path), is_image, show_progress=False)
    expected = {
        "folder.png/0.png": 1, "1.png": 4, f"{long}/2.png": 6, "3.png": 8,
    }  # fmt: skip
    assert files.path == list(expected)
    for i, number in enumerate(expected.values()):
        assert files.read(i) == bytes([number]) * 1000
        assert files.inspect([i], 1)[0][0, 2] == number
    # As Python's own module has it.
    with tarfile.open(path) as file:
        members = [m for m in file.getmembers() if m.isreg() and m.type != b"Z"]
    assert [(m.name, m.offset_data) for m in members] == list(
        zip(files.path, files.inspect(range(4), 0)[0][:, 0].tolist(), strict=True)
    )


def test_large_and_negative_numbers():
    info = tarfile.TarInfo("a.png")
    for size, time in ((8**11 + 5, -1), (2**62, 2**40), (8**11 - 1, 0)):
        info.size, info.mtime = size, time
        assert archive._numbers(info.tobuf(tarfile.GNU_FORMAT)) == (size, time)


def test_sparse_files_are_refused(tmp_path):
    info = tarfile.TarInfo("a.png")
    info.type = tarfile.GNUTYPE_SPARSE
    (tmp_path / "a.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    with pytest.raises(InputError, match="a.tar has sparse files; unpack it and give the folder$"):
        archive.find(str(tmp_path / "a.tar"), is_image, show_progress=False)


@pytest.mark.parametrize(
    "records", [b"0 a=b\n", b"x path=b\n", b"99 path=b\n", b"-5 path=b\n", b"12 size=abc\n"]
)
def test_damaged_extended_headers(tmp_path, records):
    first, extended, last = tarfile.TarInfo("0.png"), tarfile.TarInfo("x"), tarfile.TarInfo("a.png")
    extended.type, extended.size = tarfile.XHDTYPE, len(records)
    blocks = [info.tobuf(tarfile.USTAR_FORMAT) for info in (first, extended, last)]
    blocks.insert(2, records.ljust(512, b"\0"))
    (tmp_path / "a.tar").write_bytes(b"".join(blocks) + bytes(1024))
    path = tmp_path / "a.tar"
    with pytest.raises(InputError, match="a.tar breaks off after 1 files"):
        archive.find(str(path), is_image, show_progress=False)
    # As large as no memory is.
    extended.size = 2**50
    blocks[1] = extended.tobuf(tarfile.GNU_FORMAT)
    path.write_bytes(b"".join(blocks) + bytes(1024))
    with pytest.raises(InputError, match="a.tar breaks off after 1 files"):
        archive.find(str(tmp_path / "a.tar"), is_image, show_progress=False)


def test_times_of_change(tmp_path):
    root = folder(tmp_path)
    os.utime(os.path.join(root, "top.png"), ns=(5, 1234567890123456789))
    files = archive.find(root, lambda name: name == "top.png", show_progress=False)
    assert files.inspect([0], 1)[0][0, 2] == 1234567890123456789
    files = archive.find(tar(tmp_path), is_image, show_progress=False)
    assert files.inspect([0], 1)[0][0, 2] == 12345


def test_pipes_and_dead_links_are_no_files(tmp_path):
    folder(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")  # opening it would wait for a writer
    (tmp_path / "dead.png").symlink_to(tmp_path / "absent.png")
    found = archive.find(str(tmp_path), is_image, show_progress=False).path
    assert not {"pipe.png", "dead.png"} & {name.rpartition("/")[2] for name in found}
    assert found


def test_links_in_a_circle_end(tmp_path):
    root = folder(tmp_path)
    os.symlink(root, os.path.join(root, "circle"))
    found = archive.find(root, lambda name: name == "top.png", show_progress=False)
    assert len(found.path) == archive.MAX_DEPTH + 1


COMPRESSED = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}


@pytest.mark.parametrize("ending", COMPRESSED)
def test_compressed_tars_are_refused_with_the_remedy(tmp_path, ending):
    plain = tar(tmp_path)
    path = tmp_path / "some.tgz"
    with open(plain, "rb") as file:
        path.write_bytes(COMPRESSED[ending](file.read()))
    with pytest.raises(
        InputError, match=r"some.tgz is compressed; unpack it \(tar -xf\)"
    ) as caught:
        archive.find(str(path), is_image, show_progress=False)
    assert "\n" not in str(caught.value)


def test_a_tar_that_breaks_off_anywhere(tmp_path):
    with open(tar(tmp_path), "rb") as file:
        whole = file.read()
    path = tmp_path / "cut.tar"
    with tarfile.open(tmp_path / "some.tar") as file:
        members = file.getmembers()
    last = members[-1]
    end = last.offset_data + -(-last.size // 512) * 512
    cuts = {m.offset for m in members[2:]}  # at a file's start, as if it ended there
    cuts |= {m.offset + 100 for m in members[2:]} | {m.offset_data + 1 for m in members[2:]}
    for cut in sorted(cuts | {end - 1, end, end + 511}):  # before the mark of the end
        path.write_bytes(whole[:cut])
        with pytest.raises(InputError, match="breaks off after .* files; copy it again, or unpack"):
            archive.find(str(path), is_image, show_progress=False)
    path.write_bytes(whole[: end + 512])
    check(archive.find(str(path), is_image, show_progress=False), "some/renders/")


@pytest.mark.parametrize("place", [3, 126, 150, 300])
def test_a_tar_with_a_damaged_header(tmp_path, place):
    path = tar(tmp_path)
    with tarfile.open(path) as file:
        middle = file.getmembers()[8]
    with open(path, "rb") as file:
        content = bytearray(file.read())
    content[middle.offset + place] ^= 1
    with open(path, "wb") as file:
        file.write(content)
    with pytest.raises(InputError, match="some.tar breaks off after [1-9] files"):
        archive.find(path, is_image, show_progress=False)


def test_times_of_access_are_no_part_of_a_path(tmp_path):
    # GNU's incremental archives have them where POSIX has the beginning of a long path.
    header = bytearray(tarfile.TarInfo("a.png").tobuf(tarfile.GNU_FORMAT))
    header[345:357] = b"14012345670\0"
    header[148:156] = b" " * 8
    header[148:155] = b"%06o\0" % sum(header)
    (tmp_path / "a.tar").write_bytes(header + bytes(1024))
    assert archive.find(str(tmp_path / "a.tar"), is_image, show_progress=False).path == ["a.png"]


def test_no_folder_and_no_tar(tmp_path):
    page = tmp_path / "page.tar"
    page.write_text("<html>404 not found</html>" * 100)
    for root, message in (
        (tmp_path / "missing", "^no folder or tar .*missing$"),
        (page, "page.tar is neither a folder nor a tar of files$"),
    ):
        with pytest.raises(InputError, match=message) as caught:
            archive.find(str(root), is_image, show_progress=False)
        assert "\n" not in str(caught.value)
    (tmp_path / "empty.tar").touch()
    with pytest.raises(InputError, match="empty.tar is neither a folder nor a tar"):
        archive.find(str(tmp_path / "empty.tar"), is_image, show_progress=False)
