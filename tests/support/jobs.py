"""Real training processes, started as a user starts them."""

import json
import os
import socket
import subprocess
import sys
import time

from tests.support.paths import ROOT


def free_port():
    with socket.socket() as listening:
        listening.bind(("localhost", 0))
        return listening.getsockname()[1]


def environment(**more):
    """That of these tests: programs are compiled fast and kept."""
    return {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(ROOT / ".pytest_cache" / "jax"),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0.5",
        **{name: str(value) for name, value in more.items()},
    }


def smoke(folder, cache_dir, *arguments, module=("launch.train",), **more):
    """configs/smoke.py in a folder; `more` goes into the environment."""
    command = [sys.executable, "-m", *module, "--config=configs/smoke.py"]
    command += [f"--workdir={folder}", f"--config.data.cache_dir={cache_dir}", *arguments]
    return subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment(**more),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def together(count, start_fn):
    """Processes of one job: start_fn(flags) for each."""
    port = free_port()
    return [
        start_fn(f"--coordinator=localhost:{port}", f"--processes={count}", f"--process={index}")
        for index in range(count)
    ]


def finish(*processes):
    """Waits for them; all must end well."""
    for process in processes:
        _, err = process.communicate()
        assert process.returncode == 0, err


def report(folder):
    return json.loads((folder / "report.json").read_text())


def saved(folder):
    """The latest whole checkpoint, -1 before the first."""
    steps = [int(p.name) for p in (folder / "checkpoints").glob("*") if p.name.isdigit()]
    return max(steps, default=-1)


def is_saving(folder):
    return any((folder / "checkpoints").glob("*orbax-checkpoint-tmp*"))


def wait_until(ready, process):
    """Whether it came before the process ended."""
    while process.poll() is None:
        if ready():
            return True
        time.sleep(0.001)
    return False
