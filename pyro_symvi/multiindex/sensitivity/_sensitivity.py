"""The noise sensitivity exponent of an activation."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor

from ..._value import positive_int
from ..links import Link
from ._result import Exponent, NoiseSensitivity

_SMALL_CROSSOVER = 0.1
_FEW_VALUES = 12
_LARGE = 5.0


def noise_sensitivity(
    activation: str | Callable[[Tensor], Tensor] | Link,
    *,
    max_power: int = 6,
    tol: float = 1e-9,
    hermite: int = 12,
    standardise: bool = True,
) -> NoiseSensitivity:
    r"""How visible the units of a multi-index model are in strong noise.

    With sigma standardised (mean 0, variance 1 under z ~ N(0, 1)) and

    .. math:: c_b(\sigma) = E[\sigma(z)^b (z^2 - 1)], \qquad \beta^*(\sigma) = \min\{b \ge 1 : c_b \ne 0\},

    the exponent beta* says which power of the output first has a second Hermite component. For an even activation in
    Gaussian noise of signal-to-noise ratio lambda, spectral and message passing methods need n/d of order
    lambda^{-beta*}, while lambda^{-1} samples hold the information; among p units that share one output, p^{beta*}
    against p. So beta* = 1 excludes a gap that grows, and beta* >= 2 makes one. Affine maps of sigma change neither
    exponent.

    Returned beside it: the first-moment analogue (least b with E[sigma^b z] != 0), the information exponent (least k
    with mu_k != 0), the parity, and the SNR below which the leading power counts for more than the later ones: an
    exponent can be 2 by a coefficient so small that no realistic noise shows it (sin 2z: 0.0054).

    An expectation counts as zero where its size is at most ``tol`` sqrt(V E sigma^{2b}) (V = 2 for z^2 - 1, 1 for z:
    the bound of Cauchy and Schwarz). One that is larger, and yet at most ten times its own quadrature error, is not
    settled: it is passed over with a warning, and nothing is called infinite. A coefficient just above is as doubtful
    as the activation's own constants: read ``coefficient``, not only ``exponent``. Spikes narrower than 5e-4 can go
    unseen.

    Args:
        activation: A name, a function of a tensor, a module, or a `Link`.
        max_power: Largest power b that is looked at.
        tol: Relative tolerance of zero.
        hermite: Number of Hermite coefficients, mu_0 among them; at least 3.
        standardise: As in `Link.of`; ignored for a link.

    Raises:
        TypeError, ValueError: as `Link.of`; numbers out of range.

    Source: Defilippis, Krzakala, Loureiro and Maillard (2026), arXiv 2603.17896; the first-moment analogue and the
    crossover are our derivation (p(y | z) is phi(y) sum_b lambda^{b/2} sigma^b He_b(y) / b!, so that power b tells
    lambda^b c_b^2 / b!).

    Example:
        >>> found = noise_sensitivity("tanh")
        >>> found.exponent, round(found.coefficient, 5), found.first_moment_exponent
        (2, 0.92214, 1)
        >>> noise_sensitivity("sign").exponent
        inf
    """
    positive_int(max_power, "max_power")
    positive_int(hermite, "hermite", 3)
    if not isinstance(tol, float) or not 0 < tol < 1:
        raise ValueError(f"expected tol between 0 and 1, got {tol!r}; try 1e-9")
    link = Link.of(activation, standardise=standardise)
    finer = link.refined()
    second = [_moment(link, finer, b, second=True) for b in range(1, max_power + 1)]
    first = [_moment(link, finer, b, second=False) for b in range(1, max_power + 1)]
    proved = _values_taken(link) <= max_power + 1
    exponent, doubtful = _least(second, tol, proved)
    first_exponent, first_doubtful = (math.inf, []) if link.parity == "even" else _least(first, tol, proved)
    lead = second[exponent - 1] if isinstance(exponent, int) else None
    mu = link.hermite(hermite).tolist()
    information = next((k for k in range(1, hermite) if abs(mu[k]) > tol * math.sqrt(sum(v * v for v in mu))), None)
    crossover = _crossover([m[0] for m in second], exponent)
    error = lead[1] if lead else max(m[1] for m in second)
    return NoiseSensitivity(
        link=link,
        exponent=exponent,
        coefficient=lead[0] if lead else 0.0,
        second_moments=tuple(m[0] for m in second),
        first_moment_exponent=first_exponent,
        first_moment_coefficient=first[first_exponent - 1][0] if isinstance(first_exponent, int) else 0.0,
        information_exponent=information,
        hermite=tuple(mu),
        parity=link.parity,
        error=error,
        crossover_snr=crossover,
        warnings=_warnings(link, exponent, lead, crossover, max_power, information, hermite)
        + _unsettled("E[sigma^b (z^2 - 1)]", doubtful) + _unsettled("E[sigma^b z]", first_doubtful),
    )  # fmt: skip


def _moment(link: Link, finer: Link, power: int, *, second: bool) -> tuple[float, float, float]:
    """The expectation, its quadrature error and the most it can be (Cauchy and Schwarz)."""

    def integral(rule: Link) -> float:
        weight = rule.nodes.square() - 1 if second else rule.nodes
        return float(rule.expect(rule.values.pow(power) * weight))

    value, fine = integral(link), integral(finer)
    most = math.sqrt((2.0 if second else 1.0) * float(link.expect(link.values.pow(2 * power))))
    return value, abs(value - fine), most


def _least(moments: list[tuple[float, float, float]], tol: float, proved: bool) -> tuple[Exponent, list[int]]:
    """The least power that counts as seen, and the powers before it of which nothing can be said."""
    doubtful: list[int] = []
    for power, (value, error, most) in enumerate(moments, 1):
        if abs(value) > tol * most and abs(value) > 10 * error:
            return power, doubtful
        if max(abs(value), error) > tol * most:
            doubtful.append(power)
    return math.inf if proved and not doubtful else None, doubtful


def _unsettled(moment: str, powers: list[int]) -> tuple[str, ...]:
    if not powers:
        return ()
    return (
        f"{moment} at b = {', '.join(map(str, powers))} is smaller than its quadrature error allows to tell from zero: "
        "the exponent may be smaller than the one found",
    )


def _values_taken(link: Link) -> float:
    """How many values sigma takes, where they are few: k values need k - 1 powers, by interpolation, to settle all."""
    inner = link.values[link.nodes.abs() < 8]
    size = float(inner.abs().max())
    distinct = torch.unique((inner / size).mul(1e12).round())
    return len(distinct) if len(distinct) <= _FEW_VALUES else math.inf


def _crossover(coefficients: list[float], exponent: Exponent) -> float:
    """The SNR at which a later power overtakes the leading one: lambda^b c_b^2 / b! for each b."""
    if not isinstance(exponent, int):
        return math.inf
    lead = 2 * math.log(abs(coefficients[exponent - 1])) - math.lgamma(exponent + 1)
    found = math.inf
    for power in range(exponent + 1, len(coefficients) + 1):
        if coefficients[power - 1]:
            later = 2 * math.log(abs(coefficients[power - 1])) - math.lgamma(power + 1)
            found = min(found, math.exp((lead - later) / (power - exponent)))
    return found


def _warnings(
    link: Link,
    exponent: Exponent,
    lead: tuple[float, float, float] | None,
    crossover: float,
    max_power: int,
    information: Exponent,
    hermite: int,
) -> tuple[str, ...]:
    found = []
    if isinstance(exponent, int) and lead is not None:
        value, _, most = lead
        if abs(value) < 0.01 * min(most, _LARGE):
            found.append(
                f"the exponent is formally {exponent}, by a coefficient of {value:.1e} where {most:.2g} is possible: "
                f"it stands for n/d of about {math.factorial(exponent) / value**2:.1e} snr^-{exponent}, so read it as "
                "none at any number of samples you will have"
            )
        if crossover < _SMALL_CROSSOVER:
            found.append(
                f"later powers overtake the leading one at an SNR of about {crossover:.1e}: the exponent {exponent} "
                "describes noise stronger than that only; compute thresholds by quadrature at your SNR"
            )
    if exponent is None:
        found.append(
            f"no power up to {max_power} sees the second Hermite polynomial: the exponent is larger, or infinite, "
            "which is not proved here; try a larger max_power"
        )
    if exponent == math.inf:
        found.append(
            f"{link.name} takes few values, and no power of it sees the second Hermite polynomial: the exponent is "
            "infinite"
        )
    if information is None:
        found.append(f"none of mu_1 to mu_{hermite - 1} differs from zero; try a larger number of coefficients")
    if link.error > 1e-8:
        found.append(
            f"the quadrature has not settled (relative error {link.error:.0e} of the variance): the activation "
            "oscillates or jumps too often for it"
        )
    return tuple(found)
