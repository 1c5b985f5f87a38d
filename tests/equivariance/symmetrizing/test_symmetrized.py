"""Averaged models: equivariant where the grid covers them, and not where it does not."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import MonteCarlo, Symmetrized, equivariance_error, lebedev_rule, symmetrize
from pyro_symvi.groups import CoordinatePermutation, NaturalAction, Orthogonal, SpecialOrthogonal, Symmetric
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)
VECTOR = NaturalAction(O3)


class Cubic(nn.Module):
    """A polynomial of degree three in the coordinates, without any symmetry."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 6).double(), nn.Linear(6, 3).double()
        for i, p in enumerate(self.parameters()):
            p.data = normal(*p.shape, seed=i)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x) ** 3)


def test_the_average_is_equivariant_and_its_variance_is_the_error_of_the_model() -> None:
    x, model = normal(4, 3), Cubic().eval()
    average = symmetrize(model, O3, None, VECTOR, degree=8, variance=True)
    mean, variance = average(x)
    error = equivariance_error(model, x, O3, None, VECTOR, degree=8)
    torch.testing.assert_close(mean, error.mean, rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(variance, error.v, rtol=1e-11, atol=0)
    assert error.relative > 0.5
    whole = symmetrize(model, O3, None, VECTOR, degree=4).eval()
    after = equivariance_error(whole, x, O3, None, VECTOR, degree=6)
    assert after.relative < 1e-14 and not after.significant


def test_a_grid_too_short_leaves_an_error() -> None:
    short = symmetrize(Cubic(), O3, None, VECTOR, degree=2, rule=O3.quadrature(2)).eval()
    error = equivariance_error(short, normal(4, 3), O3, None, VECTOR, degree=6)
    assert error.significant and error.relative > 0.01


def test_a_finite_group_is_exact_for_any_model() -> None:
    action = CoordinatePermutation(3)
    model = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 3)).eval()
    with torch.no_grad():
        for i, p in enumerate(model.parameters()):
            p.copy_(normal(*p.shape, seed=i))
    average = symmetrize(model, Symmetric(3), action, action).eval()
    x = normal(5, 3).float()
    assert average(x).dtype == torch.float32
    for permutation in ([2, 0, 1], [1, 0, 2]):
        torch.testing.assert_close(average(x[:, permutation]), average(x)[:, permutation], rtol=1e-5, atol=1e-5)
    error = equivariance_error(average, x, Symmetric(3), action, action)
    assert not error.significant
    assert equivariance_error(model, x, Symmetric(3), action, action).significant


