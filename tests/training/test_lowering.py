"""Every compiled program for cuda and tpu, lowered here, where neither is.

What a CPU alone shall run is absent there: the operations of a program are those of the same
program traced with XLA's own operations alone. And it is present in the CPU's.
"""

import functools
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from catpose import poses
from catpose.models import efficientnet_lite, ops
from catpose.models.cpu import conv as cpu_conv
from catpose.models.cpu import depthwise, winograd
from catpose.synthetic import mesh_batch, renderer, scene
from catpose.synthetic.objects import catalogue
from tests.support import jobs, lowered
from tests.support.paths import ROOT

ACCELERATORS = lowered.ACCELERATORS


@functools.cache
def own(name):
    """Operations of a program on eight devices, by platform."""
    return lowered.in_full(lowered.PROGRAMS[name], *ACCELERATORS, "cpu")


@pytest.mark.parametrize("name", lowered.PROGRAMS)
def test_accelerators_run_nothing_that_is_for_a_cpu(name):
    assert jax.device_count() == 8
    assert lowered.foreign(own(name), lowered.plain(lowered.PROGRAMS[name])) == {}
    assert own(name)["cpu"] != own(name)["cuda"]


def test_one_device_runs_the_same_operations():
    """In a process of its own: this one plays eight devices."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.support.lowered"],
        cwd=ROOT,
        env=jobs.environment(JAX_NUM_CPU_DEVICES=1),
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["devices"] == 1
    assert set(found["programs"]) == set(lowered.DIVIDED)
    for name, by_platform in found["programs"].items():
        for platform in ACCELERATORS:
            assert by_platform[platform] == own(name)[platform], name


PADDED = ((1, 1), (1, 1))
# (stride, padding, images, kernel, type): by what conv.py says of each.
CONVOLUTIONS = {
    "1x1": (1, cpu_conv.NO_PADDING, (8, 16, 16, 32), (1, 1, 32, 64), "float32"),
    "few positions": (1, PADDED, (8, 2, 2, 32), (3, 3, 32, 32), "float32"),
    "strided": (2, PADDED, (8, 14, 14, 256), (3, 3, 256, 256), "float32"),
    "three channels": (1, PADDED, (8, 32, 32, 3), (3, 3, 3, 16), "float32"),
    "stem": (2, ((3, 3), (3, 3)), (8, 64, 64, 3), (7, 7, 3, 64), "float32"),
    "tiles": (1, PADDED, (8, 14, 14, 128), (3, 3, 128, 128), "float32"),
    "side by side": (1, PADDED, (256, 14, 14, 48), (3, 3, 48, 64), "float32"),
    "deep bfloat16": (1, PADDED, (8, 14, 14, 128), (3, 3, 128, 128), "bfloat16"),
}


def shapes(dtype, *sizes):
    return [jax.ShapeDtypeStruct(size, dtype) for size in sizes]


def gradients(function, *arguments):
    """A fresh function, so that nothing is cached, with all its gradients."""

    def total(*given):
        return function(*given).astype(jnp.float32).sum()

    argnums = tuple(range(len(arguments)))
    return jax.jit(jax.value_and_grad(total, argnums)), arguments


def convolution(name):
    stride, padding, images, kernel, dtype = CONVOLUTIONS[name]
    function = functools.partial(ops.conv, stride=stride, padding=padding)
    return gradients(function, *shapes(dtype, images, kernel))


OPERATIONS = {
    **{name: functools.partial(convolution, name) for name in CONVOLUTIONS},
    "depthwise": lambda: gradients(
        functools.partial(ops.depthwise_conv, padding=PADDED),
        *shapes("float32", (8, 14, 14, 32), (3, 3, 1, 32)),
    ),
    "products of bfloat16": lambda: gradients(
        ops.batched_matmul, *shapes("bfloat16", (4, 16, 32), (4, 32, 8))
    ),
    "relu": lambda: gradients(ops.relu, *shapes("float32", (2, 4, 4, 8))),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_each_formulation_is_a_cpus_alone(name):
    make = OPERATIONS[name]
    found = lowered.in_full(make, *ACCELERATORS, "cpu")
    assert lowered.foreign(found, lowered.plain(make)) == {}
    assert found["cpu"] != found["cuda"]


def test_accelerators_convolve_once_in_each_direction():
    """Counted without our own plain form: the result, and two gradients."""
    for name in CONVOLUTIONS:
        function, arguments = convolution(name)
        program = lowered.traced(function, *arguments)
        for platform in ACCELERATORS:
            found = lowered.operations(program, platform)
            assert found["convolution"] == 3, name
            assert not found["dot_general"] + found["optimization_barrier"], name


def everywhere(*arguments, cpu, default):
    return cpu(*arguments)


@pytest.mark.parametrize(
    "name", ["cached features, pmap", "prediction", "tiles", "depthwise", "relu"]
)
def test_a_formulation_let_into_an_accelerators_program_is_found(name, monkeypatch):
    make = {**lowered.PROGRAMS, **OPERATIONS}[name]
    wanted = lowered.plain(make)
    monkeypatch.setattr(lax, "platform_dependent", everywhere)
    assert lowered.foreign(lowered.in_full(make, *ACCELERATORS), wanted)


def test_a_formulation_beside_the_choice_is_found(monkeypatch):
    def tiles(stride, padding, x, kernel):
        return winograd.conv(padding, x, kernel)

    wanted = lowered.plain(OPERATIONS["tiles"])
    monkeypatch.setattr(cpu_conv, "conv", tiles)
    assert lowered.foreign(lowered.in_full(OPERATIONS["tiles"], *ACCELERATORS), wanted)


def products(stride, padding, x, kernel):
    if kernel.shape[:2] == (1, 1):
        return cpu_conv._product(stride, padding, x, kernel)
    return cpu_conv.plain(stride, padding, x, kernel)


# `photo` has two EfficientNet-Lite0: in each the first block does not widen its input, and that of
# the category network has a head.
DEPTHWISE = 2 * sum(efficientnet_lite.LITE0.blocks)
ONE_BY_ONE = 2 * DEPTHWISE - 2 + 1
BESIDE = {
    "products for 1x1": (cpu_conv, products, ONE_BY_ONE),
    "taps": (depthwise, depthwise._sum_of_taps, DEPTHWISE),
}


@pytest.mark.parametrize("name", BESIDE)
def test_every_convolution_that_photo_has_beside_the_choice_is_found(name, monkeypatch):
    module, formulation, convolutions = BESIDE[name]
    wanted = own("photo's features")
    monkeypatch.setattr(module, "conv", formulation)
    program = lowered.PROGRAMS["photo's features"]
    found = lowered.foreign(lowered.in_full(program, *ACCELERATORS), wanted)
    for platform in ACCELERATORS:
        left, all_of_them = found[f"{platform} convolution"]
        assert all_of_them - left == convolutions


def test_photo_convolves_as_it_is_described():
    """Two stems, depthwise and 1x1 convolutions: all are XLA's own, and on a CPU none is."""
    for platform in ACCELERATORS:
        found = own("photo's features")[platform]
        assert found["convolution"] == 2 + DEPTHWISE + ONE_BY_ONE
    assert own("photo's features")["cpu"]["convolution"] == 0


