"""Measures how fast training and inference are here, part by part, and beside PyTorch.

catpose benchmark --network=resnet50 --resolution=64 --batch=32 --peer=torch
catpose benchmark --network=efficientnet_lite0 --resolution=224 --batch=16 --peer=torch
catpose benchmark --network=quickstart --json=speed.json

All programs are timed in turn, several times; times are medians. The peer is the same network in
PyTorch (catpose/bench/torch_network.py; the extra `peers`), a process of its own; ratios
are ours over theirs, medians of neighboring turns.
"""

import contextlib
import json
import os
import pathlib
import statistics
import sys
from collections.abc import Mapping

import catpose
from catpose import outputs, progress
from catpose.errors import InputError
from catpose.launch import command

OPTIONS = command.Options()
NETWORK = OPTIONS.enum(
    "network", "quickstart", ["resnet50", "quickstart", "efficientnet_lite0"], "which network"
)
RESOLUTION = OPTIONS.integer("resolution", 64, "side of the images", lower_bound=32)
BATCH = OPTIONS.integer("batch", 48, "images of a step", lower_bound=2)
CATEGORIES = OPTIONS.integer("categories", 12, "how many pose networks", lower_bound=1)
DTYPE = OPTIONS.enum("dtype", "float32", ["float32", "bfloat16"], "compute type")
PEER = OPTIONS.enum("peer", "none", ["none", "torch"], "what to run beside")
PEER_PYTHON = OPTIONS.string("peer_python", sys.executable, "interpreter that has the peer")
ONLY = OPTIONS.list("only", [], "names of programs to time; empty: all")
REPEATS = OPTIONS.integer("repeats", 5, "turns of each program", lower_bound=1)
SECONDS = OPTIONS.float("seconds", 1.0, "about how long a turn takes", lower_bound=0.0)
JSON = OPTIONS.string("json", "", "file for the figures; the picture lies beside it")

SCRIPT = pathlib.Path(catpose.__file__).parent / "bench" / "torch_network.py"
# What of the peer each of ours is compared with. "latency" is a predictor's answer to one photo,
# cropping included, and the peer's from the crop.
PEERS = {"step": "train", "inference": "infer", "latency": "latency"}


