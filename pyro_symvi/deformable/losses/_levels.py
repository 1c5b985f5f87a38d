"""What frames pay that have learnt nothing."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class CollapseLevels:
    """Losses of two frames that know nothing of the object. What is learnt lies below both.

    Attributes:
        constant: a frame that is the same everywhere: p(v | u) is uniform.
        centred: the best law p(v) that does not depend on u. For a distance all of it lies in the middle of the image,
            and a network that tells the middle from the rest attains it with a frame of one direction,
            Phi(v) = (a + b(v)) e: the logits a^2 + a (b(u) + b(v)) + b(u) b(v) prefer the same v for all u.
    """

    constant: float
    centred: float


def mean_distance(power: float = 1.0) -> float:
    """E |x - y|^power for independent uniform x, y in the unit square: 0.5214 for power 1, 0.6980 for power 1/2.

    With s = 2 int_0^1 (1 + t^2)^(p/2) dt / (p + 2),

        E = 4 s / (p + 3) - 8 (2^(p/2 + 1) - 1) / ((p + 2) (p + 3) (p + 4)).

    Differences have the density (1 - |a|) (1 - |b|); in polar coordinates over an eighth of the square the radius goes
    first, and t is the tangent of the angle. For power 1 this is (2 + sqrt 2 + 5 arsinh 1) / 15. A constant frame of h
    times h cells pays h^p times this in the limit of many cells.

    Args:
        power: p, above -2.
    """
    p = _above_minus_two(power)
    return 4 * _sector(p) / (p + 3) - 8 * (2 ** (p / 2 + 1) - 1) / ((p + 2) * (p + 3) * (p + 4))


def mean_distance_to_centre(power: float = 1.0) -> float:
    """E |x|^power for x uniform in the unit square about 0: 0.3826 for power 1, 0.6052 for power 1/2.

    2^(1 - p) int_0^1 (1 + t^2)^(p/2) dt / (p + 2); for power 1 (sqrt 2 + arsinh 1) / 6. The level ``centred`` of a
    frame of h times h cells is h^p times this in the limit.

    Args:
        power: p, above -2.
    """
    p = _above_minus_two(power)
    return 2**-p * _sector(p)


def _sector(p: float) -> float:
    """2 int_0^1 (1 + t^2)^(p/2) dt / (p + 2), the integral being F(-p/2, 1/2; 3/2; -1)."""
    from scipy.special import hyp2f1

    return 2 * float(hyp2f1(-p / 2, 0.5, 1.5, -1.0)) / (p + 2)


def _above_minus_two(power: float) -> float:
    if not -2 < power < math.inf:
        raise ValueError(f"expected a power above -2, got {power}, because the mean is infinite; try 0.5")
    return float(power)
