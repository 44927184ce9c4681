"""Category and pose of the object in a photo: a trained run as one function.

Rotations and angles are in frame "camera" (docs/conventions.md); boxes are x0, y0, x1, y1 in
pixels, 0-based, x1 and y1 exclusive.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import UInt8
from PIL import Image

from catpose import inference, metrics
from catpose import plugins as plugin_modules
from catpose import prediction as predictions
from catpose.data import photos
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import build, workdir
from catpose.images import decode
from catpose.poses.base import Density
from catpose.prediction import Prediction
from catpose.visualize import axes, category_models, overlay

Photo = str | pathlib.Path | bytes | Image.Image | np.ndarray
Box = Sequence[float | int] | np.ndarray | None
# Crops are padded to one of these numbers, so that no more than these programs are ever compiled.
BATCHES = (1, 8, 64)


class Predictor(NamedTuple):
    """A trained network; call it with a photo, or with many.

    Attributes:
      categories: names, in the order of the network's outputs.
      predict_fn: (N, S, S, 3) uint8 crops -> what `inference.compile_crops` predicts for them.
      input_spec: what the network takes; S is its resolution.
      density: of its poses; None where they have none.
      within_deg: the error to which `Prediction.pose_confidence` refers.
      note: why predictions have no `pose_confidence`; empty where they have.
    """

    categories: tuple[str, ...]
    predict_fn: Callable[[np.ndarray], inference.Seen]
    input_spec: InputSpec
    density: Density | None = None
    within_deg: float = metrics.WITHIN_DEG
    note: str = ""

    def __call__(
        self, image: Photo | Sequence[Photo], box: Box | Sequence[Box] = None
    ) -> Prediction | list[Prediction]:
        """Category and pose of the object in `box`; of many photos at once, a list.

        Args:
          image: a file's path, its bytes, a PIL image or an (H, W, 3) uint8 RGB array; or a list or
            tuple of these.
          box: around the object; None for the whole image. Of many photos, one for each, or None.

        Raises:
          InputError: no such file, not an image, or an invalid box, or one outside the image.
        """
        if not isinstance(image, list | tuple):
            return self.from_crops([self.crop(image, box)])[0]
        boxes = [None] * len(image) if box is None else list(box)
        if len(boxes) != len(image):
            raise InputError(f"there are {len(image)} photos and {len(boxes)} boxes")
        return self.from_crops([self.crop(*each) for each in zip(image, boxes, strict=True)])

    def crop(self, image: Photo | decode.Picture, box: Box = None) -> UInt8[np.ndarray, "S S 3"]:
        """What the network sees of a photo; arguments and errors as of a call."""
        spec, box = self.input_spec, _edges(box)
        return photos.crop(_open(image), box, spec.resolution, 0, context=spec.context)

    def from_crops(self, crops: Sequence[UInt8[np.ndarray, "S S 3"]]) -> list[Prediction]:
        """Category and pose of what `crop` made, in its order."""
        found = []
        while len(found) < len(crops):
            left = len(crops) - len(found)
            # The largest batch that at least half of them fill.
            size = max(size for size in BATCHES if size <= 2 * left)
            part = np.stack(crops[len(found) :][:size])
            padding = ((0, size - len(part)), (0, 0), (0, 0), (0, 0))
            seen = self.predict_fn(np.pad(part, padding))
            found += [
                predictions.of_seen(
                    jax.tree.map(lambda x, i=i: np.asarray(x)[i], seen),
                    self.categories,
                    density=self.density,
                    frame=self.input_spec.frame,
                    within_deg=self.within_deg,
                )
                for i in range(len(part))
            ]
        return found

    def draw(
        self,
        image: Photo,
        box: Box = None,
        prediction: Prediction | None = None,
        *,
        show: Literal["axes", "model", "both"] = "axes",
        models: category_models.Source = category_models.built_in,
    ) -> Image.Image:
        """The photo with what was predicted drawn on it: the pose, the box and the category.

        Where another pose has a probability of 0.2 or more, its axes are drawn faintly behind, and
        where the network is unsure a word says so.

        Args:
          image: see `__call__`.
          box: see `__call__`.
          prediction: of this image and box, where there is one already.
          show: the object's axes, a 3D model of the category over the object (see
            `catpose.visualize.overlay`), or both.
          models: where the model is from, see `catpose.visualize.category_models`; a category
            without one gets its axes.
        """
        picture, box = _open(image), _edges(box)
        found = prediction or self.from_crops([self.crop(picture, box)])[0]
        pixels = np.asarray(picture.image)
        box = None if box is None else photos.scaled(box, picture.size, picture.image.size)
        mesh = None if show == "axes" else models(found.category)
        if mesh is not None:
            drawn = overlay.draw_model(pixels, found.rotation, mesh, box=box)
            # Small pictures grow when they are drawn on.
            box = None if box is None else np.asarray(box) * (len(drawn) // len(pixels))
            pixels = drawn
        arrows = None if mesh is not None and show == "model" else found.rotation
        label = f"{found.category} {found.probabilities[found.category]:.0%}"
        label += f", {found.remark}" if found.remark else ""
        other = predictions.second(found)
        faint = None if other is None else other.rotation
        return Image.fromarray(axes.draw_axes(pixels, arrows, box=box, label=label, faint=faint))


def load(
    folder: str | pathlib.Path,
    *,
    best: bool = False,
    plugins: Sequence[str] = (),
    within_deg: float = metrics.WITHIN_DEG,
) -> Predictor:
    """The network of a training run.

    Args:
      folder: the run's workdir, or the name of a network that comes with catpose: "photo", for
        photographs, or "mini", for renders.
      best: the weights with the lowest validation error instead of the last ones.
      plugins: the user's modules that the network is made of, see docs/extending.md.
      within_deg: the error to which `Prediction.pose_confidence` refers, in (0, 180].

    Raises:
      InputError: no run there, no checkpoint yet, or a plugin that the run needs and is not given.
    """
    if plugins:
        plugin_modules.load(plugins)
    model, variables = build.read_model(workdir.find(folder), best=best)
    return from_variables(model, variables, within_deg=within_deg)


def from_variables(
    model: build.Model, variables: Any, *, within_deg: float = metrics.WITHIN_DEG
) -> Predictor:
    """The predictor of a model in memory, with the variables of its network."""
    if not 0 < within_deg <= 180:
        raise InputError(f"within_deg is {within_deg:g}; it can be above 0 and up to 180 degrees")
    predict_fn = inference.compile_crops(model, within_deg)
    variables = jax.device_put(variables)
    return Predictor(
        model.categories,
        lambda image: jax.device_get(predict_fn(variables, image)),
        model.input_spec,
        model.pose.density,
        within_deg,
        _why_no_confidence(model),
    )


def _why_no_confidence(model: build.Model) -> str:
    if model.pose.density is None:
        return f"no pose_confidence: poses of '{model.pose.name}' have no density"
    if model.calibration is None:
        return "no pose_confidence: the network is not calibrated (catpose evaluate --calibrate)"
    return ""


def open_image(image: Photo) -> Image.Image:
    """Any form of a photo as a PIL image in RGB; see `catpose.data.photos.open_image`.

    Raises:
      InputError: no such file, not an image, or an array of another form.
    """
    return _open(image).image


def _open(image: Photo | decode.Picture) -> decode.Picture:
    if isinstance(image, decode.Picture):
        return image
    if not isinstance(image, np.ndarray):
        return decode.open_picture(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(
            f"an image array is (H, W, 3) uint8 in RGB, not {image.shape} {image.dtype}"
        )
    picture = Image.fromarray(image)
    return decode.Picture(picture, picture.size)


def _edges(box: Box) -> photos.Box | None:
    if box is None:
        return None
    try:
        x0, y0, x1, y1 = (float(edge) for edge in box)
    except (TypeError, ValueError) as error:
        raise InputError(f"a box is four numbers x0, y0, x1, y1, not {box}") from error
    return x0, y0, x1, y1
