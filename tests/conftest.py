import os
import pathlib
import random
from importlib import metadata

# Most of the suite's time is compilation; what is compiled runs for milliseconds. With the older
# emitters and whole programs it takes a third. A jaxlib that does not know a flag would not start.
FLAGS = "--xla_backend_optimization_level=0"
if metadata.version("jaxlib").startswith("0.10."):
    FLAGS += " --xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
os.environ.setdefault("XLA_FLAGS", FLAGS)

import jax
import pytest

# One process plays eight devices, so that every test of the parallel step runs anywhere.
jax.config.update("jax_num_cpu_devices", 8)
jax.config.update("jax_numpy_rank_promotion", "raise")
jax.config.update(
    "jax_compilation_cache_dir", str(pathlib.Path(__file__).parent.parent / ".pytest_cache" / "jax")
)
jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def pytest_addoption(parser):
    group = parser.getgroup("reliability", "tests/training/test_reliability.py")
    group.addoption("--kills", type=int, default=6, help="rounds of SIGKILL")
    group.addoption("--signals", type=int, default=4, help="rounds of SIGTERM or SIGINT")
    group.addoption("--full_disks", type=int, default=2, help="rounds with a full disk")
    group.addoption("--kill_seed", type=int, default=random.SystemRandom().randrange(10**6))


def pytest_report_header(config):
    names = ("kills", "signals", "full_disks", "kill_seed")
    return " ".join(f"--{name}={config.getoption(name)}" for name in names)


@pytest.fixture(scope="session", autouse=True)
def coarse_pictures():
    """Reports draw in a fraction of the time; what looks at pixels sets its own resolution."""
    from catpose.visualize import style

    style.DPI = 50


@pytest.fixture(scope="session")
def data_dir():
    """The folder with cars3d/, weights/ and pascal3d/, from the variable CATPOSE_DATA."""
    path = os.environ.get("CATPOSE_DATA")
    if not path or not pathlib.Path(path).is_dir():
        pytest.skip("CATPOSE_DATA does not name a folder with the real data")
    return pathlib.Path(path)


@pytest.fixture(scope="module")
def cache_dir(tmp_path_factory):
    """For what runs that follow each other share."""
    return tmp_path_factory.mktemp("cache")
