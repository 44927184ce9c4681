"""Photos of your own, 20 and more: the network `photo` goes on learning from them, in minutes.

    pip install -e '.[photo]'
    python -m launch.train --config=configs/own.py --config.data.root=FOLDER

FOLDER has manifest.csv and the photos (docs/training.md). It begins with the feature networks of
`photo`, which stay as they are, and with its pose networks of the categories that it knows; others
begin with random ones (one network learned from renders of all twelve categories was a worse start:
docs/training.md). Features of every photo and of seven changed views of it are computed once.
The run answers with the weights that were best on the validation photos, which may be those of the
start, and like `photo` by the mean over a picture and its mirror image. Then it is trained once
more with a quarter and with half of the photos, to see what more would bring.
"""

from ml_collections import ConfigDict

from catpose.configs import base, photo
from catpose.data import augment

BATCH = 32
# Its own feature network stays as it is.
CATEGORY_HEAD = "category_network/(?!own_features)[^/]+"


def get_config() -> ConfigDict:
    """First the category network, which is new, then the pose networks."""
    config = photo.get_config()
    config.update(name="own", log_steps=20, checkpoint_steps=100)
    config.data = base.get_config().data
    config.data.update(resolution=192, margin=24)
    config.engine = base.get_config().engine
    config.model.update(
        pretrained="photo",
        pretrained_poses=True,
        category_head="pooled",
        head_hidden=(),
        head_dropout=0.0,
    )
    config.eval.update(batch_size=64, every_steps=50, answer="best", shares=(0.25, 0.5))
    _, category, pose = base.ALL

    def phase(name: str, steps: int, peak: float, group: str, **changes: object) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={"train": BATCH},
            train=(group,),
            pose_loss="nll",
            cached_features=True,
            views=("identity", "mirror", *augment.random_names(6)),
            augment=photo.AUGMENT,
            learning_rate={"peak": peak, "schedule": "cosine", "warmup_steps": 10},
            **changes,
        )

    config.phases = [
        phase(
            "category",
            200,
            1e-3,
            CATEGORY_HEAD,
            batch_norm=(category,),
            pose_weight=0.0,
            category_weight=1.0,
        ),
        phase(
            "poses",
            300,
            2e-4,
            pose,
            batch_norm=(),
            category_weight=0.0,
            fusion="oracle",
        ),
    ]
    return config
