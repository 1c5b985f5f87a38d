"""What static analysis proves of a target, as premises of a certificate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import torch

from ..density import LogDensity
from ..groups import AffineAction, EllipticalRotation
from .analysis import Block, Symmetry, analyze, exact
from .analysis.enclosed_inverse import enclosed_inverse
from .analysis.findings import AffineCenter
from .analysis.integrability import Moment
from .analysis.polynomials import ONE
from .analysis.report import Ellipse
from .analysis.report import _correlation as correlation_of
from .evidence.residuals import CENTER_RESOLUTION, ResidualTest
from .theorems import INVARIANCE, MOMENTS
from .verdicts import Evidence, Premise

_LARGE = 24
_ARITHMETIC = (
    "What is proved is proved of the real-arithmetic function of the traced graph, its floating-point constants taken "
    "as the rationals stored; operations on data alone are as torch rounds them. A number shown as proved is a "
    "rational rounded once."
)
_ENCLOSED = (
    "Correlations, shapes and covariances of a block of more than 24 coordinates are not rational numbers rounded "
    "once: they were computed with an error proved to be below 1e-14 on the scale of correlations."
)

Part = Block | Ellipse | Symmetry
"""What is proved symmetric about a point."""


@dataclass(frozen=True)
class ProvedReflection:
    """Disjoint reflections that were proved, together one reflection.

    Attributes:
        parts: Blocks and reflections.
        center: Exact centre by coordinate.
    """

    parts: tuple[Part, ...]
    center: dict[int, Fraction]

    def moment(self, order: int) -> Moment:
        """The first moment of this order that was not shown to exist; else that of the first part."""
        found = [part.moments[order] for part in self.parts]
        return next((m for m in found if not m.exists), found[0])


@dataclass(frozen=True)
class ConstantCovariance:
    """A block that is normal with a constant precision, whatever the rest.

    Attributes:
        coordinates: The block.
        matrix: Its exact covariance.
        moments: Its second moments.
    """

    coordinates: tuple[int, ...]
    matrix: list[list[Fraction]]
    moments: Moment

    def at(self, i: int, j: int) -> float:
        """Cov(z_i, z_j), rounded once."""
        return float(self.matrix[self.coordinates.index(i)][self.coordinates.index(j)])


class Proofs:
    """The proofs about one target; those that numerics contradict are withdrawn.

    Only proofs of the function as it is are used: nothing idealised, with a gradient of its own.
    """

    def __init__(self, density: LogDensity) -> None:
        self.analysis = analyze(density)
        self.parts: list[Part] = []
        if self.analysis.is_plain:
            self.parts = [b for b in self.analysis.blocks if b.is_symmetric]
            self.parts += self.analysis.ellipses
            self.parts += self.analysis.reflections
        self.used = False
        self.enclosed = False
        self._inverses: dict[tuple[int, ...], list[list[Fraction]]] = {}
        self._covariances: dict[tuple[int, ...], ConstantCovariance | None] = {}
        self.elliptical = True
        self.trusted = self.analysis.is_plain
        """Whether what was proved of the whole target may be used: nothing idealised, nothing contradicted."""

    def all_coordinates(self) -> tuple[int, ...]:
        """All coordinates that lie in one of disjoint proved reflections: the widest claim."""
        covered: set[int] = set()
        for part in self.parts:
            if not covered & set(part.coordinates):
                covered |= set(part.coordinates)
        return tuple(sorted(covered))

    def find(self, coordinates: Sequence[int]) -> ProvedReflection | None:
        """The proved reflection of exactly these coordinates, one or several together."""
        left, parts = set(coordinates), []
        same = [part for part in self.parts if set(part.coordinates) == left]
        for part in same or self.parts:
            if set(part.coordinates) <= left:
                parts.append(part)
                left -= set(part.coordinates)
        if left or not parts:
            return None
        pairs = [(j, c) for part in parts for j, c in zip(part.coordinates, part.center or (), strict=True)]
        return ProvedReflection(tuple(parts), dict(pairs))

    def center(self, coordinates: Sequence[int]) -> torch.Tensor | None:
        """The proved centre ``[|J|]`` of a reflection, each coordinate rounded once; None if there is none."""
        proof = self.find(coordinates)
        if proof is None:
            return None
        return torch.tensor([float(proof.center[j]) for j in coordinates], dtype=torch.float64)

    def restrict(self, symmetry: AffineAction | None) -> None:
        """Pairs are judged by proofs only where the user named no other symmetry, nor a centre or a shape."""
        free = isinstance(symmetry, EllipticalRotation) and symmetry.center is None and symmetry.shape is None
        self.elliptical = symmetry is None or free

    def withdraw(self, coordinates: Sequence[int]) -> None:
        """Forget what is proved of these coordinates, and trust nothing that was proved of the whole."""
        self.trusted = False
        self.parts = [part for part in self.parts if not set(part.coordinates) & set(coordinates)]

    def reflection(self, test: ResidualTest, unit: torch.Tensor) -> ProvedReflection | None:
        """The proof of the reflection that was tested, if its centre agrees with the proved one.

        Args:
            test: A residual test of a reflection; one that refutes it is believed.
            unit: Posterior scales ``[d]``.
        """
        coordinates = tuple(test.action.coordinates or ())
        center = self.center(coordinates)
        if center is None or test.evidence is Evidence.REFUTED:
            return None
        tested = torch.as_tensor(test.action.center).double()
        gap = (tested - center).abs() / unit[torch.tensor(coordinates)]
        return self.find(coordinates) if bool((gap <= 1e3 * CENTER_RESOLUTION).all()) else None

    def ellipse(self, pair: Sequence[int]) -> Block | Ellipse | None:
        """A block that was proved elliptical and holds these coordinates."""
        if not self.elliptical:
            return None
        blocks = [part for part in self.parts if isinstance(part, (Block, Ellipse)) and part.is_elliptical]
        return next((b for b in blocks if set(pair) <= set(b.coordinates)), None)

    def shape(self, block: Block | Ellipse) -> list[list[float]]:
        """The scatter matrix of an elliptical block up to a factor: exact, divided by its largest entry, rounded."""
        inverse = self._inverse(block)
        largest = max(abs(x) for row in inverse for x in row)
        return [[float(x / largest) for x in row] for row in inverse]

    def correlations(self, block: Block | Ellipse) -> list[list[float]]:
        """The correlation matrix of an elliptical block's shape, each entry rounded once."""
        return correlation_of(self._inverse(block))

    def _inverse(self, block: Block | Ellipse) -> list[list[Fraction]]:
        """The inverse of the block's shape, computed once; of large ones to an error that is proved."""
        key = block.coordinates
        if key not in self._inverses:
            shape = block.block.shape or []
            inverse = enclosed_inverse(shape) if len(shape) > _LARGE else None
            self.enclosed |= inverse is not None
            inverse = inverse or exact.inverse(shape)
            if not inverse:
                raise ValueError(f"expected an elliptical block, got {block.names}")
            self._inverses[key] = inverse
        return self._inverses[key]

    def affine_centers(self) -> tuple[AffineCenter, ...]:
        """Proved centres of blocks that move with other coordinates, linearly; largest blocks first."""
        if not self.trusted or not self.elliptical:
            return ()
        return tuple(sorted(self.analysis.affine_centers, key=lambda c: -len(c.coordinates)))

    def orbits(self, dim: int) -> list[tuple[int, ...]]:
        """Coordinates that proved permutations carry into one another, in sets of two and more."""
        joined = list(range(dim))

        def root(j: int) -> int:
            while joined[j] != j:
                j = joined[j]
            return j

        for i, j in self._exchanges():
            joined[root(i)] = root(j)
        sets: dict[int, list[int]] = {}
        for j in range(dim):
            sets.setdefault(root(j), []).append(j)
        return [tuple(members) for members in sets.values() if len(members) > 1]

    def _exchanges(self) -> list[tuple[int, int]]:
        if not self.trusted or not self.elliptical:
            return []
        found = self.analysis
        pairs = list(found.swaps)
        pairs += [pair for sigma in found.permutations for pair in enumerate(sigma)]
        pairs += [(group[0], j) for group in found.exchangeable for j in group[1:]]
        for blocks in found.exchangeable_blocks:
            pairs += [pair for block in blocks[1:] for pair in zip(blocks[0], block, strict=True)]
        return pairs

    def permuted(self, group: str) -> Premise:
        """The premise that p is invariant under the permutations that carry some coordinates into one another."""
        self.used = True
        text = (
            f"permutations of ({group}): by static analysis, exchanging them in the rational expression of log p gives "
        )
        return Premise(INVARIANCE, Evidence.PROVED, text + "the same expression")

    def reflected_given(self, center: AffineCenter, group: str, others: str) -> Premise:
        """The premise that p is invariant under the reflection of a block about a centre that moves with the rest."""
        self.used = True
        text = (
            f"reflection of ({group}) about a linear function of ({others}): by static analysis, its intercept and "
            "slopes, rational solutions of a linear system, leave log p unchanged whatever the rest"
        )
        return Premise(INVARIANCE, Evidence.PROVED, text)

    def separating(self, pair: Sequence[int]) -> ProvedReflection | None:
        """A proved reflection that moves one of two coordinates and not the other."""
        i, j = pair
        for part in self.parts if self.elliptical else []:
            if (i in part.coordinates) != (j in part.coordinates):
                return self.find(part.coordinates)
        return None

    def constant_covariance(self, pair: Sequence[int]) -> ConstantCovariance | None:
        """A block of constant centre and precision that holds these coordinates."""
        for part in self.parts if self.elliptical else []:
            if not isinstance(part, Block) or not set(pair) <= set(part.coordinates) or not part.is_elliptical:
                continue
            if part.coordinates not in self._covariances:
                curved = [f for f in part.block.factors if f.is_curved]
                constant = len(curved) == 1 and curved[0].monomial == ONE and part.block.shape == curved[0].matrix
                found = None
                if constant:
                    found = ConstantCovariance(part.coordinates, self._inverse(part), part.moments[2])
                self._covariances[part.coordinates] = found
            held = self._covariances[part.coordinates]
            if held is not None:
                return held
        return None

    def constant(self, group: str) -> Premise:
        """The premise that a block is normal with constant precision."""
        self.used = True
        text = (
            f"({group}): by static analysis, log p is quadratic in the block with one centre and one positive definite "
            "precision, both rational and free of the rest"
        )
        return Premise(INVARIANCE, Evidence.PROVED, text)

    def reflected(self, proof: ProvedReflection, group: str) -> Premise:
        """The premise that p is invariant under a proved reflection."""
        self.used = True
        if all(isinstance(part, Block) for part in proof.parts):
            how = (
                "log p is quadratic in the block given the rest, and its centre, a rational solution of a linear "
                "system, does not depend on the rest"
            )
        else:
            how = "substituting it in the rational expression of log p gives the same expression"
        return Premise(INVARIANCE, Evidence.PROVED, f"reflection of ({group}): by static analysis, {how}")

    def rotated(self, group: str, gaussian: bool = True) -> Premise:
        """The premise that p is invariant under the rotations of an elliptical block."""
        self.used = True
        if not gaussian:
            text = f"rotations of ({group}): by static analysis, log p depends on the block through one rational "
            return Premise(INVARIANCE, Evidence.PROVED, text + "quadratic form alone, whatever the rest")
        text = (
            f"rotations of ({group}): by static analysis, log p is quadratic in the block given the rest, its centre "
            "does not depend on the rest, and its precision is a positive multiple of one rational matrix"
        )
        return Premise(INVARIANCE, Evidence.PROVED, text)

    def moments(self, found: Moment | None, order: int) -> Premise | None:
        """The premise that moments exist; None where it was not proved."""
        if found is None or not found.exists:
            return None
        self.used = True
        word = "first" if order == 1 else "second"
        text = f"the posterior is proper with finite {word} moments: by static analysis, {found.reason}"
        return Premise(MOMENTS, Evidence.PROVED, text)

    def notes(self) -> tuple[str, ...]:
        """What a reader of a proof must know."""
        return (_ARITHMETIC, *([_ENCLOSED] if self.enclosed else [])) if self.used else ()
