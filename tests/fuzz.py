"""Damaged files for every reader: each ends in a right result or in one clear line.

    python -m tests.fuzz --seconds=90 --seed=0 [READER ...]

A child with limits reads them. What counts as a failure: an exception that is no InputError, a
message of several lines or of more than 300 characters, more than 10 seconds, more than 2 GB, the
end of the process, a write outside of the child's own folder, and a result that
the reader's `functions` do not accept. Failing inputs are kept in --keep.
"""

import argparse
import json
import os
import pathlib
import random
import select
import subprocess
import sys
import tempfile
import time
from collections import Counter

from tests.support import fuzz_files, fuzz_tables, mutations

READERS = {**fuzz_tables.READERS, **fuzz_files.READERS}

SECONDS, MEMORY = 10.0, 2 << 30
OWN_TIME = 2.0  # of a reader that starts a process of its own


class Child:
    """A process that reads files for a reader, one after another."""

    def __init__(self, reader: str, folder: pathlib.Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz", "--child", str(folder), reader],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | {"JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(folder / "cache")},
        )
        if self.answer(120) is None:
            raise SystemExit(f"the child for {reader} does not start")

    def answer(self, seconds: float) -> dict | None:
        """What the child says of a file; None where it says nothing in time."""
        if select.select([self.process.stdout], [], [], seconds)[0]:
            line = self.process.stdout.readline()
            return json.loads(line) if line else {"failure": f"ended: {self.process.wait()}"}
        self.process.kill()
        self.process.wait()
        return None

    def read(self, path: pathlib.Path) -> dict:
        """Reads one file."""
        try:
            self.process.stdin.write(f"{path}\n".encode())
            self.process.stdin.flush()
        except BrokenPipeError:
            return {"failure": f"ended: {self.process.wait()}"}
        return self.answer(SECONDS + OWN_TIME) or {"failure": f"more than {SECONDS:g} s"}

    def stop(self) -> None:
        """Ends the process."""
        self.process.kill()
        self.process.wait()


def serve(reader: str, folder: pathlib.Path) -> None:
    """Reads the files that standard input names, and answers with a line of JSON for each."""
    import resource

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a reader prints
    outside: list[str] = []
    allowed = (str(folder), "/dev/", "/proc/")

    def watch(event: str, arguments: tuple) -> None:
        writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & 3
        if (writes or event in ("os.rename", "os.remove", "os.mkdir")) and isinstance(
            arguments[0], str
        ):
            if not os.path.abspath(arguments[0]).startswith(allowed):
                outside.append(arguments[0])

    read_fn, check_fn = READERS[reader].functions()
    from catpose.errors import InputError

    os.environ["TMPDIR"] = str(folder)
    sys.dont_write_bytecode = True
    sys.addaudithook(watch)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({}), file=answers, flush=True)
    for line in sys.stdin:
        path, answer = pathlib.Path(line.rstrip("\n")), {}
        try:
            problem = check_fn(read_fn(path))
            answer = {"failure": f"accepted: {problem}"} if problem else {"accepted": True}
        except InputError as error:
            text, answer = str(error), {"refused": True}
            if len(text) > 300 or not text.isprintable():
                answer = {"failure": f"a message of {len(text)} characters: {text[:80]!r}"}
        except BaseException as error:
            where = error.__traceback__
            while where.tb_next:
                where = where.tb_next
            place = f"{where.tb_frame.f_code.co_filename}:{where.tb_lineno}"
            answer = {"failure": f"{type(error).__name__}: {str(error)[:120]} ({place})"}
        if outside:
            answer = {"failure": f"wrote to {outside.pop()}"}
        used = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) << 10
        if used > MEMORY:
            print(json.dumps({"failure": f"took {used >> 20} MB"}), file=answers, flush=True)
            return
        print(json.dumps(answer), file=answers, flush=True)


def fuzz(
    reader: str, seconds: float, seed: int, folder: pathlib.Path, keep: pathlib.Path
) -> Counter:
    """Damages files of one reader for so long; returns how often each outcome was seen."""
    chance = random.Random(f"{seed} {reader}")
    own = folder / reader
    own.mkdir()
    seeds = READERS[reader].seeds(own)
    child, outcomes, end = Child(reader, own), Counter(), time.monotonic() + seconds
    for path in seeds:
        answer = child.read(path)
        if not answer.get("accepted"):
            raise SystemExit(f"{reader}: the whole file {path.name} is not read: {answer}")
    contents = {path: path.read_bytes() for path in seeds}
    number = 0
    while time.monotonic() < end:
        path = chance.choice(seeds)
        others = [c for p, c in contents.items() if p.suffix == path.suffix]
        damaged = mutations.mutate(contents[path], chance.choice(others), chance)
        if damaged == contents[path]:
            continue
        path.write_bytes(damaged)
        answer = child.read(path)
        number += 1
        outcomes["accepted" if answer.get("accepted") else "refused"] += "failure" not in answer
        if failure := answer.get("failure"):
            outcomes["failed"] += 1
            keep.mkdir(parents=True, exist_ok=True)
            kept = keep / f"{reader}-{number}{path.suffix}"
            kept.write_bytes(damaged)
            print(f"{reader}: {failure}; {kept}", flush=True)
            if child.process.poll() is not None:
                child = Child(reader, own)
        path.write_bytes(contents[path])
    child.stop()
    return outcomes


def main() -> None:
    """Runs all readers, or those that are named, in turn; the status says whether any failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("readers", nargs="*", default=list(READERS))
    parser.add_argument("--seconds", type=float, default=90)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("fuzz-failures"))
    parser.add_argument("--child", type=pathlib.Path)
    options = parser.parse_args()
    if options.child:
        serve(options.readers[0], options.child)
        return
    total = Counter()
    share = options.seconds / len(options.readers)
    with tempfile.TemporaryDirectory() as folder:
        for reader in options.readers:
            found = fuzz(reader, share, options.seed, pathlib.Path(folder), options.keep)
            print(f"{reader}: " + ", ".join(f"{found[key]} {key}" for key in sorted(found)))
            total += found
    print(f"seed {options.seed}: {sum(total.values())} inputs, {total['failed']} failed")
    sys.exit(bool(total["failed"]))


if __name__ == "__main__":
    main()
