"""Targets of decorated clouds: closed forms, labels, spectra."""

from __future__ import annotations

import math

import pytest
import torch

from pyro_symvi.equivariance import (
    CloudTarget,
    CrossProduct,
    HarmonicMoment,
    HarmonicOfDipole,
    SoftCoulomb,
    TripleProduct,
    decorated_clouds,
    equivariance_error,
    spectrum,
)
from pyro_symvi.groups import IrrepAction, Orthogonal, PolyhedralGroup, SpecialOrthogonal

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)
TARGETS = [HarmonicMoment(3), HarmonicOfDipole(3), TripleProduct(), CrossProduct(), SoftCoulomb()]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: type(t).__name__)
def test_targets_transform_by_their_labels_and_by_no_other(target: CloudTarget) -> None:
    data = decorated_clouds(6, points=5, target=target, dtype=torch.float64)
    assert data.targets.shape == (6, 2 * target.label[0] + 1)
    assert math.isclose(float(data.targets.square().mean()), 1, rel_tol=1e-12)
    found = {}
    for sigma in (1, -1):
        action = IrrepAction(O3, (target.label[0], sigma))
        found[sigma] = equivariance_error(target, data.inputs, O3, data.rho_in(O3), action, degree=6).relative
    assert found[target.label[1]] < 1e-12
    assert found[-target.label[1]] > 0.9
    sectors = spectrum(target, data.inputs, O3, 3, rho_in=data.rho_in(O3)).output
    assert math.isclose(sectors.fraction(target.label), 1, abs_tol=1e-11)
    for group in (O3, SO3, PolyhedralGroup("octahedral")):
        error = equivariance_error(target, data.inputs, group, data.rho_in(group), data.rho_out(group), degree=6)
        assert error.relative < 1e-12


def test_closed_forms_by_hand() -> None:
    r = torch.tensor([[1.0, 0, 0], [0, 2.0, 0], [0, 0, 3.0]], dtype=torch.float64)
    q = torch.tensor([1.0, -1.0, 0.5], dtype=torch.float64)
    z3 = math.sqrt(7 / (16 * math.pi))  # Y_30 = z3 (5 z^3 - 3 z)
    assert math.isclose(float(HarmonicMoment(3)(r, q)[3]), z3 * 2 * 27 / 2, rel_tol=1e-12)
    x, y, z = 1.0, -2.0, 1.5
    assert math.isclose(float(HarmonicOfDipole(3)(r, q)[3]), z3 * (2 * z**3 - 3 * z * (x**2 + y**2)), rel_tol=1e-12)
    coulomb = -1 / math.sqrt(6) + 0.5 / math.sqrt(11) - 0.5 / math.sqrt(14)
    assert math.isclose(float(SoftCoulomb()(r, q)), coulomb, rel_tol=1e-12)
    vectors = torch.tensor([[1.0, -2, 1.5], [1, 2, 0.75], [1, -4, 4.5]], dtype=torch.float64)
    vectors = vectors / (1 + vectors.square().sum(1, keepdim=True)).sqrt()
    assert math.isclose(float(TripleProduct()(r, q)), float(torch.linalg.det(vectors)), rel_tol=1e-12)
    a, b, c = torch.linalg.cross(vectors[0], vectors[1])
    torch.testing.assert_close(CrossProduct()(r, q), torch.stack([b, c, a]), rtol=1e-12, atol=1e-14)


def test_orientations_are_fixed_or_uniform() -> None:
    data = decorated_clouds(50, dtype=torch.float64)
    second = data.positions.mT @ data.positions
    assert float((second - second.diagonal(dim1=1, dim2=2).diag_embed()).abs().max()) < 1e-12
    spread = second.diagonal(dim1=1, dim2=2)
    assert bool((spread.diff(dim=-1) < 0).all())
    assert float(data.positions.mean(1).abs().max()) < 1e-12
    # a moved cloud comes back to the same place: the frame is that of the cloud (up to reflections)
    free = decorated_clouds(50, oriented=False, dtype=torch.float64)
    assert torch.equal(free.charges, data.charges)
    torch.testing.assert_close(torch.cdist(free.positions, free.positions), torch.cdist(data.positions, data.positions))
    off = (free.positions.mT @ free.positions).mean(0)
    assert float((second.mean(0).diagonal().diff()).abs().min()) > 2
    assert float((off - off.diagonal().mean() * torch.eye(3)).abs().max()) < 4 * math.sqrt(2 * 7 / 50)  # 4 errors
    assert torch.equal(decorated_clouds(50, dtype=torch.float64).values, data.values)
    assert repr(data) == "CloudDataset(50 clouds of 8 points, HarmonicMoment(3))"
    with pytest.raises(TypeError, match="expected a target"):
        decorated_clouds(3, target="dipole")  # type: ignore[arg-type]
