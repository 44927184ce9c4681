"""Networks of flax modules, as pure functions; backbones by the name that a config gives."""

from catpose.models import efficientnet_lite, resnet, vgg_m

BACKBONES = {
    "resnet": resnet.RESNET,
    **resnet.NAMED,
    "vgg_m": vgg_m.VGG_M,
    **efficientnet_lite.EFFICIENTNET_LITE,
}
