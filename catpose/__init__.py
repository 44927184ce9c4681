"""catpose: object category and 3D pose from one image.

`catpose.load(workdir)` gives a function from a photo to a prediction; see `catpose.predict`.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["load"]


def __getattr__(name: str) -> Any:
    # Only on use: the worker processes that draw images import catpose, but never JAX.
    if name == "load":
        from catpose import predict

        return predict.load
    raise AttributeError(f"module 'catpose' has no attribute '{name}'")
