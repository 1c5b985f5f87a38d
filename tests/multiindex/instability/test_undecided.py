"""A report calls a tied point stable only where the eigenvalue is known to be positive."""

import torch
from torch import Tensor

from pyro_symvi.groups import Symmetric
from pyro_symvi.multiindex import irrep_instability


def _quadratic(curvature: Tensor) -> str:
    point = torch.zeros(2, len(curvature), dtype=curvature.dtype)
    return irrep_instability(lambda w: -0.5 * (curvature * w.square()).sum(), point, Symmetric(2)).report()


def test_an_eigenvalue_within_its_residual_is_not_called_stable() -> None:
    curvature = torch.linspace(1e-4, 5e3, 400)  # float32: rounding is larger than the lowest eigenvalue
    curvature[123] = -1e-5
    assert "undecided" in _quadratic(curvature)
    assert "undecided" in _quadratic(torch.tensor([0.0, 1.0], dtype=torch.float64))


def test_clear_signs_are_told() -> None:
    assert "is stable" in _quadratic(torch.tensor([0.5, 1.0], dtype=torch.float64))
    assert "a saddle" in _quadratic(torch.tensor([-0.5, 1.0], dtype=torch.float64))
