"""In a clone this package is the folder configs/; in a wheel, setup.cfg puts that folder here."""

import pathlib

__path__ = [str(pathlib.Path(__file__).parents[2] / "configs")]
