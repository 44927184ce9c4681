"""Category and pose of the object in a photo: a trained run as one function.

Rotations and angles are in frame "camera" (docs/conventions.md); boxes are x0, y0, x1, y1 in
pixels, 0-based, x1 and y1 exclusive.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float, UInt8
from PIL import Image

from catpose import inference
from catpose import plugins as plugin_modules
from catpose.data import photos
from catpose.data.input_spec import InputSpec
from catpose.errors import InputError
from catpose.experiment import build, workdir
from catpose.images import decode
from catpose.visualize import axes, category_models, overlay

Photo = str | pathlib.Path | bytes | Image.Image | np.ndarray
Box = Sequence[float | int] | np.ndarray | None
# Crops are padded to one of these numbers, so that no more than these programs are ever compiled.
BATCHES = (1, 8, 64)


class Prediction(NamedTuple):
    """What the network predicts for one box.

    Attributes:
      category: the most probable one; where the network chooses a category and a pose together,
        that of the pair.
      probabilities: by category, in [0, 1], summing to 1.
      rotation: (3, 3), frame "camera": object coordinates to camera coordinates.
      azimuth_deg: in [0, 360); 0 sees the object's front, 90 its left side.
      elevation_deg: in [-90, 90]; positive when seen from above.
      theta_deg: in (-180, 180]; positive when turned counter-clockwise in the picture.
      confidence: the category's probability, given that it is one of them. It is no measure of how
        right the pose is.
      known: the probability that the box shows one of the categories at all; None where the network
        knows no others.
    """

    category: str
    probabilities: dict[str, float]
    rotation: Float[np.ndarray, "3 3"]
    azimuth_deg: float
    elevation_deg: float
    theta_deg: float
    confidence: float
    known: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The same in lists and numbers, for JSON."""
        return {**self._asdict(), "rotation": self.rotation.tolist(), "frame": "camera"}


class Predictor(NamedTuple):
    """A trained network; call it with a photo, or with many.

    Attributes:
      categories: names, in the order of the network's outputs.
      predict_fn: (N, S, S, 3) uint8 crops -> what `inference.compile_crops` predicts for them.
      input_spec: what the network takes; S is its resolution.
    """

    categories: tuple[str, ...]
    predict_fn: Callable[[np.ndarray], tuple[np.ndarray, ...]]
    input_spec: InputSpec

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
            arrays = self.predict_fn(np.pad(part, padding))
            found += map(self._prediction, *(array[: len(part)] for array in arrays))
        return found

    def _prediction(
        self,
        probabilities: np.ndarray,
        category: np.integer,
        rotation: np.ndarray,
        angles: np.ndarray,
        known: np.floating,
    ) -> Prediction:
        return Prediction(
            category=self.categories[category],
            probabilities=dict(zip(self.categories, probabilities.tolist(), strict=True)),
            rotation=rotation,
            azimuth_deg=float(angles[0]) % 360,
            elevation_deg=float(angles[1]),
            theta_deg=float(angles[2]),
            confidence=float(probabilities[category]),
            known=None if np.isnan(known) else float(known),
        )

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
        return Image.fromarray(axes.draw_axes(pixels, arrows, box=box, label=label))


def load(
    folder: str | pathlib.Path, *, best: bool = False, plugins: Sequence[str] = ()
) -> Predictor:
    """The network of a training run.

    Args:
      folder: the run's workdir, or the name of a network that comes with catpose: "photo", for
        photographs, or "mini", for renders.
      best: the weights with the lowest validation error instead of the last ones.
      plugins: the user's modules that the network is made of, see docs/extending.md.

    Raises:
      InputError: no run there, no checkpoint yet, or a plugin that the run needs and is not given.
    """
    if plugins:
        plugin_modules.load(plugins)
    model, variables = build.read_model(workdir.find(folder), best=best)
    return from_variables(model, variables)


def from_variables(model: build.Model, variables: Any) -> Predictor:
    """The predictor of a model in memory, with the variables of its network."""
    predict_fn = inference.compile_crops(model)
    variables = jax.device_put(variables)
    return Predictor(
        model.categories,
        lambda image: jax.device_get(predict_fn(variables, image)),
        model.input_spec,
    )


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
