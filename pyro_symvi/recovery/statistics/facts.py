"""What is known of the target: proved centres and shapes first, then those that numerics found."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch

from ...density._importance import RELIABLE
from ...groups import AffineAction
from ..analysis import Block
from ..analysis.integrability import Moment
from ..evidence.exploration import Exploration
from ..evidence.residuals import ResidualTest
from ..proofs import Proofs, ProvedReflection
from ..subject import Subject, mixing_of
from ..theorems import INVARIANCE, MOMENTS, pinned_mean, pinned_shape
from ..theorems.pinned import PROPER
from ..verdicts import Evidence, Premise


@dataclass(frozen=True)
class Pin:
    """A reflection that holds, and its centre in one coordinate.

    Attributes:
        coordinates: The coordinates reflected together.
        center: The centre of the coordinate asked for.
        group: The coordinates in words.
        invariance: The premise.
        proof: The proof, if there is one.
    """

    coordinates: tuple[int, ...]
    center: float
    group: str
    invariance: Premise
    proof: ProvedReflection | None = None


@dataclass(frozen=True)
class Shape:
    """An elliptical block and its shape matrix, up to a factor.

    Attributes:
        coordinates: The block.
        matrix: M, in the block's order.
        group: The coordinates in words.
        invariance: The premise.
        proved: Whether it was proved.
        moments: Its second moments, where looked at by static analysis.
        correlations: Its correlation matrix, each entry rounded once, where that is known better than from ``matrix``.
    """

    coordinates: tuple[int, ...]
    matrix: list[list[float]]
    group: str
    invariance: Premise
    proved: bool = False
    moments: Moment | None = None
    correlations: list[list[float]] | None = None

    def correlation(self, i: int, j: int) -> float:
        """M_ij / sqrt(M_ii M_jj)."""
        a, b = self.coordinates.index(i), self.coordinates.index(j)
        if self.correlations is not None:
            return self.correlations[a][b]
        return self.matrix[a][b] / math.sqrt(self.matrix[a][a] * self.matrix[b][b])


class Facts:
    """What is known of a target, for all statistics.

    Args:
        subject: The target, with what was fitted.
        proofs: What static analysis proves.
        explore: Makes the `Exploration`, symmetries searched; None where nothing but proofs is wanted.
        symmetry: The symmetry that the user named, if any.
        contrasts: Contrasts that the user named, ``{name: [d]}``.
    """

    def __init__(
        self,
        subject: Subject,
        proofs: Proofs,
        explore: Callable[[], Exploration] | None,
        symmetry: AffineAction | None = None,
        contrasts: Mapping[str, torch.Tensor] | None = None,
    ) -> None:
        self.subject, self.symmetry, self.contrasts = subject, symmetry, contrasts or {}
        self._proofs, self._explore = proofs, explore
        self._exploration: Exploration | None = None
        self._shapes: dict[tuple[int, ...], Shape] = {}

    @property
    def exploration(self) -> Exploration | None:
        """What numerics found, made when first asked for; None where they were not wanted."""
        if self._exploration is None and self._explore is not None:
            self._exploration = self._explore()
        return self._exploration

    @property
    def explored(self) -> Exploration | None:
        """The same, if it was made already."""
        return self._exploration

    @property
    def proofs(self) -> Proofs:
        """The proofs; where numbers are looked at as well, those that no residual contradicts."""
        found = self.exploration
        return self._proofs if found is None else found.proofs

    def names(self, coordinates: Sequence[int]) -> str:
        """Coordinates in words, whole sites by their names."""
        return self.subject.names(coordinates)

    # -- centres -----------------------------------------------------------------------------------------------

    def pin(self, i: int) -> Pin | None:
        """The reflection that pins coordinate i: proved without a look at numbers where only proofs are wanted."""
        found = self.exploration
        if found is not None:
            test = next((t for t in found.reflections if bool(pinned_mean(t.action)[i])), None)
            return None if test is None else self._tested(found, i, test)
        part = next((p for p in self.proofs.parts if i in p.coordinates), None)
        proof = None if part is None else self.proofs.find(part.coordinates)
        if proof is None:
            return None
        coordinates = tuple(sorted(proof.center))
        group = self.names(coordinates)
        return Pin(coordinates, float(proof.center[i]), group, self.proofs.reflected(proof, group), proof)

    def _tested(self, found: Exploration, i: int, test: ResidualTest) -> Pin:
        coordinates = tuple(test.action.coordinates or ())
        group = self.names(coordinates)
        proof = found.proofs.reflection(test, found.around.rough_sd)
        if proof is not None:
            return Pin(coordinates, float(proof.center[i]), group, found.proofs.reflected(proof, group), proof)
        center = float(torch.as_tensor(test.action.center)[coordinates.index(i)])
        return Pin(coordinates, center, group, test.premise(INVARIANCE, f"reflection of ({group})"))

    def separation(self, i: int, j: int) -> Pin | None:
        """A reflection that moves one of two coordinates and not the other: their covariance is zero."""
        found = self.exploration
        proof = self.proofs.separating((i, j))
        if proof is not None:
            coordinates = tuple(sorted(proof.center))
            group = self.names(coordinates)
            return Pin(coordinates, 0.0, group, self.proofs.reflected(proof, group), proof)
        for test in found.reflections if found is not None else ():
            inside = list(test.action.coordinates or ())
            if found is not None and (i in inside) != (j in inside):
                return self._tested(found, i if i in inside else j, test)
        return None

    def shape(self, i: int, j: int) -> Shape | None:
        """An elliptical block that holds both coordinates."""
        found = self.exploration
        block = self.proofs.ellipse((i, j))
        if block is not None:
            key = block.coordinates
            if key not in self._shapes:
                group = self.names(key)
                invariance = self.proofs.rotated(group, isinstance(block, Block))
                matrix = self.proofs.shape(block)
                self._shapes[key] = Shape(
                    key, matrix, group, invariance, True, block.moments[2], self.proofs.correlations(block)
                )
            return self._shapes[key]
        for test in found.ellipses if found is not None else ():
            inside = tuple(test.action.coordinates or ())
            if i in inside and j in inside and pinned_shape(test.action):
                group = self.names(inside)
                shape = torch.as_tensor(getattr(test.action, "shape")).double()  # noqa: B009
                invariance = test.premise(INVARIANCE, f"rotations of ({group})")
                if inside not in self._shapes:
                    self._shapes[inside] = Shape(inside, shape.tolist(), group, invariance)
                return self._shapes[inside]
        return None

    def unit(self, i: int, center: float = math.nan) -> float:
        """Posterior standard deviation, on the low side; 1 where nothing was measured; rough where the value is the
        centre to rounding.
        """
        found = self.exploration
        return 1.0 if found is None else found.unit(i, abs(self.subject.value(i) - center))

    def unit_high(self, i: int) -> float:
        """Posterior standard deviation, on the high side; 1 where nothing was measured."""
        found = self.exploration
        if found is None:
            return 1.0
        wide = float(found.scale.root[i].norm())
        return max(2 * wide - float(found.sd[i]), float(found.sd[i]))

    def unit_along(self, vector: torch.Tensor) -> float:
        """Posterior standard deviation of a.z, on the low side; 1 where nothing was measured."""
        found = self.exploration
        if found is None:
            return 1.0
        low = (found.sd / found.scale.root.square().sum(-1).sqrt()).min().clamp_max(1.0)
        return float((found.scale.root.mT @ vector).norm() * low)

    @cached_property
    def monte_carlo_error(self) -> float:
        """The largest Monte-Carlo error of a mean of the draws, in their standard deviations; nan without draws."""
        if self.subject.draws is None:
            return math.nan
        return 1 / math.sqrt(float(mixing_of(self.subject.draws)[0].min()))

    # -- existence ---------------------------------------------------------------------------------------------

    def moments(self, order: int, indices: Sequence[int], proved: Moment | None = None) -> Premise:
        """That first or second moments exist: proved (by this finding, or that of the whole target), or explored."""
        for finding in (proved, self.proofs.analysis.moments.get(order) if self.proofs.trusted else None):
            premise = self.proofs.moments(finding, order)
            if premise is not None:
                return premise
        if self.exploration is not None:
            return self.exploration.moments(order, indices)
        word = "first" if order == 1 else "second"
        text = f"the posterior is proper with finite {word} moments: not shown by static analysis, so assumed"
        return Premise(MOMENTS, Evidence.ASSUMED, text)

    def proper(self) -> Premise:
        """That the posterior is a probability; no moment is needed."""
        claim = "the posterior is proper"
        for order in (0, 1):
            proved = self.proofs.analysis.moments.get(order)
            if self.proofs.trusted and proved is not None and proved.exists:
                self.proofs.used = True
                return Premise(PROPER, Evidence.PROVED, f"{claim}: by static analysis, {proved.reason}")
        found = self.exploration
        if found is None:
            return Premise(PROPER, Evidence.ASSUMED, f"{claim}: not shown by static analysis, so assumed")
        if found.tails.least <= _MARGIN:
            text = f"{claim}: log p hardly falls along {found.tails.ray}, so it may not be"
            return Premise(PROPER, Evidence.UNKNOWN, text)
        if found.draws.k >= RELIABLE:
            text = f"{claim}: not established (Pareto k-hat {found.draws.k:.2f}), so assumed"
            return Premise(PROPER, Evidence.ASSUMED, text)
        text = f"{claim}: Pareto k-hat {found.draws.k:.2f} < {RELIABLE} on {found.num_draws} draws, and the density "
        return Premise(PROPER, Evidence.VERIFIED, text + "falls faster along the rays followed than it must")


_MARGIN = 0.02
