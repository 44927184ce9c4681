"""Start-up that all commands share: flags, quiet libraries, one-line errors, signals."""

import importlib.metadata
import importlib.util
import logging
import os
import pathlib
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from absl import app, flags
from absl import logging as absl_logging

from catpose.errors import InputError
from catpose.train import signals

_HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
_TUNABLES = "GLIBC_TUNABLES"
_PRELOAD = "LD_PRELOAD"
# Memory once had is never given back, and one region holds all of a step's.
_MIMALLOC = {"MIMALLOC_PURGE_DELAY": "-1", "MIMALLOC_ARENA_RESERVE": str(4 << 20)}


def run(main: Callable[[], None]) -> NoReturn:
    """Parses the flags and calls `main()`; wrong input ends in one line and exit status 1.

    SIGTERM and SIGINT end it where nothing is lost, with exit status 143 and 130.
    """
    for_cpu = _compiles_for_cpu_alone()
    if for_cpu:
        # By default programs are scheduled for many cores, and a training step takes twice the
        # memory, which the system hands out anew each time.
        set_xla_flag("xla_cpu_scheduler_type", "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED")
    kept = kept_memory(os.environ, allocator()) if for_cpu else None
    environment = huge_pages(kept or os.environ, _HUGE_PAGES) or kept
    started_as = getattr(sys.modules["__main__"].__spec__, "name", None)
    if environment and started_as in sys.orig_argv:
        # The same process anew: the allocator reads its settings at the start alone.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    logging.getLogger("jax").setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)

    def guarded(argv: Sequence[str]) -> None:
        if len(argv) > 1:
            fail(f"unexpected argument '{argv[1]}'; options begin with --")
        try:
            with signals.handled():
                main()
        except InputError as error:
            fail(str(error))
        except signals.Stopped as stop:
            print("stopped; the same command goes on from here", file=sys.stderr)
            sys.exit(stop.exit_status)
        except RuntimeError as error:  # of JAX, whose own class is a slow import
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            what = str(error).splitlines()[0][:200]
            fail(
                "not enough memory on the device; take smaller batches (`sources` of the phase, "
                f"config.eval.batch_size), config.model.remat or a smaller network ({what})"
            )

    app.run(guarded, flags_parser=_parse)


def set_xla_flag(name: str, value: str) -> None:
    """Adds a flag to XLA_FLAGS, unless it is there already; before JAX touches a device."""
    flags_before = os.environ.get("XLA_FLAGS", "")
    if name not in flags_before:
        os.environ["XLA_FLAGS"] = f"{flags_before} --{name}={value}".strip()


def allocator() -> pathlib.Path | None:
    """The library of mimalloc that `pip install -e '.[cpu]'` brings; None without it."""
    try:
        files = importlib.metadata.files("cmeel-mimalloc") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    paths = [pathlib.Path(file.locate()) for file in files if file.name == "libmimalloc.so"]
    return next((path for path in paths if path.is_file()), None)


def kept_memory(
    environment: Mapping[str, str], library: pathlib.Path | None
) -> dict[str, str] | None:
    """The environment in which an allocator keeps memory; None where nothing is to be changed.

    XLA asks for its temporary memory anew at every step, on a CPU up to gigabytes. glibc gives
    so much back to the system each time, which then clears every page of it before it comes again:
    a sixth of ResNet-50's step.

    Args:
      environment: of this process. Where it has a library of its own to begin with, that stays;
        settings of mimalloc's stay too.
      library: of mimalloc.
    """
    if library is None or _PRELOAD in environment:
        return None
    return {**_MIMALLOC, **environment, _PRELOAD: str(library)}


def huge_pages(environment: Mapping[str, str], switch: pathlib.Path) -> dict[str, str] | None:
    """The environment in which memory comes in huge pages; None where nothing is to be changed.

    XLA asks for its temporary memory anew at every step, on a CPU up to gigabytes, and in pages of
    4 KiB it takes the system long to hand it out. Where it gives huge pages to those
    who ask, glibc (2.35 and newer; older ones ignore it) asks if it is told to.

    Args:
      environment: of this process. Where it has settings for glibc already, they stay.
      switch: the system's own setting.
    """
    if _TUNABLES in environment or not switch.is_file() or "[madvise]" not in switch.read_text():
        return None
    return {**environment, _TUNABLES: "glibc.malloc.hugetlb=1"}


def _compiles_for_cpu_alone() -> bool:
    """Whether no compiler but jaxlib's own reads XLA_FLAGS, in a version whose flags are known.

    One that does not know a flag ends the process.
    """
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    known = importlib.metadata.version("jaxlib").startswith("0.10.")
    return known and not plugins and importlib.util.find_spec("libtpu") is None


def fail(message: str) -> NoReturn:
    """Prints one line to standard error and exits with status 1."""
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)


def _parse(argv: Sequence[str]) -> list[str]:
    for argument, following in zip(argv, [*argv[1:], ""], strict=True):
        name, equals, value = argument.partition("=")
        value = value if equals else following
        if name == "--config" and not pathlib.Path(value.split(":")[0]).is_file():
            fail(f"no config file '{value}'; run from the repository root, see configs/")
    try:
        return flags.FLAGS(argv)
    except (AttributeError, KeyError) as error:
        fail(f"unknown config key {error}; every key is listed in configs/base.py")
    except (flags.Error, ValueError, TypeError) as error:
        fail(str(error).splitlines()[0])
