"""What is proved of the concavity of a log density: jointly, strictly, how strongly, and in each coordinate."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from . import signs
from .curvature import Curvature, Shape
from .expressions import Expressions
from .polynomials import Polynomial
from .strictness import is_strict


@dataclass(frozen=True)
class LogConcavity:
    """What is proved of the concavity of log p.

    Attributes:
        joint: Whether log p is concave in all coordinates together.
        modulus: m with log p + m/2 |z|^2 concave; 0 where none was found.
        given_rest: Coordinates in each of which log p is concave, the others held.
        full_support: Whether p > 0 everywhere.
        obstacle: The first term whose joint curvature is unknown, in words; empty if ``joint``.
        strict: Whether log p is strictly concave: affine on no segment.
        strict_given_rest: Coordinates in each of which log p is strictly concave, whatever the others are.
    """

    joint: bool
    modulus: Fraction
    given_rest: tuple[int, ...]
    full_support: bool
    obstacle: str
    strict: bool = False
    strict_given_rest: tuple[int, ...] = ()


def log_concavity(table: Expressions, p: Polynomial, dim: int) -> LogConcavity:
    """Concavity of a log density without open obligations: jointly, and in each coordinate given the rest."""
    everything = Curvature(table, tuple(range(dim)))
    joint = everything.of(p) in (Shape.CONCAVE, Shape.AFFINE)
    strict = joint and is_strict(everything, p)
    single, strict_single = [], []
    for j, own in enumerate(by_coordinate(table, p, dim)):  # the other terms are constant in z_j
        alone = Curvature(table, (j,))
        if joint or alone.of(own) in (Shape.CONCAVE, Shape.AFFINE):
            single.append(j)
            if strict or is_strict(alone, own):
                strict_single.append(j)
    return LogConcavity(
        joint,
        everything.modulus(p) if joint else Fraction(0),
        tuple(single),
        full_support(table, p),
        "" if joint else everything.culprit,
        strict,
        tuple(strict_single),
    )


def by_coordinate(table: Expressions, p: Polynomial, dim: int) -> list[Polynomial]:
    """The terms that depend on z_j, for each j."""
    terms: list[dict[int, int]] = [{} for _ in range(dim)]
    for monomial, numerator in p.terms.items():
        mask = table.monomial_depends(monomial)
        while mask:
            terms[(mask & -mask).bit_length() - 1][monomial] = numerator
            mask &= mask - 1
    return [Polynomial(own, p.denominator, signs.ANY) for own in terms]


def full_support(table: Expressions, p: Polynomial) -> bool:
    """Whether no condition on the unknowns occurs (p is then positive everywhere, no obligation being open)."""
    seen: set[int] = set()
    stack = [a for monomial in p.terms for a, _ in table.monomials[monomial]]
    while stack:
        number = stack.pop()
        if number in seen:
            continue
        seen.add(number)
        atom = table.atoms[number]
        if atom.kind in ("where", "gt0", "ge0", "eq0"):
            return False
        stack += [a for argument in atom.arguments for m in argument.terms for a, _ in table.monomials[m]]
    return True
