"""The rules that keep the code readable, read off the syntax trees."""

import ast
import functools
import subprocess
import sys

import pytest

from tests.support.paths import ROOT

MAX_LINES = 350  # "about 300"
# From the lowest to the highest; a module imports only from lower layers and its own package.
LAYERS = (
    ("catpose", "catpose.progress", "catpose.errors", "catpose.checksums"),
    ("catpose.images",),
    ("catpose.config_keys", "catpose.plugins", "catpose.outputs"),
    ("catpose.geometry",),
    ("catpose.losses", "catpose.metrics"),
    ("catpose.poses",),
    ("catpose.models", "catpose.synthetic"),
    ("catpose.data",),
    ("catpose.devices",),
    ("catpose.experiment",),
    ("catpose.inference",),
    (
        "catpose.evaluation.protocols",
        "catpose.evaluation.bootstrap",
        "catpose.evaluation.distances",
    ),
    ("catpose.evaluation.score",),
    ("catpose.visualize",),
    ("catpose.prediction",),
    ("catpose.predict", "catpose.several_views"),
    ("catpose.training",),
    ("catpose.evaluation",),
    ("catpose.api", "catpose.bench", "catpose.studies", "catpose.pages"),
    ("catpose.configs",),
    ("catpose.launch",),
    ("catpose.__main__",),
)


def files(*folders):
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def name_of(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts if parts[0] == "catpose" else ("catpose", *parts)  # where a wheel has them
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    name_of(path): path
    for path in files("catpose", "configs", "launch")
    if path.name != "__init__.py" or path.stat().st_size
}


@functools.cache
def parse(path):
    return ast.parse(path.read_text())


def layer(module):
    """(level, the entry of LAYERS) of a module."""
    found = [
        (level, entry)
        for level, entries in enumerate(LAYERS)
        for entry in entries
        if module == entry or module.startswith(entry + ".")
    ]
    level, entry = max(found, key=lambda pair: len(pair[1]))
    assert entry != "catpose" or module == "catpose", f"{module} is in no layer"
    return level, entry


def imports(path):
    """Full names of everything that a file imports, modules where they are ours."""
    found = set()
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                found.add(inner if inner in MODULES else node.module)
    return found


@pytest.mark.parametrize("module", MODULES)
def test_imports_point_downwards(module):
    if module == "catpose":
        return  # its `load` is resolved on use
    level, entry = layer(module)
    for other in imports(MODULES[module]):
        if other.split(".")[0] == "catpose":
            other_level, other_entry = layer(other)
            assert other_level < level or other_entry == entry, f"{module} imports {other}"


def test_names_are_imported_by_module():
    """`from catpose.geometry import so3`, not `from catpose.geometry.so3 import exp`."""
    # Types and plain values may be imported themselves.
    for module, path in MODULES.items():
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.ImportFrom) and node.module in MODULES:
                for alias in node.names:
                    inner = f"{node.module}.{alias.name}"
                    assert inner in MODULES or alias.name[0].isupper(), f"{module}: {inner}"


@pytest.mark.parametrize(
    ("library", "allowed"),
    [
        ("tensorflow", ()),
        ("flax", ("catpose.models",)),
        ("tensorflow_datasets", ("catpose.data.pascal3d",)),
        ("torch", ("catpose.bench.torch_network",)),
        ("pmap", ("catpose.devices",)),
        ("NamedSharding", ("catpose.devices",)),
        (
            "ml_collections",
            (
                "catpose.api",
                "catpose.experiment",
                "catpose.training",
                "catpose.studies",
                "catpose.configs",
                "catpose.launch",
            ),
        ),
    ],
)
def test_only_some_modules_know(library, allowed):
    for module, path in MODULES.items():
        tree = parse(path)
        words = {name.split(".")[0] for name in imports(path)}
        words |= {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
        words |= {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        if library in words:
            assert any(module == a or module.startswith(a + ".") for a in allowed), module


@pytest.mark.parametrize("path", files("catpose", "configs", "launch"), ids=name_of)
def test_files_are_short_and_well_named(path):
    text = path.read_text()
    assert len(text.splitlines()) <= MAX_LINES
    assert path.stem not in ("utils", "util", "common", "helpers", "helper", "misc")
    for word in ("TODO", "FIXME", "XXX", "NotImplementedError", "jax_utils", "flax.training"):
        assert word not in text, word
    names = {node.id for node in ast.walk(parse(path)) if isinstance(node, ast.Name)}
    assert not names & {"rng", "rngs", "rng_key"}


def test_nothing_inherits_from_a_class_of_ours():
    classes = [
        node
        for path in MODULES.values()
        for node in ast.walk(parse(path))
        if isinstance(node, ast.ClassDef)
    ]
    ours = {node.name for node in classes}
    for node in classes:
        bases = {getattr(base, "attr", getattr(base, "id", None)) for base in node.bases}
        assert not bases & ours, f"{node.name} inherits from {bases & ours}"


def run_python(code):
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.split()


def test_nothing_asks_for_tensorflow():
    code = """
import importlib.abc, pkgutil, sys

class Watch(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] == "tensorflow":
            print(name)

sys.meta_path.insert(0, Watch())
import catpose
for module in pkgutil.walk_packages(catpose.__path__, "catpose."):
    if module.name != "catpose.bench.torch_network":  # runs in an environment with PyTorch
        __import__(module.name)
print("done")
"""
    assert run_python(code) == ["done"]
