"""Inverses of rational matrices: exact ones, and those of large matrices to an error that is proved."""

from __future__ import annotations

import random
from fractions import Fraction

import pytest

from pyro_symvi.recovery.analysis.enclosed_inverse import enclosed_inverse
from pyro_symvi.recovery.analysis.exact import Matrix, inverse


def product(a: Matrix, b: Matrix) -> Matrix:
    return [[sum((x * y for x, y in zip(row, c, strict=True)), Fraction(0)) for c in zip(*b, strict=True)] for row in a]


def identity(n: int) -> Matrix:
    return [[Fraction(int(i == j)) for j in range(n)] for i in range(n)]


def positive_definite(n: int, seed: int, spread: int = 0) -> Matrix:
    """G G^T + I / 8 of floats, rows and columns scaled by powers of ten."""
    draw = random.Random(seed)
    g = [[Fraction(draw.gauss(0, 1)) for _ in range(n)] for _ in range(n)]
    scale = [Fraction(10) ** draw.randint(-spread, spread) for _ in range(n)]
    gram = product(g, [list(c) for c in zip(*g, strict=True)])
    return [[scale[i] * (gram[i][j] + Fraction(int(i == j), 8)) * scale[j] for j in range(n)] for i in range(n)]


@pytest.mark.parametrize("n", [1, 2, 3, 6])
def test_exact_inverses_multiply_to_the_identity_and_singular_matrices_have_none(n: int) -> None:
    draw = random.Random(n)
    found = 0
    for _ in range(40):
        a = [[Fraction(draw.randint(-2, 2), draw.randint(1, 3)) for _ in range(n)] for _ in range(n)]
        b = inverse(a)
        if b is not None:
            assert product(a, b) == identity(n)
            found += 1
        a[-1] = [Fraction(0)] * n if n == 1 else [2 * x for x in a[0]]
        assert inverse(a) is None
    assert found > 5


@pytest.mark.parametrize("spread", [0, 6])
def test_enclosures_are_within_their_error(spread: int) -> None:
    a = positive_definite(9, 1, spread)
    exact, near = inverse(a), enclosed_inverse(a)
    assert exact is not None and near is not None
    for i in range(9):
        for j in range(9):
            gap = (exact[i][j] - near[i][j]) ** 2
            assert gap <= Fraction(1, 10**14) ** 2 * near[i][i] * near[j][j]
            assert near[i][j] == near[j][i]


def test_what_is_too_near_to_singular_is_not_enclosed() -> None:
    tiny = Fraction(1, 10**30)
    assert enclosed_inverse([[Fraction(1), Fraction(1)], [Fraction(1), 1 + tiny]]) is None
    assert enclosed_inverse([[Fraction(-1)]]) is None
