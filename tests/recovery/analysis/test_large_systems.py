"""Exact algebra on large matrices and long squares, against the same by elimination and by plain expansion."""

import random
from fractions import Fraction

import numpy as np
import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery.analysis import analyze, exact, sums_of_squares
from pyro_symvi.recovery.analysis.expressions import Expressions
from pyro_symvi.recovery.analysis.integer_products import product
from pyro_symvi.recovery.analysis.large_systems import definite, lifted_solution

N = 28


def integers(rows, columns, bits, seed):
    rng = random.Random(seed)
    return [[rng.getrandbits(bits) - (1 << (bits - 1)) for _ in range(columns)] for _ in range(rows)]


def gram(rows, denominator=1):
    columns = list(zip(*rows, strict=True))
    return [[Fraction(sum(x * y for x, y in zip(a, b, strict=True)), denominator) for b in columns] for a in columns]


@pytest.mark.parametrize("bits", [3, 64, 150])
def test_integer_products_are_exact(bits):
    a, b = (np.array(integers(50, n, bits, n), dtype=object) for n in (4, 7))
    assert (product(a, b) == a.T.dot(b)).all()


def test_products_are_exact_at_the_largest_digits_and_over_many_rows():
    a = np.full((5000, 1), (1 << 60) - 1, dtype=object)
    assert product(a, -a)[0, 0] == -5000 * ((1 << 60) - 1) ** 2


def test_lifted_solutions_are_those_of_elimination():
    matrix = gram(integers(40, N, 20, 1), 1 << 30)
    right = [Fraction(x, 1 << 7) for (x,) in integers(N, 1, 30, 2)]
    assert lifted_solution(matrix, right) == exact.solve(matrix, right)


def test_no_solution_of_a_singular_matrix_is_made_up():
    matrix = gram(integers(N - 1, N, 20, 3))
    right = [Fraction(x) for (x,) in integers(N, 1, 30, 4)]
    assert lifted_solution(matrix, right) is None
    assert exact.solve_by_parts([dict(enumerate(row)) for row in matrix], right, N) is None


def test_an_overdetermined_system_has_a_solution_only_where_all_equations_agree():
    matrix = gram(integers(40, N, 20, 5))
    solution = [Fraction(x, 3) for (x,) in integers(N, 1, 12, 6)]
    extra = [Fraction(x) for x in integers(1, N, 10, 7)[0]]
    rows = [dict(enumerate(row)) for row in [*matrix, extra]]
    right = exact.multiply_vector([*matrix, extra], solution)
    assert exact.solve_by_parts(rows, right, N) == solution
    right[-1] += 1
    assert exact.solve_by_parts(rows, right, N) is None


def test_definiteness_of_large_matrices():
    full, singular = gram(integers(40, N, 20, 8)), gram(integers(N - 1, N, 20, 9))
    assert definite(full) == 2
    assert exact.definiteness(full) == 2
    assert definite(singular) is None
    assert exact.definiteness(singular) == 1


@pytest.mark.parametrize("size", [Fraction(1, 10**40), Fraction(1, 10**20), Fraction(1, 10**8), Fraction(1, 10)])
def test_no_matrix_with_a_negative_direction_is_called_definite(size):
    """A semidefinite matrix less a little of the identity, however little, has a negative eigenvalue."""
    matrix = gram(integers(N - 1, N, 20, 10), 1 << 40)
    less = [[x - (size if i == j else 0) for j, x in enumerate(row)] for i, row in enumerate(matrix)]
    assert definite(less) != 2
    assert exact.definiteness(less) == 0


def test_entries_of_all_sizes_are_no_matter():
    matrix = gram(integers(40, N, 20, 11))
    units = [Fraction(2) ** (20 * (i - 14)) for i in range(N)]
    moved = [[units[i] * x * units[j] for j, x in enumerate(row)] for i, row in enumerate(matrix)]
    assert definite(moved) == 2


def weighted_squares(table, rows, weights):
    parts = []
    for row, weight in zip(rows, weights, strict=True):
        terms = [(x, table.coordinate(j)) for j, x in enumerate(row)]
        affine = table.combination([*terms, (Fraction(1, 7), table.one)])
        factor = table.function("exp", table.coordinate(len(row)))
        parts.append(table.multiply(table.power(affine, 2), table.scaled(factor, weight)))
    return table.total(parts)


def test_squares_kept_as_rows_are_the_expanded_polynomial(monkeypatch):
    table = Expressions()
    rows = [[Fraction(x, 1 << 11) for x in row] for row in integers(30, 14, 40, 12)]
    weights = [Fraction(k + 1, 3) for k in range(30)]
    kept = weighted_squares(table, rows, weights)
    assert isinstance(kept, sums_of_squares.SumOfSquares)
    monkeypatch.setattr(sums_of_squares, "_LEAST", 10**9)
    plain = weighted_squares(table, rows, weights)
    assert not isinstance(plain, sums_of_squares.SumOfSquares)
    assert kept.key == plain.key
    assert not table.subtract(kept, plain).terms
    coordinate = table.coordinate(3)
    assert (
        table.multiply(kept, table.add(coordinate, table.one)).key
        == table.add(table.multiply(plain, coordinate), plain).key
    )


def test_a_long_regression_is_centred_at_its_least_squares():
    """30 coefficients, 60 rows, unknown scale: the exact solution of the normal equations, in rationals."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(60, 30, dtype=torch.float64, generator=generator)
    y = torch.randn(60, dtype=torch.float64, generator=generator)

    def log_p(z):
        return -0.5 * ((y - x @ z[:30]).square() * (-2 * z[30]).exp()).sum() - 60 * z[30] - z[30].exp()

    found = analyze(LogDensity.from_callable(log_p, dim=31))
    block = found.blocks[0]
    assert block.coordinates == tuple(range(30))
    assert block.is_gaussian and block.is_symmetric
    rows = [[Fraction(v) for v in row] for row in x.tolist()]
    right = exact.multiply_vector(list(zip(*rows, strict=True)), [Fraction(v) for v in y.tolist()])
    assert tuple(exact.solve(gram(rows), right)) == block.center
    assert found.moments[2].exists
