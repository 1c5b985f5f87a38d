"""Penalties against their definitions: values, gradients, bias."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import EquivariancePenalty, SectorPenalty, equivariance_error, spectrum
from pyro_symvi.groups import Cyclic, IrrepAction, NaturalAction, Orthogonal, SpecialOrthogonal
from tests.equivariance_samples import normal

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)


class Cubic(nn.Module):
    """Polynomials of degree 3 of a vector: band 3, both parities."""

    def __init__(self, outputs: int = 2) -> None:
        super().__init__()
        self.first = nn.Linear(3, 4, dtype=torch.float64)
        self.last = nn.Linear(4, outputs, dtype=torch.float64)
        for k, parameter in enumerate(self.parameters()):
            parameter.data = normal(*parameter.shape, seed=10 + k)

    def forward(self, x: Tensor) -> Tensor:
        h = self.first(x)
        return self.last(h**3)


def number(value: Tensor) -> float:
    return value.detach().item()


def gradient(value: Tensor, model: nn.Module) -> Tensor:
    return torch.cat([g.flatten() for g in torch.autograd.grad(value, list(model.parameters()))])


def outside_by_characters(model: nn.Module, x: Tensor, label: tuple[int, int]) -> Tensor:
    """E|u|^2 - d sum over pairs w w' chi(g g'^-1) <u(g), u(g')>, the definition, with no matrix of the irrep in it."""
    g, w, _ = O3.quadrature(6)
    u = model(torch.einsum("kij,bj->kbi", g, x))
    (irrep,) = (r for r in O3.irreps(label[0]) if r.label == label)
    chi = irrep.character(g[:, None] @ g.mT)
    energy = irrep.dimension * torch.einsum("k,l,kl,kbc,lbc->", w, w, chi, u, u)
    return (torch.einsum("k,kbc->", w, u.square()) - energy) / len(x)


def test_on_a_rule_it_is_the_double_sum_over_characters_with_its_gradient() -> None:
    model, x = Cubic(), normal(3, 3)
    for label in ((1, 1), (2, 1)):
        exact = outside_by_characters(model, x, label)
        found = SectorPenalty(O3, label, rule=O3.quadrature(6), fraction=False)(model, x)
        torch.testing.assert_close(found, exact, rtol=1e-11, atol=0)
        torch.testing.assert_close(gradient(found, model), gradient(exact, model), rtol=1e-10, atol=1e-10)
    sectors = spectrum(model.eval(), x, O3, 3).output
    fraction = SectorPenalty(O3, [(1, 1), (3, 1)], rule=O3.quadrature(6))(model, x)
    assert math.isclose(number(fraction), 1 - sectors.fraction((1, 1)) - sectors.fraction((3, 1)), rel_tol=1e-10)


def test_from_draws_values_and_gradients_have_no_bias() -> None:
    model, x = Cubic(), normal(2, 3)
    generator = torch.Generator().manual_seed(0)
    for make, exact in (
        (lambda rule: SectorPenalty(O3, (1, 1), elements=3, rule=rule, fraction=False), None),
        (lambda rule: EquivariancePenalty(O3, None, None, elements=2, rule=rule), None),
    ):
        exact = make(O3.quadrature(6))(model, x)
        slope = gradient(exact, model)
        draws, slopes = [], []
        for _ in range(80):
            value = make(None)(model, x, generator=generator)
            draws.append(value.detach())
            slopes.append(gradient(value, model) @ slope / slope.norm())
        for sample, truth in ((torch.stack(draws), exact.detach()), (torch.stack(slopes), slope.norm())):
            error = float(sample.std()) / len(sample) ** 0.5
            assert error < 0.3 * float(truth)  # it can tell
            assert abs(float(sample.mean() - truth)) < 3 * error


def test_the_right_sector_does_not_tell_the_wrong_copy() -> None:
    x, model = normal(4, 3), nn.Linear(3, 3, bias=False, dtype=torch.float64)
    m = model.weight.data = normal(3, 3, seed=1)
    rule = O3.quadrature(2)
    blind = SectorPenalty(O3, (1, 1), rule=rule)(model, x)
    assert abs(number(blind)) < 1e-12
    assert float(gradient(blind, model).abs().max()) < 1e-12
    seen = EquivariancePenalty(O3, None, NaturalAction(O3), rule=rule)(model, x)
    exact = x.square().sum(-1).mean() * (m.square().sum() / 3 - m.trace() ** 2 / 9)
    torch.testing.assert_close(seen, exact, rtol=1e-12, atol=0)
    slope = x.square().sum(-1).mean() * (2 * m / 3 - 2 * m.trace() * torch.eye(3, dtype=m.dtype) / 9)
    torch.testing.assert_close(gradient(seen, model), slope.flatten(), rtol=1e-12, atol=1e-12)
    # descending it leaves a multiple of the identity with the same trace
    for _ in range(60):
        step = gradient(EquivariancePenalty(O3, None, NaturalAction(O3), rule=rule)(model, x), model)
        model.weight.data -= 0.2 * step.reshape(3, 3)
    torch.testing.assert_close(model.weight.data, m.trace() / 3 * torch.eye(3, dtype=m.dtype), rtol=1e-6, atol=1e-6)


def test_two_draws_are_half_a_squared_difference_and_rules_agree_with_the_error() -> None:
    model, x = Cubic(3), normal(2, 3)
    found = EquivariancePenalty(SO3, None, NaturalAction(SO3))(model, x, generator=torch.Generator().manual_seed(5))
    g = SO3.sample(2, generator=torch.Generator().manual_seed(5))
    z = [(model(x @ h.mT) @ h) for h in g]
    torch.testing.assert_close(found, (z[0] - z[1]).square().sum(-1).mean() / 2, rtol=1e-12, atol=0)
    error = equivariance_error(model.eval(), x, SO3, None, NaturalAction(SO3), degree=8)
    rule = EquivariancePenalty(SO3, None, NaturalAction(SO3), rule=SO3.quadrature(8))(model, x)
    torch.testing.assert_close(rule, error.squared.mean(), rtol=1e-10, atol=0)


class Two(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.body = Cubic(4)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.body(x)
        return {"scalar": h[:, 0], "vector": h[:, 1:]}


def test_several_outputs_hidden_layers_and_finite_groups() -> None:
    model, x = Two(), normal(3, 3)
    rule = O3.quadrature(6)
    actions = {"vector": NaturalAction(O3)}
    both = EquivariancePenalty(O3, None, actions, rule=rule)(model, x)
    one = EquivariancePenalty(O3, None, None, rule=rule)(lambda r: model(r)["scalar"], x)
    other = EquivariancePenalty(O3, None, NaturalAction(O3), rule=rule)(lambda r: model(r)["vector"], x)
    torch.testing.assert_close(both, one + other, rtol=1e-12, atol=0)
    relative = EquivariancePenalty(O3, None, actions, rule=rule, relative=True)(model, x)
    assert 0 < number(relative) < 2
    hidden = SectorPenalty(O3, [(0, 1), (1, 1)], layer="body.first", rule=rule)(model, x)
    assert abs(number(hidden)) < 1e-12  # affine in x
    assert number(SectorPenalty(O3, (0, 1), layer="body.first", rule=rule)(model, x)) > 0.1
    turns = Cyclic(4)
    label = turns.irreps()[-1].label
    action = IrrepAction(turns, label)
    turning = SectorPenalty(turns, label, action, rule=turns.quadrature())
    assert abs(number(turning(lambda v: v @ v.new_ones(2, 2), x[:, :2]))) < 1e-12
    assert abs(number(turning(lambda v: v[:, :1] * v[:, 1:], x[:, :2])) - 1) < 1e-12
    for wrong in (lambda: SectorPenalty(O3, (1, 2)), lambda: SectorPenalty(O3, [])):
        with pytest.raises(ValueError, match="expected labels"):
            wrong()
    with pytest.raises(ValueError, match="expected a layer among"):
        SectorPenalty(O3, (0, 1), layer="output['none']")(model, x)
    with pytest.raises(ValueError, match="rho_out for outputs among"):
        EquivariancePenalty(O3, None, {"tensor": None})(model, x)
    with pytest.raises(ValueError, match="at least|>= 2"):
        EquivariancePenalty(O3, elements=1)
    assert not model.body.first._forward_hooks
