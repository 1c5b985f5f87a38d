"""What looks symmetric and is not: never listed, and refuted where it was worth a test."""

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.density import LogDensity
from pyro_symvi.groups import PointReflection
from pyro_symvi.recovery import Evidence, find_symmetries
from tests.recovery.discovery.known_groups import trefoil


def even(z: Tensor) -> Tensor:
    x, y = z.unbind(-1)
    return -(x**2) / 2 - y**2 / 2 - 0.2 * (x * y) ** 2 - 0.1 * x**4 - 0.3 * x * y


def with_bump(z: Tensor) -> Tensor:
    """A bump of mass 1e-3 at 8 sd."""
    bump = math.log(1e-3) - 0.5 * ((z[..., 0] - 8) ** 2 + z[..., 1] ** 2)
    return torch.logaddexp(even(z), bump)


def even_inside(z: Tensor) -> Tensor:
    """Even within 4 sd only."""
    return even(z) - torch.nn.functional.relu(z[..., 0] - 4) ** 3


def off_center(z: Tensor) -> Tensor:
    """Two even factors whose centres differ by 1e-4 sd."""
    return -(z[..., 0] ** 2) / 2 - z[..., 1] ** 4 - z[..., 0] * z[..., 1] - (z[..., 0] - 1e-4) ** 4


def leaning_trefoil(z: Tensor) -> Tensor:
    """A trefoil whose third leaf is a part in a thousand higher."""
    return trefoil(z) + 1e-3 * torch.tanh(z[..., 0]) * torch.exp(-0.1 * z.square().sum(-1))


def heavy_on_one_side(z: Tensor) -> Tensor:
    """Tails that differ by 1e-3 in the power."""
    x, y = z.unbind(-1)
    return -(2 + 1e-3 * torch.sigmoid(x - 3)) * torch.log1p(x**2) - y**2


def half_line(z: Tensor) -> Tensor:
    """A normal law cut off 6 sd below."""
    return torch.where(z[..., 0] > -6, -0.5 * z.square().sum(-1) - 0.1 * z[..., 0] * z[..., 1] ** 3, -torch.inf)


@pytest.mark.parametrize("target", [with_bump, even_inside, off_center, leaning_trefoil, half_line])
def test_nothing_that_moves_the_first_coordinate_is_listed(target: Callable[[Tensor], Tensor]) -> None:
    symmetries = find_symmetries(LogDensity.from_callable(target, 2))
    assert [f.kind for f in symmetries if 0 in f.coordinates] == []
    assert not symmetries.implies(PointReflection(0.0))
    assert any("reflection" in r.kind for r in symmetries.refuted)


def test_what_is_left_of_a_broken_symmetry_is_found() -> None:
    symmetries = find_symmetries(LogDensity.from_callable(heavy_on_one_side, 2))
    (found,) = symmetries
    assert found.coordinates == (1,) and found.pins.means == (1,)


def test_float32_inside_verifies_nothing() -> None:
    symmetries = find_symmetries(LogDensity.from_callable(lambda z: even(z.float()), 2))
    assert all(f.evidence is Evidence.PROVED for f in symmetries)
    if not symmetries.found:
        assert any("noise" in text or "rounding" in text for text in symmetries.undecided) or symmetries.refuted


def test_a_plateau_does_not_give_a_center() -> None:
    """Flat within 1: every point there is stationary, and only one is a centre."""

    def flat(z: Tensor) -> Tensor:
        return -torch.nn.functional.relu(z[..., 0].abs() - 1) - torch.nn.functional.relu(z[..., 1]) - z[..., 1] ** 2

    symmetries = find_symmetries(LogDensity.from_callable(flat, 2))
    for found in symmetries:
        assert found.coordinates == (0,) and found.center is not None
        assert float(found.center[0].abs()) < 1e-9
