"""What an analysis says: blocks, their centres and moments, and why the rest is unknown."""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from . import exact
from .affine_maps import InvarianceProof, exact_matrix, exact_vector, prove_map
from .exact import Matrix
from .expressions import BUDGET, Expressions
from .findings import AffineCenter, EllipticalBlock, RotationGroup, SignedPermutation, short
from .gaussian_block import GaussianBlock
from .integrability import Moment
from .log_concavity import LogConcavity
from .polynomials import Polynomial
from .unimodality import Unimodality

ARITHMETIC = (
    "What is proved is proved of the real-arithmetic function of the traced graph, its floating-point constants taken "
    "as the exact rationals stored; operations on data alone are as torch rounds them. A value shown is the exact "
    "rational rounded once."
)


@dataclass(frozen=True)
class Block:
    """What is proved of one block of coordinates.

    Attributes:
        coordinates: Their places in the flat vector.
        names: Their names.
        block: The algebra behind it (`GaussianBlock`).
        moments: ``{order: Moment}`` of the block's coordinates, orders 1 and 2, each the weakest of its coordinates.
        affine_center: The centre as an affine function of the other coordinates, where it is one (Theorem R); of a
            block with a constant centre, that one. None if neither was shown.
    """

    coordinates: tuple[int, ...]
    names: tuple[str, ...]
    block: GaussianBlock = field(repr=False)
    moments: dict[int, Moment]
    affine_center: AffineCenter | None = None

    @property
    def center(self) -> tuple[Fraction, ...] | None:
        """The exact centre of symmetry, if it does not depend on the other coordinates."""
        return self.block.center

    @property
    def is_gaussian(self) -> bool:
        """Whether the block is Gaussian given the rest, for every value of the rest."""
        return self.block.positive_definite

    @property
    def is_symmetric(self) -> bool:
        """Whether log p is unchanged when the block is reflected about `center`."""
        return self.block.is_symmetric

    @property
    def is_elliptical(self) -> bool:
        """Whether its precision is a(rest) A with one exact matrix A: the block is elliptical about its centre."""
        return self.block.shape is not None and self.center is not None

    @property
    def has_mean(self) -> bool:
        """Whether the mean exists, and so is the centre."""
        return self.is_symmetric and self.moments[1].exists

    @property
    def has_covariance(self) -> bool:
        """Whether second moments exist, so that the correlation matrix of an elliptical block is that of its shape."""
        return self.is_symmetric and self.moments[2].exists

    @cached_property
    def correlation(self) -> list[list[float]] | None:
        """The exact correlation matrix of an elliptical block, each entry rounded once; None if not elliptical."""
        shape = self.block.covariance_shape if self.is_elliptical else None
        return None if shape is None else _correlation(shape)

    def __str__(self) -> str:
        group = short(self.names)
        lines = []
        if self.center is not None:
            values = ", ".join(f"{float(c):.6g}" for c in self.center[:6]) + (", ..." if len(self.center) > 6 else "")
            lines.append(f"({group}): log p is unchanged by reflection about ({values}), exactly, whatever the rest")
        if self.is_gaussian:
            lines.append(f"({group}): Gaussian given the rest" + self._precision_text())
        if self.center is not None:
            for order, word in ((1, "mean exists and is the centre"), (2, "covariance exists")):
                found = self.moments[order]
                lines.append(f"({group}): {word}: {found.reason}" if found.exists else f"({group}): {found.reason}")
        return "\n".join(dict.fromkeys(lines))

    def _precision_text(self) -> str:
        if self.is_elliptical:
            return ", precision proportional to one exact matrix (elliptical)"
        return "" if self.center is not None else ", with a centre that depends on the rest (or was not shown not to)"


