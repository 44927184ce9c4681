"""A config becomes frozen dataclasses: defaults, ranges and what a wrong value says."""

import dataclasses
import json

import pytest

from catpose import config_keys
from catpose.configs import base
from catpose.data import input_spec
from catpose.errors import InputError
from catpose.experiment import config as config_lib
from catpose.experiment import workdir
from catpose.models import settings


def changed(**keys):
    config = base.get_config()
    for name, value in keys.items():
        section, _, key = name.rpartition("__")
        setattr(config[section] if section else config, key, value)
    return config_lib.read(config)


def test_the_defaults_are_those_of_the_dataclasses():
    assert config_lib.read(base.get_config()) == config_lib.Config()
    assert config_lib.read({}) == config_lib.Config()
    kept = json.loads(json.dumps(config_lib.to_dict(config_lib.Config())))
    assert config_lib.read(kept) == config_lib.Config()


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"seed": -1}, "config.seed is -1; it can be 0 or larger"),
        ({"frame": "world"}, "config.frame is 'world'; it can be camera, upright, paper"),
        ({"data__context": 5.0}, "config.data.context is 5.0; it can be from 1 to 4"),
        (
            {"model__trunk": "alexnet"},
            "config.model.trunk is 'alexnet'; it can be resnet, resnet18",
        ),
        ({"engine__distance": (1.0, 2.0)}, "config.engine.distance is .*; it can be a range from"),
        ({"optimizer__name": "lion"}, "config.optimizer.name is 'lion'; it can be adam, sgd"),
        ({"seed": 2**70}, "config.seed is 1180591620717411303424; it can be an integer of 32 bits"),
        ({"data__margin": -3}, "config.data.margin is -3; it can be from 0 to 8192"),
        ({"data__resolution": 0}, "config.data.resolution is 0; it can be from 1 to 8192"),
        ({"data__num_images": {"test": -1}}, "config.data.num_images is .*; it can be values 0 or"),
        (
            {"data__num_images": {"test": "a"}},
            r"config.data.num_images\['test'\] is 'a'; it can be an",
        ),
        (
            {"data__symmetry": {"cup": -1}},
            "config.data: the symmetry of 'cup' is '-1'; it can be none",
        ),
        (
            {"engine__elevation_deg": (0.0, 99.0)},
            "config.engine: elevation_deg: .* beyond -90 to 90",
        ),
        (
            {"model__normalization": "imagenet"},
            "config.model.normalization is 'imagenet'; it can be",
        ),
        ({"model__dtype": "int8"}, "config.model.dtype is 'int8'; it can be float32, bfloat16"),
        ({"model__blocks": (3, 0)}, r"config.model.blocks is \(3, 0\); it can be each 1 or larger"),
        ({"model__pose_hidden": ("a",)}, r"config.model.pose_hidden\[0\] is 'a'; it can be an int"),
        ({"eval__batch_size": 0}, "config.eval.batch_size is 0; it can be 1 or larger"),
        (
            {"optimizer__clip_norm": float("inf")},
            "config.optimizer.clip_norm is inf; it can be a fin",
        ),
        (
            {"optimizer__clip_norm": 2**140},
            "config.optimizer.clip_norm is .*; it can be a finite n",
        ),
        ({"max_skipped": 0}, "config.max_skipped is 0; it can be 1 or larger"),
        ({"plugins": ("no_such",)}, "no_such is not loaded; give --plugins=no_such"),
    ],
)
def test_a_value_out_of_its_range(keys, message):
    with pytest.raises(InputError, match=message):
        changed(**keys)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"pose_weight": -5.0}, r"config.phases\[0\].pose_weight is -5.0; it can be 0 or larger"),
        ({"pose_weight": float("nan")}, "pose_weight is nan; it can be a finite number"),
        ({"augment": {"mirror": 5}}, r"config.phases\[0\].augment.mirror is 5.0; it can be from 0"),
        (
            {"augment": {"pose_jitter_deg": (-1.0, 0.0, 0.0)}},
            "three angles in degrees: .* each 0 or l",
        ),
        ({"sources": {"train": -4}}, "sources is .*; it can be values 0 or larger"),
        ({"sources": {"train": 0}}, "sources is empty"),
        ({"batch_norm": ("heads",)}, "batch_norm is .*; it can be each feature_network, category_"),
        ({"train": ("(",)}, r"config.phases\[0\]: train has the pattern '\(': missing \)"),
        ({"steps": 2**32}, "steps is 4294967296; it can be an integer of 32 bits"),
        ({"name": ""}, "name is ''; it can be anything but empty"),
    ],
)
def test_a_value_of_a_phase_out_of_its_range(keys, message):
    with pytest.raises(InputError, match=message):
        config_lib.read({"phases": [{"name": "one", "steps": 1, **keys}]})


def test_normalizations_are_those_of_the_input():
    assert tuple(input_spec.NORMALIZATIONS) == settings.NORMALIZATIONS


def test_values_of_another_type():
    values = dataclasses.asdict(config_lib.Config())
    for key, value, kind in (
        ("seed", True, "an integer"),
        ("name", 3, "a text"),
        ("data", 3, "a mapping"),
        ("phases", "all", "a list"),
        ("plugins", 3, "a list"),
    ):
        with pytest.raises(InputError, match=f"config.{key} is {value!r}; it can be {kind}"):
            config_lib.read({**values, key: value})
    assert config_lib.read({**values, "data": {"context": 1}}).data.context == 1.0


def test_a_run_of_another_version(tmp_path):
    content = config_lib.to_dict(config_lib.Config(name="old"))
    del content["model"]["pose_fusion"], content["plugins"]
    (tmp_path / "config.json").write_text(json.dumps({"config": content}))
    assert workdir.read_config(tmp_path) == config_lib.Config(name="old")
    content["model"]["colour"] = 1
    (tmp_path / "config.json").write_text(json.dumps({"config": content}))
    with pytest.raises(InputError, match="config.json: config.model has the unknown key 'colour'"):
        workdir.read_config(tmp_path)


def test_every_key_is_listed_with_its_meaning():
    keys = {key.name: key for key in config_keys.keys(config_lib.Config)}
    assert keys["data.resolution"].value == 224
    assert keys["phases[].fusion"].range == "weighted, top1, oracle"
    assert keys["engine.look.texture"].range == "from 0 to 1"
    assert keys["phases[].augment.mirror"].value == 0.5
    assert all(key.meaning for key in keys.values())
    named = config_keys.keys(config_lib.Config, config_lib.Config(seed=3))
    assert next(key.value for key in named if key.name == "seed") == 3
