"""What a certificate looks at: draws, modes, tails, and the symmetries that hold or fail."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch

from ...density._importance import RELIABLE, WeightedDraws
from ...density._proposal import Scale
from ...groups import AffineAction, AxisFlips, EllipticalRotation, PointReflection
from ..proofs import Proofs
from ..subject import Subject
from ..theorems import MOMENTS
from ..verdicts import Evidence, Premise
from .adversary import SCREENED
from .optimum import Optimum, check_optimum
from .profiles import marginal_power
from .residuals import ResidualTest, rechecked, residual_test
from .search import refine_center, reflection_candidates, shape_at
from .surroundings import Surroundings
from .tails import Tails

_QUICK, _GUARD = 48, 384
_WITNESSES = 32
_NOTHING = 1e-9
"""Gaps of this many rough scales are nothing on any: a rough scale is never a thousand times too large."""
_MARGIN = 0.02
_RIDGE_MARGIN = 0.1
_MOST_SINGLES = 12


@dataclass
class Exploration:
    """Everything found about one target, from which the reports are written.

    Attributes:
        subject: Target and fitted guide.
        generator: Random state.
        num_points: Random points for each residual test.
        num_draws: Weighted draws.
        around: The target about the fitted point, looked at when asked for.
        tests: All symmetries tested.
        reflections: Reflections that hold.
        ellipses: Rotations that hold.
        untestable: What could not be tested, and why.
        ridges: Powers of marginal tails, by the coordinates combined.
        given: What static analysis proves, where that was asked before; ``proofs`` once made.
    """

    subject: Subject
    generator: torch.Generator
    num_points: int
    num_draws: int
    tests: list[ResidualTest] = field(default_factory=list)
    reflections: list[ResidualTest] = field(default_factory=list)
    ellipses: list[ResidualTest] = field(default_factory=list)
    untestable: list[str] = field(default_factory=list)
    ridges: dict[tuple[int, ...], float] = field(default_factory=dict)
    given: Proofs | None = None

    def __post_init__(self) -> None:
        self.proofs = Proofs(self.subject.density) if self.given is None else self.given
        self.around = Surroundings(self.subject, self.proofs.analysis, self.generator, self.num_draws)

    @property
    def draws(self) -> WeightedDraws:
        """Weighted draws of the target."""
        return self.around.draws

    @property
    def modes(self) -> list[Scale]:
        """Modes besides the main one."""
        return self.around.modes

    @property
    def start(self) -> torch.Tensor:
        """Where the search for centres starts: the mode, or the fitted location."""
        return self.around.start

    @property
    def scale(self) -> Scale:
        """Posterior scales about the fitted location, for the residual tests."""
        return self.around.scale

    @property
    def tails(self) -> Tails:
        """How the density falls far out."""
        return self.around.tails

    @property
    def sd(self) -> torch.Tensor:
        """``[d]``, posterior standard deviations on the low side: what gaps are divided by."""
        return self.around.sd

    def unit(self, i: int, gap: float) -> float:
        """What the gap of coordinate i is divided by: a rough scale where it is nothing on any, else `sd`."""
        rough = float(self.around.rough_sd[i])
        return rough if gap <= _NOTHING * rough and "draws" not in self.around.__dict__ else float(self.sd[i])

    @cached_property
    def optimum(self) -> Optimum:
        """Whether the divergence, where it is known, holds the fitted location: looked at when first asked for."""
        return check_optimum(self.around, torch.Generator().manual_seed(6))

    # -- symmetries --------------------------------------------------------------------------------------------

    def search(self, symmetry: AffineAction | None, want_shape: bool) -> None:
        """Find centres, test symmetries, keep those that hold."""
        density, dim = self.subject.density, self.subject.density.dim
        self.proofs.restrict(symmetry)
        if symmetry is None:
            proved = self.proofs.all_coordinates()
            if proved:
                self._try(symmetry, proved)
            if set(proved) != set(range(dim)) or not self.reflections:
                searched = reflection_candidates(density, self.around.start, self.around.scale, self.generator)
                for coordinates in searched:
                    held = [set(t.action.coordinates or ()) for t in self.reflections]
                    if not any(set(coordinates) <= h for h in held):
                        self._try(symmetry, coordinates)
        elif isinstance(symmetry, AxisFlips):
            for i in symmetry.resolve_coordinates(dim):
                self._try(symmetry, (int(i),))
        else:
            self._try(symmetry, tuple(symmetry.resolve_coordinates(dim).tolist()))
        self._recheck()
        if want_shape or isinstance(symmetry, EllipticalRotation):
            self._search_shapes(symmetry)

    def _recheck(self) -> None:
        """What refutes one reflection may refute another: a corner that all coordinates share, seen in one of them."""
        witnesses = [t.witness for t in self.tests if t.evidence is Evidence.REFUTED and t.witness is not None]
        if not witnesses:
            return
        points, generator = torch.stack(witnesses[:_WITNESSES]), torch.Generator().manual_seed(8)
        kept = []
        for test in self.reflections:
            again = test
            if test.evidence is Evidence.VERIFIED and not self.proofs.find(tuple(test.action.coordinates or ())):
                again = rechecked(test, self.subject.density, self.around.scale, points, generator)
            if again.evidence is Evidence.VERIFIED or again is test:
                kept.append(test)
            else:
                self.tests[:] = [again if t is test else t for t in self.tests]
        self.reflections[:] = kept

    def _try(self, symmetry: AffineAction | None, coordinates: tuple[int, ...]) -> None:
        """Test one reflection, and keep it if it holds or was proved; a proof that a residual contradicts goes."""
        center = self._center(symmetry, coordinates)
        action = PointReflection(coordinates=coordinates).bind(self.subject.density.dim, center=center)
        own = symmetry is None or symmetry.center is None
        sure = own and self.proofs.find(coordinates) is not None
        test = self._guard(action) if sure else self._test(action)
        proof = self.proofs.reflection(test, self.around.rough_sd)
        if test.evidence is Evidence.VERIFIED or proof is not None:
            self.reflections.append(test)
        elif sure and test.evidence is Evidence.REFUTED:
            self.proofs.withdraw(coordinates)
            self.untestable.append(f"a proof about ({self.names(coordinates)}) is withdrawn: a residual speaks against")

    def _guard(self, action: AffineAction) -> ResidualTest:
        """Residuals where a proof says that they are zero: a guard against faults of the analysis, without draws."""
        scale = Scale(self.subject.loc, self.around.main.root)
        test = residual_test(self.subject.density, action, scale, num_points=_GUARD, steps=0, generator=self.generator)
        self.tests.append(test)
        return test

    def _center(self, symmetry: AffineAction | None, coordinates: tuple[int, ...]) -> torch.Tensor:
        """The user's centre, or a stationary point near the mode or the fitted location, or that location itself."""
        density, loc = self.subject.density, self.subject.loc
        if symmetry is not None and symmetry.center is not None:
            moved = symmetry.resolve_coordinates(density.dim).tolist()
            known = torch.as_tensor(symmetry.bind(density.dim, shape=torch.eye(len(moved))).center).double()
            center = loc.clone()
            center[torch.tensor(coordinates)] = known[torch.tensor([moved.index(i) for i in coordinates])]
            return center
        proved = self.proofs.center(coordinates)
        if proved is not None:
            center = loc.clone()
            center[torch.tensor(coordinates)] = proved
            return center
        for first in (self.around.start, loc):
            center_found = refine_center(density, first, coordinates, self.around.scale)
            if center_found is not None:
                return center_found
        names = [density.coordinates[i] for i in coordinates]
        self.untestable.append(f"no centre was found for {', '.join(names)}: tested at the fitted value only")
        return loc.clone()

    def _test(self, action: AffineAction) -> ResidualTest:
        """A few points first: most candidates fail at once."""
        density, scale, generator = self.subject.density, self.around.scale, self.generator
        test = residual_test(density, action, scale, num_points=_QUICK, steps=0, generator=generator)
        if test.evidence is not Evidence.REFUTED:
            half = self.num_draws // 2
            draws, log_p = (self.draws.z[:half], self.draws.log_p[:half]) if self.draws.reliable else (None, None)
            places = [self.around.main.center, *(mode.center for mode in self.modes)]
            test = residual_test(
                density,
                action,
                scale,
                num_points=self.num_points,
                draws=draws,
                log_p=log_p,
                places=places,
                screen=SCREENED if density.vectorized else _QUICK,
                generator=generator,
            )
        self.tests.append(test)
        return test

    def _search_shapes(self, symmetry: AffineAction | None) -> None:
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
                shape = shape_at(density, center, block)
                if isinstance(symmetry, EllipticalRotation) and symmetry.shape is not None and block == whole:
                    shape = torch.as_tensor(symmetry.bind(dim, center=center).shape).double()
                if shape is None:
                    names = [density.coordinates[i] for i in block]
                    self.untestable.append(f"no elliptical shape was found for {', '.join(names)}: not tested")
                    continue
                action = EllipticalRotation(coordinates=block).bind(
                    dim, center=center[torch.tensor(block)], shape=shape
                )
                test = self._test(action)
                if test.evidence is Evidence.VERIFIED:
                    self.ellipses.append(test)

    # -- premises ----------------------------------------------------------------------------------------------

    def moments(self, order: int, indices: Sequence[int]) -> Premise:
        """Existence of first or second moments of some coordinates: tails of the weights, and along rays."""
        index = torch.tensor(list(indices))
        ks = (self.draws.k_first if order == 1 else self.draws.k_second)[index]
        worst = max(float(ks.max()), self.draws.k)
        claim = f"the posterior is proper with finite {'first' if order == 1 else 'second'} moments"
        power = float(self.tails.of[index].min())
        if self.tails.least <= _MARGIN:
            text = f"{claim}: log p hardly falls along {self.tails.ray}, so the posterior may be improper"
            return Premise(MOMENTS, Evidence.UNKNOWN, text)
        if power <= order + _MARGIN:
            text = (
                f"{claim}: not established, assumed; along some ray the density falls like t^-{power + 1:.3g} in effect"
            )
            return Premise(MOMENTS, Evidence.ASSUMED, text)
        if worst >= RELIABLE:
            text = f"{claim}: not established (Pareto k-hat {worst:.2f}), so assumed"
            return Premise(MOMENTS, Evidence.ASSUMED, text)
        needed = order + 1 + _RIDGE_MARGIN
        ridge = self._ridge_power(indices)
        if ridge <= needed:
            text = f"{claim}: not established, assumed; a marginal falls like t^-{ridge:.3g}"
            return Premise(MOMENTS, Evidence.ASSUMED, text)
        text = (
            f"{claim}: Pareto k-hat {worst:.2f} < {RELIABLE} on {self.num_draws} draws, and the density falls fast "
            "enough along the rays and ridges followed"
        )
        return Premise(MOMENTS, Evidence.VERIFIED, text)

    def _ridge_power(self, indices: Sequence[int]) -> float:
        """The smallest marginal power of these coordinates: of those alike together, of the others one by one."""
        blocks: dict[tuple[int, ...], None] = {}
        for site in self.subject.density.sites:
            inside = set(range(site.slice.start, site.slice.stop)) & set(indices)
            for test in self.reflections:
                alike = set(test.action.coordinates or ()) & set(range(site.slice.start, site.slice.stop))
                if inside & alike:
                    blocks[tuple(sorted(alike))] = None
                    inside -= alike
            one_by_one = len(inside) <= _MOST_SINGLES
            blocks.update(dict.fromkeys([(i,) for i in sorted(inside)] if one_by_one else [tuple(sorted(inside))]))
        for block in blocks:
            if block not in self.ridges:
                seeded = torch.Generator().manual_seed(4)
                scale = Scale(self.draws.mean, self.draws.root)
                self.ridges[block] = marginal_power(self.subject.density, scale, block, generator=seeded)
        return min(self.ridges[block] for block in blocks)

    def names(self, coordinates: Sequence[int]) -> str:
        """Coordinates in words, whole sites by their names."""
        density = self.subject.density
        left, parts = set(coordinates), []
        for site in density.sites:
            inside = [i for i in range(density.dim)[site.slice] if i in left]
            if len(inside) == site.slice.stop - site.slice.start:
                parts.append(site.name)
            else:
                parts += [density.coordinates[i] for i in inside]
        return ", ".join(parts)

    # -- remarks -----------------------------------------------------------------------------------------------

    def region(self) -> str:
        """What was looked at."""
        held = self.reflections + self.ellipses
        parts = []
        if held:
            reach = max(t.reach for t in held)
            parts.append(f"{sum(t.points for t in held)} residuals to {reach:.0e} scales from the centre")
        parts += self.around.looked()
        return "; ".join(parts) + "; nothing is known of mass that none of these came near"

    def notes(self) -> tuple[str, ...]:
        """Remarks for the reader."""
        density = self.subject.density
        notes = list(density.notes) + self.untestable + list(self.proofs.notes())
        if "optimum" in self.__dict__ and self.optimum.note:
            notes.append(self.optimum.note)
        if not density.vectorized:
            notes.append(f"evaluated in a loop: {density.loop_reason}")
        if not self.subject.has_mean:
            notes.append("the guide's law has no mean (df <= 1): its location is a centre of symmetry")
        return tuple(notes)
