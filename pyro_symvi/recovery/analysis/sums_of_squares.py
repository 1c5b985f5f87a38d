r"""Sums of squares of affine expressions, kept as such until their terms are asked for.

A regression on d coefficients squares one affine row for each datum; expanded one by one, n rows cost
:math:`n d^2 / 2` terms. Kept as rows, their sum is one Gram matrix,

.. math:: \sum_i c_i r_i(z)^2 = \sum_{jk} \Big(\sum_i c_i r_{ij} r_{ik}\Big) z_j z_k,

computed in integers (`integer_products`). Nothing else changes: it is the same polynomial.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from .integer_products import product
from .polynomials import ONE, Polynomial

if TYPE_CHECKING:
    from .expressions import Expressions

_LEAST = 12
"""Shorter rows are expanded at once."""


@dataclass(frozen=True)
class Square:
    """``coefficient factor row^2``, with ``factor`` a monomial and ``row`` affine in the coordinates."""

    factor: int
    coefficient: Fraction
    row: Polynomial


class SumOfSquares(Polynomial):
    """``rest + sum(squares)``; its terms are computed when first asked for, and kept.

    Attributes:
        table: Where the monomials live.
        squares: The squares.
        rest: What else is added, a plain polynomial.
    """

    __slots__ = ("_expanded", "rest", "squares", "table")

    def __init__(self, table: Expressions, squares: list[Square], rest: Polynomial, sign: int) -> None:
        self.table, self.squares, self.rest = table, squares, rest
        self.sign, self.special = sign, ""
        self._key: tuple[int, ...] | None = None
        self._expanded: Polynomial | None = None

    @property
    def terms(self) -> dict[int, int]:  # type: ignore[override]
        """Numerators of the expanded polynomial."""
        return self.expanded().terms

    @property
    def denominator(self) -> int:  # type: ignore[override]
        """Denominator of the expanded polynomial."""
        return self.expanded().denominator

    def expanded(self) -> Polynomial:
        """The same as a plain polynomial."""
        if self._expanded is None:
            groups: dict[int, list[Square]] = {}
            for square in self.squares:
                groups.setdefault(square.factor, []).append(square)
            parts = [_gram(self.table, factor, members) for factor, members in groups.items()]
            total = self.table.total([self.rest, *parts])
            self._expanded = Polynomial(total.terms, total.denominator, self.sign)
        return self._expanded

    def times(self, monomial: int, c: Fraction, sign: int) -> SumOfSquares:
        """The product with one term."""
        self.table.spend(len(self.squares))
        squares = [Square(self.table.times(s.factor, monomial), s.coefficient * c, s.row) for s in self.squares]
        term = Polynomial({monomial: c.numerator}, c.denominator, self.table.monomial_sign(monomial))
        return SumOfSquares(self.table, squares, self.table.multiply(self.rest, term), sign)


def square(table: Expressions, p: Polynomial, sign: int) -> SumOfSquares | None:
    """p^2, if p is a long affine expression in the coordinates; else None."""
    if isinstance(p, SumOfSquares) or len(p.terms) < _LEAST:
        return None
    for monomial in p.terms:
        powers = table.monomials[monomial]
        if powers and (len(powers) > 1 or powers[0][1] != 1 or table.atoms[powers[0][0]].kind != "z"):
            return None
    table.spend(len(p.terms))
    return SumOfSquares(table, [Square(ONE, Fraction(1), p)], table.zero, sign)


def combined(table: Expressions, parts: Sequence[tuple[int | Fraction, Polynomial]], sign: int) -> SumOfSquares:
    """``sum(c p for c, p in parts)``, squares kept."""
    squares: list[Square] = []
    plain: list[tuple[int | Fraction, Polynomial]] = []
    for c, p in parts:
        if isinstance(p, SumOfSquares):
            table.spend(len(p.squares))
            squares += [Square(s.factor, s.coefficient * c, s.row) for s in p.squares] if c != 1 else p.squares
            plain.append((c, p.rest))
        else:
            plain.append((c, p))
    return SumOfSquares(table, squares, table.combination(plain), sign)


def _gram(table: Expressions, factor: int, squares: list[Square]) -> Polynomial:
    """``factor * sum(coefficient row^2)``, expanded."""
    columns = {m: k for k, m in enumerate(sorted({m for s in squares for m in s.row.terms}))}
    table.spend(len(columns) ** 2 // 2 + len(squares) * len(columns) // 8)
    rows = np.zeros((len(squares), len(columns)), dtype=object)
    scales: list[Fraction] = []
    for i, s in enumerate(squares):
        for m, numerator in s.row.terms.items():
            rows[i, columns[m]] = numerator
        scales.append(Fraction(s.coefficient.numerator, s.coefficient.denominator * s.row.denominator**2))
    common = math.lcm(*(c.denominator for c in scales))
    weights = [c.numerator * (common // c.denominator) for c in scales]
    shared = math.gcd(*weights) or 1
    weighted = rows * np.array([[w // shared] for w in weights], dtype=object)
    gram = product(weighted, rows)
    monomials = list(columns)
    terms: dict[int, int] = {}
    for i, a in enumerate(monomials):
        for j in range(i, len(monomials)):
            value = gram[i, j] * shared * (1 if i == j else 2)
            if value:
                monomial = table.times(factor, table.times(a, monomials[j]))
                terms[monomial] = terms.get(monomial, 0) + value
    return table.plain({m: n for m, n in terms.items() if n}, common)
