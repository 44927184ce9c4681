"""Real processes, killed, stopped or without room: what is resumed equals an undisturbed run.

pytest -m reliability tests/training/test_reliability.py --kills=40 --signals=40 --full_disks=10
"""

import contextlib
import os
import random
import signal
import subprocess
import time

import pytest

from tests.support import jobs

pytestmark = pytest.mark.reliability

# Where configs/smoke.py broadcasts its tied pose networks.
BROADCAST = 18


@pytest.fixture(scope="module")
def whole(cache_dir, tmp_path_factory):
    """The report of a run that nobody disturbed, and the seconds it took."""
    folder, begin = tmp_path_factory.mktemp("whole"), time.monotonic()
    jobs.finish(jobs.smoke(folder, cache_dir))
    return jobs.report(folder), time.monotonic() - begin


@pytest.fixture
def generator(request):
    return random.Random(request.config.getoption("kill_seed"))


def test_kills_change_no_bit(request, generator, cache_dir, whole, tmp_path):
    (wanted, seconds), kills = whole, request.config.getoption("kills")
    number, killed = 0, 0
    while killed < kills:
        folder = tmp_path / str(number)
        process = jobs.smoke(folder, cache_dir)
        ready = moment(generator, folder, seconds, first=not killed)
        if jobs.wait_until(ready, process):
            process.kill()
            process.communicate()
            killed += 1
        else:  # the moment never came: this run is whole, and the next one begins
            compare(process, folder, wanted)
            number += 1
    folder = tmp_path / str(number)
    compare(jobs.smoke(folder, cache_dir), folder, wanted)


# What a shell reports, and what the process itself says where Python ends by the signal.
STATUS = {signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}


def test_signals_change_no_bit(request, generator, cache_dir, whole, tmp_path):
    """Every second one comes inside a callback, where Python drops what a handler raises."""
    (wanted, seconds), signals = whole, request.config.getoption("signals")
    number, sent = 0, 0
    while sent < signals:
        folder, told = tmp_path / str(number), generator.choice(list(STATUS))
        inside, wait = sent % 2 == 0, generator.uniform(0, seconds)
        module = ("launch.train",)
        if inside:
            module = ("tests.support.signal_in_callback", str(int(told)), str(wait))
        begin, process = time.monotonic(), jobs.smoke(folder, cache_dir, module=module)
        if not inside and jobs.wait_until(
            lambda b=begin, w=wait: time.monotonic() - b > w, process
        ):
            process.send_signal(told)
        _, err = process.communicate(timeout=300)
        if process.returncode:
            assert process.returncode in STATUS[told], err
            assert not jobs.is_saving(folder)
            sent += 1
        else:  # it came too late
            check(folder, wanted)
            number, seconds = number + 1, time.monotonic() - begin
    folder = tmp_path / str(number)
    compare(jobs.smoke(folder, cache_dir), folder, wanted)


@contextlib.contextmanager
def disk(folder, megabytes):
    """A small disk of its own in a folder; skips where nobody may make one."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", str(folder)]
    if os.geteuid() or subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("only root can make a disk to fill, and not everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_full_disks_change_no_bit(request, generator, cache_dir, whole, tmp_path):
    """Full at a random moment, for the run alone or for its caches too."""
    wanted, seconds = whole
    for number in range(request.config.getoption("full_disks")):
        with disk(tmp_path / "disk", 120):
            folder, wait = tmp_path / "disk" / "run", generator.uniform(1, seconds)
            caches = tmp_path / "disk" / "cache" if number % 2 else cache_dir
            begin, process = time.monotonic(), jobs.smoke(folder, caches)
            fill, full = tmp_path / "disk" / "fill", False
            while process.poll() is None:
                if time.monotonic() - begin > wait:  # and what becomes free again is taken too
                    full = True
                    with contextlib.suppress(OSError), fill.open("ab", buffering=0) as file:
                        while True:
                            file.write(bytes(1 << 14))
                time.sleep(0.01)
            _, err = process.communicate()
            if not process.returncode:
                seconds = time.monotonic() - begin
            else:
                assert full, err
                assert process.returncode == 1, err
                assert err.splitlines()[-1].startswith("error: "), err
                assert "Traceback" not in err
            fill.unlink(missing_ok=True)
            compare(jobs.smoke(folder, caches), folder, wanted)


MOMENTS = {
    "before anything is compiled": lambda folder: (folder / "config.json").exists(),
    "in the first compilation": lambda folder: (folder / "checkpoints").exists(),
    "a save in flight": jobs.is_saving,
    "in the last phase": lambda folder: jobs.saved(folder) >= 28,
}


@pytest.mark.parametrize(
    "moment",
    [name if name == "a save in flight" else pytest.param(name, marks=pytest.mark.slow)
     for name in MOMENTS],
)  # fmt: skip
def test_a_signal_ends_with_a_checkpoint(cache_dir, whole, tmp_path, moment):
    process = jobs.smoke(tmp_path, cache_dir)
    assert jobs.wait_until(lambda: MOMENTS[moment](tmp_path), process)
    process.terminate()
    _, err = process.communicate()
    assert process.returncode == 128 + signal.SIGTERM
    assert err.splitlines()[-1].endswith("stopped; the same command resumes from here"), err
    assert not jobs.is_saving(tmp_path)
    compare(jobs.smoke(tmp_path, cache_dir), tmp_path, whole[0])


def moment(generator, folder, seconds, *, first):
    """Tells when to kill: at any time, at a step, or in the middle of writing a checkpoint."""
    kind = "broadcast" if first else generator.choice(("time", "step", "saving"))
    begin, wait = time.monotonic(), generator.uniform(0, seconds)
    if kind == "time":
        return lambda: time.monotonic() - begin > wait
    before = jobs.saved(folder)
    step = BROADCAST if kind == "broadcast" else before + generator.randrange(1, 9)
    if kind == "saving":
        return lambda: jobs.saved(folder) >= step - 4 and jobs.is_saving(folder)
    return lambda: jobs.saved(folder) >= step


def compare(process, folder, wanted):
    jobs.finish(process)
    check(folder, wanted)


def check(folder, wanted):
    found = jobs.report(folder)
    cores = "the processor cores of these runs differ, and bits depend on their number"
    assert found["device"] == wanted["device"], cores
    for part in ("params_sha256", "splits", "best"):
        assert found[part] == wanted[part], part
    assert not jobs.is_saving(folder)
