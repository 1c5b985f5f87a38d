"""The angle between a mean direction on the sphere and an axis about which the target is nearly symmetric."""

from __future__ import annotations

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class DirectionBound:
    """An angle in radians, or why there is none.

    Attributes:
        angle: Bound on the angle between :math:`E x` and the axis; nan where withheld.
        refusal: Empty where it is not.
    """

    angle: float
    refusal: str = ""

    @property
    def usable(self) -> bool:
        """Whether an angle is given."""
        return not self.refusal


def direction_bound(tau: float, lam: float, rho: float, rho_se: float = 0.0) -> DirectionBound:
    r""":math:`\angle(E_px, a)\le\arctan(\tau\sqrt\lambda/\rho_a)`, for a law on the sphere, a a unit vector.

    g turns x about a by half a turn, :math:`x\mapsto2(a\cdot x)a-x`; :math:`\tau^2=E_p\tanh^2(r/2)`, :math:`\lambda`
    the largest eigenvalue of :math:`E_p[x_\perp x_\perp^\top]` (at most 1), :math:`\rho_a=E_p\,a\cdot x`. Proof: for a
    unit u orthogonal to a, u.x is odd under g, so :math:`|E\,u\cdot x|\le\tau\sqrt\lambda`. Stated and proved here.

    Refused unless :math:`\rho_a` less three standard errors is positive: the mean direction may then be anything.

    Args:
        tau: At its upper limit, if estimated.
        lam: At its upper limit; 1 is always valid.
        rho: :math:`\rho_a`.
        rho_se: Its standard error.

    Raises:
        ValueError: for numbers that cannot be moments on the unit sphere.
    """
    if not (0 <= tau <= 1 and 0 <= lam <= 1 + 1e-9 and rho_se >= 0 and abs(rho) <= 1 + 1e-9):
        raise ValueError(
            f"expected 0 <= tau <= 1, 0 <= lam <= 1, |rho| <= 1 and rho_se >= 0, got {tau}, {lam}, {rho}, {rho_se}, "
            "because these are moments on the unit sphere; try lam=1"
        )
    low = rho - 3 * rho_se
    if low <= 0:
        return DirectionBound(math.nan, "the mean's component along the axis is not separated from zero")
    return DirectionBound(math.atan2(tau * math.sqrt(lam), low))
