"""The alpha family, and the conversions from other people's orders to ours."""

import math
from dataclasses import dataclass
from numbers import Real
from typing import ClassVar

import torch
from torch import Tensor

from pyro_symvi.divergences._log_space import expm1_over, log_mean_exp, log_power_mean
from pyro_symvi.divergences.base import Divergence
from pyro_symvi.divergences.kullback_leibler import ForwardKL, ReverseKL


@dataclass(frozen=True)
class Alpha(Divergence):
    """D_alpha(P || Q) = (1 - int p^alpha q^(1 - alpha) dz) / (alpha (1 - alpha)), the exponent alpha on the target p.

    ``Alpha(0)`` is KL(Q || P) and ``Alpha(1)`` is KL(P || Q), with the numbers of ``ReverseKL()`` and ``ForwardKL()``.
    alpha = 1/2 is 4 times the squared Hellinger distance, alpha = 2 half of Pearson's chi-square int (p - q)^2 / q,
    alpha = -1 half of Neyman's int (p - q)^2 / p; D_alpha(P || Q) = D_(1 - alpha)(Q || P).

    For alpha other than 0 and 1,

        objective = log(mean_k w_k^alpha) / (alpha (alpha - 1))

    which estimates ``log(1 - alpha (1 - alpha) D_alpha) / (alpha (alpha - 1)) + log(Z) / (alpha - 1)``. The first term
    increases with D_alpha for *every* real alpha, also below 0 and above 1, so minimising it minimises D_alpha; Z
    enters only as a constant. It is continuous in alpha at 0. At alpha = 1 the constant ``log(Z) / (alpha - 1)``
    diverges, so the numbers (not the minimisers) of ``Alpha(1 +- tiny)`` and ``Alpha(1)`` differ; ``value`` is
    continuous there too.
    For alpha < 0, a particle outside the target's support makes both infinite, as D_alpha then is.

    Source: Cichocki & Amari (2010), "Families of alpha-, beta- and gamma-divergences", eq. (6); Minka (2005),
    "Divergence measures and message passing".

    Args:
        alpha: finite real number.

    Raises:
        TypeError: not a real number (a string, a bool, a tensor).
        ValueError: nan or infinite.

    >>> Alpha.from_pyro(0.5)
    Alpha(alpha=0.5)
    >>> Alpha.from_amari(-3.0)
    Alpha(alpha=2.0)
    """

    alpha: float

    formula: ClassVar[str] = "(1 - int p^alpha q^(1 - alpha)) / (alpha (1 - alpha))"

    def __post_init__(self) -> None:
        object.__setattr__(self, "alpha", _finite_order(self.alpha, "alpha"))

    def _objective(self, log_weights: Tensor) -> Tensor:
        if self.alpha == 1.0:
            return ForwardKL()._objective(log_weights)
        return log_power_mean(log_weights, self.alpha) / (self.alpha - 1.0)

    def _value(self, log_weights: Tensor) -> Tensor:
        alpha = self.alpha
        if alpha == 0.0:
            return ReverseKL()._value(log_weights)
        if alpha == 1.0:
            return ForwardKL()._value(log_weights)
        log_mean = log_mean_exp(log_weights)
        if alpha < 0.5:
            # log int p^alpha q^(1-alpha) = alpha * gap, from the uniform mean: exact as alpha -> 0.
            gap = log_power_mean(log_weights, alpha) - log_mean
            return -expm1_over(gap, alpha) / (1.0 - alpha)
        # The same integral is (alpha - 1) * gap from the mean under the normalised weights: exact as alpha -> 1.
        log_mass = torch.log_softmax(log_weights, dim=0)
        gap = log_power_mean(log_weights - log_mean, alpha - 1.0, log_mass)
        return expm1_over(gap, alpha - 1.0) / alpha

    @classmethod
    def from_amari(cls, order: float) -> "Alpha":
        """From Amari's order a of ``D^(a)(P || Q) = 4 / (1 - a^2) (1 - int p^((1-a)/2) q^((1+a)/2))``.

        alpha = (1 - a) / 2 and D_alpha = D^(a): a = 1 is KL(Q || P), a = -1 is KL(P || Q), a = 0 is alpha = 1/2.
        """
        return cls((1.0 - _finite_order(order, "Amari order")) / 2.0)

    @classmethod
    def from_renyi(cls, order: float) -> "Alpha":
        """From Renyi's order, on the target p: ``R_alpha(P || Q) = log(int p^alpha q^(1-alpha)) / (alpha - 1)``.

        alpha is that order, and ``R_alpha = log(1 - alpha (1 - alpha) D_alpha) / (alpha - 1)``. For order > 0 both have
        the same minimisers. For order < 0, R_alpha is negative and *decreases* with D_alpha: D_alpha is what is
        minimised here (equivalently R_(1-alpha)(Q || P)). R_0 is zero for all q that share p's support; order 0 gives
        the limit of R_alpha / alpha, which is KL(Q || P).
        """
        return cls(_finite_order(order, "Renyi order"))

    @classmethod
    def from_pyro(cls, alpha: float) -> "Alpha":
        """From a of ``pyro.infer.RenyiELBO(alpha=a)`` (Li & Turner 2016), which targets ``R_a(Q || P)``: alpha = 1 - a.

        a -> 1 is KL(Q || P), a = 1/2 is alpha = 1/2, a = -1 is chi-square(P || Q), alpha = 2. (Pyro's estimator climbs
        for a < 0; the one here descends.) a = 0 in Pyro is the importance-weighted bound, whose limit for many
        particles, log Z, does not depend on q; the result here is the limit a -> 0+ of the minimisers, KL(P || Q).
        """
        return cls(1.0 - _finite_order(alpha, "Pyro alpha"))

    @classmethod
    def from_tsallis(cls, order: float) -> "Alpha":
        """From Tsallis' order, on the target p: ``T_alpha(P || Q) = (int p^alpha q^(1-alpha) - 1) / (alpha - 1)``.

        alpha is that order, and T_alpha = alpha D_alpha: the same minimisers for order > 0; for order < 0, T_alpha is
        negative and D_alpha is what is minimised here. T_0 is zero wherever supports agree; order 0 gives the limit of
        T_alpha / alpha, which is KL(Q || P).
        """
        return cls(_finite_order(order, "Tsallis order"))


def _finite_order(order: object, name: str) -> float:
    if isinstance(order, bool) or not isinstance(order, Real):
        raise TypeError(
            f"expected {name} to be a real number, got {order!r} of type {type(order).__name__}, because it is an "
            "exponent; try a float such as 0.5"
        )
    try:
        value = float(order)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ValueError(
            f"expected {name} to be finite, got {order!r}, because the divergence has no estimator there; try "
            "ReverseKL() (alpha = 0), ForwardKL() (alpha = 1) or a finite order"
        )
    return value + 0.0  # -0.0 and 0.0 are one order
