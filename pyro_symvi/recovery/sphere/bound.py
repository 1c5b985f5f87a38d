"""How far can a fitted direction be from the mean direction where the symmetry is only approximate?"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ..bounds import direction_bound
from .density import SphereDensity, tangent
from .moments import SphereMoments

_EPS = 2.0**-52


@dataclass(frozen=True)
class AngleBound:
    r"""The bound :math:`\angle(E x, a) \le \arctan(\tau\sqrt\lambda/\rho)`.

    Attributes:
        angle: The bound in radians; ``nan`` if withheld.
        estimate: The angle as estimated from the same points.
        along: E a.x.
        along_low: The same less its error.
        tau: Root of E tanh^2(r/2).
        refusal: Why the bound is withheld; empty if it is not.
    """

    angle: float
    estimate: float
    along: float
    along_low: float
    tau: float
    refusal: str


def angle_bound(density: SphereDensity, moments: SphereMoments, a: torch.Tensor) -> AngleBound:
    r"""The angle bound about ``a[n]``, with the error of each expectation added (three standard errors for draws).

    With :math:`r(x) = \log p(gx) - \log p(x)` for the half-turn g about a, :math:`\tau^2 = E\tanh^2(r/2)`,
    :math:`\lambda` the largest eigenvalue of :math:`E x_\perp x_\perp^T`, :math:`\rho = E a\cdot x`. From draws,
    :math:`\tau^2` also gets 3/n for n effective draws: an asymmetry on less of the mass may be missed by all of them.
    """
    x = moments.x
    image = 2 * (x @ a)[:, None] * a - x
    image = image / image.norm(dim=-1, keepdim=True)
    log_image = density(image).detach().nan_to_num(nan=-torch.inf)
    both = (log_image == -torch.inf) & (moments.log_p == -torch.inf)
    r = torch.where(both, 0.0, log_image - moments.log_p)
    rounding = (64 * _EPS * (moments.log_p.abs() + log_image.abs())).nan_to_num(posinf=0.0)
    t = torch.tanh((r.abs() + rounding) / 2).nan_to_num(nan=1.0)
    square, error = (float(v) for v in moments.mean_of(t.square()))
    effective = 0.0 if moments.numerical else 3 * float(moments.weights.square().sum())
    upper = square + error + effective
    across = tangent(a.expand_as(x), x)
    second, spread = moments.mean_of(across[:, :, None] * across[:, None, :])
    largest = min(1.0, float(torch.linalg.eigvalsh(second)[-1]) + float(spread.norm()))
    along, slack = (float(v) for v in moments.mean_of(x @ a))
    low = along - slack
    mean = moments.mean
    estimate = math.atan2(float(tangent(a, mean).norm()), float(mean @ a))
    refusal = ""
    if not moments.reliable:
        refusal = f"expectations are unreliable ({moments.region()})"
    elif low <= 0:
        refusal = f"E a.x = {along:.2g} +- {slack:.1g} is not separated from zero"
    angle = direction_bound(min(1.0, math.sqrt(upper)), largest, low).angle if not refusal else math.nan
    if not refusal and angle > 1:
        refusal, angle = f"the bound, {angle:.2g} rad, says nothing", math.nan
    return AngleBound(angle, estimate, along, low, math.sqrt(square), refusal)