@pytest.mark.parametrize("recompute", [True, False])
def test_gradients_are_those_of_the_plain_average(recompute: bool) -> None:
    model, x = Cubic(), normal(2, 3)
    x.requires_grad_()
    average = symmetrize(model, SO3, None, NaturalAction(SO3), degree=4, variance=True, batch=10, recompute=recompute)
    probe = normal(2, 3, seed=9)
    mean, variance = average(x)
    found = torch.autograd.grad((probe * mean).sum() + variance.sum(), [*model.parameters(), x])
    rule = SO3.quadrature(4)
    z = torch.stack([model(x @ g.T) @ g for g in rule.elements])
    plain = torch.tensordot(rule.weights, z, dims=1)
    spread = torch.tensordot(rule.weights, z.square(), dims=1) - plain.square()
    exact = torch.autograd.grad((probe * plain).sum() + spread.mean(-1).sum(), [*model.parameters(), x])
    for a, b in zip(found, exact, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_what_is_kept_for_the_backward_pass_does_not_grow_with_the_grid() -> None:
    model, x = Cubic(), normal(2, 3)

    def kept(degree: int, recompute: bool) -> int:
        total = 0

        def pack(t: Tensor) -> Tensor:
            nonlocal total
            total += t.numel()
            return t

        module = symmetrize(model, SO3, None, NaturalAction(SO3), degree=degree, batch=20, recompute=recompute)
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            module(x)
        return total

    assert kept(12, False) > 5 * kept(4, False)
    assert kept(12, True) == 10 * len(SO3.quadrature(12).weights)  # views of the elements and weights, nothing else


def test_draws_once_and_anew() -> None:
    four = SpecialOrthogonal(4)
    c, x = normal(4), normal(3, 4, seed=1)

    def model(x: Tensor) -> Tensor:
        return x @ c + x.square().sum(-1)

    fixed = symmetrize(model, four, None, None, rule=MonteCarlo(64, 3), variance=True)
    torch.testing.assert_close(fixed(x)[0], fixed(x)[0], rtol=0, atol=0)
    fresh = symmetrize(
        model, four, None, None, rule=MonteCarlo(64), generator=torch.Generator().manual_seed(0), variance=True
    )
    means, variances = (torch.stack(v) for v in zip(*[fresh(x) for _ in range(100)], strict=True))
    assert not torch.equal(means[0], means[1])
    exact = c.square().sum() * x.square().sum(-1) / 4
    error = (exact / 6400).sqrt()
    assert float(((means.mean(0) - x.square().sum(-1)) / error).abs().max()) < 3.5  # standard errors, seed fixed
    assert float(((variances.mean(0) - exact) / (variances.std(0) / 10)).abs().max()) < 3.5


def test_structures_come_back_as_declared() -> None:
    class Molecule(nn.Module):
        def forward(self, positions: Tensor, charges: Tensor) -> dict[str, Tensor]:
            dipole = (charges[..., None] * positions).sum(1)
            return {"energy": dipole[:, 0] + charges.sum(1), "dipole": dipole, "unused": dipole}

    average = symmetrize(
        Molecule(), O3, {"positions": VECTOR, "charges": None}, {"energy": None, "dipole": VECTOR}, degree=2
    )
    r, q = normal(3, 4, 3), normal(3, 4, seed=1)
    found = average(positions=r, charges=q)
    assert set(found) == {"energy", "dipole"}
    torch.testing.assert_close(found["energy"], q.sum(1), rtol=0, atol=1e-13)
    torch.testing.assert_close(found["dipole"], (q[..., None] * r).sum(1), rtol=0, atol=1e-13)
    with pytest.raises(TypeError, match="expected positions=, charges="):
        average(r, q)
    pair = symmetrize(lambda r, q: ((q[..., None] * r).sum(1), q), O3, (VECTOR, None), (VECTOR, None), degree=2)
    dipole, kept = pair(r, q)
    torch.testing.assert_close(kept, q)
    torch.testing.assert_close(dipole, (q[..., None] * r).sum(1))


def test_half_precision_of_the_module_does_not_touch_the_elements() -> None:
    average = symmetrize(Cubic(), O3, None, VECTOR).float()
    assert isinstance(average, Symmetrized) and average.rule is not None
    assert average.rule.elements.dtype == torch.float64
    assert {p.dtype for p in average.parameters()} == {torch.float32}
    assert average(normal(2, 3).float()).dtype == torch.float32


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected rule=MonteCarlo\(n\) with a generator"):
        symmetrize(Cubic(), O3, None, VECTOR, generator=torch.Generator())
    with pytest.raises(ValueError, match="expected an action of"):
        symmetrize(Cubic(), O3, None, NaturalAction(SO3))
    with pytest.raises(ValueError, match="moves the last axis"):
        symmetrize(lambda x: x[:, :2], O3, None, VECTOR)(normal(2, 3))


def test_an_average_over_rotations_is_not_one_over_reflections() -> None:
    def model(r: Tensor) -> Tensor:
        return r.sum(1) + torch.linalg.cross(r[:, 0], r[:, 1]) + r[:, 0].square()

    r = normal(3, 2, 3)
    average = symmetrize(model, SO3, None, NaturalAction(SO3), degree=4)
    error = equivariance_error(average, r, O3, None, VECTOR, degree=4)
    assert error.by_parity is not None
    torch.testing.assert_close(
        error.by_parity.parity_squared, torch.linalg.cross(r[:, 0], r[:, 1]).square().sum(-1), rtol=1e-11, atol=0
    )
    assert error.by_parity.rotation < 1e-13


def test_a_variance_that_negative_weights_make_negative_is_refused() -> None:
    """Lebedev's rule of degree 13 on a peak at a node of negative weight: 0 would read as a symmetry that is known."""
    rule = lebedev_rule(SO3, 12)
    x = torch.tensor([[0.0, 0.0, 1.0]], dtype=torch.float64)
    peak = rule.elements[rule.weights.argmin()] @ x[0]
    average = symmetrize(lambda r: (-200 * (r - peak).square().sum(-1)).exp(), SO3, rule=rule, variance=True)
    with pytest.raises(ValueError, match="not negative"):
        average(x)
    assert float(symmetrize(lambda r: r[:, 2], SO3, rule=rule, variance=True)(x)[1]) == pytest.approx(1 / 3)
