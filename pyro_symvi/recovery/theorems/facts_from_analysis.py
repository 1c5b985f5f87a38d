"""From what static analysis proves of a model to the facts that theorems ask for: the one place that reads a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch

from ...groups import AxisFlips, ConditionalReflection, CoordinatePermutation, EllipticalRotation, PointReflection
from ..analysis import Analysis, Block
from ..analysis.exact import Matrix
from ..analysis.report import Ellipse
from ..analysis.report import Symmetry as Reflection
from .facts import Fact, assumed, proved, unknown
from .growth import growth_of
from .setting import NOT_KNOWN, Decreasing, Symmetry, Target


class _Reader:
    """The facts of one analysis; of an idealised density they are granted, not proved."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.dim = len(analysis.coordinates)

    def said(self, holds: bool, words: str, otherwise: str = "") -> Fact:
        """Proved by static analysis, or unknown."""
        if not holds or self.analysis.refusal:
            return unknown(otherwise or f"not shown: {words}")
        if self.analysis.idealisations:
            return assumed(f"{words}, of the idealised density ({'; '.join(self.analysis.idealisations)})")
        return proved(f"{words} (static analysis)")

    # -- symmetries --------------------------------------------------------------------------------------------

    def symmetries(self) -> Iterator[Symmetry]:
        """Reflections and their unions, ellipses, regressions, permutations."""
        parts: list[Block | Ellipse | Reflection] = [b for b in self.analysis.blocks if b.is_symmetric]
        parts += [*self.analysis.ellipses, *self.analysis.reflections]
        covered: dict[int, Fraction] = {}
        for part in parts:
            center = part.center or ()
            yield self._reflection(part.coordinates, center)
            if not set(part.coordinates) & set(covered):
                covered.update(zip(part.coordinates, center, strict=True))
        if len(covered) > max((len(part.coordinates) for part in parts), default=0):
            order = sorted(covered)
            yield self._reflection(order, [covered[j] for j in order])
        for part in parts:
            if not isinstance(part, Reflection) and part.is_elliptical:
                yield from self._ellipse(part)
        for block in self.analysis.blocks:
            yield from self._regression(block)
        yield from self._permutations()

    def _reflection(self, coordinates: Sequence[int], center: Sequence[Fraction]) -> Symmetry:
        action = PointReflection([float(c) for c in center], coordinates)
        return Symmetry(action, self.said(True, f"log p is even in {self._names(coordinates)} about an exact centre"))

    def _ellipse(self, block: Block | Ellipse) -> Iterator[Symmetry]:
        precision = block.block.shape
        if precision is None or block.center is None:
            return
        center = [float(c) for c in block.center]
        fact = self.said(True, f"log p is elliptical in {self._names(block.coordinates)}, with an exact shape")
        whole = len(block.coordinates) == self.dim
        falls = whole and (block.is_gaussian or (isinstance(block, Ellipse) and block.is_decreasing))
        strict = (
            falls and (block.is_gaussian or (isinstance(block, Ellipse) and block.block.strictly)) and self._positive
        )
        profile = self.said(falls, "p falls with the radius")
        action = EllipticalRotation(center, _covariance(precision), block.coordinates)
        yield Symmetry(action, fact, profile, self.said(strict, "p falls strictly with the radius, and is positive"))
        if _is_diagonal(precision):
            yield Symmetry(AxisFlips(block.coordinates, center), fact)

    def _regression(self, block: Block) -> Iterator[Symmetry]:
        found = block.affine_center
        if found is None or found.is_constant:
            return
        slope = [[float(x) for x in row] for row in found.slope]
        action = ConditionalReflection(found.coordinates, [float(a) for a in found.intercept], slope, found.on)
        words = f"log p is even in {self._names(found.coordinates)} about an affine function of {self._names(found.on)}"
        yield Symmetry(action, self.said(True, words))

    def _permutations(self) -> Iterator[Symmetry]:
        sets: list[tuple[tuple[int, ...], ...]] = [tuple((j,) for j in found) for found in self.analysis.exchangeable]
        sets += self.analysis.exchangeable_blocks
        if not sets:
            sets = [tuple((j,) for j in found) for found in _connected(self.analysis.swaps)]
        for blocks in sets:
            if len(blocks) > 1:
                words = f"log p is unchanged by permutations of {self._names([b[0] for b in blocks])}"
                yield Symmetry(CoordinatePermutation(self.dim, blocks), self.said(True, words))

    # -- curvature ---------------------------------------------------------------------------------------------

    @property
    def _positive(self) -> bool:
        return self.analysis.concavity is not None and self.analysis.concavity.full_support

    def coordinates(self) -> Iterator[Decreasing]:
        """Coordinates that are even alone and concave given the rest; those of Gaussian blocks of diagonal shape."""
        concavity, seen = self.analysis.concavity, set()
        alone = [part.coordinates[0] for part in self.analysis.reflections if len(part.coordinates) == 1]
        alone += [b.coordinates[0] for b in self.analysis.blocks if b.is_symmetric and len(b.coordinates) == 1]
        for j in alone:
            if concavity is not None and j in concavity.given_rest and j not in seen:
                seen.add(j)
                words = f"log p is even and concave in {self._names([j])} given the rest"
                strict = self._positive and j in concavity.strict_given_rest
                yield Decreasing(j, self.said(True, words), self.said(strict, f"{words}, strictly"))
        for block in self.analysis.blocks:
            shape = block.block.shape if block.is_elliptical and block.is_gaussian else None
            if shape is None or not _is_diagonal(shape):
                continue
            for j in block.coordinates:
                if j not in seen:
                    seen.add(j)
                    words = f"{self._names([j])} is normal given the rest, about a centre free of them"
                    yield Decreasing(j, self.said(True, words), self.said(self._positive, words))

    def _names(self, coordinates: Sequence[int]) -> str:
        names = [self.analysis.coordinates[j] for j in coordinates]
        return f"({', '.join(names) if len(names) <= 3 else f'{names[0]}, ..., {names[-1]}'})"


