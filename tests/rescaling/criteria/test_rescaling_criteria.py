"""Criteria against the sums written out with B, against autograd, closed forms and scipy."""

import functools
import math
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy import optimize
from torch import Tensor, nn
from torch.nn import functional as F

from pyro_symvi.groups import UnsupportedError
from pyro_symvi.rescaling import RescalingGroup, path_weights
from pyro_symvi.rescaling.criteria import (
    L2Criterion,
    L2Problem,
    PathCriterion,
    PriorCriterion,
    RangeCriterion,
    RangeProblem,
    read_criterion,
)
from pyro_symvi.rescaling.criteria import _smooth as smooth
from pyro_symvi.rescaling.solvers import SOLVERS, newton


class Residual(nn.Module):
    """A tied stage with an identity shortcut, a grouped and a dense map of the stage into itself, a dense head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(1, 4, 3, padding=1)
        self.inner, self.back = nn.Conv2d(4, 5, 3, padding=1), nn.Conv2d(5, 4, 3, padding=1)
        self.loop = nn.Conv2d(4, 4, 3, padding=1, groups=4)
        self.mix, self.head = nn.Linear(4, 4), nn.Linear(4, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.stem(x))
        x = F.relu(x + self.back(F.relu(self.inner(x))))
        x = x + F.relu(self.loop(x))
        x = x.mean((2, 3))
        return self.head(x + self.mix(x))


class Squares(nn.Module):
    """A layer of degree two."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(3, 6), nn.Linear(6, 5), nn.Linear(5, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.c(F.relu(self.b(F.relu(self.a(x)) ** 2)))


def perceptron(*widths: int, bias: bool = True) -> nn.Module:
    layers: list[nn.Module] = []
    for a, b in pairwise(widths):
        layers += [nn.Linear(a, b, bias=bias), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def flattened() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(1, 3, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(12, 8), nn.ReLU(), nn.Linear(8, 2)
    )


ZOO: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "perceptron": (lambda: perceptron(4, 7, 5, 3), (4,)),
    "flattened": (flattened, (1, 6, 6)),
    "residual": (Residual, (1, 5, 5)),
    "squares": (Squares, (3,)),
}


@functools.cache
def built(make: Callable[[], nn.Module], shape: tuple[int, ...], seed: int = 0) -> tuple[RescalingGroup, Tensor]:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        net = make().double()
    group = RescalingGroup.from_module(net, shape)
    return group, group.parameters(net)


def written_out(group: RescalingGroup, weights: Tensor, rate: float, path: bool) -> Callable[[Tensor], Tensor]:
    """The objective by its formula, from B and all entries one by one."""
    B = group.incidence().to_dense()
    live = weights > 0
    n = int(live.sum())

    def objective(z: Tensor) -> Tensor:
        terms = weights * torch.exp(rate * (B @ z))
        if not path:
            return terms.sum()
        return n * (terms.sum() / n).log() - (live.double() @ B) @ z - weights[live].log().sum()

    return objective


