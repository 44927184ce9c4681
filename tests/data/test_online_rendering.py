"""Images drawn while training. Oracles: the numpy rasterizer, and pictures that can be foretold."""

import csv
import dataclasses
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from catpose import config_keys
from catpose.data import examples, manifest, online_rendering, shapes_dataset
from catpose.data.render_for_cnn import read as rendered
from catpose.data.render_for_cnn import write as render_files
from catpose.errors import InputError
from catpose.geometry import so3, viewpoint
from catpose.synthetic import backgrounds, domain_randomization, mesh_batch, view_density
from catpose.synthetic.look import Look
from catpose.synthetic.objects.catalogue import make
from catpose.training import phase_run, run_setup
from tests.support import numpy_rasterizer, numpy_scene, tiny

SIZE = 32
COLORS = np.array([[0.9, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.2, 0.9], [0.8, 0.8, 0.1]])
# Nothing but the object's own color: no shading, no change by the camera.
PLAIN = Look(
    squeeze=0.0,
    loosen=(0.0, 0.0),
    box_jitter=0.0,
    key_light=(0.0, 0.0),
    ambient=(1.0, 1.0),
    more_lights=0.0,
    sky=0.0,
    grey=1.0,
    contrast=0.0,
    brightness=0.0,
    saturation=0.0,
    noise=0.0,
)


def box(color, wide=1.0, cuts=1):
    """A box with its faces cut into strips, in one color."""
    mesh = make(np.random.default_rng(0), "tvmonitor")
    x, y, z = np.meshgrid([-wide, wide], [-0.5, 0.5], [-0.7, 0.7], indexing="ij")
    corners = np.stack([x, y, z], -1).reshape(-1, 3).astype(np.float32)
    corners /= np.linalg.norm(corners[0])
    sides = [[0, 4, 5, 1], [6, 2, 3, 7], [2, 0, 1, 3], [4, 6, 7, 5], [1, 5, 7, 3], [2, 6, 4, 0]]
    faces = np.tile(np.array(sides, np.int32), (cuts, 1))
    return mesh._replace(
        vertices=corners, faces=faces, colors=np.tile(np.float32(color), (len(faces), 1))
    )


def boxes(per_category=2):
    """Two categories on the small bucket, one on the next, one more on the small: by their size."""
    cuts = (1, 1, 60, 1)
    return [
        {f"m{i}": box(COLORS[k], 0.6 + 0.3 * i, cuts[k]) for i in range(per_category)}
        for k in range(4)
    ]


def seen(count=4, **ranges):
    return domain_randomization.Views(view_density.stack([view_density.ranges(**ranges)] * count))


def background(count=8):
    size = domain_randomization.background_size(SIZE)
    return backgrounds.table(np.random.default_rng([0, count, size]), count, size)


@pytest.fixture(scope="module")
def made():
    return online_rendering.build(boxes(), background(), seen(), look=PLAIN)


def compiled(made):
    """Draws pictures of an engine's models from keys and indices."""

    @jax.jit
    def drawn(keys, index, category, assets):
        return online_rendering.draw(
            keys,
            index,
            category,
            assets,
            size=SIZE,
            context=1.0,
            **online_rendering.arguments(made),
        )

    return lambda keys, index: jax.device_get(drawn(keys, index, made.category[index], made.assets))


@pytest.fixture(scope="module")
def draw(made):
    return compiled(made)


INDEX = np.array([0, 2, 4, 6, 1, 3, 5, 7], np.int32)  # categories in turn


def test_each_row_shows_its_own_model(made, draw):
    assert made.bucket == (0, 0, 1, 0)
    assert [s.triangles.shape[1] for s in made.assets.buckets] == [256, 768]
    pictures = draw(jax.random.split(jax.random.key(0), 8), INDEX)
    for i, index in enumerate(INDEX):
        inside = pictures.mask[i] == 1
        assert inside.sum() > 100
        expected = 255 * COLORS[made.category[index]]
        np.testing.assert_allclose(
            pictures.image[i][inside], np.tile(expected, (inside.sum(), 1)), atol=0.01
        )


