r"""Means by one-dimensional quadrature, where all coordinates but one are Gaussian given that one.

Linear regression with a Gaussian prior is the example: given :math:`\sigma` the coefficients are Gaussian about a
centre :math:`c(\sigma)` that moves with it, so no reflection holds; but :math:`E\beta = E\,c(\sigma)` exactly (the
tower property), and the marginal of :math:`\sigma` is known in closed form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from scipy import optimize

from ...density import LogDensity
from ..analysis import Analysis, analyze
from ..analysis.refusals import Refused
from ..theorems import MOMENTS
from ..verdicts import Evidence, Premise
from ._bound import Bound, judged, refused
from ._line_marginal import LineMarginal
from ._line_quadrature import converged

NAME = "conditional Gaussian quadrature"
_DEEP = 60.0
"""The marginal is followed until it has fallen by this many nats: a share of 10^-26."""
_SHALLOW = 45.0
"""It must have fallen by this many at both ends."""
_MOST_SCANNED, _MOST_BLOCK = 6000, 40
Array = Any


@dataclass(frozen=True)
class ConditionalGaussianMoments:
    """Moments of all coordinates, by quadrature over the one that the others are Gaussian given.

    Attributes:
        nuisance: That coordinate.
        means: ``[d]``.
        sds: ``[d]``.
        correlations: ``[d, d]``.
        error: Largest difference between two quadrature rules, twice: of means in sds, of log sds, of correlations.
        region: Ends of the scan of that coordinate.
        step: Its step.
        nodes: Nodes of the finest rule.
        premises: Quadratic (proved), definite, moments, quadrature.
        refusal: Why nothing was computed; empty if it was.
    """

    nuisance: int
    means: torch.Tensor
    sds: torch.Tensor
    correlations: torch.Tensor
    error: float
    region: tuple[float, float]
    step: float
    nodes: int
    premises: tuple[Premise, ...]
    refusal: str = ""

    @property
    def usable(self) -> bool:
        """Whether moments were computed."""
        return not self.refusal


def conditional_gaussian_moments(density: LogDensity, analysis: Analysis | None = None) -> ConditionalGaussianMoments:
    r"""Mean, sd and correlations of a density that is Gaussian given one coordinate, to about ten digits.

    With y that coordinate and :math:`(\Lambda, b, h)` the exact coefficients of log p (`_line_marginal`),

    .. math:: E z_J = E_m[\Lambda^{-1}b],\quad \mathrm{Cov}\,z_J = E_m[\Lambda^{-1}] + \mathrm{Cov}_m(\Lambda^{-1}b),
        \quad \mathrm{Cov}(z_J, y) = \mathrm{Cov}_m(\Lambda^{-1}b, y),

    expectations over the marginal m of y, by the trapezoidal rule after :math:`y = y^* + w\sinh t` (which converges
    geometrically; Trefethen & Weideman, 2014), halving the step until nothing changes, and by Gauss-Legendre panels.
    The line is scanned as far as terms of log p can still change places, in a quarter of their shortest length.

    Evidence: the algebra is PROVED; the quadrature error is estimated, so the whole is VERIFIED. Refused where static
    analysis refuses or idealises, more than one coordinate is not quadratic, a term in y is of an unknown kind, the
    precision is not positive definite, the marginal does not fall by 45 nats at both ends, or the rules disagree.

    Args:
        density: The target.
        analysis: ``analyze(density)``, if at hand.
    """
    analysis = analyze(density) if analysis is None else analysis
    if analysis.reading is None or not analysis.is_plain:
        return _refusal(density.dim, analysis.refusal or "the function analysed is an idealisation of the density")
    table, p = analysis.reading
    if density.dim - 1 > _MOST_BLOCK:
        return _refusal(density.dim, f"more than {_MOST_BLOCK} coordinates")
    why = "no coordinate leaves a Gaussian when it is held"
    for nuisance in range(density.dim):
        try:
            line = LineMarginal(table, p, nuisance, density.dim)
        except Refused as refusal:
            why = refusal.reason if nuisance == 0 or "quadratic" not in refusal.reason else why
            continue
        except OverflowError:
            return _refusal(density.dim, "a coefficient is too large for a float", nuisance)
        return _integrate(line, density.coordinates, analysis)
    return _refusal(density.dim, why)


def conditional_gaussian_bound(moments: ConditionalGaussianMoments, location: torch.Tensor) -> Bound:
    """Distance of a fitted location ``[d]`` from the computed means, plus their error, in posterior sds."""
    coordinates = tuple(range(len(location)))
    if not moments.usable:
        return refused(NAME, coordinates, moments.refusal)
    values = (location.double() - moments.means).abs() / moments.sds * (1 + moments.error) + moments.error
    return judged(NAME, coordinates, values, moments.premises, f"quadrature over one coordinate, {moments.nodes} nodes")


def _refusal(dim: int, reason: str, nuisance: int = -1) -> ConditionalGaussianMoments:
    nothing = torch.full((dim,), math.nan, dtype=torch.float64)
    return ConditionalGaussianMoments(
        nuisance, nothing, nothing, nothing.diag(), math.nan, (math.nan, math.nan), math.nan, 0, (), reason
    )


def _integrate(line: LineMarginal, names: tuple[str, ...], analysis: Analysis) -> ConditionalGaussianMoments:
    name = names[line.nuisance]
    reach, step = 60.0 + line.features.reach, 0.25 / line.features.steepest
    if 2 * reach / step > _MOST_SCANNED:
        return _refusal(line.dim, f"terms in {name} differ too much in scale to scan it", line.nuisance)
    grid = np.arange(-reach, reach + step, step)
    peak = 0.0
    for _ in range(3):  # about the mode nothing cancels, and more of the line can be computed
        peak = _peak(line, grid)
        if math.isnan(peak):
            return _refusal(line.dim, "the others have no positive definite precision anywhere", line.nuisance)
        line.recenter(peak)
    top = float(line(np.array([peak])).log_marginal[0])
    while True:
        values = line.scan(grid)
        left, right = _contiguous(np.isfinite(values), int(np.argmin(abs(grid - peak))))
        log_m = values[left : right + 1]
        slow = (left == 0 and log_m[0] > top - _SHALLOW) or (right == len(grid) - 1 and log_m[-1] > top - _SHALLOW)
        if not slow or 4 * reach / step > _MOST_SCANNED:
            break
        reach *= 2
        grid = np.arange(-reach, reach + step, step)
    if not float(log_m[0]) < top - _SHALLOW or not float(log_m[-1]) < top - _SHALLOW or float(log_m.max()) > top + 1e-6:
        return _refusal(line.dim, f"the marginal of {name} was not seen to fall off at both ends", line.nuisance)
    inside = left + np.flatnonzero(log_m > top - _DEEP)
    low = grid[max(int(inside.min(initial=right)) - 1, left)]
    high = grid[min(int(inside.max(initial=left)) + 1, right)]
    low, high = min(low, peak - step), max(high, peak + step)
    found = converged(line, peak, low, high)
    if found is None:
        return _refusal(line.dim, "quadrature rules disagree", line.nuisance)
    (means, sds, correlations), error, nodes = found
    region = (float(grid[left]), float(grid[right]))
    premises = _premises(line, name, analysis, region, step, error, nodes)
    return ConditionalGaussianMoments(line.nuisance, means, sds, correlations, error, region, step, nodes, premises)


def _peak(line: LineMarginal, grid: Array) -> float:
    values = line.scan(grid)
    if not np.isfinite(values).any():
        return math.nan
    best = int(np.argmax(values))
    around = grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)]

    def down(y: float) -> float:
        value = float(line.scan(np.array([y]))[0])
        return -value if math.isfinite(value) else 1e300

    return float(optimize.minimize_scalar(down, bounds=around, method="bounded", options={"xatol": 1e-6}).x)


def _contiguous(definite: Array, start: int) -> tuple[int, int]:
    left = right = start
    while left > 0 and definite[left - 1]:
        left -= 1
    while right < len(definite) - 1 and definite[right + 1]:
        right += 1
    return left, right


def _premises(
    line: LineMarginal,
    name: str,
    analysis: Analysis,
    region: tuple[float, float],
    step: float,
    error: float,
    nodes: int,
) -> tuple[Premise, ...]:
    proved = any(set(b.coordinates) == set(line.block) and b.is_gaussian for b in analysis.blocks) or not line.block
    scanned = f"{name} from {region[0]:.4g} to {region[1]:.4g} in steps of {step:.2g}"
    quadratic = Premise(
        "Gaussian given one",
        Evidence.PROVED,
        f"log p is quadratic in the other coordinates given {name}: by static analysis, with rational coefficients",
    )
    definite = Premise(
        "definite",
        Evidence.PROVED if proved else Evidence.VERIFIED,
        "their precision is positive definite"
        + (": by static analysis" if proved else f": a Cholesky factor at every node, {scanned}"),
    )
    moments = Premise(
        MOMENTS,
        Evidence.PROVED if analysis.has_moments(2) else Evidence.VERIFIED,
        "the posterior is proper with finite second moments: "
        + (
            f"by static analysis, {analysis.moments[2].reason}"
            if analysis.has_moments(2)
            else f"its marginal falls by over {_SHALLOW:g} nats towards both ends, {scanned}; none beyond is seen"
        ),
    )
    quadrature = Premise(
        "quadrature",
        Evidence.VERIFIED,
        f"two rules over {name} agree to {error:.1g} posterior sd ({nodes} nodes at most); the marginal's terms change "
        f"no faster than the scan, {scanned}",
    )
    return quadratic, definite, moments, quadrature
