"""tests/accelerator.py where something fails: reported, and the rest goes on.

`.ci/run` runs all of its sections, tiny, on a CPU.
"""

import json
import os
import subprocess
import sys
import time

import pytest

from tests import accelerator
from tests.support.paths import ROOT

WRITES = """
import pathlib, sys
path = pathlib.Path(next(a[7:] for a in sys.argv if a.startswith("--json=")))
path.write_text('{"img_s": 3.5, "is_right": true}')
"""


def ran(code, limit=60.0):
    return accelerator.measured(["-c", code], limit, dict(os.environ))


def test_a_section_gives_its_figures():
    found = ran(WRITES)
    assert found["status"] == "ok"
    assert found["found"] == {"img_s": 3.5, "is_right": True}
    assert accelerator.is_well(found)
    assert not accelerator.is_well({**found, "found": {"is_right": False}})


def test_a_section_that_fails_keeps_its_figures_and_says_why():
    found = ran(WRITES + "raise ValueError('out of | memory')")
    assert found["status"] == "failed"
    assert found["reason"] == "ValueError: out of | memory"
    assert found["found"]["img_s"] == 3.5
    assert not accelerator.is_well(found)
    text = accelerator.table({"renderer": found})
    assert "ValueError: out of / memory" in text
    assert "img s | 3.5" in text


def test_a_section_that_hangs_is_stopped_with_what_it_started(tmp_path):
    left = tmp_path / "left"
    child = f"import time; time.sleep(3); open({str(left)!r}, 'w')"
    code = f"{WRITES}import subprocess\nsubprocess.run([sys.executable, '-c', {child!r}])"
    begin = time.monotonic()
    found = ran(code, limit=1.0)
    assert time.monotonic() - begin < 3
    assert found["status"] == "stopped after 1 s"
    time.sleep(3)
    assert not left.exists()


def test_all_else_goes_on_without_a_device_or_pytorch(tmp_path):
    """A TPU that is not here: each section fails by itself, and the JSON says so."""
    path = tmp_path / "found.json"
    command = [sys.executable, "tests/accelerator.py", "--device=tpu", "--smoke", f"--json={path}"]
    chosen = "rotations,beside PyTorch,pmap and jit"
    result = subprocess.run(
        [*command, f"--only={chosen}", "--peer_python=/no/such"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1, result.stderr
    found = json.loads(path.read_text())["sections"]
    assert list(found) == chosen.split(",")
    for name in ("rotations", "pmap and jit"):
        assert found[name]["status"] == "failed"
        assert "tpu" in found[name]["reason"]
    assert found["beside PyTorch"]["status"] == "left out"
    assert "/no/such has no PyTorch" in path.with_suffix(".md").read_text()


def test_sections_are_compared():
    def section(**seconds):
        return {"found": {"programs": {n: {"seconds": s} for n, s in seconds.items()}}}

    found = {
        "training and inference": section(full=2.0, inference=1.0),
        "100 categories": section(full=3.0, inference=1.5),
    }
    found["kinds of steps"] = {"found": {"programs": {"cached features": {"seconds": 0.5}}}}
    assert dict(accelerator.compared(found)) == pytest.approx(
        {
            "cached features, time of the full step": 0.25,
            "100 categories, time of the full step": 1.5,
            "100 categories, time of inference": 1.5,
        }
    )
    del found["training and inference"]
    assert dict(accelerator.compared(found)) == {}
