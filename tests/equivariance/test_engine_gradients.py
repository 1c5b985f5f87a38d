"""Responses with gradients: energies and variances differentiated against autograd of their closed forms."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from pyro_symvi.equivariance._inputs import Inputs
from pyro_symvi.equivariance._moments import FourierSums
from pyro_symvi.equivariance._sweep import Sweep
from pyro_symvi.groups import NaturalAction, SpecialOrthogonal

SO3 = SpecialOrthogonal(3)


def draws(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_energies_of_an_affine_map_are_differentiable_in_weights_and_inputs() -> None:
    """B_0 = |b|^2 and B_1 = |W|^2 |x|^2 / 3 for u(g) = W g x + b."""
    net = nn.Linear(3, 5).double().train()
    x = draws(4, 3).requires_grad_()
    sweep = Sweep(net, Inputs.of(x, SO3), SO3.quadrature(4), (), 64, True, gradients=True, checks=False)
    irreps = SO3.irreps(2)
    sums = FourierSums(irreps)
    for elements, weights, found in sweep.blocks():
        sums.add_block(sums.matrices(elements), weights, found["output"])
    energies = sums.energies().sum((1, 2))
    loss = energies[0] + 2 * energies[1] + 3 * energies[2]
    got = torch.autograd.grad(loss, [net.weight, net.bias, x])
    closed = 4 * net.bias.square().sum() + 2 * (net.weight.square().sum() * x.square().sum()) / 3
    wanted = torch.autograd.grad(closed, [net.weight, net.bias, x])
    torch.testing.assert_close(loss, closed, rtol=1e-12, atol=0)
    for a, b in zip(got, wanted, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-12)


def test_no_graph_is_kept_unless_asked() -> None:
    net = nn.Linear(3, 5).double().eval()
    x = draws(4, 3).requires_grad_()
    for _, _, found in Sweep(net, Inputs.of(x, SO3, NaturalAction(SO3)), SO3.quadrature(2)).blocks():
        assert not found["output"].requires_grad
    assert net.weight.grad is None and x.grad is None
