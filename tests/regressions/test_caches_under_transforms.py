"""What is kept between calls may be made first inside a transform of torch.func, and has to be right outside too."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import _harmonics, _wigner, solid_harmonics, wigner_d
from pyro_symvi.multiindex import Link, _legendre, unit_moments

ELU, GELU = Link.of("elu"), Link.of("gelu")
WEIGHTS = torch.linspace(-1, 2, 49, dtype=torch.float64)


def harmonics(t: Tensor) -> Tensor:
    return WEIGHTS[:9] @ solid_harmonics(4, torch.stack([t, t * t, t + 1]))


def rotation(t: Tensor) -> Tensor:
    zero, one = torch.zeros_like(t), torch.ones_like(t)
    rows = [torch.stack(row) for row in ([t.cos(), -t.sin(), zero], [t.sin(), t.cos(), zero], [zero, zero, one])]
    return WEIGHTS @ wigner_d(3, torch.stack(rows)).flatten()


def pieces(t: Tensor) -> Tensor:
    return unit_moments(ELU, t[None], t[None].square() + 1)[1].sum()


def smooth(t: Tensor) -> Tensor:
    return unit_moments(GELU, t[None], t[None].square() + 1)[1].sum()


@pytest.mark.parametrize("function", [harmonics, rotation, pieces, smooth])
def test_first_use_inside_a_transform(function: Callable[[Tensor], Tensor]) -> None:
    for kept in (_harmonics._coefficients, _wigner._coefficients, _legendre.legendre_numbers):
        kept.cache_clear()
    t, step = torch.tensor(0.3, dtype=torch.float64), 1e-4
    inside = torch.func.hessian(function)(t)
    here, ahead, behind = function(t), function(t + step), function(t - step)
    assert float(inside) == pytest.approx(float((ahead - 2 * here + behind) / step**2), rel=1e-4, abs=1e-5)
    assert torch.allclose(torch.func.vmap(function)(torch.stack([t, t + step])), torch.stack([here, ahead]))
