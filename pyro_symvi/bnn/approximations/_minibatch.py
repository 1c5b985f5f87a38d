"""The log posterior with its likelihood summed over some rows only."""

from __future__ import annotations

import torch
from torch import Tensor

from .._posterior import NetworkPosterior


@torch.no_grad()
def value_and_grad(
    posterior: NetworkPosterior, theta: Tensor, x: Tensor, y: Tensor, factor: float
) -> tuple[Tensor, Tensor]:
    """``factor * sum_rows log p(y | x, theta) + log p(theta)`` ``[C]`` and its gradient ``[C, dim]``.

    With ``factor`` = (rows of the data) / (rows given) and rows drawn at random, both are unbiased for the log
    posterior's. theta ``[C, dim]``; x and y as the posterior holds them.
    """
    network_dim = posterior.layout.network_dim
    extra = posterior.extra(theta)
    found: list[Tensor] = []

    def score(outputs: Tensor) -> tuple[Tensor, Tensor]:
        value, cotangent, extra_gradient = posterior.likelihood.scores(outputs, y, extra)
        found.append(extra_gradient)
        return value, cotangent

    value, gradient = posterior.kernel.pull_back(theta[:, :network_dim], x, score)
    total = posterior.parameter_prior.score(theta)
    total[:, :network_dim].add_(gradient, alpha=factor)
    if posterior.layout.extras:
        total[:, network_dim:] = factor * found[-1] + posterior.likelihood.prior_score(extra)
    prior = posterior.parameter_prior.log_prob(theta) + posterior.likelihood.log_prior(extra)
    return factor * value + prior, total
