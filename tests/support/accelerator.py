"""What tests/accelerator.py measures beside `catpose benchmark`, each in a process of its own.

python -m tests.support.accelerator SECTION '{"smoke": true}' --json=FILE

A section is a function that yields what it has found so far; the file is written anew each time.
Values called `is_...` are claims that must hold.
"""

import argparse
import functools
import hashlib
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import jax
import jax.numpy as jnp
import numpy as np

from catpose.bench import limits, programs, timing
from catpose.configs import benchmark
from catpose.geometry import so3
from catpose.synthetic import mesh_batch, renderer
from catpose.training import phase_run
from tests.support import lumpy_spheres, numpy_rasterizer, tiny

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"


def device(settings):
    """What is there, and its highest rates."""
    found = jax.devices()[0]
    memory = (found.memory_stats() or {}).get("bytes_limit")
    yield {
        "kind": found.device_kind,
        "count": jax.device_count(),
        "jax": jax.__version__,
        "driver": _driver(),
        "memory_gb": memory and round(memory / 1e9, 1),
    }
    for dtype in ("bfloat16", "float32"):
        roof = limits.measure(dtype, seconds=0.05 if settings["smoke"] else 1.0)
        yield {f"{dtype}_tflop_s": round(roof.flops / 1e12, 2), "gb_s": round(roof.bytes / 1e9, 1)}


def _driver():
    if not shutil.which("nvidia-smi"):
        return None
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def rendering(settings):
    """Images a second of meshes of 512 triangles, in the device's memory when the clock stops."""
    size, count = (32, 4) if settings["smoke"] else (224, 64)
    generator = np.random.default_rng(0)
    meshes = [lumpy_spheres.lumpy_sphere(generator, 500) for _ in range(count)]
    views = numpy_rasterizer.stack(lumpy_spheres.views_of(generator, meshes, size))
    lights = numpy_rasterizer.stack([lumpy_spheres.LIGHT] * count)
    behind = np.zeros((count, size, size, 3), np.float32)
    arguments = jax.device_put((mesh_batch.pad(meshes), views, lights, behind))
    yield {"px": size, "triangles": max(len(mesh.faces) for mesh in meshes)}
    rates = {}
    tried = [(8, 1)] if settings["smoke"] else [(8, 1), (32, 1), (32, 8), (128, 8)]
    for tiles, images in tried:
        draw = functools.partial(
            renderer.render, *arguments, tiles_at_once=tiles, images_at_once=images
        )
        timer = timing.timer(lambda draw=draw: draw().image)
        timer(1)
        calls = 1 if settings["smoke"] else 10
        seconds = statistics.median(timer(calls) / calls for _ in range(3))
        rates[f"{tiles} tiles, {images} images at once"] = round(count / seconds, 1)
        yield {"img_s": max(rates.values()), "img_s_by_setting": dict(rates)}


def rotations(settings):
    """Rotations of the device beside closed forms in float64, with the device's own products."""
    generator = np.random.default_rng(0)
    axis = generator.normal(size=(10_000, 3))
    axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    omega = axis * generator.uniform(1e-3, 3.1, (10_000, 1))
    wanted = _rodrigues(omega)
    single = jnp.asarray(omega, jnp.float32)
    rotation = so3.exp(single)
    errors = {
        "exp": _angle(np.asarray(rotation, np.float64), wanted),
        "log": np.linalg.norm(np.asarray(so3.log(rotation), np.float64) - omega, axis=1),
    }
    distance = np.asarray(so3.geodesic_distance(rotation[:-1], rotation[1:]), np.float64)
    errors["distance"] = np.abs(distance - _angle(wanted[:-1], wanted[1:]))
    worst = {f"{name}_error_deg": float(np.degrees(each.max())) for name, each in errors.items()}
    yield {**worst, "is_precise": max(worst.values()) < 0.01}


def _rodrigues(omega):
    angle = np.linalg.norm(omega, axis=1)[:, None, None]
    x, y, z = (omega / angle[..., 0]).T
    zero = np.zeros_like(x)
    hat = np.stack([zero, -z, y, z, zero, -x, -y, x, zero], axis=1).reshape(-1, 3, 3)
    return np.eye(3) + np.sin(angle) * hat + (1 - np.cos(angle)) * (hat @ hat)


def _angle(a, b):
    """By the chord: exact where an arc cosine is not."""
    chord = np.linalg.norm(a - b, axis=(1, 2)) / np.sqrt(8)
    return 2 * np.arcsin(np.clip(chord, 0, 1))


