"""What the first cell of every notebook runs: catpose, with the JAX of this runtime.

Only the standard library is imported before catpose is installed. JAX is asked for its devices in a
process of its own: a TPU belongs to one process, and a GPU's memory to whoever comes first, and the
notebook's commands need them.
"""

import glob
import importlib.metadata
import os
import pathlib
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

ALWAYS = ("cad", "photo")  # extras that the notebooks use
RESTART = "restart the session (Runtime > Restart session) and run this cell again"
# Modules of a session that may have been loaded before pip replaced them, and their packages.
LOADED = {"numpy": "numpy", "jax": "jax", "jaxlib": "jaxlib", "PIL": "pillow"}
_OF_TPUS = ("TPU_ACCELERATOR_TYPE", "TPU_NAME", "COLAB_TPU_ADDR")
_DEVICES = "import jax; print(jax.__version__, jax.default_backend(), jax.devices())"


class Runtime(NamedTuple):
    """What a notebook runs on.

    Attributes:
      kind: "gpu", "tpu" or "cpu", as `jax.default_backend` calls them.
      driver: major version of NVIDIA's driver, 0 without one.
    """

    kind: str
    driver: int = 0


def find(environment: Mapping[str, str], devices: list[str], driver: str) -> Runtime:
    """The runtime.

    Args:
      environment: of the process; Colab and Google's machines name their TPU there.
      devices: names of TPUs in /dev.
      driver: what nvidia-smi says of the driver's version; empty without a GPU.
    """
    version = re.match(r"(\d+)\.", driver)
    if version:
        return Runtime("gpu", int(version[1]))
    return Runtime("tpu" if devices or any(environment.get(name) for name in _OF_TPUS) else "cpu")


def extra(runtime: Runtime, installed: Callable[[str], str]) -> str:
    """The extra of catpose that brings this runtime's JAX; empty for a CPU.

    Args:
      runtime: found.
      installed: a package's name -> its version, empty where it is missing. A CUDA plugin that is
        there already is kept: two of them disturb each other.
    """
    if runtime.kind != "gpu":
        return "tpu" if runtime.kind == "tpu" else ""
    if runtime.driver >= 580 and not installed("jax-cuda12-plugin"):
        return "cuda13"
    return "cuda12"


def mismatch(runtime: Runtime, backend: str, wanted: str) -> str:
    """What to do where JAX does not use the runtime's accelerator; empty where it does.

    Args:
      runtime: found.
      backend: that JAX uses, empty where it failed.
      wanted: the extra for the runtime.
    """
    if backend == runtime.kind:
        return ""
    if not backend:
        return f"JAX does not start: {RESTART}; if it stays so, delete the runtime and begin anew"
    if runtime.kind == "cpu":
        return ""
    if runtime.kind == "gpu" and runtime.driver < 525:
        return (
            f"the GPU's driver {runtime.driver} is too old for JAX (525 or newer): it uses the CPU"
        )
    return (
        f"this runtime has a {runtime.kind.upper()}, but JAX uses the {backend.upper()}: run "
        f"%pip install -q -U -e '.[{wanted}]', then {RESTART}"
    )


def replaced(modules: Mapping[str, object], installed: Callable[[str], str]) -> list[str]:
    """Packages that this session loaded before pip replaced them."""
    return [
        package
        for name, package in LOADED.items()
        if name in modules and getattr(modules[name], "__version__", "") != installed(package)
    ]


def version(package: str) -> str:
    """The version of an installed package, empty where it is missing."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def install(root: pathlib.Path, extras: tuple[str, ...]) -> None:
    """Installs catpose from its clone, quietly.

    Raises:
      RuntimeError: pip failed, with its last lines.
    """
    names = ",".join(filter(None, extras))
    command = [sys.executable, "-m", "pip", "install", "--quiet", "-e", f"{root}[{names}]"]
    print("installing catpose: a minute or two, more with a GPU", flush=True)
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        last = "\n".join(result.stderr.strip().splitlines()[-15:])
        raise RuntimeError(f"pip could not install catpose; is there a network?\n{last}")


def start(root: pathlib.Path) -> None:
    """Installs what is missing, prints the devices, and what to do where something does not fit.

    Args:
      root: catpose's clone, the current folder.

    Raises:
      RuntimeError: catpose cannot be used in this session, with the remedy.
    """
    driver = ""
    if shutil.which("nvidia-smi"):
        command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
        driver = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    runtime = find(os.environ, glob.glob("/dev/accel*"), driver)
    wanted = extra(runtime, version)
    if not version("catpose"):
        install(root, (*ALWAYS, wanted))
    for name in [name for name in sys.modules if name.partition(".")[0] == "catpose"]:
        del sys.modules[name]  # of a folder that happens to be called so
    sys.path[:] = [str(root), *(path for path in sys.path if path != str(root))]
    importlib.invalidate_caches()
    if stale := replaced(sys.modules, version):
        raise RuntimeError(f"{', '.join(stale)} were loaded before they were replaced: {RESTART}")
    # A notebook's commands are new processes, in which nothing of JAX's threads is left.
    warnings.filterwarnings("ignore", message=r"os\.fork\(\) was called", category=RuntimeWarning)
    # They share the device with it.
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")
    result = subprocess.run(
        [sys.executable, "-c", _DEVICES], capture_output=True, text=True, check=False
    )
    jax_version, backend, devices = (*result.stdout.strip().split(" ", 2), "", "", "")[:3]
    print(f"catpose from {root}, jax {jax_version}: {devices}")
    if advice := mismatch(runtime, backend, wanted):
        print(advice)
    if backend == "tpu":
        import jax

        jax.config.update("jax_platforms", "cpu")  # of the notebook; its commands have the TPU
