"""The glossary of CONTRIBUTING.md: one word has one meaning, in plain American English.

Comments, docstrings, messages and names of the code are held to it, and the pages.
"""

import ast
import functools
import io
import json
import re
import tokenize

import pytest

from tests.support.paths import ROOT

# (pattern, what to say)
PHRASES = (
    (r"(that|which) (is|are) none\b", "an invalid X"),
    (r"\b(is|are|was) no numbers?\b", "NaN or Inf, non-finite"),
    (r"\bno numbers\b", "NaN or Inf, non-finite"),
    (r"\bhow manieth\b", "rank within its category"),
    (r"\bnoughts?\b", "zeros"),
    (r"\bshel(f|ves)\b", "buckets of padded size"),
    (r"\bin company\b", "is_multiprocess"),
    (r"\btold\b", "given, reported, logged"),
    (r"\bstands? for\b", "is, replaces, represents"),
    (r"\bstored features\b", "cached features"),
    (r"\bin (one's|its|his) stead\b", "instead"),
    (r"\bvalues? that means? nothing\b", "an invalid value"),
    (r"\bgo(es)? on (where|from)\b", "resumes"),
)
_ISE = (
    "normal|optim|initial|rasterizer|raster|quant|synchron|vector|general|summar|organ|recogn|"
    "standard|random|factor|orthonormal|orthogonal|minim|maxim|local|real|visual|serial|parallel|"
    "discret|regular|custom|util|token|linear|stabil|final|emphas|character|penal|symmetr"
)
BRITISH = (
    (r"(?<![A-Za-z])centr(e|es|ed|ing)(?![A-Za-z])", "center"),
    (r"colour", "color"),
    (rf"(?<![A-Za-z])\w*({_ISE})is(e|es|ed|er|ers|ing|ation|ations)(?![A-Za-z])", "-ize"),
    (r"neighbour", "neighbor"),
    (r"behaviour", "behavior"),
    (r"favour", "favor"),
    (r"(?<![A-Za-z\"'`])grey(?![:=`])", "gray"),
    (r"label(led|ling)", "labeled, labeling"),
    (r"model(led|ling)(?![A-Za-z])", "modeled, modeling"),
    (r"cancel(led|ling)(?![A-Za-z])", "canceled"),
    (r"licence", "license"),
    (r"analyse", "analyze"),
    (r"artefact", "artifact"),
    (r"pre-empt", "preempt"),
)
# Names of functions, which are verbs that say what a function does.
FUNCTIONS = {"told", "said", "shows", "worked", "asked", "joined"}
# Keys of configs, which users have: they keep their names. In prose they are American.
KEYS = {"grey"}
# By type, what its parameters are called; `other_state` is one too. Since `examples` and
# `predictions` are the modules of these types, `found` is scored against `truth`, and examples
# whose images are not decoded yet are `encoded`.
PARAMETERS = {
    "TrainState": ("state",),
    "Model": ("model",),
    "Examples": ("examples", "truth", "split", "encoded"),
    "Predictions": ("predictions", "found"),
}

CODE = [
    path
    for folder in ("catpose", "configs", "launch")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("catpose/weights/*/*.md")])
PAGES += sorted(ROOT.glob("colab/*.ipynb"))


def place(path):
    return str(path.relative_to(ROOT))


def _comments(source):
    """Comments with their first line; lines of one comment are one text."""
    lines, last = [], None
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type != tokenize.COMMENT:
            continue
        text, row = token.string.lstrip("#").strip(), token.start[0]
        if last == row - 1:
            lines[-1] = (lines[-1][0], f"{lines[-1][1]}\n{text}")
        else:
            lines.append((row, text))
        last = row
    return lines


@functools.cache
def texts(path):
    """(line, text) of all comments, strings and names of a module."""
    source = path.read_text()
    tree = ast.parse(source)
    strings = [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]
    return [*_comments(source), *strings]


def _names(path):
    """(line, name) of everything that a module defines or uses."""
    with path.open() as file:
        for token in tokenize.generate_tokens(file.readline):
            if token.type == tokenize.NAME and token.string not in KEYS:
                yield token.start[0], token.string


def violations(found, patterns):
    """One line for each: line number, the words, what to say instead."""
    for line, text in found:
        for pattern, instead in patterns:
            for match in re.finditer(pattern.replace(" ", r"\s+"), text, flags=re.IGNORECASE):
                number = line + text.count("\n", 0, match.start())
                yield f"{number}: '{' '.join(match[0].split())}', say '{instead}'"


def _functions(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef) and node.name.strip("_") in FUNCTIONS:
            yield f"{node.lineno}: a function called '{node.name}', say what it does"


def in_code(path):
    """All violations of a module."""
    yield from violations(texts(path), PHRASES + BRITISH)
    yield from violations(_names(path), BRITISH)
    yield from _functions(path)


def in_page(path):
    """All violations of a page or notebook, without the glossary's column of wrong words."""
    text = path.read_text()
    if path.suffix == ".ipynb":
        text = "\n".join("".join(cell["source"]) for cell in json.loads(text)["cells"])
    glossary = re.search(r"^\| say \| not \|$.*?^$", text, flags=re.DOTALL | re.MULTILINE)
    if glossary:
        text = text.replace(glossary[0], "\n" * glossary[0].count("\n"))
    yield from violations([(1, text)], PHRASES + BRITISH)


def parameters(path):
    """Parameters of a known type that are not called by their name."""
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        arguments = node.args
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs):
            kind = argument.annotation
            kind = getattr(kind, "attr", getattr(kind, "id", None))
            names = PARAMETERS.get(kind, ())
            if names and not any(f"_{argument.arg}".endswith(f"_{name}") for name in names):
                yield f"{argument.lineno}: {node.name}({argument.arg}: {kind}), say '{names[0]}'"


@pytest.mark.parametrize("path", CODE, ids=place)
def test_code_obeys_the_glossary(path):
    assert not [f"{place(path)}:{each}" for each in in_code(path)]


@pytest.mark.parametrize("path", PAGES, ids=place)
def test_pages_obey_the_glossary(path):
    assert not [f"{place(path)}:{each}" for each in in_page(path)]


@pytest.mark.parametrize("path", CODE, ids=place)
def test_a_type_has_one_name_for_its_parameters(path):
    assert not [f"{place(path)}:{each}" for each in parameters(path)]


def main() -> None:
    """Prints every violation, and how many each folder has: python -m tests.test_words."""
    counts = {}
    for path in (*CODE, *PAGES):
        found = [*in_code(path), *parameters(path)] if path.suffix == ".py" else [*in_page(path)]
        for each in found:
            print(f"{place(path)}:{each}")
        folder = "/".join(path.relative_to(ROOT).parts[:-1]) or "."
        counts[folder] = counts.get(folder, 0) + len(found)
    for folder, count in sorted(counts.items()):
        print(f"{folder}: {count}")


if __name__ == "__main__":
    main()