@dataclass(frozen=True)
class Ellipse:
    """A block through one quadratic of which log p depends on it, not Gaussian given the rest (Student-t, for one).

    It has what a `Block` has that certificates of means and correlations read.

    Attributes:
        coordinates: Their places in the flat vector.
        names: Their names.
        block: The algebra behind it (`EllipticalBlock`).
        moments: ``{order: Moment}`` of the block's coordinates, orders 1 and 2.
    """

    coordinates: tuple[int, ...]
    names: tuple[str, ...]
    block: EllipticalBlock = field(repr=False)
    moments: dict[int, Moment]

    @property
    def center(self) -> tuple[Fraction, ...]:
        """The exact centre of symmetry."""
        return self.block.center

    @property
    def is_gaussian(self) -> bool:
        """Not shown to be."""
        return False

    @property
    def is_symmetric(self) -> bool:
        """Always: a function of the quadratic alone is unchanged by reflection about its centre."""
        return True

    @property
    def is_elliptical(self) -> bool:
        """Always."""
        return True

    @property
    def is_decreasing(self) -> bool:
        """Whether log p was proved non-increasing in the quadratic, whatever the rest."""
        return self.block.decreasing

    @property
    def has_mean(self) -> bool:
        """Whether the mean exists, and so is the centre."""
        return self.moments[1].exists

    @property
    def has_covariance(self) -> bool:
        """Whether second moments exist, so that the correlation matrix is that of the shape."""
        return self.moments[2].exists

    @cached_property
    def correlation(self) -> list[list[float]] | None:
        """The exact correlation matrix of the shape, each entry rounded once."""
        inverse = exact.inverse(self.block.shape)
        return None if inverse is None else _correlation(inverse)

    def __str__(self) -> str:
        values = ", ".join(f"{float(c):.6g}" for c in self.center[:6]) + (", ..." if len(self.center) > 6 else "")
        group = short(self.names)
        falls = ", and falls with it" if self.is_decreasing else ""
        text = f"({group}): log p depends on it through one exact quadratic about ({values}) alone{falls} (elliptical)"
        found = self.moments[2] if self.has_covariance else self.moments[1]
        word = "covariance exists" if self.has_covariance else "mean exists and is the centre"
        return f"{text}; {word}: {found.reason}" if found.exists else f"{text}; {found.reason}"


@dataclass(frozen=True)
class Symmetry:
    """A reflection that was proved by substitution.

    Attributes:
        coordinates: The coordinates reflected.
        names: Their names.
        center: The exact centre.
        moments: ``{order: Moment}`` of these coordinates, orders 1 and 2.
    """

    coordinates: tuple[int, ...]
    names: tuple[str, ...]
    center: tuple[Fraction, ...]
    moments: dict[int, Moment]

    def __str__(self) -> str:
        values = ", ".join(f"{float(c):.6g}" for c in self.center[:6]) + (", ..." if len(self.center) > 6 else "")
        group = short(self.names)
        found = self.moments[1]
        text = f"({group}): log p is unchanged by reflection about ({values}), exactly, the rest held"
        return f"{text}; mean exists and is the centre: {found.reason}" if found.exists else f"{text}; {found.reason}"


