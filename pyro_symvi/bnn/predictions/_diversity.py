"""How different the functions of the draws are, within chains and between them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value
from .._draws import Draws
from .._posterior import NetworkPosterior
from ._evaluate import predictive_mixture
from ._rows import check_draws, check_inputs

_MOST_PAIRS = 4000


@dataclass(frozen=True, eq=False, repr=False)
class FunctionalDiversity(Value):
    """Mean squared 2-Wasserstein distances between predictive laws of two draws, averaged over rows.

    Attributes:
        within: of two draws of one chain ``[chains]``; nan for one draw a chain.
        between: of a draw of one chain and one of another ``[chains, chains]``, ``within`` on the diagonal.
    """

    within: Tensor
    between: Tensor

    @property
    def mean_within(self) -> float:
        """Mean over chains."""
        return float(self.within.mean())

    @property
    def mean_between(self) -> float:
        """Mean over pairs of different chains; nan for one chain."""
        chains = len(self.within)
        if chains < 2:
            return math.nan
        return float((self.between.sum() - self.between.diagonal().sum()) / (chains * (chains - 1)))

    @property
    def ratio(self) -> float:
        """Between over within: 1 where chains visit the same functions, larger where each keeps to its own."""
        return self.mean_between / self.mean_within


def functional_diversity(posterior: NetworkPosterior, draws: Draws, x: Tensor) -> FunctionalDiversity:
    """Mean over pairs of draws of W2^2 = (1/n) sum_i (mu_i - mu_i')^2 + (sigma_i - sigma_i')^2 at ``x`` ``[n, ...]``.

    For normal laws this is the squared 2-Wasserstein distance, here divided by the number of rows. All pairs are
    counted, without going through them: the mean over pairs of draws of two chains is the squared distance of their
    means plus both variances; within a chain it is twice the variance with divisor draws - 1.
    """
    features = _features(posterior, draws, x)
    mean = features.mean(1)
    variance = (features - mean[:, None]).square().sum(-1).mean(1)
    within = 2 * variance * draws.draws / (draws.draws - 1) if draws.draws > 1 else torch.full_like(variance, math.nan)
    between = (mean[:, None] - mean[None]).square().sum(-1) + variance[:, None] + variance[None]
    between.diagonal().copy_(within)
    return FunctionalDiversity(within, between)


def pairwise_wasserstein(posterior: NetworkPosterior, draws: Draws, x: Tensor) -> Tensor:
    """W2^2 of each pair of draws, chain after chain, ``[T, T]``; see :func:`functional_diversity`.

    Raises:
        ValueError: for more draws than a table of all pairs can hold.
    """
    if draws.chains * draws.draws > _MOST_PAIRS:
        raise ValueError(
            f"expected at most {_MOST_PAIRS} draws, got {draws.chains * draws.draws}, because the table holds every "
            "pair; try draws.thin(10), or functional_diversity for the means"
        )
    flat = _features(posterior, draws, x).flatten(0, 1)
    return torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist").square()


def _features(posterior: NetworkPosterior, draws: Draws, x: Tensor) -> Tensor:
    """Means and standard deviations over sqrt(n), ``[chains, draws, 2 n m]``: W2 is their Euclidean distance."""
    check_draws(posterior, draws)
    x = check_inputs(posterior, x)
    if posterior.likelihood.is_classification:
        raise ValueError("expected real targets, got classes, because W2 is that of normal laws; try evaluate")
    mixture = predictive_mixture(posterior, draws, x)
    both = torch.cat([mixture.loc.flatten(1), mixture.scale.flatten(1)], 1) / math.sqrt(len(x))
    return both.reshape(draws.chains, draws.draws, -1)
