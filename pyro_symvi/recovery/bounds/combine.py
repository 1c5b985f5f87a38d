"""The smallest valid bound of each coordinate, all candidates computed at most once."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from ...density import LogDensity
from ...density._importance import RELIABLE, WeightedDraws
from ..analysis import Analysis
from ..theorems import MOMENTS, REFLECTION_BOUND, SUPPORT
from ..verdicts import Evidence, Premise
from ._bound import Bound, refused
from .conditional_gaussian import (
    ConditionalGaussianMoments,
    conditional_gaussian_bound,
    conditional_gaussian_moments,
)
from .localised import localised_bound
from .reflection import ReflectionBound, reflection_bound
from .regression import read_regression

_CONTRADICTS = 6.0
"""Standard errors between a computed mean and the weighted draws' from which neither is believed."""
_CONTRADICTION = "weighted draws contradict the quadrature"
_KEPT = "_conditional_gaussian_moments"


class MeanBounds:
    """Bounds on the errors of the fitted means of one target.

    Args:
        density: The target.
        location: Fitted location ``[d]``.
        draws: Weighted draws that were not used to fit it.
        analysis: Static analysis of the target; without it only bounds from draws are tried.
    """

    def __init__(
        self, density: LogDensity, location: torch.Tensor, draws: WeightedDraws, analysis: Analysis | None = None
    ) -> None:
        self.density, self.location, self.draws, self.analysis = density, location, draws, analysis
        self._reflections: dict[tuple[int, ...], ReflectionBound] = {}
        self._moments: ConditionalGaussianMoments | None = None
        self._quadrature: Bound | None = None
        self._localised: Bound | None = None

    # -- by reflection -----------------------------------------------------------------------------------------

    def reflections(self, i: int) -> list[tuple[int, ...]]:
        """Sets of coordinates to reflect for coordinate i, the smallest first: itself, proved blocks, site, all.

        A partial reflection that nearly holds gives a bound hundreds of times sharper than the full one.
        """
        everything = tuple(range(self.density.dim))
        site = next(s for s in self.density.sites if s.slice.start <= i < s.slice.stop)
        blocks = [b.coordinates for b in self.analysis.blocks if i in b.coordinates] if self.analysis else []
        found = dict.fromkeys([(i,), *blocks[:1], everything[site.slice], everything])
        return sorted(found, key=len)

    def reflected(self, i: int) -> ReflectionBound:
        """The smallest bound B0 of coordinate i, widened for having looked at several; a refused one if all are."""
        options = self.reflections(i)
        for option in options:
            if option not in self._reflections:
                self._reflections[option] = reflection_bound(
                    self.density, self.draws, self.location, option, looks=len(options)
                )
        found = [self._reflections[option] for option in options]
        usable = [b for b in found if b.usable]
        return min(usable, key=lambda b: b.bound) if usable else min(found, key=lambda b: b.k)

    # -- by computation ----------------------------------------------------------------------------------------

    @property
    def moments(self) -> ConditionalGaussianMoments | None:
        """Moments by one-dimensional quadrature; None without an analysis."""
        if self._moments is None and self.analysis is not None:
            kept = self.analysis.__dict__  # computed once for all statistics
            if _KEPT not in kept:
                kept[_KEPT] = conditional_gaussian_moments(self.density, self.analysis)
            self._moments = kept[_KEPT]
        return self._moments

    def correlation(self, i: int, j: int) -> tuple[float, float] | None:
        """A correlation by quadrature and its error; None where there is none, or weighted draws contradict means."""
        moments, bound = self.moments, self.quadrature()
        if moments is None or bound is None or not moments.usable or bound.refusal == _CONTRADICTION:
            return None
        return float(moments.correlations[i, j]), moments.error

    def quadrature(self) -> Bound | None:
        """Distance from the means computed by quadrature, withheld where weighted draws contradict them."""
        moments = self.moments
        if moments is not None and self._quadrature is None:
            self._quadrature = conditional_gaussian_bound(moments, self.location)
            if moments.usable and self._contradicted(moments):
                self._quadrature = refused(self._quadrature.name, self._quadrature.coordinates, _CONTRADICTION)
        return self._quadrature

    def localised(self) -> Bound | None:
        """Bound B3 of a logistic or Poisson regression read from the analysis; None where it is none."""
        if self._localised is None and self.analysis is not None:
            model = read_regression(self.analysis)
            if model is not None and self.draws.reliable:
                self._localised = localised_bound(model, self.location, sds=self.draws.sd_low)
        return self._localised

    def _contradicted(self, moments: ConditionalGaussianMoments) -> bool:
        """Beyond chance, where the draws have two moments themselves."""
        draws = self.draws
        if not draws.reliable or bool((draws.k_second >= RELIABLE).any()):
            return False
        weights = draws.log_weights.softmax(0)
        error = (weights.square() @ (draws.z - draws.mean).square()).sqrt()
        return bool(((draws.mean - moments.means).abs() > _CONTRADICTS * error + 1e-9 * moments.sds).any())

    # -- the best ----------------------------------------------------------------------------------------------

    def computed(self, i: int) -> Bound | None:
        """The smallest usable bound of coordinate i that uses no draws as an argument; None if there is none."""
        candidates = [b for b in (self.quadrature(), self.localised()) if b is not None and not math.isnan(b.at(i))]
        return min(candidates, key=lambda b: b.at(i)) if candidates else None

    def best(self, i: int, moments: Premise | None = None) -> Bound:
        """The smallest usable bound of coordinate i, whatever it rests on; a refused one, with the reason, if none is.

        Args:
            i: A flat coordinate.
            moments: The premise that second moments exist, for bounds from draws; k-hats by default.
        """
        computed, sampled = self.computed(i), as_bound(self.reflected(i), self.draws, moments)
        if computed is not None and not (sampled.usable and sampled.at(i) < computed.at(i)):
            return computed
        return sampled