def modes(settings):
    """The same steps under pmap and under jit."""
    jax.config.update("jax_default_matmul_precision", "highest")
    ends = {}
    for mode in ("pmap", "jit"):
        ends[mode] = _trained(_assembled(_small(settings), parallel=mode), 3)[0].params
        yield {"steps": 3}
    pairs = zip(*(jax.tree.leaves(jax.device_get(ends[mode])) for mode in ends), strict=True)
    difference = max(np.abs(a - b).max() / max(1.0, np.abs(b).max()) for a, b in pairs)
    yield {"largest_difference": float(difference), "is_pmap_equal_to_jit": bool(difference < 1e-4)}


def determinism(settings):
    """Training twice with XLA's flag, in processes of their own, and its cost."""
    given = {**settings, "steps": 4 if settings["smoke"] else 40}
    found = {}
    for name in ("first", "second", "without"):
        flag = DETERMINISTIC if name != "without" and settings["device"] == "gpu" else ""
        environment = {**os.environ}
        environment["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}".strip()
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder, "found.json")
            command = [sys.executable, "-m", __spec__.name, "repeat", json.dumps(given)]
            subprocess.run([*command, f"--json={path}"], env=environment, check=True)
            found[name] = json.loads(path.read_text())
        yield {"steps": given["steps"]}
    yield {
        "flag": DETERMINISTIC if settings["device"] == "gpu" else "none needed",
        "is_the_same_bits": found["first"]["sha256"] == found["second"]["sha256"],
        "is_the_same_bits_without": found["without"]["sha256"] == found["first"]["sha256"]
        or settings["device"] == "gpu",  # there it need not be
        "time_with_over_without": round(
            min(found["first"]["seconds"], found["second"]["seconds"])
            / found["without"]["seconds"],
            3,
        ),
    }


def repeat(settings):
    """A part of `determinism`."""
    state, seconds = _trained(_assembled(_small(settings)), settings["steps"])
    digest = hashlib.sha256()
    for leaf in jax.tree.leaves(jax.device_get(state.params)):
        digest.update(leaf.tobytes())
    yield {"sha256": digest.hexdigest(), "seconds": seconds}


def memory(settings):
    """A step's memory and time, as it is and where residual blocks are computed twice."""
    yield {}
    for name, remat in (("plain", False), ("remat", True)):
        run = _assembled(settings, remat=remat)
        (program,) = programs.train_steps(run).values()
        timer = timing.timer(program.call)
        timer(1)
        yield {
            f"{name}_gb": round(program.memory / 1e9, 3),
            f"{name}_img_s": round(program.images / (timer(2) / 2), 1),
        }


def _assembled(settings, parallel="jit", remat=False):
    """A run of one phase, in which everything trains."""
    network, side, batch = (settings[name] for name in ("network", "resolution", "batch"))
    if settings["smoke"]:
        config = tiny.config([tiny.phase("full", 4)])
    else:
        config = benchmark.get_config(f"{network},{settings['dtype']}", side, batch)
    config.update(parallel=parallel, phases=config.phases[:1])
    config.model.remat = remat
    config.optimizer.name = "sgd"  # which does not make steps of rounding noise
    return programs.assemble(config, settings["categories"], 2 * batch)


def _small(settings):
    """With the quickstart's network, in float32."""
    return {**settings, "network": "quickstart", "dtype": "float32", "resolution": 64, "batch": 48}


def _trained(run, steps):
    """The state after so many steps, and seconds of each but the first."""
    (phase,) = run.phases
    state = phase_run.enter(run, phase, phase_run.initial_state(run))
    prepared = phase_run.begin(run, phase, state)
    state, _ = jax.block_until_ready(prepared.take(state))
    begin = time.perf_counter()
    for _ in range(steps - 1):
        state, _ = prepared.take(state)
    jax.block_until_ready(state.params)
    return state, (time.perf_counter() - begin) / (steps - 1)


def main():
    """Runs one section."""
    sections = (device, rendering, rotations, modes, determinism, repeat, memory)
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("section", choices=[each.__name__ for each in sections])
    parser.add_argument("settings", type=json.loads)
    parser.add_argument("--json", type=pathlib.Path, required=True)
    flags = parser.parse_args()
    found = {}
    for more in globals()[flags.section](flags.settings):
        found |= more
        whole = flags.json.with_suffix(".partial")
        whole.write_text(json.dumps(found))
        whole.replace(flags.json)


if __name__ == "__main__":
    main()
