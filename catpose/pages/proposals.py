"""What a network proposes for a box in a photo, and the best pose near another one."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from catpose import predict
from catpose.errors import InputError
from catpose.experiment import build, workdir
from catpose.images import decode
from catpose.pages import density_map, objects, snap
from catpose.prediction import Alternative, Prediction

_NUM_CATEGORIES = 5  # in a proposal


class Proposer:
    """A network for pages; it is loaded meanwhile, and all of its answers wait for that.

    Attributes:
      name: the folder of its run, or the name of one that comes with catpose; "" for none.
    """

    def __init__(self, name: str, *, best: bool = False) -> None:
        self.name, self._best, self._error = name, best, ""
        self._lock = threading.Lock()  # one photo at a time
        self._thread = threading.Thread(target=self._load, daemon=True)
        self._thread.start()

    def _load(self):
        try:
            if not self.name:
                raise InputError("no network was chosen; --workdir=photo or a run gives proposals")
            self._model, self._variables = build.read_model(
                workdir.find(self.name), best=self._best
            )
            self._predictor = predict.from_variables(self._model, self._variables)
            self._snap = snap.compile_snap(self._model)
            self._map = density_map.compile_map(self._model)
            side = self._model.input_spec.resolution
            self._predictor.from_crops([np.zeros((side, side, 3), np.uint8)])  # compiles
        except InputError as error:
            self._error = str(error)
        except Exception as error:
            self._error = f"the network cannot be loaded: {error}"
            raise

    def state(self) -> dict[str, Any]:
        """Whether it can answer: its name, `ready`, its categories, and `error` in words."""
        ready = not self._thread.is_alive() and not self._error
        return {
            "name": self.name,
            "ready": ready,
            "error": self._error,
            "categories": list(self._model.categories) if ready else [],
            "has_density": ready and self._snap is not None,
        }

    def _ready(self):
        self._thread.join()
        if self._error:
            raise InputError(self._error)

    def propose(self, picture: decode.Picture, box: Sequence[float] | None) -> Prediction:
        """What the network says of a box.

        Raises:
          InputError: no network, or an invalid box.
        """
        self._ready()
        with self._lock:
            return self._predictor.from_crops([self._predictor.crop(picture, box)])[0]

    def snap(
        self,
        picture: decode.Picture,
        box: Sequence[float] | None,
        category: str,
        rotation: np.ndarray,
    ) -> tuple[np.ndarray, bool]:
        """The best pose near `rotation`, both (3, 3) in "camera", and whether there is one.

        Raises:
          InputError: no network, one without a density or of other categories; an invalid box.
        """
        self._ready()
        if self._snap is None:
            pose = self._model.pose.name
            raise InputError(f"{self.name} predicts no density of poses ('{pose}'): no snap")
        if category not in self._model.categories:
            known = ", ".join(self._model.categories)
            raise InputError(f"{self.name} does not know '{category}', but {known}")
        index = np.int32(self._model.categories.index(category))
        with self._lock:
            crop = self._predictor.crop(picture, box)
            found, reached = self._snap(self._variables, crop, index, np.float32(rotation))
            return np.asarray(found), bool(reached)

    def density_map(
        self, picture: decode.Picture, box: Sequence[float] | None
    ) -> list[list[float]] | None:
        """See `density_map.compile_map`; None where the network has no density.

        Raises:
          InputError: no network, or an invalid box.
        """
        self._ready()
        if self._map is None:
            return None
        with self._lock:
            crop = self._predictor.crop(picture, box)
            return np.asarray(self._map(self._variables, crop), float).round(4).tolist()


def to_json(found: Prediction) -> dict[str, Any]:
    """A prediction for a page: poses as angles, and the most probable categories alone."""
    ranked = sorted(found.probabilities.items(), key=lambda pair: -pair[1])
    return {
        "category": found.category,
        "probabilities": dict(ranked[:_NUM_CATEGORIES]),
        "known": found.known,
        "confidence": found.confidence,
        "angles_deg": _angles(found),
        "pose_confidence": found.pose_confidence,
        "alternatives": [
            {"category": each.category, "angles_deg": _angles(each), "share": each.probability}
            for each in found.alternatives
        ],
    }


def _angles(found: Prediction | Alternative) -> list[float]:
    return [found.azimuth_deg, found.elevation_deg, found.theta_deg]


def angles_json(rotation: np.ndarray) -> list[float]:
    """Azimuth, elevation and theta in degrees of a rotation in "camera"."""
    return objects.angles_deg(rotation[None])[0].tolist()
