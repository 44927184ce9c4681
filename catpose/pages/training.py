"""Training on the labels, started from a page: the command, its progress and its end."""

import collections
import os
import pathlib
import shlex
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from typing import Any

from catpose.data import manifest
from catpose.errors import InputError
from catpose.experiment import build, phases, workdir
from catpose.training import training_log

_LINES = 12  # of its output, that a page shows


def arguments(
    folder: pathlib.Path,
    run: pathlib.Path,
    symmetry: Mapping[str, str] = {},
    plugins: Sequence[str] = (),
) -> list[str]:
    """The words after `catpose` that train on a folder's labels.

    Args:
      folder: with the manifest.
      run: where results go.
      symmetry: by category, of those that have one.
      plugins: modules that the network needs, see `catpose.plugins`.
    """
    words = ["train", "--config=own", f"--config.data.root={folder}", f"--workdir={run}"]
    words += [f"--config.data.symmetry={dict(symmetry)}"] if symmetry else []
    return [*words, f"--plugins={','.join(plugins)}"] if plugins else words


def command(words: list[str]) -> str:
    """The words as one types them."""
    return shlex.join(["catpose", *words])


def next_run(name: str, runs: pathlib.Path = pathlib.Path("runs")) -> pathlib.Path:
    """The first of `runs/name-1`, `runs/name-2` and so on that does not exist."""
    number = 1
    while (runs / f"{name}-{number}").exists():
        number += 1
    return runs / f"{name}-{number}"


class Training:
    """At most one training at a time, as a process of its own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen | None = None
        self._run = pathlib.Path()
        self._lines: collections.deque[str] = collections.deque(maxlen=_LINES)
        self._is_stopped = False
        self._lock = threading.Lock()

    def start(self, words: list[str], run: pathlib.Path) -> None:
        """Runs `catpose` with these words.

        Raises:
          InputError: a training is under way.
        """
        with self._lock:
            if self._process and self._process.poll() is None:
                raise InputError("a training is under way; wait for its end, or stop it")
            self._lines.clear()
            self._run, self._is_stopped = run, False
            self._process = subprocess.Popen(
                [sys.executable, "-m", "catpose", *words],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                env=os.environ | {"PYTHONUNBUFFERED": "1"},
            )
            self._reader = threading.Thread(target=self._read, args=(self._process,), daemon=True)
            self._reader.start()

    def _read(self, process):
        with process.stdout:
            for line in process.stdout:
                if line.strip():
                    self._lines.append(line.rstrip())
        process.wait()

    def stop(self) -> None:
        """Asks the training to end where nothing is lost; the same command resumes it."""
        with self._lock:
            if self._process and self._process.poll() is None:
                self._process.terminate()
                self._is_stopped = True

    def state(self) -> dict[str, Any]:
        """For a page: `status`, the run and its progress.

        The status is "none", "running", "finished", "stopped" or "failed".
        """
        with self._lock:
            if self._process is None:
                return {"status": "none"}
            run, lines = self._run, list(self._lines)
            code = None if self._reader.is_alive() else self._process.returncode
            ended = "finished" if code == 0 else "stopped" if self._is_stopped else "failed"
        step, total = progress(run)
        status = "running" if code is None else ended
        return {"status": status, "run": str(run), "step": step, "total": total, "lines": lines}


def progress(run: pathlib.Path) -> tuple[int, int]:
    """The last logged step of a run, and how many it will have; zeros before it has begun."""
    try:
        config = workdir.read_config(run)
        steps = [record["step"] for record in training_log.read(run)]
    except (InputError, OSError):
        return 0, 0
    return max(steps, default=0), phases.total_steps(build.build_phases(config))


def symmetries(found: Mapping[str, Any]) -> dict[str, str]:
    """By category, the symmetry that its labeled objects have; see `labels.Labels.photos`."""
    return {
        each.category: each.symmetry
        for photo in found.values()
        for each in photo.objects
        if each.state == "labeled" and each.symmetry != "none"
    }


def splits(found: Mapping[str, Any]) -> dict[str, int]:
    """How many labeled objects each split has; see `labels.Labels.photos`."""
    objects = [each for photo in found.values() for each in photo.objects]
    given = [
        manifest.SPLITS.get(each.row.get("split", ""))
        for each in objects
        if each.state == "labeled"
    ]
    return {name: given.count(name) for name in ("train", "validation", "test")}
