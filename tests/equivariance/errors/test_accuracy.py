"""The part of an error that broken symmetry makes, and translations."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import Accuracies, MonteCarlo, accuracy, translation_error
from pyro_symvi.groups import LinearAction, NaturalAction, Orthogonal, SpecialOrthogonal, TranslationAction
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)
VECTOR = NaturalAction(O3)


def network() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 3)).double().eval()
    for i, p in enumerate(net.parameters()):
        p.data = normal(*p.shape, seed=i)
    return net


def test_the_squared_error_splits_into_that_of_the_mean_and_broken_symmetry() -> None:
    x, c, factor = normal(6, 3), normal(3, seed=1), 1.25
    found = accuracy(lambda r: factor * r + 0.1 * c, x, x, O3, None, VECTOR, degree=2)
    averaged = 0.25 * math.sqrt(float(x.square().mean()))
    assert found.averaged == pytest.approx(averaged, rel=1e-12)
    assert found.equivariance == pytest.approx(0.1 * float(c.square().mean().sqrt()), rel=1e-12)
    assert found.oriented == pytest.approx(math.hypot(found.averaged, found.equivariance), rel=1e-12)
    assert found.as_given == pytest.approx(float((0.25 * x + 0.1 * c).square().mean().sqrt()), rel=1e-12)
    assert found.discrepancy < 1e-12
    assert found.share == pytest.approx(found.equivariance**2 / found.oriented**2)


def test_a_network_on_a_plain_sum_over_orientations() -> None:
    net, x, y = network(), normal(5, 3), normal(5, 3, seed=7)
    found = accuracy(net, x, y, SO3, None, NaturalAction(SO3), degree=10)
    rule = SO3.quadrature(10)
    with torch.no_grad():
        errors = torch.stack([(net(x @ g.T) - y @ g.T).square().mean() for g in rule.elements])
    assert found.oriented**2 == pytest.approx(float(rule.weights @ errors), rel=1e-12)
    assert found.discrepancy < 1e-12
    drawn = accuracy(net, x, y, SO3, None, NaturalAction(SO3), rule=MonteCarlo(512))
    assert drawn.discrepancy < 1e-12
    assert drawn.equivariance == pytest.approx(found.equivariance, rel=0.1)


def test_a_large_offset_of_energies_costs_nothing() -> None:
    x, slope = normal(4, 3), normal(3, seed=2)
    found = accuracy(lambda r: r @ slope + 1e5, x, torch.full((4,), 1e5, dtype=torch.float64), O3, None, None, degree=2)
    exact = float((slope.square().sum() * x.square().sum(-1).mean() / 3).sqrt())
    assert found.equivariance == pytest.approx(exact, rel=1e-9)
    assert found.averaged < 1e-9


def test_several_targets_and_a_mask() -> None:
    def model(r: Tensor) -> dict[str, Tensor]:
        return {"energy": r.square().sum((1, 2)), "forces": r + 0.5}

    r = normal(3, 4, 3)
    mask = torch.tensor([[True, True, False, False]]).expand(3, 4)
    targets = {"energy": r.square().sum((1, 2)), "forces": r, "unused": r}
    found = accuracy(model, r, targets, O3, VECTOR, {"energy": None, "forces": VECTOR}, degree=4, mask=mask)
    assert isinstance(found, Accuracies)
    assert found["energy"].oriented < 1e-12
    assert found["forces"].equivariance == pytest.approx(0.5, rel=1e-12) and found["forces"].averaged < 1e-12
    assert "of broken symmetry" in str(found)


def test_wrong_targets_are_refused() -> None:
    x = normal(3, 3)
    with pytest.raises(ValueError, match="expected targets of shape"):
        accuracy(lambda r: r, x, x[:, :1], O3, None, VECTOR)
    with pytest.raises(ValueError, match="expected targets in the structure of rho_out"):
        accuracy(lambda r: r, x, {"forces": x}, O3, None, VECTOR)
    with pytest.raises(ValueError, match="expected finite targets"):
        accuracy(lambda r: r, x, x / 0.0, O3, None, VECTOR)


@dataclass(frozen=True, eq=False, repr=False)
class Flawed(LinearAction):
    """The natural action, but for one element, which doubles lengths: no few draws find it."""

    flaw: Tensor

    @property
    def group(self) -> SpecialOrthogonal:
        return SO3

    @property
    def dim(self) -> int:
        return 3

    def _matrix(self, g: Tensor) -> Tensor:
        wrong = ((g - self.flaw).abs().amax((-2, -1)) < 1e-9) | ((g.mT - self.flaw).abs().amax((-2, -1)) < 1e-9)
        return torch.where(wrong[..., None, None], 2 * g, g)


def test_an_identity_that_fails_is_told() -> None:
    x, rule = normal(3, 3), SO3.quadrature(4)
    with pytest.raises(ArithmeticError, match="rho_out does not keep lengths"):
        accuracy(lambda r: r, x, 3 * x.flip(1), SO3, None, Flawed(rule.elements[7]), rule=rule)


def test_translations_move_what_depends_on_the_origin() -> None:
    slope, r = normal(3), normal(4, 5, 3)
    shifts = torch.tensor([[1.0, 0.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, -1.0]], dtype=torch.float64)
    found = translation_error(lambda r: r.sum(1) @ slope, r, shifts=shifts)
    window = 5 * torch.cat([torch.zeros(1), shifts @ slope]).double()
    torch.testing.assert_close(found.squared, window.var(correction=0).expand(4), rtol=1e-11, atol=0)
    assert found.significant
    centred = translation_error(lambda r: (r - r.mean(1, keepdim=True)).square().sum((1, 2)), r)
    assert not centred.significant and centred.relative < 1e-14
    single = translation_error(lambda r: (r - r.mean(1, keepdim=True)).square().sum((1, 2)), r.float(), scale=1e3)
    assert not single.significant and single.relative > 1e-6  # rounding grows with the shift, and so does the floor


def test_shifts_that_are_none_are_refused() -> None:
    for shifts in (torch.zeros(3), torch.zeros(2, 2), torch.full((1, 3), math.inf)):
        with pytest.raises(ValueError, match="expected finite shifts"):
            translation_error(lambda r: r.sum(1), normal(2, 4, 3), shifts=shifts)


def test_translations_of_some_inputs_and_outputs() -> None:
    moves = TranslationAction(3)

    def model(positions: Tensor, velocities: Tensor) -> dict[str, Tensor]:
        return {"next": positions + velocities, "energy": velocities.square().sum((1, 2)) + positions[:, 0, 0]}

    x = {"positions": normal(2, 4, 3), "velocities": normal(2, 4, 3, seed=1)}
    found = translation_error(model, x, {"positions": moves, "velocities": None}, {"next": moves, "energy": None})
    assert not found["next"].significant and found["energy"].significant
    still = translation_error(model, x, {"positions": moves, "velocities": None}, {"next": None, "energy": None})
    assert still["next"].significant
    with pytest.raises(ValueError, match="TranslationAction for the points that move"):
        translation_error(model, x, {"positions": None, "velocities": None}, {"next": moves, "energy": None})