def main() -> None:
    """Compiles everything, times it in turn, prints a table."""
    if PEER.value != "none":
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the peer needs some too
    import jax

    from catpose import devices
    from catpose.bench import limits, peer, programs, summary, timing
    from catpose.configs import benchmark
    from catpose.visualize import text_tables

    config = benchmark.get_config(f"{NETWORK.value},{DTYPE.value}", RESOLUTION.value, BATCH.value)
    chosen = [*benchmark.KINDS, *programs.PARTS, *programs.INFERENCE, "latency"]
    for name in ONLY.value:
        if name not in chosen:
            raise InputError(f"--only={name}; it can be {', '.join(chosen)}")
    chosen = ONLY.value or chosen
    path = pathlib.Path(JSON.value)
    picture = path.with_suffix(".png") if JSON.value else path
    if JSON.value:
        outputs.check_own((path, picture, picture.with_suffix(".svg")))
    roof = limits.measure(DTYPE.value)
    made = _programs(config, chosen)
    with contextlib.ExitStack() as stack:
        timers = {name: timing.timer(program.call) for name, program in made.items()}
        version = ""
        if PEER.value != "none":
            version, others = stack.enter_context(
                peer.started(SCRIPT, PEER_PYTHON.value, _settings(config, list(made)))
            )
            timers = _side_by_side(timers, others)
        bar = stack.enter_context(
            progress.bar(total=len(timers) * REPEATS.value, unit="turn", show=True)
        )
        times = timing.alternate(
            timers,
            repeats=REPEATS.value,
            seconds=SECONDS.value,
            progress_fn=lambda name: bar.update(),
        )
    records = {name: summary.record(program, times[name], roof) for name, program in made.items()}
    found = {
        **outputs.MARK,
        "network": NETWORK.value,
        "resolution": RESOLUTION.value,
        "batch": BATCH.value,
        "categories": CATEGORIES.value,
        "dtype": DTYPE.value,
        "device": jax.devices()[0].device_kind,
        "processors": devices.cores(),
        "jax": jax.__version__,
        "peer": version and f"{PEER.value} {version}",
        "limits": {"gflop_s": roof.flops / 1e9, "gbyte_s": roof.bytes / 1e9},
        "peak_memory_bytes": _peak_memory(),
        "programs": records,
        "split_ms": summary.split(records),
    }
    if "step" in records:
        found["compile_seconds"] = records["step"]["compile_seconds"]
    for own, key in PEERS.items():
        if own in records:
            found[f"{key}_img_s"] = records[own]["img_s"]
        if f"torch {key}" in times:
            theirs = times[f"torch {key}"]
            found[f"{key}_img_s_torch"] = round(made[own].images / statistics.median(theirs), 2)
            found[f"{key}_ratio_to_torch"] = round(timing.ratio(times[own], theirs), 3)
    print(summary.markdown(records))
    print(
        f"\n{found['device']}, {found['processors']} processors, jax {found['jax']}: "
        f"{roof.flops / 1e9:.0f} GFLOP/s, {roof.bytes / 1e9:.1f} GB/s at best; "
        f"most memory {text_tables.number(found['peak_memory_bytes'] / 1e9, 2)} GB"
    )
    if found["split_ms"]:
        print(", ".join(f"{name} {ms:.1f} ms" for name, ms in found["split_ms"].items()))
    for key in PEERS.values():
        if f"{key}_ratio_to_torch" in found:
            print(
                f"{key}: {found[f'{key}_img_s']:.1f} images/s, {found['peer']} "
                f"{found[f'{key}_img_s_torch']:.1f}, ratio {found[f'{key}_ratio_to_torch']:.2f}"
            )
    if JSON.value:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1) + "\n")
        where = f"{NETWORK.value}, {RESOLUTION.value} px, batch {BATCH.value}, {found['device']}"
        summary.roofline(records, roof, picture, where)
        print(f"results: {path}, {picture}")


def _side_by_side(ours: dict, theirs: Mapping) -> dict:
    """All timers, each of the peer's right after the one of ours that it is compared with."""
    timers = {}
    for name, timer in ours.items():
        timers[name] = timer
        if name in PEERS:
            timers[f"torch {PEERS[name]}"] = theirs[PEERS[name]]
    return timers


def _programs(config, chosen: list[str]):
    from catpose.bench import programs
    from catpose.configs import benchmark

    found = {}
    for kind in benchmark.KINDS:
        own = config.copy_and_resolve_references()
        own.phases = [phase for phase in config.phases if phase["name"] == kind]
        run = None
        if kind in chosen or kind == benchmark.KINDS[0]:
            run = programs.assemble(own, CATEGORIES.value, max(2 * BATCH.value, CATEGORIES.value))
        if kind in chosen:
            found |= programs.train_steps(run)
        if kind == benchmark.KINDS[0]:
            parts = [name for name in programs.PARTS if name in chosen]
            found |= programs.parts(run, run.phases[0], parts) if parts else {}
            whole = [name for name in programs.INFERENCE if name in chosen]
            found |= programs.inference(run, BATCH.value, whole) if whole else {}
            if "latency" in chosen:
                found["latency"] = programs.latency(run)
    return found


def _settings(config, ours: list[str]) -> dict:
    model = config.model
    names = ("trunk", "blocks", "width", "block", "stem", "split_stage", "pool_grid",
             "pool_channels", "pose_hidden")  # fmt: skip
    network = {name: model[name] for name in names}
    return {
        "names": [PEERS[name] for name in ours if name in PEERS],
        "network": network,
        "num_categories": CATEGORIES.value,
        "resolution": RESOLUTION.value,
        "batch": BATCH.value,
        "dtype": DTYPE.value,
        "clip_norm": config.optimizer.clip_norm,
    }


def _peak_memory() -> int:
    import resource

    import jax

    stats = jax.local_devices()[0].memory_stats() or {}
    own = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return int(stats.get("peak_bytes_in_use", own))


if __name__ == "__main__":
    command.run(main, OPTIONS)
