r"""How fast -log p can grow, read from its exact expression: what a guide has to integrate for reverse KL to be finite.

Each atom is bounded by a power of the distance, or by exp(linear); products and sums follow. A positive polynomial q
satisfies :math:`q(z) \ge c (1 + |z|)^{-N}` (Lojasiewicz), so its logarithm grows at most like a logarithm and its
inverse like some power. What is not bounded is None: nothing is claimed.
"""

from __future__ import annotations

import math

from ..analysis.expressions import Atom, Expressions
from ..analysis.polynomials import Polynomial
from .target import Growth

_BOUNDED = ("sigmoid", "tanh", "erf", "sin", "cos", "atan")
_LIKE_ARGUMENT = ("softplus", "abs")
_CONSTANT = Growth("polynomial", 0.0)
_EXPONENTIAL = Growth("exponential")


def growth_of(table: Expressions, p: Polynomial) -> Growth | None:
    """A bound on ``|p(z)|`` for large ``|z|``; None where no rule gives one."""
    return _Growth(table).of(p)


class _Growth:
    """Bounds by atom, kept."""

    def __init__(self, table: Expressions) -> None:
        self.table = table
        self._known: dict[int, Growth | None] = {}

    def of(self, p: Polynomial) -> Growth | None:
        found = _CONSTANT
        for monomial in p.terms:
            term = self._monomial(monomial)
            if term is None:
                return None
            found = _larger(found, term)
        return found

    def _monomial(self, monomial: int) -> Growth | None:
        degree, exponential = 0.0, False
        for number, power in self.table.monomials[monomial]:
            if number not in self._known:
                self._known[number] = self._atom(self.table.atoms[number])
            found = self._known[number]
            if found is None or power < 0:
                return None
            exponential |= found.kind == "exponential"
            degree += power * found.degree
        return _EXPONENTIAL if exponential else Growth("polynomial", degree)

    def _atom(self, atom: Atom) -> Growth | None:
        if atom.kind == "z":
            return Growth("polynomial", 1.0)
        if atom.kind in _BOUNDED:
            return _CONSTANT
        if not atom.arguments:
            return None
        if atom.kind == "log":
            return self._logarithm(atom.arguments[0])
        if atom.kind == "inv":
            return _EXPONENTIAL if self._is_polynomial(atom.arguments[0]) else None
        inner = self.of(atom.arguments[0])
        if inner is None or atom.kind in _LIKE_ARGUMENT:
            return inner
        if atom.kind == "exp" and inner.kind == "polynomial" and inner.degree <= 1:
            return _EXPONENTIAL if inner.degree else _CONSTANT
        if atom.kind == "pow" and atom.number > 0:
            return inner if inner.kind == "exponential" else Growth("polynomial", inner.degree * float(atom.number))
        return None

    def _logarithm(self, u: Polynomial) -> Growth | None:
        """Log u, u > 0 everywhere: a polynomial, or a positive sum of exponentials."""
        if self._is_polynomial(u):
            return Growth("polynomial", 1.0)
        degree = 0.0
        for monomial, numerator in u.terms.items():
            if numerator <= 0:
                return None
            for number, power in self.table.monomials[monomial]:
                atom = self.table.atoms[number]
                inner = self.of(atom.arguments[0]) if atom.kind == "exp" and power > 0 else None
                if inner is None or inner.kind == "exponential":
                    return None
                degree = max(degree, inner.degree)
        return Growth("polynomial", degree)

    def _is_polynomial(self, u: Polynomial) -> bool:
        powers = [pair for monomial in u.terms for pair in self.table.monomials[monomial]]
        return all(self.table.atoms[number].kind == "z" and power > 0 for number, power in powers)


def _larger(a: Growth, b: Growth) -> Growth:
    if "exponential" in (a.kind, b.kind):
        return _EXPONENTIAL
    return a if math.isclose(a.degree, b.degree) or a.degree > b.degree else b