def test_labels_are_those_of_the_numpy_rasterizer(made, draw):
    pictures = draw(jax.random.split(jax.random.key(1), 8), INDEX)
    meshes = [mesh for some in boxes() for mesh in some.values()]
    light = numpy_rasterizer.Light(np.zeros((1, 3)), np.zeros(1), 1.0)
    for i, index in enumerate(INDEX):
        view = numpy_scene.framed_view(
            meshes[index],
            pictures.rotation[i],
            SIZE,
            distance=float(pictures.distance[i]),
            fill=1.0,
        )
        _, mask, _ = numpy_rasterizer.render(
            meshes[index], view, light, np.zeros((SIZE, SIZE, 3), np.float32)
        )
        # A sample on an edge may fall on either side.
        assert np.mean(np.abs(mask - pictures.mask[i]) > 0.3) < 0.005
        angles = np.degrees(viewpoint.angles_from_rotation(pictures.rotation[i])[1])
        assert -10 <= angles <= 50


def test_a_picture_depends_on_its_own_key_alone(draw):
    keys = jax.random.split(jax.random.key(2), 8)
    first = draw(keys, INDEX)
    again = draw(keys[np.r_[4:8, 0:4]], INDEX[np.r_[4:8, 0:4]])
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a[:4], b[4:])
        np.testing.assert_array_equal(a[4:], b[:4])
    other = draw(jax.random.split(jax.random.key(3), 8), INDEX)
    assert np.abs(first.image - other.image).max() > 50


def drawn_with(look, context=1.0, seen_from=None):
    """Eight pictures of one box, drawn without compiling a batch of buckets."""
    meshes = mesh_batch.pad([box(COLORS[0])] * 8)
    meshes = jax.tree.map(jnp.asarray, meshes)
    return jax.device_get(
        domain_randomization.draw(
            jax.random.split(jax.random.key(5), 8),
            meshes,
            jnp.zeros(8, jnp.int32),
            seen_from or seen(1),
            jnp.asarray(background()),
            look=look,
            size=SIZE,
            context=context,
        )
    )


def test_crops_are_squeezed_cut_widened_and_hidden_as_the_look_says():
    tight = drawn_with(dataclasses.replace(PLAIN, squeeze=1.0))
    there = tight.mask > 0
    # The object's box is the picture: something lies in the first and last row and column.
    for edge in (there[:, 0], there[:, -1], there[:, :, 0], there[:, :, -1]):
        assert edge.any(axis=1).all()
    wide = drawn_with(dataclasses.replace(PLAIN, squeeze=1.0), context=2.0)
    # Half the picture's side is the box.
    assert not (wide.mask[:, :7] > 0).any()
    rows = (wide.mask > 0).any(axis=2).sum(axis=1)
    assert ((rows >= 16) & (rows <= 18)).all()
    cut = drawn_with(dataclasses.replace(PLAIN, squeeze=1.0, truncation=1.0, truncation_most=0.5))
    assert np.abs(cut.mask - tight.mask).max(axis=(1, 2)).min() > 0.5
    hidden = drawn_with(dataclasses.replace(PLAIN, squeeze=1.0, occlusion=1.0, occlusion_most=0.9))
    np.testing.assert_array_equal(hidden.mask, tight.mask)
    changed = np.abs(hidden.image - tight.image).max(axis=-1) > 1
    # The smallest thing before the object has a tenth of the side.
    assert (changed.sum(axis=(1, 2)) > 0).mean() > 0.8