def rendering():
    meshes = [catalogue.make(np.random.default_rng(0), name) for name in ("car", "chair")]
    view = scene.View(
        np.tile(np.eye(3), (2, 1, 1)), np.full(2, 5.0), np.full(2, 99.0), np.ones((2, 2))
    )
    light = scene.Light(np.ones((2, 1, 3)), np.ones((2, 1)), np.ones(2))
    function = functools.partial(renderer.render, supersampling=2, normals=True)
    return function, (mesh_batch.pad(meshes), view, light, np.zeros((2, 32, 32, 3), np.float32))


def representation(pose):
    """All that training and prediction ask of a representation."""

    def function(key, raw, weights, target):
        outputs = pose.activate(raw)
        fused = pose.fuse(outputs, weights)
        found = [pose.to_rotation(fused), pose.to_rotation(outputs)]
        for loss in pose.losses.values():
            found.append(jax.grad(lambda x, loss=loss: loss(x, target).sum())(fused))
        if pose.choose is not None:
            found.append(pose.choose(outputs, weights))
        if pose.density is not None:
            found.append(pose.density.log_density(fused, target))
            found.append(pose.density.modes(fused, 3))
            found.append(pose.density.sample(key, fused, 2))
            found.append(pose.density.temper(fused, jnp.float32(0.5)))
        return found

    sizes = ((8, 4, pose.num_outputs), (8, 4), (8, 3, 3))
    return jax.jit(function), (jax.random.key(0), *shapes("float32", *sizes))


OTHERS = {
    "renderer": rendering,
    **lowered.DENSITIES,
    **{
        f"pose {name}": functools.partial(representation, pose)
        for name, pose in poses.POSES.items()
    },
}


@pytest.mark.parametrize("name", OTHERS)
def test_nothing_needs_another_platforms_library(name):
    function, arguments = OTHERS[name]()
    program = lowered.traced(function, *arguments)
    for platform in ACCELERATORS:
        assert lowered.foreign_calls(lowered.operations(program, platform), platform) == []


def test_callbacks_and_libraries_of_others_are_found():
    def loud(x):
        jax.debug.print("{}", x.sum())
        return x

    with pytest.raises(ValueError, match="different from the lowering platform cuda"):
        lowered.operations(lowered.traced(loud, jnp.eye(3)), "cuda")
    for_cpu = lowered.operations(lowered.traced(jnp.linalg.svd, jnp.eye(3)), "cpu")
    for platform in ACCELERATORS:
        assert lowered.foreign_calls(for_cpu, platform) == ["@lapack_sgesdd_ffi"]
