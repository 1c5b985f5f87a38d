"""Estimator E: how far a fitted mean is off, estimated rather than bounded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws
from ._orbits import mirrored, normalised, orbit_weights, weighted_mean
from .identities import odd_terms

_SIGNIFICANT = 3.0


@dataclass(frozen=True)
class CorrectedMean:
    r"""An estimate of :math:`E_pz_J - c_J`.

    Attributes:
        coordinates: J.
        error: The estimate ``[|J|]``.
        mcse: Its Monte-Carlo standard error ``[|J|]`` (delta method).
        k: Pareto k-hat of the weights; the larger of those of p/q and of the orbit weights.
        center: c_J.
        refusal: Why the estimate is not to be used; empty if it may be.
    """

    coordinates: tuple[int, ...]
    error: Tensor
    mcse: Tensor
    k: float
    center: Tensor
    refusal: str = ""

    @property
    def significant(self) -> Tensor:
        """Where the error exceeds three standard errors, ``[|J|]`` (bool); nowhere if the weights are unreliable."""
        return (self.error.abs() > _SIGNIFICANT * self.mcse) & (not self.refusal)

    @property
    def value(self) -> Tensor:
        """The fitted value, corrected only where the error is significant: elsewhere a correction adds noise."""
        return torch.where(self.significant, self.center + self.error, self.center)


def corrected_mean(
    density: LogDensity, draws: WeightedDraws, center: Tensor, coordinates: Sequence[int]
) -> CorrectedMean:
    r"""Estimator E: :math:`\hat\Delta=-\sum\tilde W_i(z_i-c)\tanh(r_i/2)`, from draws not used to fit c.

    Weights :math:`W = (p(z)+p(gz))/(q(z)+q(gz))`, right also where q is not symmetric;
    :math:`\mathrm{MCSE}^2=\sum\tilde W_i^2(\varphi_i-\hat\Delta)^2`. Residuals within their rounding error count as
    zero. Stated and proved here (identity I2).

    The error statement is asymptotic, with premise k-hat < 0.7 on both weights, so at most VERIFIED; the bias of
    self-normalisation is O(1/n). Where k-hat is ignored the estimate may be off by several of its standard errors.

    Args:
        density: The target.
        draws: Weighted draws.
        center: c, ``[d]``.
        coordinates: J, the coordinates reflected.
    """
    index = torch.tensor(tuple(coordinates))
    points = mirrored(density, draws.z, center, coordinates, draws.log_p)
    residual = torch.where(points.residual.abs() < points.rounding, 0.0, points.residual)
    log_w, k = orbit_weights(draws, points)
    error, mcse = weighted_mean(normalised(log_w), odd_terms((draws.z - center)[:, index], residual))
    worst = max(k, draws.k)
    refusal = "" if worst < RELIABLE else f"importance weights are unreliable (Pareto k-hat {worst:.2f})"
    return CorrectedMean(tuple(coordinates), error, mcse, worst, center[index], refusal)