@dataclass(frozen=True)
class Analysis:
    """What static analysis proves of a target, before any fit.

    Attributes:
        coordinates: Names of the flat coordinates.
        refusal: Why nothing was proved; empty if something was.
        blocks: Blocks that are quadratic, largest claims first.
        reflections: Further reflections, proved by substitution; no more than is not implied by these and the blocks.
        swaps: Neighbouring coordinates of a site that may be swapped.
        ellipses: Blocks that are elliptical without being Gaussian given the rest (`Ellipse`).
        affine_centers: Blocks reflected about a centre that moves with the rest (Theorem R), Gaussian or not.
        permutations: Generators of the permutations proved: ``sigma[j]`` for every coordinate, log p being unchanged
            when z_j takes the value of z_sigma(j).
        exchangeable: Sets of coordinates that may be permuted at will.
        exchangeable_blocks: Sets of blocks (of one length) that may be permuted at will as wholes: plate indices in all
            sites of the plate, whole sites, components of a mixture.
        signed_permutations: Further generators that also change signs or shift (`SignedPermutation`).
        rotations: Groups O(k) of joint rotations (`RotationGroup`).
        moments: ``{order: Moment}`` of all coordinates together.
        concavity: Concavity of log p (`LogConcavity`); None after a refusal.
        idealisations: Where floating-point code was read as the function it stands for.
        conditions: What the proofs are bound to (parameters held fixed, for one).
        gradient_agrees: Whether the function's gradient is its own (if not, nothing is said of fits).
        fingerprint: Hash of the graph and of all constants; a proof is of this function and no other.
        reading: The exact expression of log p and the table it lives in, for further questions.
        unimodality: Coordinates in which log p is even and unimodal given the rest, with their centres (`Unimodality`).
    """

    coordinates: tuple[str, ...]
    refusal: str = ""
    blocks: tuple[Block, ...] = ()
    reflections: tuple[Symmetry, ...] = ()
    swaps: tuple[tuple[int, int], ...] = ()
    moments: dict[int, Moment] = field(default_factory=dict)
    concavity: LogConcavity | None = None
    idealisations: tuple[str, ...] = ()
    conditions: tuple[str, ...] = ()
    gradient_agrees: bool = True
    fingerprint: str = ""
    ellipses: tuple[Ellipse, ...] = ()
    affine_centers: tuple[AffineCenter, ...] = ()
    permutations: tuple[tuple[int, ...], ...] = ()
    exchangeable: tuple[tuple[int, ...], ...] = ()
    exchangeable_blocks: tuple[tuple[tuple[int, ...], ...], ...] = ()
    signed_permutations: tuple[SignedPermutation, ...] = ()
    rotations: tuple[RotationGroup, ...] = ()
    reading: tuple[Expressions, Polynomial] | None = field(default=None, repr=False, compare=False)
    unimodality: Unimodality = field(default_factory=Unimodality)

    @property
    def unimodal(self) -> tuple[int, ...]:
        """Coordinates j in which log p is even about a centre and never rises away from it, whatever the others are."""
        return self.unimodality.coordinates

    @property
    def strictly_unimodal(self) -> tuple[int, ...]:
        """Those in which it falls strictly."""
        return self.unimodality.strict

    @property
    def is_plain(self) -> bool:
        """Whether the proofs speak of the function as it is: nothing idealised, and its gradient its own."""
        return not self.refusal and not self.idealisations and self.gradient_agrees

    def has_moments(self, order: int) -> bool:
        """Whether moments of this order of all coordinates were shown to exist."""
        return order in self.moments and self.moments[order].exists

    def prove_invariance(self, matrix: Any, offset: Any = None) -> InvarianceProof:
        """Whether ``log p(M z + b) = log p(z)`` for every z and ``|det M| = 1``, by substitution (`prove_invariance`).

        Args:
            matrix: M ``[d, d]``: nested sequences of int, `Fraction` or float, or a tensor; floats are taken as the
                rationals stored.
            offset: b ``[d]``; None is zero.

        Raises:
            ValueError: Wrong shapes, or numbers that are not finite.
            TypeError: Entries that are no real numbers.
        """
        dim = len(self.coordinates)
        rows, shift = exact_matrix(matrix, dim), exact_vector(offset, dim)
        if self.refusal or self.reading is None:
            return InvarianceProof(False, f"nothing is proved: {self.refusal or 'the expression was not kept'}")
        table, p = self.reading
        table.allow(BUDGET)
        proved, reason = prove_map(table, p, rows, shift)
        if proved and self.idealisations:
            reason += f", of the density idealised as: {'; '.join(self.idealisations)}"
        return InvarianceProof(proved, reason, self.idealisations, self.conditions)

    def explain(self) -> str:
        """In sentences: what is proved, the idealisations used, what the proofs are bound to."""
        if self.refusal:
            return f"Nothing is proved: {self.refusal}."
        lines = [str(found) for found in (*self.blocks, *self.ellipses, *self.reflections)]
        if not any(b.is_symmetric for b in self.blocks) and not self.reflections and not self.ellipses:
            lines.append("No reflection was proved, so no centre is.")
        lines += self._permutation_texts()
        lines.append(self._concavity_text())
        if self.unimodal:
            names = short([self.coordinates[j] for j in self.unimodal])
            lines.append(f"Whatever the rest, log p is even and unimodal in each of ({names}).")
        if self.has_moments(2):
            lines.append(f"The posterior is proper, with finite second moments: {self.moments[2].reason}.")
        lines.append(ARITHMETIC)
        lines += [f"Idealised: {text}." for text in self.idealisations]
        lines += [f"Bound to: {text}." for text in self.conditions]
        if not self.gradient_agrees:
            lines.append("The gradient used by an optimiser is not that of log p: nothing is said of fitted values.")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.explain()

    def _permutation_texts(self) -> list[str]:
        names = self.coordinates
        lines = []
        for part in self.exchangeable:
            lines.append(f"({short([names[j] for j in part])}): log p is unchanged by every permutation of them")
        for blocks in self.exchangeable_blocks:
            shown = ", ".join(f"({short([names[j] for j in block])})" for block in blocks[:3])
            more = ", ..." if len(blocks) > 3 else ""
            lines.append(f"log p is unchanged when blocks are permuted as wholes: {shown}{more}")
        within = {
            j: part for part in (*self.exchangeable, *(sum(b, ()) for b in self.exchangeable_blocks)) for j in part
        }
        for images in self.permutations:
            moved = [j for j, k in enumerate(images) if j != k]
            if not all(within.get(j) is not None and images[j] in within[j] for j in moved):
                lines.append(f"log p is unchanged when {_moves(names, images, moved)}")
        for g in self.signed_permutations:
            lines.append(
                f"log p is unchanged by a signed or shifted permutation of ({short([names[j] for j in g.moved])})"
            )
        for center in self.affine_centers:
            on, block = (short([names[j] for j in part]) for part in (center.on, center.coordinates))
            lines.append(f"({block}): log p is unchanged by reflection about an affine function of ({on})")
        for group in self.rotations:
            frame = short([names[j] for j in group.frames[0]])
            lines.append(
                f"log p is unchanged when ({frame}) and {len(group.frames) - 1} more frames of {group.degree} are "
                "rotated together, by any rotation or reflection"
            )
        return lines

    def _concavity_text(self) -> str:
        found = self.concavity
        if found is None:
            return ""
        if found.joint:
            strong = f", strongly with modulus {float(found.modulus):.6g}" if found.modulus else ""
            return f"log p is {'strictly ' if found.strict else ''}concave{strong}."
        text = f"log p was not shown to be concave (nothing is known of the curvature of {found.obstacle})"
        if found.given_rest:
            names = short([self.coordinates[j] for j in found.given_rest])
            text += f"; it is concave in each of ({names}) given the rest"
        return text + "."


def _correlation(covariance: Matrix) -> list[list[float]]:
    n = range(len(covariance))
    return [[1.0 if i == j else _ratio(covariance[i][j], covariance[i][i] * covariance[j][j]) for j in n] for i in n]


def _moves(names: tuple[str, ...], images: tuple[int, ...], moved: list[int]) -> str:
    shown = ", ".join(f"{names[images[j]]} for {names[j]}" for j in moved[:6])
    return f"one puts {shown}" + (", ..." if len(moved) > 6 else "")


def _ratio(value: Fraction, square: Fraction) -> float:
    """Value / sqrt(square), without over- or underflow."""
    ratio = float(value * value / square) ** 0.5
    return -ratio if value < 0 else ratio
