"""Importance weights: how good they are, and how to tame them. Log space throughout, particles first.

All functions take ``l_k = log p~(z_k) - log q(z_k)`` of shape ``(K, *batch)``; adding a constant to l (another
normaliser) changes no diagnosis. Tamed log-weights go into any estimator in place of the raw ones; they are constants,
so use them in forms that hold the weights fixed (``score_surrogate``, ``expectation``).
"""

import math
from typing import Literal, get_args

import torch
from torch import Tensor

from pyro_symvi.divergences._log_space import log_mean_exp
from pyro_symvi.divergences._pareto import fit_generalized_pareto, generalized_pareto_quantile
from pyro_symvi.divergences.base import _checked_log_weights

_SHORTEST_TAIL = 5

Taming = Literal["plain", "truncated", "pareto_smoothed"]
"""What to do with the largest weights: nothing, :func:`truncate`, :func:`pareto_smooth`."""


def shortest_sample() -> int:
    """The smallest K of which :func:`pareto_smooth` changes anything."""
    return math.floor((_SHORTEST_TAIL - 1) / 0.2) + 1


def normalized(log_weights: Tensor) -> Tensor:
    """``log s_k = l_k - log sum_j exp(l_j)``, shape ``(K, *batch)``; nan where all weights are zero."""
    return torch.log_softmax(_checked_log_weights(log_weights), 0)


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """``1 / sum_k s_k^2 = (sum w)^2 / sum w^2``, shape ``batch``: between 1 and K.

    How many draws of the target the weighted draws are worth, for a function of no particular kind. In words: below
    some 10 it speaks of a handful of draws and is not to be trusted; a high one says nothing of what no draw has
    reached. K / ESS - 1 estimates chi-square(P || Q).

    Source: Kong (1992), "A note on importance sampling using standardized weights".

    >>> effective_sample_size(torch.tensor([0.0, 0.0, 0.0, -torch.inf]))
    tensor(3.)
    """
    return (-torch.logsumexp(2.0 * normalized(log_weights), 0)).exp()


def pareto_k(log_weights: Tensor) -> Tensor:
    """k-hat, the estimated tail index of the weights: moments of w of order below 1/k exist. Shape ``batch``.

    The generalised Pareto fit to the ``min(K / 5, 3 sqrt(K))`` largest weights. In words: below 0.5 the weights have a
    variance and estimates behave; from 0.5 to 0.7 they are usable, more slowly; from 0.7 to 1 the bias is large for any
    practical K; above 1 the mean itself does not exist. For few draws the bound 0.7 falls: ``1 - 1 / log10(K)``.

    Infinite where the tail has fewer than 5 weights (K <= 20) or a weight is nan or all are zero; minus infinity where
    the tail is flat (all its weights equal).

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), "Pareto smoothed importance sampling", section 2.4.

    Raises:
        TypeError, ValueError: no floating-point ``(K, *batch)``.
    """
    return _smooth(_checked_log_weights(log_weights).detach())[1]


def truncate(log_weights: Tensor) -> Tensor:
    """``min(w, mean(w) sqrt(K))`` in log space, shape ``(K, *batch)``, a constant.

    Bias is traded for variance: the mean of truncated weights has a finite variance whenever w has a mean, and a
    (downward) bias that vanishes as K grows. Source: Ionides (2008), "Truncated importance sampling", equation 2.
    """
    l = _checked_log_weights(log_weights).detach()
    return torch.minimum(l, log_mean_exp(l) + 0.5 * math.log(l.shape[0]))


