"""Rotational symmetry of categories about the object's z axis.

A bottle looks the same from every side, so its azimuth can be neither learned nor judged. For an
object that turning by phi about its own z axis does not change, R and R Rz(phi) are the same pose:
rotations take object to camera, so what happens to the object stands on the right. Multiplying by
Rz(phi) on the right moves the azimuth alone, in all three frames of `viewpoint`: by -phi in
"camera" and "upright", by phi in "paper".

A symmetry is written "none", "z" (any phi) or an integer n >= 2 (multiples of 360 / n degrees);
in computations it is an order: 1 for none, 0 for any phi, n otherwise.
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from catpose.errors import InputError
from catpose.geometry import so3

_ORDERS = {"none": 1, "z": 0}


def orders(symmetry: Mapping[str, str | int], categories: Sequence[str]) -> Int[np.ndarray, " K"]:
    """The order of each category's symmetry.

    Args:
      symmetry: category to "none", "z" or an integer of at least 2, which may be written as text;
        categories that it does not name have none.
      categories: names, in the order of the indices.

    Returns:
      int32 orders: 1 none, 0 any angle, n for n equal turns.

    Raises:
      InputError: an unknown category or an invalid symmetry.
    """
    for name, value in symmetry.items():
        if name not in categories:
            raise InputError(
                f"symmetry is given for '{name}', which is not among the categories "
                f"{', '.join(categories)}; correct the name or leave it out"
            )
        text = str(value)
        if text not in _ORDERS and not (text.isdecimal() and 2 <= int(text) <= 360):
            raise InputError(
                f"the symmetry of '{name}' is '{value}'; it can be none, z (any turn about the "
                "object's z axis) or an integer n from 2 to 360 (turns by 360/n degrees)"
            )
    values = [str(symmetry[name]) if name in symmetry else "none" for name in categories]
    return np.array([_ORDERS[v] if v in _ORDERS else int(v) for v in values], np.int32)


def names(orders: Int[np.ndarray, " K"]) -> list[str | int]:
    """The inverse of `orders`: "none", "z" or an integer for each category."""
    texts = {order: text for text, order in _ORDERS.items()}
    return [texts.get(order, order) for order in orders.tolist()]


def notes(orders: Int[np.ndarray, " K"] | None, categories: Sequence[str]) -> list[str]:
    """What a report must say of errors that respect symmetries; nothing for the plain metric."""
    if orders is None:
        return []
    given = zip(categories, names(orders), strict=True)
    listed = ", ".join(f"{category} {name}" for category, name in given if name != "none")
    return [
        f"Pose and azimuth errors respect symmetry about the object's z axis ({listed}): they are "
        "measured to the nearest equivalent of the truth and are not the paper's plain errors."
    ]


@jax.jit
def nearest(
    rotation: Float[Array, "*#batch 3 3"],
    target_rotation: Float[Array, "*#batch 3 3"],
    order: Int[Array, "*#batch"],
) -> Float[Array, "*#batch 3 3"]:
    """The equivalent of the target that is nearest to the prediction.

    With M = R'T, the trace of M Rz(phi) is A cos(phi - phi0) + const, where A >= 0 and phi0 is the
    angle of (M00 + M11, M01 - M10). The geodesic distance falls as the trace grows, so phi0 is the
    best angle, and the allowed one nearest to phi0 around the circle the best of n.

    Where the prediction's z axis is opposite to the target's, all equivalents are 180 degrees away
    and one of them is returned.

    Args:
      rotation: predicted rotation matrices R.
      target_rotation: true rotation matrices T in the same frame.
      order: of the symmetry of each; leading axes of all three broadcast.

    Returns:
      Rotation matrices T Rz(phi) with phi a constant for gradients: at the best angle the distance
      does not change with phi. For order 1 the target, bit for bit.
    """
    leading = np.broadcast_shapes(rotation.shape[:-2], target_rotation.shape[:-2], order.shape)
    rotation, target = (
        jax.lax.stop_gradient(jnp.broadcast_to(x, (*leading, 3, 3)))
        for x in so3.at_least_float32(rotation, target_rotation)
    )
    order = jnp.broadcast_to(order, leading)

    def dot(i: int, j: int) -> Array:
        # Elementwise: a matrix unit would round the angle.
        return jnp.sum(rotation[..., i] * target[..., j], axis=-1)

    phi = jnp.arctan2(dot(0, 1) - dot(1, 0), dot(0, 0) + dot(1, 1))
    step = 2 * jnp.pi / jnp.maximum(order, 1).astype(target.dtype)
    phi = jnp.where(order > 0, step * jnp.round(phi / step), phi)
    cosine, sine = jnp.cos(phi)[..., None], jnp.sin(phi)[..., None]
    x, y, z = (target[..., j] for j in range(3))
    turned = jnp.stack([cosine * x + sine * y, cosine * y - sine * x, z], axis=-1)
    return jnp.where((order == 1)[..., None, None], target, turned)
