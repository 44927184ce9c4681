"""catpose: object category and 3D pose from one image.

    folder = catpose.train("quickstart")           # a config that comes with catpose, or your own
    predict = catpose.load(folder)                 # or "photo", a network that comes with catpose
    predict("photo.jpg", box=(40, 60, 400, 300))   # category, rotation, angles, probabilities
    catpose.evaluate(folder, "catpose")            # metrics under a named protocol

`catpose.so3` and `catpose.viewpoint` are the mathematics of rotations; `POSES`, `BACKBONES` and
`READERS` are tables by name of what a config can choose: pose representations, backbones and
readers of datasets. `Examples` are labeled objects, `Predictions` what a system says of them.
The same from a shell: `catpose --help`.
"""

import importlib
from typing import Any

__version__ = "0.1.0"
# Imported on use: `catpose --help` and the processes that draw images do without JAX.
_HOMES = {
    "load": "catpose.predict",
    "train": "catpose.api",
    "evaluate": "catpose.api",
    "Predictor": "catpose.predict",
    "Prediction": "catpose.prediction",
    "combine": "catpose.several_views",
    "Examples": "catpose.data.examples",
    "Predictions": "catpose.data.predictions",
    "so3": "catpose.geometry",
    "viewpoint": "catpose.geometry",
    "POSES": "catpose.poses",
    "BACKBONES": "catpose.models",
    "READERS": "catpose.experiment.datasets",
}
__all__ = list(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'catpose' has no attribute '{name}'")
    home = _HOMES[name]
    if home == "catpose.geometry":
        return importlib.import_module(f"{home}.{name}")
    return getattr(importlib.import_module(home), name)


def __dir__() -> list[str]:
    return __all__
