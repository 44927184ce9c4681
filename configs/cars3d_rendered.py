"""Are rendered cars worth it? The pose of real cars, from few photographs, on frozen features.

    python -m launch.render --config=configs/cars3d_rendered.py --output_dir=renders/cars \\
        --per_category=400
    CATPOSE_DATA=DIR python -m launch.train --config=configs/cars3d_rendered.py:RECIPE \\
        --config.data.rendered=renders/cars --config.data.num_train=100 --workdir=runs/cars-100

RECIPE is `rendered` (one pose network is trained on rendered cars, then on photographs), `real` (on
photographs alone) or `renders_only` (on rendered cars alone: zero-shot). DIR as in cars3d.py, and
backgrounds/, a folder of photographs.
"""

from ml_collections import ConfigDict

from catpose.configs import base, cars3d

BODIES = {"suv": "suv", "wagon": "estate"}  # what the built-in models call them


def get_config(recipe: str = "rendered") -> ConfigDict:
    """Poses alone, one network for all cars, as the cars share a frame."""
    config = cars3d.frozen_features()
    config.name = f"cars3d_{recipe}"
    names = ("convertible", "coupe", "hatchback", "minivan", "pickup", "sedan", "suv", "van")
    config.engine.update(
        names={name: f"car/{BODIES.get(name, name)}" for name in (*names, "wagon")},
        per_category=60,
        views_like="train",
        backgrounds=base.data_path("backgrounds"),
    )
    config.engine.look.update(
        squeeze=1.0,  # as the crops of photographs are
        loosen=(0.0, 0.06),
        saturation=0.6,
        contrast=0.3,
        brightness=0.15,
    )
    pose = base.ALL[2]

    def phase(name: str, source: str, steps: int, peak: float) -> ConfigDict:
        return base.phase(
            name,
            steps,
            sources={source: 144},
            train=(pose,),
            batch_norm=(pose,),
            category_weight=0.0,
            fusion="oracle",
            tied=True,
            cached_features=True,
            views=("identity", "mirror"),
            learning_rate={"peak": peak, "schedule": "cosine"},
        )

    rendered = phase("rendered", "rendered", 600, 3e-3)
    recipes = {
        "rendered": [rendered, phase("real", "train", 300, 1e-3)],
        "real": [phase("real", "train", 600, 3e-3)],
        "renders_only": [rendered],
    }
    if recipe not in recipes:
        raise ValueError(f"configs/cars3d_rendered.py:{recipe}; it can be {', '.join(recipes)}")
    config.phases = recipes[recipe]
    return config
