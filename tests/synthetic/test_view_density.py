"""Viewpoint distributions against scipy, quadrature over SO(3) and brute force."""

import csv
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, special, stats
from scipy.spatial.transform import Rotation

from catpose.errors import InputError
from catpose.geometry import so3
from catpose.synthetic import view_density

KEY = jax.random.key(0)
DRAWS = 20_000
UNLIKELY = 1e-4  # keys are fixed; about forty tests share the risk of bad luck


def rotation_of(azimuth_deg, elevation_deg, theta_deg):
    """Frame "camera", by scipy."""
    azimuth, elevation, theta = np.broadcast_arrays(azimuth_deg, elevation_deg, theta_deg)
    angles = np.stack([theta, elevation - 90.0, -azimuth], -1).reshape(-1, 3)
    return Rotation.from_euler("ZXZ", angles, degrees=True).as_matrix()


def random_rotations(count, seed=0):
    return Rotation.random(count, random_state=np.random.RandomState(seed)).as_matrix()


def angle(a, b):
    """Of all pairs, (N, M) radians."""
    pairs = Rotation.from_matrix(np.repeat(a, len(b), 0)).inv()
    return (
        (pairs * Rotation.from_matrix(np.tile(b, (len(a), 1, 1)))).magnitude().reshape(len(a), -1)
    )


def kappa_of(bandwidth_deg):
    return (180 / np.pi / bandwidth_deg) ** 2


def oracle(annotations, bandwidth_deg, queries):
    """Log density by Bessel functions of scipy, whose difference is exact enough in float64."""
    kappa = kappa_of(bandwidth_deg)
    log_kernel = kappa * (np.cos(angle(queries, annotations)) - 1)
    log_kernel -= np.log(special.ive(0, kappa) - special.ive(1, kappa))
    return special.logsumexp(log_kernel, axis=1) - np.log(len(annotations))


def angle_cdf(kappa, points):
    """Distribution function of the kernel's angle at increasing points, by adaptive quadrature."""
    density = lambda w: np.exp(-2 * kappa * np.sin(w / 2) ** 2) * np.sin(w / 2) ** 2  # noqa: E731
    ends = np.concatenate([[0], points])
    parts = [integrate.quad(density, a, b, epsabs=0)[0] for a, b in zip(ends, ends[1:])]  # noqa: B905
    rest = integrate.quad(density, points[-1], np.pi)[0] if points[-1] < np.pi else 0.0
    return np.cumsum(parts) / (np.sum(parts) + rest)


@functools.cache
def quadrature(size):
    """Rotations and weights that integrate smooth functions over SO(3) exactly; weights sum to 1.

    Equal steps for the two angles about z, Gauss-Legendre for the cosine of the one about x.
    """
    turns = 2 * np.pi * np.arange(size) / size
    cosine, weight = np.polynomial.legendre.leggauss(size)
    a, b, c = np.meshgrid(turns, np.arccos(cosine), turns, indexing="ij")
    rotation = Rotation.from_euler("ZXZ", np.stack([a, b, c], -1).reshape(-1, 3)).as_matrix()
    weights = np.broadcast_to(weight[None, :, None] / 2 / size**2, a.shape).ravel()
    return rotation, weights


def draw(density, count=DRAWS, key=KEY):
    """Views of a single category."""
    # Padded to one shape, so that all tests share one program.
    density = density._replace(annotations=np.resize(density.annotations, (8, 7)))
    return view_density.sample(key, view_density.stack([density]), jnp.zeros(count, jnp.int32))


@jax.jit
def log_density_of(density, rotation):
    """Logarithm of one category's density relative to the uniform distribution.

    Args:
      density: of one category, without the axis K.
      rotation: frame "camera".
    """
    annotations = density.annotations[:, :4]
    there = jnp.arange(annotations.shape[0]) < density.count

    def one(query):
        # sin^2(omega / 2) = 1 - c^2 with c the cosine of the angle between the quaternions, from
        # their difference, which is exact where c is near 1.
        query = jnp.broadcast_to(query, annotations.shape)
        sign = jnp.where(jnp.sum(query * annotations, axis=-1) < 0, -1, 1)
        gap = jnp.sum((query - sign[:, None] * annotations) ** 2, axis=-1) / 2
        exponent = -2 * density.concentration * gap * (2 - gap)
        return jax.nn.logsumexp(jnp.where(there, exponent, -jnp.inf))

    queries = so3.quaternion_from_rotation(rotation)
    total = jax.lax.map(one, queries.reshape(-1, 4), batch_size=64)
    return (total - jnp.log(density.count) + density.log_scale).reshape(queries.shape[:-1])


