"""Real processes, killed without warning: what is resumed equals what was never interrupted.

pytest -m reliability tests/test_reliability.py --kills=40 [--kill_seed=N]
"""

import random
import signal
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


def test_kills_change_no_bit(request, cache_dir, whole, tmp_path):
    wanted, seconds = whole
    kills, seed = request.config.getoption("kills"), request.config.getoption("kill_seed")
    generator = random.Random(seed)
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
    found = jobs.report(folder)
    for part in ("params_sha256", "splits", "best"):
        assert found[part] == wanted[part], part
    assert not jobs.is_saving(folder)
