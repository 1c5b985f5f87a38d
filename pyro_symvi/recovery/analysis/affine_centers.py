r"""Theorem R: blocks whose centre is an affine function of the other coordinates.

With :math:`\log p = -\tfrac12 z_J^\top(\sum_r r A_r) z_J + (\sum_r r\,b_r)^\top z_J + h`, as in `gaussian_block`, the
centre :math:`a + By` solves :math:`\sum_r r A_r (a + By) = \sum_r r\,b_r`. Matching the coefficients of every monomial
of the rest gives a linear system with rational coefficients for a and B. That is a candidate; the proof is that the
conditional reflection :math:`z_J \mapsto 2(a + By) - z_J` leaves the expression of log p as it is. The same candidates
come from quadratics inside functions (a Student-t law about :math:`a + By`), with the same proof.

Then :math:`E(z_J \mid y) = a + By` where it exists, so :math:`E z_J = a + B\,E y` and
:math:`\operatorname{Cov}(z_J, y) = B \operatorname{Cov}(y)`, and a full-rank spherical guide with a unique optimum has
the same slope and intercept.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction

from . import exact, signs
from .expressions import Expressions
from .findings import AffineCenter
from .gaussian_block import Factor, grouped
from .invariance import is_invariant
from .polynomials import Polynomial
from .refusals import Refused

_MOST_WORK = 3_000_000
_MOST_ARGUMENTS = 40
_MOST_ATTEMPTS = 4


def affine_center(
    table: Expressions, p: Polynomial, block: tuple[int, ...], dim: int, factors: Iterable[Factor] | None = None
) -> AffineCenter | None:
    """The affine centre of a block, proved by substitution; None if none was found.

    Args:
        table: Where p lives.
        p: A log density without open obligations.
        block: J.
        dim: Dimension of z.
        factors: The block's factors, if log p is quadratic in it (`gaussian_block.GaussianBlock.factors`).
    """
    groups = [list(factors)] if factors is not None else _groups(table, p, block)
    attempts = [groups] if len(groups) < 2 else [groups, *([group] for group in groups[:_MOST_ATTEMPTS])]
    for attempt in attempts:
        found = _candidate(table, attempt, block, dim)
        if found is not None and is_conditional_reflection(table, p, found):
            return found
    return None


def _groups(table: Expressions, p: Polynomial, block: tuple[int, ...]) -> list[list[Factor]]:
    """The factors of every quadratic that the density holds."""
    groups = []
    for polynomial in quadratic_arguments(table, p, block):
        try:
            groups.append(list(grouped(table, polynomial_part(table, polynomial, block), block).values()))
        except Refused:
            continue
    return groups


def is_conditional_reflection(table: Expressions, p: Polynomial, center: AffineCenter) -> bool:
    """Whether log p is proved unchanged by z_J -> 2(a + B y) - z_J."""
    images = {}
    for j, a, row in zip(center.coordinates, center.intercept, center.slope, strict=True):
        parts: list[tuple[int | Fraction, Polynomial]] = [(-1, table.coordinate(j)), (2 * a, table.one)]
        parts += [(2 * b, table.coordinate(k)) for b, k in zip(row, center.on, strict=True) if b]
        images[j] = table.combination(parts)
    return is_invariant(table, p, images)


def quadratic_arguments(table: Expressions, p: Polynomial, block: tuple[int, ...]) -> list[Polynomial]:
    """The density and those arguments of functions in it that hold squares of the block's coordinates."""
    mask = sum(1 << j for j in block)
    own = {table.coordinate_atom(j) for j in block}
    found: list[Polynomial] = []
    seen: set[tuple[int, ...]] = set()
    stack = [p]
    while stack and len(found) < _MOST_ARGUMENTS:
        polynomial = stack.pop(0)
        if polynomial.key in seen:
            continue
        seen.add(polynomial.key)
        square = False
        for monomial in polynomial.terms:
            if not table.monomial_depends(monomial) & mask:
                continue
            for number, power in table.monomials[monomial]:
                square |= number in own and power == 2
                atom = table.atoms[number]
                if atom.depends & mask:
                    stack += [a for a in atom.arguments if table.depends(a) & mask]
        if square:
            found.append(polynomial)
    return found


def polynomial_part(table: Expressions, p: Polynomial, block: tuple[int, ...], degree: int = 8) -> Polynomial:
    """The terms without functions of the block, up to a degree in it."""
    mask = sum(1 << j for j in block)
    terms = {}
    for monomial, numerator in p.terms.items():
        powers = [(table.atoms[a], k) for a, k in table.monomials[monomial] if table.atoms[a].depends & mask]
        if all(atom.kind == "z" for atom, _ in powers) and sum(abs(k) for _, k in powers) <= degree:
            terms[monomial] = numerator
    return Polynomial(terms, p.denominator, signs.ANY)


def _candidate(table: Expressions, groups: list[list[Factor]], block: tuple[int, ...], dim: int) -> AffineCenter | None:
    """Intercept and slopes that serve several quadratics, by matching coefficients; nothing is proved here."""
    n, rest = len(block), set(range(dim)) - set(block)
    split = []
    for factors in groups:
        curved = {f.monomial: f for f in factors if f.is_curved}
        vectors = {f.monomial: f.vector for f in factors if any(f.vector)}
        if curved:
            split.append((curved, vectors))
    on = tuple(sorted({k for curved, vectors in split for k in _slopes(table, curved, vectors, rest)}))
    if not split or (1 + len(on)) * n**3 > _MOST_WORK:
        return None
    left: list[dict[int, Fraction]] = []
    right: list[Fraction] = []
    for curved, vectors in split:
        rows: dict[tuple[int, int], dict[int, Fraction]] = {}
        for monomial, factor in curved.items():
            for place, k in enumerate((None, *on)):
                product = monomial if k is None else table.times(monomial, _own(table, k))
                for i, row in enumerate(factor.matrix):
                    equation = rows.setdefault((product, i), {})
                    for j, x in enumerate(row):
                        if x:
                            equation[place * n + j] = equation.get(place * n + j, Fraction(0)) + x
        keys = list(rows) + [(m, i) for m in vectors for i in range(n) if (m, i) not in rows]
        left += [{k: x for k, x in rows.get(key, {}).items() if x} for key in keys]
        right += [vectors[m][i] if m in vectors else Fraction(0) for m, i in keys]
    solved = exact.solve_by_parts(left, right, n * (1 + len(on)))
    if solved is None:
        return None
    slopes = [solved[(1 + place) * n : (2 + place) * n] for place in range(len(on))]
    kept = [place for place, column in enumerate(slopes) if any(column)]
    slope = tuple(tuple(slopes[place][j] for place in kept) for j in range(n))
    return AffineCenter(block, tuple(on[place] for place in kept), tuple(solved[:n]), slope)


def _slopes(
    table: Expressions, curved: dict[int, Factor], vectors: dict[int, list[Fraction]], rest: set[int]
) -> tuple[int, ...]:
    """Coordinates y_k with a term r y_k in the linear part, r being a factor of the quadratic part."""
    numbers = {table.coordinate_atom(k): k for k in rest}
    found = set()
    for monomial in vectors:
        for atom, power in table.monomials[monomial]:
            if atom in numbers and power >= 1:
                k = numbers[atom]
                if k not in found and table.times(monomial, table.monomial(((atom, -1),))) in curved:
                    found.add(k)
    return tuple(sorted(found))


def _own(table: Expressions, k: int) -> int:
    return table.monomial(((table.coordinate_atom(k), 1),))
