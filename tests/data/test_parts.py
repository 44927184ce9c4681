"""Examples that several processes make together: here, threads with a share each."""

import concurrent.futures
import threading

import numpy as np
import pytest

from catpose.data import crop_cache, examples, manifest, parts, shapes_dataset
from catpose.errors import InputError
from catpose.images import decode, files
from tests.data.test_crop_cache import folder_of_photos


def together(count, work_fn):
    """The results of work_fn(share), for each of so many shares at the same time."""
    given, barrier = [b""] * count, threading.Barrier(count)

    def exchange(index, own):
        given[index] = own
        barrier.wait(60)
        found = list(given)
        barrier.wait(60)
        return found

    def work(index):
        return work_fn(parts.Share(index, count, lambda own: exchange(index, own)))

    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        return list(pool.map(work, range(count)))


def test_rows_of_parts_are_those_of_one_array():
    whole = np.arange(10 * 2 * 2 * 3, dtype=np.uint8).reshape(10, 2, 2, 3)
    opened = []

    def open_part(first, stop):
        opened.append(first)
        return whole[first:stop]

    bounds = [(0, 4), (4, 4), (4, 7), (7, 10)]
    open_fns = [lambda b=b: open_part(*b) for b in bounds]
    found = parts.Parts(open_fns, [4, 0, 3, 3], (2, 2, 3))
    assert (found.shape, found.nbytes, len(found)) == (whole.shape, whole.nbytes, 10)
    np.testing.assert_array_equal(found[np.array([5, 4, 6])], whole[[5, 4, 6]])
    assert opened == [4]
    for index in (3, slice(2, 9), np.array([9, 0, 5]), np.arange(10) % 2 == 0, np.zeros(0, int)):
        np.testing.assert_array_equal(found[index], whole[index])
    assert opened == [4, 0, 7]
    fewer = found.take(np.array([8, 1, 1, 6]))
    np.testing.assert_array_equal(fewer[np.arange(4)], whole[[8, 1, 1, 6]])
    assert fewer.owners().tolist() == [3, 0, 0, 2]
    assert parts.owners(whole, 4).tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 3, 3]


@pytest.mark.parametrize("shared", [True, False])
def test_each_process_decodes_its_own_part(tmp_path, monkeypatch, shared):
    root = folder_of_photos(tmp_path, 30, broken=(3, 20))
    options = {"resolution": 16, "max_broken_share": 0.5, "show_progress": False}
    alone = crop_cache.load(manifest.read(root), cache_dir=str(tmp_path / "alone"), **options)
    decoded, read = [], []
    open_picture, read_bytes = decode.open_picture, files.read_bytes

    def counted(source, name):
        decoded.append(name)
        return open_picture(source, name)

    def counted_bytes(path):
        read.append(path)
        return read_bytes(path)

    monkeypatch.setattr(decode, "open_picture", counted)
    monkeypatch.setattr(files, "read_bytes", counted_bytes)

    def load(share):
        cache = tmp_path / ("cache" if shared else f"cache{share.index}")
        return crop_cache.load(
            manifest.read(root, share=share), cache_dir=str(cache), share=share, **options
        )

    found = together(3, load)
    assert sorted(decoded) == sorted(f"{i}.png" for i in range(30))
    assert len(read) == 60  # once for the digests, once for the crops
    for data in found:
        assert data.notes == alone.notes
        for name, wanted in alone.splits.items():
            split = data.splits[name]
            np.testing.assert_array_equal(split.id, wanted.id)
            np.testing.assert_array_equal(split.aspect, wanted.aspect)
            assert split.digest == wanted.digest
            assert np.bincount(split.image.owners()).sum() == len(wanted.id)
            np.testing.assert_array_equal(split.image[np.arange(len(wanted.id))], wanted.image)
    # What others have made is found in a folder that is shared, and else made on demand.
    assert len(decoded) == (30 if shared else 90)
    few = examples.fewer(found[0].splits["train"], 5, seed=0)
    same = examples.fewer(alone.splits["train"], 5, seed=0)
    np.testing.assert_array_equal(few.image[np.arange(5)], same.image)


def test_all_processes_say_what_is_wrong(tmp_path):
    root = folder_of_photos(tmp_path, 6)
    (root / "images" / "4.png").unlink()

    def read(share):
        with pytest.raises(InputError, match=r"line 6: no image .*4\.png"):
            manifest.read(root, share=share)
        return True

    assert together(3, read) == [True] * 3


def test_fewer_examples_than_processes_are_made_by_all():
    share = parts.Share(1, 3, lambda own: pytest.fail("nothing to exchange"))
    made = parts.make(2, share, lambda *span: {"image": np.array(span)}, ())
    assert made["image"].tolist() == [0, 2]


def test_rendered_images_are_those_of_one_process(tmp_path):
    def load(share):
        return shapes_dataset.load(
            num_images={"validation": 70},
            seed=1,
            resolution=8,
            cache_dir=str(tmp_path / str(share.count)),
            show_progress=False,
            share=share,
        ).splits["validation"]

    alone = load(parts.ALONE)
    for found in together(2, load):
        np.testing.assert_array_equal(found.rotation, alone.rotation)
        np.testing.assert_array_equal(found.category, alone.category)
        np.testing.assert_array_equal(found.image[np.arange(70)], alone.image)
        assert found.digest == alone.digest
