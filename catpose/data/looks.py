"""How each example of a batch is looked at: anew at random, or in one of the stored views."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, Num

from catpose.data import augment as augment_lib
from catpose.data import pose_jitter
from catpose.data.input_spec import InputSpec


class Look(NamedTuple):
    """What changes in the pictures of B examples.

    Attributes:
      view: (B,) fields.
      colour: (B, 3) for `augment.random_colour`, where a half changes nothing.
    """

    view: augment_lib.View
    colour: Float[Array, "B 3"]


def random(keys: Array, augment: augment_lib.Augment, seen: pose_jitter.Seen | None) -> Look:
    """A new look by each of the (B,) keys; `seen` as for `augment.jittered`."""
    uniform = jax.vmap(lambda key: jax.random.uniform(key, (8,)))(keys)
    view = augment_lib.random_views(uniform[:, :5], augment)
    jitter_uniform = jax.vmap(lambda key: jax.random.uniform(jax.random.fold_in(key, 1), (8,)))(
        keys
    )
    view = augment_lib.jittered(jitter_uniform, view, augment, seen)
    return Look(view, uniform[:, 5:])


def stored(
    views: tuple[str, ...],
    number: Int[Array, "B"],
    index: Int[Array, "B"],
    augment: augment_lib.Augment,
    seen: pose_jitter.Seen | None,
) -> Look:
    """Looks that are the same whenever they are asked for.

    Args:
      views: names, see `augment.VIEWS` and `augment.random_names`.
      number: which of the names.
      index: the examples' numbers in their split, on which random views depend.
      augment: strengths of the random ones.
      seen: as for `augment.jittered`.
    """
    drawn_numbers = [augment_lib.random_number(name) for name in views]
    plain = augment_lib.View()
    table = np.array([augment_lib.VIEWS.get(name, plain) for name in views]).T
    fixed = jax.tree.map(
        lambda column: jnp.asarray(column, float)[number], augment_lib.View(*table)
    )
    if set(drawn_numbers) == {None}:
        return Look(fixed, jnp.full((len(index), 3), 0.5))
    which = jnp.array([-1 if n is None else n for n in drawn_numbers])[number]
    keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), jnp.maximum(which, 0))
    anew = random(jax.vmap(jax.random.fold_in)(keys, index), augment, seen)
    view = jax.tree.map(lambda own, other: jnp.where(which < 0, own, other), fixed, anew.view)
    return Look(view, jnp.where(which[:, None] < 0, 0.5, anew.colour))


def picture(
    image: Num[Array, "B H W 3"],
    look: Look,
    augment: augment_lib.Augment,
    *,
    input_spec: InputSpec,
    **crop: Any,
) -> Float[Array, "B S S 3"]:
    """What the network sees; `crop` are the other keywords of `augment.view_image`."""
    image = augment_lib.view_image(
        image, look.view, resolution=input_spec.resolution, context=input_spec.context, **crop
    )
    image = augment_lib.random_colour(look.colour, image, augment)
    return augment_lib.normalize(image, input_spec.normalization)


def resamples(views: tuple[str, ...], augment: augment_lib.Augment) -> bool:
    """Whether any of the views, or a new one where there are none, does more than mirror."""
    plain = augment_lib.View()
    numbers = [augment_lib.random_number(name) for name in views]
    fixed = [augment_lib.VIEWS[name] for name, n in zip(views, numbers, strict=True) if n is None]
    drawn_anew = len(fixed) < len(views) or not views
    moves = any(view._replace(mirror=plain.mirror) != plain for view in fixed)
    return moves or (drawn_anew and augment.resamples)
