r"""The optimum of a divergence on the circle or the sphere of R^3, where the objective itself is a quadrature.

Laws are parametrised by :math:`v = \kappa\mu \in \mathbb R^n`. On the nodes of a rule adapted to the target,

.. math:: D_\alpha = \frac{1 - \sum_k w_k\, p^\alpha q_v^{1-\alpha}}{\alpha(1-\alpha)},

KL(q || p) at alpha = 0 and KL(p || q) at alpha = 1, with p normalised on the same rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy import optimize

from ...divergences import Divergence
from ...families import PowerSphericalFamily, VonMisesFisherFamily
from ...families._axial import AxialFamily
from ...special import log_vmf_normalizer
from .density import SphereDensity, random_directions
from .moments import SphereMoments, sphere_moments, thinned
from .peaks import Peaks, find_peaks

_KAPPA = 1.5
_MASS = 1e-5
_MOST_STARTS = 10


@dataclass(frozen=True)
class SphereOptimum:
    """A minimum of a divergence.

    Attributes:
        direction: ``[n]``.
        concentration: Of the family.
        value: The divergence, D(P || Q) with the target first.
    """

    direction: torch.Tensor
    concentration: float
    value: float

    @property
    def parameters(self) -> dict[str, torch.Tensor]:
        """As a family takes them."""
        return {"direction": self.direction, "concentration": torch.tensor(self.concentration, dtype=torch.float64)}


class SphereObjective:
    """The divergence of a family's laws from a target, as a function of v.

    Raises:
        ValueError: Above three dimensions (but for forward KL), a rule that did not settle, no alpha divergence.
    """

    def __init__(self, moments: SphereMoments, family: AxialFamily, divergence: Divergence) -> None:
        if not (moments.numerical and moments.reliable) or family.dim > 3:
            raise ValueError(
                "expected a target on the circle or the sphere of R^3 whose quadrature settled, got "
                f"{moments.region()}, because the objective is computed on its nodes; try SVI with AutoSphere"
            )
        if not divergence.in_alpha_family or not isinstance(family, (VonMisesFisherFamily, PowerSphericalFamily)):
            raise ValueError(
                f"expected an alpha divergence and a family on the sphere, got {divergence!r} and {family!r}; try "
                "ReverseKL() or Alpha(0.5) with VonMisesFisherFamily(3)"
            )
        self.family, self.alpha = family, divergence.alpha
        keep = moments.log_p + moments.log_area > (moments.log_p + moments.log_area).max() - 800
        if self.alpha < 1:
            keep = torch.ones_like(keep)
        self._x, self._log_area = moments.x[keep], moments.log_area[keep]
        self._log_p = (moments.log_p - (moments.log_p + moments.log_area).logsumexp(0))[keep]

    def __call__(self, v: torch.Tensor) -> torch.Tensor:
        """D at ``v[n]``; infinite where it is, nan where the nodes do not resolve the law."""
        norm = v.norm()
        if isinstance(self.family, VonMisesFisherFamily):
            log_q = self._x @ v - log_vmf_normalizer(self.family.dim, norm)
        else:
            log_q = self.family.log_prob(self._x, {"direction": v / norm, "concentration": norm})
        if abs(float((log_q + self._log_area).logsumexp(0).detach())) > _MASS and self.alpha < 1:
            return v.sum() * torch.nan
        alpha, weight = self.alpha, self._log_area
        if alpha == 0:
            return ((log_q + weight).exp() * (log_q - self._log_p)).sum()
        if alpha == 1:
            mass = (self._log_p + weight).exp()
            return torch.where(mass > 0, mass * (self._log_p - log_q), 0.0).nan_to_num(nan=0.0).sum()
        total = (alpha * self._log_p + (1 - alpha) * log_q + weight).logsumexp(0)
        return -torch.expm1(total) / (alpha * (1 - alpha))

    def minimum_from(self, v: torch.Tensor) -> SphereOptimum | None:
        """The local minimum that BFGS reaches from ``v[n]``."""

        def value_and_gradient(array: np.ndarray) -> tuple[float, np.ndarray]:
            leaf = torch.tensor(array, dtype=torch.float64, requires_grad=True)
            value = self(leaf)
            if not bool(torch.isfinite(value)):
                return 1e10, np.zeros_like(array)
            (gradient,) = torch.autograd.grad(value, leaf)
            return float(value.detach()), gradient.numpy()

        found = optimize.minimize(value_and_gradient, v.numpy(), jac=True, method="BFGS", options={"gtol": 1e-9})
        if not np.isfinite(found.fun) or found.fun >= 1e9:
            return None
        end = torch.tensor(found.x, dtype=torch.float64)
        norm = float(end.norm())
        direction = end / norm if norm > 0 else torch.eye(len(end), dtype=torch.float64)[0]
        return SphereOptimum(direction, norm, float(found.fun))

    def minima(self, directions: torch.Tensor) -> list[SphereOptimum]:
        """Local minima from starts along ``directions[m, n]``, lowest first."""
        found = [end for a in directions[:_MOST_STARTS] if (end := self.minimum_from(_KAPPA * a)) is not None]
        return sorted(found, key=lambda optimum: optimum.value)


def start_directions(moments: SphereMoments, peaks: Peaks) -> torch.Tensor:
    """Maxima of the target, its mean, its antipode, axes of second moments, and a random direction."""
    mean = moments.mean
    parts: list[torch.Tensor] = [peaks.x[:3]]
    if float(mean.norm()) > 1e-9:
        parts.append(torch.stack([mean, -mean]) / mean.norm())
    parts.append(torch.linalg.eigh(moments.second).eigenvectors.mT)
    parts.append(random_directions(1, len(mean), torch.Generator().manual_seed(7)))
    return torch.cat(parts)


def fit_sphere(
    density: SphereDensity,
    family: AxialFamily,
    divergence: Divergence,
    *,
    generator: torch.Generator | None = None,
) -> SphereOptimum:
    """The lowest minimum found of a divergence, on the circle or the sphere of R^3, without sampling.

    Forward KL of a von Mises-Fisher family is moment matching. Otherwise BFGS on the quadrature objective from the
    target's maxima, its mean and the axes of its second moments: the lowest of the minima met, with no proof that none
    is lower.

    Args:
        density: The target.
        family: `VonMisesFisherFamily` or `PowerSphericalFamily` of the same dimension.
        divergence: Of the alpha family.
        generator: Random state; a fixed one by default.

    Raises:
        ValueError: What `SphereObjective` refuses; no finite value at any start.
    """
    generator = torch.Generator().manual_seed(2) if generator is None else generator
    peaks = find_peaks(density, generator)
    moments = sphere_moments(density, peaks, generator=generator)
    objective = SphereObjective(moments, family, divergence)
    quick = SphereObjective(thinned(density, moments), family, divergence)
    if divergence.alpha == 1 and isinstance(family, VonMisesFisherFamily):
        found = family.from_mean(moments.mean)
        v = found["concentration"] * found["direction"]
        return SphereOptimum(found["direction"], float(found["concentration"]), float(objective(v)))
    minima = quick.minima(start_directions(moments, peaks))
    best = minima[0] if minima else None
    if best is not None:
        best = objective.minimum_from(best.concentration * best.direction)
    if best is None:
        raise ValueError(
            f"expected a finite {divergence!r} somewhere, got none from any start, because the target vanishes where "
            "every law of the family does not; try ForwardKL()"
        )
    return best
