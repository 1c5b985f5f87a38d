"""Each failure mode is planted in a model that shows it alone, and is not given to its neighbours."""

from __future__ import annotations

import copy
import json
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import equivariance_error, spectrum
from pyro_symvi.equivariance.diagnosis import (
    MODES,
    Diagnosis,
    MissingDegree,
    diagnose,
    target_labels,
)
from pyro_symvi.equivariance.diagnosis._evidence import feeding_layer
from pyro_symvi.groups import (
    Action,
    CoordinatePermutation,
    FiniteMatrixGroup,
    InvariantAction,
    IrrepAction,
    NaturalAction,
    Orthogonal,
    PointCloudAction,
    SpecialOrthogonal,
    spherical_harmonics,
)
from tests.equivariance_samples import normal

SO3, O3 = SpecialOrthogonal(3), Orthogonal(3)


class Polynomial(nn.Module):
    """u + u^2: degrees 0, 1, 2 of a linear function, nothing else."""

    def forward(self, x: Tensor) -> Tensor:
        return x + x.square()


class Sine(nn.Module):
    """Every odd degree, on a constant."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 + torch.sin(2 * x)


class Sum(nn.Module):
    """Over the points of a cloud."""

    def forward(self, x: Tensor) -> Tensor:
        return x.sum(1)


class Norms(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.square().sum(-1, keepdim=True)


class Scaled(nn.Module):
    """c x: a layer of components of one irrep."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.5 * x


class Triple(nn.Module):
    """The triple product of the first three points beside their sum of squares."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([torch.linalg.det(x[:, :3]), x.square().sum((1, 2)), x.sum((1, 2))], -1)


def linear(weight: Any, bias: bool = False) -> nn.Linear:
    weight = torch.as_tensor(weight, dtype=torch.float64)
    made = nn.Linear(weight.shape[1], weight.shape[0], bias=bias).double()
    with torch.no_grad():
        made.weight.copy_(weight)
        if bias:
            made.bias.fill_(50.0)
    return made


class Shifted(nn.Module):
    """x + c."""

    def __init__(self, constant: float) -> None:
        super().__init__()
        self.constant = constant

    def forward(self, x: Tensor) -> Tensor:
        return x + self.constant


EYE = torch.eye(3, dtype=torch.float64)
VECTORS, CLOUDS = normal(3, 3, seed=1), normal(2, 4, 3, seed=2)
CLEAN = nn.Sequential(linear(torch.cat([EYE, -EYE])), Polynomial(), linear([[0.502, 0.5, 0.5, 0.5, 0.5, 0.5]]))
DEGREE = nn.Sequential(linear(normal(12, 3)), Polynomial(), linear(normal(7, 12, seed=3)))
PARITY = nn.Sequential(linear(normal(8, 3)), Polynomial(), Sum(), linear(normal(1, 8, seed=4)))
COPY = nn.Sequential(linear(normal(3, 3, seed=5)))
LEAK = nn.Sequential(
    linear(normal(6, 3)), Sine(), linear(normal(6, 6, seed=6)), Sine(), linear(normal(1, 6, seed=7), bias=True)
)
Planted = tuple[nn.Module, Tensor, Any, int, Action]
PLANTED: dict[str, Planted] = {
    "missing degree at input": (DEGREE, VECTORS, SO3, 3, IrrepAction(SO3, 3)),
    "missing parity": (PARITY, CLOUDS, O3, 2, IrrepAction(O3, (0, -1))),
    "late clean-up": (CLEAN, VECTORS, SO3, 2, InvariantAction(SO3)),
    "right sector, wrong copy": (COPY, VECTORS, O3, 2, NaturalAction(O3)),
    "leakage": (LEAK, VECTORS, SO3, 2, InvariantAction(SO3)),
}


def examined(planted: Planted, **given: Any) -> Diagnosis:
    model, x, group, cutoff, rho_out = planted
    found = spectrum(model.eval(), x, group, cutoff)
    error = equivariance_error(model, x, group, None, rho_out, degree=2 * cutoff)
    return diagnose(found, error, target=target_labels(rho_out, group, cutoff), **given)


@pytest.mark.parametrize("mode", PLANTED)
def test_a_planted_mode_is_found_alone(mode: str) -> None:
    found = examined(PLANTED[mode], converged=True)
    assert found.modes == (mode,)
    assert not found.sound and found[mode].repairs and mode in str(found)


def test_a_model_equivariant_by_construction_gets_nothing_to_mend() -> None:
    for model, rho in (
        (nn.Sequential(Scaled(), Norms(), Scaled()), InvariantAction(SO3)),
        (Scaled(), NaturalAction(SO3)),
    ):
        found = examined((model, VECTORS, SO3, 2, rho))
        assert found.modes == ("nothing to mend",) and found.sound
    head = nn.Sequential(Scaled(), Harmonics(3))
    assert examined((head, VECTORS, SO3, 3, IrrepAction(SO3, 3))).modes == ("nothing to mend",)


class Harmonics(nn.Module):
    def __init__(self, degree: int, beside: bool = False) -> None:
        super().__init__()
        self.degree, self.beside = degree, beside

    def forward(self, x: Tensor) -> Tensor:
        found = spherical_harmonics(self.degree, x)
        return torch.cat([found, x.square(), x], -1) if self.beside else found


def test_a_degree_that_is_there_is_not_missing_whatever_the_head_makes_of_it() -> None:
    model = nn.Sequential(Harmonics(3, beside=True), linear(normal(7, 13)))
    found = examined((model, VECTORS, SO3, 3, IrrepAction(SO3, 3)))
    assert "missing degree at input" not in found and found.relative > 0.5


class Bypassed(nn.Module):
    """Harmonics straight from the inputs, times coefficients that break the symmetry: a tensor basis."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = nn.Sequential(linear(normal(5, 3)), Polynomial())

    def forward(self, x: Tensor) -> Tensor:
        return (5 + 0.5 * self.trunk(x)[:, :1]) * spherical_harmonics(3, x)


