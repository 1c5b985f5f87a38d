"""Several outputs, and declarations that cannot be true."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import EquivarianceErrors, MonteCarlo, equivariance_error
from pyro_symvi.groups import (
    CoordinatePermutation,
    IrrepAction,
    LinearAction,
    NaturalAction,
    Orthogonal,
    Quadrature,
    SpecialOrthogonal,
    Symmetric,
)
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)
VECTOR = NaturalAction(O3)
IN = {"positions": VECTOR, "charges": None}


class Molecule(nn.Module):
    """Forces off by a constant, an exact energy, positions in a tuple."""

    def forward(self, positions: Tensor, charges: Tensor) -> dict[str, object]:
        forces = charges[..., None] * positions
        planted = torch.tensor([0.0, 0.0, 0.3], dtype=positions.dtype)
        return {"energy": forces.square().sum((1, 2)), "forces": forces + planted, "more": (forces.sum(1), charges)}


def cloud() -> dict[str, Tensor]:
    return {"positions": normal(5, 4, 3), "charges": normal(5, 4, seed=1)}


def test_outputs_by_name_each_with_its_action() -> None:
    found = equivariance_error(
        Molecule().eval(), cloud(), O3, IN, {"energy": None, "forces": VECTOR, "more": (VECTOR, None)}, degree=4
    )
    assert isinstance(found, EquivarianceErrors)
    assert list(found) == ["output['energy']", "output['forces']", "output['more'][0]", "output['more'][1]"]
    assert found["forces"] is found["output['forces']"] and "forces" in found and len(found) == 4
    assert found["forces"].A == pytest.approx(0.3, rel=1e-12)
    assert found["forces"].squared.shape == (5, 4)
    assert not found["energy"].significant and found.significant
    with pytest.raises(KeyError, match="expected an output among"):
        found["stress"]
    # 20 atoms of 3 components, 5 energies, 5 vectors, 20 charges
    whole = 20 * 0.09 / (20 * 3 + 5 + 5 * 3 + 20)
    assert found.rmse == pytest.approx(math.sqrt(whole), rel=1e-10)
    assert "output['forces']: A = 0.3 " in str(found) and str(found).count("\n") == 3


def test_a_mask_leaves_objects_and_samples_out() -> None:
    x = cloud()
    mask = torch.ones(5, 4, dtype=torch.bool)
    mask[:, 3] = False
    mask[2] = False

    def model(positions: Tensor, charges: Tensor) -> Tensor:
        planted = torch.arange(4, dtype=positions.dtype)[:, None] * torch.tensor([0.0, 1.0, 0.0]).double()
        return positions + planted

    error = equivariance_error(model, x, O3, IN, VECTOR, degree=4, mask=mask)
    assert error.A == pytest.approx(math.sqrt((0 + 1 + 4) / 3), rel=1e-12)
    per_sample = error.per_sample
    assert bool(torch.isnan(per_sample[2])) and per_sample[0] == pytest.approx(math.sqrt(5 / 3))
    torch.testing.assert_close(error.quantiles((0.0, 1.0)), torch.full((2,), math.sqrt(5 / 3)).double())
    one = equivariance_error(model, x, O3, IN, VECTOR, degree=4, mask=torch.tensor([True, False, False, False, False]))
    assert one.A == pytest.approx(math.sqrt((0 + 1 + 4 + 9) / 4), rel=1e-12)
    with pytest.raises(ValueError, match="expected a mask on the first axes"):
        equivariance_error(model, x, O3, IN, VECTOR, mask=torch.ones(5, 3, dtype=torch.bool))
    with pytest.raises(ValueError, match="at least one entry that counts"):
        equivariance_error(model, x, O3, IN, VECTOR, mask=torch.zeros(5, 4, dtype=torch.bool))


@dataclass(frozen=True, eq=False, repr=False)
class Planted(LinearAction):
    """Matrices that are no representation, or none by isometries."""

    kind: str = "transposed"

    @property
    def group(self) -> SpecialOrthogonal:
        return SO3

    @property
    def dim(self) -> int:
        return 3

    def _matrix(self, g: Tensor) -> Tensor:
        if self.kind == "transposed":
            return g.mT
        if self.kind == "stretched":
            stretch = torch.diag(torch.tensor([1.0, 2.0, 1.0], dtype=g.dtype))
            return stretch @ g @ torch.linalg.inv(stretch)
        return g.square()


@pytest.mark.parametrize(
    ("rho", "words"),
    [
        (NaturalAction(O3), "expected an action of SpecialOrthogonal"),
        (Planted("transposed"), "rho.ab..*try its inverse matrices"),
        (Planted("stretched"), "by isometries"),
        (Planted("squared"), "rho.ab..*try IrrepAction"),
        (IrrepAction(SO3, 2), r"expected output of shape \[samples, ..., 5\].*moves the last axis"),
        ({"energy": None}, "rho_out in the structure of what the model returns"),
        ((None, None), "rho_out in the structure of what the model returns"),
        ("1o", "expected rho_out as an action"),
        ({}, "at least one output"),
    ],
    ids=["group", "transposed", "stretched", "squared", "dimension", "dict", "tuple", "word", "empty"],
)
def test_declarations_that_cannot_be_true_are_refused(rho: object, words: str) -> None:
    with pytest.raises((ValueError, TypeError), match=words):
        equivariance_error(lambda x: 2 * x, normal(2, 3), SO3, None, rho)


def test_a_single_action_for_a_structure_is_refused() -> None:
    with pytest.raises(ValueError, match="rho_out in the structure"):
        equivariance_error(Molecule().eval(), cloud(), O3, IN, None)


def test_rules_over_which_nothing_can_be_learnt_are_refused() -> None:
    x, action = normal(2, 3), NaturalAction(SO3)
    single = Quadrature(torch.eye(3, dtype=torch.float64)[None], torch.ones(1, dtype=torch.float64), 0)
    with pytest.raises(ValueError, match="at least two elements"):
        equivariance_error(lambda x: x, x, SO3, None, action, rule=single)
    rule = SO3.quadrature(2)
    with pytest.raises(ValueError, match="sum to 1"):
        equivariance_error(lambda x: x, x, SO3, None, action, rule=rule._replace(weights=2 * rule.weights))
    with pytest.raises(ValueError, match="error of .* in its Gram matrix"):  # one degree short of what it claims
        equivariance_error(lambda x: x, x, SO3, None, action, rule=SO3.quadrature(3)._replace(degree=4))
    with pytest.raises(ValueError, match="expected elements of"):
        equivariance_error(lambda x: x, x, SO3, None, action, rule=rule._replace(elements=-rule.elements))
    with pytest.raises(ValueError, match="expected degree >= 10"):
        equivariance_error(lambda x: x[..., :1].expand(-1, 11), x, SO3, None, IrrepAction(SO3, 5), degree=8)
    with pytest.raises(TypeError, match="rule=MonteCarlo"):
        equivariance_error(lambda x: x, normal(2, 4), SpecialOrthogonal(4), None, NaturalAction(SpecialOrthogonal(4)))


def test_outputs_of_a_large_degree_get_a_rule_that_covers_them() -> None:
    error = equivariance_error(lambda x: x[..., :1].expand(-1, 13), normal(2, 3), SO3, None, IrrepAction(SO3, 6))
    assert error.evaluations == len(SO3.quadrature(16).weights)
    exact = 13 * normal(2, 3).square().sum(-1) / 3  # E x_1^2 in each of 13 components; none is equivariant
    torch.testing.assert_close(error.squared, exact, rtol=1e-11, atol=0)


def test_a_permuted_output_may_have_any_length() -> None:
    action, group = CoordinatePermutation(4), Symmetric(4)
    x, shift = normal(3, 4), torch.arange(4.0).double()
    error = equivariance_error(lambda x: x + shift, x, group, action, action)
    torch.testing.assert_close(error.squared, (shift - 1.5).square().sum().expand(3), rtol=1e-12, atol=0)
    assert error.spread > 0
    drawn = equivariance_error(lambda x: x + shift, x, group, action, action, rule=MonteCarlo(512))
    assert drawn.A == pytest.approx(error.A, rel=0.1)
