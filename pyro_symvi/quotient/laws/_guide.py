"""A guide over shapes that is learned once and used for any data."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro.infer.importance import vectorized_importance_weights
from torch import Tensor

from ..._value import positive_int
from .._context import Context
from .._process import Denoiser, Diffusion
from ._shape_distribution import ShapeDistribution, _check
from ._weighted import WeightedShapes

Condition = Callable[..., Context]
"""Data, as the model takes them, to the context of the denoiser."""


class ShapeGuide(torch.nn.Module):
    r"""q(x | data): a diffusion whose denoiser is told the data, at one site of a model. A guide for Pyro.

    Trained on pairs (shape, data) that the model makes (``simulate``), a denoiser with data in its context estimates
    E[x_1 | x_t, data]; the least loss is that of the posterior (amortised inference: the forward KL divergence is
    minimised on average over data, through the score). Orbits do not enter: with conditions that no rotation changes
    (distances, not coordinates) and an equivariant network, q is a law of shapes with the pose uniform, as the
    posterior is if prior and likelihood do not see the pose. No part of the network is spent on poses.

    What is not exact: the network, and the steps of sampling and of ``log_prob``. ``posterior`` corrects for both by
    importance weights and says how much was left to correct. Data unlike any the model makes lead anywhere.

    Other latent sites: subclass and sample them in ``forward`` (poses of several views given the shape, say).

    Args:
        site: the name of the shape in the model.
        diffusion, denoiser: as trained.
        condition: ``condition(*args, **kwargs)`` with the guide's (the model's) arguments, to a ``Context`` with the
            batch shape of the site.
        options: of ``ShapeDistribution``: sampler, steps, space, divergence, dtype, ...

    Source: Cranmer, Brehmer and Louppe, The frontier of simulation-based inference, arXiv 1911.01429; for score models
    Geffner, Papamakarios and Mnih, Compositional score modeling, arXiv 2209.14249, section 2.

    Raises:
        TypeError: for a site that is no name, a condition that is no function, or unknown options.
    """

    def __init__(
        self, site: str, diffusion: Diffusion, denoiser: Denoiser, condition: Condition, **options: Any
    ) -> None:
        super().__init__()
        if not isinstance(site, str) or not callable(condition):
            raise TypeError(
                f"expected the name of a site and a function from data to a Context, got {site!r} and {condition!r}"
            )
        _check(diffusion, denoiser, options.get("space", "total"), options.get("divergence", "exact"))
        known = inspect.signature(ShapeDistribution).parameters
        unknown = sorted(name for name in options if name not in known)
        if unknown:
            raise TypeError(f"expected options of ShapeDistribution, got {', '.join(unknown)}; try steps= or sampler=")
        self.site, self.diffusion, self.denoiser, self.condition = site, diffusion, denoiser, condition
        self.options = options

    def law(self, *args: Any, **kwargs: Any) -> ShapeDistribution:
        """q(x | data)."""
        context = self.condition(*args, **kwargs)
        if not isinstance(context, Context):
            raise TypeError(f"expected condition to return a Context, got {context!r}; try Context(features=...)")
        return ShapeDistribution(self.diffusion, self.denoiser, context=context, **self.options)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """Sample the site."""
        return pyro.sample(self.site, self.law(*args, **kwargs))

    @torch.no_grad()
    def posterior(
        self, model: Callable[..., Any], *args: Any, draws: int = 1000, max_plate_nesting: int = 0, **kwargs: Any
    ) -> WeightedShapes:
        """Draws of the guide, weighted to the posterior of ``model`` given the arguments.

        One batched pass: the model must broadcast over a plate of draws to the left of its own ``max_plate_nesting``
        plates. With own plates the weight is that of all of them together; call once a datum for one each.

        Raises:
            TypeError, ValueError: for a model that is no function or has no such site, fewer than one draw.
        """
        positive_int(draws, "draws")
        if not callable(model):
            raise TypeError(f"expected a Pyro model, got {model!r}")
        log_weights, joint, trace = vectorized_importance_weights(
            model, self, *args, num_samples=draws, max_plate_nesting=max_plate_nesting, **kwargs
        )
        if self.site not in joint.nodes:
            raise ValueError(
                f"expected the site {self.site!r} in the model, got {joint.stochastic_nodes}, because weights are "
                "ratios of densities at that site; try ShapeGuide(site=...) with the model's name"
            )
        return WeightedShapes(trace.nodes[self.site]["value"], log_weights)
