"""The generalised Pareto law, fitted to and read off tails of weights."""

import math

import torch
from torch import Tensor


def fit_generalized_pareto(excesses: Tensor, prior_strength: float = 10.0) -> tuple[Tensor, Tensor]:
    """Shape k and scale sigma of ``P(X > x) = (1 + k x / sigma)^(-1/k)`` from a sample.

    With ``b = -k / sigma``, the profile likelihood ``n (log(-b / k(b)) - k(b) - 1)``, ``k(b) = mean log(1 - b x)``, is
    averaged over a grid of ``30 + sqrt(n)`` values of b spread like the prior of Zhang & Stephens (2009), "A new and
    efficient estimation method for the generalized Pareto distribution", equations 6 to 9. Then k is pulled towards 1/2
    as by ``prior_strength`` further observations (Vehtari, Simpson, Gelman, Yao & Gabry 2024, appendix C).

    Args:
        excesses: positive, ascending, ``[n, *batch]``, n >= 5.
        prior_strength: 0 for the estimate of Zhang & Stephens.

    Returns:
        k and sigma, each ``batch``; k > 0 is a heavy tail. nan where the excesses are degenerate.
    """
    n = excesses.shape[0]
    grid = 30 + math.isqrt(n)
    steps = torch.arange(1, grid + 1, dtype=excesses.dtype, device=excesses.device) - 0.5
    offsets = (1.0 - (grid / steps).sqrt()).reshape(-1, *[1] * (excesses.dim() - 1))
    quartile = excesses[max(int(n / 4 + 0.5) - 1, 0)]
    b = 1.0 / excesses[-1] + offsets / (3.0 * quartile)  # [grid, *batch]
    shapes = torch.stack([torch.log1p(-value * excesses).mean(0) for value in b])
    profile = n * ((-b / shapes).log() - shapes - 1.0)
    mass = torch.softmax(profile, 0)
    mean_b = (mass * b).sum(0)
    k = torch.log1p(-mean_b * excesses).mean(0)
    sigma = -k / mean_b
    return (n * k + prior_strength * 0.5) / (n + prior_strength), sigma


def generalized_pareto_quantile(probability: Tensor, k: Tensor, sigma: Tensor) -> Tensor:
    """``sigma ((1 - p)^(-k) - 1) / k``, and ``-sigma log(1 - p)`` at k = 0."""
    exponential = -torch.log1p(-probability)
    safe = torch.where(k == 0.0, torch.ones_like(k), k)
    return sigma * torch.where(k == 0.0, exponential, torch.expm1(safe * exponential) / safe)
