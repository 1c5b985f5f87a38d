"""Thousands of dimensions without a matrix [d, d], hundreds with one."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import pyro_symvi as symvi
from pyro_symvi.density import LogDensity
from pyro_symvi.density._laplace import laplace_approximation
from pyro_symvi.families import LocationScale, LowRank
from pyro_symvi.groups import PointReflection
from pyro_symvi.infer.fitting.chart import Chart
from pyro_symvi.infer.fitting.reflections import candidate_reflection

DOUBLE = torch.float64


def even(dim: int) -> tuple[LogDensity, torch.Tensor, torch.Tensor]:
    """Independent logistic laws of other centres and units: log-concave, even."""
    generator = torch.Generator().manual_seed(0)
    center = torch.randn(dim, generator=generator).double()
    unit = torch.randn(dim, generator=generator).double().exp()

    def log_prob(z: torch.Tensor) -> torch.Tensor:
        w = (z - center) / unit
        return (w - 2 * torch.nn.functional.softplus(w)).sum(-1)

    return LogDensity.from_callable(log_prob, dim), center, unit


class Largest(TorchDispatchMode):
    """Records the largest tensor that any operation returns."""

    def __init__(self) -> None:
        super().__init__()
        self.numel = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if isinstance(result, torch.Tensor):
            self.numel = max(self.numel, result.numel())
        return result


@pytest.mark.parametrize("scale", ["diagonal", "isotropic"])
def test_the_centre_in_two_thousand_dimensions_without_a_matrix(scale: str) -> None:
    density, center, unit = even(2400)
    symmetry = PointReflection(center=center)
    with Largest() as largest:
        fit = symvi.fit(density, LocationScale(2400, scale=scale), num_particles=8, symmetry=symmetry)
    assert largest.numel < 2400 * 2400 / 10
    assert len(fit.reflected) == 2400 and fit.converged, fit.details
    assert ((fit.loc - center) / unit).abs().max() < (1e-10 if scale == "diagonal" else 1e-7)
    assert fit.fixed_point_residual < 1e-6


def test_a_full_scale_beyond_two_hundred_dimensions() -> None:
    density, center, unit = even(202)
    fit = symvi.fit(density, LocationScale(202))
    assert fit.converged and ((fit.loc - center) / unit).abs().max() < 1e-10
    assert fit.num_particles == 808


@pytest.mark.parametrize("dim, ndim", [(150, 2), (400, 2), (1200, 1)])
def test_mode_and_curvature(dim: int, ndim: int) -> None:
    """Curvature of the logistic law at its centre: 1 / (2 unit^2)."""
    density, center, unit = even(dim)
    found = laplace_approximation(density, large=True)
    root = found.root if found.root.ndim == 1 else found.root.diagonal()
    assert found.is_mode and found.root.ndim == ndim
    torch.testing.assert_close(root, 2**0.5 * unit, rtol=1e-5, atol=0)
    assert float(((found.point - center) / unit).abs().max()) < 1e-5


def test_other_users_get_what_they_got() -> None:
    density, _, _ = even(300)
    found = laplace_approximation(density)
    assert not found.is_mode and torch.equal(found.root, 0.1 * torch.eye(300, dtype=DOUBLE))


def test_an_improper_density_has_no_mode() -> None:
    flat = LogDensity.from_callable(lambda z: z.sum(-1), 1100)
    assert not laplace_approximation(flat, large=True).is_mode


def test_correlations_do_not_spoil_the_diagonal_metric() -> None:
    """Neighbours coupled: the estimated diagonal is within a third of the true one."""
    density = LogDensity.from_callable(lambda z: -0.5 * (z**2).sum(-1) - 0.5 * (z[1:] - z[:-1]).square().sum(-1), 1100)
    found = laplace_approximation(density, large=True)
    exact = torch.full((1100,), 3.0, dtype=DOUBLE)
    exact[[0, -1]] = 2.0
    # 32 probes of random signs: relative standard error sqrt(2 / 32) / 3 = 0.08, six of them among 1100
    assert float((found.root.pow(-2) / exact - 1).abs().max()) < 0.5


def test_a_reflection_of_all_coordinates_is_proposed_or_not() -> None:
    density, center, unit = even(2500)
    every = tuple(range(2500))
    assert candidate_reflection(density, center, unit) == every
    assert candidate_reflection(density, center + 0.5 * unit, unit) == ()


@pytest.mark.parametrize("scale", ["diagonal", "isotropic", "full", LowRank(1)], ids=repr)
def test_a_diagonal_metric_is_that_of_its_matrix(scale: object) -> None:
    density, _, unit = even(4)
    zero, family = torch.zeros(4, dtype=DOUBLE), LocationScale(4, scale=scale)
    short, whole = (Chart(density, family, zero, root) for root in (unit, torch.diag(unit)))
    x = torch.from_numpy(np.linspace(-0.3, 0.5, family.size))
    a, b = short.parameters(x), whole.parameters(x)
    torch.testing.assert_close(a["loc"], b["loc"])
    if not isinstance(scale, LowRank):  # whose start is arbitrary where nothing is correlated
        torch.testing.assert_close(a["scale"], b["scale"])
