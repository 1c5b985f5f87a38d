"""Thresholds in the limits of strong noise and of many units, by one formula of the Hermite coefficients."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit

from ..links import Link

_TERMS = 400
_LOGITS = np.linspace(-7.0, 16.0, 800)
_CONTINUOUS = 1e-6


class Limit(NamedTuple):
    """A constant, and the overlap at which it is reached: above 0 is a first-order transition.

    ``local`` is the value as the overlap goes to 0, where the trivial solution becomes unstable.
    """

    value: float
    overlap: float
    local: float


class NoiseStability:
    """The function g(q) = sum_{k >= first} mu_k^2 q^k of a standardised link: E[sigma(z) sigma(z')] at correlation q.

    Mass of the series beyond 400 terms is put on the last one, which matters above q = 0.99 only.
    """

    def __init__(self, link: Link, first: int = 1) -> None:
        squares = link.hermite(_TERMS).square().numpy().copy()
        total = float(link.expect(link.values.square()))
        squares[-1] += max(0.0, total - float(squares.sum()))
        squares[squares < 1e-24 * total] = 0.0
        squares[:first] = 0.0
        self._squares = squares

    def __call__(self, q: np.ndarray) -> np.ndarray:
        """The value g(q), in the shape of ``q``."""
        return np.polynomial.polynomial.polyval(q, self._squares)

    def coefficient(self, k: int) -> float:
        """The square mu_k^2, zero below the first."""
        return float(self._squares[k])


def spent(q: np.ndarray) -> np.ndarray:
    """-q - log(1 - q): twice the loss of entropy of the prior at overlap q."""
    return -q - np.log1p(-q)


def lowest_ratio(gain: Callable[[np.ndarray], np.ndarray], local: float, *, zero: bool = False) -> Limit:
    """The infimum over 0 < q < 1 of (-q - log(1 - q)) / gain(q).

    Args:
        gain: Twice the information that one sample holds at overlap q, less that at q = 0.
        local: The limit of the ratio as q goes to 0.
        zero: The gain is linear in q at 0, so that the infimum is 0 there.
    """
    if zero:
        return Limit(0.0, 0.0, 0.0)

    def ratio(logit: np.ndarray) -> np.ndarray:
        q = expit(logit)
        gained = gain(q)
        seen = gained > 1e-280  # less would overflow
        return np.where(seen, spent(q) / np.where(seen, gained, 1.0), math.inf)

    values = ratio(_LOGITS)
    best = int(values.argmin())
    if not math.isfinite(values[best]):
        return Limit(math.inf, 0.0, math.inf)
    low, high = _LOGITS[max(best - 1, 0)], _LOGITS[min(best + 1, len(_LOGITS) - 1)]
    found = minimize_scalar(lambda x: float(ratio(np.array(x))), bounds=(low, high), options={"xatol": 1e-9})
    if best == 0 or found.fun >= local * (1 - _CONTINUOUS):
        return Limit(local, 0.0, local)
    return Limit(float(found.fun), float(expit(found.x)), local)


def strong_noise_limit(link: Link) -> Limit:
    r"""The limit of lambda alpha_IT for one unit as the signal to noise ratio lambda goes to 0 (our derivation):

    .. math:: \lambda\, \alpha_{IT} \to \inf_{0 < q < 1} \frac{-q - \log(1 - q)}{\sum_{k \ge 1} \mu_k^2 q^k}.

    Its local value 1 / (2 mu_2^2) belongs to a continuous transition. With mu_1 != 0 it is 0.
    """
    stability = NoiseStability(link)
    mu2 = stability.coefficient(2)
    local = 1 / (2 * mu2) if mu2 > 0 else math.inf
    return lowest_ratio(stability, local, zero=stability.coefficient(1) > 0)


def many_units_limit(link: Link, noise: float) -> Limit:
    r"""The limit of alpha_IT / p for p units that share one output, as p grows (our derivation):

    .. math:: \inf_{0 < q < 1} \frac{-q - \log(1 - q)}{\log(R / (R - g_2(q)))}, \qquad R = \Delta + 1 - \mu_1^2,
        \quad g_2(q) = \sum_{k \ge 2} \mu_k^2 q^k,

    the mean direction (mu_1) being known long before and the other units being Gaussian by the central limit theorem.
    Locally R / (2 mu_2^2).
    """
    stability = NoiseStability(link, first=2)
    rest = noise + 1 - float(link.hermite(2)[1]) ** 2
    mu2 = stability.coefficient(2)
    local = rest / (2 * mu2) if mu2 > 0 else math.inf

    def gain(q: np.ndarray) -> np.ndarray:
        return -np.log1p(-np.minimum(stability(q) / rest, 1 - 1e-15))

    return lowest_ratio(gain, local)
