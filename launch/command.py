"""Start-up that all commands share: options, quiet libraries, one-line errors, signals."""

import contextlib
import errno
import functools
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import pathlib
import re
import signal
import sys
import textwrap
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NoReturn

from absl import app, flags
from absl import logging as absl_logging

from catpose import config_keys, errors
from catpose.errors import InputError
from catpose.training import signals

_HUGE_PAGES = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_TUNABLES = "GLIBC_TUNABLES"
_PRELOAD = "LD_PRELOAD"
_KNOWN_JAXLIB = "0.10."
# Memory once had is never given back, and one region holds all of a step's.
_MIMALLOC = {"MIMALLOC_PURGE_DELAY": "-1", "MIMALLOC_ARENA_RESERVE": str(4 << 20)}


class Options:
    """The options of one command; `OPTIONS.string(...)` is absl's `flags.DEFINE_string(...)`.

    Each command has its own, so that any number of them can be imported together.

    Attributes:
      values: of the options, for absl.
    """

    def __init__(self, *shared: "Options") -> None:
        self.values = flags.FlagValues()
        for other in shared:
            self.values.append_flag_values(other.values)
            other.values.mark_as_parsed()  # with this one's

    def __getattr__(self, kind: str) -> Callable[..., flags.FlagHolder]:
        return functools.partial(getattr(flags, f"DEFINE_{kind}"), flag_values=self.values)

    def config(self, help_string: str, default: str = "") -> flags.FlagHolder:
        """Defines --config=NAME|FILE and --config.KEY=VALUE; without a default it must be given."""
        from ml_collections import config_flags

        holder = config_flags.DEFINE_config_file(
            "config", None, help_string, flag_values=self.values
        )
        self.values["config"].default_as_str = default
        if not default:
            flags.mark_flag_as_required("config", flag_values=self.values)
        return holder


# Of the commands that build a network or read a dataset.
PLUGINS = Options()
PLUGINS.list("plugins", [], "your modules that add backbones, poses, losses or readers of datasets")


def run(main: Callable[..., None], options: Options) -> NoReturn:
    """Parses the options and calls `main()`; wrong input ends in one line and exit status 1.

    SIGTERM and SIGINT end it where nothing is lost, with exit status 143 and 130.

    Args:
      main: the command; arguments without "--" are passed to it where it has parameters.
      options: the command's.
    """
    for_cpu = _compiles_for_cpu_alone()
    if for_cpu:
        # By default programs are scheduled for many cores, and a training step takes twice the
        # memory, which the system hands out anew each time.
        set_xla_flag("xla_cpu_scheduler_type", "CPU_SCHEDULER_TYPE_MEMORY_OPTIMIZED")
    kept = kept_memory(os.environ, allocator()) if for_cpu else None
    environment = huge_pages(kept or os.environ, _HUGE_PAGES) or kept
    if environment and _is_own_process():
        # The same process anew: the allocator reads its settings at the start alone.
        os.execve(sys.executable, [sys.executable, *sys.orig_argv[1:]], environment)
    logging.getLogger("jax").setLevel(logging.ERROR)
    absl_logging.set_verbosity(absl_logging.ERROR)
    warnings.filterwarnings("ignore", module=r"PIL\.")  # of metadata; what matters is an error

    def guarded(argv: Sequence[str]) -> None:
        allowed = len(inspect.signature(main).parameters)
        if len(argv) > 1 + allowed:
            fail(f"unexpected argument '{argv[1 + allowed]}'; options begin with --")
        try:
            with signals.handled():
                if "plugins" in options.values:
                    _load_plugins(options.values)
                main(*argv[1:])
        except InputError as error:
            fail(str(error))
        except OSError as error:
            if error.filename is None and error.errno not in _NO_ROOM:
                raise
            where = error.filename or "cannot write the results"
            fail(f"{where}: {error.strerror}; check its path, permissions and room on the disk")
        except signals.Stopped as stop:
            print("stopped; the same command resumes from here", file=sys.stderr)
            sys.exit(stop.exit_status)
        except (RuntimeError, AssertionError) as error:  # of JAX, whose own class is a slow import
            if _lacks_platform(error):
                fail(
                    f"JAX_PLATFORMS={os.environ.get('JAX_PLATFORMS', '')}, and there is no such "
                    "device or its JAX is not installed; unset JAX_PLATFORMS, or install "
                    "catpose with the extra cuda13, cuda12 or tpu"
                )
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            what = str(error).splitlines()[0][:200]
            fail(
                "not enough memory on the device; take smaller batches (`sources` of the phase, "
                f"config.eval.batch_size), config.model.remat or a smaller network ({what})"
            )

    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # what a terminal cannot show
    about = inspect.getdoc(sys.modules[main.__module__]) or ""
    with quiet_pipe():
        app.run(
            guarded, flags_parser=functools.partial(_parse, options=options.values, about=about)
        )


