"""The paper's recipe on PASCAL3D+ with a tiny network and two steps a phase, as a first check.

    CATPOSE_DATA=DIR python -m launch.train --config=configs/pascal3d_smoke.py

DIR as for configs/pascal3d.py, without the weights. It learns nothing.
"""

from ml_collections import ConfigDict

from catpose.configs import base, pascal3d


def get_config(sources: str = "both") -> ConfigDict:
    """Everything of `pascal3d.get_config` but size.

    Args:
      sources: "both", or "real" for training without rendered images.
    """
    config = pascal3d.get_config(sources)
    config.update(name="pascal3d_smoke", log_steps=1)
    config.data.update(resolution=64, margin=8, rendered_per_category=100)
    base.small_network(config, width=8, pool_channels=8, pose_hidden=(32, 16))
    config.model.pretrained = "none"
    config.eval.batch_size = 96
    for phase in config.phases:
        phase.steps = 2
    return config
