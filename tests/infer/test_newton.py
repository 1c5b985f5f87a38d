"""The sample objective's Hessian, and the two methods: same optimum, gradient at rounding, few steps."""

import numpy as np
import pytest
import torch

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.divergences import Alpha, ChiSquare, ForwardKL, ReverseKL
from pyro_symvi.families import BlockDiagonal, LocationScale, Tied
from pyro_symvi.groups import PointReflection
from pyro_symvi.infer.fitting._sample_objective import SampleObjective
from pyro_symvi.infer.fitting._steps import broyden, newton
from pyro_symvi.infer.fitting.chart import Chart
from pyro_symvi.infer.fitting.noise import orbit_closed_noise

DOUBLE = torch.float64
SCALES = ["isotropic", "diagonal", "full", "low_rank", BlockDiagonal([2, 1]), Tied(PointReflection())]


def skewed(dim: int) -> LogDensity:
    return LogDensity.from_callable(lambda z: (3 * z - z.exp()).sum(-1) - 0.1 * z.sum(-1) ** 2, dim)


def objective(scale: object, divergence: object, dim: int = 3) -> SampleObjective:
    family = LocationScale(dim, scale=scale)
    chart = Chart(skewed(dim), family, torch.ones(dim, dtype=DOUBLE), 0.6 * torch.eye(dim, dtype=DOUBLE))
    noise = orbit_closed_noise(family, 16, reflect=(), generator=torch.Generator().manual_seed(0))
    return SampleObjective(chart, divergence, noise)


@pytest.mark.parametrize("divergence", [ReverseKL(), Alpha(-0.5), Alpha(0.4)], ids=repr)
@pytest.mark.parametrize("scale", SCALES, ids=repr)
def test_derivatives_against_autograd(scale: object, divergence: object) -> None:
    """Value, gradient and Hessian of the same expression, differentiated through the density itself."""
    sample = objective(scale, divergence)
    chart, family = sample.chart, sample.chart.family

    def direct(x: torch.Tensor) -> torch.Tensor:
        parameters = chart.parameters(x)
        z = parameters["loc"] + family.apply(parameters["scale"], sample.noise)
        log_p = (3 * z - z.exp()).sum(-1) - 0.1 * z.sum(-1) ** 2
        return divergence.objective(log_p - family.log_base(sample.noise) + family.log_det(parameters["scale"]))

    x = torch.linspace(-0.3, 0.4, chart.size, dtype=DOUBLE)
    value, gradient = sample(x.numpy())
    assert abs(value - float(direct(x))) < 1e-12 and abs(sample.at(chart.parameters(x)) - value) < 1e-12
    leaf = x.clone().requires_grad_()
    np.testing.assert_allclose(gradient, torch.autograd.grad(direct(leaf), leaf)[0], rtol=0, atol=1e-11)
    exact = torch.autograd.functional.hessian(direct, x).numpy()
    np.testing.assert_allclose(sample.hessian(x.numpy()), exact, rtol=0, atol=1e-6 * np.abs(exact).max())
    np.testing.assert_allclose(sample.hessian(x.numpy(), 3), exact[:3, :3], rtol=0, atol=1e-6 * np.abs(exact).max())


@pytest.mark.parametrize("divergence", [ReverseKL(), ChiSquare(reverse=True)], ids=repr)
@pytest.mark.parametrize("scale", ["diagonal", "full", Tied(PointReflection())], ids=repr)
def test_methods_agree_and_reach_rounding(scale: object, divergence: object) -> None:
    target = LogDensity.from_callable(lambda z: (torch.nn.functional.logsigmoid(2 * z) - 0.5 * z**2).sum(-1), 4)
    fits = {
        method: symvi.fit(target, LocationScale(4, scale=scale), divergence=divergence, method=method)
        for method in ("auto", "lbfgs", "newton")
    }
    for fit in fits.values():
        assert fit.converged and fit.gradient_norm < 1e-13
        torch.testing.assert_close(fit.loc, fits["auto"].loc, rtol=0, atol=1e-12)
        torch.testing.assert_close(fit.parameters["scale"], fits["auto"].parameters["scale"], rtol=0, atol=1e-11)
    assert len(fits["newton"].history) <= len(fits["lbfgs"].history)


def test_many_parameters_end_in_gradient_steps() -> None:
    """230 parameters: no Hessian, and the location still at rounding, by evenness."""
    center = torch.linspace(-1, 1, 20, dtype=DOUBLE)
    even = LogDensity.from_callable(
        lambda z: -torch.log(torch.cosh(z - center)).sum(-1) - 0.1 * (z - center).sum(-1) ** 2, 20
    )
    fit = symvi.fit(even, LocationScale(20), starts=center[None] + 0.5)
    assert fit.converged and (fit.loc - center).abs().max() < 1e-10


def quadratic(dim: int):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    root = rng.normal(size=(dim, dim)) / dim**0.5
    matrix = root @ root.T / 4 + np.eye(dim)
    solution = rng.normal(size=dim)
    return (lambda x: (0.0, matrix @ (x - solution))), matrix, solution


def test_broyden_on_a_quadratic() -> None:
    """No more than 30 steps, in a dimension where a dense inverse would take 1.8 GB."""
    gradient, _, solution = quadratic(6)
    x, norm = broyden(gradient, np.zeros(6), 6)
    assert norm < 1e-12 and np.abs(x - solution).max() < 1e-12
    target = np.linspace(-1, 1, 15000)
    x, norm = broyden(lambda x: (0.0, 1.1 * (x - target)), np.zeros(15000), 15000)
    assert np.abs(x - target).max() < 1e-14


def test_newton_with_and_without_a_hessian() -> None:
    gradient, matrix, solution = quadratic(5)
    start = solution + 1e-4
    for hessian in (None, matrix):
        x, norm = newton(gradient, start, 5, hessian)
        assert norm < 1e-14 and np.abs(x - solution).max() < 1e-14
    far, norm = newton(gradient, solution + 10, 5, matrix)  # only ever near the end
    assert np.array_equal(far, solution + 10) and norm > 1
    singular, _ = newton(gradient, start, 5, np.zeros((5, 5)))
    assert np.array_equal(singular, start)


@pytest.mark.parametrize(
    "method, divergence, message",
    [
        ("bfgs", ReverseKL(), r"expected method in \['auto', 'lbfgs', 'newton', 'minibatch'\], got 'bfgs'"),
        (None, ReverseKL(), "expected method in"),
        ("newton", ForwardKL(), 'expected method="auto" for ForwardKL'),
    ],
)
def test_refusals(method: object, divergence: object, message: str) -> None:
    with pytest.raises(ValueError, match=message + ".*because.*; try "):
        symvi.fit(skewed(2), LocationScale(2), divergence=divergence, method=method)
