"""Readers that crash, hang or swell end in one line, and the next file is read all the same."""

import os
import pathlib
import signal
import time

import numpy as np
import pytest
import scipy.io

from catpose.data import guarded, matlab
from catpose.errors import InputError


def pid(path):
    return os.getpid()


def crash(path):
    os.kill(os.getpid(), signal.SIGSEGV)


def hang(path):
    while True:
        pass


def wait(path):
    time.sleep(30)


def swell(path):
    return len(bytearray(3 * 2**30))


def refuse(path, what):
    raise InputError(f"{path} is {what}")


def size(path):
    return pathlib.Path(path).stat().st_size


def test_one_child_serves_all_calls():
    child = guarded.read(pid, "a")
    assert child != os.getpid()
    assert guarded.read(pid, "b") == child
    with pytest.raises(InputError, match="^a is red$"):
        guarded.read(refuse, "a", "red")
    assert guarded.read(pid, "c") == child


def test_a_crash_is_one_line_and_another_child_follows():
    child = guarded.read(pid, "a")
    with pytest.raises(InputError, match=r"^cannot read b\.mat: .*ends the process that reads it$"):
        guarded.read(crash, "b.mat")
    assert guarded.read(pid, "a") not in (child, os.getpid())


def test_too_much_memory_is_one_line():
    child = guarded.read(pid, "a")
    with pytest.raises(InputError, match=r"^cannot read b\.mat: it takes more than 2 GiB"):
        guarded.read(swell, "b.mat")
    assert guarded.read(pid, "a") == child


def test_too_much_time_is_one_line(monkeypatch):
    monkeypatch.setattr(guarded, "SECONDS", 1)
    with pytest.raises(InputError, match=r"^cannot read b\.mat: .*takes more than 1 s$"):
        guarded.read(hang, "b.mat")


def test_signals_to_all_processes_of_a_job_are_for_the_parent():
    child = guarded.read(pid, "a")
    for stop in (signal.SIGINT, signal.SIGTERM):
        os.kill(child, stop)
    assert guarded.read(pid, "a") == child


def test_a_named_pipe_is_refused(tmp_path):
    os.mkfifo(tmp_path / "a.mat")
    with pytest.raises(InputError, match=r"a\.mat: it is no regular file$"):
        matlab.load(tmp_path / "a.mat", "record")


def test_names_are_of_the_folder_of_the_caller(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"123")
    guarded.read(pid, "a")
    monkeypatch.chdir(tmp_path)
    assert guarded.read(size, "a") == 3


def test_an_answer_that_nobody_waits_for_is_not_taken_for_the_next(monkeypatch):
    class Stop(BaseException):
        pass

    def stop(*_):
        raise Stop

    guarded.read(pid, "a")
    previous = signal.signal(signal.SIGALRM, stop)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        with pytest.raises(Stop):
            guarded.read(wait, "a")
    finally:
        signal.signal(signal.SIGALRM, previous)
    assert guarded.read(pid, "b") not in (None, os.getpid())


def test_matlab_files_of_version_73_are_named(tmp_path):
    path = tmp_path / "a.mat"
    for content in (b"MATLAB 7.3 MAT-file, Platform: GLNXA64", bytes(512) + b"\x89HDF\r\n\x1a\n"):
        path.write_bytes(content)
        with pytest.raises(
            InputError, match=r"a\.mat as a MATLAB file: it is of version 7\.3.*-v7"
        ):
            matlab.load(path, "record")


def test_what_is_no_matlab_file_at_all_is_named(tmp_path):
    (tmp_path / "a.mat").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:1\n")
    with pytest.raises(InputError, match=r"a\.mat as a MATLAB file: it is a Git LFS pointer"):
        matlab.load(tmp_path / "a.mat", "record")


@pytest.mark.parametrize(("place", "change"), [(252, 1), (273, 128), (337, 1), (279, 128)])
def test_a_file_that_ends_scipy_or_fills_the_memory_is_named(tmp_path, place, change):
    """One bit of a type or a size in a small file; scipy 1.17 crashes, or asks for 2 GiB."""
    path = tmp_path / "a.mat"
    scipy.io.savemat(path, {"record": {"filename": "a.jpg", "size": np.arange(3.0)}})
    content = bytearray(path.read_bytes())
    whole = bytes(content)
    content[place] ^= change
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"^cannot read .*a\.mat") as caught:
        matlab.load(path, "record", structs=True)
    assert "\n" not in str(caught.value)
    path.write_bytes(whole)
    assert matlab.load(path, "record", structs=True).filename == "a.jpg"
