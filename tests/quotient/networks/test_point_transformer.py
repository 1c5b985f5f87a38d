"""The plain transformer: everything but rotations."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from pyro_symvi.quotient import Context
from pyro_symvi.quotient.networks import PointTransformer, _conditions, _transformer, build_network
from tests.contracts.network import POINTS, NetworkContract, clouds, context, moved, turn


class TestPointTransformer(NetworkContract):
    def make(self, **options: Any) -> PointTransformer:
        return PointTransformer(**{"width": 16, "layers": 2, "heads": 2, **options})

    def test_rotations_do_not_commute(self) -> None:
        network, x, known = self.ready(), clouds(4, POINTS, 3), context(4)
        t = torch.tensor([0.1, 0.4, 0.8, 0.95], dtype=torch.float64)
        for rotation in turn(n=3):
            apart = network(x @ rotation.mT, t, known) - network(x, t, known) @ rotation.mT
            assert float(apart.square().mean((-2, -1)).sqrt().min()) > 1e-2

    def test_large_clouds_go_another_way_to_the_same_place(self, monkeypatch: pytest.MonkeyPatch) -> None:
        network, x, known = self.ready(), clouds(3, POINTS, 3), context(3)
        mask = torch.arange(POINTS) < torch.tensor([[4], [6], [2]])
        ragged = Context(mask=mask, features=known.features, edges=known.edges)
        t = torch.tensor(0.5, dtype=torch.float64)
        plain = network(x, t, known), network(x, t, ragged)
        monkeypatch.setattr(_transformer, "PLAIN_UP_TO", 0)
        assert torch.allclose(network(x, t, known), plain[0], atol=1e-12)
        assert torch.allclose(network(x, t, ragged), plain[1], atol=1e-12)

    def test_planar_clouds(self) -> None:
        network = moved(self.make(dim=2))
        assert network(clouds(3, 5, 2), torch.tensor(0.5)).shape == (3, 5, 2)
        assert build_network(network.config).dim == 2
        with pytest.raises(ValueError, match=r"expected floating points \[\*batch, N, 2\]"):
            network(clouds(3, 5, 3), torch.tensor(0.5))

    def test_wrong_options_of_its_own(self) -> None:
        with pytest.raises(ValueError, match="multiple of heads, got 30 and 4"):
            PointTransformer(width=30)
        with pytest.raises(ValueError, match="heads"):
            PointTransformer(heads=0)


def test_kinds_and_arguments_of_a_config_are_checked() -> None:
    with pytest.raises(ValueError, match=r"\['EquivariantNetwork', 'PointTransformer'\], got 'Perceptron'"):
        build_network({"kind": "Perceptron"})
    with pytest.raises(ValueError, match="expected arguments of PointTransformer, got depth, wide"):
        build_network({"kind": "PointTransformer", "wide": 3, "depth": 2})


def test_pairs_are_told_apart_by_bond_and_by_graph_distance() -> None:
    """Kinds of pairs on a ring of 6 with one double bond, by hand: bonds 1, 2; then 3 for 2 and 4 for 3 bonds apart."""
    edges = torch.zeros(6, 6, dtype=torch.int64)
    for i in range(6):
        edges[i, (i + 1) % 6] = edges[(i + 1) % 6, i] = 2 if i == 0 else 1
    expected = torch.tensor([0, 2, 3, 4, 3, 1])
    assert torch.equal(_conditions._kinds(edges, 2, 3)[0], expected)
    assert torch.equal(_conditions._kinds(edges, 2, 2)[0], torch.tensor([0, 2, 3, 0, 3, 1]))
    assert torch.equal(_conditions._kinds(edges, 2, 0), edges) and _conditions.pair_kinds(2, 3) == 5
    cut = torch.where(torch.arange(6) < 2, edges, 0)
    assert int(_conditions._kinds(cut * cut.T.sign(), 2, 6)[0, 4]) == 0, "no path, no kind"
