"""Images that stay on the host: the same batches, the same run, the same figures."""

import numpy as np
import pytest

from catpose import devices
from catpose.data import disk_cache
from catpose.errors import InputError
from catpose.evaluation import score
from catpose.training import input_pipeline, loop
from tests.support import tiny

STRONG = {"zoom": 0.1, "rotate_deg": 10.0, "jitter_iou": 0.8}


def settings(device_cache_mb, **changes):
    config = tiny.config([tiny.phase(steps=3, augment=STRONG, **changes)])
    config.data.device_cache_mb = device_cache_mb
    return config


def test_streamed_and_resident_runs_are_equal(tmp_path):
    finals, figures = [], []
    for limit, streamed in ((-1, False), (0, True)):
        folder = tmp_path / str(limit)
        folder.mkdir()
        splits = {"train": tiny.split(48, 0, margin=4), "validation": tiny.split(24, 1, margin=4)}
        run = tiny.run(settings(limit), folder, splits)
        assert input_pipeline.streams(run, "train") == streamed
        final = loop.train(run).last
        assert (run.caches.data["train"].image is None) == streamed
        found = input_pipeline.evaluate_split(run, "validation", run.phases[-1], final)
        figures.append(score.summaries(splits["validation"], found))
        finals.append(disk_cache.sha256(final.params))
    assert finals[0] == finals[1]
    assert figures[0] == figures[1]


def test_a_split_is_streamed_where_it_passes_the_limit(tmp_path):
    # 1024 images of 32 x 32 x 3 are 3 MiB.
    splits = {"train": tiny.split(1024, 0), "validation": tiny.split(24, 1)}
    for limit, expected in ((2, True), (3, False), (0, True)):
        assert (
            input_pipeline.streams(tiny.run(settings(limit), tmp_path, splits), "train") == expected
        )
    assert devices.memory_for_data() > 1 << 30


def test_batches_from_any_step_on_are_those_of_the_whole_run(tmp_path):
    run = tiny.run(settings(0), tmp_path)
    (phase,) = run.phases
    whole = input_pipeline.batches(run, phase, 0)
    first = [next(whole)["train"] for _ in range(4)]
    whole.close()
    later = input_pipeline.batches(run, phase, 2)
    for expected in first[2:]:
        found = next(later)["train"]
        np.testing.assert_array_equal(found.index, expected.index)
        np.testing.assert_array_equal(found.image, expected.image)
        np.testing.assert_array_equal(found.image, run.dataset.splits["train"].image[found.index])


def test_rendered_images_do_not_count_for_the_category(tmp_path):
    splits = {name: tiny.split(48, i) for i, name in enumerate(("train", "rendered"))}
    sources = {"train": 16, "rendered": 8}
    for changes, expected in (({}, 0.0), ({"pose_only": ()}, 1.0)):
        run = tiny.run(settings(0, sources=sources, **changes), tmp_path, splits)
        rows = input_pipeline.whole_batch(run, run.phases[0], 0)
        assert (rows["train"].category_weight == 1).all()
        assert (rows["rendered"].category_weight == expected).all()
        assert (rows["rendered"].pose_weight == 1).all()
        positions = np.concatenate([part.position for part in rows.values()])
        assert sorted(positions.tolist()) == list(range(24))


def test_a_jitter_without_any_camera_is_an_error(tmp_path):
    config = tiny.config([tiny.phase(augment={"pose_jitter_deg": (1.0, 1.0, 4.0)})])
    with pytest.raises(InputError, match="phase 'only' jitters poses in 3D .*PASCAL3D"):
        tiny.run(config, tmp_path)
