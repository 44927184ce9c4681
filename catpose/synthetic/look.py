"""How strongly the pictures of 3D models differ: `config.engine.look`."""

import dataclasses

from catpose import config_keys


@dataclasses.dataclass(frozen=True)
class Look:
    """How pictures differ, in shares of the object's box unless another unit is given."""

    squeeze: float = config_keys.key(
        0.5,
        "probability that the crop is squeezed to a square, as the box of a photo is; the others "
        "keep the object's proportions, as the dataset shapes does",
        config_keys.between(0, 1),
    )
    loosen: tuple[float, float] = config_keys.key(
        (0.0, 0.12), "range of the margin around the object, all sides alike", config_keys.spread()
    )
    box_jitter: float = config_keys.key(
        0.03, "each side of the crop moves by up to this, on its own", config_keys.at_least(0)
    )
    truncation: float = config_keys.key(
        0.0, "probability that the crop cuts off a part of the object", config_keys.between(0, 1)
    )
    truncation_most: float = config_keys.key(
        0.3, "the largest part that it cuts off, on one side", config_keys.between(0, 1)
    )
    occlusion: float = config_keys.key(
        0.0, "probability that something covers a part of the object", config_keys.between(0, 1)
    )
    occlusion_most: float = config_keys.key(
        0.5, "its largest width and height, in shares of the picture", config_keys.at_least(0)
    )
    key_light: tuple[float, float] = config_keys.key(
        (0.45, 0.85), "intensity of the light from above and in front", config_keys.spread()
    )
    ambient: tuple[float, float] = config_keys.key(
        (0.3, 0.65), "range of the light from everywhere", config_keys.spread()
    )
    more_lights: float = config_keys.key(
        0.3,
        "the other three lights' intensities are uniform up to this, each on or off",
        config_keys.at_least(0),
    )
    sky: float = config_keys.key(
        0.3,
        "the light from everywhere is up to this share stronger from above, and weaker from below",
        config_keys.at_least(0),
    )
    point_lights: int = config_keys.key(
        0, "lights two to five half diagonals away, each on or off", config_keys.at_least(0)
    )
    point_power: float = config_keys.key(
        0.3,
        "what each of them gives at the object's center, uniform up to this",
        config_keys.at_least(0),
    )
    texture: float = config_keys.key(
        0.0,
        "how strongly a pattern may change the object's colors, see `textures.sample`",
        config_keys.between(0, 1),
    )
    grey: float = config_keys.key(
        0.2, "probability of a plain background", config_keys.between(0, 1)
    )
    contrast: float = config_keys.key(
        0.15, "the picture's contrast is uniform in 1 +- this", config_keys.at_least(0)
    )
    brightness: float = config_keys.key(
        0.06, "added, uniform in +- this (1 = white)", config_keys.at_least(0)
    )
    saturation: float = config_keys.key(
        0.2, "factor on the distance from gray, uniform in 1 +- this", config_keys.at_least(0)
    )
    noise: float = config_keys.key(
        0.04, "the largest deviation of the noise's range (1 = white)", config_keys.at_least(0)
    )

    cast: float = config_keys.key(
        0.0, "factor on each channel by itself, uniform in 1 +- this", config_keys.between(0, 1)
    )
    monochrome: float = config_keys.key(
        0.0, "probability of a picture without colors", config_keys.between(0, 1)
    )
    blur: float = config_keys.key(
        0.0,
        "the picture is blurred by a deviation uniform up to this, in pixels, at most 1.1",
        config_keys.between(0, 1.1),
    )

    def __post_init__(self) -> None:
        if 2 * self.box_jitter + self.truncation_most > 0.9:
            raise ValueError(
                "twice box_jitter and truncation_most are more than 0.9 together: nothing of the "
                "object would be left"
            )