def target_of(analysis: Analysis) -> Target:
    """The target as theorems look at it, from a static analysis."""
    read = _Reader(analysis)
    if analysis.refusal:
        return Target(read.dim)
    concavity, moments = analysis.concavity, analysis.moments
    symmetries = tuple(read.symmetries())
    first, second = (moments[k].exists if k in moments else False for k in (1, 2))
    reason = next((moments[k].reason for k in (2, 1) if k in moments), "moments were not looked at")
    obstacle = (
        f"log p was not shown to be concave: {concavity.obstacle}" if concavity else "concavity was not looked at"
    )
    joint, strict = (concavity.joint, concavity.strict) if concavity else (False, False)
    growth = growth_of(*analysis.reading) if analysis.reading is not None and not analysis.idealisations else None
    falls = next((s.profile for s in symmetries if s.profile.is_proved), NOT_KNOWN)
    strictly = next((s.strict_profile for s in symmetries if s.strict_profile.is_proved), NOT_KNOWN)
    return Target(
        read.dim,
        symmetries,
        proper=read.said(first or second, "p is proper", reason),
        positive=read.said(read._positive, "p is positive everywhere"),
        log_concave=read.said(joint, "log p is concave", obstacle),
        strictly_log_concave=read.said(joint and strict, "log p is strictly concave"),
        strongly_log_concave=read.said(
            joint and concavity is not None and concavity.modulus > 0, "log p is strongly concave"
        ),
        first_moment=read.said(first, "first moments exist", reason),
        second_moment=read.said(second, "second moments exist", reason),
        convex_levels=falls,
        decreasing=strictly,
        coordinates=tuple(read.coordinates()),
        growth=growth if read._positive else None,
    )


def _is_diagonal(matrix: Matrix) -> bool:
    return not any(x for i, row in enumerate(matrix) for j, x in enumerate(row) if i != j)


def _covariance(precision: Matrix) -> torch.Tensor:
    """The inverse, rounded; of a diagonal matrix entry by entry."""
    numbers = torch.tensor([[float(x) for x in row] for row in precision], dtype=torch.float64)
    return torch.diag(1 / numbers.diagonal()) if _is_diagonal(precision) else torch.linalg.inv(numbers)


def _connected(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Sets of coordinates joined by swaps: these generate all permutations of each set."""
    groups: list[set[int]] = []
    for pair in pairs:
        joined = [g for g in groups if g & set(pair)]
        groups = [g for g in groups if g not in joined] + [set(pair).union(*joined)]
    return [tuple(sorted(g)) for g in groups]
