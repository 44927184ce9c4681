"""A config becomes frozen dataclasses: defaults, ranges and what a wrong value says."""

import dataclasses
import json

import pytest

from catpose import config_keys
from catpose.configs import base
from catpose.errors import InputError
from catpose.experiment import config as config_lib
from catpose.experiment import workdir


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
        ({"plugins": ("no_such",)}, "no_such is not loaded; give --plugins=no_such"),
    ],
)
def test_a_value_out_of_its_range(keys, message):
    with pytest.raises(InputError, match=message):
        changed(**keys)


def test_values_of_another_type():
    values = dataclasses.asdict(config_lib.Config())
    for key, value, kind in (
        ("seed", True, "an integer"),
        ("name", 3, "a text"),
        ("data", 3, "a mapping"),
        ("phases", "all", "a list"),
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
