"""Marginals of weights beside their prior."""

from __future__ import annotations

from typing import Any

import torch

from ..._figures import INK, METHODS, tidy
from .._draws import Draws
from .._posterior import NetworkPosterior


def draw_marginals(axis: Any, posterior: NetworkPosterior, draws: Draws, *, limit: float = 4.0, bins: int = 60) -> None:
    """Weights of each tensor over their prior's scale, pooled over units, chains and draws, and the prior's density.

    Pooling stands for exchanging units. That marginals come near the prior in wide networks is a theorem about one
    unit's marginal; it says nothing of the joint law, and is no evidence for an approximation.
    """
    prior = posterior.parameter_prior
    edges = torch.linspace(-limit, limit, bins + 1)
    names = posterior.layout.names[: len(posterior.layout.names) - posterior.layout.extras]
    many, seen = len(names) > len(METHODS), set[bool]()
    for number, name in enumerate(names):
        place = posterior.layout.slices[name]
        white = draws.flat[:, place].double() / prior.scale[place].to(draws.flat.device)
        density = torch.histc(white.float(), bins, -limit, limit) / white.numel() * bins / (2 * limit)
        label, color = name, METHODS[number % len(METHODS)]
        if many:
            bias = name.endswith("bias")
            label = "" if bias in seen else f"{'biases' if bias else 'weights'} of a layer"
            color = METHODS[bias]
            seen.add(bias)
        axis.stairs(density.tolist(), edges.tolist(), color=color, lw=0.7 if many else 1.2, label=label)
    t = torch.linspace(-limit, limit, 201)
    for kind in ("normal", "laplace"):
        if kind in prior.kinds:
            law = torch.distributions.Normal(0.0, 1.0) if kind == "normal" else torch.distributions.Laplace(0.0, 1.0)
            axis.plot(
                t.tolist(), law.log_prob(t).exp().tolist(), color=INK, lw=0.9, ls=(0, (4, 3)), label=f"prior ({kind})"
            )
    axis.set_xlabel("weight / prior scale", fontsize=9)
    axis.set_ylabel("density", fontsize=9)
    axis.set_title("Marginals of the weights and their prior", fontsize=10, color=INK, loc="left")
    axis.legend(fontsize=7, frameon=False)
    tidy(axis)
