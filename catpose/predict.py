"""What is on a photo and how it is turned: a trained run as one function.

Rotations and angles are in frame "camera" (README, Conventions); boxes are x0, y0, x1, y1 in
pixels, 0-based, x1 and y1 exclusive.
"""

import pathlib
from collections.abc import Callable, Sequence
from typing import Any, Literal, NamedTuple

import jax
import numpy as np
from jaxtyping import Float
from PIL import Image

from catpose.data import augment, photos
from catpose.errors import InputError
from catpose.geometry import viewpoint
from catpose.models import fusion
from catpose.report import axes, exemplars, overlay
from catpose.train import experiment, phases, start, workdir

Photo = str | pathlib.Path | bytes | Image.Image | np.ndarray
Box = Sequence[float | int] | np.ndarray | None


class Prediction(NamedTuple):
    """What the network says of one box.

    Attributes:
      category: the most probable one.
      probabilities: by category, in [0, 1], summing to 1.
      rotation: (3, 3), frame "camera": object coordinates to camera coordinates.
      azimuth_deg: in [0, 360); 0 sees the object's front, 90 its left side.
      elevation_deg: in [-90, 90]; positive when seen from above.
      theta_deg: in (-180, 180]; positive when turned counter-clockwise in the picture.
    """

    category: str
    probabilities: dict[str, float]
    rotation: Float[np.ndarray, "3 3"]
    azimuth_deg: float
    elevation_deg: float
    theta_deg: float

    def to_json(self) -> dict[str, Any]:
        """The same in lists and numbers, for JSON."""
        return {**self._asdict(), "rotation": self.rotation.tolist(), "frame": "camera"}


class Predictor(NamedTuple):
    """A trained network; call it with a photo.

    Attributes:
      categories: names, in the order of the network's outputs.
      predict_fn: (1, S, S, 3) uint8 crop -> probabilities (1, K), rotation (1, 3, 3).
      resolution: S.
      context: side of the crop over that of the box.
    """

    categories: tuple[str, ...]
    predict_fn: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    resolution: int
    context: float = 1.0

    def __call__(self, image: Photo, box: Box = None) -> Prediction:
        """Category and pose of the object in `box`.

        Args:
          image: a file's path, its bytes, a PIL image or an (H, W, 3) uint8 RGB array.
          box: around the object; None for the whole image.

        Raises:
          InputError: no such file, not an image, or a box that is none or lies outside it.
        """
        picture = open_image(image)
        box = (0, 0, *picture.size) if box is None else box
        try:
            x0, y0, x1, y1 = (float(edge) for edge in box)
        except (TypeError, ValueError) as error:
            raise InputError(f"a box is four numbers x0, y0, x1, y1, not {box}") from error
        crop = photos.crop(picture, (x0, y0, x1, y1), self.resolution, 0, context=self.context)
        probabilities, rotation = self.predict_fn(crop[None])
        azimuth, elevation, theta = viewpoint.angles_from_rotation(rotation[0])
        return Prediction(
            category=self.categories[int(probabilities[0].argmax())],
            probabilities=dict(zip(self.categories, probabilities[0].tolist(), strict=True)),
            rotation=rotation[0],
            azimuth_deg=float(np.degrees(azimuth)) % 360,
            elevation_deg=float(np.degrees(elevation)),
            theta_deg=float(np.degrees(theta)),
        )

    def draw(
        self,
        image: Photo,
        box: Box = None,
        prediction: Prediction | None = None,
        *,
        show: Literal["axes", "model", "both"] = "axes",
        models: exemplars.Source = exemplars.built_in,
    ) -> Image.Image:
        """The photo with what was predicted drawn on it: the pose, the box and the category.

        Args:
          image: see `__call__`.
          box: see `__call__`.
          prediction: of this image and box, where there is one already.
          show: the object's axes, a 3D model of the category over the object (see
            `catpose.report.overlay`), or both.
          models: where the model is from, see `catpose.report.exemplars`; a category without one
            gets its axes.
        """
        picture = open_image(image)
        found = prediction or self(picture, box)
        pixels = np.asarray(picture.convert("RGB"))
        mesh = None if show == "axes" else models(found.category)
        if mesh is not None:
            drawn = overlay.draw_model(pixels, found.rotation, mesh, box=box)
            # Small pictures grow when they are drawn on.
            box = None if box is None else np.asarray(box) * (len(drawn) // len(pixels))
            pixels = drawn
        arrows = None if mesh is not None and show == "model" else found.rotation
        label = f"{found.category} {found.probabilities[found.category]:.0%}"
        return Image.fromarray(axes.draw_axes(pixels, arrows, box=box, label=label))


def load(folder: str | pathlib.Path, *, best: bool = False) -> Predictor:
    """The network of a training run.

    Args:
      folder: the run's workdir, or the name of a network that comes with catpose: "mini".
      best: the weights with the lowest validation error instead of the last ones.

    Raises:
      InputError: no run there, or no checkpoint yet.
    """
    folder = workdir.find(folder)
    config = workdir.read_config(folder)
    categories = workdir.read_categories(folder)
    model = experiment.build_model(config, categories, workdir.read_keys(folder))
    step, variables = start.read_variables(folder, model, best=best)
    run_phases = experiment.build_phases(config)
    phase, _ = phases.at_step(run_phases, step)
    name = phases.answering_fusion(run_phases)

    @jax.jit
    def forward(variables: Any, image: jax.Array) -> tuple[jax.Array, jax.Array]:
        image = augment.normalize(image, model.normalization)
        outputs, _ = model.network.apply_fn(variables, image, tied=phase.tied)
        weights = fusion.weights(name, outputs.category_logits)
        rotation = model.pose.to_rotation(model.pose.fuse(outputs.pose_outputs, weights))
        rotation = viewpoint.convert_frame(rotation, model.frame, "camera")
        return jax.nn.softmax(outputs.category_logits), rotation

    variables = jax.device_put(variables)
    return Predictor(
        categories,
        lambda image: jax.device_get(forward(variables, image)),
        model.resolution,
        model.context,
    )


def open_image(image: Photo) -> Image.Image:
    """Any form of a photo as a PIL image in RGB; see `catpose.data.photos.open_image`.

    Raises:
      InputError: no such file, not an image, or an array of another form.
    """
    if not isinstance(image, np.ndarray):
        return photos.open_image(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] != 3:
        raise InputError(
            f"an image array is (H, W, 3) uint8 in RGB, not {image.shape} {image.dtype}"
        )
    return Image.fromarray(image)