def best_bound(
    density: LogDensity,
    location: torch.Tensor,
    draws: WeightedDraws,
    coordinate: int,
    analysis: Analysis | None = None,
) -> Bound:
    r"""The smallest valid bound of :math:`|E z_j - \nu_j|` in posterior sds: quadrature, B3 or B0.

    ``location``: ``[d]``, flat. For several coordinates make one `MeanBounds` and ask it, so that nothing is computed
    twice.

    Raises:
        ValueError: for a coordinate that the target does not have.
    """
    if not 0 <= coordinate < density.dim:
        raise ValueError(
            f"expected a coordinate from 0 to {density.dim - 1}, got {coordinate}, because the target has "
            f"{density.dim}; try density.slices"
        )
    return MeanBounds(density, location, draws, analysis).best(coordinate)


def as_bound(found: ReflectionBound, draws: WeightedDraws, moments: Premise | None = None) -> Bound:
    """A `ReflectionBound` with its premises."""
    if not found.usable:
        return refused(REFLECTION_BOUND.name, found.coordinates, found.refusal)
    k = float(draws.k_second[torch.tensor(found.coordinates)].max())
    exist = moments or Premise(
        MOMENTS, Evidence.VERIFIED, f"second moments exist: Pareto k-hat {k:.2f} < {RELIABLE} of squared deviations"
    )
    values = torch.full((len(found.coordinates),), found.bound, dtype=torch.float64)
    return Bound(
        REFLECTION_BOUND.name, found.coordinates, values, (exist, seen(found, draws)), "weighted draws, reflected"
    )


def seen(found: ReflectionBound, draws: WeightedDraws) -> Premise:
    """The premise that the draws represent the posterior."""
    return Premise(
        SUPPORT,
        Evidence.VERIFIED,
        f"the draws represent the posterior: Pareto k-hat {max(found.k, draws.k):.2f} < {RELIABLE} on "
        f"{len(draws.z)} draws; mass where none fell, such as a narrow or far mode, is not counted",
    )


def one_number_each(bounds: Sequence[Bound]) -> dict[tuple[int, ...], float]:
    """One number for each set of coordinates moved: the largest of its coordinates; sets without one are left out."""
    numbers = {}
    for bound in bounds:
        finite = bound.values[torch.isfinite(bound.values)]
        if bound.usable and len(finite) == len(bound.values):
            numbers[bound.coordinates] = float(finite.max())
    return numbers
