"""The symmetries that static analysis proved, as actions with their evidence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction

import torch

from ...groups import (
    AxisFlips,
    ConditionalReflection,
    CoordinatePermutation,
    EllipticalRotation,
    FiniteMatrixGroup,
    NaturalAction,
    PointReflection,
)
from ..analysis import Analysis, Block
from ..analysis.exact import Matrix
from ..analysis.findings import SignedPermutation, matrix_of
from ..analysis.report import Ellipse
from ..analysis.report import Symmetry as Reflection
from .facts import Fact, assumed, proved, unknown
from .target import Symmetry

_MOST_MATRICES = 8
"""Up to this many coordinates a group of signed permutations is listed."""
_MOST_ELEMENTS = 400


class Reader:
    """What one analysis proved; of an idealised density it is granted, not proved."""

    def __init__(self, analysis: Analysis) -> None:
        self.analysis = analysis
        self.dim = len(analysis.coordinates)
        self.positive = analysis.concavity is not None and analysis.concavity.full_support
        self._reflected: set[frozenset[int]] = set()

    def said(self, holds: bool, words: str, otherwise: str = "") -> Fact:
        """Proved by static analysis, or unknown."""
        if not holds or self.analysis.refusal:
            return unknown(otherwise or f"not shown: {words}")
        if self.analysis.idealisations:
            return assumed(f"{words}, of the idealised density ({'; '.join(self.analysis.idealisations)})")
        return proved(f"{words} (static analysis)")

    def names(self, coordinates: Sequence[int]) -> str:
        """A few names of coordinates, in brackets."""
        names = [self.analysis.coordinates[j] for j in coordinates]
        return f"({', '.join(names) if len(names) <= 3 else f'{names[0]}, ..., {names[-1]}'})"

    def symmetries(self) -> Iterator[Symmetry]:
        """Reflections and their union, ellipses, regressions, permutations, rotations; reflections once each."""
        parts: list[Block | Ellipse | Reflection] = [b for b in self.analysis.blocks if b.is_symmetric]
        parts += [*self.analysis.ellipses, *self.analysis.reflections]
        centers = [(part.coordinates, part.center or ()) for part in parts]
        centers += [((j,), (c,)) for j, c in self.analysis.unimodality.centers.items()]
        centers += list(self._sign_changes())
        centers += [(sum(group.frames, ()), (Fraction(0),) * self.dim) for group in self.analysis.rotations]
        covered: dict[int, Fraction] = {}
        for coordinates, center in centers:
            yield from self._reflection(coordinates, center)
            if not set(coordinates) & set(covered):
                covered.update(zip(coordinates, center, strict=False))
        order = sorted(covered)
        yield from self._reflection(order, [covered[j] for j in order]) if order else ()
        for part in parts:
            if not isinstance(part, Reflection) and part.is_elliptical:
                yield from self._ellipse(part)
        for frame in (group.frames[0] for group in self.analysis.rotations if len(group.frames) == 1):
            fact = self.said(True, f"log p is unchanged by rotations of {self.names(frame)}")
            yield Symmetry(EllipticalRotation(0.0, torch.eye(len(frame), dtype=torch.float64), frame), fact)
        yield from self._regressions()
        yield from self._permutations()
        yield from self._generated()

    def _reflection(self, coordinates: Sequence[int], center: Sequence[Fraction]) -> Iterator[Symmetry]:
        if frozenset(coordinates) in self._reflected:
            return
        self._reflected.add(frozenset(coordinates))
        action = PointReflection([float(c) for c in center[: len(coordinates)]], coordinates)
        yield Symmetry(action, self.said(True, f"log p is even in {self.names(coordinates)} about an exact centre"))

    def _sign_changes(self) -> Iterator[tuple[tuple[int, ...], tuple[Fraction, ...]]]:
        for g in self.analysis.signed_permutations:
            if g.images == tuple(range(self.dim)):
                moved = tuple(j for j in range(self.dim) if g.signs[j] < 0)
                yield moved, tuple(g.offset[j] / 2 for j in moved)

    def _ellipse(self, block: Block | Ellipse) -> Iterator[Symmetry]:
        precision = block.block.shape
        if precision is None or block.center is None:
            return
        center = [float(c) for c in block.center]
        fact = self.said(True, f"log p is elliptical in {self.names(block.coordinates)}, with an exact shape")
        whole = len(block.coordinates) == self.dim
        falls = whole and (block.is_gaussian or (isinstance(block, Ellipse) and block.is_decreasing))
        steep = block.is_gaussian or (isinstance(block, Ellipse) and block.block.strictly)
        profile = self.said(falls, "p falls with the radius")
        strict = self.said(falls and steep and self.positive, "p falls strictly with the radius, and is positive")
        action = EllipticalRotation(center, _covariance(precision), block.coordinates)
        yield Symmetry(action, fact, profile, strict)
        if is_diagonal(precision):
            yield Symmetry(AxisFlips(block.coordinates, center), fact)

    def _regressions(self) -> Iterator[Symmetry]:
        found = [*self.analysis.affine_centers, *(b.affine_center for b in self.analysis.blocks)]
        for center in dict.fromkeys(c for c in found if c is not None and not c.is_constant):
            slope = [[float(x) for x in row] for row in center.slope]
            intercept = [float(a) for a in center.intercept]
            action = ConditionalReflection(center.coordinates, intercept, slope, center.on)
            words = (
                f"log p is even in {self.names(center.coordinates)} about an affine function of {self.names(center.on)}"
            )
            yield Symmetry(action, self.said(True, words))

    def _permutations(self) -> Iterator[Symmetry]:
        sets: list[tuple[tuple[int, ...], ...]] = [tuple((j,) for j in found) for found in self.analysis.exchangeable]
        sets += self.analysis.exchangeable_blocks
        if not sets:
            sets = [tuple((j,) for j in found) for found in _connected(self.analysis.swaps)]
        for blocks in sets:
            if len(blocks) > 1:
                words = f"log p is unchanged by permutations of {self.names([b[0] for b in blocks])}"
                yield Symmetry(CoordinatePermutation(self.dim, blocks), self.said(True, words))

    def _generated(self) -> Iterator[Symmetry]:
        """The group of all permutations and signed permutations together, where it is small enough to list.

        Shifts are left out of the matrices: a proper density is invariant under a compact group, which has a fixed
        point, and that is the centre.
        """
        still = (1,) * self.dim
        found = [SignedPermutation(images, still, (Fraction(0),) * self.dim) for images in self.analysis.permutations]
        found += self.analysis.signed_permutations
        if not found or self.dim > _MOST_MATRICES:
            return
        matrices = [torch.tensor(matrix_of(g), dtype=torch.float64) for g in found]
        try:
            group = FiniteMatrixGroup.generated_by(matrices, max_order=_MOST_ELEMENTS)
        except ValueError:
            return
        words = f"log p is unchanged by a group of {group.order} signed permutations"
        yield Symmetry(NaturalAction(group), self.said(True, words))


def is_diagonal(matrix: Matrix) -> bool:
    """Whether nothing is off the diagonal."""
    return not any(x for i, row in enumerate(matrix) for j, x in enumerate(row) if i != j)


def _covariance(precision: Matrix) -> torch.Tensor:
    """The inverse, rounded; of a diagonal matrix entry by entry."""
    numbers = torch.tensor([[float(x) for x in row] for row in precision], dtype=torch.float64)
    return torch.diag(1 / numbers.diagonal()) if is_diagonal(precision) else torch.linalg.inv(numbers)


def _connected(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, ...]]:
    """Sets of coordinates joined by swaps: these generate all permutations of each set."""
    groups: list[set[int]] = []
    for pair in pairs:
        joined = [g for g in groups if g & set(pair)]
        groups = [g for g in groups if g not in joined] + [set(pair).union(*joined)]
    return [tuple(sorted(g)) for g in groups]
