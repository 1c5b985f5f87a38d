"""Supports that depend on other sites, followed through a run of the model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide.initialization import InitMessenger, init_to_uniform
from pyro.poutine.messenger import Messenger
from torch.distributions import biject_to

from ..density._state import seeded


class Supported:
    """What ``AutoContinuous`` reads of a site's distribution: its support at the present latent values."""

    def __init__(self, support: Any, event_dim: int) -> None:
        self.support, self.event_dim = support, event_dim


class _Follow(Messenger):
    """Gives each latent site the value its unconstrained value maps to, under the support met in this run."""

    def __init__(self, unconstrained: Mapping[str, torch.Tensor]) -> None:
        super().__init__()
        self.unconstrained = unconstrained
        self.supports: dict[str, Any] = {}

    def _pyro_sample(self, message: Any) -> None:
        if message["name"] in self.unconstrained and not message["is_observed"]:
            support = self.supports[message["name"]] = message["fn"].support
            message["value"] = biject_to(support)(self.unconstrained[message["name"]])
            message["done"] = True


def moving_supports(model: Callable[..., Any], prototype: Any, args: Any, kwargs: Mapping[str, Any]) -> list[str]:
    """Names of the sites whose support in a run at other latent values is not that of the prototype trace."""
    with seeded(1), torch.no_grad(), poutine.block():
        try:
            other = poutine.trace(InitMessenger(init_to_uniform)(model)).get_trace(*args, **kwargs)
        except Exception:
            return []  # the model can't run there; the prototype's reading stands
    sites = dict(prototype.iter_stochastic_nodes())
    return [n for n, s in sites.items() if n in other and repr(other.nodes[n]["fn"].support) != repr(s["fn"].support)]


def supports_at(
    model: Callable[..., Any], args: Any, kwargs: Any, unconstrained: Mapping[str, torch.Tensor]
) -> dict[str, Any]:
    """Support of each latent site in a run of ``model`` at ``{site: unconstrained value}``, batch dimensions left."""
    follow = _Follow(unconstrained)
    with poutine.block(), follow:
        model(*args, **kwargs)
    return follow.supports
