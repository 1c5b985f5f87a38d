"""Exact linear algebra on large dense matrices: p-adic solutions, and definiteness proved in floating point."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from .integer_products import limbs

LARGE = 24
"""Beyond so many unknowns these are faster than elimination in rationals."""
_PRIME = 33_554_393
_MOST = 256
"""Sums of so many products of a limb and a digit stay below 2^53."""
_U = 2.0**-53


def lifted_solution(matrix: Sequence[Sequence[Fraction]], right: Sequence[Fraction]) -> list[Fraction] | None:
    r"""The solution of a square system, exact; None if the matrix is singular (or is modulo the prime used).

    Dixon (1982), "Exact solution of linear equations using p-adic expansions": with C the inverse modulo a prime p,
    digits :math:`x_i = C r_i \bmod p`, residuals :math:`r_{i+1} = (r_i - A x_i)/p`; numerators and denominators follow
    by continued fractions. The solution is checked by multiplication, so no bound on its size is relied on.
    """
    n = len(matrix)
    if not 0 < n <= _MOST:
        return None
    rows, target = [], []
    for row, b in zip(matrix, right, strict=True):
        common = math.lcm(b.denominator, *(x.denominator for x in row))
        whole = [x.numerator * (common // x.denominator) for x in (*row, b)]
        divisor = math.gcd(*whole) or 1
        rows.append([x // divisor for x in whole[:-1]])
        target.append(whole[-1] // divisor)
    a = np.array(rows, dtype=object)
    inverse = _inverse_modulo((a % _PRIME).astype(np.int64))
    if inverse is None:
        return None
    digits = limbs(a)
    stacked = digits.reshape(-1, n)
    bits = sum(max(sum(x * x for x in (*row, b)), 1).bit_length() / 2 for row, b in zip(rows, target, strict=True))
    steps = int(2 * bits / math.log2(_PRIME)) + 3
    residual = np.array(target, dtype=object)
    found = []
    for _ in range(steps):
        x = inverse @ (residual % _PRIME).astype(np.int64) % _PRIME
        found.append(x)
        parts = (stacked @ x.astype(np.float64)).astype(np.int64).astype(object).reshape(len(digits), n)
        total = parts[-1]
        for part in parts[-2::-1]:
            total = (total << 20) + part
        residual = (residual - total) // _PRIME
        if not residual.any():
            break
    values, modulus = _joined(found)
    solution = _fractions(values, modulus)
    if solution is None:
        return None
    numerators, denominator = solution
    for whole, value in zip(rows, target, strict=True):
        if sum(map(int.__mul__, whole, numerators)) != value * denominator:
            return None
    return [Fraction(x, denominator) for x in numerators]


def _inverse_modulo(a: np.ndarray) -> np.ndarray | None:
    """The inverse of ``a[n, n]`` modulo the prime, by Gauss-Jordan elimination."""
    n = len(a)
    work = np.concatenate([a, np.eye(n, dtype=np.int64)], 1)
    for k in range(n):
        pivots = np.flatnonzero(work[k:, k])
        if len(pivots) == 0:
            return None
        other = k + int(pivots[0])
        work[[k, other]] = work[[other, k]]
        work[k] = work[k] * pow(int(work[k, k]), -1, _PRIME) % _PRIME
        factors = work[:, k].copy()
        factors[k] = 0
        work = (work - factors[:, None] * work[k]) % _PRIME
    return work[:, n:]


def _joined(digits: list[np.ndarray]) -> tuple[list[int], int]:
    """``sum_i digits[i] p^i`` by halves, and the power of p beyond."""
    level = [d.astype(object) for d in digits]
    power, total = _PRIME, _PRIME ** len(digits)
    while len(level) > 1:
        if len(level) % 2:
            level.append(np.zeros(len(level[0]), dtype=object))
        level = [low + high * power for low, high in zip(level[::2], level[1::2], strict=True)]
        power *= power
    return [int(x) for x in level[0]], total


def _fractions(values: list[int], modulus: int) -> tuple[list[int], int] | None:
    """Small numerators and one denominator d with ``numerator = d value`` modulo the modulus."""
    bound = math.isqrt(modulus // 2)
    denominator, numerators = 1, list[int]()
    for value in values:
        rest = denominator * value % modulus
        rest = rest - modulus if 2 * rest > modulus else rest
        if abs(rest) > bound:
            (r0, r1), (t0, t1) = (modulus, rest % modulus), (0, 1)
            while r1 > bound:
                q = r0 // r1
                r0, r1, t0, t1 = r1, r0 - q * r1, t1, t0 - q * t1
            rest, factor = (r1, t1) if t1 > 0 else (-r1, -t1)
            numerators = [x * factor for x in numerators]
            denominator *= factor
            if not 0 < denominator <= bound:
                return None
        numerators.append(rest)
    return numerators, denominator


def definite(matrix: Sequence[Sequence[Fraction]]) -> int | None:
    r"""2 if proved positive definite, 0 if proved not semidefinite, None where floating point does not decide.

    Scaled by powers of two to a diagonal near one and rounded, A is positive definite if Cholesky's factorisation of
    :math:`A - cI` runs to its end, with c above the rounding of the factorisation,
    :math:`\gamma_{n+1}\operatorname{tr}(A)/(1-\gamma_{n+1})`, and of the entries (Rump, 2006, "Verification of positive
    definiteness", BIT 46). It is not semidefinite where :math:`v^\top A v < 0` for a vector v of integers, which is
    computed exactly.
    """
    n = len(matrix)
    if any(matrix[i][i] < 0 for i in range(n)):
        return 0
    if any(matrix[i][i] == 0 for i in range(n)):
        return None
    if any(matrix[i][j] != matrix[j][i] for i in range(n) for j in range(i)):
        raise ValueError("expected a symmetric matrix")
    powers = np.array(
        [round((math.log2(matrix[i][i].denominator) - math.log2(matrix[i][i].numerator)) / 2) for i in range(n)]
    )
    try:
        rounded = np.array([[float(x) for x in row] for row in matrix])
    except OverflowError:
        return None
    with np.errstate(over="ignore", under="ignore"):
        a = np.ldexp(rounded, powers[:, None] + powers)
    filled = np.array([[bool(x) for x in row] for row in matrix])
    if not bool((np.abs(a) <= 4).all()) or bool((filled & (np.abs(rounded) < 1e-290)).any()):
        return None
    slack = 8 * (n + 2) * _U * (float(np.trace(a)) + n * float(np.abs(a).max())) + 1e-290
    try:
        factor = np.linalg.cholesky(a - slack * np.eye(n))
        if bool(np.isfinite(factor).all()) and bool((factor.diagonal() > 0).all()):
            return 2
    except np.linalg.LinAlgError:
        pass
    values, vectors = np.linalg.eigh(a)
    if values[0] < -1e-9:
        v = [int(x) * Fraction(2) ** int(k) for x, k in zip(np.rint(vectors[:, 0] * 2.0**40), powers, strict=True)]
        if sum(v[i] * sum(x * w for x, w in zip(row, v, strict=True) if x) for i, row in enumerate(matrix)) < 0:
            return 0
    return None
