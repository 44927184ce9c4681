"""Every config in configs/: complete, exact in what it trains, and its steps fit together."""

import importlib
import json

import jax
import numpy as np
import pytest

from catpose.configs import base
from catpose.data import batch, examples, online_rendering
from catpose.experiment import build, phases
from catpose.experiment import config as config_lib
from catpose.experiment import datasets as sources_of
from catpose.synthetic.objects.catalogue import CATEGORIES
from catpose.training import input_pipeline, phase_run, run_setup
from tests.support import tiny
from tests.support.paths import ROOT

FOLDER = ROOT / "configs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem not in ("__init__", "base"))


# Rows of the tables whose steps differ from all others in kind.
ROWS = ("shapes,smoke,sequential_fc", "shapes,smoke,sequential_fc_stage5", "shapes,smoke,vgg_m")
LARGE_ROWS = ("cars3d,full,rendered_top1", "pascal3d,full,independent", "pascal3d,full,shared")


def load(name):
    module, _, which = name.partition(":")
    return importlib.import_module(f"configs.{module}").get_config(*([which] if which else []))


def fake_run(config, folder):
    """The run of a config on empty images, one of each category in every split."""
    categories = CATEGORIES
    if config.data.kind == "manifest":
        categories = tuple(config.data.categories) or tuple("abcdefghi")
    num, side = len(categories), config.data.resolution + 2 * config.data.margin
    split = examples.Examples(
        image=np.broadcast_to(np.uint8(0), (num, side, side, 3)),
        category=np.arange(num, dtype=np.int32),
        rotation=np.tile(np.eye(3, dtype=np.float32), (num, 1, 1)),
        id=np.array(categories),
        digest="fake",
        margin=config.data.margin,
        camera=examples.Camera(
            distance=np.ones(num, np.float32),
            focal=np.ones((num, 2), np.float32),
            center=np.zeros((num, 2), np.float32),
            points=np.ones((2, 16, 3), np.float32),
            model=np.zeros(num, np.int32),
        ),
    )
    sources = {source for phase in config.phases for source in phase.sources}
    splits = dict.fromkeys(sources | {"validation", "test"}, split)
    config.parallel = "jit"
    data = examples.Dataset(categories, splits)
    if online_rendering.NAME in sources:
        config.engine.update({"per_category": 1, "num_backgrounds": 1})
        made = sources_of.build_engine(tiny.read(config), data)
        data = data._replace(
            splits={**splits, online_rendering.NAME: online_rendering.split(made)}, engine=made
        )
    return run_setup.assemble(tiny.read(config), folder, data, show_progress=False)


def form(leaf):
    """What compiled code depends on; another weak type would compile the second step anew."""
    return f"{leaf.shape} {leaf.dtype} {leaf.weak_type}"


@pytest.mark.parametrize("name", NAMES)
def test_every_key_is_declared_in_base(name):
    def keys(config):
        config = json.loads(config.to_json())
        del config["phases"]
        return {
            (section, key)
            for section, value in config.items()
            for key in (value if isinstance(value, dict) else [""])
        }

    assert keys(load(name)) == keys(base.get_config())


@pytest.mark.parametrize("name", NAMES)
def test_the_file_says_how_to_run_it(name):
    text = (FOLDER / f"{name}.py").read_text()
    own = {"benchmark": "launch.benchmark --network="}  # what is no training
    assert f"python -m {own.get(name, f'launch.train --config=configs/{name}.py')}" in text
    assert load(name).name == name


@pytest.mark.parametrize(
    "name",
    [
        *NAMES,
        *(f"tables:{row}" for row in ROWS),
        *(pytest.param(f"tables:{row}", marks=pytest.mark.slow) for row in LARGE_ROWS),
    ],
)
def test_steps_fit_together(name, tmp_path):
    """Each phase trains exactly its groups, and its step returns a state of the form it took."""
    config = load(name)
    if name.startswith("tables"):
        config.model.pretrained = "none"  # phase 0 need not be there
    run = fake_run(config, tmp_path)
    image = run.model.input_spec.image
    variables = jax.eval_shape(run.model.network.init_fn, jax.random.key(0), image)
    feature = jax.eval_shape(run.model.network.feature_fn, variables, image)
    num = len(run.model.categories)
    trained = set()
    for phase, start, _ in phases.spans(run.phases):
        marks = phases.labels(variables["params"], phase)
        for path, mark in marks.items():
            if set(phase.train) <= set(base.ALL):
                assert mark == ("train" if path.split("/")[0] in phase.train else "freeze"), path
        trained |= {path for path, mark in marks.items() if mark == "train"}
        before = phase_run.state_shapes(run, phase)
        if phase.cached_features:
            shape = (num, len(phase.views), *feature.shape[1:])
            cache = batch.Cache(features=jax.ShapeDtypeStruct(shape, np.float32))
        else:
            shape = run.dataset.splits["validation"].image.shape
            points = run.dataset.splits["validation"].camera.points
            cache = batch.Cache(image=jax.ShapeDtypeStruct(shape, np.uint8), points=points)
        caches = dict.fromkeys(phase.sources, cache)
        if online_rendering.NAME in caches:
            caches[online_rendering.NAME] = batch.Cache(assets=run.dataset.engine.assets)
        records = next(input_pipeline.batches(run, phase, start))
        assert sum(len(rows.index) for rows in records.values()) == phase.batch_size
        tx = run_setup.make_tx(run, phase, variables["params"])
        step_fn = phase_run.compile_phase(run, phase, tx)
        after, sums = jax.eval_shape(step_fn, before, records, caches)
        assert jax.tree.map(form, after) == jax.tree.map(form, before)
        assert bool(phase.pose_weight) == ("pose_loss" in sums)
        assert bool(phase.category_weight) == ("category_loss" in sums)
    # Features that are stored, and categories that no loss asks for, never train; all else does.
    idle = {"feature_network/": all(phase.cached_features for phase in run.phases)}
    idle["category_network/"] = not any(phase.category_weight for phase in run.phases)
    if name.startswith(("tables:shapes,smoke,sequential", "photo", "own")):
        return  # of a second ResNet, and of ImageNet's backbone, any part may rest
    never = set(marks) - trained
    assert all(any(path.startswith(g) and idle[g] for g in idle) for path in never), never


@pytest.mark.parametrize("name", NAMES)
def test_the_phases_are_plain_data(name, tmp_path):
    """What config.json keeps is enough to build the same phases again."""
    config = load(name)
    read = tiny.read(config)
    kept = json.loads(json.dumps(config_lib.to_dict(read)))
    assert build.build_phases(tiny.read(kept)) == build.build_phases(read)
