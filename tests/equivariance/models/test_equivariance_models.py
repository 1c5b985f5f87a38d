"""The models are invariant under what they are built for."""

from __future__ import annotations

import torch

from pyro_symvi.equivariance import PointCloudTransformer, PointNet


def test_permutations_translations_and_padding_change_nothing() -> None:
    generator = torch.Generator().manual_seed(0)
    r = torch.randn(2, 5, 3, generator=generator, dtype=torch.float64)
    species = torch.tensor([[1, 6, 8, 1, 7], [6, 6, 1, 0, 0]])
    model = PointCloudTransformer({"energy": (), "dipole": (3,)}).double().eval()
    out = model(r, species)
    order = torch.tensor([3, 1, 4, 0, 2])
    for other in (
        model(r[:, order], species[:, order]),
        model(r + torch.tensor([1.0, -2.0, 0.5]), species),
        model(torch.nn.functional.pad(r, (0, 0, 0, 2), value=1.0), torch.nn.functional.pad(species, (0, 2))),
    ):
        for name, value in out.items():
            torch.testing.assert_close(other[name], value, rtol=1e-10, atol=1e-12)
    q = torch.randn(2, 5, generator=generator, dtype=torch.float64)
    net = PointNet((7,)).double().eval()
    torch.testing.assert_close(net(r[:, order], q[:, order]), net(r, q), rtol=1e-10, atol=1e-12)
