"""Certifying a fitted guide by symmetry, after the fact."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch

from ..divergences import Divergence
from ..groups import AffineAction, AxisFlips, EllipticalRotation, PointReflection
from ..infer.laplace import laplace_approximation
from ..infer.tails import require_finite_divergence
from .bounds import ReflectionBound, reflection_bound
from .certificate import Certificate, Entry, StatisticReport
from .importance import RELIABLE, WeightedDraws, weighted_draws
from .residuals import ResidualTest, Scale, residual_test
from .search import refine_center, reflection_candidates, shape_at
from .subject import Subject, read_subject
from .theorems import (
    ELLIPTICAL_CORRELATION,
    FITTED,
    INVARIANCE,
    MOMENTS,
    REFLECTION_BOUND,
    REFLECTION_MEAN,
    SUPPORT,
    pinned_mean,
    pinned_shape,
)
from .verdicts import Evidence, Premise, Verdict, weakest

STATISTICS = ("mean", "correlation")
FITTED_RESOLUTION = 1e-6
"""A fitted value this close to the exact one (posterior sds; absolute for correlations) counts as equal."""
WIDEST_MEAN, WIDEST_CORRELATION = 1.0, 0.05
"""Beyond these a known distance from the exact value is a refutation, not a bound."""


def certify(
    subject: Any,
    *args: Any,
    symmetry: AffineAction | None = None,
    statistics: Sequence[str] = ("mean",),
    divergence: Divergence | None = None,
    parameters: Mapping[str, torch.Tensor] | None = None,
    num_points: int = 768,
    num_draws: int = 8192,
    generator: torch.Generator | None = None,
    **kwargs: Any,
) -> Certificate:
    r"""Say which fitted means and correlations are right, and how that is known.

    The argument is a posteriori (`theorems`): if the target is unchanged by a reflection of some coordinates about a
    point, that point *is* their mean, whatever guide, divergence or optimiser led there. So the target is tested at the
    centre near the fitted value; the fitted value is compared with it; existence of moments and posterior scales come
    from importance-weighted draws. Where no reflection holds, `bounds.reflection_bound` limits the error.

    Numerical evidence gives at most ``VERIFIED``: no violation on the region explored. A narrow or far mode that no
    point came near is not seen.

    Args:
        subject: A `Fit`; or a fitted guide, followed by the model's arguments; or a `LocationScale` family, followed by
            a `LogDensity`, with ``parameters=``.
        *args: See ``subject``.
        symmetry: Test this action only (`PointReflection`, `AxisFlips`, `EllipticalRotation`); by default reflections of
            all coordinates, of sites and of parts of them are searched for. An unknown centre or shape is found.
        statistics: Of ``"mean"``, ``"correlation"``.
        divergence: What the guide was fitted by, if not known from ``subject``; checked to be finite.
        parameters: Parameters of a family.
        num_points: Random points for each residual test.
        num_draws: Weighted draws for scales, moments and bounds.
        generator: Random state; a fixed one by default, so that certificates repeat.
        **kwargs: Keyword arguments of the model.

    Returns:
        A `Certificate`.

    Raises:
        TypeError: A subject, symmetry or divergence of the wrong kind.
        ValueError: Unknown statistics; parameters that are not finite; an infinite divergence; whatever
            `LogDensity.from_model` refuses.
    """
    names = _checked_statistics(statistics)
    if symmetry is not None and not isinstance(symmetry, (PointReflection, AxisFlips, EllipticalRotation)):
        raise TypeError(
            f"expected symmetry as PointReflection, AxisFlips or EllipticalRotation, got {symmetry!r}, because a "
            "location-scale family moves with affine actions; try symmetry=None to search"
        )
    if divergence is not None and not isinstance(divergence, Divergence):
        raise TypeError(f"expected a divergence, got {divergence!r}; try ReverseKL() from pyro_symvi.divergences")
    read = read_subject(subject, args, kwargs, parameters)
    if symmetry is not None:
        symmetry.resolve_coordinates(read.density.dim)
    if divergence is not None and read.family is not None and read.parameters is not None:
        require_finite_divergence(read.density, read.family, dict(read.parameters), divergence)
    generator = torch.Generator().manual_seed(2) if generator is None else generator
    work = _Work(read, generator, num_points, num_draws)
    work.explore(symmetry, want_shape="correlation" in names)
    reports = {}
    if "mean" in names:
        reports["mean"] = work.mean_report(symmetry)
    if "correlation" in names:
        reports["correlation"] = work.correlation_report()
    return Certificate(reports, read, tuple(work.tests), work.region(), work.notes())


def _checked_statistics(statistics: Sequence[str]) -> tuple[str, ...]:
    names = (statistics,) if isinstance(statistics, str) else tuple(statistics)
    unknown = [name for name in names if name not in STATISTICS]
    if unknown or not names:
        raise ValueError(
            f"expected statistics among {list(STATISTICS)}, got {list(names)}, because no theorem speaks of others; "
            'try statistics=("mean", "correlation")'
        )
    return names


def _gap(gap: float) -> str:
    return "< 1e-12" if gap < 1e-12 else f"{gap:.0e}"


@dataclass
class _Work:
    """One certification: the exploration, then the reports."""

    subject: Subject
    generator: torch.Generator
    num_points: int
    num_draws: int
    tests: list[ResidualTest] = field(default_factory=list)
    reflections: list[ResidualTest] = field(default_factory=list)
    ellipses: list[ResidualTest] = field(default_factory=list)
    untestable: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        fitted = Scale(self.subject.loc, self.subject.root)
        self.draws: WeightedDraws = weighted_draws(
            self.subject.density, fitted, num_draws=self.num_draws, generator=self.generator
        )
        adapted = self.draws.effective > max(50, 5 * self.subject.density.dim)
        self.scale = Scale(self.subject.loc, self.draws.root if adapted else self.subject.root)
        self.sd = self.scale.root.square().sum(-1).sqrt()

    # -- exploration -------------------------------------------------------------------------------------------

    def explore(self, symmetry: AffineAction | None, want_shape: bool) -> None:
        """Find centres, test symmetries, keep those that hold."""
        density, dim = self.subject.density, self.subject.density.dim
        mode = laplace_approximation(density, self.subject.loc)
        start = mode.point if mode.is_mode else self.subject.loc
        if symmetry is None:
            candidates = reflection_candidates(density, start, self.scale, self.generator)
        elif isinstance(symmetry, AxisFlips):
            candidates = [(int(i),) for i in symmetry.resolve_coordinates(dim)]
        else:
            candidates = [tuple(symmetry.resolve_coordinates(dim).tolist())]
        for coordinates in candidates:
            held = [set(t.action.coordinates or ()) for t in self.reflections]
            if symmetry is None and any(set(coordinates) <= h for h in held):
                continue
            center = self._center(symmetry, coordinates, start)
            if center is None:
                self.untestable.append(f"no centre was found for coordinates {list(coordinates)}")
                continue
            test = self._test(PointReflection(coordinates=coordinates).bind(dim, center=center))
            if test.evidence is Evidence.VERIFIED:
                self.reflections.append(test)
        if want_shape or isinstance(symmetry, EllipticalRotation):
            self._explore_shapes(symmetry)

    def _center(
        self, symmetry: AffineAction | None, coordinates: tuple[int, ...], start: torch.Tensor
    ) -> torch.Tensor | None:
        density, dim = self.subject.density, self.subject.density.dim
        if symmetry is not None and symmetry.center is not None:
            bound = PointReflection(center=symmetry.center, coordinates=symmetry.coordinates).bind(dim)
            center = self.subject.loc.clone()
            center[torch.tensor(bound.coordinates)] = torch.as_tensor(bound.center).double()
            return center
        for first in (start, self.subject.loc):
            center = refine_center(density, first, coordinates, self.scale)
            if center is not None:
                return center
        return None

    def _test(self, action: AffineAction) -> ResidualTest:
        density = self.subject.density
        test = residual_test(density, action, self.scale, num_points=48, generator=self.generator)
        if test.evidence is not Evidence.REFUTED:
            test = residual_test(density, action, self.scale, num_points=self.num_points, generator=self.generator)
        self.tests.append(test)
        return test

    def _explore_shapes(self, symmetry: AffineAction | None) -> None:
        """Ellipticity of the blocks whose reflection holds (and of sites inside a block that is not elliptical)."""
        density, dim = self.subject.density, self.subject.density.dim
        for reflection in self.reflections:
            whole = tuple(reflection.action.coordinates or ())
            parts = [tuple(i for i in range(dim)[site.slice] if i in whole) for site in density.sites]
            for block in dict.fromkeys([whole, *parts]):
                held = [set(t.action.coordinates or ()) for t in self.ellipses]
                if len(block) < 2 or any(set(block) <= h for h in held):
                    continue
                center = self.subject.loc.clone()
                center[torch.tensor(whole)] = torch.as_tensor(reflection.action.center).double()
                if isinstance(symmetry, EllipticalRotation) and symmetry.shape is not None:
                    shape: torch.Tensor | None = torch.as_tensor(symmetry.shape)
                else:
                    shape = shape_at(density, center, block)
                if shape is None:
                    self.untestable.append(f"no elliptical shape was found for coordinates {list(block)}")
                    continue
                action = EllipticalRotation(coordinates=block).bind(
                    dim, center=center[torch.tensor(block)], shape=shape
                )
                test = self._test(action)
                if test.evidence is Evidence.VERIFIED:
                    self.ellipses.append(test)

    # -- premises ----------------------------------------------------------------------------------------------

    def _moments(self, order: int, indices: Sequence[int]) -> Premise:
        """Existence of first or second moments of some coordinates, from the tails of weighted draws."""
        ks = (self.draws.k_first if order == 1 else self.draws.k_second)[torch.tensor(list(indices))]
        worst = max(float(ks.max()), self.draws.k)
        what = "first moments" if order == 1 else "second moments"
        if worst < RELIABLE:
            text = f"the posterior is proper with finite {what}: Pareto k-hat {worst:.2f} < {RELIABLE} on {self.num_draws} draws"
            return Premise(MOMENTS, Evidence.VERIFIED, text)
        text = f"the posterior is proper with finite {what}: not established (Pareto k-hat {worst:.2f}), so assumed"
        return Premise(MOMENTS, Evidence.ASSUMED, text)

    def _names(self, coordinates: Sequence[int]) -> str:
        density = self.subject.density
        left, parts = set(coordinates), []
        for site in density.sites:
            inside = [i for i in range(density.dim)[site.slice] if i in left]
            if len(inside) == site.slice.stop - site.slice.start:
                parts.append(site.name)
            else:
                parts += [density.coordinates[i] for i in inside]
        return ", ".join(parts)

    # -- mean --------------------------------------------------------------------------------------------------

    def mean_report(self, symmetry: AffineAction | None) -> StatisticReport:
        """One entry a coordinate."""
        dim = self.subject.density.dim
        bounds: dict[tuple[int, ...], ReflectionBound] = {}
        entries = tuple(self._mean_entry(i, symmetry, bounds) for i in range(dim))
        return StatisticReport("mean", entries, (dim,), self.subject.density, tuple(range(dim)))

    def _mean_entry(
        self, i: int, symmetry: AffineAction | None, bounds: dict[tuple[int, ...], ReflectionBound]
    ) -> Entry:
        for test in self.reflections:
            if bool(pinned_mean(test.action)[i]):
                return self._pinned_mean_entry(i, test)
        label, value = f"mean of {self.subject.density.coordinates[i]}", float(self.subject.loc[i])
        if symmetry is not None and i not in symmetry.resolve_coordinates(self.subject.density.dim):
            reason = "the symmetry given does not move this coordinate"
            return Entry(label, Verdict.UNKNOWN, value, math.nan, reason)
        best = self._best_bound(i, bounds)
        if best.usable:
            return self._bounded_entry(i, label, value, best)
        refuted = [t for t in self.tests if t.evidence is Evidence.REFUTED and i in (t.action.coordinates or ())]
        why = f"; no bound: {best.refusal}"
        if refuted:
            test = refuted[-1]
            premise = test.premise(INVARIANCE, f"reflection of ({self._names(test.action.coordinates or ())})")
            witness = tuple(test.witness.tolist()) if test.witness is not None else None
            reason = f"not symmetric: residual {test.witness_residual:.2g} nats at the witness{why}"
            return Entry(label, Verdict.REFUTED, value, math.nan, reason, REFLECTION_MEAN.name, (premise,), witness=witness)
        unknown = [t for t in self.tests if i in (t.action.coordinates or ())]
        if unknown:
            premise = unknown[-1].premise(INVARIANCE, f"reflection of ({self._names(unknown[-1].action.coordinates or ())})")
            return Entry(
                label, Verdict.UNKNOWN, value, math.nan, f"the symmetry could not be decided{why}", "", (premise,)
            )
        return Entry(label, Verdict.UNKNOWN, value, math.nan, f"no centre to test a reflection at{why}")

    def _pinned_mean_entry(self, i: int, test: ResidualTest) -> Entry:
        coordinates = test.action.coordinates or ()
        center = float(torch.as_tensor(test.action.center)[coordinates.index(i)])
        value = float(self.subject.loc[i])
        gap = abs(value - center) / float(self.sd[i])
        moments = self._moments(1, [i])
        group = self._names(coordinates)
        invariance = test.premise(INVARIANCE, f"reflection of ({group})")
        exists = moments.evidence is Evidence.VERIFIED and self.subject.has_mean
        statistic = "mean" if exists else "centre of symmetry"
        label = f"{statistic} of {self.subject.density.coordinates[i]}"
        if gap <= FITTED_RESOLUTION:
            fitted = Premise(FITTED, Evidence.VERIFIED, f"within {FITTED_RESOLUTION:g} posterior sd of the centre")
            premises = (invariance, moments, fitted)
            verdict = weakest(premises)
            reason = f"even in ({group}) about the fitted value; gap {_gap(gap)} sd"
            if verdict is Verdict.CONDITIONAL:
                reason += "; if the posterior is proper and its mean exists"
            return Entry(label, verdict, value, math.nan, reason, REFLECTION_MEAN.name, premises, exact=center)
        fitted = Premise(FITTED, Evidence.REFUTED, f"the fitted value is {gap:.2g} posterior sd from the centre of symmetry")
        premises = (invariance, moments, fitted)
        reason = f"even in ({group}) about {center:.6g}; the optimiser stopped {gap:.2g} sd away"
        if moments.evidence is not Evidence.VERIFIED:
            verdict, bound = Verdict.UNKNOWN, math.nan
            reason += "; existence of the mean not established"
        elif gap <= WIDEST_MEAN:
            verdict, bound = Verdict.BOUNDED, gap
        else:
            verdict, bound = Verdict.REFUTED, math.nan
        return Entry(label, verdict, value, bound, reason, REFLECTION_MEAN.name, premises, exact=center)

    def _best_bound(self, i: int, bounds: dict[tuple[int, ...], ReflectionBound]) -> ReflectionBound:
        density = self.subject.density
        site = next(s for s in density.sites if s.slice.start <= i < s.slice.stop)
        options = [(i,), tuple(range(density.dim)[site.slice]), tuple(range(density.dim))]
        for option in options:
            if option not in bounds:
                bounds[option] = reflection_bound(density, self.draws, self.subject.loc, option)
        usable = [bounds[o] for o in options if bounds[o].usable]
        return min(usable, key=lambda b: b.bound) if usable else min((bounds[o] for o in options), key=lambda b: b.k)

    def _bounded_entry(self, i: int, label: str, value: float, bound: ReflectionBound) -> Entry:
        moments = self._moments(2, bound.coordinates)
        seen = Premise(
            SUPPORT,
            Evidence.VERIFIED,
            f"the posterior is where the draws are: Pareto k-hat {max(bound.k, self.draws.k):.2f} < {RELIABLE} on "
            f"{self.num_draws} draws; mass where no draw fell is not counted",
        )
        position = bound.coordinates.index(i)
        estimate = float(bound.error[position] / self.draws.sd[i])
        noise = float(bound.error_se[position] / self.draws.sd[i])
        strength = "weak bound" if bound.bound > 0.3 else "bound"
        reason = f"{strength} from reflecting ({self._names(bound.coordinates)}); error estimated {estimate:+.2g} +- {noise:.1g} sd"
        return Entry(label, Verdict.BOUNDED, value, bound.bound, reason, REFLECTION_BOUND.name, (moments, seen))

    # -- correlation -------------------------------------------------------------------------------------------

    def correlation_report(self) -> StatisticReport:
        """One entry a pair; the diagonal is one by definition."""
        dim = self.subject.density.dim
        fitted = self.subject.correlation
        entries = tuple(self._pair_entry(i, j, float(fitted[i, j])) for i in range(dim) for j in range(dim))
        return StatisticReport("correlation", entries, (dim, dim), self.subject.density, tuple(range(dim)))

    def _pair_entry(self, i: int, j: int, value: float) -> Entry:
        names = self.subject.density.coordinates
        label = f"correlation of {names[i]}, {names[j]}"
        if i == j:
            return Entry(label, Verdict.PROVED, 1.0, math.nan, "one by definition", exact=1.0)
        for test in self.ellipses:
            inside = list(test.action.coordinates or ())
            if i in inside and j in inside and pinned_shape(test.action):
                shape = torch.as_tensor(getattr(test.action, "shape"))  # noqa: B009
                a, b = inside.index(i), inside.index(j)
                exact = float(shape[a, b] / (shape[a, a] * shape[b, b]).sqrt())
                why, what = f"elliptical in ({self._names(inside)})", f"rotations of ({self._names(inside)})"
                return self._pinned_pair(label, value, exact, (i, j), why, test.premise(INVARIANCE, what))
        for test in self.reflections:
            inside = list(test.action.coordinates or ())
            if (i in inside) != (j in inside):
                why, what = f"even in ({self._names(inside)})", f"reflection of ({self._names(inside)})"
                return self._pinned_pair(label, value, 0.0, (i, j), why, test.premise(INVARIANCE, what))
        reason = "no verified symmetry pins this pair"
        return Entry(label, Verdict.UNKNOWN, value, math.nan, reason)

    def _pinned_pair(
        self, label: str, value: float, exact: float, pair: tuple[int, int], why: str, invariance: Premise
    ) -> Entry:
        gap = abs(value - exact)
        moments = self._moments(2, pair)
        if gap <= FITTED_RESOLUTION:
            fitted = Premise(FITTED, Evidence.VERIFIED, f"within {FITTED_RESOLUTION:g} of the symmetric value")
        else:
            fitted = Premise(FITTED, Evidence.REFUTED, f"the fitted value is {gap:.2g} from the symmetric one, {exact:.6g}")
        premises = (invariance, moments, fitted)
        verdict, bound, reason = weakest(premises), math.nan, f"{why}; gap {_gap(gap)}"
        if fitted.evidence is Evidence.REFUTED:
            reason = f"{why}, which gives {exact:.6g}"
            if moments.evidence is not Evidence.VERIFIED:
                verdict = Verdict.UNKNOWN
            elif gap <= WIDEST_CORRELATION:
                verdict, bound = Verdict.BOUNDED, gap
        return Entry(label, verdict, value, bound, reason, ELLIPTICAL_CORRELATION.name, premises, exact=exact)

    # -- remarks -----------------------------------------------------------------------------------------------

    def region(self) -> str:
        """What was looked at."""
        held = [t for t in self.reflections + self.ellipses]
        reach = max((t.reach for t in held), default=0.0)
        points = sum(t.points for t in held)
        text = f"{self.num_draws} weighted draws (Pareto k-hat {self.draws.k:.2f}, {self.draws.effective:.0f} effective)"
        if held:
            text = f"{points} residuals to {reach:.0e} scales from the centre; " + text
        return text + "; nothing is known of mass that none of these points came near"

    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader."""
        notes = list(self.subject.density.notes) + self.untestable
        if not self.subject.density.vectorized:
            notes.append(f"evaluated in a loop: {self.subject.density.loop_reason}")
        if not self.subject.has_mean:
            notes.append("the guide's law has no mean (df <= 1): its location is a centre of symmetry")
        return tuple(notes)
