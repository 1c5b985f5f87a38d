"""Inputs and targets are moved by the same element, a new one for every sample."""

from __future__ import annotations

import pytest
import torch

from pyro_symvi.equivariance import Augmentation, HarmonicMoment, TripleProduct, decorated_clouds
from pyro_symvi.groups import CoordinatePermutation, Orthogonal, Symmetric, Translation

O3 = Orthogonal(3)


def test_labels_of_moved_clouds_are_moved_labels() -> None:
    for target in (HarmonicMoment(3), TripleProduct()):
        data = decorated_clouds(16, target=target, dtype=torch.float64)
        augment = Augmentation(O3, data.rho_in(O3), data.rho_out(O3))
        x, y = augment(data.inputs, data.targets, generator=torch.Generator().manual_seed(3))
        torch.testing.assert_close(target(x["positions"], x["charges"]) / data.scale, y, rtol=1e-10, atol=1e-12)
        assert not torch.allclose(x["positions"], data.positions)
        again, _ = augment(data.inputs, data.targets, generator=torch.Generator().manual_seed(3))
        assert torch.equal(again["positions"], x["positions"])
        # negative: targets left where they were
        still, unmoved = Augmentation(O3, data.rho_in(O3), None)(data.inputs, data.targets)
        assert not torch.allclose(target(still["positions"], still["charges"]) / data.scale, unmoved, rtol=1e-3)


def test_every_sample_has_its_own_element() -> None:
    x = torch.eye(3, dtype=torch.float64).expand(500, 3, 3)
    g = Augmentation(O3)(x, generator=torch.Generator().manual_seed(0)).mT
    torch.testing.assert_close(g @ g.mT, x, rtol=0, atol=1e-12)
    proper = (torch.linalg.det(g) > 0).double().mean()
    assert abs(float(proper) - 0.5) < 4 * 0.5 / 500**0.5  # 4 standard errors
    assert float(g.mean(0).abs().max()) < 4 * (1 / 3) ** 0.5 / 500**0.5


def test_permutations_dicts_of_targets_and_refusals() -> None:
    group, x = Symmetric(4), torch.arange(12).reshape(3, 4)
    action = CoordinatePermutation(4)
    moved, targets = Augmentation(group, action, {"same": action})(x, {"same": x.double(), "sum": x.sum(1)})
    assert torch.equal(moved.sort(-1).values, x)
    torch.testing.assert_close(targets["same"], moved.double())
    assert torch.equal(targets["sum"], x.sum(1))
    with pytest.raises(ValueError, match="expected a compact group"):
        Augmentation(Translation(3))
    with pytest.raises(ValueError, match="samples on the first axis"):
        Augmentation(group, [action, action])([x, x[:2]])