def test_a_degree_from_elsewhere_is_not_missing() -> None:
    found = examined((Bypassed(), VECTORS, SO3, 6, IrrepAction(SO3, 3)))
    assert "missing degree at input" not in found and found.relative > 0.1


def test_a_factor_behind_the_head_hides_nothing() -> None:
    class Times(nn.Module):
        def __init__(self, inner: nn.Module, factor: float) -> None:
            super().__init__()
            self.inner, self.factor = inner, factor

        def forward(self, x: Tensor) -> Tensor:
            return self.factor * self.inner(x)

    single = copy.deepcopy(CLEAN).float()
    for model, x in ((CLEAN, VECTORS), (Times(CLEAN, 0.3), VECTORS), (Times(single, 0.3), VECTORS.float())):
        found = examined((model, x, SO3, 2, InvariantAction(SO3)), converged=True)
        assert found.modes == ("late clean-up",) and found.findings[0].layer.endswith("1")


def test_a_parity_that_is_there_early_is_not_missing() -> None:
    target = IrrepAction(O3, (0, -1))
    early = nn.Sequential(Triple(), linear([[1.0, 0.3, 0.3]]))
    assert "missing parity" not in examined((early, CLOUDS, O3, 3, target))
    late = nn.Sequential(Scaled(), Scaled(), Triple(), linear([[1.0, 0.3, 0.3]]))
    found = examined((late, CLOUDS, O3, 3, target))["missing parity"]
    assert found.numbers["layers_without"] == 2 and found.numbers["share"] > 0.1


def test_sigma_minus_is_there_and_its_degree_is_not() -> None:
    model = nn.Sequential(Triple(), linear(normal(3, 3)))
    found = examined((model, CLOUDS, O3, 3, IrrepAction(O3, (1, -1))))
    assert "missing degree at input" in found and "missing parity" not in found


