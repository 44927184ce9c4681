"""Several real processes against one: the gradients, whole runs, and what happens when one dies."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

from catpose.experiment import checkpoint
from catpose.launch import processes
from tests import preparation
from tests.support import jobs

# Adam turns the rounding noise of parameters without a gradient (see test_parallel) into steps,
# and BatchNorm over two examples of a category amplifies what follows: a million times in ten steps
# at the config's own rates.
EXACT = (
    "--config.model.dtype=float64",
    "--config.optimizer.name=sgd",
    *(f"--config.phases[{i}].learning_rate.peak=1e-4" for i in range(4)),
)
X64 = {"JAX_ENABLE_X64": 1}


def test_tasks_are_detected():
    assert not processes.launched_by_scheduler({})
    slurm = {"SLURM_PROCID": "1", "SLURM_STEP_NODELIST": "n[1-2]", "SLURM_NTASKS": "2"}
    assert processes.launched_by_scheduler(slurm)
    assert not processes.launched_by_scheduler({**slurm, "SLURM_NTASKS": "1"})
    assert not processes.launched_by_scheduler(
        {"SLURM_NTASKS": "2"}
    )  # inside sbatch, but not started by srun
    assert processes.launched_by_scheduler({"OMPI_COMM_WORLD_SIZE": "4"})
    assert not processes.launched_by_scheduler({"OMPI_COMM_WORLD_SIZE": "1"})
    assert processes.launched_by_scheduler({"TPU_WORKER_HOSTNAMES": "a,b"})
    assert not processes.launched_by_scheduler({"TPU_WORKER_HOSTNAMES": "localhost"})


def gradients(folder, count, devices):
    """What tests/support/gradients.py writes."""
    output = folder / f"{count}.npz"

    def start(*told):
        values = [flag.partition("=")[2] for flag in told]
        command = [sys.executable, "tests/support/gradients.py", str(output), str(devices), *values]
        path = f"{jobs.ROOT}{os.pathsep}{jobs.ROOT / 'tests' / 'training'}"
        return subprocess.Popen(
            command, cwd=jobs.ROOT, env=jobs.environment(PYTHONPATH=path), stderr=subprocess.PIPE
        )

    jobs.finish(*jobs.together(count, start))
    return np.load(output)


@pytest.mark.reliability
@pytest.mark.parametrize(("count", "devices"), [(2, 2), pytest.param(4, 1, marks=pytest.mark.slow)])
def test_gradients_of_processes_equal_those_of_one(tmp_path, count, devices):
    one, found = gradients(tmp_path, 1, 1), gradients(tmp_path, count, devices)
    assert set(found) == set(one)
    for mode in ("pmap", "jit"):
        names = [name for name in one if name.startswith(f"{mode} gradient")]
        bound = 1e-5 * max(np.abs(one[name]).max() for name in names)
        assert len(names) > 20
        for name in names:
            np.testing.assert_allclose(found[name], one[name], rtol=0, atol=bound, err_msg=name)
        for name in one:
            if name.startswith(f"{mode} state"):
                bound = 1e-5 * max(1.0, np.abs(one[name]).max())
                np.testing.assert_allclose(found[name], one[name], rtol=0, atol=bound, err_msg=name)


@pytest.fixture(scope="module")
def alone(cache_dir, tmp_path_factory):
    """The arrays of an undisturbed run on one device."""
    folder = tmp_path_factory.mktemp("alone")
    jobs.finish(jobs.smoke(folder, cache_dir, *EXACT, **X64, JAX_NUM_CPU_DEVICES=1))
    return arrays(folder)


def arrays(folder):
    return checkpoint.read_run(folder, best=False)[1]


def same(found, wanted):
    assert found.keys() == wanted.keys()
    for name, array in wanted.items():
        bound = 1e-6 * max(1.0, np.abs(array).max())
        np.testing.assert_allclose(found[name], array, rtol=0, atol=bound, err_msg=name)
        if name.startswith("params"):
            assert array.dtype == np.float64


def job(folder, cache_dir, count, devices, *arguments):
    return jobs.together(
        count,
        lambda *told: jobs.smoke(
            folder, cache_dir, *EXACT, *arguments, *told, **X64, JAX_NUM_CPU_DEVICES=devices
        ),
    )


@pytest.mark.reliability
@pytest.mark.parametrize("apart", [False, True])
def test_each_process_decodes_its_own_photos(tmp_path, apart):
    preparation.make_photos(tmp_path / "photos", 41)
    found = preparation.measure(tmp_path / "photos", tmp_path / "cache", 2, apart=apart)
    assert sorted(each["decoded"] for each in found) == [20, 21]
    assert len({each["sum"] for each in found}) == 1


@pytest.mark.reliability
@pytest.mark.parametrize("killed", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_one_dies_and_one_process_goes_on(alone, cache_dir, tmp_path, killed):
    started = job(tmp_path, cache_dir, 2, 2)
    assert jobs.wait_until(lambda: jobs.saved(tmp_path) >= 20, started[0])
    started[killed].kill()
    begin = time.monotonic()
    _, err = started[1 - killed].communicate(timeout=60)
    assert time.monotonic() - begin < 60
    assert started[1 - killed].returncode != 0
    # Whichever notices first: the step that fails, or the runtime.
    assert "another process has died" in err or "another task died" in err, err
    started[killed].communicate()
    assert not (tmp_path / "report.json").exists()
    jobs.finish(jobs.smoke(tmp_path, cache_dir, *EXACT, **X64, JAX_NUM_CPU_DEVICES=2))
    same(arrays(tmp_path), alone)


@pytest.mark.reliability
@pytest.mark.slow
@pytest.mark.parametrize(("count", "devices"), [(1, 8), (2, 2), (4, 1)])
@pytest.mark.parametrize("mode", ["pmap", "jit"])
def test_whole_runs_equal_one_process(alone, cache_dir, tmp_path, mode, count, devices):
    jobs.finish(*job(tmp_path, cache_dir, count, devices, f"--config.parallel={mode}"))
    same(arrays(tmp_path), alone)


@pytest.mark.reliability
@pytest.mark.slow
@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_one_stops_all(alone, cache_dir, tmp_path, told):
    started = job(tmp_path, cache_dir, 2, 1, "--config.parallel=jit")
    assert jobs.wait_until(lambda: jobs.saved(tmp_path) >= 4, started[0])
    started[1].send_signal(told)
    for process in started:
        _, err = process.communicate(timeout=120)
        assert process.returncode == 128 + signal.SIGTERM, err
        assert "stopped; the same command resumes from here" in err
    jobs.finish(*job(tmp_path, cache_dir, 4, 1, "--config.parallel=jit"))
    same(arrays(tmp_path), alone)


@pytest.mark.reliability
def test_wrong_input_ends_all(cache_dir, tmp_path):
    started = job(tmp_path, cache_dir, 2, 1, "--config.eval.batch_size=95")
    for process in started:
        _, err = process.communicate(timeout=180)
        assert process.returncode != 0
        assert "95 examples of config.eval.batch_size do not divide among 2 devices" in err or (
            "another" in err
        )
