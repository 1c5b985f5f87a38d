"""Translations, scalings, rigid motions: the axioms hold, and Haar draws are refused with the way out."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import DirectProduct, Group, NonCompactGroupError, PositiveScaling, SpecialEuclidean, Translation
from tests.contracts.group import GroupContract


class TestNonCompact(GroupContract):
    tolerance = 1e-8

    @pytest.fixture(params=[Translation(3), PositiveScaling(2), SpecialEuclidean(2), SpecialEuclidean(3)], ids=repr)
    def group(self, request: pytest.FixtureRequest) -> Group:
        return request.param

    def draws(self, group: Group, n: int = 40, seed: int = 1) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return group.exp(0.7 * torch.randn(n, group.dim, generator=generator, dtype=torch.float64))

    def test_no_haar_probability(self, group: Group) -> None:
        for call in (lambda: group.sample(1), lambda: group.quadrature(2), lambda: group.irreps(2)):
            with pytest.raises(NonCompactGroupError, match="expected a compact group"):
                call()
        assert not group.is_compact and group.is_connected and group.dim > 0

    def test_one_parameter_subgroups(self, group: Group) -> None:
        x = torch.randn(6, group.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert self.equal(group, group.exp(0.8 * x), group.compose(group.exp(0.3 * x), group.exp(0.5 * x)))


def test_rigid_motions_move_points() -> None:
    group = SpecialEuclidean(3)
    turn = group.rotations.sample(2, generator=torch.Generator().manual_seed(0))
    step = torch.tensor([1.0, 2.0, 3.0], dtype=torch.float64)
    a, b = group.element(turn[0], step), group.element(turn[1], -step)
    x = torch.randn(3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)

    def move(g: Tensor, y: Tensor) -> Tensor:
        return g[:, :3] @ y + g[:, 3]

    assert torch.allclose(move(group.compose(a, b), x), move(a, move(b, x)))


def test_products_with_non_compact_factors() -> None:
    group = DirectProduct([Translation(2), SpecialEuclidean(2)])
    assert not group.is_compact and group.dim == 5
    with pytest.raises(NonCompactGroupError):
        group.sample(1)
