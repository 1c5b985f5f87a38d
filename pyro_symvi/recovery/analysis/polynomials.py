"""Polynomials with rational coefficients over atoms: the canonical form of a scalar expression.

A monomial is an integer (its place in `expressions.Expressions`); a polynomial maps monomials to integer numerators
over one common denominator, so that sums of data need no fractions.
"""

from __future__ import annotations

import math
from fractions import Fraction

ONE = 0
"""The monomial 1."""
_REDUCE_BITS = 160


class Polynomial:
    """Immutable; ``value = sum(numerators[m] m) / denominator``.

    Attributes:
        terms: Numerator of each monomial, never zero.
        denominator: Positive.
        sign: What is known of its sign (`signs`), from how it was built.
        special: ``"-inf"``, ``"inf"`` or ``"nan"`` for what is no real number; else empty.
    """

    __slots__ = ("_key", "denominator", "sign", "special", "terms")

    def __init__(self, terms: dict[int, int], denominator: int, sign: int, special: str = "") -> None:
        self.terms = terms
        self.denominator = denominator
        self.sign = sign
        self.special = special
        self._key: tuple[int, ...] | None = None

    @property
    def key(self) -> tuple[int, ...]:
        """Equal for equal polynomials, and for no others."""
        if self._key is None:
            terms, denominator = reduced(self.terms, self.denominator)
            flat = [denominator]
            for monomial in sorted(terms):
                flat += (monomial, terms[monomial])
            self._key = tuple(flat)
        return self._key

    def coefficient(self, monomial: int) -> Fraction:
        """Exact coefficient."""
        return Fraction(self.terms.get(monomial, 0), self.denominator)

    @property
    def constant(self) -> Fraction | None:
        """Its value, if it is a number; else None."""
        if not self.terms:
            return Fraction(0)
        if len(self.terms) == 1 and ONE in self.terms:
            return Fraction(self.terms[ONE], self.denominator)
        return None

    def single(self) -> tuple[int, Fraction] | None:
        """Monomial and coefficient, if there is one term; else None."""
        if len(self.terms) != 1:
            return None
        ((monomial, numerator),) = self.terms.items()
        return monomial, Fraction(numerator, self.denominator)


def reduced(terms: dict[int, int], denominator: int) -> tuple[dict[int, int], int]:
    """Lowest terms."""
    if not terms:
        return {}, 1
    common = math.gcd(denominator, *terms.values())
    if common == 1:
        return terms, denominator
    return {m: n // common for m, n in terms.items()}, denominator // common


def shortened(terms: dict[int, int], denominator: int) -> tuple[dict[int, int], int]:
    """Lowest terms where numbers have grown long."""
    return reduced(terms, denominator) if denominator.bit_length() > _REDUCE_BITS else (terms, denominator)