def log_density(density, queries):
    """Of one category at a few rotations, padded likewise."""
    most = max(8, -(-len(density.annotations) // 160) * 160)
    density = density._replace(annotations=np.resize(density.annotations, (most, 7)))
    padded = np.resize(queries, (160, 3, 3)).astype(np.float32)
    return np.asarray(log_density_of(density, jnp.asarray(padded)))[: len(queries)]


@pytest.mark.parametrize("bandwidth_deg", [180, 60, 20])
def test_the_density_integrates_to_one(bandwidth_deg):
    density = view_density.fit(random_rotations(5), bandwidth_deg=bandwidth_deg)
    rotation, weight = quadrature(32)
    values = np.exp(log_density_of(density, jnp.asarray(rotation, jnp.float32)))
    assert np.sum(weight * values) == pytest.approx(1, abs=2e-5)


@pytest.mark.parametrize("bandwidth_deg", [1000, 40, 5, 1, 0.1])
def test_the_density_is_the_matrix_fisher_mixture(bandwidth_deg):
    # On both sides of half a turn the quaternions have opposite signs.
    over = Rotation.from_rotvec([[np.pi - 1e-3, 0, 0], [np.pi + 1e-3, 0, 0]]).as_matrix()
    annotations = np.concatenate([random_rotations(5), over[:1]])
    generator = np.random.default_rng(1)
    near = Rotation.from_rotvec(np.deg2rad(bandwidth_deg) * generator.normal(size=(6, 3)))
    queries = np.concatenate(
        [near.as_matrix() @ annotations, annotations, over, random_rotations(8, 1)]
    )
    density = view_density.fit(annotations, bandwidth_deg=bandwidth_deg)
    found = log_density(density, queries)
    np.testing.assert_allclose(
        found, oracle(annotations, bandwidth_deg, queries), rtol=3e-5, atol=2e-4
    )


def test_an_infinite_bandwidth_is_uniform():
    density = view_density.fit(random_rotations(3), bandwidth_deg=np.inf)
    np.testing.assert_allclose(log_density(density, random_rotations(20, 1)), 0, atol=1e-6)
    drawn = np.asarray(draw(density).rotation, np.float64)
    turned = Rotation.from_matrix(drawn).magnitude()
    assert stats.kstest(turned, lambda w: (w - np.sin(w)) / np.pi).pvalue > UNLIKELY
    # Each entry of a uniform rotation is uniform in [-1, 1], as any coordinate on the sphere.
    for entry in drawn.reshape(-1, 9).T:
        assert stats.kstest(entry, stats.uniform(-1, 2).cdf).pvalue > UNLIKELY


@pytest.mark.parametrize("bandwidth_deg", [1000, 57, 14.5, 14, 3, 0.1])
def test_the_table_of_angles(bandwidth_deg):
    density = view_density.fit(np.eye(3)[None], bandwidth_deg=bandwidth_deg)
    # Between the nodes, where linear interpolation is worst.
    share = (np.arange(0, 1024, 16) + 0.5) / 1024
    found = np.interp(share, np.linspace(0, 1, 1025), density.cumulative)
    expected = angle_cdf(kappa_of(bandwidth_deg), share * density.reach)
    np.testing.assert_allclose(found, expected, atol=2e-5)


@pytest.mark.parametrize("bandwidth_deg", [60, 4, 0.1])
def test_the_angle_about_one_annotation(bandwidth_deg):
    center = random_rotations(1, 2)
    drawn = np.asarray(
        draw(view_density.fit(center, bandwidth_deg=bandwidth_deg)).rotation, np.float64
    )
    assert np.abs(drawn @ drawn.transpose(0, 2, 1) - np.eye(3)).max() < 1e-6
    assert np.linalg.det(drawn) == pytest.approx(1, abs=1e-5)
    omega = Rotation.from_matrix(drawn @ center[0].T).as_rotvec()
    turned = np.linalg.norm(omega, axis=1)
    edges = np.linspace(0, min(np.pi, np.deg2rad(8 * bandwidth_deg)), 400)[1:]
    cdf = angle_cdf(kappa_of(bandwidth_deg), edges)
    found = stats.kstest(turned, lambda w: np.interp(w, [0, *edges], [0, *cdf]))
    assert found.pvalue > UNLIKELY
    for coordinate in (omega / turned[:, None]).T:  # the axis is uniform on the sphere
        assert stats.kstest(coordinate, stats.uniform(-1, 2).cdf).pvalue > UNLIKELY
    if bandwidth_deg < 10:  # normal with that deviation per axis
        assert np.rad2deg(omega.std(axis=0)) == pytest.approx(bandwidth_deg, rel=0.03)


def test_samples_fill_coarse_cells_as_the_density_says():
    annotations = rotation_of([10, 100, 220, 300], [5, 40, 0, -20], [0, 10, -5, 90])
    drawn = np.asarray(draw(view_density.fit(annotations, bandwidth_deg=25)).rotation, np.float64)
    cells = Rotation.create_group("O").as_matrix().reshape(24, 9)
    rotation, weight = quadrature(40)
    share = weight * np.exp(oracle(annotations, 25, rotation))
    nearest = lambda r: np.argmax(r.reshape(-1, 9) @ cells.T, axis=1)  # noqa: E731
    expected = np.bincount(nearest(rotation), share, minlength=24)
    counts = np.bincount(nearest(drawn), minlength=24)
    assert expected.sum() == pytest.approx(1, abs=1e-6)
    assert stats.chisquare(counts, DRAWS * expected / expected.sum()).pvalue > UNLIKELY


def test_no_seam_at_azimuth_zero():
    def shares(azimuths):
        density = view_density.fit(rotation_of(azimuths, 10, 0), bandwidth_deg=2)
        drawn = np.asarray(draw(density).rotation, np.float64)
        azimuth = 180 - Rotation.from_matrix(drawn).as_euler("ZXZ", degrees=True)[:, 2]
        azimuth = (azimuth - np.mean([azimuths[0] - 360 * (azimuths[0] > 300), azimuths[1]])) % 360
        edges = [*range(0, 6), 180, *range(355, 361)]
        at = rotation_of(np.array([0, 0.5, -0.5, 3]) + azimuths[1] - 1, 10, 0)
        return np.histogram(azimuth, edges)[0], log_density(density, at)

    (across, density), (within, expected) = shares([359, 1]), shares([179, 181])
    # The same random numbers: only samples that rounding moved over an edge may differ.
    assert np.abs(across - within).max() <= 2
    assert across[0] > 0.15 * DRAWS  # about the middle of the two annotations
    assert across[-1] > 0.15 * DRAWS
    np.testing.assert_allclose(density, expected, atol=1e-4)
    assert density[0] >= density[3]


def test_turning_camera_or_object_turns_the_density():
    annotations, queries = random_rotations(7), random_rotations(9, 1)
    left, right = random_rotations(2, 2)
    turned = left @ annotations @ right
    density, other = (view_density.fit(a, bandwidth_deg=15) for a in (annotations, turned))
    np.testing.assert_allclose(
        log_density(density, queries),
        log_density(other, left @ queries @ right),
        rtol=1e-5,
        atol=1e-4,
    )
    np.testing.assert_allclose(
        view_density.leave_one_out(annotations), view_density.leave_one_out(turned), rtol=1e-9
    )
    # A turned object gives turned samples, number by number.
    np.testing.assert_allclose(
        draw(view_density.fit(annotations @ right, bandwidth_deg=15)).rotation,
        np.asarray(draw(density).rotation) @ right,
        atol=1e-5,
    )


@pytest.mark.parametrize(("pairs", "most", "step"), [(1, 99, 1), (999, 99, 1), (999, 20, 4)])
def test_leave_one_out_is_brute_force(pairs, most, step, monkeypatch):
    monkeypatch.setattr(view_density, "_CHUNK_PAIRS", pairs)
    monkeypatch.setattr(view_density, "_MOST_PREDICTED", most)
    generator = np.random.default_rng(3)
    annotations = rotation_of(
        generator.uniform(0, 360, 60), generator.normal(10, 8, 60), generator.normal(0, 4, 60)
    )
    annotations = np.concatenate([annotations, rotation_of(0, 80, 170)])  # far from all
    others = [np.delete(annotations, i, axis=0) for i in range(61)]
    expected = [
        np.mean([oracle(others[i], b, annotations[i, None])[0] for i in range(0, 61, step)])
        for b in view_density.BANDWIDTHS_DEG
    ]
    np.testing.assert_allclose(view_density.leave_one_out(annotations), expected, rtol=1e-9)
    chosen = kappa_of(view_density.BANDWIDTHS_DEG[np.argmax(expected)])
    assert view_density.fit(annotations).concentration == pytest.approx(chosen, rel=1e-6)


def test_more_annotations_choose_a_finer_bandwidth():
    few, many = (
        view_density.fit(
            Rotation.from_rotvec(np.random.default_rng(0).normal(0, 0.3, (n, 3))).as_matrix()
        )
        for n in (20, 2000)
    )
    assert few.concentration < many.concentration


def test_categories_of_a_batch_keep_to_themselves():
    centers = random_rotations(3, 4)
    parts = [
        view_density.fit(np.repeat(center[None], n, 0), bandwidth_deg=b)
        for center, n, b in zip(centers, (1, 5, 2), (1, 3, 9), strict=True)
    ]
    category = jnp.arange(3000) % 3
    drawn = view_density.sample(KEY, view_density.stack(parts), category)
    turned = np.asarray(drawn.rotation, np.float64) @ centers[category].transpose(0, 2, 1)
    omega = np.rad2deg(Rotation.from_matrix(turned).as_rotvec())
    for k, bandwidth in enumerate((1, 3, 9)):
        assert omega[k::3].std() == pytest.approx(bandwidth, rel=0.05)
    again = view_density.sample(KEY, view_density.stack(parts), category)
    assert all(np.array_equal(a, b) for a, b in zip(drawn, again, strict=True))
    other = view_density.sample(jax.random.key(1), view_density.stack(parts), category)
    assert not np.array_equal(drawn.rotation, other.rotation)


def test_distance_and_centre_are_those_of_the_annotation():
    centers = rotation_of([0, 120, 240], 10, 0)
    distance, middle = np.array([2.0, 20.0, 0.0]), np.array([[0.1, 0.2], [-0.3, 0], [np.nan] * 2])
    drawn = draw(view_density.fit(centers, bandwidth_deg=2, distance=distance, center=middle))
    index = np.argmin(angle(np.asarray(drawn.rotation, np.float64), centers), axis=1)
    assert stats.chisquare(np.bincount(index)).pvalue > UNLIKELY
    for i in range(2):
        logs = np.log(np.asarray(drawn.distance)[index == i] / distance[i])
        assert stats.kstest(logs, stats.norm(0, view_density.DISTANCE_JITTER).cdf).pvalue > UNLIKELY
    unknown = np.log(np.asarray(drawn.distance)[index == 2])
    low, high = np.log(view_density.DISTANCE_RANGE)
    assert stats.kstest(unknown, stats.uniform(low, high - low).cdf).pvalue > UNLIKELY
    moved = np.asarray(drawn.center) - np.nan_to_num(middle)[index]
    for coordinate in moved.T:
        assert (
            stats.kstest(coordinate, stats.norm(0, view_density.CENTER_JITTER).cdf).pvalue
            > UNLIKELY
        )


def test_ranges():
    default = view_density.ranges()
    other = view_density.ranges(
        azimuth_deg=(-30, 30, 0, 20), elevation_deg=(5, 5), distance=(2, 9, 4, 0.1), center=(0, 0)
    )
    category = jnp.arange(2 * DRAWS) % 2
    drawn = view_density.sample_ranges(KEY, view_density.stack([default, other]), category)
    rotation = np.asarray(drawn.rotation, np.float64)
    theta, tilt, azimuth = Rotation.from_matrix(rotation).as_euler("ZXZ", degrees=True).T
    # scipy's middle angle is in [0, 180]: ours, elevation - 90, is its negative, half a turn away.
    azimuth, theta = (180 - azimuth) % 360, (theta + 360) % 360 - 180
    elevation = 90 - tilt

    def cut(low, high, mean, deviation):
        bounds = (low - mean) / deviation, (high - mean) / deviation
        return stats.truncnorm(*bounds, mean, deviation)

    expected = [
        (azimuth[0::2], stats.uniform(0, 360)),
        (elevation[0::2], stats.uniform(-10, 60)),
        (theta[0::2], cut(-15, 15, 0, 5)),
        (np.log(drawn.distance[0::2]), stats.uniform(np.log(3), np.log(8 / 3))),
        (drawn.center[0::2, 0], stats.uniform(-0.03, 0.06)),
        (drawn.center[0::2, 1], stats.uniform(-0.03, 0.06)),
        ((azimuth[1::2] + 180) % 360 - 180, cut(-30, 30, 0, 20)),
        (np.log(drawn.distance[1::2]), cut(np.log(2), np.log(9), np.log(4), 0.1)),
    ]
    for values, distribution in expected:
        assert stats.kstest(np.asarray(values, np.float64), distribution.cdf).pvalue > UNLIKELY
    np.testing.assert_allclose(elevation[1::2], 5, atol=1e-3)
    np.testing.assert_array_equal(drawn.center[1::2], 0)


def test_held_out_views_of_pascal3d(data_dir):
    with (data_dir / "pascal3d" / "voc12val_easy_2108.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = sorted({row["category"] for row in rows})
    assert len(names) == 12
    keys = ("azimuth_deg", "elevation_deg", "theta_deg")
    densities, held_out, limits = [], [], []
    for name in names:
        labels = [[float(row[key]) for key in keys] for row in rows if row["category"] == name]
        angles = (np.array(labels) + 180) % 360 - 180  # written modulo 360
        known, unseen = angles[::2], angles[1::2]
        unseen = unseen[~(unseen[:, None] == known).all(-1).any(1)]  # copies would be too easy
        densities.append(view_density.fit(rotation_of(*np.unique(known, axis=0).T), name=name))
        held_out.append(rotation_of(*unseen.T))
        # Uniform ranges that were told the extremes of both halves. The uniform distribution on
        # SO(3) has density cos(elevation) / (8 pi^2) in these angles.
        volume = 2 * np.pi * np.deg2rad(np.ptp(angles[:, 1:], axis=0)).prod()
        share = np.cos(np.deg2rad(unseen[:, 1])) / (8 * np.pi**2)
        limits.append(-np.log(volume * share))
    stacked = view_density.stack(densities)
    found = [
        log_density(jax.tree.map(lambda leaf, k=k: leaf[k], stacked), rotation)
        for k, rotation in enumerate(held_out)
    ]
    for name, density, kernel, box in zip(names, densities, found, limits, strict=True):
        bandwidth_deg = np.rad2deg(density.concentration**-0.5)
        print(f"{name} {bandwidth_deg:.1f} deg {kernel.mean():.2f} {box.mean():.2f}")
        assert kernel.mean() > 0, name  # better than uniform
        # 11 dining tables and 20 sofas are too few against ranges that know the other half too.
        assert (kernel.mean() > box.mean()) == (name not in ("diningtable", "sofa")), name
    assert np.concatenate(found).mean() > np.concatenate(limits).mean() + 1


EYE = np.eye(3)[None]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros((0, 3, 3)),), "mug: no annotated views; leave it out or draw from ranges"),
        ((np.zeros((2, 4)),), r"mug: rotations have shape \(2, 4\), not \(N, 3, 3\)"),
        ((np.concatenate([EYE, 2 * EYE]),), "mug: annotation 1 is not a rotation matrix"),
        ((np.concatenate([EYE, EYE, -EYE]),), "mug: annotation 2 is not a rotation matrix"),
        ((EYE * np.nan,), "mug: annotation 0 is not a rotation matrix"),
        ((EYE,), "mug: one annotated view does not tell a bandwidth; give one, or ranges"),
        ((EYE, 0.0), "mug: bandwidth_deg is 0.0, not at least 0.1"),
        ((EYE, np.nan), "mug: bandwidth_deg is nan, not at least 0.1"),
        ((EYE, 5, np.ones(2)), r"mug: distance must have shape \(1,\) and be finite"),
        ((EYE, 5, -np.ones(1)), "mug: the distance of annotation 0 is < 0"),
        ((EYE, 5, np.ones(1), np.full((1, 2), np.inf)), r"mug: center must have shape \(1, 2\)"),
    ],
)
def test_wrong_annotations(arguments, message):
    arguments = dict(zip(("rotation", "bandwidth_deg", "distance", "center"), arguments))  # noqa: B905
    with pytest.raises(InputError, match=f"^{message}"):
        view_density.fit(**arguments, name="mug")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"azimuth_deg": (10, 5)}, r"azimuth_deg: \(10, 5\) is not low <= mean <= high"),
        ({"theta_deg": (-5, 5, 6, 1)}, "theta_deg: .* is not low <= mean <= high"),
        ({"theta_deg": (-5, 5, 0, 0)}, "theta_deg: .* deviation > 0"),
        ({"theta_deg": (-5, 5, 0)}, r"theta_deg: give \(low, high\) or"),
        ({"center": (-np.inf, 0)}, "center: .* is not low <= mean <= high"),
        ({"elevation_deg": (0, 100)}, r"elevation_deg: \(0, 100\) goes beyond -90 to 90"),
        ({"distance": (0, 5)}, r"distance: \(0, 5\) is not positive"),
    ],
)
def test_wrong_ranges(arguments, message):
    with pytest.raises(InputError, match=f"^{message}"):
        view_density.ranges(**arguments)
    with pytest.raises(InputError, match="^no categories"):
        view_density.stack([])
