"""Monotonicity in w = z_j^2, whatever the other coordinates: the rules behind coordinatewise unimodality.

Each rule is that of a composition or of a product of functions of w: a monotone function keeps or turns the trend, a
product of non-negative factors with one trend has it. Scale mixtures need more: the softplus and the log-sum-exp in
them rise where the quadratic beside them falls, but their slopes in w are bounded by those of their exponents.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from . import signs
from .expressions import Atom, Expressions
from .polynomials import Polynomial
from .quadratic_signs import quadratic_sign

_INCREASING = ("exp", "log", "softplus", "sigmoid", "tanh", "erf", "atan", "log_ndtr", "log_half_erfc")
_ZERO = Fraction(0)
Part = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Trend:
    """How an expression moves as w grows: ``up`` +1 (never falls), -1 (never rises), 0 (free of w), None (unknown).

    ``strict``: strictly, at every w > 0 and every value of the rest.
    """

    up: int | None
    strict: bool = False

    def turned(self) -> Trend:
        """The trend of the negative."""
        return self if self.up is None else Trend(-self.up, self.strict)


FREE, UNKNOWN = Trend(0), Trend(None)


class Trends:
    """Trends in w = z_j^2 of the expressions of one table; results are kept."""

    def __init__(self, table: Expressions, j: int) -> None:
        self.table, self.j = table, j
        self.mask = 1 << j
        self._own = table.coordinate_atom(j)
        self._known: dict[tuple[int, ...], Trend] = {}

    def of(self, p: Polynomial) -> Trend:
        """The trend of a polynomial."""
        if not self.table.depends(p) & self.mask:
            return FREE
        found = self._known.get(p.key)
        if found is None:
            found = self._known[p.key] = self._of(p)
        return found

    def _of(self, p: Polynomial) -> Trend:
        groups = self._groups(p)
        trends = [self._weighted(part, weight) for part, weight in groups.items()]
        for wanted in (1, -1):
            if all(t.up == wanted for t in trends):
                return Trend(wanted, any(t.strict for t in trends))
        for wanted in (1, -1):
            found = self._by_slopes(groups, wanted)
            if found.up is not None:
                return found
        return UNKNOWN

    def _groups(self, p: Polynomial) -> dict[Part, dict[int, Fraction]]:
        """Terms by their factors that depend on z_j: coefficient of each factor of the rest."""
        groups: dict[Part, dict[int, Fraction]] = {}
        for monomial in p.terms:
            if not self.table.monomial_depends(monomial) & self.mask:
                continue
            inside: list[tuple[int, int]] = []
            rest: list[tuple[int, int]] = []
            for atom, power in self.table.monomials[monomial]:
                (inside if self.table.atoms[atom].depends & self.mask else rest).append((atom, power))
            weight = groups.setdefault(tuple(inside), {})
            factor = self.table.monomial(tuple(rest))
            weight[factor] = weight.get(factor, _ZERO) + p.coefficient(monomial)
        return groups

    def _weighted(self, part: Part, weight: dict[int, Fraction]) -> Trend:
        terms = [(c, Polynomial({m: 1}, 1, self.table.monomial_sign(m))) for m, c in weight.items()]
        sign = quadratic_sign(self.table, self.table.combination(terms))
        trend = self._product(part)
        if trend.up is None or (sign & signs.POSITIVE and sign & signs.NEGATIVE):
            return UNKNOWN
        trend = Trend(trend.up, trend.strict and not sign & signs.ZERO)
        return trend.turned() if sign & signs.NEGATIVE else trend

    def _product(self, part: Part) -> Trend:
        factors = [self._factor(self.table.atoms[a], a, k) for a, k in part]
        if len(factors) == 1:
            return factors[0]
        sizes = [signs.power(self.table.atoms[a].sign, k) for a, k in part]
        if any(s & signs.NEGATIVE for s in sizes) or len({t.up for t in factors}) > 1 or factors[0].up is None:
            return UNKNOWN
        strict = any(
            t.strict and all(s == signs.POSITIVE for i, s in enumerate(sizes) if i != k) for k, t in enumerate(factors)
        )
        return Trend(factors[0].up, strict)

    def _factor(self, atom: Atom, number: int, power: int) -> Trend:
        """The trend of ``atom^power``."""
        if number == self._own:
            return Trend(1, True) if power > 0 and power % 2 == 0 else UNKNOWN
        base = self._atom(atom)
        if power == 1 or base.up is None:
            return base
        if power > 1 and not atom.sign & signs.NEGATIVE:
            return base
        return base.turned() if power < 0 and atom.sign == signs.POSITIVE else UNKNOWN

    def _atom(self, atom: Atom) -> Trend:
        inner = atom.arguments[0] if len(atom.arguments) == 1 else None
        if inner is None:
            return UNKNOWN
        if atom.kind in _INCREASING:
            return self.of(inner)
        if atom.kind == "pow":
            return self.of(inner) if atom.number > 0 else self.of(inner).turned()
        if atom.kind == "inv" and atom.sign in (signs.POSITIVE, signs.NEGATIVE):
            return self.of(inner).turned()
        return self._absolute(inner) if atom.kind == "abs" else UNKNOWN

    def _absolute(self, p: Polynomial) -> Trend:
        """|c r(rest) z_j^k|."""
        single = p.single()
        if single is None:
            return UNKNOWN
        rest = []
        for atom, power in self.table.monomials[single[0]]:
            if atom == self._own:
                if power < 0:
                    return UNKNOWN
            elif self.table.atoms[atom].depends & self.mask:
                return UNKNOWN
            else:
                rest.append((atom, power))
        return Trend(1, not self.table.monomial_sign(self.table.monomial(tuple(rest))) & signs.ZERO)

    # -- slopes in w -------------------------------------------------------------------------------------------

    def _by_slopes(self, groups: dict[Part, dict[int, Fraction]], wanted: int) -> Trend:
        """Add up bounds of the slopes in w, for each factor of the rest that is not negative."""
        worst: dict[int, Fraction] = {}
        strict = False
        for part, weight in groups.items():
            between = self._slope(part)
            if between is None:
                trend = self._weighted(part, weight)
                if trend.up != wanted:
                    return UNKNOWN
                strict |= trend.strict
                continue
            for factor, c in weight.items():
                if self.table.monomial_sign(factor) & signs.NEGATIVE:
                    return UNKNOWN
                ends = (wanted * c * between[0], wanted * c * between[1])
                worst[factor] = worst.get(factor, _ZERO) + min(ends)
        if any(total < 0 for total in worst.values()):
            return UNKNOWN
        strict |= any(t > 0 and self.table.monomial_sign(m) == signs.POSITIVE for m, t in worst.items())
        return Trend(wanted, strict)

    def _slope(self, part: Part) -> tuple[Fraction, Fraction] | None:
        """Bounds of d part/dw: z_j^2, softplus or log-sum-exp of what is a z_j^2 + b(rest)."""
        if len(part) != 1:
            return None
        (number, power) = part[0]
        if number == self._own:
            return (Fraction(1), Fraction(1)) if power == 2 else None
        atom = self.table.atoms[number]
        if power != 1 or len(atom.arguments) != 1:
            return None
        if atom.kind == "softplus":
            a = self._linear(atom.arguments[0])
            return None if a is None else (min(a, _ZERO), max(a, _ZERO))
        if atom.kind == "log":
            slopes = self._exponents(atom.arguments[0])
            return None if slopes is None else (min(slopes), max(slopes))
        return None

    def _linear(self, p: Polynomial) -> Fraction | None:
        """A with p = a z_j^2 + (free of z_j); else None."""
        square = self.table.monomial(((self._own, 2),))
        if any(m != square and self.table.monomial_depends(m) & self.mask for m in p.terms):
            return None
        return p.coefficient(square)

    def _exponents(self, p: Polynomial) -> list[Fraction] | None:
        """The slopes of the exponents of a positive sum of exponentials."""
        found = []
        for monomial, numerator in p.terms.items():
            if numerator < 0 or self.table.monomial_sign(monomial) != signs.POSITIVE:
                return None
            inside = [(a, k) for a, k in self.table.monomials[monomial] if self.table.atoms[a].depends & self.mask]
            if len(inside) > 1 or any(self.table.atoms[a].kind != "exp" or k != 1 for a, k in inside):
                return None
            slope = self._linear(self.table.atoms[inside[0][0]].arguments[0]) if inside else _ZERO
            if slope is None:
                return None
            found.append(slope)
        return found
