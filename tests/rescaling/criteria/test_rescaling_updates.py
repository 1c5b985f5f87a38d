"""Updates of single units, and what takes over where the fast way fails."""

import math

import mpmath
import numpy as np
import pytest
import torch
from torch import nn

from pyro_symvi.rescaling import RescalingGroup
from pyro_symvi.rescaling.criteria import PathCriterion, RangeCriterion
from pyro_symvi.rescaling.criteria import _smooth as smooth
from pyro_symvi.rescaling.criteria._updates import balance, positive_root
from pyro_symvi.rescaling.solvers import newton
from pyro_symvi.rescaling.solvers._policy import _alternate


@pytest.mark.parametrize("b", [0.0, 3.0, -3.0, 1e8, -1e8, 1e-20])
@pytest.mark.parametrize(("log_a", "log_c"), [(0.0, 0.0), (-40.0, 5.0), (900.0, -1100.0), (-700.0, -900.0)])
def test_positive_root_to_high_precision(log_a: float, b: float, log_c: float) -> None:
    with mpmath.workdps(900):
        a, c = mpmath.exp(log_a), mpmath.exp(log_c)
        root = (-mpmath.mpf(b) + mpmath.sqrt(mpmath.mpf(b) ** 2 + 4 * a * c)) / (2 * a)
        expected = float(mpmath.log(root))
    found = float(positive_root(np.array(log_a), np.array(b), np.array(log_c)))
    assert found == pytest.approx(expected, abs=1e-12 * (1 + abs(log_a) + abs(log_c)))


def test_balance_with_several_degrees() -> None:
    into = np.array([0.3, -50.0, 200.0])
    out = {1.0: np.array([1.0, -np.inf, 3.0]), 2.0: np.array([-2.0, 7.0, -np.inf]), 0.5: np.array([0.0, 0.0, 0.0])}
    d = balance(into, out, 1.5)
    coming = into + 1.5 * d
    going = np.logaddexp.reduce([math.log(k) + o - 1.5 * k * d for k, o in out.items()], axis=0)
    assert np.allclose(coming, going, atol=1e-12)


@pytest.fixture
def net() -> tuple[RescalingGroup, torch.Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 4), nn.ReLU(), nn.Linear(4, 7), nn.ReLU(), nn.Linear(7, 2)
        ).double()
    group = RescalingGroup.from_module(layers, (3,))
    return group, group.parameters(layers)


def test_a_factor_where_conjugate_gradients_do_not_arrive(
    net: tuple[RescalingGroup, torch.Tensor], monkeypatch: pytest.MonkeyPatch
) -> None:
    group, theta = net
    problem = PathCriterion().problem(group.traced, theta)
    z, v = np.random.default_rng(1).normal(size=(2, group.num_units))
    expected = np.linalg.solve(problem.hessian(z), v)
    monkeypatch.setattr(smooth, "DENSE", 0)
    monkeypatch.setattr(smooth, "ITERATIONS", 2)
    assert np.allclose(problem.solve(z, v), expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
    monkeypatch.setattr(smooth, "LARGE", 0)
    assert not np.allclose(problem.solve(z, v), expected, rtol=1e-3)  # two iterations alone are not enough


def test_alternating_policies_reach_the_same_ranges(net: tuple[RescalingGroup, torch.Tensor]) -> None:
    group, theta = net
    problem = RangeCriterion().problem(group.traced, theta)
    expected = newton(problem).z
    for start in np.random.default_rng(2).normal(0, 5, (5, group.num_units)):
        assert np.allclose(_alternate(problem, start, 1e-10, 200), expected, atol=1e-9)


def test_derivative_of_equal_ranges(net: tuple[RescalingGroup, torch.Tensor]) -> None:
    group, theta = net
    problem = RangeCriterion().problem(group.traced, theta)
    z, v = np.random.default_rng(3).normal(size=(2, group.num_units))
    step = 1e-7
    columns = [(problem.gradient(z + step * e) - problem.gradient(z - step * e)) / (2 * step) for e in np.eye(len(z))]
    assert np.allclose(problem.hessian(z), np.stack(columns, 1), atol=1e-7)
    assert np.allclose(problem.hessian(z) @ problem.solve(z, v), v, atol=1e-12)
