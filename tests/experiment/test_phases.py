"""What a phase covers, when it runs, and what a wrong one says."""

import jax
import numpy as np
import pytest

from catpose.errors import InputError
from catpose.experiment import phases
from tests.support import tiny

PARAMS = {
    "feature_network": {
        "stage2": {"kernel": np.zeros(2), "bias": np.zeros(1)},
        "stage20": {"kernel": np.zeros(3)},
    },
    "category_network": {"logits": {"kernel": np.zeros(4)}},
    "pose_networks": {"output": {"kernel": np.arange(12.0).reshape(4, 3)}},
}


def one(**changes):
    return tiny.only_phase(**{"batch_norm": (), **changes})


def trained_paths(phase):
    return {path for path, mark in phases.labels(PARAMS, phase).items() if mark == "train"}


@pytest.mark.parametrize(
    ("patterns", "covered"),
    [
        (("pose_networks",), {"pose_networks/output/kernel"}),
        (
            ("feature_network/stage2",),
            {"feature_network/stage2/kernel", "feature_network/stage2/bias"},
        ),
        (
            (".*/kernel",),
            {
                "feature_network/stage2/kernel",
                "feature_network/stage20/kernel",
                "category_network/logits/kernel",
                "pose_networks/output/kernel",
            },
        ),
        (
            ("category_network|pose_networks",),
            {"category_network/logits/kernel", "pose_networks/output/kernel"},
        ),
        ((), set()),
    ],
)
def test_patterns_cover_whole_path_components(patterns, covered):
    assert trained_paths(one(train=patterns)) == covered
    assert set(phases.trainable(PARAMS, one(train=patterns))) == covered


@pytest.mark.parametrize("pattern", ["pose_network", "pose_netwroks", "stage2", "pose_networks/x"])
def test_a_pattern_without_parameters_is_told(pattern):
    with pytest.raises(InputError, match=f"'{pattern}' in `train` of phase 'only' covers no param"):
        phases.labels(PARAMS, one(train=("category_network", pattern)))


def test_features_cannot_be_cached_and_trained():
    phase = one(train=(".*/stage2",), cached_features=True, views=("identity",))
    with pytest.raises(InputError, match="trains feature_network/stage2/.*cached_features must be"):
        phases.labels(PARAMS, phase)


def test_merge_puts_back_what_trainable_took():
    phase = one(train=("pose_networks",), tied=True)
    update = {path: leaf + 100 for path, leaf in phases.trainable(PARAMS, phase).items()}
    assert update["pose_networks/output/kernel"].shape == (1, 3)
    params = jax.tree.map(jax.numpy.asarray, PARAMS)
    merged = phases.merge(params, update, phase)
    assert jax.tree.structure(merged) == jax.tree.structure(PARAMS)
    expected = np.arange(12.0).reshape(4, 3) + [[100], [0], [0], [0]]
    np.testing.assert_array_equal(merged["pose_networks"]["output"]["kernel"], expected)
    assert (
        merged["feature_network"]["stage2"]["kernel"]
        is params["feature_network"]["stage2"]["kernel"]
    )


def test_entering_copies_the_first_pose_network_only_where_asked():
    stats = {"pose_networks": {"bn1": {"mean": jax.numpy.arange(8.0).reshape(4, 2)}}}
    params = jax.tree.map(jax.numpy.asarray, PARAMS)
    same, same_stats = phases.enter(params, stats, one())
    assert same is params
    assert same_stats is stats
    entered, entered_stats = phases.enter(params, stats, one(on_enter="broadcast_pose"))
    np.testing.assert_array_equal(
        entered["pose_networks"]["output"]["kernel"], [[0.0, 1.0, 2.0]] * 4
    )
    np.testing.assert_array_equal(entered_stats["pose_networks"]["bn1"]["mean"], [[0.0, 1.0]] * 4)
    assert entered["feature_network"] is params["feature_network"]


def test_the_phase_is_a_function_of_the_step():
    steps = (3, 1, 4)
    listed = [one(name=name, steps=count) for name, count in zip("abc", steps, strict=True)]
    assert phases.total_steps(listed) == 8
    assert [(p.name, start, stop) for p, start, stop in phases.spans(listed)] == [
        ("a", 0, 3),
        ("b", 3, 4),
        ("c", 4, 8),
    ]
    found = [phases.at_step(listed, step) for step in range(10)]
    assert "".join(phase.name for phase, _ in found) == "aaabcccccc"
    assert [start for _, start in found] == [0, 0, 0, 3, 4, 4, 4, 4, 4, 4]


def test_batch_size_counts_the_sources_in_use():
    phase = one(sources={"train": 16, "pretrain": 8, "rendered": 0})
    assert phase.sources == {"train": 16, "pretrain": 8}
    assert phase.batch_size == 24


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"colour": 1}, r"phases\[0\] has the unknown key 'colour'"),
        ({"learning_rate": {"peek": 1}}, r"learning_rate has the unknown key 'peek'"),
        ({"augment": {"blur": 1}}, r"augment has the unknown key 'blur'"),
        ({"augment": {"pose_jitter_deg": (1.0, 4.0)}}, "three angles in degrees: azimuth"),
        ({"augment": {"jitter_iou": 0.0}}, "jitter_iou is 0.0; it can be above 0"),
        ({"fusion": "top2"}, "fusion is 'top2'; it can be weighted, top1, oracle"),
        ({"pose_bn": "some"}, "pose_bn is 'some'"),
        ({"on_enter": "copy"}, "on_enter is 'copy'"),
        ({"steps": 0}, "steps is 0; it can be 1 or larger"),
        ({"sources": {"train": 0}}, "sources is empty"),
        ({"views": ("identity", "upside_down")}, "unknown view 'upside_down'; known: identity"),
        ({"train": ("pose_networks",), "cached_features": True}, "needs views"),
    ],
)
def test_wrong_phases_are_told(changes, message):
    with pytest.raises(InputError, match=message):
        one(**changes)


def test_a_run_has_the_phases_of_the_weights_it_begins_with():
    entries = [tiny.only_phase(name=name, start=name) for name in ("any", "pretrained", "random")]
    for weights in ("pretrained", "random"):
        found = phases.of_start(entries, weights)
        assert [phase.name for phase in found] == ["any", weights]
    with pytest.raises(InputError, match="no phase for a run that begins with random weights"):
        phases.of_start(entries[1:2], "random")
    with pytest.raises(InputError, match=r"phases\[0\].start is 'mini'; it can be any"):
        tiny.only_phase(start="mini")


def test_missing_keys_and_phases_are_told():
    entry = tiny.phase()
    del entry["steps"]
    with pytest.raises(InputError, match=r"config.phases\[0\] lacks the key 'steps'"):
        tiny.read(tiny.config([entry]))
    with pytest.raises(InputError, match="at least one phase"):
        phases.of_start((), "random")
