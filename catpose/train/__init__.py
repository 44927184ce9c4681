"""Training. The package itself is called as `catpose.train(config, workdir)`, see `catpose.api`."""

import importlib
import sys
import types
from typing import Any


class _Package(types.ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Trains, see `catpose.api.train`."""
        return importlib.import_module("catpose.api").train(*args, **kwargs)


sys.modules[__name__].__class__ = _Package
