"""What launch.benchmark measures with, on a tiny network."""

import math
import statistics
import sys

import jax
import numpy as np
import pytest

from catpose.bench import limits, peer, programs, summary, timing
from catpose.configs import benchmark
from catpose.errors import InputError
from catpose.models import architectures
from catpose.poses import POSES
from catpose.training import phase_run
from catpose.visualize import style
from tests.support import tiny

PEER = """
import sys
print("ready", 9.5, flush=True)
for line in sys.stdin:
    name, count = line.split()
    print(int(count) * {"train": 2.0, "infer": 0.5, "latency": 0.1}[name], flush=True)
"""


@pytest.fixture(scope="module")
def run():
    settings = tiny.config([tiny.phase("full", 4)])
    settings.parallel = "jit"
    return programs.assemble(settings, 4, 32)


def test_all_parts_of_a_step_run_and_are_counted(run):
    found = programs.train_steps(run) | programs.parts(run, run.phases[0])
    assert list(found) == ["full", "input", "forward", "gradient", "step"]
    for name, program in found.items():
        assert program.images == 16
        assert program.compile_seconds > 0
        assert program.memory > 0
        first, second = program.call(), program.call()
        finite = [np.isfinite(x).all() for x in jax.tree.leaves(second[-1])
                  if np.issubdtype(np.asarray(x).dtype, np.floating)]  # fmt: skip
        assert all(finite), name
        del first
    # The gradient costs more than the loss alone; the whole step more than the gradient.
    assert found["forward"].flops < found["gradient"].flops < found["step"].flops


def test_a_step_is_split_into_its_parts():
    seconds = {"input": 0.5, "forward": 1.0, "gradient": 3.0, "step": 3.25}
    records = {name: {"seconds": each} for name, each in seconds.items()}
    parts = summary.split(records)
    assert parts == {"input": 500, "forward": 1000, "backward": 2000, "update": 250}
    assert summary.split({"step": records["step"]}) == {}


def test_a_step_does_not_grow_with_the_categories():
    def operations(num_categories):
        settings = tiny.config([tiny.phase("full", 4)])
        settings.parallel = "jit"
        made = programs.assemble(settings, num_categories, 32)
        (phase,) = made.phases
        state = phase_run.enter(made, phase, phase_run.initial_state(made))
        steps = phase_run.begin(made, phase, state)
        lowered = steps.step_fn.lower(state, next(steps.records), steps.cache)
        return len(lowered.as_text().splitlines())

    assert operations(16) < 1.01 * operations(2)


def test_inference_and_evaluation_run(run):
    found = programs.inference(run, 8)
    logits, poses = found["inference"].call()
    assert logits.shape == (8, 4)
    assert poses.shape == (8, 4, 3)
    assert found["evaluation"].call().rotation["weighted"].shape == (8, 3, 3)


def test_what_is_not_one_program_is_timed_too(run):
    found = programs.whole(lambda: np.ones(2), 1)
    assert found.images == 1
    assert math.isnan(found.flops)
    record = summary.record(found, [0.5, 0.25], limits.Limits(1.0, 1.0))
    assert record["img_s"] == 3.0
    assert record["gflop"] is None


def test_every_kind_of_phase_is_assembled():
    config = benchmark.get_config("quickstart,float32", 32, 48)
    assert [phase["name"] for phase in config.phases] == list(benchmark.KINDS)
    assert [sum(phase["sources"].values()) for phase in config.phases] == [48, 48, 48, 96]
    drawn = programs.assemble(config, 3, 96)
    # The built-in models have categories of their own.
    assert len(drawn.dataset.categories) == 12


def test_programs_are_timed_in_turn():
    asked = []

    def timer(name, seconds):
        def run(count):
            asked.append((name, count))
            return seconds * count

        return run

    found = timing.alternate({"a": timer("a", 0.1), "b": timer("b", 1.0)}, repeats=3, seconds=0.5)
    assert asked[4:] == [("a", 1), ("a", 5), ("b", 1), ("b", 2)] * 3
    assert statistics.median(found["a"]) == pytest.approx(0.1)
    assert timing.ratio(found["a"], found["b"]) == pytest.approx(10)


def test_ratio_is_of_neighbours():
    ours, theirs = [1.0, 2.0, 10.0], [3.0, 4.0, 50.0]
    assert timing.ratio(ours, theirs) == 3.0


