r"""Positive definiteness of :math:`\Lambda(y) = \sum_r r(y) A_r` where single terms are indefinite.

Expanding :math:`(\mu + \tau e)^2` gives the cross term :math:`2\tau\,\mu e`, whose matrix is indefinite alone. In the
monomials :math:`w = (\mu,\ e,\ \tau e)` it is a square again: with half-monomials m (:math:`m^2 = r` on the diagonal),

.. math:: z^\top \Lambda(y) z = w^\top G w, \qquad w_{(m,i)} = m(y) z_i,

G a constant rational matrix. If :math:`G - \varepsilon D` is positive semidefinite, D picking one (m, i) a coordinate
with :math:`m \ne 0` everywhere, then :math:`z^\top\Lambda z \ge \varepsilon \sum_i m_i^2 z_i^2`: positive definite for
every y. Any G with that expansion will do, so how terms are shared out is no part of the proof; that G expands to
:math:`\Lambda` holds by construction and is checked.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from . import exact, signs
from .exact import Matrix
from .expressions import Expressions
from .polynomials import ONE

_ZERO = Fraction(0)
_MOST = 60

Curved = list[tuple[int, Matrix]]
"""Factors: (monomial r, A_r)."""


@dataclass(frozen=True)
class Lift:
    """The proof: ``z^T Lambda z >= epsilon sum m_i^2 z_i^2``.

    Attributes:
        halves: m_i for each coordinate of the block, a monomial that vanishes nowhere.
        epsilon: Positive.
    """

    halves: tuple[int, ...]
    epsilon: Fraction


def gram_lift(table: Expressions, curved: Curved) -> Lift | None:
    """A proof that the precision is positive definite whatever the rest; None if none was found."""
    if not curved:
        return None
    n = len(curved[0][1])
    halves = [_halves(table, curved, i) for i in range(n)]
    basis = [(m, i) for i in range(n) for m in halves[i]]
    if any(not h for h in halves) or len(basis) > _MOST:
        return None
    place = {key: k for k, key in enumerate(basis)}
    gram = [[_ZERO] * len(basis) for _ in basis]
    for monomial, matrix in curved:
        for i in range(n):
            for j in range(i, n):
                if matrix[i][j] and not _share(table, gram, place, halves, monomial, (i, j), matrix[i][j]):
                    return None
    if not _expands(table, gram, basis, curved):
        return None
    sure = [[m for m in found if not table.monomial_sign(m) & signs.ZERO] for found in halves]
    if any(not found for found in sure):
        return None
    shared = [m for m in sure[0] if all(m in found for found in sure)]  # one for all serves as a bound (anchor)
    choices = [(m,) * n for m in sorted(shared, key=lambda m: m != ONE)]
    choices += [tuple(found[0] for found in sure), tuple(found[-1] for found in sure)]
    for chosen in dict.fromkeys(choices):
        epsilon = _margin(gram, [place[m, i] for i, m in enumerate(chosen)])
        if epsilon:
            return Lift(chosen, epsilon)
    return None


def root(table: Expressions, monomial: int) -> int | None:
    """The m with m^2 = monomial; None if there is none."""
    powers = []
    for atom, power in table.monomials[monomial]:
        if table.atoms[atom].kind == "exp":
            half = table.scaled(table.atoms[atom].arguments[0], Fraction(power, 2))
            powers.append((table._exponential(half), 1))
        elif power % 2:
            return None
        else:
            powers.append((atom, power // 2))
    return table.monomial(tuple(sorted(powers)))


def _halves(table: Expressions, curved: Curved, i: int) -> list[int]:
    """Half-monomials of the diagonal entries of a coordinate."""
    found: dict[int, None] = {}
    for monomial, matrix in curved:
        if matrix[i][i] > 0:
            half = root(table, monomial)
            if half is not None:
                found[half] = None
    return list(found)


def _share(
    table: Expressions,
    gram: Matrix,
    place: dict[tuple[int, int], int],
    halves: list[list[int]],
    monomial: int,
    entry: tuple[int, int],
    value: Fraction,
) -> bool:
    """Put an entry of A_r into G: on the diagonal if it is a square, else evenly on all pairs with product r."""
    i, j = entry
    pairs = [
        (place[a, i], place[b, j])
        for a in halves[i]
        for b in halves[j]
        if table.times(a, b) == monomial and (i != j or place[a, i] <= place[b, j])
    ]
    if i == j:
        pairs = [(k, m) for k, m in pairs if k == m] or pairs
    if not pairs:
        return False
    for k, m in pairs:
        share = value / len(pairs)
        if k == m:
            gram[k][k] += share
        else:
            share = share / 2 if i == j else share
            gram[k][m] += share
            gram[m][k] += share
    return True


def _expands(table: Expressions, gram: Matrix, basis: list[tuple[int, int]], curved: Curved) -> bool:
    """Whether w^T G w has the coefficients of z^T Lambda z, exactly."""
    found: dict[tuple[int, int, int], Fraction] = {}
    for k, (a, i) in enumerate(basis):
        for m, (b, j) in enumerate(basis):
            if gram[k][m]:
                key = (table.times(a, b), min(i, j), max(i, j))
                found[key] = found.get(key, _ZERO) + gram[k][m]
    for monomial, matrix in curved:
        for i, row in enumerate(matrix):
            for j in range(i, len(row)):
                key = (monomial, i, j)
                found[key] = found.get(key, _ZERO) - (row[j] if i == j else 2 * row[j])
    return not any(found.values())


def _margin(gram: Matrix, picked: list[int]) -> Fraction:
    """A rational epsilon > 0 with G - epsilon D positive semidefinite; 0 if none was found."""
    floating = np.array([[float(x) for x in row] for row in gram])
    others = [k for k in range(len(gram)) if k not in set(picked)]
    core = floating[np.ix_(picked, picked)]
    if others:
        cross = floating[np.ix_(picked, others)]
        core = core - cross @ np.linalg.pinv(floating[np.ix_(others, others)]) @ cross.T
    guess = float(np.linalg.eigvalsh(core)[0])
    for factor in (0.9, 0.5, 0.01):
        epsilon = Fraction(guess * factor).limit_denominator(10**9) if guess > 0 else _ZERO
        if epsilon <= 0:
            return _ZERO
        shifted = [list(row) for row in gram]
        for k in picked:
            shifted[k][k] -= epsilon
        if exact.definiteness(shifted):
            return epsilon
    return _ZERO
