"""Measures on an accelerator what the README and docs/speed.md say of it, in at most 8 minutes.

    python tests/accelerator.py [--device=gpu|tpu|cpu] [--json=accelerator.json] [--only=NAME,...]
        [--batch=256] [--peer_python=PYTHON] [--minutes=8] [--smoke]

Training and inference of ResNet-50 at 224 px in bfloat16, beside the same network in compiled
PyTorch with autocast and channels_last (where --peer_python has PyTorch); steps on frozen and on
cached features and on images rendered online; the renderer; 12 and 100 categories; pmap beside
jit; XLA's flag of determinism; memory.

Each section is a process of its own with a time limit; one that fails is reported and the others
go on. What has been found is in the JSON after each section, and in a table beside it (.md). With
--smoke everything is tiny: whether it runs, not how fast. The exit status is 1 where a section
failed, or where a claim does not hold (pmap = jit, the same bits twice, precise rotations).
"""

import argparse
import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
PLATFORMS = {"gpu": "cuda,cpu", "tpu": "tpu,cpu", "cpu": "cpu"}
OWN = "tests.support.accelerator"


def sections(flags):
    """By name, what is run and for how many seconds at most, in order of worth."""
    settings = {
        "smoke": flags.smoke,
        "device": flags.device,
        "network": "resnet50",
        "dtype": "bfloat16",
        "resolution": 224,
        "batch": flags.batch,
        "categories": 12,
    }
    if flags.smoke:
        small = {"network": "quickstart", "dtype": "float32", "resolution": 32, "batch": 16}
        settings |= {**small, "categories": 4}

    def own(name):
        return ["-m", OWN, name, json.dumps(settings)]

    def benchmark(only, *more, categories=settings["categories"]):
        given = {name: settings[name] for name in ("network", "dtype", "resolution", "batch")}
        given |= {"only": only, "categories": categories}
        given |= {"repeats": 1, "seconds": 0} if flags.smoke else {"repeats": 5, "seconds": 1}
        options = [f"--{name}={value}" for name, value in given.items()]
        return ["-m", "launch.benchmark", *options, *more]

    beside = ("--peer=torch", f"--peer_python={flags.peer_python}")
    whole = "full,inference" if flags.smoke else "full,step,inference,latency"
    kinds = "frozen features,cached features" + ",drawn" * (not flags.smoke)
    many = "inference" if flags.smoke else "full,inference"
    return {
        "device": (own("device"), 60),
        "training and inference": (benchmark(whole), 150),
        "beside PyTorch": (benchmark("step,inference,latency", *beside), 150),
        "kinds of steps": (benchmark(kinds), 150),
        "renderer": (own("rendering"), 60),
        "pmap and jit": (own("modes"), 60),
        "rotations": (own("rotations"), 40),
        "determinism": (own("determinism"), 90),
        "100 categories": (benchmark(many, categories=100), 120),
        "memory": (own("memory"), 90),
    }


