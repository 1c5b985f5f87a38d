"""What is read off one sample site of a trace: its data, log probability, mask and Jacobian."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pyro.distributions as dist
import torch
from pyro.distributions import constraints
from torch import Tensor
from torch.distributions import biject_to


def is_data(node: Mapping[str, Any]) -> bool:
    """Whether an observed site holds data: it is neither ``pyro.deterministic`` nor ``pyro.factor``."""
    return not node["infer"].get("_deterministic", False) and not isinstance(unmasked(node["fn"])[0], dist.Unit)


def unmasked(law: Any) -> tuple[Any, Any]:
    """A law without ``.mask(...)``, and the mask (None if there is none)."""
    mask = None
    while isinstance(law, dist.MaskedDistribution):
        mask = law._mask if mask is None else mask & law._mask
        law = law.base_dist
    return law, mask


def log_prob_of(node: Mapping[str, Any]) -> Tensor:
    """Elementwise log probability, without scale and mask."""
    law = unmasked(node["fn"])[0]
    found: Tensor = node["unscaled_log_prob"] if law is node["fn"] else law.log_prob(node["value"])
    return found


def mask_of(node: Mapping[str, Any]) -> Tensor | None:
    """Which entries count ``[*batch]``; None where all do."""
    inner = unmasked(node["fn"])[1]
    masks = [mask for mask in (node["mask"], inner) if mask is not None and mask is not True]
    if not masks:
        return None
    shape = log_prob_of(node).shape
    found = torch.ones(shape, dtype=torch.bool)
    for mask in masks:
        found = found & torch.as_tensor(mask).cpu()
    return found


def full_value(node: Mapping[str, Any]) -> Tensor:
    """Its value ``[*batch, *event]``, broadcast data in full."""
    value = torch.as_tensor(node["value"])
    batch = torch.broadcast_shapes(node["log_prob"].shape, node["fn"].batch_shape)
    return value.expand(batch + node["fn"].event_shape)


def log_jacobian(node: Mapping[str, Any]) -> Tensor:
    """log|det dx/dz| at a latent site's value, a number; 0 for discrete sites and on spheres, which have no z."""
    support = node["fn"].support
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    value: Tensor = node["value"]
    if support.is_discrete or base is constraints.sphere:
        return value.new_zeros((), dtype=torch.float64)
    try:
        transform = biject_to(support)
    except NotImplementedError:  # no flat coordinates: its own measure, as on a sphere
        return value.new_zeros((), dtype=torch.float64)
    z = transform.inv(value)
    found: Tensor = transform.log_abs_det_jacobian(z, value).sum()
    return found


def missing(name: str, law: Any) -> str:
    """Why the model can't be run: a latent site has no draws."""
    try:
        discrete = bool(law.support.is_discrete)
    except NotImplementedError:
        discrete = False
    what = f"the discrete site '{name}'" if discrete else f"'{name}'"
    remedy = (
        "summing it out of the model (dist.MixtureSameFamily), or draws of it as well (pyro.infer.infer_discrete)"
        if discrete
        else "the model that the draws belong to"
    )
    return (
        f"expected draws of every latent site, got none of {what}, because log densities and new data need its value; "
        f"try {remedy}; or the draws alone, without a model: to_arviz(samples)"
    )


def other_shape(name: str, expected: tuple[int, ...], got: tuple[int, ...]) -> str:
    """Why the model can't be run: draws of a site have another shape."""
    return (
        f"expected draws of '{name}' of shape [n, {', '.join(map(str, expected))}], got [n, {', '.join(map(str, got))}]"
        ", because that is its shape in the model; try the draws of this model"
    )
