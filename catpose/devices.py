"""The only file that knows devices and processes: the pure step under pmap, or jit with shardings.

Both take the un-stacked state and a batch, and give back the same numbers as one device (up to
rounding): the state is replicated, the records are divided, the caches are replicated.

A job may have several processes. Each holds the replicated arrays on its own devices, as pmap
wants them, and its own rows of every batch (`own_rows`, `place`); for jit they are made parts of
global arrays, which moves nothing. All go through the same steps; the first one alone writes.
"""

import functools
import os
import pathlib
import platform
import signal
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from catpose.data import disk_cache, parts
from catpose.errors import InputError

AXIS = "batch"
MODES = ("pmap", "jit")
HEARTBEAT = 30  # seconds of silence after which a process is taken for dead
Tree = TypeVar("Tree")


def start(coordinator: str | None, count: int | None, index: int | None) -> None:
    """Makes this process one of a job; to be called before any device is touched.

    A signal to one process stops all, see `preempted`; if one dies, the others end too.

    Args:
      coordinator: host and port where the first process listens.
      count: number of processes.
      index: this one's number, from 0 on. What is None is detected (SLURM, Open MPI, TPU, GKE).

    Raises:
      InputError: nothing to detect, or the processes do not find each other.
    """
    try:
        jax.distributed.initialize(coordinator, count, index, heartbeat_timeout_seconds=HEARTBEAT)
    except (ValueError, TypeError, RuntimeError) as error:
        raise InputError(f"cannot join the job's processes: {error}") from error
    # The runtime forwards SIGTERM to the other processes, so Ctrl-C is sent on as SIGTERM.
    signal.signal(signal.SIGINT, lambda *_: signal.raise_signal(signal.SIGTERM))


def is_first() -> bool:
    """Whether this process writes: the only one, or the first of a job."""
    return jax.process_index() == 0


def is_multiprocess() -> bool:
    """Whether this is one of several JAX processes; initializes no device."""
    return jax.distributed.is_initialized()


def from_first(tree: Tree) -> Tree:
    """Copies the first process's tree to all processes, which wait for each other here."""
    return multihost_utils.broadcast_one_to_all(tree) if jax.process_count() > 1 else tree


def share() -> parts.Share:
    """This process's part of the examples that the processes make together."""
    if jax.process_count() == 1:
        return parts.ALONE
    return parts.Share(jax.process_index(), jax.process_count(), _exchange)


def _exchange(own: bytes) -> list[bytes]:
    lengths = multihost_utils.process_allgather(np.int32(len(own)))
    padded = np.zeros(max(lengths), np.uint8)
    padded[: len(own)] = np.frombuffer(own, np.uint8)
    rows = multihost_utils.process_allgather(padded)
    return [row[:length].tobytes() for row, length in zip(rows, lengths, strict=True)]


def gather(own: np.ndarray, owners: np.ndarray) -> jax.Array:
    """Rows of all processes on every device of this one; over the network between the devices.

    Args:
      own: this process's rows, in their order.
      owners: (N,) the process of each row of the whole.
    """
    if jax.process_count() == 1:
        return replicate(own)
    counts = np.bincount(owners, minlength=jax.process_count())
    each = -(-max(counts) // jax.local_device_count()) * jax.local_device_count()
    padded = np.zeros((each, *own.shape[1:]), own.dtype)
    padded[: len(own)] = own
    whole, divided = _shardings(0)
    everywhere = jax.make_array_from_process_local_data(divided, padded)
    copied = jax.jit(lambda rows: rows, out_shardings=whole)(everywhere)
    shards = [shard.data for shard in copied.addressable_shards]
    here = jax.make_array_from_single_device_arrays(copied.shape, _own(PartitionSpec()), shards)
    rank = np.zeros(len(owners), np.int32)
    for process, count in enumerate(counts):
        rank[owners == process] = np.arange(count)
    index = owners.astype(np.int32) * each + rank
    own_devices = _own(PartitionSpec())
    return jax.jit(lambda rows, index: rows[index], out_shardings=own_devices)(here, index)


def preempted(steps: range) -> bool:
    """Whether any process of this job got a signal; all get the answer after the same step.

    Args:
      steps: those done since the last call, none left out: the processes agree on one of them.
    """
    return is_multiprocess() and any(
        [multihost_utils.reached_preemption_sync_point(s) for s in steps]
    )


def own_rows(count: int) -> slice:
    """The slice of a batch of `count` rows that this process holds."""
    each = count // jax.process_count()
    return slice(each * jax.process_index(), each * (jax.process_index() + 1))


def mesh() -> Mesh:
    """All devices of all processes in one axis."""
    return Mesh(np.array(jax.devices()), (AXIS,))


def replicate(tree: Any) -> Any:
    """The tree on every device of this process, un-stacked; new buffers, safe to donate."""
    sharding = _own(PartitionSpec())
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), sharding), tree)


