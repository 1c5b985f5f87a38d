"""Solvers against known figures, one another, other points of the orbit, and weights of all sizes."""

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.rescaling import RescalingGroup
from pyro_symvi.rescaling.criteria import (
    L2Criterion,
    PathCriterion,
    PathProblem,
    Problem,
    RangeCriterion,
    read_criterion,
)
from pyro_symvi.rescaling.criteria import _smooth as smooth
from pyro_symvi.rescaling.solvers import SOLVERS, coordinate, layer, newton

CRITERIA = ("path", "l2", "range")


def perceptron(widths: tuple[int, ...], kaiming: bool = False) -> nn.Module:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        linear = nn.Linear(a, b)
        if kaiming:
            nn.init.kaiming_normal_(linear.weight)
            nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Tied(nn.Module):
    """A stage with an identity shortcut: its units form a cycle with the inner ones."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.back, self.head = nn.Linear(3, 5), nn.Linear(5, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        return self.head(F.relu(x + self.back(F.relu(self.inner(x)))))


@functools.cache
def net(*widths: int, kaiming: bool = False) -> Callable[[], nn.Module]:
    return functools.partial(perceptron, widths, kaiming)


@functools.cache
def built(make: Callable[[], nn.Module], inputs: int, seed: int = 0) -> tuple[RescalingGroup, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = make().double()
    group = RescalingGroup.from_module(model, (inputs,))
    return group, group.parameters(model)


class Squares(nn.Module):
    """Units of degree two before ones of degree one."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(F.relu(self.b(F.relu(self.a(x)) ** 2)))


def problem_of(group: RescalingGroup, theta: Tensor, criterion: str) -> Problem:
    return read_criterion(criterion).problem(group.traced, theta)


@pytest.mark.parametrize(
    ("widths", "kaiming", "start", "optimum"),
    [
        # F/n of one draw of each net, computed by other code; spreads over 8 draws of the initialisation
        ((10, 64, 16, 64, 4), False, (0.781, 0.035), (0.3405, 0.014)),
        ((10, 64, 16, 64, 4), True, (0.776, 0.040), (0.062, 0.008)),
        ((2, 64, 64, 64, 64, 2), False, (0.604, 0.056), (0.1736, 0.006)),
        ((2, 64, 64, 64, 64, 2), True, (0.765, 0.059), (0.036, 0.003)),
        ((784, 100, 10), False, (0.118, 0.007), (0.0012, 0.0001)),
        ((784, 100, 10), True, (0.193, 0.0073), (0.0014, 0.0001)),
    ],
)
def test_published_size_of_the_gain(
    widths: tuple[int, ...], kaiming: bool, start: tuple[float, float], optimum: tuple[float, float]
) -> None:
    group, theta = built(net(*widths, kaiming=kaiming), widths[0], seed=4)
    solution = newton(problem_of(group, theta, "path"))
    assert solution.converged
    for value, (mean, spread) in ((solution.history[0], start), (solution.history[-1], optimum)):
        assert abs(value / group.dim - mean) < 4 * math.sqrt(2) * spread  # two draws differ by sqrt(2) spreads


def test_least_energy_is_no_good_point_for_paths_in_a_thin_deep_net() -> None:
    group, theta = built(net(2, 64, 64, 64, 64, 2), 2)
    problem = problem_of(group, theta, "path")
    energy = newton(problem_of(group, theta, "l2"))
    assert problem.value(energy.z) / group.dim == pytest.approx(0.711, abs=4 * math.sqrt(2) * 0.038)
    assert problem.value(energy.z) > problem.value(0 * energy.z)


@pytest.mark.parametrize(
    ("make", "criterion"),
    [
        *((make, criterion) for make in (net(3, 12, 5, 9, 2), Tied) for criterion in CRITERIA),
        *((Squares, criterion) for criterion in ("l2", "range")),
    ],
    ids=["-".join((name, c)) for name in ("perceptron", "tied", "squares") for c in CRITERIA[name == "squares" :]],
)
def test_solvers_agree_and_histories_never_rise(criterion: str, make: Callable[[], nn.Module]) -> None:
    group, theta = built(make, 3)
    problem = problem_of(group, theta, criterion)
    found = {}
    for name, solver in SOLVERS.items():
        solution = solver(problem, tolerance=1e-10)
        assert solution.converged
        assert solution.residual == problem.residual(solution.z) <= 1e-10
        assert (np.diff(solution.history) <= 0).all()
        assert solution.history[-1] == pytest.approx(problem.value(solution.z), rel=1e-12)
        found[name] = solution.z
    for name in ("layer", "coordinate"):
        assert np.allclose(found[name], found["newton"], atol=5e-8)


