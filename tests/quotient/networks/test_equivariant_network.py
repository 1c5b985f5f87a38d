"""The equivariant network: turns with the cloud, and with cross products does not mistake one hand for the other."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from pyro_symvi.quotient import Context
from pyro_symvi.quotient.networks import EquivariantNetwork
from tests.contracts.network import POINTS, NetworkContract, clouds, context, moved, turn

TIMES = torch.tensor([0.1, 0.4, 0.8, 0.95], dtype=torch.float64)


def mirrored(x: Tensor) -> Tensor:
    return x * torch.tensor([-1.0, 1.0, 1.0], dtype=x.dtype)


class TestEquivariantNetwork(NetworkContract):
    def make(self, **options: Any) -> EquivariantNetwork:
        return EquivariantNetwork(**{"width": 16, "layers": 2, **options})

    def test_rotations(self) -> None:
        network, x, known = self.ready(), clouds(4, POINTS, 3), context(4)
        found = network(x, TIMES, known)
        for rotation in turn(n=5):
            there = network(x @ rotation.mT, TIMES, known)
            assert float((there - found @ rotation.mT).abs().max()) < 1e-10

    def test_reflections_are_told_apart(self) -> None:
        network, x, known = self.ready(), clouds(4, POINTS, 3), context(4)
        apart = network(mirrored(x), TIMES, known) - mirrored(network(x, TIMES, known))
        assert float(apart.square().mean((-2, -1)).sqrt().min()) > 1e-4

    def test_without_cross_products_reflections_commute(self) -> None:
        network, x, known = self.ready(chiral=False), clouds(4, POINTS, 3), context(4)
        apart = network(mirrored(x), TIMES, known) - mirrored(network(x, TIMES, known))
        assert float(apart.abs().max()) < 1e-10

    def test_planar_clouds_stay_planar_only_without_cross_products(self) -> None:
        """A plane is its own mirror image: an O(3)-equivariant field lies in it, an SO(3)-equivariant one need not."""
        x, known = clouds(4, POINTS, 3), context(4)
        x[..., 2] = 0.0
        assert float(self.ready(chiral=False)(x, TIMES, known)[..., 2].abs().max()) < 1e-12
        assert float(self.ready()(x, TIMES, known)[..., 2].abs().max()) > 1e-4

    def test_wrong_options_of_its_own(self) -> None:
        with pytest.raises(ValueError, match="multiple of 16, got 30; try 32"):
            EquivariantNetwork(width=30)
        with pytest.raises(TypeError, match="chiral"):
            EquivariantNetwork(chiral=1)  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="window"):
            EquivariantNetwork(window=0)


class TestWindow(TestEquivariantNetwork):
    permutes = False

    def make(self, **options: Any) -> EquivariantNetwork:
        return super().make(**{"window": 2, **options})

    def test_a_wide_window_is_all_pairs(self) -> None:
        x, known = clouds(4, POINTS, 3), context(4)
        wide, narrow, whole = self.ready(window=50), self.ready(), self.ready(window=None)
        assert torch.allclose(wide(x, TIMES, known), whole(x, TIMES, known), atol=1e-12)
        assert not torch.allclose(narrow(x, TIMES, known), whole(x, TIMES, known), atol=1e-3)

    def test_what_is_out_of_reach_is_not_heard(self) -> None:
        """Two layers of reach 2 hear 4 places: the first of 40 points does not depend on the last but by the centre."""
        network = moved(self.make()).requires_grad_(False)
        x = clouds(40, 3)
        bent = x.clone()
        bent[30], bent[31] = x[30] + 1.0, x[31] - 1.0
        change = (network(bent, TIMES[1]) - network(x, TIMES[1])).norm(dim=-1)
        assert float((change[:26] - change[0]).abs().max()) < 1e-12 and float(change[29:33].min()) > 1e-3


def tetrahedra(count: int) -> Tensor:
    """A centre with four different arms, of one hand, turned at random."""
    arms = torch.tensor([[1.0, 1, 1], [1, -1, -1], [-1, 1, -1], [-1, -1, 1]])
    cloud = torch.cat([torch.zeros(1, 3), arms * torch.tensor([[0.8], [1.0], [1.2], [1.4]])])
    return (cloud - cloud.mean(0)) @ turn(seed=8, n=count).float().mT


def test_the_hand_of_a_flat_centre_is_learned_with_cross_products_alone() -> None:
    """Given a tetrahedral centre pressed onto a plane, raise it to the one hand that there is.

    A field that commutes with reflections stays in the plane and loses the variance across it, here exactly its bound.
    """
    known, t = Context(features=torch.eye(5)), torch.tensor(0.5)
    left = {}
    for chiral in (True, False):
        network = EquivariantNetwork(16, 2, features=5, chiral=chiral)
        optimiser = torch.optim.Adam(network.parameters(), 1e-2)
        whole = tetrahedra(32)
        flat = whole * torch.tensor([1.0, 1.0, 0.0])
        across = whole[..., 2].square().sum(-1).mean()
        for _ in range(60):
            optimiser.zero_grad()
            found = network(flat, t, known)
            loss = (found - whole).square().sum((-2, -1)).mean()
            loss.backward()
            optimiser.step()
        left[chiral] = float(loss.detach() / across)
    assert left[False] >= 1.0 - 1e-6
    assert left[True] < 0.3
