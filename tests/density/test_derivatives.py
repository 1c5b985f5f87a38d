"""Gradients and Hessians of a `LogDensity` against finite differences and closed forms; nan where algebra fails."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity
from tests import scenarios
from tests.density.test_values import HIERARCHICAL, dependent, double, hierarchical, points

STEP = 1e-5


def differences(function: object, z: Tensor) -> Tensor:
    """Central differences of ``function(z[n, d])`` along each coordinate, last; error O(STEP²)."""
    steps = STEP * torch.eye(len(z), dtype=torch.float64)
    return (function(z + steps) - function(z - steps)).movedim(0, -1) / (2 * STEP)


DENSITIES = {
    "hierarchical": lambda: LogDensity.from_model(hierarchical, *HIERARCHICAL),
    "dependent": lambda: LogDensity.from_model(dependent),
    "lkj": lambda: LogDensity.from_model(lambda: pyro.sample("L", dist.LKJCholesky(3, double(1.5)))),
    "funnel": lambda: scenarios.funnel().density(),
    "regression": lambda: scenarios.flat_regression().density(),
}


@pytest.mark.parametrize("name", DENSITIES)
@pytest.mark.parametrize("looped", [False, True])
def test_gradient_and_hessian_against_finite_differences(name: str, looped: bool) -> None:
    density = DENSITIES[name]()
    density.vectorized = not looped
    for z in points(density.dim, 3, seed=3):
        value, gradient = density.value_and_grad(z)
        hessian = density.hessian(z)
        assert float(value) == float(density(z))
        assert torch.allclose(gradient, differences(density, z), rtol=1e-5, atol=1e-6 * (1 + float(value.abs())))
        numeric = differences(lambda v: density.value_and_grad(v)[1], z)
        assert torch.allclose(hessian, numeric, rtol=1e-5, atol=1e-5 * (1 + float(hessian.abs().max())))
        assert torch.allclose(hessian, hessian.mT, rtol=1e-9, atol=1e-9)


def test_calls_are_differentiable_and_keep_the_callers_graph() -> None:
    density = scenarios.gaussian().density()
    start = points(3, 4).requires_grad_()
    density(2 * start).sum().backward()
    assert torch.allclose(start.grad, 2 * density.value_and_grad(2 * start.detach())[1])


def test_value_and_grad_and_hessian_have_no_graph_even_from_a_leaf() -> None:
    density = scenarios.gaussian().density()
    z = points(3, 4).requires_grad_()
    assert not any(t.requires_grad for t in (*density.value_and_grad(z), density.hessian(z)))
    with torch.no_grad():
        assert torch.allclose(density.value_and_grad(z)[1], differences_of_gaussian(z))


def differences_of_gaussian(z: Tensor) -> Tensor:
    target = scenarios.gaussian()
    deviation = target.standard_deviation
    precision = torch.linalg.inv(target.correlation * torch.outer(deviation, deviation))
    return -(z - target.mean) @ precision


def not_always_definite(z: Tensor) -> Tensor:
    """-log det of [[1, z0], [z0, 1]]^(1/2): defined for |z0| < 1 only."""
    matrix = torch.stack([torch.stack([torch.ones_like(z[0]), z[0]]), torch.stack([z[0], torch.ones_like(z[0])])])
    return -torch.linalg.cholesky(matrix).diagonal().log().sum() - 0.5 * (z**2).sum()


@pytest.mark.parametrize("looped", [False, True])
def test_where_cholesky_fails_there_is_nan_and_nowhere_else(looped: bool) -> None:
    density = LogDensity.from_callable(not_always_definite, 2)
    assert density.vectorized
    density.vectorized = not looped
    z = torch.stack([torch.linspace(-2, 2, 41).double(), torch.ones(41).double()], -1)
    good = z[:, 0].abs() < 0.999
    expected = -0.5 * torch.log1p(-(z[:, 0] ** 2)) - 0.5 * (z**2).sum(-1)
    value, gradient = density.value_and_grad(z)
    hessian = density.hessian(z)
    assert torch.equal(torch.isnan(density(z)), ~good)
    assert torch.allclose(density(z)[good], expected[good])
    assert torch.equal(torch.isnan(value), ~good)
    assert torch.allclose(gradient[good, 0], (z[:, 0] / (1 - z[:, 0] ** 2) - z[:, 0])[good])
    assert torch.allclose(hessian[good, 1, 1], -torch.ones(int(good.sum())).double())
    assert bool(torch.isnan(hessian[~good]).all())


def test_an_operation_without_forward_mode_still_has_a_hessian() -> None:
    class Square(torch.autograd.Function):
        generate_vmap_rule = True

        @staticmethod
        def forward(x: Tensor) -> Tensor:
            return x**2

        @staticmethod
        def setup_context(ctx: object, inputs: tuple[Tensor], output: Tensor) -> None:
            ctx.save_for_backward(*inputs)

        @staticmethod
        def backward(ctx: object, gradient: Tensor) -> Tensor:
            (x,) = ctx.saved_tensors
            return 2 * x * gradient

    density = LogDensity.from_callable(lambda z: -Square.apply(z).sum(), 2)
    assert torch.allclose(density.hessian(points(2, 3)), -2 * torch.eye(2).double().expand(3, 2, 2))


@pytest.mark.parametrize("bad", [[0.0, 0.0], torch.zeros(2, dtype=torch.long), None])
def test_points_of_the_wrong_kind_are_refused(bad: object) -> None:
    density = LogDensity.from_callable(lambda z: -(z**2).sum(), 2)
    for call in (density, density.value_and_grad, density.hessian, density.unpack):
        with pytest.raises(TypeError, match=r"expected a floating-point tensor z\[..., 2\], got .*; try"):
            call(bad)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 1)])
def test_points_of_the_wrong_length_are_refused(shape: tuple[int, ...]) -> None:
    density = LogDensity.from_callable(lambda z: -(z**2).sum(), 2)
    for call in (density, density.value_and_grad, density.hessian, density.unpack):
        with pytest.raises(ValueError, match=r"expected z\[..., 2\], got shape .* 2 unconstrained coordinates; try"):
            call(torch.zeros(shape))
