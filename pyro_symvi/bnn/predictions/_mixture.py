"""Mixtures of normal laws with equal weights: what draws of weights predict for each row."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.special import ndtr

_CRPS_POINTS, _STEP = 256, 0.75
_PAIRS = 2000
"""Up to so many components all pairs are summed where the points of the trapezoidal rule do not suffice."""
_EDGES = (-9.0, -6.0, -4.0, -3.0, -2.0, -1.3, -0.7, 0.0, 0.7, 1.3, 2.0, 3.0, 4.0, 6.0, 9.0)
_REACH = 9.0
"""How many standard deviations beyond the outermost means the integral of F (1 - F) goes: erfc is below 1e-18."""


class NormalMixture:
    """The law (1/T) sum_t N(loc_t, scale_t^2) at each place, ``loc`` and ``scale`` ``[T, *places]``, kept in float64.

    Raises:
        ValueError: shapes differ, there is no component, a scale is not positive, or a number is not finite.
    """

    def __init__(self, loc: Tensor, scale: Tensor) -> None:
        scale = scale.expand_as(loc)
        if loc.ndim < 1 or not len(loc):
            raise ValueError(f"expected loc [T, ...] with T >= 1, got {list(loc.shape)}")
        self.loc, self.scale = loc.double(), scale.double()
        if not bool(torch.isfinite(self.loc).all() and (self.scale > 0).all() and torch.isfinite(self.scale).all()):
            raise ValueError("expected finite means and finite positive standard deviations, got others")

    @property
    def components(self) -> int:
        """Number of components T."""
        return len(self.loc)

    def mean(self) -> Tensor:
        """The mean, ``[*places]``."""
        return self.loc.mean(0)

    def variance(self) -> Tensor:
        """Variance, ``[*places]``: that of the means plus the mean of the variances."""
        return self.loc.var(0, correction=0) + self.scale.square().mean(0)

    def log_prob(self, y: Tensor) -> Tensor:
        """Log density at y ``[*places]``, by logsumexp."""
        z = (y - self.loc) / self.scale
        terms = -0.5 * z.square() - self.scale.log() - 0.5 * math.log(2 * math.pi)
        return terms.logsumexp(0) - math.log(self.components)

    def cdf(self, y: Tensor) -> Tensor:
        """F(y), ``[*places]``; at the observed y this is the probability integral transform (PIT)."""
        return ndtr((y - self.loc) / self.scale).mean(0)

    def quantile(self, probability: float) -> Tensor:
        """The y with F(y) = probability, ``[*places]``, by bisection to the last digit.

        The quantile of a mixture lies between the least and the greatest quantile of its components.
        """
        if not 0 < probability < 1:
            raise ValueError(f"expected a probability in (0, 1), got {probability}")
        each = self.loc + self.scale * float(torch.special.ndtri(torch.tensor(probability, dtype=torch.float64)))
        low, high = each.amin(0), each.amax(0)
        for _ in range(64):
            middle = 0.5 * (low + high)
            below = self.cdf(middle) < probability
            low, high = torch.where(below, middle, low), torch.where(below, high, middle)
        return 0.5 * (low + high)

    def interval(self, level: float) -> tuple[Tensor, Tensor]:
        """The central interval of this level: quantiles at (1 -+ level) / 2."""
        return self.quantile(0.5 * (1 - level)), self.quantile(0.5 * (1 + level))

    def crps(self, y: Tensor) -> Tensor:
        """Continuous ranked probability score, the integral of (F(z) - 1{z >= y})^2, ``[*places]``; lower is better.

        CRPS = mean_t A(y - loc_t, scale_t) - H, H = (1/2) mean_tu A(loc_t - loc_u, sqrt(scale_t^2 + scale_u^2)), with
        A(d, s) = E|N(d, s^2)| (Grimit, Gneiting, Berrocal and Johnson 2006). H is also the integral of F (1 - F): where
        there are many components, and 256 steps of three quarters of the least standard deviation span them all, by
        the trapezoidal rule in single precision (six digits). Else all pairs of up to 2000 components are summed; more
        go through a quadrature on panels between quantiles of the components (about three digits at worst).
        """
        return _distance(y - self.loc, self.scale).mean(0) - self._half_spread()

    def _half_spread(self) -> Tensor:
        """H, half the mean distance of two independent draws."""
        low = (self.loc - _REACH * self.scale).amin(0)
        high = (self.loc + _REACH * self.scale).amax(0)
        wanted = float(((high - low) / (_STEP * self.scale.amin(0))).max()) + 1 if low.numel() else 1
        if self.components <= (_CRPS_POINTS if wanted <= _CRPS_POINTS else _PAIRS):
            total = torch.zeros_like(low)
            for loc, scale in zip(self.loc, self.scale, strict=True):
                total += _distance(self.loc - loc, (self.scale.square() + scale.square()).sqrt()).mean(0)
            return 0.5 * total / self.components
        return self._by_trapezoids(low, high, int(max(wanted, 2))) if wanted <= _CRPS_POINTS else self._by_panels()

    def _by_trapezoids(self, low: Tensor, high: Tensor, points: int) -> Tensor:
        total = torch.zeros_like(low)
        middle, half = 0.5 * (low + high), 0.5 * (high - low)
        loc, rate = (self.loc - middle).float(), (0.5**0.5 / self.scale).float()
        for place in torch.linspace(-1, 1, points, dtype=torch.float64):
            twice = 1 + ((half * place).float() - loc).mul_(rate).erf_().mean(0, dtype=torch.float64)
            total += 0.25 * twice * (2 - twice)
        return total * (high - low) / (points - 1)

    def _by_panels(self) -> Tensor:
        """Gauss-Legendre with three nodes between order statistics of loc + z scale, dense among the outermost ones."""
        edges = torch.cat([self.loc + z * self.scale for z in _EDGES]).sort(0).values
        last = len(edges) - 1
        ends = np.concatenate([np.arange(4 * len(_EDGES)), np.geomspace(4 * len(_EDGES), last / 4, 40)])
        ranks = np.unique(np.concatenate([np.linspace(0, last, 96), ends, last - ends]).round().astype(int))
        nodes, weights = np.polynomial.legendre.leggauss(3)
        total = torch.zeros_like(edges[0])
        for start, stop in zip(edges[ranks[:-1]], edges[ranks[1:]], strict=True):
            half = 0.5 * (stop - start)
            for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
                below = self.cdf(start + half * (1 + node))
                total += weight * half * below * (1 - below)
        return total


def _distance(d: Tensor, s: Tensor) -> Tensor:
    """E|N(d, s^2)| = 2 s phi(d / s) + d (2 Phi(d / s) - 1)."""
    z = d / s
    return s * math.sqrt(2 / math.pi) * (-0.5 * z.square()).exp() + d * (2 * ndtr(z) - 1)