def test_layers_of_irreps_do_not_clean_up_late() -> None:
    """Vectors through the network, norms at its end, a small break: all energy is outside, no channel is mixed."""

    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.square().sum(-1, keepdim=True) + 1e-3 * x[..., :1]

    found = examined((nn.Sequential(Scaled(), Broken()), VECTORS, SO3, 2, InvariantAction(SO3)))
    assert found.modes == () and "No known failure mode" in str(found) and found.sound
    assert 1e-4 < found.relative < 1e-2


def test_an_error_outside_the_sector_is_no_wrong_copy() -> None:
    assert examined((Shifted(0.05), VECTORS, SO3, 2, NaturalAction(SO3))).modes == ()


def test_the_square_of_the_error_divides_exactly() -> None:
    """M x: all of A^2 = |x|^2 (|M|^2 / 3 - (tr M)^2 / 9) is in wrong copies."""
    matrix = COPY[0].weight.detach()
    exact = (matrix.square().sum() / 3 - matrix.trace() ** 2 / 9) / (matrix.square().sum() / 3)
    found = examined(PLANTED["right sector, wrong copy"])["right sector, wrong copy"]
    assert math.isclose(found.numbers["wrong_copies"], float(exact), rel_tol=1e-10)
    assert math.isclose(found.numbers["outside"], 0, abs_tol=1e-12)


def test_a_band_within_the_cutoff_does_not_leak() -> None:
    for mode in ("late clean-up", "missing degree at input"):
        assert "leakage" not in examined(PLANTED[mode])
    model, x, group, *_ = PLANTED["leakage"]
    assert "leakage" not in examined((model[:2], x / 2, group, 6, InvariantAction(group)))


