"""Real processes, killed without warning: what is resumed equals what was never interrupted."""

import json
import os
import pathlib
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.reliability

ROOT = pathlib.Path(__file__).parent.parent
# Where configs/smoke.py broadcasts its tied pose networks.
BROADCAST = 18


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """Starts configs/smoke.py in a folder."""
    cache_dir = tmp_path_factory.mktemp("cache")
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
    }

    def run(folder, *arguments):
        command = [sys.executable, "-m", "launch.train", "--config=configs/smoke.py"]
        command += [f"--workdir={folder}", f"--config.data.cache_dir={cache_dir}", *arguments]
        return subprocess.Popen(
            command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return run


def finish(process):
    _, err = process.communicate()
    assert process.returncode == 0, err.decode()


def report(folder):
    return json.loads((folder / "report.json").read_text())


@pytest.fixture(scope="module")
def whole(start, tmp_path_factory):
    """The report of a run that nobody disturbed."""
    folder = tmp_path_factory.mktemp("whole")
    finish(start(folder))
    return report(folder)


def saved(folder):
    """The latest whole checkpoint, -1 before the first."""
    steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdigit()]
    return max(steps, default=-1)


def is_saving(folder):
    return any((folder / "checkpoints").glob("*orbax-checkpoint-tmp*"))


# In the first phase; with the state of the broadcast just saved; in the middle of writing one of
# the last phase's checkpoints.
KILLS = (
    lambda folder: saved(folder) >= 4,
    lambda folder: saved(folder) >= BROADCAST,
    lambda folder: saved(folder) >= BROADCAST + 8 and is_saving(folder),
)


def kill_when(process, folder, ready):
    """SIGKILL once `ready(folder)`; tells whether the process was still running."""
    while process.poll() is None:
        if ready(folder):
            process.kill()
            process.communicate()
            return True
        time.sleep(0.001)
    _, err = process.communicate()
    pytest.fail(f"ended before it could be killed: {err.decode()}")


def test_three_kills_change_no_bit(start, whole, tmp_path):
    for ready in KILLS:
        kill_when(start(tmp_path), tmp_path, ready)
    assert not (tmp_path / "report.json").exists()
    finish(start(tmp_path))
    found = report(tmp_path)
    assert found["params_sha256"] == whole["params_sha256"]
    assert found["splits"] == whole["splits"]
    assert found["best"] == whole["best"]
    assert not is_saving(tmp_path)
