"""Distances of one-dimensional laws against linear programming, closed forms and scipy."""

import math

import numpy as np
import pytest
import scipy.optimize
import scipy.spatial.distance
import torch

from pyro_symvi.quotient.metrics import circular_wasserstein1, jensen_shannon, wasserstein1


def angles(n, seed, concentration=1.0):
    return torch.from_numpy(np.random.default_rng(seed).vonmises(0.5, concentration, n))


def transport(x, y, period):
    """W1 on a circle as a linear programme: the outside truth."""
    gap = np.abs(np.mod(x[:, None] - y, period))
    cost = np.minimum(gap, period - gap)
    n, m = cost.shape
    rows, columns = np.kron(np.eye(n), np.ones(m)), np.kron(np.ones(n), np.eye(m))
    marginals = np.concatenate([np.full(n, 1 / n), np.full(m, 1 / m)])
    return scipy.optimize.linprog(cost.ravel(), A_eq=np.vstack([rows, columns]), b_eq=marginals).fun


@pytest.mark.parametrize("n, m, period", [(7, 7, 2 * math.pi), (5, 8, 2 * math.pi), (6, 11, 1.0), (1, 4, 360.0)])
def test_the_circle_agrees_with_optimal_transport(n, m, period):
    rng = np.random.default_rng(n)
    x, y = rng.normal(size=n) * period, rng.uniform(size=m) * period
    ours = circular_wasserstein1(torch.tensor(x), torch.tensor(y), period=period).item()
    assert ours == pytest.approx(transport(x, y, period), abs=1e-9 * period)


def test_a_turn_of_a_law_moves_all_of_it_where_it_is_narrow():
    x = 0.1 * angles(50, 0)
    for turn in (0.3, -1.0, 2.0):
        assert circular_wasserstein1(x, x + turn).item() == pytest.approx(abs(turn), abs=1e-12)
    assert circular_wasserstein1(x, x + 2 * math.pi - 0.3).item() == pytest.approx(0.3, abs=1e-12)


def test_there_is_no_cut_at_pi():
    x = torch.tensor([math.pi - 0.01, math.pi - 0.02], dtype=torch.float64)
    assert circular_wasserstein1(x, -x).item() == pytest.approx(0.03, abs=1e-12)
    assert wasserstein1(x, -x).item() > 6


def test_no_rotation_of_both_laws_changes_it():
    x, y = angles(40, 1), angles(30, 2, 0.3)
    expected = circular_wasserstein1(x, y)
    for turn in np.linspace(0, 6, 5):
        torch.testing.assert_close(circular_wasserstein1(x + turn, y + turn), expected)


def test_the_line_is_exact_for_shifts_and_columns_are_separate():
    x = torch.randn(50, 2, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    shift = torch.tensor([[0.0, 1.0, -2.0], [3.0, 0.5, 0.1]]).double()
    torch.testing.assert_close(wasserstein1(x, x + shift), shift.abs(), atol=1e-12, rtol=0)
    assert wasserstein1(x, x).abs().max() == 0 and wasserstein1([0.0, 1.0], np.array([1.0])).item() == 0.5


def test_two_samples_of_one_law_have_the_distance_that_the_docstring_says():
    """Mean of 100 normal pairs of n = 400: 1.8/sqrt(n) = 0.090, standard error about 0.003."""
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(400, 100, dtype=torch.float64, generator=generator) for _ in range(2))
    assert wasserstein1(x, y).mean().item() == pytest.approx(0.091, abs=0.01)


def test_jensen_shannon_is_the_square_of_scipys_metric():
    x, y = angles(500, 0), angles(300, 1, 0.1)
    p, q = (np.histogram(np.mod(v.numpy(), 2 * math.pi), 24, (0, 2 * math.pi))[0] for v in (x, y))
    for base in (2.0, math.e):
        expected = scipy.spatial.distance.jensenshannon(p, q, base=base) ** 2
        assert jensen_shannon(x, y, bins=24, base=base).item() == pytest.approx(expected, abs=1e-12)


def test_jensen_shannon_is_0_for_the_same_and_one_bit_for_disjoint_laws():
    x = torch.full((5,), 0.1)
    assert jensen_shannon(x, x + 2 * math.pi).item() == 0
    assert jensen_shannon(x, x + 3).item() == pytest.approx(1)
    assert jensen_shannon(x, x + 3, base=math.e).item() == pytest.approx(math.log(2))


def test_jensen_shannon_of_two_samples_of_one_law_is_as_small_as_the_docstring_says():
    """Uniform, 36 bins, n = 2000, m = 1000: expected 35 * 0.0015 / (8 ln 2); 100 pairs, standard error 2.4 %."""
    rng = np.random.default_rng(0)
    x, y = rng.uniform(size=(2000, 100)) * 2 * math.pi, rng.uniform(size=(1000, 100)) * 2 * math.pi
    expected = 35 * (1 / 2000 + 1 / 1000) / (8 * math.log(2))
    assert jensen_shannon(x, y).mean().item() == pytest.approx(expected, rel=0.08)


@pytest.mark.parametrize("distance", [wasserstein1, circular_wasserstein1, jensen_shannon])
def test_undefined_values_are_not_dropped_in_silence(distance):
    good = torch.zeros(3)
    with pytest.raises(ValueError, match="1 of 3 nan or inf.*defined"):
        distance(torch.tensor([0.0, math.nan, 1.0]), good)
    with pytest.raises(ValueError, match="at least 1 draw"):
        distance(good, torch.zeros(0))
    with pytest.raises(ValueError, match="rest"):
        distance(torch.zeros(3, 2), good)
    with pytest.raises(TypeError, match="numbers"):
        distance(["a"], good)


@pytest.mark.parametrize(
    "call",
    [
        lambda x: jensen_shannon(x, x, bins=1),
        lambda x: jensen_shannon(x, x, base=1),
        lambda x: jensen_shannon(x, x, period=0),
        lambda x: circular_wasserstein1(x, x, period=math.inf),
    ],
)
def test_options_are_checked(call):
    with pytest.raises(ValueError, match="expected (bins|base|period)"):
        call(torch.zeros(3))