@pytest.mark.parametrize("criterion", ["path", "l2"])
def test_sweeps_lower_the_objective_to_rounding(criterion: str) -> None:
    group, theta = built(net(3, 12, 5, 9, 2), 3)
    problem = problem_of(group, theta, criterion)
    for sweep in (problem.sweep, problem.sweep_units):
        z = np.random.default_rng(0).normal(0, 3, group.num_units)
        values = [problem.value(z)]
        for _ in range(15):
            z = sweep(z)
            values.append(problem.value(z))
        assert (np.diff(values) <= 1e-13 * np.abs(values[:-1])).all()
        assert values[1] < 0.7 * values[0]


def test_one_unit_at_a_time_is_the_minimum_over_its_scale() -> None:
    group, theta = built(net(3, 4, 2), 3)
    problem = problem_of(group, theta, "path")
    assert isinstance(problem, PathProblem)
    z = problem.sweep_units(np.zeros(group.num_units))
    last = group.num_units - 1  # the unit updated last: its slope is 0
    assert abs(problem.gradient(z)[last]) < 1e-12 * problem.count
    assert np.abs(problem.gradient(z)).max() > 1e-3


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("make", [net(3, 12, 5, 9, 2), Tied], ids=["perceptron", "tied"])
def test_the_same_point_from_anywhere_on_the_orbit(criterion: str, make: Callable[[], nn.Module]) -> None:
    group, theta = built(make, 3)
    generator = torch.Generator().manual_seed(3)
    points = []
    for spread in (0.0, 3.0, 3.0, 3.0, 30.0, 30.0):
        z = spread * torch.randn(group.num_units, generator=generator, dtype=torch.float64)
        start = group.act(theta, z)
        solution = newton(problem_of(group, start, criterion), tolerance=1e-10)
        assert solution.converged
        assert (np.diff(solution.history) <= 0).all()
        points.append(group.act(start, torch.from_numpy(solution.z)))
    for point in points[1:]:
        assert torch.allclose(point, points[0], rtol=2e-8, atol=0)
    again = newton(problem_of(group, points[0], criterion), tolerance=1e-10)
    assert np.abs(again.z).max() < 1e-8


