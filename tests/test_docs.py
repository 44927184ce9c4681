"""README and docs: links resolve, commands and names exist, tables are complete."""

import functools
import importlib
import re

import pytest
import yaml

from catpose import poses
from catpose.configs import base
from catpose.evaluation import protocols
from tests.support.paths import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), ROOT / "docs/tables/cars/README.md"])
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


def test_the_readme_is_short_and_opens_with_two_commands():
    text = text_of("README.md")
    assert len(text.split()) <= 800
    assert text.index("![") < text.index(TRAIN) < text.index(TEST)
    assert blocks(text)[:2] == [TRAIN, TEST]
    assert TEST.replace("pip install", "pip install --quiet") in text_of(".ci/run")


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


def test_the_table_of_configs_is_complete():
    found = {name for cells in table("docs/training.md", "config") for name in names(cells[0])}
    has_config = {
        path.stem for path in ROOT.glob("configs/*.py") if "def get_config" in path.read_text()
    }
    assert found == has_config - {"base", "benchmark"}
