"""Gradients of affine expressions: what the pieces of a concave expression are asked for along a direction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from .exact import Vector
from .expressions import Expressions
from .polynomials import ONE, Polynomial

_ZERO = Fraction(0)


@dataclass(frozen=True)
class Gradient:
    """The gradient r(rest) a in a block: ``row`` is a, ``factor`` the monomial r."""

    factor: int
    row: Vector

    @property
    def is_rational(self) -> bool:
        """Whether r = 1."""
        return self.factor == ONE


def gradient(table: Expressions, p: Polynomial, block: Sequence[int]) -> Gradient | None:
    """The gradient of p in a block, if it is one monomial of the rest times one rational vector; else None.

    A constant expression has the gradient 0. None also where p is not affine in the block.
    """
    place = {table.coordinate_atom(j): i for i, j in enumerate(block)}
    mask = sum(1 << j for j in block)
    factor: int | None = None
    row = [_ZERO] * len(block)
    for monomial in p.terms:
        if not table.monomial_depends(monomial) & mask:
            continue
        inside: list[int] = []
        rest = []
        for atom, power in table.monomials[monomial]:
            if atom in place and power == 1:
                inside.append(place[atom])
            elif table.atoms[atom].depends & mask:
                return None
            else:
                rest.append((atom, power))
        outside = table.monomial(tuple(rest))
        if len(inside) != 1 or (factor is not None and outside != factor):
            return None
        factor = outside
        row[inside[0]] += p.coefficient(monomial)
    return Gradient(ONE if factor is None else factor, row)


class Span:
    """A growing set of rational vectors, reduced: its rank, and whether it is all of R^n."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._rows: dict[int, Vector] = {}

    def add(self, row: Sequence[Fraction]) -> bool:
        """Add a vector; whether the rank grew."""
        left = list(row)
        for column, reduced in self._rows.items():
            if left[column]:
                factor = left[column]
                left = [x - factor * y if y else x for x, y in zip(left, reduced, strict=True)]
        pivot = next((i for i, x in enumerate(left) if x), None)
        if pivot is None:
            return False
        lead = left[pivot]
        self._rows[pivot] = [x / lead if x else x for x in left]
        return True

    @property
    def rank(self) -> int:
        """Number of independent vectors."""
        return len(self._rows)

    @property
    def is_full(self) -> bool:
        """Whether they span everything."""
        return self.rank == self.size
