"""Which coordinates log p separates: what is coupled is found, and what is separate stays apart."""

import pytest
import torch

from pyro_symvi.density import LogDensity
from pyro_symvi.recovery.evidence.coupling import coupled_with


def density(z: torch.Tensor) -> torch.Tensor:
    """z_0 by itself; z_1 with z_2; z_3, z_4 and z_5 in a chain; products of two at a time only."""
    pairs = z[..., 1] * z[..., 2] + z[..., 3] * z[..., 4] + z[..., 4] ** 2 * z[..., 5]
    return -z.square().sum(-1) - z[..., 0] ** 4 - z.exp().sum(-1) - 0.1 * pairs


@pytest.mark.parametrize(
    ("given", "expected"),
    [((0,), (0,)), ((1,), (1, 2)), ((3,), (3, 4, 5)), ((0, 5), (0, 3, 4, 5)), ((2, 4), (1, 2, 3, 4, 5))],
)
def test_a_set_grows_until_it_is_separate(given: tuple[int, ...], expected: tuple[int, ...]) -> None:
    here, there = torch.randn(2, 16, 6, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert coupled_with(LogDensity.from_callable(density, 6), given, here, there) == expected


def test_what_depends_on_several_at_once_is_not_overlooked() -> None:
    """A term in three coordinates that vanishes where any one of them stands still at zero."""
    target = LogDensity.from_callable(lambda z: -z.square().sum(-1) + z.prod(-1), 3)
    here = torch.zeros(8, 3, dtype=torch.float64)
    there = torch.randn(8, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    assert coupled_with(target, (0,), here, there) == (0, 1, 2)


def test_values_that_are_not_finite_count_as_dependence() -> None:
    """A support that is cut jointly."""
    target = LogDensity.from_callable(lambda z: torch.where(z.sum(-1) > 0, -z.square().sum(-1), -torch.inf), 2)
    here, there = torch.randn(2, 16, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    assert coupled_with(target, (0,), here, there) == (0, 1)
