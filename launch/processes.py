"""A command as one of a job's processes, which options give or which is detected.

python -m launch.train --config=... --coordinator=HOST:PORT --processes=2 --process=0
python -m launch.train --config=... --distributed

Under SLURM, Open MPI and on GKE's TPUs neither is needed where there is more than one task.
"""

import contextlib
import os
import sys
import traceback
from collections.abc import Iterator, Mapping

from catpose.errors import InputError
from catpose.launch import command
from catpose.training import signals

OPTIONS = command.Options()
COORDINATOR = OPTIONS.string("coordinator", None, "host:port where the first process listens")
PROCESSES = OPTIONS.integer("processes", None, "how many there are", lower_bound=1)
PROCESS = OPTIONS.integer("process", None, "this one's number, from 0 on", lower_bound=0)
DISTRIBUTED = OPTIONS.bool(
    "distributed",
    None,
    "join a job of several processes that is detected; unless given, where a scheduler started it",
)


@contextlib.contextmanager
def as_part_of_job() -> Iterator[None]:
    """Joins the job that this process is part of, if any; enter it before any device is touched.

    An error in one of several processes ends it at once, in one line and with status 1.

    Raises:
      InputError: flags that do not go together, or no job to join.
    """
    if not _start():
        yield
        return
    try:
        yield
    except signals.Stopped:
        raise
    except BaseException as error:
        import jax

        text = _message(error, jax.errors.JaxRuntimeError)
        print(f"error: process {jax.process_index()}: {text}", file=sys.stderr, flush=True)
        # The usual end waits for the others, and they for this one.
        os._exit(1)


def _start() -> bool:
    given = (COORDINATOR.value, PROCESSES.value, PROCESS.value)
    if any(value is not None for value in given):
        if None in given:
            raise InputError("--coordinator, --processes and --process must be given together")
        if PROCESS.value >= PROCESSES.value:
            raise InputError(
                f"--process is {PROCESS.value}; with --processes={PROCESSES.value} it can be 0 to "
                f"{PROCESSES.value - 1}"
            )
    elif DISTRIBUTED.value is False or not (DISTRIBUTED.value or launched_by_scheduler(os.environ)):
        return False
    from catpose import devices

    devices.start(*given)
    return True


def _message(error: BaseException, of_runtime: type[BaseException]) -> str:
    if isinstance(error, InputError):
        return str(error)
    if isinstance(error, of_runtime):
        return (
            "another process has died or does not answer, or the device failed; start all again: "
            f"the run resumes from its last checkpoint ({str(error).splitlines()[0][:200]})"
        )
    return "".join(traceback.format_exception(error)).rstrip()


def launched_by_scheduler(environment: Mapping[str, str]) -> bool:
    """Whether a scheduler started this process as one of several tasks.

    The environment of a TPU VM does not tell: there, give `--distributed`.
    """
    if "SLURM_PROCID" in environment and "SLURM_STEP_NODELIST" in environment:
        return int(environment.get("SLURM_NTASKS", 1)) > 1
    if "OMPI_COMM_WORLD_SIZE" in environment:
        return int(environment["OMPI_COMM_WORLD_SIZE"]) > 1
    return "," in environment.get("TPU_WORKER_HOSTNAMES", "")