@pytest.mark.parametrize("name", sorted(ZOO))
@pytest.mark.parametrize("criterion", [PathCriterion(), L2Criterion(), L2Criterion(3.0)], ids=["path", "l2", "l3"])
def test_objective_and_derivatives_are_those_of_the_formula(name: str, criterion: Any) -> None:
    group, theta = built(*ZOO[name])
    path = isinstance(criterion, PathCriterion)
    if path and name == "squares":
        with pytest.raises(UnsupportedError, match="degree 1"):
            criterion.problem(group.traced, theta)
        return
    weights = path_weights(group.traced, theta) if path else theta.abs() ** criterion.power
    objective = written_out(group, weights, 1.0 if path else -criterion.power / 2, path)
    problem = criterion.problem(group.traced, theta)
    z = torch.randn(group.num_units, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradient = torch.func.grad(objective)(z).numpy()
    hessian = torch.func.jacrev(torch.func.grad(objective))(z).numpy()
    assert problem.value(z.numpy()) == pytest.approx(float(objective(z)), rel=1e-12)
    assert np.allclose(problem.gradient(z.numpy()), gradient, rtol=1e-11, atol=1e-11 * np.abs(gradient).max())
    assert np.allclose(problem.hessian(z.numpy()), hessian, rtol=1e-10, atol=1e-12 * np.abs(hessian).max())
    assert not problem.frozen.any()
    assert problem.count == group.dim
    if path:
        fans = sum(np.bincount(i[i >= 0], minlength=len(z)) for i in (group.action.enters, group.action.leaves))
        assert problem.residual(z.numpy()) == pytest.approx(np.abs(gradient).max() / np.min(fans), rel=1e-11)


@pytest.mark.parametrize("name", ["flattened", "residual"])
def test_minus_log_density_along_the_orbit(name: str) -> None:
    """K(z) of independent normal priors: the value, its derivatives, and all solvers at its minimum."""
    group, theta = built(*ZOO[name])
    sigma = 0.2 + torch.rand(group.dim, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    B = group.incidence().to_dense()

    def objective(z: Tensor) -> Tensor:
        return ((theta / sigma * torch.exp(-B @ z / 2)).square().sum() + (B @ z).sum()) / 2

    problem = PriorCriterion(sigma).problem(group.traced, theta)
    z = torch.randn(group.num_units, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    gradient = torch.func.grad(objective)(z).numpy()
    assert problem.value(z.numpy()) == pytest.approx(float(objective(z)), rel=1e-12)
    assert np.allclose(problem.gradient(z.numpy()), gradient, atol=1e-11 * np.abs(gradient).max())
    hessian = torch.func.jacrev(torch.func.grad(objective))(z).numpy()
    assert np.allclose(problem.hessian(z.numpy()), hessian, atol=1e-12 * np.abs(hessian).max())
    for solver in SOLVERS.values():
        solution = solver(problem, tolerance=1e-10)
        assert solution.converged and (np.diff(solution.history) <= 0).all()
        assert float(torch.func.grad(objective)(torch.from_numpy(solution.z)).abs().max()) < 1e-8 * group.dim


@pytest.mark.parametrize("criterion", [PathCriterion(), L2Criterion()], ids=["path", "l2"])
@pytest.mark.parametrize("name", ["flattened", "residual"])
def test_newton_equations_by_factor_and_by_conjugate_gradients(
    name: str, criterion: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    group, theta = built(*ZOO[name])
    problem = criterion.problem(group.traced, theta)
    rng = np.random.default_rng(0)
    z, v = rng.normal(size=(2, group.num_units))
    expected = np.linalg.solve(problem.hessian(z), v)
    assert np.allclose(problem.solve(z, v), expected, rtol=1e-9, atol=1e-11 * np.abs(expected).max())
    monkeypatch.setattr(smooth, "DENSE", 0)
    assert np.allclose(problem.solve(z, v), expected, rtol=1e-8, atol=1e-9 * np.abs(expected).max())


def test_closed_forms_on_one_unit() -> None:
    group, theta = built(lambda: perceptron(1, 1, 1, bias=False), (1,))
    solution = newton(PathCriterion().problem(group.traced, theta), tolerance=1e-13)
    w1, w2 = group.act(theta, torch.from_numpy(solution.z)).abs()
    assert float(w1) == pytest.approx(float(w2), rel=1e-12)  # g = (w2^2, w1^2)
    assert solution.history[-1] == pytest.approx(0.0, abs=1e-12)
    group, theta = built(lambda: nn.Sequential(nn.Linear(1, 1), nn.ReLU(), nn.Linear(1, 1, bias=False)), (1,))
    solution = newton(PathCriterion().problem(group.traced, theta), tolerance=1e-13)
    w1, b, w2 = theta.tolist()
    assert solution.z[0] == pytest.approx(0.5 * math.log(w2**2 / (w1**2 + b**2)), abs=1e-12)
    assert solution.history[-1] == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("power", [1.0, 2.0, 5.0])
def test_balance_of_one_layer_in_closed_form(power: float) -> None:
    group, theta = built(lambda: perceptron(4, 9, 3), (4,))
    z = newton(L2Criterion(power).problem(group.traced, theta), tolerance=1e-13).z
    w1, b1, w2 = (theta[s].abs() ** power for s in list(group.layout.slices.values())[:3])
    into, out = w1.reshape(9, 4).sum(1) + b1, w2.reshape(3, 9).sum(0)
    assert np.allclose(z, ((out / into).log() / power).numpy(), atol=1e-12)


def test_ranges_of_one_layer_in_closed_form() -> None:
    group, theta = built(lambda: perceptron(4, 9, 3), (4,))
    z = newton(RangeCriterion().problem(group.traced, theta)).z
    w1, b1, w2 = (theta[s].abs() for s in list(group.layout.slices.values())[:3])
    into, out = torch.maximum(w1.reshape(9, 4).amax(1), b1), w2.reshape(3, 9).amax(0)
    assert np.allclose(z, (out / into).log().numpy(), atol=1e-13)


def test_ranges_are_the_limit_of_high_powers() -> None:
    group, theta = built(*ZOO["perceptron"])
    limit = newton(RangeCriterion().problem(group.traced, theta), tolerance=1e-12)
    errors = []
    for power in (8.0, 32.0, 128.0):
        solution = newton(L2Criterion(power).problem(group.traced, theta), tolerance=1e-10)
        assert solution.converged
        errors.append(float(np.abs(solution.z - limit.z).max()))
    assert errors[2] < errors[1] / 3 < errors[0] / 9  # falls at least like 1/p
    assert errors[2] < 0.05


@pytest.mark.parametrize("name", sorted(ZOO))
def test_equal_ranges_written_out(name: str) -> None:
    group, theta = built(*ZOO[name])
    problem = RangeCriterion().problem(group.traced, theta)
    z = np.zeros(group.num_units)
    z[1] = problem.update(z, np.array([1]))[0]  # one unit by itself, at once
    assert abs(problem.gradient(z)[1]) < 1e-12 < abs(problem.gradient(0 * z)[1])
    solution = newton(problem, tolerance=1e-10)
    assert solution.converged
    moved = group.act(theta, torch.from_numpy(solution.z)).abs()
    enters, leaves = group.action.enters, group.action.leaves
    for unit in range(group.num_units):
        into = moved[(enters == unit) & (leaves != unit)].max()
        out = moved[(leaves == unit) & (enters != unit)].max()
        assert float(into) == pytest.approx(float(out), rel=1e-9)
    assert solution.history[-1] == pytest.approx(float(moved[enters != leaves].max()), rel=1e-12)


@pytest.mark.parametrize("criterion", [PathCriterion(), L2Criterion()], ids=["path", "l2"])
def test_minimum_of_scipy(criterion: Any) -> None:
    group, theta = built(*ZOO["perceptron"])
    path = isinstance(criterion, PathCriterion)
    weights = path_weights(group.traced, theta) if path else theta.square()
    objective = written_out(group, weights, 1.0 if path else -1.0, path)

    def of_numbers(z: Any) -> tuple[float, Any]:
        point = torch.from_numpy(z)
        return float(objective(point)), torch.func.grad(objective)(point).numpy()

    found = optimize.minimize(of_numbers, np.zeros(group.num_units), jac=True, method="BFGS", options={"gtol": 1e-8})
    solution = newton(criterion.problem(group.traced, theta), tolerance=1e-12)
    assert np.allclose(solution.z, found.x, atol=1e-6)
    assert solution.history[-1] <= found.fun * (1 + 1e-14)


def dead_units() -> tuple[RescalingGroup, Tensor]:
    """A 4-7-5-3 net: units 0 and 1 of the first layer without input and output, unit 2 of the second without both."""
    group, theta = built(*ZOO["perceptron"])
    parts = {name: t.clone() for name, t in group.layout.unflatten(theta).items()}
    parts["0.weight"][0], parts["0.bias"][0] = 0.0, 0.0
    parts["2.weight"][:, 1] = 0.0
    parts["2.weight"][2], parts["2.bias"][2], parts["4.weight"][:, 2] = 0.0, 0.0, 0.0
    return group, group.layout.flatten(parts)


@pytest.mark.parametrize("criterion", ["path", "l2", "range"])
def test_dead_units_keep_their_scale_and_count_nowhere(criterion: str) -> None:
    group, theta = dead_units()
    problem = read_criterion(criterion).problem(group.traced, theta)
    assert np.flatnonzero(problem.frozen).tolist() == [0, 1, 9]
    assert "reaches it" in problem.frozen_reasons[0]
    solution = newton(problem, tolerance=1e-11)
    assert solution.converged
    assert (solution.z[problem.frozen] == 0).all()
    move = torch.zeros(group.num_units, dtype=torch.float64)
    move[[0, 1, 9]] = torch.tensor([5.0, -4.0, 3.0], dtype=torch.float64)
    elsewhere = newton(read_criterion(criterion).problem(group.traced, group.act(theta, move)), tolerance=1e-11)
    assert np.allclose(elsewhere.z, solution.z, atol=1e-8)  # the others do not see where dead units stand
    keep = [h for h in range(group.num_units) if h not in (0, 1, 9)]
    small, rest = built(lambda: perceptron(4, 5, 4, 3), (4,))
    parts = group.layout.unflatten(theta)
    first, second = [2, 3, 4, 5, 6], [0, 1, 3, 4]
    rest = small.layout.flatten(
        {
            "0.weight": parts["0.weight"][first],
            "0.bias": parts["0.bias"][first],
            "2.weight": parts["2.weight"][second][:, first],
            "2.bias": parts["2.bias"][second],
            "4.weight": parts["4.weight"][:, second],
            "4.bias": parts["4.bias"],
        }
    )
    pruned = newton(read_criterion(criterion).problem(small.traced, rest), tolerance=1e-11)
    assert np.allclose(pruned.z, solution.z[keep], atol=1e-8)  # as if they were not there


def test_network_without_a_live_unit() -> None:
    group, theta = built(*ZOO["perceptron"])
    for criterion in ("path", "l2", "range"):
        solution = newton(read_criterion(criterion).problem(group.traced, 0 * theta))
        assert solution.converged
        assert (solution.z == 0).all()


def test_what_is_refused() -> None:
    group, theta = built(*ZOO["perceptron"])
    bad = theta.clone()
    bad[group.layout.slices["2.bias"].start] = math.nan
    for criterion in (PathCriterion(), L2Criterion(), RangeCriterion()):
        with pytest.raises(ValueError, match=r"'2\.bias'"):
            criterion.problem(group.traced, bad)
    with pytest.raises(ValueError, match="one parameter vector"):
        L2Criterion().problem(group.traced, theta[None])
    for power in (0.5, math.inf, math.nan):
        with pytest.raises(ValueError, match="finite power"):
            L2Criterion(power)
    with pytest.raises(ValueError, match="expected a criterion among"):
        read_criterion("enorm")
    assert read_criterion("range") == RangeCriterion()
    assert isinstance(RangeCriterion().problem(group.traced, theta), RangeProblem)
    assert isinstance(L2Criterion().problem(group.traced, theta), L2Problem)


def test_layers_hold_no_two_joined_units() -> None:
    acyclic = {}
    for name in sorted(ZOO):
        group, theta = built(*ZOO[name])
        problem = L2Criterion().problem(group.traced, theta)
        assert sorted(np.concatenate(problem.layers).tolist()) == list(range(group.num_units))
        into, out = group.action.enters.numpy(), group.action.leaves.numpy()
        for layer in problem.layers:
            joined = np.isin(into, layer) & np.isin(out, layer) & (into != out)
            assert not joined.any()
        acyclic[name] = problem.graph.acyclic
    assert acyclic == {"flattened": True, "perceptron": True, "residual": False, "squares": True}
