"""Modes and metrics against closed forms; failures come back as a fallback, not as a wrong mode."""

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.density._laplace import inverse_root, laplace_approximation, newton_step


def gaussian(mean: torch.Tensor, covariance: torch.Tensor) -> LogDensity:
    precision = torch.linalg.inv(covariance)
    return LogDensity.from_callable(lambda z: -0.5 * (z - mean) @ precision @ (z - mean), len(mean))


def test_gaussian_mode_and_covariance() -> None:
    mean = torch.tensor([3.0, -2e4, 1e-3], dtype=torch.float64)
    root = torch.tensor([[1.0, 0, 0], [3e3, 4e3, 0], [-2e-4, 1e-4, 1e-4]], dtype=torch.float64)
    found = laplace_approximation(gaussian(mean, root @ root.mT))
    assert found.is_mode
    sd = (root @ root.mT).diagonal().sqrt()
    assert ((found.point - mean) / sd).abs().max() < 1e-9
    torch.testing.assert_close(found.root / sd[:, None], root / sd[:, None], rtol=1e-6, atol=1e-6)


def test_mode_of_a_skewed_density() -> None:
    """log p = 3z - e^z has its mode at log 3 with curvature 3 (log of a Gamma(3, 1) variable)."""
    found = laplace_approximation(LogDensity.from_callable(lambda z: (3 * z - z.exp()).sum(-1), 2))
    torch.testing.assert_close(found.point, torch.full((2,), 3.0, dtype=torch.float64).log(), rtol=0, atol=1e-12)
    torch.testing.assert_close(found.root, torch.eye(2, dtype=torch.float64) / 3**0.5, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    "function",
    [lambda z: z.sum(-1), lambda z: -((z[..., 0] + z[..., 1]) ** 2), lambda z: z.square().sum(-1)],
    ids=["linear", "flat direction", "convex"],
)
def test_no_mode_is_said(function) -> None:  # type: ignore[no-untyped-def]
    found = laplace_approximation(LogDensity.from_callable(function, 2), root_scale=0.25)
    assert not found.is_mode
    torch.testing.assert_close(found.root, 0.25 * torch.eye(2, dtype=torch.float64))


def test_start_without_support_is_refused() -> None:
    inside = LogDensity.from_callable(lambda z: torch.where(z.sum(-1) > 1e3, -z.sum(-1), -torch.inf), 2)
    with pytest.raises(ValueError, match="expected a point with finite log density.*init_loc_fn"):
        laplace_approximation(inside)


def test_newton_step_moves_only_the_chosen_coordinates() -> None:
    mean = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    covariance = torch.tensor([[2.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 3.0]], dtype=torch.float64)
    point = torch.tensor([0.0, 5.0, -1.0], dtype=torch.float64)
    step = newton_step(gaussian(mean, covariance), point, torch.tensor([0, 2]))
    assert step is not None and step[1] == 0
    # the conditional mean of coordinates 0, 2 given coordinate 1
    slope = covariance[[0, 2], 1] / covariance[1, 1]
    torch.testing.assert_close((point + step)[[0, 2]], mean[[0, 2]] + slope * (5.0 - 2.0), rtol=1e-10, atol=1e-10)


def test_newton_step_on_a_singular_block() -> None:
    flat = LogDensity.from_callable(lambda z: -(z[..., 0] ** 2) + 0 * z[..., 1], 2)
    assert newton_step(flat, torch.zeros(2, dtype=torch.float64)) is None


def test_inverse_root() -> None:
    generator = torch.Generator().manual_seed(0)
    a = torch.randn(5, 5, dtype=torch.float64, generator=generator)
    precision = a @ a.mT + torch.eye(5, dtype=torch.float64)
    root = inverse_root(precision)
    assert root is not None
    assert torch.equal(root, root.tril())
    torch.testing.assert_close(root @ root.mT, torch.linalg.inv(precision))
    assert inverse_root(-precision) is None
    assert inverse_root(precision * torch.nan) is None