def test_a_peer_answers_and_ends(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text(PEER)
    with peer.started(script, sys.executable, {"names": ["train", "infer"]}) as (version, timers):
        assert version == "9.5"
        assert timers["train"](3) == 6.0
        assert timers["infer"](4) == 2.0


def test_a_peer_that_does_not_start_is_told(tmp_path):
    script = tmp_path / "peer.py"
    script.write_text("raise SystemExit(1)")
    with pytest.raises(InputError, match="peer.py did not start"):
        with peer.started(script, sys.executable, {}):
            pass
    with pytest.raises(InputError, match="--peer_python=/nowhere/python"):
        with peer.started(script, "/nowhere/python", {}):
            pass


def test_shares_are_of_the_limits(tmp_path, monkeypatch):
    monkeypatch.setattr(style, "DPI", 200)  # a user's, see conftest.coarse_pictures
    program = programs.Program(lambda: None, 10, 1.5, 4e9, 2e9, 8_000_000)
    roof = limits.Limits(flops=8e9, bytes=40e9)
    found = summary.record(program, [1.0, 0.5, 2.0], roof)
    assert found["img_s"] == 10
    assert found["img_s_range"] == [5, 20]
    assert found["compute_share"] == 0.5
    assert found["bandwidth_share"] == 0.05
    unknown = summary.record(program._replace(flops=math.nan), [1.0], roof)
    assert unknown["gflop"] is None
    records = {"known": found, "unknown": unknown}
    assert "| known" in summary.markdown(records)
    summary.roofline(records, roof, tmp_path / "roof.png", "here")
    assert (tmp_path / "roof.png").stat().st_size > 10_000


def test_the_peer_is_the_same_network():
    """EfficientNet-Lite0 with random weights, statistics and pose networks, in both libraries."""
    torch = pytest.importorskip("torch", reason="needs the extra `peers`")
    from catpose.bench import torch_network

    side, count, settings = 64, 3, dict(benchmark.efficientnet_lite0().model)
    shape = ("trunk", "split_stage", "pool_grid", "pool_channels", "pose_hidden")
    network = architectures.build(
        num_categories=count, pose=POSES["axis_angle"], **{name: settings[name] for name in shape}
    )
    noise = np.random.default_rng(0)
    image = noise.normal(size=(2, side, side, 3)).astype(np.float32)
    shapes = jax.eval_shape(network.init_fn, jax.random.key(0), image)
    # Kernels keep the size of what passes, so that every layer is felt in the outputs.
    variables = jax.tree.map(
        lambda x: (
            noise.uniform(0.5, 1.5, x.shape).astype(np.float32)
            if x.ndim < 3 and x.shape[-1] != count
            else (noise.normal(size=x.shape) * (2 / np.prod(x.shape[:-1])) ** 0.5).astype(
                np.float32
            )
        ),
        shapes,
    )
    logits, poses = jax.jit(network.apply_fn)(variables, image)[0][1:]
    theirs = torch_network.Integrated({name: settings[name] for name in shape}, count, side).eval()
    fill(theirs, variables)
    with torch.inference_mode():
        found = theirs(torch.from_numpy(image.transpose(0, 3, 1, 2)))
    for one, other in zip((logits, poses), found, strict=True):
        assert np.std(one) > 1e-2
        np.testing.assert_allclose(one, other.numpy(), rtol=1e-3, atol=1e-4)


def fill(theirs, variables):
    """Copies the weights into the peer, layer after layer in the order of the forward pass."""
    import torch

    def layers(tree, names):
        return [found for name in names if name in tree for found in flat(tree[name])]

    def flat(tree):
        """(kernel, normalization) of each convolution; the stages' and blocks' names sort."""
        if "kernel" in tree:
            return [tree]
        inner = ("expand", "depthwise", "project")
        return layers(tree, inner if "project" in tree else sorted(tree))

    both = jax.tree.map(lambda x: x, variables["params"])
    for path, leaf in jax.tree_util.tree_flatten_with_path(variables["batch_stats"])[0]:
        place = both
        for part in path[:-1]:
            place = place[part.key]
        place[path[-1].key] = leaf
    features, category, pose = (
        both[name] for name in ("feature_network", "category_network", "pose_networks")
    )
    stages = [f"stage{i}" for i in range(1, 8)]
    convolutions = [*layers(features, ["stem", *stages]), category["head"]]
    modules = [*theirs.features.modules(), *theirs.rest.modules()]
    own = [each for each in modules if isinstance(each, torch.nn.Conv2d)]
    norms = [each for each in modules if isinstance(each, torch.nn.BatchNorm2d)]
    for layer, conv, norm in zip(convolutions, own, norms, strict=True):
        put(conv.weight, layer["kernel"].transpose(3, 2, 0, 1))
        put_norm(norm, layer["bn"])
    put(theirs.logits.weight, category["logits"]["kernel"].T)
    put(theirs.logits.bias, category["logits"]["bias"])
    for k, (linear, norm, _, output) in enumerate(theirs.pose):
        put(linear.weight, pose["linear1"]["kernel"][k].T)
        put_norm(norm, {name: leaf[k] for name, leaf in pose["bn1"].items()})
        put(output.weight, pose["output"]["kernel"][k].T)
        put(output.bias, pose["output"]["bias"][k])


def put(parameter, array):
    assert tuple(parameter.shape) == array.shape
    parameter.data[:] = parameter.data.new_tensor(np.array(array))


def put_norm(norm, layer):
    for parameter, name in (
        (norm.weight, "scale"), (norm.bias, "bias"),
        (norm.running_mean, "mean"), (norm.running_var, "var"),
    ):  # fmt: skip
        put(parameter, layer[name])


def test_limits_are_measured():
    found = limits.measure("float32", seconds=0.01)
    assert found.flops > 1e8
    assert found.bytes > 1e7
