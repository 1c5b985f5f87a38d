"""What is known of the mean of a target on the sphere: its direction, its length, its axes, and on what evidence."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import torch

from ...groups import AxialRotation, LinearAction
from ..theorems.theorem import INVARIANCE, PROPER
from ..verdicts import Evidence, Premise
from . import axes
from .algebra import SphereAlgebra, Vector
from .density import tangent
from .moments import SphereMoments, sphere_moments
from .peaks import find_peaks
from .residuals import SphereTest, sphere_test
from .subject import SphereSubject

SEPARATION = 1e-6
"""A mean shorter than this has no direction that could be told from rounding."""
_MOST_PROVED = 4
_KINDS = {True: "zonal about", False: "unchanged by the half-turn about"}


@dataclass(frozen=True)
class Axis:
    """A line that E x lies on, by symmetry.

    Attributes:
        a: Unit vector ``[n]``.
        rational: Its exact multiple, where the symmetry is proved.
        zonal: Whether all rotations about it leave p unchanged.
        kind: In words, to be followed by "the axis".
        premise: That p is invariant, with its evidence.
    """

    a: torch.Tensor
    rational: Vector | None
    zonal: bool
    kind: str
    premise: Premise

    @property
    def is_proved(self) -> bool:
        """Whether the symmetry is proved."""
        return self.premise.evidence is Evidence.PROVED


@dataclass
class SphereFacts:
    """Everything found about one target.

    Attributes:
        subject: Target and fitted law.
        symmetry: Test this action only; None to search.
        num_draws: Weighted draws, above three dimensions.
        generator: Random state.
        tests: Residual tests made.
        found: Axes, the strongest evidence first.
        centred: The premise that maps which fix no direction leave p unchanged, where it holds: E x = 0.
        notes: Remarks.
        refused: Why the symmetry given does not hold; empty if none was given, or it holds.
    """

    subject: SphereSubject
    symmetry: LinearAction | None
    num_draws: int
    generator: torch.Generator
    tests: list[SphereTest] = field(default_factory=list)
    found: list[Axis] = field(default_factory=list)
    centred: Premise | None = None
    notes: list[str] = field(default_factory=list)
    refused: str = ""

    def __post_init__(self) -> None:
        density = self.subject.density
        self.algebra = SphereAlgebra(density)
        self.natural = self.algebra.natural_parameter()
        self.peaks = find_peaks(density, self.generator, self._starts())
        if not self.algebra.is_read and self.natural is None:
            self.notes.append(f"nothing was proved: {self.algebra.refusal}")
        self.rough = self._moments(None)
        if self.symmetry is not None:
            self._user(self.symmetry)
        else:
            self._prove()
            if not self.found and self.centred is None:
                self._search()
        self._centre()
        zonal = next((axis.a for axis in self.found if axis.zonal), None)
        settled = zonal is None or density.dim == 2 or (self.rough.numerical and self.rough.reliable)
        self.moments: SphereMoments = self.rough if settled else self._moments(zonal)

    # -- the mean ----------------------------------------------------------------------------------------------

    @property
    def is_uniform(self) -> bool:
        """Whether p is constant, exactly."""
        return self.natural is not None and not any(self.natural)

    @property
    def exact(self) -> torch.Tensor | None:
        """Natural parameter ``[n]`` of an exact von Mises-Fisher target, each number rounded once."""
        if self.natural is None or not any(self.natural):
            return None
        return torch.tensor([float(b) for b in self.natural], dtype=torch.float64)

    @property
    def proper(self) -> Premise:
        """That p is integrable, so that E x exists."""
        if self.algebra.is_bounded():
            text = "by static analysis, log p is built of functions without poles, so it is bounded on the sphere"
            return Premise(PROPER, Evidence.PROVED, text)
        if self.moments.reliable:
            return Premise(PROPER, Evidence.VERIFIED, f"its integral was computed: {self.moments.region()}")
        return Premise(PROPER, Evidence.UNKNOWN, f"its integral did not settle: {self.moments.region()}")

    @property
    def increases(self) -> bool:
        """Whether log p is proved to be w(a.x) with w never decreasing and not constant, about some axis."""
        if self.exact is not None:
            return True
        found = [axis.rational for axis in self.found if axis.rational is not None]
        return any(self.algebra.increases_along([s * x for x in a]) for a in found for s in (1, -1))

    def along(self, a: torch.Tensor) -> tuple[float, float]:
        """E a.x and its error."""
        mean, error = self.moments.mean_of(self.moments.x @ a)
        return float(mean), float(error)

    def length(self) -> tuple[float, float]:
        """|E x| and its error."""
        mean, error = self.moments.mean_of(self.moments.x)
        return float(mean.norm()), float(error.norm())

    @property
    def angular_sd(self) -> float:
        """Root mean square sine of the angle to the mean direction, at most 1: what is far for a direction."""
        mean = self.moments.mean
        norm = float(mean.norm())
        if norm < SEPARATION:
            return 1.0
        cosine = self.moments.x @ (mean / norm)
        return math.sqrt(max(float(self.moments.mean_of(1 - cosine.square())[0]), 1e-30))

    # -- symmetries --------------------------------------------------------------------------------------------

    def _moments(self, zonal: torch.Tensor | None) -> SphereMoments:
        return sphere_moments(
            self.subject.density, self.peaks, zonal_axis=zonal, num_draws=self.num_draws, generator=self.generator
        )

    def _starts(self) -> torch.Tensor | None:
        """Where to climb from besides random directions: the fitted one, and vectors that occur in the expression.

        A narrow maximum about such a vector has no slope that leads to it from afar.
        """
        starts = [] if self.subject.direction is None else [self.subject.direction]
        for a in self.algebra.linear_forms():
            starts += [_unit(a), -_unit(a)]
        return torch.stack(starts) if starts else None

    def _candidates(self) -> list[torch.Tensor]:
        """Directions to try: the fitted one, the mean, axes of second moments, the highest maxima."""
        mean, second = self.rough.mean, self.rough.second
        tried = [] if self.subject.direction is None else [self.subject.direction]
        if float(mean.norm()) > SEPARATION:
            tried.append(mean / mean.norm())
        if bool(torch.isfinite(second).all()):
            tried += list(torch.linalg.eigh(second).eigenvectors.mT)
        tried += list(self.peaks.x[:4])
        if len(self.peaks.x) > 1:
            both = self.peaks.x[0] + self.peaks.x[1]
            tried += [both / both.norm()] if float(both.norm()) > 0.1 else []
        return axes.distinct([t for t in tried if bool(torch.isfinite(t).all())], 1e-4)

    def _prove(self) -> None:
        """Half-turns about rational axes, by algebra; what residuals contradict is withdrawn."""
        algebra = self.algebra
        if self.is_uniform:
            text = "every rotation: by static analysis, log p is constant on the sphere"
            self.centred = Premise(INVARIANCE, Evidence.PROVED, text)
            return
        proposed = [self.natural] if self.natural is not None else algebra.proposed_axes(self._candidates())
        for a in proposed if algebra.is_read else []:
            if len(self.found) < _MOST_PROVED and algebra.has_half_turn(a):
                self._keep_proved(a)
        self.found.sort(key=lambda axis: not axis.zonal)

    def _keep_proved(self, a: Vector) -> None:
        unit = _unit(a)
        test = self._test(axes.half_turn(unit, found=False))
        if test.evidence is Evidence.REFUTED:
            self.notes.append("a proof of a half-turn is withdrawn: a residual speaks against it")
            return
        zonal = self.algebra.is_zonal(a)
        what = "all rotations about the axis" if zonal else "the half-turn about the axis"
        how = (
            "log p depends on x through a.x alone, as an expression with rational constants"
            if zonal
            else "substituting it in log p, with rational constants, gives the same expression"
        )
        premise = Premise(INVARIANCE, Evidence.PROVED, f"{what}: by static analysis, {how}")
        self.found.append(Axis(unit, a, zonal, _KINDS[zonal], premise))

    def _search(self) -> None:
        """Half-turns about axes near the candidates, by residuals."""
        for start in self._candidates():
            if any(float(tangent(held.a, start).norm()) < 1e-6 for held in self.found):
                continue
            refined = axes.refined_axis(self.subject.density, start, self.peaks)
            if any(float(tangent(held.a, refined).norm()) < 1e-7 for held in self.found):
                continue
            self._keep_tested(refined)
            if self.found and self.found[0].zonal:
                return
        self.found.sort(key=lambda axis: not axis.zonal)

    def _keep_tested(self, a: torch.Tensor) -> None:
        test = self._test(axes.half_turn(a))
        if test.evidence is not Evidence.VERIFIED:
            return
        turning = self._test(axes.rotations(a, self.generator))
        zonal = turning.evidence is Evidence.VERIFIED
        shown, what = (turning, "rotations about the axis") if zonal else (test, "half-turn about the axis")
        self.found.append(Axis(a, None, zonal, _KINDS[zonal], shown.premise(INVARIANCE, what)))

    def _user(self, action: LinearAction) -> None:
        """The action given, by algebra where its matrices are rational, and by residuals."""
        density = self.subject.density
        symmetry = axes.of_action(action, density.dim, self.generator)
        if not len(symmetry.matrices):
            self.notes.append(f"the symmetry given, {action!r}, moves nothing: it pins no direction")
            return
        test = self._test(symmetry)
        proved = test.evidence is not Evidence.REFUTED and self._proved_action(action, symmetry)
        name = type(action).__name__
        if proved:
            premise = Premise(
                INVARIANCE, Evidence.PROVED, f"{name}: by static analysis of log p, with rational constants"
            )
        else:
            premise = test.premise(INVARIANCE, name)
        if premise.evidence not in (Evidence.PROVED, Evidence.VERIFIED):
            self.refused = f"the symmetry given is not shown to hold ({premise.statement})"
            self.notes.append(self.refused)
            return
        if symmetry.axis is not None:
            zonal = isinstance(action, AxialRotation) and density.dim >= 3
            rational = self._rational(symmetry.axis) if proved else None
            a = symmetry.axis if rational is None else _unit(rational)
            self.found.append(Axis(a, rational, zonal, f"unchanged by {name} about", premise))
        elif axes.fixes_only_zero(action):
            self.centred = premise

    def _proved_action(self, action: LinearAction, symmetry: axes.SphereSymmetry) -> bool:
        if not (self.algebra.is_read or self.is_uniform):
            return False
        if isinstance(action, AxialRotation):
            rational = self._rational(symmetry.axis)
            return rational is not None and self.algebra.is_zonal(rational)
        if not action.group.is_finite:
            return self.is_uniform
        matrices = [_rational_matrix(m) for m in symmetry.matrices]
        return all(m is not None and self.algebra.invariant_under(m) for m in matrices)

    def _rational(self, axis: torch.Tensor | None) -> Vector | None:
        """A rational vector that gives the axis to the last digit."""
        if axis is None:
            return None
        for a in self.algebra.proposed_axes([axis]):
            if float(tangent(_unit(a), axis).norm()) < 1e-15:
                return a
        return None

    def _centre(self) -> None:
        """Whether E x = 0 by symmetry: two axes, or the antipodal map."""
        if self.centred is not None:
            return
        for other in self.found[1:]:
            if float(tangent(self.found[0].a, other.a).norm()) > 1e-3:
                weaker = other.premise if not other.is_proved else self.found[0].premise
                text = f"half-turns about two axes: {weaker.statement}"
                self.centred = Premise(INVARIANCE, weaker.evidence, text)
                return
        if self.symmetry is not None:
            return
        length, error = float(self.rough.mean.norm()), float(self.rough.mean_of(self.rough.x)[1].norm())
        if length > SEPARATION + error:
            return
        test = self._test(axes.antipode(self.subject.density.dim))
        if test.evidence is not Evidence.REFUTED and self.algebra.is_read and self.algebra.is_even():
            text = "antipodal map: by static analysis, substituting -x in log p gives the same expression"
            self.centred = Premise(INVARIANCE, Evidence.PROVED, text)
        elif test.evidence is Evidence.VERIFIED:
            self.centred = test.premise(INVARIANCE, "antipodal map")

    def _test(self, symmetry: axes.SphereSymmetry) -> SphereTest:
        test = sphere_test(self.subject.density, symmetry, self.peaks, self.generator)
        self.tests.append(test)
        return test

    # -- remarks -----------------------------------------------------------------------------------------------

    def region(self) -> str:
        """What was looked at."""
        held = [t for t in self.tests if t.evidence is Evidence.VERIFIED]
        parts = [f"{sum(t.points for t in held)} residuals"] if held else []
        parts.append(self.moments.region())
        parts.append(f"a climb from {self.peaks.starts} directions ({len(self.peaks.x)} maxima found)")
        return "; ".join(parts) + "; nothing is known of mass narrower than the gaps that no slope leads to"


def _unit(a: Sequence[Fraction]) -> torch.Tensor:
    largest = max(abs(x) for x in a)
    vector = torch.tensor([float(x / largest) for x in a], dtype=torch.float64)
    return vector / vector.norm()


def _rational_matrix(matrix: torch.Tensor) -> list[list[Fraction]] | None:
    """Rationals equal to the entries to the last digit, if these are simple ones."""
    rows = [[Fraction(float(x)).limit_denominator(1000) for x in row] for row in matrix]
    close = all(
        abs(float(r) - float(x)) < 1e-15
        for rs, xs in zip(rows, matrix, strict=True)
        for r, x in zip(rs, xs, strict=True)
    )
    return rows if close else None
