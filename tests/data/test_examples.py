import numpy as np

from catpose.data import examples
from tests.support import tiny


def test_fewer_examples_are_even_nested_and_as_they_were():
    whole = tiny.split(100, 0)
    share = np.random.default_rng(0).choice(4, 100, p=[0.7, 0.2, 0.06, 0.04])
    whole = whole._replace(category=share.astype(np.int32), aspect=np.arange(100, dtype=np.float32))
    counts = np.bincount(share)
    some, more = (examples.fewer(whole, count, seed=1) for count in (12, 40))
    np.testing.assert_array_equal(np.bincount(some.category), [3, 3, 3, 3])
    assert np.bincount(more.category).tolist()[2:] == counts[2:].tolist()
    assert len(more.category) == 40
    assert set(some.id) < set(more.id)
    rows = some.aspect.astype(int)
    for name in ("image", "category", "rotation", "id"):
        np.testing.assert_array_equal(getattr(some, name), getattr(whole, name)[rows])
    assert some.digest not in (whole.digest, more.digest)
    assert examples.fewer(whole, 12, seed=2).digest != some.digest
    assert examples.fewer(whole, 100, seed=1) is whole
