r"""Signs from ranges: polynomials in sigmoid, tanh and erf, which never reach the ends of (0, 1) or (-1, 1).

A polynomial that is linear in each of several variables is, at a point of a box, an average of its values at the
corners, every corner having a positive weight inside the box. So it is positive if no corner is negative and one is
positive: 1 - tanh(a)^2, (1 - sigmoid(a))(1 - sigmoid(b)), sigmoid(a)(1 - tanh(b)^2), ... expanded or not.
"""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import TYPE_CHECKING

from . import signs
from .polynomials import ONE, Polynomial

if TYPE_CHECKING:
    from .expressions import Expressions

_WITHIN_ONE = ("sigmoid", "tanh", "erf")
_MOST = 10
"""Variables of a box."""


def range_sign(table: Expressions, p: Polynomial) -> int:
    """What the ranges of its atoms say of the sign of p; `signs.ANY` where they say nothing."""
    powers: dict[int, set[int]] = {}
    for monomial in p.terms:
        for atom, k in table.monomials[monomial]:
            if table.atoms[atom].kind not in _WITHIN_ONE or k < 0:
                return signs.ANY
            powers.setdefault(atom, set()).add(k)
    if len(powers) <= _MOST and all(len(ks) == 1 for ks in powers.values()):
        return _by_corners(table, p, {atom: min(ks) for atom, ks in powers.items()})
    return _by_terms(table, p)


def _by_corners(table: Expressions, p: Polynomial, powers: dict[int, int]) -> int:
    """Linear in each variable t = atom^k: the values at the corners of the box of their ranges.

    An end that may be attained, 0, is first in its pair: at such a corner alone is the weight always positive.
    """
    place = {atom: i for i, atom in enumerate(powers)}
    ends: list[tuple[int, int]] = []
    attained = []
    for atom, k in powers.items():
        sign = signs.power(table.atoms[atom].sign, k)
        ends.append((0, 1) if not sign & signs.NEGATIVE else (0, -1) if not sign & signs.POSITIVE else (-1, 1))
        attained.append(ends[-1][0] == 0 and bool(sign & signs.ZERO))
    terms = [([place[a] for a, _ in table.monomials[m]], p.coefficient(m)) for m in p.terms]
    seen, surely = set(), set()
    for corner in product(*ends):
        value = Fraction(0)
        for inside, c in terms:
            sized = c
            for i in inside:
                sized *= corner[i]
            value += sized
        side = signs.of_number(value)
        seen.add(side)
        if all(x == 0 for x, reached in zip(corner, attained, strict=True) if reached):
            surely.add(side)
    for wanted, weak in ((signs.POSITIVE, signs.NON_NEGATIVE), (signs.NEGATIVE, signs.NON_POSITIVE)):
        if seen <= {wanted, signs.ZERO}:
            return wanted if wanted in surely else weak
    return signs.ANY


def _by_terms(table: Expressions, p: Polynomial) -> int:
    """A constant plus terms bounded by their coefficients: each product lies in (-1, 1), or in [0, 1) by its sign."""
    low = high = p.coefficient(ONE)
    strict_low = strict_high = False
    for monomial in p.terms:
        if monomial == ONE:
            continue
        powers = table.monomials[monomial]
        if not powers or any(table.atoms[a].kind not in _WITHIN_ONE or k < 0 for a, k in powers):
            return signs.ANY
        c, sign = p.coefficient(monomial), table.monomial_sign(monomial)
        ends = (Fraction(-1) if sign & signs.NEGATIVE else Fraction(0), Fraction(1))
        bottom, top = sorted((c * ends[0], c * ends[1]))
        low, high = low + bottom, high + top
        reached = not sign & signs.NEGATIVE and bool(sign & signs.ZERO)  # only the end 0 may be attained
        strict_low |= not (reached and c > 0)
        strict_high |= not (reached and c < 0)
    found = signs.ANY
    if low >= 0:
        found &= signs.POSITIVE if strict_low or low > 0 else signs.NON_NEGATIVE
    if high <= 0:
        found &= signs.NEGATIVE if strict_high or high < 0 else signs.NON_POSITIVE
    return found
