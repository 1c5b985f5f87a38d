"""Harmonic inputs and tensor-basis heads transform as they claim; the coefficients alone break symmetry."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import HarmonicFeatures, PointNet, TensorBasis, TensorBasisHead, equivariance_error
from pyro_symvi.equivariance._labels import spherical_action
from pyro_symvi.equivariance.biases._tensor_basis import stretched
from pyro_symvi.groups import NaturalAction, Orthogonal, SpecialOrthogonal, solid_harmonics, wigner_d
from tests.equivariance_samples import normal

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)
LABELS = [(1, 1), (2, 1), (3, 1), (0, -1), (1, -1), (2, -1), (3, -1)]


def test_harmonic_inputs_against_closed_forms() -> None:
    x = normal(50, 3)
    found = HarmonicFeatures(3, softening=0.0)(x)
    assert found.shape[-1] == HarmonicFeatures(3).size == 19
    r = x.norm(dim=-1, keepdim=True)
    a, b, c = (x / r).unbind(-1)
    torch.testing.assert_close(found[:, :4], torch.cat([x, r], -1))
    torch.testing.assert_close(found[:, 4:7], math.sqrt(3) * torch.stack([b, c, a], -1))
    torch.testing.assert_close(found[:, 9], math.sqrt(5) / 2 * (3 * c**2 - 1))  # Y_20
    torch.testing.assert_close(found[:, 13], math.sqrt(105) * a * b * c)  # Y_3,-2
    # components of mean square one: (2l + 1) in sum over m at every direction
    for degree, part in enumerate(found[:, 4:].split([3, 5, 7], -1), 1):
        torch.testing.assert_close(part.square().sum(-1), torch.full((50,), 2.0 * degree + 1, dtype=torch.float64))


def test_softened_harmonic_inputs_transform_exactly_and_are_smooth_at_zero() -> None:
    x, features = normal(4, 3), HarmonicFeatures(4)
    g = SO3.sample(1, generator=torch.Generator().manual_seed(1))[0]
    before, after = features(x), features(x @ g.mT)
    for degree, part in enumerate(before[:, 4:].split([3, 5, 7, 9], -1), 1):
        start = 4 + degree**2 - 1
        moved = after[:, start : start + 2 * degree + 1]
        torch.testing.assert_close(moved, part @ wigner_d(degree, g).mT, rtol=1e-12, atol=1e-13)
    zero = torch.zeros(1, 3, dtype=torch.float64)
    jacobian = torch.autograd.functional.jacobian(lambda v: features(v)[0], zero)[:, 0]
    exact = torch.zeros(features.size, 3, dtype=torch.float64)
    exact[:3] = torch.eye(3)
    exact[4:7] = math.sqrt(3) / 0.1 * torch.eye(3, dtype=torch.float64).roll(-1, 0)  # Y_1 ~ (y, z, x) / rho
    torch.testing.assert_close(jacobian, exact, rtol=1e-12, atol=1e-12)


class Model(nn.Module):
    """A head on features that are invariant, or not."""

    def __init__(self, basis: TensorBasis, invariant: bool = True) -> None:
        super().__init__()
        self.invariant = invariant
        self.head = TensorBasisHead(2, basis, hidden=8).double()
        for k, parameter in enumerate(self.parameters()):
            parameter.data = normal(*parameter.shape, seed=20 + k)

    def features(self, r: Tensor) -> Tensor:
        norms = r.norm(dim=-1)
        return torch.stack([norms, norms.sum(-1, keepdim=True).expand_as(norms) if self.invariant else r[..., 0]], -1)

    def forward(self, r: Tensor) -> Tensor:
        return self.head(self.features(r), r)


@pytest.mark.parametrize("label", LABELS, ids=str)
def test_with_invariant_coefficients_the_head_is_equivariant_and_not_zero(label: tuple[int, int]) -> None:
    r = normal(3, 5, 3)
    g = O3.sample(6, generator=torch.Generator().manual_seed(2))
    assert {round(float(d)) for d in torch.linalg.det(g)} == {1, -1}
    model = Model(TensorBasis(label)).eval()
    turned = spherical_action(O3, label).act(g[:, None], model(r))
    moved = torch.stack([model(r @ h.mT) for h in g])
    size = float(turned.detach().abs().max())
    assert size > 1e-2
    torch.testing.assert_close(moved, turned, rtol=0, atol=1e-11 * size)
    # negative: the other parity is refuted, and so is an unconstrained trunk
    wrong = spherical_action(O3, (label[0], -label[1])).act(g[:, None], model(r))
    assert float((moved - wrong).detach().abs().max()) > 0.1 * size
    other = Model(TensorBasis(label), invariant=False).eval()
    assert equivariance_error(other, r, O3, None, spherical_action(O3, label), degree=6).relative > 1e-3


def test_the_stretched_product_is_a_directional_derivative() -> None:
    a, c = normal(4, 3), normal(4, 3, seed=1)
    for degree in (2, 3, 4, 5):
        steps = [solid_harmonics(degree, a + t * c, squared_norm=1) for t in (-2e-4, -1e-4, 1e-4, 2e-4)]
        slope = (steps[0] - 8 * steps[1] + 8 * steps[2] - steps[3]) / 12e-4
        torch.testing.assert_close(stretched(degree, a, c), slope, rtol=1e-9, atol=1e-9)


def test_a_linear_head_inherits_the_error_of_its_coefficients() -> None:
    """With sum_m c_m(g x) T_m(x) turned back, A^2 = sum over m, n of Cov(c_m, c_n) <T_m, T_n>."""
    r = normal(1, 4, 3)
    model = Model(TensorBasis((2, 1), copies=1), invariant=False).eval()
    model.head.weights.data.zero_()  # leaves sum_m c_m S_2(u_m)
    g, w, _ = O3.quadrature(12)
    c = model.head.coefficients(model.features(torch.einsum("kij,bmj->kbmi", g, r)))[:, 0, :, 0].detach()
    c = c - w @ c
    basis = HarmonicFeatures(2, softening=1.0)(r)[0, :, 7:] / math.sqrt(5)
    exact = torch.einsum("k,km,kn,mi,ni->", w, c, c, basis, basis)
    found = equivariance_error(model, r, O3, None, spherical_action(O3, (2, 1)), degree=12)
    torch.testing.assert_close(found.squared[0], exact, rtol=1e-9, atol=0)


def test_cartesian_vectors_masks_and_refusals() -> None:
    r = normal(2, 5, 3)
    model = Model(TensorBasis((1, 1), cartesian=True)).eval()
    assert equivariance_error(model, r, O3, None, NaturalAction(O3), degree=4).relative < 1e-13
    model.head.weights.data.zero_()
    c = model.head.coefficients(model.features(r))[..., :1]
    by_hand = (c * r / (1 + r.square().sum(-1, keepdim=True)).sqrt()).sum(1)
    torch.testing.assert_close(model(r), by_hand, rtol=1e-12, atol=1e-14)
    mask = torch.tensor([True, True, True, False, False]).expand(2, 5)
    features = model.features(r)
    some = model.head(features, r, mask)
    torch.testing.assert_close(some, model.head(features[:, :3], r[:, :3]), rtol=1e-12, atol=1e-14)
    for wrong, error in (
        (lambda: TensorBasis((2, 1), cartesian=True), "expected l = 1"),
        (lambda: TensorBasis((1, 0)), "sigma"),
        (lambda: PointNet((5,), tensor_basis=TensorBasis((1, 1))), "because of its basis"),
    ):
        with pytest.raises(ValueError, match=error):
            wrong()