def pareto_smooth(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The largest weights replaced by the expected order statistics of the fitted Pareto tail, and k-hat.

    The M = min(K / 5, 3 sqrt(K)) largest weights become, in their order, ``F^-1((j - 1/2) / M)``, j = 1..M, never more
    than the largest raw weight; the others stay. Smaller variance than raw weights, smaller bias than truncated ones;
    usable for k < 0.7 (see :func:`pareto_k`). Where no tail can be fitted (K <= 20, or a flat one) the weights come
    back as they are.

    Returns:
        Log-weights ``(K, *batch)`` on the scale of the raw ones, a constant; and k-hat, ``batch``.

    Source: Vehtari, Simpson, Gelman, Yao & Gabry (2024), "Pareto smoothed importance sampling", algorithm 1.
    """
    return _smooth(_checked_log_weights(log_weights).detach())


def tame(log_weights: Tensor, how: Taming, copies: int = 1) -> Tensor:
    """Log-weights made less variable in one of the ways above, shape ``(K, *batch)``, a constant.

    With ``copies > 1`` the particles are orbits under a symmetry: particle ``g * (K / copies) + i`` is image g of draw
    i, so that only whole orbits are independent. Then the mean weight of each orbit is tamed, as one of
    ``K / copies``, and all weights of the orbit are multiplied by the same factor. So weights that are equal within an
    orbit stay equal; by ranks of particles, smoothing would tear ties apart.

    Raises:
        TypeError, ValueError: no floating-point ``(K, *batch)``; an unknown ``how``; K is no multiple of ``copies``.

    >>> tame(torch.tensor([0.0, 0.0, 3.0, 0.0]), "truncated").exp()  # mean 5.77, times sqrt(4)
    tensor([ 1.0000,  1.0000, 11.5428,  1.0000])
    """
    l = _checked_log_weights(log_weights).detach()
    if how not in get_args(Taming):
        raise ValueError(
            f"expected one of {', '.join(map(repr, get_args(Taming)))}, got {how!r}, because these are the ways to "
            "tame weights; try 'pareto_smoothed'"
        )
    if l.shape[0] % copies:
        raise ValueError(
            f"expected a number of log-weights that is a multiple of {copies}, got {l.shape[0]}, because particles "
            "come in whole orbits; try copies=1"
        )
    if how == "plain":
        return l
    change = truncate if how == "truncated" else (lambda weights: _smooth(weights)[0])
    if copies == 1:
        return change(l)
    orbits = l.unflatten(0, (copies, -1))
    mean = log_mean_exp(orbits)
    factor = change(mean) - mean
    factor = torch.where(torch.isneginf(mean), torch.zeros_like(mean), factor)
    return (orbits + factor).flatten(0, 1)


def _smooth(l: Tensor) -> tuple[Tensor, Tensor]:
    particles = l.shape[0]
    tail = math.ceil(min(0.2 * particles, 3.0 * math.sqrt(particles)))
    batch = l.shape[1:]
    if tail < _SHORTEST_TAIL:
        return l.clone(), l.new_full(batch, torch.inf)
    top = l.amax(0)
    usable = torch.isfinite(top) & ~l.isnan().any(0)
    scaled = torch.where(usable, l - torch.where(usable, top, torch.zeros_like(top)), torch.zeros_like(l))
    ordered, order = scaled.sort(0)
    cutoff = ordered[-tail - 1].clamp_min(math.log(torch.finfo(l.dtype).tiny))
    largest = ordered[-tail:].clamp_min(cutoff)
    # exp(a) - exp(c) for a >= c, without cancellation; ties with the cutoff are lifted off zero
    excess = (cutoff.exp() * torch.expm1(largest - cutoff)).clamp_min(torch.finfo(l.dtype).tiny)
    flat = excess[-1] - excess[0] <= 64 * torch.finfo(l.dtype).eps * torch.maximum(excess[-1], cutoff.exp())
    k, sigma = fit_generalized_pareto(excess)
    places = (torch.arange(tail, dtype=l.dtype, device=l.device) + 0.5) / tail
    quantiles = generalized_pareto_quantile(places.reshape(-1, *[1] * len(batch)), k, sigma)
    smooth = torch.log(cutoff.exp() + quantiles).clamp_max(0.0)
    fitted = usable & ~flat & torch.isfinite(k) & torch.isfinite(smooth).all(0)
    replaced = scaled.scatter(0, order[-tail:], torch.where(fitted, smooth, ordered[-tail:])) + top
    result = torch.where(fitted, replaced, l)
    k = torch.where(fitted, k, torch.where(usable & flat, -torch.inf, torch.inf))
    return result, k
