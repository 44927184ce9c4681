"""The twelve categories of PASCAL3D+: their order, their synsets, their short names."""

# Synsets of WordNet, by which ShapeNet and Render for CNN name categories.
SYNSETS = {
    "02691156": "aeroplane",
    "02834778": "bicycle",
    "02858304": "boat",
    "02876657": "bottle",
    "02924116": "bus",
    "02958343": "car",
    "03001627": "chair",
    "04379243": "diningtable",
    "03790512": "motorbike",
    "04256520": "sofa",
    "04468005": "train",
    "03211117": "tvmonitor",
}
CATEGORIES = tuple(SYNSETS.values())
# What the paper prints over the columns of its tables; the others in full.
SHORT_NAMES = {
    "aeroplane": "aero",
    "bicycle": "bike",
    "diningtable": "dtable",
    "motorbike": "mbike",
    "tvmonitor": "tv",
}
