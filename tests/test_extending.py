"""The examples of docs/extending.md, run as plugins from a folder outside the tree."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.support.paths import ROOT

FILES = dict(
    re.findall(r"```python\n# (\w+\.py)\n(.*?)```", (ROOT / "docs/extending.md").read_text(), re.S)
)
PLUGINS = [name.removesuffix(".py") for name in FILES if name != "extended.py"]
USE = """
import json, catpose
plugins = {plugins}
folder = catpose.train("extended.py", "run", plugins=plugins, show_progress=False)
predicted = catpose.load(folder, plugins=plugins)("photos/0.png")
score = catpose.evaluate(folder, plugins=plugins)
logged = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
print(predicted.category, abs(predicted.elevation_deg) < 1e-3, len(score.metrics) > 0)
print(any("certainty_loss" in line for line in logged))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("outside")
    for name, text in FILES.items():
        (made / name).write_text(text)
    (made / "photos").mkdir()
    generator, lines = np.random.default_rng(0), []
    for i in range(24):
        pixels = generator.integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(pixels).save(made / "photos" / f"{i}.png")
        split = "train" if i < 16 else "test"
        lines.append(f"{i}.png {'cup' if i % 2 else 'bus'} {15 * i} {split}")
    (made / "photos" / "labels.txt").write_text("\n".join(lines))
    return made


def run(folder, code):
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(folder / "cache")}
    return subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_examples_are_short():
    assert len(FILES) == 5
    assert all(text.count("\n") < 40 for text in FILES.values())


def test_plugins_train_predict_and_are_scored(folder):
    result = run(folder, USE.format(plugins=PLUGINS))
    assert result.returncode == 0, result.stderr
    category, *checks = result.stdout.split()[-4:]
    assert category in ("bus", "cup")
    assert checks == ["True"] * 3
    # Nothing is imported because the folder says so: one line says what is missing.
    result = run(folder, "import catpose; catpose.load('run')")
    assert "the plugins my_backbone, my_pose" in result.stderr.splitlines()[-1]
    assert "give --plugins=my_backbone,my_pose" in result.stderr.splitlines()[-1]
