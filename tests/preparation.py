"""What each of several processes reads, and how long it prepares, before it trains on photos.

python -m tests.preparation --processes=1,2,4 --photos=2000 [--apart] [--one_core]

Each number of processes decodes the same photos into an empty cache, which they share unless
`--apart`, and puts them into device memory. All are on this machine, so they share its cores;
with `--one_core` each has one of its own, as on machines of their own. `cpu` is the processor's
time in seconds, which does not depend on what else runs.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from concurrent import futures

import numpy as np
from PIL import Image

from tests.support import jobs

SIZE, RESOLUTION = (500, 375), 64


def make_photos(root: pathlib.Path, count: int) -> int:
    """Noise on gradients, as large on disk as photographs are; returns the bytes of all files."""
    (root / "images").mkdir(parents=True)
    generator = np.random.default_rng(0)
    slope = np.linspace(0, 200, SIZE[0])[None, :, None]
    lines = ["file,category,split,azimuth_deg,elevation_deg,theta_deg"]
    for i in range(count):
        noise = generator.integers(0, 40, (SIZE[1], SIZE[0], 3))
        Image.fromarray((slope + noise).astype(np.uint8)).save(root / "images" / f"{i}.jpg")
        lines.append(f"{i}.jpg,{'ab'[i % 2]},train,{i % 360},0,0")
    (root / "manifest.csv").write_text("\n".join(lines))
    return sum(path.stat().st_size for path in (root / "images").iterdir())


def bytes_read() -> int:
    """By this process so far, from disks or from what the system keeps of them."""
    lines = pathlib.Path("/proc/self/io").read_text().splitlines()
    return int(dict(line.split(": ") for line in lines)["rchar"])


def prepare(root: str, cache: str, coordinator: str, count: int, index: int) -> None:
    """One process: prints what it read and how long it took, as JSON."""
    import jax

    from catpose import devices
    from catpose.data import crop_cache
    from catpose.experiment import config as config_lib
    from catpose.experiment import datasets
    from catpose.images import decode
    from catpose.training import input_pipeline

    if count > 1:
        devices.start(coordinator, count, index)
    jax.devices()
    decoded, open_picture = [], decode.open_picture

    def counted(source: bytes, name: str) -> decode.Picture:
        decoded.append(name)
        return open_picture(source, name)

    crop_cache.decoding.open_picture = counted
    data = config_lib.Data(kind="manifest", root=root, resolution=RESOLUTION, cache_dir=cache)
    config = config_lib.Config(data=data)
    before, begin, cpu = bytes_read(), time.monotonic(), time.process_time()
    split = datasets.load_dataset(config, show_progress=False).splits["train"]
    image = jax.block_until_ready(input_pipeline.on_devices(split.image))
    seconds, cpu = time.monotonic() - begin, time.process_time() - cpu
    found = {"decoded": len(decoded), "megabytes": round((bytes_read() - before) / 1e6, 1)}
    found |= {"seconds": round(seconds, 1), "cpu": round(cpu, 1), "sum": int(np.sum(image))}
    print(json.dumps(found))


def measure(
    root: pathlib.Path, cache: pathlib.Path, count: int, *, apart: bool, one_core: bool = False
) -> list[dict]:
    """What `prepare` says of each of so many processes."""
    port, cores = jobs.free_port(), sorted(os.sched_getaffinity(0))
    if one_core and count > len(cores):
        raise SystemExit(f"{count} processes cannot have a core each of {len(cores)}")

    def start(index: int) -> dict:
        own = cache / str(index) if apart else cache
        command = ["taskset", "--cpu-list", str(cores[index])] if one_core else []
        command += [sys.executable, "-m", "tests.preparation", "--child", str(root), str(own)]
        command += [f"localhost:{port}", str(count), str(index)]
        environment = jobs.environment(JAX_NUM_CPU_DEVICES=1, JAX_PLATFORMS="cpu")
        done = subprocess.run(
            command, cwd=jobs.ROOT, env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(done.stderr)
        return json.loads(done.stdout.splitlines()[-1])

    with futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(start, range(count)))


def main() -> None:
    """Prints a line for each number of processes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--processes", default="1,2,4")
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument(
        "--apart", action="store_true", help="each process has its own cache folder"
    )
    parser.add_argument("--one_core", action="store_true", help="each process has one core")
    parser.add_argument("--child", nargs=5)
    options = parser.parse_args()
    if options.child:
        root, cache, coordinator, count, index = options.child
        prepare(root, cache, coordinator, int(count), int(index))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        size = make_photos(folder / "photos", options.photos)
        print(f"{options.photos} photos of {size / 1e6:.0f} MB")
        for count in map(int, options.processes.split(",")):
            found = measure(
                folder / "photos",
                folder / f"cache{count}",
                count,
                apart=options.apart,
                one_core=options.one_core,
            )
            assert len({each.pop("sum") for each in found}) == 1, "the images differ"
            print(f"{count} processes: {found}", flush=True)


if __name__ == "__main__":
    main()
