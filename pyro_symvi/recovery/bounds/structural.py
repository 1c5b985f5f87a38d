r"""Bounds from a limit on the residual itself: everywhere (B0-infinity), or but for a share of the mass."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ..verdicts import Evidence, Premise
from ._bound import Bound, judged
from .reflection import tau_bound

NAME = "residual limit B0-infinity"


def structural_bound(epsilon: float, coordinates: Sequence[int], evidence: Evidence, why: str = "") -> Bound:
    r"""From :math:`|r|\le\varepsilon` P-almost everywhere: :math:`|E z_j - c_j|\le\sinh(\varepsilon/2)\,\mathrm{sd}`.

    Proof: :math:`\tau\le\tanh(\varepsilon/2)` in B0. It replaces :math:`\tfrac12(e^\varepsilon-1)`. Premises: the limit
    (with the caller's evidence: a limit seen on draws is none, only one that follows from the model's form is PROVED);
    two moments. Withheld above one sd.

    Args:
        epsilon: In nats, at least 0.
        coordinates: Those reflected.
        evidence: What the limit rests on.
        why: Where the limit is from, in words.
    """
    value = math.sinh(min(_nonnegative("epsilon", epsilon), 100.0) / 2)
    premise = Premise("residual limit", evidence, f"|r| <= {epsilon:.3g} nats almost everywhere" + (why and f": {why}"))
    return judged(NAME, coordinates, _same(value, coordinates), (premise,), "residual limit")


def failure_set_bound(
    epsilon: float, mass: float, coordinates: Sequence[int], evidence: Evidence, why: str = ""
) -> Bound:
    r"""From :math:`|r|\le\varepsilon` except on a set of P-mass at most :math:`\eta`.

    :math:`\tau^2\le\tanh^2(\varepsilon/2)(1-\eta)+\eta`, since :math:`|\tanh|\le1`; then B0. g must be an involution,
    as reflections are: for others the failure set and its image both count.

    Raises:
        ValueError: unless the mass is in [0, 1].
    """
    _nonnegative("epsilon", epsilon)
    if not 0 <= mass <= 1:
        raise ValueError(f"expected mass in [0, 1], got {mass}, because it is a probability; try an upper bound of it")
    tau2 = math.tanh(epsilon / 2) ** 2 * (1 - mass) + mass
    text = f"|r| <= {epsilon:.3g} nats but on a share {mass:.2g} of the mass" + (why and f": {why}")
    premise = Premise("residual limit", evidence, text)
    values = _same(tau_bound(math.sqrt(tau2)), coordinates)
    return judged("residual limit with a failure set", coordinates, values, (premise,), "residual limit")


def holder_limit(norm: float, multiplier: float) -> float:
    r"""Hoelder: :math:`|E_ph|\le\|h\|_{L^a}\,(E_p|\tanh(r/2)|^b)^{1/b}`, 1/a + 1/b = 1, in h's own units.

    With b = 1 and bounded h, the multiplier is the total variation distance of P and its image.

    Args:
        norm: :math:`(E_p|h|^a)^{1/a}`, or the supremum.
        multiplier: :math:`(E_p|\tanh(r/2)|^b)^{1/b}`, at most 1.

    Raises:
        ValueError: unless the multiplier is in [0, 1].
    """
    _nonnegative("norm", norm)
    if not 0 <= multiplier <= 1:
        raise ValueError(f"expected multiplier in [0, 1], got {multiplier}, because |tanh| <= 1; try clamping it")
    return norm * multiplier


def _same(value: float, coordinates: Sequence[int]) -> torch.Tensor:
    return torch.full((len(coordinates),), value, dtype=torch.float64)


def _nonnegative(name: str, value: float) -> float:
    if not value >= 0:  # nan too
        raise ValueError(f"expected {name} >= 0, got {value}, because it is a limit on a size; try its absolute value")
    return value
