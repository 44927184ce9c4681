"""Flips single bits in all that catpose keeps: each is found when it is read, or changes nothing.

python -m tests.bit_flips --flips=200 --seed=0

The files are those of a finished run (its checkpoints among them), of the caches (rendered images,
decoded photos, features, compiled programs), of an exported network, and of the networks that come
with catpose. A flip has failed where anything but an InputError is raised, or where parameters or
predictions have other bits and nobody says so.
"""

import argparse
import contextlib
import functools
import io
import itertools
import pathlib
import random
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple

import jax
import numpy as np
from jax.experimental.compilation_cache import compilation_cache
from PIL import Image

from catpose import api, inference
from catpose.data import crop_cache, disk_cache, manifest
from catpose.errors import InputError
from catpose.experiment import build, checkpoint, config_files, datasets, workdir
from catpose.experiment import config as config_lib
from catpose.training import input_pipeline, loop, phase_run, run_setup, training_log

CROPS = np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)


class Subject(NamedTuple):
    """What is damaged, and what reads it.

    Attributes:
      folder: whose files are damaged.
      read_fns: each returns a digest of what is read.
    """

    folder: pathlib.Path
    read_fns: tuple[Callable[[], str], ...]


def predictions(folder: pathlib.Path) -> str:
    """Of the network in a folder, with its parameters."""
    model, variables = build.read_model(folder)
    size = model.input_spec.resolution // CROPS.shape[1]
    crops = CROPS.repeat(size, 1).repeat(size, 2)
    return disk_cache.sha256([variables, *inference.compile_crops(model)(variables, crops)])


def resumed(run: run_setup.Run) -> str:
    """The parameters with which a run ends; it goes on from what it finds."""
    again = run._replace(caches=run_setup.Caches(programs=run.caches.programs))
    with workdir.opened(run.workdir, run.config):
        workdir.read_report(run.workdir)
        training_log.read(run.workdir)
        return disk_cache.sha256(loop.train(again).last.params)


def images(config: config_lib.Config) -> str:
    """Of all splits of the dataset."""
    splits = datasets.load_dataset(config, show_progress=False).splits
    return disk_cache.sha256({name: [s.image, s.rotation] for name, s in splits.items()})


def photos(root: pathlib.Path, cache: pathlib.Path) -> str:
    """Of a folder of photos."""
    listed = manifest.read(root)
    found = crop_cache.load(listed, resolution=16, cache_dir=str(cache), show_progress=False)
    return disk_cache.sha256([found.splits["train"].image, found.splits["train"].aspect])


def features(run: run_setup.Run, state) -> str:
    """Cached features of a phase."""
    run = run._replace(caches=run_setup.Caches())
    (phase,) = (phase for phase in run.phases if phase.cached_features)
    return disk_cache.sha256(input_pipeline.cache(run, "train", phase, state).features)


def programs(cache: pathlib.Path) -> str:
    """Predictions of a program that is compiled, or read from a cache of compiled ones."""
    kept = jax.config.jax_compilation_cache_dir
    _keep_programs(cache)
    jax.clear_caches()
    try:
        return predictions(workdir.find("mini"))
    finally:
        _keep_programs(kept)


def _keep_programs(cache: pathlib.Path | str) -> None:
    jax.config.update("jax_compilation_cache_dir", str(cache))
    compilation_cache.reset_cache()


