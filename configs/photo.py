"""A network for photographs: ImageNet weights of EfficientNet-Lite0, poses learned from renders.

    pip install -e '.[photo]'
    python -m launch.render --config=configs/photo.py:everywhere --per_category=1500 \\
        --output_dir=renders/photo
    python -m launch.train --config=configs/photo.py --config.data.rendered=renders/photo \\
        --workdir=runs/photo

What ships is the mean of the weights of two such runs (`launch.export --mean_with`): this one, and
one of simpler objects, where both commands have --config.engine.models=builtin too.

The category network is the backbone as it is, with its own classifier, whose probabilities are
summed over the ImageNet classes of each category. Pose networks have a backbone of their own (the
"sequential" architecture of the paper), whose late stages learn from the renders. These are made
once and seen several times, with other crops and colors: rendering costs as much as training on it.
They show every object from everywhere. In a last, short phase the pose networks alone see views
like those of photographs, so that what cannot be seen (which way a bottle is turned) is answered as
people label it. Where the late stages went on learning there, aeroplanes became worse.
"""

from ml_collections import ConfigDict

from catpose.configs import base

LATE = "feature_network/stage[567]"
AUGMENT = {
    "zoom": 0.1,
    "shift": 0.05,
    "rotate_deg": 4.0,
    "brightness": 0.15,
    "contrast": 0.3,
    "saturation": 0.5,
}
# Where photographs are taken from, in round numbers: (low, high) or (low, high, mean, deviation).
# A bottle looks the same from all sides and is labeled with azimuth 0; sofas, tables and screens
# stand against walls; trains and buses come towards the camera; from the street one looks level.
LEVEL = (-5.0, 15.0)
VIEWS = {
    "bottle": {"azimuth_deg": (-5.0, 5.0), "elevation_deg": (-20.0, 40.0, 5.0, 20.0)},
    "bus": {"azimuth_deg": (-180.0, 180.0, 0.0, 70.0), "elevation_deg": LEVEL},
    "car": {"elevation_deg": LEVEL},
    "chair": {"azimuth_deg": (-180.0, 180.0, 0.0, 90.0), "elevation_deg": (0.0, 45.0)},
    "diningtable": {"azimuth_deg": (-90.0, 90.0), "elevation_deg": (5.0, 40.0)},
    "sofa": {"azimuth_deg": (-90.0, 90.0, 0.0, 40.0)},
    "train": {"azimuth_deg": (-180.0, 180.0, 0.0, 60.0), "elevation_deg": LEVEL},
    "tvmonitor": {"azimuth_deg": (-90.0, 90.0, 0.0, 35.0)},
}


def get_config(views: str = "photographs") -> ConfigDict:
    """Pose networks, the late stages with them, and pose networks on views like photographs'.

    Args:
      views: of images rendered in the step, or by `launch.render`: "photographs" or "everywhere".
    """
    if views not in ("photographs", "everywhere"):
        raise ValueError(f"configs/photo.py:{views}; it can be photographs or everywhere")
    config = base.get_config()
    config.update(name="photo", parallel="jit", log_steps=50, checkpoint_steps=250)
    config.data.update(kind="shapes", seed=2000, resolution=192)
    config.data.num_images = {"pretrain": 0, "train": 0, "validation": 600, "test": 1200}
    config.model.update(
        architecture="sequential",
        trunk="efficientnet_lite0",
        category_head="classifier",
        split_stage=7,
        pool_grid=2,
        pose="matrix_fisher",
        pose_hidden=(128,),
        normalization="efficientnet",
        pretrained="package",
    )
    config.optimizer.clip_norm = 5.0
    config.engine.update(
        models="detailed",
        per_category=300,
        background_family="cluttered",
        num_backgrounds=3000,
        elevation_deg=(-10.0, 40.0, 8.0, 12.0),
        theta_deg=(-20.0, 20.0, 0.0, 5.0),
        views=VIEWS if views == "photographs" else {},
        supersampling=2,
        look={
            "squeeze": 1.0,  # as the crops of photographs are
            "loosen": (0.0, 0.1),
            "box_jitter": 0.05,
            "truncation": 0.25,
            "occlusion": 0.25,
            "texture": 0.7,
            "sky": 0.5,
            "more_lights": 0.5,
            "contrast": 0.4,
            "brightness": 0.15,
            "saturation": 0.9,
            "noise": 0.15,
            "cast": 0.15,
            "monochrome": 0.15,
            "blur": 1.1,
        },
    )
    config.eval.update(batch_size=120, every_steps=500, mirror=True)

    def phase(name: str, source: str, steps: int, peak: float, *train: str) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={source: 48},
            train=("pose_networks", *train),
            batch_norm=("pose_networks",),
            pose_bn="all",
            pose_loss="nll",
            category_weight=0.0,
            fusion="oracle",
            learning_rate={"peak": peak, "schedule": "cosine", "warmup_steps": 50},
            augment=AUGMENT,
        )

    config.phases = [
        phase("pose networks", "rendered", 150, 2e-3),
        phase("late stages too", "rendered", 2100, 6e-4, LATE),
        phase("views of photographs", "drawn", 150, 5e-4),
    ]
    return config