def place(records: Any, mode: str, *, axis: int = 0) -> Any:
    """This process's rows of a batch on its devices, divided as the step of `mode` takes them.

    Args:
      records: host arrays.
      mode: see `compile_step`.
      axis: of the rows; 1 where the batches of several steps are stacked.
    """
    if mode == "jit":
        _, rows = _shardings(axis)
        return jax.tree.map(
            lambda leaf: jax.make_array_from_process_local_data(rows, leaf), records
        )
    own = _own(_divided(axis))

    def divided(leaf: np.ndarray) -> jax.Array:
        shape = (*leaf.shape[:axis], jax.local_device_count(), -1, *leaf.shape[axis + 1 :])
        return jax.device_put(leaf.reshape(shape), own)

    return jax.tree.map(divided, records)


def keep_compilations() -> None:
    """Keeps compiled programs in the cache folder, so that the same step is never compiled twice.

    JAX_COMPILATION_CACHE_DIR has precedence. Nothing is kept where the folder cannot be made
    private to this user. Each kind of processor has its own subfolder, since code for one may
    not run on another that shares the folder.
    """
    if jax.config.jax_compilation_cache_dir:
        return
    folder = disk_cache.cache_dir() / "xla" / disk_cache.digest(_processor())
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        folder.chmod(0o700)  # programs in it are run
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def _processor() -> list[str]:
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:  # not Linux
        return [platform.machine(), platform.processor()]
    return sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))})


def cores() -> int:
    """Processor cores that this process may use; the bits of sums on a CPU depend on them."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1  # macOS, where no process is kept to some of them


def memory_for_data() -> int:
    """Bytes that images may take on each device: two fifths of its memory."""
    stats = jax.local_devices()[0].memory_stats() or {}
    # A CPU does not report its memory.
    return int(stats.get("bytes_limit", 5 << 30) * 0.4)


def check_batch(batch_size: int, name: str) -> None:
    """Raises InputError if the examples of a split do not divide evenly among the devices."""
    count = jax.device_count()
    if batch_size % count:
        raise InputError(
            f"{batch_size} examples of {name} do not divide among {count} devices; "
            f"take a multiple of {count}"
        )


def compile_step(
    step_fn: Callable, mode: str, *, axis: int = 0
) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """A data-parallel version of the pure `step_fn(state, records, cache, axis_name=)`.

    The state is donated: use what the call returns.

    Args:
      step_fn: `step.train_step` with everything but state, records and cache bound.
      mode: "pmap" or "jit".
      axis: of the records' rows, as for `place`.

    Returns:
      `(state, records, cache) -> (state, metrics)`, for records that `place` has placed.
    """
    if mode == "pmap":
        return jax.pmap(
            functools.partial(step_fn, axis_name=AXIS),
            axis_name=AXIS,
            in_axes=(None, axis, None),
            out_axes=None,
            donate_argnums=(0,),
        )
    whole, divided = _shardings(axis)
    return _over_processes(
        jax.jit(
            functools.partial(step_fn, axis_name=None),
            in_shardings=(whole, divided, whole),
            out_shardings=(whole, whole),
            donate_argnums=(0,),
        )
    )


def compile_predict(predict_fn: Callable) -> Callable:
    """`predict_fn(variables, records, cache)` over all devices, for what `place` placed for "jit".

    Its result is gathered: each process gives its own rows and gets all.
    """
    whole, divided = _shardings(0)
    return _over_processes(
        jax.jit(predict_fn, in_shardings=(whole, divided, whole), out_shardings=whole)
    )


def _divided(axis: int) -> PartitionSpec:
    return PartitionSpec(*[None] * axis, AXIS)


def _own(spec: PartitionSpec) -> NamedSharding:
    """Over this process's devices."""
    return NamedSharding(Mesh(np.array(jax.local_devices()), (AXIS,)), spec)


def _shardings(axis: int) -> tuple[NamedSharding, NamedSharding]:
    """Over all devices: whole on each; divided among them along an axis."""
    return NamedSharding(mesh(), PartitionSpec()), NamedSharding(mesh(), _divided(axis))


def _over_processes(compiled: Any) -> Any:
    """A jitted function whose replicated arguments each process gives as arrays of its own."""
    if jax.process_count() == 1:
        return compiled
    whole, _ = _shardings(0)

    def widened(leaf: Any) -> jax.Array:
        if not isinstance(leaf, jax.Array):
            return jax.make_array_from_process_local_data(whole, leaf, leaf.shape)
        if leaf.sharding == whole:
            return leaf
        shards = [shard.data for shard in leaf.addressable_shards]
        return jax.make_array_from_single_device_arrays(leaf.shape, whole, shards)

    def run(first: Any, records: Any, last: Any) -> Any:
        return compiled(jax.tree.map(widened, first), records, jax.tree.map(widened, last))

    return run
