"""Networks of flax modules, as pure functions; backbones by the name that a config gives."""

from catpose.models import resnet, vgg_m

BACKBONES = {
    "resnet": resnet.RESNET,
    "vgg_m": vgg_m.VGG_M,
}