def test_views_follow_annotations_but_for_their_share():
    turn = np.asarray(viewpoint.rotation_from_angles(1.0, 0.3, 0.0, frame="camera"))
    density = view_density.stack([view_density.fit(np.stack([turn] * 2), bandwidth_deg=2.0)])
    limits = view_density.stack([view_density.ranges(azimuth_deg=(180, 190))])
    for share, near in ((0.0, 8), (1.0, 0)):
        got = drawn_with(
            PLAIN, seen_from=domain_randomization.Views(limits, density, np.float32(share))
        )
        distance = np.degrees(np.asarray(so3.geodesic_distance(got.rotation, turn[None])))
        assert (distance < 12).sum() == near


def test_the_objects_are_those_of_no_split():
    (ours,) = online_rendering.builtin_models(["car"], per_category=3, seed=4)
    meshes = list(ours.values())
    for name in shapes_dataset.SPLITS:
        for number in range(3):
            other = make(shapes_dataset.stream(4, name, "car", number), "car")
            for mesh in meshes:
                assert mesh.vertices.shape != other.vertices.shape or (
                    np.abs(mesh.vertices - other.vertices).max() > 1e-3
                )


def settings(**changes):
    phase = tiny.phase(steps=1, sources={"drawn": 32, "train": 16}, **changes)
    config = tiny.config([phase])
    config.data.resolution = SIZE
    return config


def drawn_run(config, folder, made):
    splits = {"train": tiny.split(48, 0), "drawn": online_rendering.split(made)}
    data = examples.Dataset(tiny.CATEGORIES, splits, engine=made)
    return run_setup.assemble(tiny.read(config), folder, data, show_progress=False)


def test_a_phase_trains_on_drawn_images_alike_under_pmap_and_jit(tmp_path):
    # One bucket and one step: what takes time is compiling.
    made = online_rendering.build(
        [{"m": box(color)} for color in COLORS], background(), seen(), look=PLAIN
    )
    kernels, losses = [], []
    for mode in ("pmap", "jit"):
        config = settings()
        config.parallel = mode
        run = drawn_run(config, tmp_path, made)
        (phase,) = run.phases
        state = phase_run.enter(run, phase, phase_run.initial_state(run))
        steps = phase_run.begin(run, phase, state)
        assert steps.cache["drawn"].assets is not None
        after, sums = steps.take(state)
        kernels.append(np.asarray(after.params["feature_network"]["stem"]["conv"]["kernel"]))
        losses.append(float(sums["pose_loss"]))
        assert sums["pose_count"] == 48
    np.testing.assert_allclose(kernels[0], kernels[1], atol=1e-4)
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_what_cannot_be_drawn_is_told_before_training(tmp_path, made):
    few = settings()
    few.phases[0].sources = {"drawn": 16}
    with pytest.raises(InputError, match="take a multiple of 32"):
        drawn_run(few, tmp_path, made)
    with pytest.raises(InputError, match="never the same"):
        drawn_run(
            settings(cached_features=True, views=("identity",), train=(tiny.POSE,), batch_norm=()),
            tmp_path,
            made,
        )
    with pytest.raises(InputError, match="no built-in 3D model of ant"):
        online_rendering.builtin_models(["ant"], per_category=1, seed=0)
    with pytest.raises(InputError, match="no photographs in"):
        online_rendering.photo_backgrounds(tmp_path, 4, 8, seed=0)
    with pytest.raises(InputError, match=r"look has the unknown key .grain"):
        config_keys.read(Look, {"grain": 1.0}, "config.engine.look")
    with pytest.raises(InputError, match=r"look.ambient is \(0.5, 0.1\)"):
        config_keys.read(Look, {"ambient": (0.5, 0.1)}, "look")


def test_backgrounds_are_parts_of_the_photographs(tmp_path):
    for name, level in (("a.png", 40), ("b.jpg", 200)):
        Image.new("RGB", (50, 30), (level,) * 3).save(tmp_path / name)
    table = online_rendering.photo_backgrounds(tmp_path, 6, 10, seed=0)
    np.testing.assert_allclose(table.mean(axis=(1, 2, 3)), [40] * 3 + [200] * 3, atol=1)
    (tmp_path / "._b.jpg").write_bytes(b"\0\5\26\7")
    np.testing.assert_array_equal(
        online_rendering.photo_backgrounds(tmp_path, 6, 10, seed=0), table
    )


