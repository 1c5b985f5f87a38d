r"""Signs of real numbers as sets: which of negative, zero, positive a number may be.

A sign is a bit set of `NEGATIVE`, `ZERO`, `POSITIVE`; `ANY` knows nothing. Smaller sets say more, and two true
statements are combined by ``&``. The tables below hold every sum and product.
"""

from __future__ import annotations

from fractions import Fraction

NEGATIVE, ZERO, POSITIVE = 1, 2, 4
ANY = NEGATIVE | ZERO | POSITIVE
NON_NEGATIVE = ZERO | POSITIVE
NON_POSITIVE = ZERO | NEGATIVE
NON_ZERO = NEGATIVE | POSITIVE

_PARTS = (NEGATIVE, ZERO, POSITIVE)
_SUM = {
    (NEGATIVE, NEGATIVE): NEGATIVE,
    (NEGATIVE, ZERO): NEGATIVE,
    (NEGATIVE, POSITIVE): ANY,
    (ZERO, ZERO): ZERO,
    (ZERO, POSITIVE): POSITIVE,
    (POSITIVE, POSITIVE): POSITIVE,
}
_VALUE = {NEGATIVE: -1, ZERO: 0, POSITIVE: 1}
_SIGN = {-1: NEGATIVE, 0: ZERO, 1: POSITIVE}


def _table(product: bool) -> list[list[int]]:
    table = [[0] * 8 for _ in range(8)]
    for a in range(1, 8):
        for b in range(1, 8):
            for x in _PARTS:
                for y in _PARTS:
                    if a & x and b & y:
                        pair = (min(x, y), max(x, y))
                        table[a][b] |= _SIGN[_VALUE[x] * _VALUE[y]] if product else _SUM[pair]
    return table


SUM = _table(product=False)
"""``SUM[a][b]``: the sign of a sum."""
PRODUCT = _table(product=True)
"""``PRODUCT[a][b]``: the sign of a product."""


def of_number(value: int | Fraction) -> int:
    """The sign of a number."""
    return POSITIVE if value > 0 else NEGATIVE if value < 0 else ZERO


def negated(sign: int) -> int:
    """The sign of ``-x``."""
    return PRODUCT[sign][NEGATIVE]


def power(sign: int, exponent: int) -> int:
    """The sign of ``x^exponent`` for an integer exponent (``x`` not zero where it is negative)."""
    if exponent == 0:
        return POSITIVE
    if exponent % 2:
        return sign
    return (POSITIVE if sign & NON_ZERO else 0) | (sign & ZERO)