def test_a_cross_product_declared_as_a_vector_is_another_sector() -> None:
    class Cross(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.linalg.cross(x[:, 0], x[:, 1])

    found = examined((Cross(), CLOUDS, O3, 2, NaturalAction(O3)))
    assert found.modes == ("another sector than declared",) and "(1, -1)" in str(found)
    assert examined((Cross(), CLOUDS, O3, 2, IrrepAction(O3, (1, -1)))).sound is False  # order y, z, x
    turned = nn.Sequential(Cross(), linear(EYE[[1, 2, 0]]))
    assert examined((turned, CLOUDS, O3, 2, IrrepAction(O3, (1, -1)))).modes == ("nothing to mend",)


def test_a_large_error_without_another_mode_is_not_learnt() -> None:
    """Random weights: what the target takes is there, and the head makes something else of it."""
    model = nn.Sequential(linear(normal(12, 3)), Polynomial(), linear(normal(3, 12, seed=3)))
    found = examined((model, VECTORS, SO3, 2, NaturalAction(SO3)))
    assert found.modes == ("symmetry not learnt",)
    assert found.relative**2 == pytest.approx(sum(found.findings[0].numbers[k] for k in ("outside", "wrong_copies")))
    assert "symmetry not learnt" not in examined(PLANTED["missing degree at input"])


class Several(nn.Module):
    """A constant, and a vector in the wrong order."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"energy": torch.ones_like(x), "force": x.roll(1, -1)}


def test_of_several_outputs_the_one_of_the_error_is_looked_at() -> None:
    model, vector = Several().eval(), NaturalAction(O3)
    found = spectrum(model, VECTORS, O3, 2)
    errors = equivariance_error(model, VECTORS, O3, None, {"energy": vector, "force": vector}, degree=4)
    force = diagnose(found, errors["force"], target=(1, 1))
    assert force.modes == ("right sector, wrong copy",) and force.findings[0].layer == "output['force']"
    constant = diagnose(found, errors["energy"], target=(1, 1)).findings[0]
    assert constant.mode == "another sector than declared" and constant.repairs[0].why.startswith("a longer training")
    with pytest.raises(TypeError, match="the error of one output"):
        diagnose(found, errors, target=(1, 1))
    with pytest.raises(ValueError, match="an error of one of the outputs"):
        diagnose(found, target=(1, 1))


def test_numbers_that_are_not_converged_are_not_read() -> None:
    found = examined(PLANTED["right sector, wrong copy"], converged=False)
    assert found.modes == ("not converged",) and not found.sound


def test_equivariance_lost_in_training() -> None:
    copy = PLANTED["right sector, wrong copy"]
    assert "lost in training" in examined(copy, history=[(0, 0.5), (10, 0.1), (20, 0.3)])
    assert "lost in training" not in examined(copy, history=[(0, 0.5), (10, 0.1), (20, 0.11)])


def test_without_an_error_only_sectors_are_judged() -> None:
    model, x, group, cutoff, _ = PLANTED["right sector, wrong copy"]
    found = diagnose(spectrum(model, x, group, cutoff), target=(1, 1))
    assert found.modes == () and math.isnan(found.relative)
    model, x, group, cutoff, _ = PLANTED["missing degree at input"]
    assert diagnose(spectrum(model, x, group, cutoff), target=3).modes == ("missing degree at input",)


def test_thresholds_can_be_changed_and_the_layer_named() -> None:
    planted = PLANTED["missing degree at input"]
    assert examined(planted, modes=(MissingDegree(shortfall=2.0),)).modes == ()
    assert examined(planted, feeding="0")["missing degree at input"].layer == "0"
    with pytest.raises(ValueError, match="feeding among the layers"):
        examined(planted, feeding="nowhere")


def test_the_layer_before_the_head_of_this_output_feeds_it() -> None:
    class Heads(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.trunk, self.mine, self.other = linear(normal(5, 3)), linear(normal(2, 5)), linear(normal(4, 5))

        def forward(self, x: Tensor) -> Tensor:
            h = self.trunk(x).square()
            mine = self.mine(h)
            self.other(h)
            return mine

    assert feeding_layer(spectrum(Heads().eval(), VECTORS, SO3, 2)) == "trunk"
    assert feeding_layer(spectrum(nn.Sequential(Sum()).eval(), CLOUDS, SO3, 2)) == ""
    assert feeding_layer(spectrum(nn.Sequential(Scaled(), Sum(), Scaled()).eval(), CLOUDS, SO3, 2)) == "1"


def test_records_are_plain() -> None:
    found = examined(PLANTED["missing parity"])
    record = json.loads(json.dumps(found.to_dict()))
    assert record["target"] == [[0, -1]] and record["findings"][0]["repairs"][0]["module"] == "TensorBasisHead"
    assert {mode.name for mode in MODES} >= set(PLANTED) | {"not converged", "nothing to mend"}
    with pytest.raises(KeyError, match="mode among"):
        found["leakage"]


def test_labels_of_actions() -> None:
    assert target_labels(None, SO3, 2) == (0,)
    assert target_labels(NaturalAction(O3), O3, 1) == ((1, 1),)
    assert target_labels(IrrepAction(O3, (2, -1)), O3, 2) == ((2, -1),)
    assert target_labels(CoordinatePermutation(3), CoordinatePermutation(3).group) != (0,)
    quarter = FiniteMatrixGroup.generated_by([torch.tensor([[0.0, -1.0], [1.0, 0.0]])])
    (label,) = target_labels(NaturalAction(quarter), quarter)
    assert next(i for i in quarter.irreps() if i.label == label).kind == "complex"
    with pytest.raises(ValueError, match="cutoff that covers"):
        target_labels(IrrepAction(SO3, 4), SO3, 2)
    with pytest.raises(ValueError, match="labels among"):
        diagnose(spectrum(COPY, VECTORS, SO3, 2), target=5)
    with pytest.raises(ValueError, match="a linear action"):
        target_labels(PointCloudAction(SO3), SO3, 2)
