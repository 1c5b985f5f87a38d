"""Exact linear algebra on rationals: solutions, definiteness, proportionality."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import gcd, lcm, prod

from .large_systems import LARGE, definite, lifted_solution

Vector = list[Fraction]
Matrix = list[list[Fraction]]


def _integer_rows(rows: Sequence[Sequence[Fraction]]) -> list[list[int]]:
    """Each row times the least common denominator, in lowest terms."""
    out = []
    for row in rows:
        common = lcm(*(x.denominator for x in row))
        whole = [x.numerator * (common // x.denominator) for x in row]
        divisor = gcd(*whole)
        out.append([x // divisor for x in whole] if divisor > 1 else whole)
    return out


def solve(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> Vector | None:
    """A solution of a (possibly overdetermined) system, the free unknowns zero; None where there is none.

    Fraction-free elimination with the rows kept in lowest terms; exact.
    """
    if not matrix:
        return []
    width = len(matrix[0])
    rows = _integer_rows([[*row, b] for row, b in zip(matrix, right, strict=True)])
    pivots: list[int] = []
    done = 0
    for column in range(width):
        found = min(
            (i for i in range(done, len(rows)) if rows[i][column]), key=lambda i: abs(rows[i][column]), default=None
        )
        if found is None:
            continue
        rows[done], rows[found] = rows[found], rows[done]
        pivot = rows[done]
        for i in range(len(rows)):
            if i != done and rows[i][column]:
                a, b = pivot[column], rows[i][column]
                common = gcd(a, b)
                a, b = a // common, b // common
                row = [a * x - b * y for x, y in zip(rows[i], pivot, strict=True)]
                divisor = gcd(*row)
                rows[i] = [x // divisor for x in row] if divisor > 1 else row
        pivots.append(column)
        done += 1
    if any(row[width] for row in rows[done:]):
        return None
    solution = [Fraction(0)] * width
    for i, column in enumerate(pivots):
        solution[column] = Fraction(rows[i][width], rows[i][column])
    return solution


def definiteness(matrix: Sequence[Sequence[Fraction]]) -> int:
    """2 if positive definite, 1 if positive semidefinite, 0 if neither; exact, by fraction-free L D L^T.

    A symmetric matrix is semidefinite if and only if elimination meets only positive pivots, and zero pivots with zero
    rows.
    """
    n = len(matrix)
    filled = sum(1 for row in matrix for x in row if x)
    if n > 6 and filled < n * n // 3:
        return _sparse_definiteness(matrix)
    known = definite(matrix) if n > LARGE else None
    if known is not None:
        return known
    common = lcm(*(x.denominator for row in matrix for x in row)) if n else 1
    a = [[x.numerator * (common // x.denominator) for x in row] for row in matrix]
    if any(a[i][j] != a[j][i] for i in range(n) for j in range(i)):
        raise ValueError("expected a symmetric matrix")
    result, previous = 2, 1
    for k in range(n):
        pivot = a[k][k]
        if pivot < 0:
            return 0
        if pivot == 0:
            if any(a[k][j] for j in range(k + 1, n)):
                return 0
            result = 1
            continue
        for i in range(k + 1, n):
            for j in range(i, n):
                a[i][j] = (pivot * a[i][j] - a[k][i] * a[k][j]) // previous
                a[j][i] = a[i][j]
        previous = pivot
    return result


def _sparse_definiteness(matrix: Sequence[Sequence[Fraction]]) -> int:
    """`definiteness` by elimination in order of least degree; cheap where most entries are zero."""
    rows = [{j: x for j, x in enumerate(row) if x} for row in matrix]
    if any(rows[j].get(i, 0) != x for i, row in enumerate(rows) for j, x in row.items()):
        raise ValueError("expected a symmetric matrix")
    left, result = set(range(len(rows))), 2
    while left:
        k = min(left, key=lambda i: (len(rows[i]), i))
        left.discard(k)
        pivot = rows[k].pop(k, Fraction(0))
        if pivot < 0 or (pivot == 0 and rows[k]):
            return 0
        if pivot == 0:
            result = 1
            continue
        for i, x in rows[k].items():
            row = rows[i]
            del row[k]
            ratio = x / pivot
            for j, y in rows[k].items():
                value = row.get(j, Fraction(0)) - ratio * y
                if value:
                    row[j] = value
                else:
                    row.pop(j, None)
    return result


def solve_by_parts(rows: Sequence[dict[int, Fraction]], right: Sequence[Fraction], width: int) -> Vector | None:
    """`solve` for sparse rows ``{unknown: coefficient}``: unknowns that share no equation are solved apart."""
    leader = list(range(width))

    def find(i: int) -> int:
        while leader[i] != i:
            leader[i] = leader[leader[i]]
            i = leader[i]
        return i

    for row, b in zip(rows, right, strict=True):
        if not row and b:
            return None
        first = next(iter(row), None)
        for k in row:
            leader[find(k)] = find(first if first is not None else k)
    parts: dict[int, list[int]] = {}
    for i in range(width):
        parts.setdefault(find(i), []).append(i)
    equations: dict[int, list[int]] = {}
    for number, row in enumerate(rows):
        if row:
            equations.setdefault(find(next(iter(row))), []).append(number)
    solution = [Fraction(0)] * width
    for head, unknowns in parts.items():
        numbers = equations.get(head, [])
        if not numbers:
            continue
        dense = [[rows[n].get(k, Fraction(0)) for k in unknowns] for n in numbers]
        wanted = [right[n] for n in numbers]
        found = _solve_large(dense, wanted) if len(unknowns) > LARGE else None
        if found is None:
            found = solve(dense, wanted)
        if found is None:
            return None
        for k, x in zip(unknowns, found, strict=True):
            solution[k] = x
    return solution


def _solve_large(matrix: Matrix, right: Vector) -> Vector | None:
    """The solution of the first equations where it solves all the others, which decides nothing where it does not."""
    width = len(matrix[0])
    if len(matrix) < width:
        return None
    found = lifted_solution(matrix[:width], right[:width])
    return found if found is not None and multiply_vector(matrix[width:], found) == right[width:] else None


def determinant(matrix: Sequence[Sequence[Fraction]]) -> Fraction:
    """Exact, by fraction-free elimination (Bareiss)."""
    n = len(matrix)
    scales = [lcm(*(x.denominator for x in row)) for row in matrix]
    a = [[x.numerator * (s // x.denominator) for x in row] for row, s in zip(matrix, scales, strict=True)]
    sign, previous = 1, 1
    for k in range(n):
        found = next((i for i in range(k, n) if a[i][k]), None)
        if found is None:
            return Fraction(0)
        if found != k:
            a[k], a[found] = a[found], a[k]
            sign = -sign
        for i in range(k + 1, n):
            for j in range(k + 1, n):
                a[i][j] = (a[k][k] * a[i][j] - a[i][k] * a[k][j]) // previous
        previous = a[k][k]
    return Fraction(sign * previous, prod(scales))


def add(a: Matrix, b: Matrix) -> Matrix:
    """A + b."""
    return [[x + y for x, y in zip(r, s, strict=True)] for r, s in zip(a, b, strict=True)]


def multiply_vector(a: Sequence[Sequence[Fraction]], x: Sequence[Fraction]) -> Vector:
    """A x."""
    common = lcm(*(v.denominator for v in x))
    moving = [(j, v.numerator * (common // v.denominator)) for j, v in enumerate(x) if v]
    out = []
    for row in a:
        used = [(row[j], v) for j, v in moving if row[j]]
        scale = lcm(*(c.denominator for c, _ in used))
        out.append(Fraction(sum(c.numerator * (scale // c.denominator) * v for c, v in used), scale * common))
    return out


def inverse(a: Matrix) -> Matrix | None:
    """The inverse, or None.

    Fraction-free Gauss-Jordan elimination of ``[D A, I]``, D the least common denominator (Bareiss, 1968): every entry
    stays a minor, so that divisions are exact. Checked by multiplication.
    """
    n = len(a)
    common = lcm(*(x.denominator for row in a for x in row)) if n else 1
    whole = [[x.numerator * (common // x.denominator) for x in row] for row in a]
    rows = [row + [int(i == j) for j in range(n)] for i, row in enumerate(whole)]
    previous = 1
    for k in range(n):
        found = next((i for i in range(k, n) if rows[i][k]), None)
        if found is None:
            return None
        rows[k], rows[found] = rows[found], rows[k]
        lead, pivot = rows[k], rows[k][k]
        for i in range(n):
            if i != k:
                b, row = rows[i][k], rows[i]
                if b:
                    rows[i] = [(pivot * x - b * y) // previous for x, y in zip(row, lead, strict=True)]
                else:
                    rows[i] = [pivot * x // previous for x in row]
        previous = pivot
    adjugate = [row[n:] for row in rows]
    columns = list(zip(*adjugate, strict=True))
    for i, row in enumerate(whole):
        for j, column in enumerate(columns):
            if sum(x * y for x, y in zip(row, column, strict=True)) != (previous if i == j else 0):
                return None
    return [[Fraction(common * x, previous) for x in row] for row in adjugate]


def proportional(a: Matrix, b: Matrix) -> bool:
    """Whether b is a multiple of a (a not zero), by exact cross-products."""
    pairs = [(x, y) for r, s in zip(a, b, strict=True) for x, y in zip(r, s, strict=True)]
    lead = next(((x, y) for x, y in pairs if x), None)
    if lead is None:
        return False
    return all(x * lead[1] == y * lead[0] for x, y in pairs)


def proved_minimum_eigenvalue(a: Matrix, guess: float) -> Fraction:
    """A rational m with a - m I positive semidefinite, from a guess made smaller until it is one; 0 if none is."""
    for factor in (0.999, 0.99, 0.9, 0.5):
        m = Fraction(guess * factor).limit_denominator(10**12) if guess > 0 else Fraction(0)
        if m <= 0:
            break
        shifted = [[x - m if i == j else x for j, x in enumerate(row)] for i, row in enumerate(a)]
        if definiteness(shifted):
            return m
    return Fraction(0)
