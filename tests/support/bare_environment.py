"""A virtual environment as a new machine has it: Python, and catpose nowhere.

What catpose depends on is at hand, so that nothing is downloaded.
"""

import json
import pathlib
import shutil
import subprocess
import sysconfig
import venv

from tests.support.paths import ROOT

CLONED = (
    "catpose",
    "configs",
    "launch",
    "colab",
    "LICENSE",
    "README.md",
    "pyproject.toml",
    "setup.cfg",
)


def create(folder):
    """Makes the environment; returns its Python."""
    venv.create(folder, with_pip=True)
    shown = folder / "dependencies"
    shown.mkdir()
    for path in pathlib.Path(sysconfig.get_paths()["purelib"]).iterdir():
        if not path.name.startswith(("catpose", "__editable__", "_distutils", "distutils")):
            (shown / path.name).symlink_to(path)
    python = folder / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_paths()['purelib'])"
    found = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    own = pathlib.Path(found.stdout.strip())
    for path in own.glob("setuptools*"):
        shutil.rmtree(path)  # an old one, of the Python that made the environment
    (own / "dependencies.pth").write_text(f"{shown}\n")
    return python


def kernel(folder, python):
    """Makes a Jupyter kernel "bare" of it; returns the folder for JUPYTER_PATH."""
    spec = {"argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]}
    path = folder / "kernels" / "bare" / "kernel.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({**spec, "display_name": "bare", "language": "python"}))
    return folder


def repository(folder):
    """The working tree as a repository of its own, to be cloned."""
    folder.mkdir()
    for name in CLONED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, folder)
    git = ["git", "-c", "user.name=n", "-c", "user.email=e@x", "-C", str(folder)]
    for command in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *command], check=True)
    return folder