def test_few_broken_backgrounds_are_left_out(tmp_path, capsys):
    for number in range(20):
        Image.new("RGB", (50, 30), (10 * number,) * 3).save(tmp_path / f"{number:02d}.png")
    whole = online_rendering.photo_backgrounds(tmp_path, 20, 4, seed=0)[:, 0, 0, 0] // 10
    assert whole.tolist() == list(range(20))
    for broken, shown in ((7, 8), (19, 0)):
        path = tmp_path / f"{broken:02d}.png"
        content = path.read_bytes()
        path.write_bytes(b"broken")
        table = online_rendering.photo_backgrounds(tmp_path, 20, 4, seed=0)[:, 0, 0, 0] // 10
        assert table.tolist() == [shown if i == broken else i for i in range(20)]
        assert capsys.readouterr().err.startswith(f"left out: cannot read {path} as an image: ")
        path.write_bytes(content)
    for broken in (3, 4):
        (tmp_path / f"{broken:02d}.png").write_bytes(b"broken")
    message = (
        "^2 of 20 photographs in .* cannot be read, more .* share 0.05; the first: .*03.png as"
    )
    with pytest.raises(InputError, match=message):
        online_rendering.photo_backgrounds(tmp_path, 20, 4, seed=0)


def written(made, folder, per_category=5, **changes):
    arguments = {"size": SIZE, "seed": 0, **changes}
    return render_files.write(
        made, tiny.CATEGORIES, folder, per_category=per_category, show_progress=False, **arguments
    )


def test_written_images_are_read_back_and_an_interrupted_folder_is_filled(tmp_path, made):
    count = written(made, tmp_path / "whole")
    assert count == 20
    exact = manifest.read(tmp_path / "whole")
    named = rendered.read(tmp_path / "whole", categories=tiny.CATEGORIES, show_progress=False)
    order = np.argsort([name.rpartition("/")[2] for name in exact.id])
    to_name = np.argsort(named.id)
    turn = so3.geodesic_distance(exact.rotation[order], named.rotation[to_name])
    # Whole degrees: each of three angles is off by half a degree at most.
    assert np.degrees(np.asarray(turn)).max() < 0.5 * 3
    names = np.asarray(exact.categories)[exact.category[order]]
    assert (names == np.asarray(named.categories)[named.category[to_name]]).all()

    shutil.copytree(tmp_path / "whole", tmp_path / "cut")
    lines = (tmp_path / "cut" / "manifest.csv").read_text().splitlines()
    (tmp_path / "cut" / "manifest.csv").write_text("\n".join(lines[:19]) + lines[19][:30])
    with (tmp_path / "whole" / "manifest.csv").open() as file:
        for row in list(csv.DictReader(file))[17:]:
            (tmp_path / "cut" / row["file"]).unlink(missing_ok=True)
    assert written(made, tmp_path / "cut") == 20
    for path in (tmp_path / "whole").glob("**/*.*"):
        other = tmp_path / "cut" / path.relative_to(tmp_path / "whole")
        assert other.read_bytes() == path.read_bytes()
    # A smaller number takes nothing away.
    assert written(made, tmp_path / "cut", per_category=1) == 20
    with pytest.raises(InputError, match="images of other settings"):
        written(made, tmp_path / "cut", seed=1)
    (tmp_path / "cut" / rendered.DESCRIPTION).write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        written(made, tmp_path / "cut")
    (tmp_path / "cut" / rendered.DESCRIPTION).unlink()
    with pytest.raises(InputError, match="is not of catpose render"):
        written(made, tmp_path / "cut")