@contextlib.contextmanager
def quiet_pipe() -> Iterator[None]:
    """Where who reads the output has read enough, the process ends without a word.

    The exit status is what a shell reports of tools that the signal SIGPIPE ends.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        os._exit(128 + signal.SIGPIPE)


def set_xla_flag(name: str, value: str) -> None:
    """Adds a flag to XLA_FLAGS, unless it is there already; before JAX touches a device.

    A compiler that does not know a flag ends the process. So nothing is added in a version of
    jaxlib whose flags we have not seen, or where a plugin's compiler reads them too.
    """
    known = importlib.metadata.version("jaxlib").startswith(_KNOWN_JAXLIB)
    flags_before = os.environ.get("XLA_FLAGS", "")
    if known and _compiles_for_cpu_alone() and name not in flags_before:
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
    who ask, glibc (2.35 and newer; older ones ignore it) asks if it is set to.

    Args:
      environment: of this process. Where it has settings for glibc already, they stay.
      switch: the system's own setting.
    """
    if _TUNABLES in environment or not switch.is_file() or "[madvise]" not in switch.read_text():
        return None
    return {**environment, _TUNABLES: "glibc.malloc.hugetlb=1"}


def _compiles_for_cpu_alone() -> bool:
    """Whether jaxlib's own compiler is the only one."""
    plugins = importlib.metadata.entry_points(group="jax_plugins")
    return not plugins and importlib.util.find_spec("libtpu") is None


def fail(message: str) -> NoReturn:
    """Prints one line to standard error and exits with status 1."""
    print(f"error: {errors.printable(message)}", file=sys.stderr)
    sys.exit(1)


def _lacks_platform(error: Exception) -> bool:
    """Whether JAX does not find the devices of JAX_PLATFORMS."""
    bare = isinstance(error, AssertionError) and not error.args  # of cuda without its plugin
    return "Unable to initialize backend" in str(error) or (bare and "JAX_PLATFORMS" in os.environ)


def _load_plugins(options: flags.FlagValues) -> None:
    """Imports the modules that --plugins names; a config remembers them for its run."""
    names = tuple(options["plugins"].value)
    if names:
        from catpose import plugins

        plugins.load(names)
        if "config" in options:
            options["config"].value.plugins = names


def _is_own_process() -> bool:
    """Whether this process runs nothing but the command, so that it may be started anew."""
    main = sys.modules["__main__"]
    if main.__spec__:
        return main.__spec__.name.removesuffix(".__main__") in sys.orig_argv  # python -m
    script = getattr(main, "__file__", "")
    return script in sys.orig_argv and pathlib.Path(script).name == "catpose"


