"""Why a model is no flat density: the exceptions, and the checks of single sites."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyro.distributions import constraints
from torch.distributions import biject_to


class Refusal(ValueError):
    """A model, or a run of it, that is not one fixed density on R^d."""


def transform_of(message: Mapping[str, Any]) -> Any:
    """The bijection from unconstrained space to a latent site's support."""
    name, support = message["name"], message["fn"].support
    base = support
    while isinstance(base, constraints.independent):
        base = base.base_constraint
    if support.is_discrete:
        raise Refusal(
            f"expected continuous latent sites, got the discrete site '{name}' (support {support}), because a flat "
            "density has gradients in every coordinate; try summing it out of the model (a mixture distribution or "
            "pyro.infer.TraceEnum_ELBO), or conditioning on it"
        )
    if base is constraints.sphere:
        raise Refusal(
            f"expected sites that map to a flat space, got '{name}' on the sphere, because no bijection from R^d onto "
            "a sphere exists; try guides.AutoSymmetric (or AutoSphere) in pyro.infer.SVI, which have von Mises-Fisher "
            "laws there, or pyro.infer.reparam.ProjectedNormalReparam on this site"
        )
    try:
        return biject_to(support)
    except NotImplementedError as error:
        raise Refusal(
            f"expected sites whose support has a bijection from R^d, got '{name}' with support {support}, because "
            "torch registers none (biject_to); try a reparametrised site, or LogDensity.from_callable"
        ) from error


def refuse_subsample(message: Mapping[str, Any]) -> None:
    """Refuse a plate that leaves data out, drawn (``subsample_size=``) or given (``subsample=``)."""
    plate, given = message["fn"], message["value"]
    size = plate.subsample_size if given is None else len(given)
    if size is not None and size < plate.size:
        raise Refusal(
            f"expected a model that uses all its data, got plate '{message['name']}' with a subsample of {size} of "
            f"{plate.size}, because a minibatch scaled up is another density than the posterior; try the full plate "
            "here, and subsampling in pyro.infer.SVI only"
        )


def refuse_missing_data(message: Mapping[str, Any]) -> None:
    """Refuse observations that are nan or infinite."""
    value = message["value"]
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return
    bad = int((~torch.isfinite(value)).sum())
    if bad:
        masked = message["mask"] is not None
        remedy = "filling them with any finite number, as the mask leaves them out" if masked else "dropping them"
        raise Refusal(
            f"expected finite data, got {bad} nan or infinite values of {value.numel()} at site '{message['name']}', "
            f"because the log probability or its gradient would be nan; try {remedy}, or making the missing values "
            "latent sites"
        )


def refuse_other_structure(first: list[tuple[Any, ...]], second: list[tuple[Any, ...]]) -> None:
    """Refuse two runs that met different latent sites, shapes or kinds of support."""
    if first == second:
        return
    names = [tuple(f[0] for f in found) for found in (first, second)]
    detail = f"sites {names[0]} and then {names[1]}" if names[0] != names[1] else f"{first} and then {second}"
    raise Refusal(
        f"expected a model with the same latent sites and shapes at every run, got {detail}, because a flat vector has "
        "one fixed layout; try sampling every site always and switching its effect on or off"
    )
