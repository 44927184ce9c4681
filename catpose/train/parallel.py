"""The only file that knows devices: the pure step under pmap, or under jit with shardings.

Both take the un-stacked state and the whole batch, and give back the same numbers as one device
(up to rounding): the state is replicated, the records are divided, the caches are replicated.
"""

import functools
import pathlib
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from catpose.errors import InputError

AXIS = "batch"
MODES = ("pmap", "jit")


def mesh() -> Mesh:
    """All devices in one axis."""
    return Mesh(np.array(jax.devices()), (AXIS,))


def replicate(tree: Any) -> Any:
    """The tree on every device, un-stacked; new buffers, safe to donate."""
    sharding = NamedSharding(mesh(), PartitionSpec())
    return jax.tree.map(lambda leaf: jax.device_put(np.asarray(leaf), sharding), tree)


def keep_compilations(folder: pathlib.Path) -> None:
    """Keeps compiled programs on disk, so that the same step is never compiled twice.

    Args:
      folder: made where it does not exist, private: programs in it are run.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.5)


def memory_for_data() -> int:
    """Bytes that images may take on each device: two fifths of its memory, where it tells."""
    stats = jax.local_devices()[0].memory_stats() or {}
    # A CPU does not tell, and its memory is the host's.
    return int(stats.get("bytes_limit", 5 << 30) * 0.4)


def check_batch(batch_size: int, name: str) -> None:
    """Raises InputError where the devices cannot share a source's examples evenly."""
    count = jax.device_count()
    if batch_size % count:
        raise InputError(
            f"{batch_size} examples of {name} do not divide among {count} devices; "
            f"take a multiple of {count}"
        )


def check_mode(mode: str) -> None:
    """Raises InputError where `mode` is none of MODES."""
    if mode not in MODES:
        raise InputError(f"config.parallel is '{mode}'; it can be {' or '.join(MODES)}")


def compile_step(step_fn: Callable, mode: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """A data-parallel version of the pure `step_fn(state, records, cache, axis_name=)`.

    The state is donated: use what the call returns.

    Args:
      step_fn: `step.train_step` with everything but state, records and cache bound.
      mode: "pmap" or "jit".

    Returns:
      `(state, records, cache) -> (state, metrics)`; records are host arrays of the global batch.
    """
    check_mode(mode)
    if mode == "pmap":
        mapped = jax.pmap(
            functools.partial(step_fn, axis_name=AXIS),
            axis_name=AXIS,
            in_axes=(None, 0, None),
            out_axes=None,
            donate_argnums=(0,),
        )
        count = jax.device_count()

        def divided(records: Any) -> Any:
            return jax.tree.map(lambda x: x.reshape(count, -1, *x.shape[1:]), records)

        def run(state: Any, records: Any, cache: Any) -> tuple[Any, Any]:
            return mapped(state, divided(records), cache)

        # As what jit returns has it, for those who read the compiled program.
        run.lower = lambda state, records, cache: mapped.lower(state, divided(records), cache)
        return run
    whole = NamedSharding(mesh(), PartitionSpec())
    divided = NamedSharding(mesh(), PartitionSpec(AXIS))
    return jax.jit(
        functools.partial(step_fn, axis_name=None),
        in_shardings=(whole, divided, whole),
        out_shardings=(whole, whole),
        donate_argnums=(0,),
    )


def compile_predict(predict_fn: Callable) -> Callable:
    """`predict_fn(variables, records, cache)` over all devices; its result is gathered."""
    whole = NamedSharding(mesh(), PartitionSpec())
    divided = NamedSharding(mesh(), PartitionSpec(AXIS))
    return jax.jit(predict_fn, in_shardings=(whole, divided, whole), out_shardings=whole)
