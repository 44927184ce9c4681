"""The folder of a run, whole and damaged: each file that is wrong is named."""

import json
import shutil

import numpy as np
import pytest

from catpose.errors import InputError
from catpose.experiment import build, workdir
from catpose.experiment import config as config_lib

READ = {
    workdir.CONFIG: workdir.read_config,
    "categories.json": workdir.read_categories,
    workdir.KEYS: workdir.read_keys,
    "weights.safetensors": build.read_model,
}


@pytest.fixture
def mini(tmp_path):
    folder = shutil.copytree(workdir.find("mini"), tmp_path / "mini")
    workdir.write_keys(folder, np.stack([np.eye(3)]))
    return folder


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"[" * 100_000, b"12", b"{}", b"half"])
@pytest.mark.parametrize("name", READ)
def test_a_damaged_file_is_named(mini, name, content):
    path = mini / name
    path.write_bytes(
        path.read_bytes()[: path.stat().st_size // 2] if content == b"half" else content
    )
    with pytest.raises(InputError, match=name):
        READ[name](mini)


@pytest.mark.parametrize("name", ["config.json", "categories.json"])
def test_a_missing_file_is_named(mini, name):
    (mini / name).unlink()
    with pytest.raises(InputError, match="no config.json|has not begun to train"):
        READ[name](mini)


@pytest.mark.parametrize("content", ["", '{"splits": {"tes', "[]", "{}", '{"splits": 3}'])
def test_a_damaged_report_is_none(tmp_path, content, capfd):
    assert workdir.read_report(tmp_path) is None
    assert capfd.readouterr().err == ""
    (tmp_path / "report.json").write_text(content)
    assert workdir.read_report(tmp_path) is None
    assert "report.json is damaged: it is made anew" in capfd.readouterr().err
    (tmp_path / "report.json").write_text('{"splits": {}}')
    assert workdir.read_report(tmp_path) == {"splits": {}}


@pytest.mark.parametrize("files", [{"thesis.tex": ""}, {"config.json": '{"my": 1}'}])
def test_a_folder_of_something_else_is_no_workdir(tmp_path, files):
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match="is not a run's"):
        with workdir.opened(tmp_path, config_lib.Config()):
            pass
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_other_values_in_a_config_are_found(tmp_path):
    with workdir.opened(tmp_path, config_lib.Config(seed=1)):
        pass
    assert workdir.read_config(tmp_path).seed == 1
    path = tmp_path / "config.json"
    path.write_text(path.read_text().replace('"seed": 1', '"seed": 3'))
    with pytest.raises(
        InputError, match=r"config.json is damaged \(its checksum is another.*crc32"
    ):
        workdir.read_config(tmp_path)


@pytest.mark.parametrize("name", ["config.json", "categories.json", "weights.safetensors"])
def test_a_flipped_bit_in_a_network_that_comes_with_catpose(tmp_path, name):
    folder = shutil.copytree(workdir.find("mini"), tmp_path / "mini")
    content = bytearray((folder / name).read_bytes())
    content[-9] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(InputError, match=f"mini/{name} has another checksum: it is damaged"):
        build.read_model(folder)


def test_a_corrected_config_takes_over_what_has_not_begun(tmp_path):
    for seed in (1, 2):
        with workdir.opened(tmp_path, config_lib.Config(seed=seed)):
            pass
    assert json.loads((tmp_path / "config.json").read_text())["config"]["seed"] == 2


def test_only_what_changes_no_result_may_change(tmp_path):
    def again(free=workdir.FREE, **changes):
        with workdir.opened(tmp_path, config_lib.Config(**changes), free=free):
            pass

    again()
    (tmp_path / "report.json").write_text("{}")  # as of a run that has begun
    again(max_skipped=3, max_skipped_share=0.5)
    again(free=("eval",), eval=config_lib.Eval(batch_size=3, splits=("test",)))
    with pytest.raises(InputError, match="config.max_skipped_share = 0.1, now it is 0.5"):
        again(free=("max_skipped",), max_skipped_share=0.5)
    with pytest.raises(InputError, match="config.eval.batch_size = 256"):
        again(eval=config_lib.Eval(batch_size=3))
