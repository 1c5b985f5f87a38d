"""The exponent with which the number of units slows their specialisation, for any activation."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from .._plain import plain
from ..links import Link

_TOL = 1e-9
_ROUNDING = 1e-13
_HIGHEST = 6


@dataclass(frozen=True)
class SpecialisationExponent:
    r"""How the sample ratio of specialisation grows with the number of units p: like p^exponent.

    Attributes:
        exponent: The least i + j with E[z^i sigma_eff^j (z^2 - 1)] != 0, j >= 1; ``math.inf`` for a linear activation
            (units are never told apart); None where none is found up to 6.
        powers: That (i, j), with the least j.
        value: That expectation.
        rate: The constant A in n / d ~ p^exponent / A for many units, at the noise it was asked for; None where it is
            not known: beyond exponent 2 with mu_1 != 0, and for activations with mu_1 = 0 that are not even.
    """

    exponent: int | float | None
    powers: tuple[int, int] | None
    value: float
    rate: float | None

    def to_dict(self) -> dict[str, Any]:
        """All numbers, ready for JSON."""
        found: dict[str, Any] = plain(asdict(self))
        return found


def specialisation_exponent(
    activation: str | Callable[[Tensor], Tensor] | Link, *, noise: float = 0.0
) -> SpecialisationExponent:
    r"""The noise sensitivity exponent for telling units apart, conditioned on their mean direction.

    Where mu_1 = E[z sigma] != 0, the direction sum_k w_k is found at n / d of order one. What is left of each unit is
    sigma_eff = sigma - mu_0 - mu_1 z, and products with the known part z^i bring in further moments:

    .. math:: \min\{ i + j : j \ge 1,\ E[z^i \sigma_{eff}^j (z^2 - 1)] \ne 0 \} .

    With mu_1 = 0 only i = 0 is allowed, which is the noise sensitivity exponent. ReLU, GELU and SiLU have 1; tanh, erf,
    sine, sigmoid and sign 2, by (i, j) = (1, 1) with the value sqrt(6) mu_3. With R = Delta + 1 - mu_1^2 the rate is

    .. math:: A = \frac{2 \mu_2^2}{R} \quad\text{or, with } \mu_2 = 0, \quad
        A = \frac{6 \mu_3^2 [\mu_1 \ne 0]}{R} + \frac{E[\sigma_{eff}^2 (z^2 - 1)]^2}{2 R^2} .

    Our derivation, by an expansion for many units (no theorem); for even activations the exponent is that of
    Defilippis, Krzakala, Loureiro and Maillard (2026), arXiv 2603.17896. `committee_thresholds` computes the ratio
    itself at a finite number of units.

    Args:
        activation: A name, a function of a tensor, a module, or a `Link`.
        noise: The variance Delta of the noise on the output, for the rate.

    Example:
        >>> found = specialisation_exponent("sign")
        >>> found.exponent, found.powers, round(found.value, 4)
        (2, (1, 1), -0.7979)
    """
    link = Link.of(activation)
    mu = [float(m) for m in link.hermite(4)]
    z, sigma = link.nodes, link.values
    linear = abs(mu[1]) > _TOL
    left = sigma - mu[0] - (mu[1] * z if linear else 0.0)
    if float(link.expect(left.square())) < _TOL**2:
        return SpecialisationExponent(math.inf, None, 0.0, 0.0)

    def moment(i: int, j: int) -> tuple[float, float]:
        part, rounded = z**i * left**j, z**i * left ** (j - 1)
        least = _TOL * math.sqrt(2 * float(link.expect(part.square())))
        least += _ROUNDING * math.sqrt(2 * float(link.expect(rounded.square())))
        return float(link.expect(part * (z.square() - 1))), least

    for total in range(1, _HIGHEST + 1):
        for j in range(1, total + 1) if linear else (total,):
            value, least = moment(total - j, j)
            if abs(value) > least:
                rate = None
                if linear or link.parity == "even":
                    rate = _rate(total, mu, linear, moment(0, 2)[0], noise + 1 - mu[1] ** 2, value)
                return SpecialisationExponent(total, (total - j, j), value, rate)
    return SpecialisationExponent(None, None, 0.0, None)


def _rate(total: int, mu: list[float], linear: bool, second: float, rest: float, value: float) -> float | None:
    if total == 1:
        return 2 * mu[2] ** 2 / rest
    if total == 2:
        return (6 * mu[3] ** 2 / rest if linear else 0.0) + second**2 / (2 * rest**2)
    return None if linear else value**2 / (math.factorial(total) * rest**total)
