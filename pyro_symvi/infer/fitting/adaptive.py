"""Minimising a divergence by importance weights: one proposal that follows the fit, else a tempered mixture."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch

from ...density._modes import distant_modes
from ...density._proposal import Proposal, Scale, whiten
from ...divergences import Divergence
from ...families import LocationScale, Parameters
from .chart import Chart, Outcome, Report
from .confirmation import confirmed
from .noise import labelled_noise
from .result import FitStatus
from .tempering import Tempered, temper
from .weighted import minimize_on_draws, minimize_weighted
from .whole_orbits import Orbits

_DF, _HEAVY_DF = 5.0, 2.0
_COVERED = 4.0
"""A mode within this many scales of the proposal's centre is drawn from often enough."""
_NEGLIGIBLE = 9.0
"""A mode whose mass (by its curvature) is this many nats below the main one's is left out."""
_POINTS = 4096
_DENSE = 200
_FEW_SHARE = 0.1
_REPLICATES = 4
"""Orbits a dimension, at least."""
_VARIANCE = 0.5
"""Pareto k-hat above which weights have no variance, and a standard error from them no meaning."""


@dataclass(frozen=True)
class AdaptiveFit:
    """How to minimise a divergence with alpha > 0 by importance weights.

    1. One Student-t(5) proposal that follows the fit's centre and the weighted covariance (`minimize_weighted`): closed
       noise keeps a symmetric centre exact. Where the weights' tail index is above 0.7, once more with t(2).
    2. For alpha >= 1 a search for other modes (below 1 each may have an optimum of its own, and several starts tell
       them apart). Where one of some mass lies far out of the proposal, or where the weights rested on few
       draws, a mixture of t(5) laws is led from wide laws at the modes to the target along a ladder of tempered
       targets (`temper`).
    3. If that mixture has one component, step 1 starts again from it. If it has several, or that failed, the fixed
       point on independent draws of the mixture; its sampling error is the fit's ``standard_error``.

    Where the ladder does not arrive, the final weights are poor, or fresh draws disagree (`confirmed`), the status says
    so; the parameters are the first guess's where nothing better is known.

    Attributes:
        chart: Target, family and first guess.
        divergence: Its exponent alpha is positive.
        reflect: Coordinates the noise is closed under reflection of; empty for all.
        count: Number of draws, at least.
        max_steps, tolerance: Of each fixed point.
        generator: Random state.
        orbits: Of a finite group: draws come in whole orbits (of independent draws, if the centre is known).
    """

    chart: Chart
    divergence: Divergence
    reflect: tuple[int, ...]
    count: int
    max_steps: int
    tolerance: float
    generator: torch.Generator
    orbits: Orbits | None = None

    def run(self, report: Report) -> Outcome:
        """The outcome; the same random numbers at every call."""
        state = torch.Generator()
        state.set_state(self.generator.get_state())
        outcome, count = replace(self, generator=state)._run(report)
        chart, alpha = self.chart, self.divergence.alpha
        outcome = confirmed(chart.density, chart.family, alpha, outcome, self.count, state)
        return replace(outcome, num_draws=count)

    def _run(self, report: Report) -> tuple[Outcome, int]:
        """The outcome and the number of draws it rests on."""
        best = self._following(_DF, None, report)
        heavy = self._heavy_modes() if self.divergence.alpha >= 1 else []
        modes = _uncovered(best[0], heavy)
        if modes and len(heavy) == 1:  # the first guess was none: begin at the mode
            best = self._following(
                _DF, self._from_proposal(Proposal.at([Scale(heavy[0].center, 2 * heavy[0].root)])), report
            )
            modes = _uncovered(best[0], heavy)
        if not modes and not _poor(*best):
            return best
        tempered = self._tempered(heavy)
        if not tempered.arrived:
            told = f"; the ladder to the target stopped at exponent {tempered.exponent:.2g}"
            few = replace(best[0], status=FitStatus.FEW_EFFECTIVE_PARTICLES, details=best[0].details + told)
            if few.status is not best[0].status:
                return few, best[1]
            return replace(few, parameters=self.chart.reference, errors=None), best[1]
        start = self._from_proposal(tempered.proposal)
        if not modes:
            again = self._following(_DF, start, report)
            if not _poor(*again):
                return again
        proposal = _defended(tempered.proposal, start[0]["loc"], start[1])
        z, log_r, labels = self._independent(proposal)
        steps, tolerance = self.max_steps, self.tolerance
        outcome = minimize_on_draws(self.chart, self.divergence, z, log_r, steps, tolerance, report, start, labels)
        if not modes and not _unusable(best[0]) and outcome.effective_particles < 1.5 * best[0].effective_particles:
            return best
        told = f"; mixture of {len(tempered.proposal.shares)} proposals, {len(tempered.rungs) - 1} tempered steps"
        return replace(outcome, details=outcome.details + told), len(z)

    def _following(
        self, df: float, start: tuple[Parameters, torch.Tensor] | None, report: Report
    ) -> tuple[Outcome, int]:
        """A Student-t proposal that follows the fit; with heavier tails where the weights ask for them."""
        proposal = LocationScale(self.chart.density.dim, base="student_t", scale="full", df=df)
        copies = 1 if self.orbits is None else self.orbits.copies
        count = self._replicates(copies)
        noise, labels = labelled_noise(proposal, count, reflect=self.reflect, generator=self.generator)
        steps, tolerance = self.max_steps, self.tolerance
        outcome = minimize_weighted(
            self.chart, self.divergence, proposal, noise, labels, steps, tolerance, report, start, self.orbits
        )
        if outcome.status is FitStatus.HEAVY_WEIGHTS and df > _HEAVY_DF:
            heavier = self._following(_HEAVY_DF, start, report)
            return heavier if heavier[0].status is FitStatus.CONVERGED else (outcome, copies * len(noise))
        return outcome, copies * len(noise)

    def _replicates(self, copies: int) -> int:
        """How many draws to join by so many images."""
        return max(math.ceil(self.count / copies), min(self.count, _REPLICATES * self.chart.density.dim))

    def _independent(self, proposal: Proposal) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draws of a mixture, in whole orbits about a known centre; their log density; numbers of the orbits."""
        if self.orbits is None or self.orbits.center is None:
            z = proposal.stratified(self.count, self.generator)
            return z, proposal.log_prob(z), torch.arange(len(z))
        base = proposal.stratified(self._replicates(self.orbits.order), self.generator)
        z, log_r = self.orbits.draws(proposal, base)
        return z, log_r, torch.arange(len(base)).repeat(self.orbits.order)

    def _guess(self) -> Scale:
        """The first guess."""
        root = self.chart.root
        return Scale(self.chart.point, torch.diag(root) if root.ndim == 1 else root)

    def _heavy_modes(self) -> list[Scale]:
        """Modes of some mass, the first guess among them if it is one."""
        density, main = self.chart.density, self._guess()
        if density.dim > _DENSE or not math.isfinite(float(density(main.center))):
            return []
        found = [main, *distant_modes(density, main, generator=self.generator, num_points=_POINTS)]
        masses = [float(density(s.center).detach()) + float(s.root.diagonal().log().sum()) for s in found]
        return [s for s, mass in zip(found, masses, strict=True) if mass > max(masses) - _NEGLIGIBLE]

    def _tempered(self, modes: list[Scale]) -> Tempered:
        """The ladder, from laws of twice the curvature's width at the modes, or at the first guess if none is known."""
        first = self._guess()
        wide = [Scale(s.center, 2 * s.root) for s in modes or [first]]
        return temper(self.chart.density, Proposal.at(wide), max(2048, self.count // 2), self.generator)

    def _from_proposal(self, proposal: Proposal) -> tuple[Parameters, torch.Tensor]:
        """Parameters and root of the mixture's mean and covariance."""
        mean = proposal.shares @ proposal.centers
        gaps = proposal.centers - mean
        spread = torch.einsum("k,ki,kj->ij", proposal.shares, gaps, gaps)
        covariance = torch.einsum("k,kij,klj->il", proposal.shares, proposal.roots, proposal.roots) + spread
        root = torch.linalg.cholesky(covariance)
        scale = self.chart.family.pattern.from_root(root)
        return {**self.chart.reference, "loc": mean, "scale": scale}, root


def _defended(proposal: Proposal, center: torch.Tensor, root: torch.Tensor) -> Proposal:
    """With a tenth of the draws from one wide law, so that no weight exceeds ten times what that alone would give."""
    return Proposal(
        torch.cat([proposal.centers, center[None]]),
        torch.cat([proposal.roots, 2 * root[None]]),
        torch.cat([0.9 * proposal.shares, torch.full((1,), 0.1, dtype=torch.float64)]),
    )


def _uncovered(outcome: Outcome, modes: list[Scale]) -> list[Scale]:
    """Those that the proposal draws from too seldom."""
    if outcome.root is None:
        return modes[1:]
    reach = Scale(outcome.parameters["loc"], outcome.root)
    return [s for s in modes if float(whiten(reach, (s.center - reach.center)[None]).norm()) > _COVERED]


def _unusable(outcome: Outcome) -> bool:
    """Whether the weights do not support the outcome at all."""
    bad = (FitStatus.FEW_EFFECTIVE_PARTICLES, FitStatus.HEAVY_WEIGHTS, FitStatus.NOT_FINITE)
    return outcome.status in bad


def _poor(outcome: Outcome, count: int) -> bool:
    """Whether a better proposal is worth a try: the weights have no variance, or the iteration got lost."""
    lost = outcome.status is FitStatus.MAX_STEPS and outcome.effective_particles < _FEW_SHARE * count
    return _unusable(outcome) or lost or outcome.pareto_k > _VARIANCE
