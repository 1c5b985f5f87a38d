"""Supports that depend on other sites, in guides that do not follow them."""

from __future__ import annotations

from typing import Any

import torch
from pyro import poutine
from pyro.infer.autoguide import AutoContinuous
from pyro.infer.autoguide.initialization import InitMessenger, init_to_uniform

from ..density._model import without_initialisation
from ..density._state import seeded


def refuse_moving_supports(guide: AutoContinuous, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """ValueError where a run of the model at other latent values has other supports than the guide's first run."""
    if not guide._model:
        return
    model = InitMessenger(init_to_uniform)(without_initialisation(guide.model))
    with seeded(1), torch.no_grad(), poutine.block():
        try:
            other = poutine.trace(model).get_trace(*args, **kwargs)
        except Exception:
            return  # the model can't run there; the guide's own reading stands
    moving = [
        name
        for name, site in guide.prototype_trace.iter_stochastic_nodes()
        if name in other and repr(other.nodes[name]["fn"].support) != repr(site["fn"].support)
    ]
    if moving:
        raise ValueError(
            f"expected sites of fixed support, got supports that depend on other sites at {moving}, because "
            f"{type(guide).__name__} keeps those of its first run; try AutoLocationScale, which follows them"
        )