def measured(command, limit, environment):
    """Runs a section: its figures, whether it ended well, and if not why.

    Args:
      command: of Python's, which writes figures to the file that --json= names.
      limit: seconds after which it is stopped.
      environment: of the process.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        path, errors = pathlib.Path(folder, "found.json"), pathlib.Path(folder, "errors")
        with errors.open("w") as file:
            process = subprocess.Popen(
                [sys.executable, *command, f"--json={path}"],
                cwd=ROOT,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=file,
                start_new_session=True,
            )
            try:
                code = process.wait(limit)
                status = "ok" if code == 0 else "failed"
            except subprocess.TimeoutExpired:
                status = f"stopped after {limit:.0f} s"
            finally:
                # With what it has started; where all has ended there is nothing to end.
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()
        found = json.loads(path.read_text()) if path.exists() else {}
        result = {"status": status, "seconds": round(time.monotonic() - begin, 1)}
        if status == "failed":
            lines = errors.read_text(errors="replace").strip().splitlines()
            result["reason"] = lines[-1][:500] if lines else f"exit status {code}"
        return {**result, "found": found}


def has_torch(python):
    """Whether an interpreter has PyTorch."""
    try:
        command = [python, "-c", "import importlib.util as u; exit(u.find_spec('torch') is None)"]
        return subprocess.run(command, check=False, capture_output=True).returncode == 0
    except OSError:
        return False


def figures(name, section):
    """(what, value) of all that a section has found."""
    found = section["found"]
    for program, each in found.get("programs", {}).items():
        if name != "beside PyTorch":
            yield f"{program}, images/s", each["img_s"]
            yield f"{program}, ms", 1e3 * each["seconds"]
            yield f"{program}, memory, GB", each["memory_bytes"] / 1e9
            yield f"{program}, share of the arithmetic", each["compute_share"]
            yield f"{program}, compilation, s", each["compile_seconds"]
    for key in ("train", "infer", "latency"):
        if f"{key}_ratio_to_torch" in found:
            yield f"{key}, catpose, images/s", found[f"{key}_img_s"]
            yield f"{key}, {found['peer']}, images/s", found[f"{key}_img_s_torch"]
            yield f"{key}, catpose over PyTorch", found[f"{key}_ratio_to_torch"]
    if "programs" in found:
        yield "most memory, GB", found["peak_memory_bytes"] / 1e9
    else:
        yield from ((key.replace("_", " "), value) for key, value in found.items())


def compared(found):
    """(what, value) that two sections say together."""

    def seconds(section, program):
        programs = found.get(section, {}).get("found", {}).get("programs", {})
        return programs[program]["seconds"] if program in programs else None

    base = "training and inference"
    for what, one, other in (
        ("frozen features, time of the full step", "kinds of steps", "frozen features"),
        ("cached features, time of the full step", "kinds of steps", "cached features"),
        ("rendered online, time of the full step", "kinds of steps", "drawn"),
        ("100 categories, time of the full step", "100 categories", "full"),
        ("100 categories, time of inference", "100 categories", "inference"),
    ):
        whole = seconds(base, "inference" if other == "inference" else "full")
        part = seconds(one, other)
        if whole and part:
            yield what, part / whole


def table(found):
    """All figures as one Markdown table."""
    lines = ["| section | what | value |", "|---|---|---|"]
    for name, section in found.items():
        lines.append(f"| **{name}** | {section['status']}, {section['seconds']} s | |")
        if "reason" in section:
            lines.append(f"| | {section['reason'].replace('|', '/')} | |")
        lines += [f"| | {what} | {_text(value)} |" for what, value in figures(name, section)]
    lines += [f"| compared | {what} | {_text(value)} |" for what, value in compared(found)]
    return "\n".join(lines)


def _text(value):
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def is_well(section):
    """Whether a section ended, and what it claims holds."""
    claims = [value for key, value in section["found"].items() if key.startswith("is_")]
    return section["status"] in ("ok", "left out") and all(claims)


def environment(flags, folder):
    """Of the sections: the device, and programs kept from one to the next."""
    made = {**os.environ, "JAX_PLATFORMS": PLATFORMS[flags.device], "PYTHONUNBUFFERED": "1"}
    made.setdefault("JAX_COMPILATION_CACHE_DIR", folder)
    made.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.5")
    made.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    made.setdefault("JAX_TRACEBACK_FILTERING", "off")  # then the last line says what is wrong
    if flags.smoke and flags.device == "cpu":
        made.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
    return made


def write(path, text):
    """Replaces a file by a whole one."""
    partial = path.with_name(f"{path.name}.partial")
    partial.write_text(text + "\n")
    partial.replace(path)


def main():
    """Runs the sections in turn, writing after each."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=list(PLATFORMS), default="gpu")
    parser.add_argument("--json", type=pathlib.Path, default=pathlib.Path("accelerator.json"))
    parser.add_argument("--only", default="", help="sections, with commas between")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--peer_python", default=sys.executable)
    parser.add_argument("--minutes", type=float, default=8.0)
    parser.add_argument("--smoke", action="store_true")
    flags = parser.parse_args()
    planned = sections(flags)
    chosen = flags.only.split(",") if flags.only else list(planned)
    if unknown := set(chosen) - set(planned):
        parser.error(f"no section {min(unknown)}; there are {', '.join(planned)}")
    deadline = time.monotonic() + 60 * flags.minutes
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        for name in chosen:
            command, limit = planned[name]
            left = deadline - time.monotonic()
            result = {"status": "no time left", "seconds": 0.0, "found": {}}
            if name == "beside PyTorch" and not has_torch(flags.peer_python):
                reason = f"{flags.peer_python} has no PyTorch; --peer_python names one that has"
                result |= {"status": "left out", "reason": reason}
            elif left > 0:
                result = measured(command, min(limit, left), environment(flags, folder))
            found[name] = result
            print(f"{name}: {result['status']}, {result['seconds']} s", flush=True)
            given = {"device": flags.device, "smoke": flags.smoke, "batch": flags.batch}
            write(flags.json, json.dumps({**given, "sections": found}, indent=1))
            write(flags.json.with_suffix(".md"), table(found))
    print(table(found))
    print(f"results: {flags.json}, {flags.json.with_suffix('.md')}")
    return 0 if all(map(is_well, found.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
