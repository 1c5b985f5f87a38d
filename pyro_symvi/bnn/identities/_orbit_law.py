"""The law along orbits of rescaling, checked by where each draw lies in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from .._draws import Draws
from .._posterior import NetworkPosterior
from ..symmetry import NetworkSymmetry
from ._balancedness import _invariants
from ._hidden import UnitLayer, check_draws, rescaling_layers
from ._orbit_cdf import orbit_cdf
from ._standard_errors import LEVEL, ZeroMean, bonferroni, verdict, zero_mean


@dataclass(frozen=True)
class LayerOrbits:
    """Where the draws of one layer lie along their orbits.

    Attributes:
        layer: the units.
        pit: ``[chains, draws, h]``, uniform on [0, 1] under the exact law; nan for dead units.
        units: tests of each unit ``[h]``: ``slope``, ``curvature``, ``third``, ``fourth`` (Legendre polynomials of the
            pit) and ``log likelihood`` (no correlation with it).
        pooled: the same averaged over the units.
        ks: Kolmogorov-Smirnov distance of the pooled pit to uniform and its p-value, from draws thinned to about
            independent ones, all units together.
        thin: every how many draws were kept for it.
        dead: how many (draw, unit) pairs have no law along their orbit.
    """

    layer: UnitLayer
    pit: Tensor
    units: Mapping[str, ZeroMean]
    pooled: Mapping[str, ZeroMean]
    ks: tuple[float, float]
    thin: int
    dead: int

    def histogram(self, bins: int = 20) -> Tensor:
        """Density of the pit in equal bins, ``[bins]``; 1 everywhere is right."""
        u = self.pit[torch.isfinite(self.pit)]
        return torch.histc(u, bins, 0, 1) * bins / max(1, u.numel())


@dataclass(frozen=True)
class OrbitLaw:
    """Tests of the law along orbits; see :func:`orbit_law`."""

    layers: tuple[LayerOrbits, ...]
    p_value: float
    verdict: str
    batches: int
    source: str

    @property
    def z(self) -> Tensor:
        """Every z, flat."""
        groups = [group for layer in self.layers for group in (layer.units, layer.pooled)]
        return torch.cat([test.z.reshape(-1) for group in groups for test in group.values()])

    @property
    def worst(self) -> float:
        """Largest |z|."""
        return float(self.z.abs().max())

    def table(self) -> str:
        """A table for reading."""
        head = f"Law along orbits of {self.source}: {self.verdict}"
        lines = [f"{head} (p = {self.p_value:.2g}, {self.batches} batch means)"]
        for layer in self.layers:
            lines += [
                f"  {layer.layer.name}: KS {layer.ks[0]:.4f} (p = {layer.ks[1]:.2g}, every {layer.thin}th draw), "
                f"{layer.dead} dead",
                f"    {'z':<28}{'pooled':>9}{'worst unit':>12}",
            ]
            for name, test in layer.pooled.items():
                worst = float(layer.units[name].z.abs().max())
                lines.append(f"    {name:<28}{float(test.z):9.2f}{worst:12.2f}")
        return "\n".join(lines)

    __str__ = table


def orbit_law(
    posterior: NetworkPosterior, draws: Draws, symmetry: NetworkSymmetry | None = None, *, level: float = LEVEL
) -> OrbitLaw:
    """Test that each draw lies in its orbits of rescaling as the posterior has it.

    Given all that rescaling leaves as it is, the factor c_j of unit j has a known law, since the likelihood is
    constant along the orbit: with normal priors and ReLU, t = c^2 ~ GIG((p - q) / 2, a_j, b_j) seen from the draw,
    which itself lies at t = 1 (:func:`orbit_cdf` has the density, other priors and degrees). So u_j = P(t <= 1) is
    uniform on [0, 1], independent of the log likelihood, of the other units of the layer, and of everything else that
    is invariant. That holds within each mode, so for chains that never permute as well.

    Tested by Legendre polynomials of u up to degree four (Neyman's smooth test; mean zero each) and the covariance of
    u with the log likelihood, with standard errors between chains; the Kolmogorov-Smirnov test on thinned draws is
    for reading. ``slope`` below zero: incoming weights too small against outgoing ones; ``curvature`` above zero:
    too far out along the orbit, below zero: too narrow, as mean-field laws are.

    Like :func:`balancedness` it says nothing of the function that the network computes.
    """
    theta = check_draws(posterior, draws)
    layers = rescaling_layers(posterior, symmetry)
    invariants = _invariants(posterior, draws, 1)
    log_likelihood = invariants.get("log likelihood")
    found = tuple(_layer_orbits(layer, posterior, theta, log_likelihood) for layer in layers)
    law = OrbitLaw(found, 1.0, "", found[0].pooled["slope"].batches, draws.source)
    return OrbitLaw(found, bonferroni(law.z), verdict(law.z, law.batches, level), law.batches, draws.source)


def _layer_orbits(
    layer: UnitLayer, posterior: NetworkPosterior, theta: Tensor, log_likelihood: Tensor | None
) -> LayerOrbits:
    degree = float(layer.degree or 1.0)
    pit = orbit_cdf(layer.p - degree * layer.q, degree, layer.energies_by_power(theta, posterior.parameter_prior))
    dead = ~torch.isfinite(pit)
    x = torch.where(dead, torch.zeros_like(pit), 2 * pit - 1)
    live = (~dead).double()
    polynomials = {  # mean zero and variance one under the uniform law
        "slope": 3**0.5 * x,
        "curvature": 5**0.5 * (3 * x**2 - 1) / 2,
        "third": 7**0.5 * (5 * x**3 - 3 * x) / 2,
        "fourth": 3 * (35 * x**4 - 30 * x**2 + 3) / 8,
    }
    values = {name: value * live for name, value in polynomials.items()}
    if log_likelihood is not None:
        f = log_likelihood - log_likelihood.mean()
        f = f / f.square().mean().sqrt().clamp_min(1e-300)
        values["log likelihood"] = values["slope"] * f[..., None]
    thin = _thinning(values["slope"])
    return LayerOrbits(
        layer, pit, {name: zero_mean(v) for name, v in values.items()},
        {name: zero_mean(v.mean(-1)) for name, v in values.items()},
        _kolmogorov_smirnov(pit[:, ::thin]), thin, int(dead.sum()),
    )  # fmt: skip


def _thinning(values: Tensor) -> int:
    """Every how many draws are about independent: draws over effective draws (ArviZ), the worst of eight units."""
    chains, draws, units = values.shape
    if draws < 8:
        return 1
    from arviz_stats.base import array_stats

    chosen = values[..., :: max(1, units // 8)].permute(2, 0, 1).cpu().numpy()
    effective = [float(array_stats.ess(unit, method="mean")) for unit in chosen if unit.std() > 0]
    return max(1, min(draws, round(chains * draws / max(1.0, min(effective, default=1.0)))))


def _kolmogorov_smirnov(pit: Tensor) -> tuple[float, float]:
    from scipy import stats

    u = pit[torch.isfinite(pit)].cpu().numpy()
    if len(u) < 2:
        return 1.0, 1.0
    result = stats.kstest(u, "uniform", method="asymp")
    return float(result.statistic), float(result.pvalue)