def _parse(argv: Sequence[str], options: flags.FlagValues, about: str) -> list[str]:
    if {"--help", "-h", "--helpshort"} & set(argv[1:]):
        print("\n".join([about, "", "Options:", *_described(options)]))
        sys.exit(0)
    program = argv[0] if argv[0].startswith("catpose ") else f"catpose {pathlib.Path(argv[0]).stem}"
    known = {*options, *flags.FLAGS, ""}
    for name in (text[2:].partition("=")[0] for text in argv if text.startswith("--")):
        # Found before a config is loaded.
        if "." not in name and not {name, name.removeprefix("no")} & known:
            hint = errors.near(f"--{name}", (f"--{each}" for each in options))
            fail(f"unknown option --{name}{hint or f'; {program} --help lists all'}")
    try:
        if "config" in options:
            argv = _with_config_file(argv, options["config"].default_as_str)
            sys.argv[:] = argv  # where overrides of a config are looked up
        rest = options(argv, known_only=True)
        for name in options:  # a config reads its own keys
            if "." not in name and isinstance(options[name].value, str | list):
                options[name].value = _expanded(options[name].value)
        return flags.FLAGS(rest)
    except (AttributeError, KeyError, IndexError):
        key = _unknown_key(argv)
        if key is None:
            raise
        fail(key)
    except (flags.Error, ValueError, TypeError) as error:
        missing = re.match(r"flag --(\w+)=None: .* other than None", str(error))
        if missing:
            name = missing.group(1)
            fail(f"--{name} is missing ({options[name].help}); {program} --help says more")
        first, *_, last = [*filter(None, str(error).splitlines())] * 2
        # Of a config file that fails, ml_collections gives the whole traceback.
        fail(f"the config cannot be read: {last}" if "parsing config file" in first else first)


def _expanded(value: str | list[str]) -> str | list[str]:
    """A shell leaves the ~ in --option=~/folder as it is."""
    if isinstance(value, list):
        return [config_keys.expanded(item) for item in value]
    return config_keys.expanded(value)


def _described(options: flags.FlagValues) -> Iterator[str]:
    for name in options:
        flag = options[name]
        default = flag.default_as_str.strip("'") if flag.default_as_str else ""
        default = f" (default: {default})" if default not in ("", "None", "false") else ""
        yield f"  --{name}" + ("" if flag.boolean else "=...")
        yield textwrap.indent(textwrap.fill(f"{flag.help}{default}", 90), " " * 6)


def _with_config_file(argv: Sequence[str], default: str) -> list[str]:
    """The arguments with the config's file in the place of its name."""
    from catpose.experiment import config_files

    found, rest = [], list(argv)
    while rest:
        argument = rest.pop(0)
        name, equals, value = argument.partition("=")
        if name == "--config":
            found.append(
                f"--config={config_files.find(value if equals or not rest else rest.pop(0))}"
            )
        else:
            found.append(argument)
    if default and not any(argument.startswith("--config=") for argument in found):
        found.insert(1, f"--config={config_files.find(default)}")
    return found


def _unknown_key(argv: Sequence[str]) -> str | None:
    """What to say of the first of the overrides whose key the config does not have."""
    from catpose.experiment import config_files

    values = dict(argument[2:].partition("=")[::2] for argument in argv if argument[:2] == "--")
    known = _keys(config_files.load(values["config"]))
    for name in values:
        key = name.removeprefix("config.")
        if key != name and key not in known:
            parent, _, last = key.rpartition(".")
            siblings = [each for each in known if each.rpartition(".")[0] == parent]
            same = [each for each in known if each.endswith(f".{last}")]
            hint = f"; did you mean '{same[0]}'?" if same else errors.near(key, known)
            hint = errors.near(key, siblings) or hint or "; catpose config lists all keys"
            return f"unknown config key '{key}'{hint}"
    return None


def _keys(tree: Any, prefix: str = "") -> dict[str, Any]:
    """Everything in a config by its name, such as "phases[0].steps"."""
    if hasattr(tree, "items"):
        inner = {f"{prefix}.{key}".strip("."): value for key, value in tree.items()}
    elif isinstance(tree, list | tuple):
        inner = {f"{prefix}[{i}]": value for i, value in enumerate(tree)}
    else:
        return {}
    found: dict[str, Any] = {}
    for name, value in inner.items():
        found |= {name: value, **_keys(value, name)}
    return found