def make(folder: pathlib.Path) -> dict[str, Subject]:
    """All that is damaged, made anew below a folder."""
    caches = {name: folder / name for name in ("rendered", "photos", "compiled")}
    values = config_files.load("smoke")
    values.data.cache_dir = str(caches["rendered"])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    _keep_programs(folder / "programs")  # of all else: they are not damaged
    read_programs = functools.partial(programs, caches["compiled"])
    read_programs()

    trained = api.train(values, folder / "run", show_progress=False)
    config = config_lib.read(values)
    run = run_setup.prepare(config, trained, show_progress=False)
    with checkpoint.open_manager(trained / "checkpoints") as manager:
        state = phase_run.restore_state(run, manager, manager.latest_step())
    for entry in caches["rendered"].glob("features-*"):
        shutil.rmtree(entry)  # of weights that the last state no longer has
    features(run, state)

    exported = folder / "exported"
    build.export(trained, exported)

    root = folder / "manifest"
    (root / "images").mkdir(parents=True)
    lines = ["file,category,split,azimuth_deg,elevation_deg,theta_deg"]
    for i in range(6):
        Image.fromarray(CROPS[i]).save(root / "images" / f"{i}.png")
        lines.append(f"{i}.png,a,train,{i},0,0")
    (root / "manifest.csv").write_text("\n".join(lines))
    photos(root, caches["photos"])

    subjects = {
        "a finished run": Subject(
            trained, (functools.partial(predictions, trained), functools.partial(resumed, run))
        ),
        "rendered images and features": Subject(
            caches["rendered"],
            (functools.partial(images, config), functools.partial(features, run, state)),
        ),
        "decoded photos": Subject(
            caches["photos"], (functools.partial(photos, root, caches["photos"]),)
        ),
        "an exported network": Subject(exported, (functools.partial(predictions, exported),)),
    }
    for name in workdir.shipped():
        copied = shutil.copytree(workdir.find(name), folder / name)
        subjects[name] = Subject(copied, (functools.partial(predictions, copied),))
    return subjects | {"compiled programs": Subject(caches["compiled"], (read_programs,))}


def files(folder: pathlib.Path) -> list[pathlib.Path]:
    """The paths in a folder of all that has a bit to flip."""
    found = sorted(path for path in folder.rglob("*") if path.is_file() and path.stat().st_size)
    return [path.relative_to(folder) for path in found]


def order(
    of_subjects: dict[str, list[pathlib.Path]], chance: random.Random
) -> list[tuple[str, pathlib.Path]]:
    """All files in the order of their damage: first one of each subject, then the others.

    Files come alike however large they are: what reads them differs, not what reads their bytes.
    """
    shuffled = [
        [(name, path) for path in chance.sample(paths, len(paths))]
        for name, paths in of_subjects.items()
    ]
    firsts = [first for first, *_ in shuffled]
    others = [each for _, *rest in shuffled for each in rest]
    return chance.sample(firsts, len(firsts)) + chance.sample(others, len(others))


def outcome(read_fns: tuple[Callable[[], str], ...], wanted: list[str]) -> tuple[str, str]:
    """What became of a damaged folder ("told", "same" or "failed"), and in which words."""
    said, found = io.StringIO(), []
    with contextlib.redirect_stderr(said), warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        for read_fn in read_fns:
            try:
                found.append(read_fn())
            except InputError as error:
                print(error, file=said)
                found.append(None)
            except BaseException as error:
                return "failed", f"{type(error).__name__}: {str(error)[:200]}"
    if any(one not in (None, other) for one, other in zip(found, wanted, strict=True)):
        return "failed", f"other bits, and was told: {said.getvalue()!r}"
    if said.getvalue() or any("cache" in str(each.message) for each in warned):
        return "told", said.getvalue()
    return "same", ""


def main() -> None:
    """Flips so many bits; the status says whether any flip failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flips", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--verbose", action="store_true", help="print what is told")
    options = parser.parse_args()
    chance, total, failed = random.Random(options.seed), Counter(), 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        subjects = make(folder)
        wanted = {name: [read() for read in subject.read_fns] for name, subject in subjects.items()}
        pristine = {
            name: shutil.copytree(subject.folder, folder / "pristine" / subject.folder.name)
            for name, subject in subjects.items()
        }
        damaged = order({name: files(pristine[name]) for name in subjects}, chance)
        for name, inner in itertools.islice(itertools.cycle(damaged), options.flips):
            subject = subjects[name]
            path = subject.folder / inner
            content = bytearray(path.read_bytes())
            bit = chance.randrange(8 * len(content))
            content[bit // 8] ^= 1 << bit % 8
            path.write_bytes(content)
            found, text = outcome(subject.read_fns, wanted[name])
            total[name, found] += 1
            if found == "failed" or options.verbose:
                print(f"{name}: bit {bit} of {inner}: {found}: {text.strip()}", flush=True)
            failed += found == "failed"
            shutil.rmtree(subject.folder)
            shutil.copytree(pristine[name], subject.folder)
    for name in subjects:
        counts = [f"{total[name, kind]} {kind}" for kind in ("told", "same", "failed")]
        print(f"{name}: {', '.join(counts)}")
    print(f"seed {options.seed}: {options.flips} flips over {len(damaged)} files, {failed} failed")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
