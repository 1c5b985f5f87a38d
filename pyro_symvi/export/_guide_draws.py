"""Draws of any guide with the log density of each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide import AutoDelta, AutoLaplaceApproximation
from torch import Tensor

from ..density._explore import is_subsample
from ..density._model import without_initialisation
from ..density._precision import double_precision
from ..density._refusals import Refusal
from ..density._state import seeded
from ..guides import AutoSymmetric
from ._nodes import log_prob_of, mask_of
from ._vectorized import at_each

_LOG_Q = "log q"


def model_of(guide: Any) -> Any:
    """The user's model that a guide was made for; None where it doesn't know it."""
    kept = getattr(guide, "_user_model", None)
    if kept:
        return kept[0]
    try:
        model = guide.model
    except (AttributeError, TypeError):  # a function; an unpickled guide
        return None
    return without_initialisation(model)


def set_up(guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Make the parameters of a guide that was never called, leaving random states alone.

    Raises:
        ValueError: A point, not a law.
    """
    if isinstance(guide, AutoDelta | AutoLaplaceApproximation):
        instead = "guide.laplace_approximation(*args)" if isinstance(guide, AutoLaplaceApproximation) else "AutoNormal"
        raise Refusal(
            f"expected a guide that is a law, got {type(guide).__name__}, a point, because draws and their densities "
            f"are wanted; try {instead}"
        )
    if hasattr(guide, "set_up"):
        guide.set_up(*args, **kwargs)
        return
    with seeded(0), poutine.block():
        guide(*args, **kwargs)


def guide_draws(
    guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any], count: int, seed: int
) -> tuple[dict[str, Tensor], Tensor]:
    """``{latent site: [count, *shape]}`` and log q of each ``[count]``, in the coordinates of the model's sites.

    In float64 where the guide's operations allow it.

    Raises:
        ValueError: A guide that is a point, or draws no site.
    """
    set_up(guide, args, kwargs)
    if isinstance(guide, AutoSymmetric):
        found = _independent_sites(guide, args, kwargs, count, seed)
        if found is not None:
            return found

    def row(values: Mapping[str, Tensor], zero: Tensor) -> dict[str, Tensor]:
        return _one(guide, args, kwargs, zero)

    draws = at_each(row, {}, count, seed=seed)
    log_q = draws.pop(_LOG_Q)
    if not draws:
        raise Refusal(
            f"expected a guide that draws latent sites, got {type(guide).__name__}, which draws none, because there is "
            "nothing to export; try pyro.sample in it"
        )
    return draws, log_q


def _trace(guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    tracer = poutine.trace()
    with double_precision(promoted=True):
        with poutine.block(), tracer:
            guide(*args, **kwargs)
        tracer.trace.compute_log_prob()
    return tracer.trace


def _log_law(node: Mapping[str, Any]) -> Tensor:
    """Log density of a site's draw under its law: ``poutine.scale`` around a guide changes no draw."""
    mask, found = mask_of(node), log_prob_of(node)
    if mask is not None:  # left out of the model's density as well
        found = torch.where(mask, found, 0.0)
    total: Tensor = found.sum()
    return total


def _one(guide: Any, args: tuple[Any, ...], kwargs: dict[str, Any], zero: Tensor) -> dict[str, Tensor]:
    """Auxiliary sites (the flat vector of an autoguide) count in the density and are no variables."""
    found: dict[str, Tensor] = {}
    log_q = zero.double()
    for name, node in _trace(guide, args, kwargs).nodes.items():
        if node["type"] != "sample" or is_subsample(node) or node["is_observed"]:
            continue
        log_q = log_q + _log_law(node).cpu()
        if not node["infer"].get("is_auxiliary", False):
            found[name] = node["value"].cpu() + zero.to(node["value"].dtype)
    return {**found, _LOG_Q: log_q}


def _independent_sites(
    guide: AutoSymmetric, args: tuple[Any, ...], kwargs: dict[str, Any], count: int, seed: int
) -> tuple[dict[str, Tensor], Tensor] | None:
    """All draws of each site's law at once; None where supports depend on other sites.

    Laws on spheres draw by rejection, in place, which ``torch.func.vmap`` can't follow.
    """
    with seeded(seed), torch.no_grad():
        runs = [_trace(guide, args, kwargs) for _ in range(2)]
        priors = [{name: run.nodes[name]["infer"].get("prior") for name in guide._known()} for run in runs]
        if any(prior is None or repr(prior.support) != repr(priors[1][n].support) for n, prior in priors[0].items()):
            return None
        values: dict[str, Tensor] = {}
        log_q = torch.zeros(count, dtype=torch.float64)
        for name, prior in priors[0].items():
            parameters = {kind: value.detach().double() for kind, value in guide.parameters_of(name).items()}
            with double_precision():
                law = guide._site(name).posterior(parameters, prior.support)
                value = law.sample((count,))
                log_q = log_q + law.log_prob(value).reshape(count, -1).sum(-1).cpu()
            values[name] = value.cpu()
    return values, log_q