@pytest.mark.parametrize("criterion", CRITERIA)
def test_a_cycle_of_large_weights_finds_its_common_scale(criterion: str) -> None:
    group, theta = built(Tied, 3)
    parts = {name: t.clone() for name, t in group.layout.unflatten(theta).items()}
    parts["inner.weight"] *= 100
    parts["back.weight"] *= 100  # balance of each unit says little: 1e-4 of its energy leaves the cycle
    start = group.layout.flatten(parts)
    z = 10 * torch.randn(group.num_units, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    points = []
    for theta in (start, group.act(start, z)):
        solution = newton(problem_of(group, theta, criterion), tolerance=1e-10)
        assert solution.converged
        points.append(group.act(theta, torch.from_numpy(solution.z)))
    assert torch.allclose(points[1], points[0], rtol=1e-8, atol=0)


def test_balanced_units_alone_are_no_optimum() -> None:
    group, theta = built(Tied, 3)
    parts = group.layout.unflatten(theta)
    cycle = {"inner.weight": 1e4 * parts["inner.weight"], "back.weight": 1e4 * parts["back.weight"]}
    start = group.layout.flatten({**parts, **cycle})  # 1e-8 of the energy leaves the cycle: any common scale balances
    swept = layer(problem_of(group, start, "l2"), max_iterations=15)
    assert swept.residual < 1e-8
    assert np.abs(swept.z - newton(problem_of(group, start, "l2")).z).max() > 0.1
    assert swept.distance > 0.1
    assert not swept.converged

    group, theta = built(lambda: nn.Sequential(nn.Linear(4, 3, False), nn.ReLU(), nn.Linear(3, 4, False)), 4)
    parts = group.layout.unflatten(group.act(theta, torch.from_numpy(newton(problem_of(group, theta, "path")).z)))
    small = torch.tensor([1.0, 1.0, 1e-6], dtype=torch.float64)  # as many weights in as out: 1e-12 of the gradient
    point = group.layout.flatten(
        {"0.weight": parts["0.weight"] * small[:, None], "2.weight": parts["2.weight"] * small}
    )
    best = group.act(point, torch.from_numpy(newton(problem_of(group, point, "path")).z))
    off = torch.tensor([0.0, 0.0, 3.0], dtype=torch.float64)
    problem = problem_of(group, group.act(best, off), "path")
    assert problem.residual(np.zeros(3)) < 1e-8
    for solver in SOLVERS.values():
        solution = solver(problem)
        assert solution.converged
        assert np.allclose(solution.z, -off, atol=1e-6)


def test_the_optimum_moves_with_permutations() -> None:
    group, theta = built(net(3, 6, 2), 3)
    order = torch.tensor([4, 2, 0, 5, 1, 3])
    parts = group.layout.unflatten(theta)
    moved = {"0.weight": parts["0.weight"][order], "0.bias": parts["0.bias"][order], "2.bias": parts["2.bias"]}
    turned = group.layout.flatten({**moved, "2.weight": parts["2.weight"][:, order]})
    for criterion in CRITERIA:
        z, w = (newton(problem_of(group, t, criterion), tolerance=1e-12).z for t in (theta, turned))
        assert np.allclose(w, z[order.numpy()], atol=1e-10)


@pytest.mark.parametrize("criterion", CRITERIA)
@pytest.mark.parametrize("dense", [True, False], ids=["cholesky", "gradients"])
def test_units_that_differ_by_many_orders(criterion: str, dense: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not dense:
        monkeypatch.setattr(smooth, "DENSE", 0)
    group, theta = built(net(4, 12, 12, 3), 4, seed=1)
    size = torch.logspace(-8, 8, group.num_units, dtype=torch.float64)[
        torch.randperm(group.num_units, generator=torch.Generator().manual_seed(0))
    ]
    padded = torch.cat([size, torch.ones(1, dtype=torch.float64)])
    uneven = theta * padded[group.action.enters] * padded[group.action.leaves]  # no move along the orbit
    solution = newton(problem_of(group, uneven, criterion))
    assert solution.converged
    assert solution.iterations <= 40
    if criterion == "l2":  # every unit by itself, though energies differ by 32 orders
        moved = group.act(uneven, torch.from_numpy(solution.z)).square()
        for unit in range(group.num_units):
            into, out = (moved[index == unit].sum() for index in (group.action.enters, group.action.leaves))
            assert float(into) == pytest.approx(float(out), rel=1e-7)


def test_weights_whose_squares_are_no_floats() -> None:
    group, theta = built(net(3, 6, 5, 2), 3)
    tiny = theta * 1e-170
    for criterion in ("l2", "range"):
        z, w = (newton(problem_of(group, t, criterion), tolerance=1e-10).z for t in (theta, tiny))
        assert np.allclose(w, z, atol=1e-8)
    small = torch.ones(group.num_units + 1, dtype=torch.float64)
    small[0] = 1e-160  # energies of 1e-320: I and O of this unit are no floats beside the others
    problem = problem_of(group, theta * small[group.action.enters] * small[group.action.leaves], "l2")
    z = newton(problem).z
    z[0] += 1.0
    assert problem.imbalance(z)[0] == pytest.approx(-math.tanh(1), rel=1e-6)
    far = torch.zeros(group.num_units, dtype=torch.float64)
    far[0], far[7] = 600.0, -600.0
    moved = newton(problem_of(group, group.act(theta, far), "path"), tolerance=1e-10).z
    z = newton(problem_of(group, theta, "path"), tolerance=1e-10).z
    assert np.allclose(moved + far.numpy(), z, atol=1e-7)


def test_certificate_is_not_given_away() -> None:
    group, theta = built(net(2, 32, 32, 32, 2), 2)
    problem = problem_of(group, theta, "path")
    published = coordinate(problem, max_iterations=10)  # ten sweeps, as published, are not enough here
    assert not published.converged
    assert published.residual > 1e-4
    assert not layer(problem, max_iterations=3).converged
    values = []
    for limit in (1, 2, 4, 6):
        stopped = newton(problem, max_iterations=limit)
        values.append(problem.value(stopped.z))
        assert values[-1] == pytest.approx(stopped.history[-1], rel=1e-12)
    assert (np.diff(values) < 0).all()
    best = newton(problem, tolerance=1e-10)
    for h in (0, 40):
        z = best.z.copy()
        z[h] += 1e-6
        assert problem.residual(z) > 1e-8
    unreachable = newton(problem, tolerance=1e-30)
    assert not unreachable.converged
    assert unreachable.residual < 1e-10


def test_a_planted_wrong_gradient_is_caught() -> None:
    class Forgetful(PathProblem):
        def solve(self, z: Any, v: Any, tolerance: float = 1e-12, damping: float = 0.0) -> Any:
            return -super().solve(z, v, tolerance, damping)  # uphill

        def sweep(self, z: Any) -> Any:
            return z

    group, theta = built(net(3, 8, 2), 3)
    problem = PathCriterion().problem(group.traced, theta)
    problem.__class__ = Forgetful
    solution = newton(problem)
    assert not solution.converged
    assert (np.diff(solution.history) <= 0).all()


def test_options_and_watching() -> None:
    group, theta = built(net(3, 8, 4, 2), 3)
    problem = L2Criterion().problem(group.traced, theta)
    for solver in SOLVERS.values():
        seen: list[tuple[int, float, float]] = []
        solution = solver(problem, watch=lambda *x, seen=seen: seen.append(x))
        assert [s[1] for s in seen] == list(solution.history[1:])
        assert len(seen) == solution.iterations
        start = solver(problem, max_iterations=0)
        assert (start.z == 0).all()
        assert not start.converged
        for tolerance in (0.0, -1.0, math.nan, math.inf):
            with pytest.raises(ValueError, match="positive finite tolerance"):
                solver(problem, tolerance=tolerance)
        with pytest.raises(ValueError, match="number of iterations"):
            solver(problem, max_iterations=-1)
    assert newton(RangeCriterion().problem(group.traced, theta), max_iterations=1).residual < 1e-10
