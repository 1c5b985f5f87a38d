"""The models are invariant under what they are built for, and under nothing else."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from pyro_symvi.equivariance import (
    MaxPooling,
    MeanPooling,
    PointCloudTransformer,
    PointNet,
    SumPooling,
    TensorBasis,
    equivariance_error,
    spectrum,
)
from pyro_symvi.groups import NaturalAction, Orthogonal
from tests.equivariance_samples import normal

O3 = Orthogonal(3)
SPECIES = torch.tensor([[1, 6, 8, 1, 7], [6, 6, 1, 0, 0]])
CHOICES = {"raw": {}, "harmonics": {"harmonics": 2}, "basis": {"tensor_basis": {"dipole": TensorBasis((1, 1), True)}}}


def close(a: Any, b: Any) -> None:
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("choice", CHOICES)
def test_permutations_translations_and_padding_change_nothing(choice: str) -> None:
    r = normal(2, 5, 3)
    shapes = {"energy": (), "dipole": (3,)}
    model = PointCloudTransformer(shapes, width=16, edge_width=8, **CHOICES[choice]).double().eval()
    out = model(r, SPECIES)
    assert {name: tuple(value.shape) for name, value in out.items()} == {"energy": (2,), "dipole": (2, 3)}
    order = torch.tensor([3, 1, 4, 0, 2])
    close(out, model(r[:, order], SPECIES[:, order]))
    close(out, model(r + torch.tensor([1.0, -2.0, 0.5]), SPECIES))
    padded = torch.nn.functional.pad(r, (0, 0, 0, 2), value=1.0)
    close(out, model(padded, torch.nn.functional.pad(SPECIES, (0, 2))))
    carbons = torch.nn.functional.pad(SPECIES, (0, 2), value=6)
    close(out, model(padded, carbons, torch.nn.functional.pad(SPECIES, (0, 2)) > 0))
    # negative: rotations change it, species change it, and a padding that counts
    assert not torch.allclose(model(r.roll(1, -1), SPECIES)["energy"], out["energy"])
    assert not torch.allclose(model(r, SPECIES.flip(1))["dipole"], out["dipole"])
    assert not torch.allclose(model(padded, carbons)["dipole"], out["dipole"])


def test_atoms_beyond_the_cutoff_fade_and_do_not_see_each_other() -> None:
    model = PointCloudTransformer((), width=16, edge_width=8, cutoff=3.0).double().eval()
    pair = torch.zeros(1, 2, 3, dtype=torch.float64)
    one = model(pair[:, :1], torch.tensor([[6]]))

    def at(distance: float) -> Tensor:
        away = pair.clone()
        away[0, 1, 0] = distance
        return model(away, torch.tensor([[6, 6]]))

    torch.testing.assert_close(at(3.0), 2 * one, rtol=1e-12, atol=0)
    torch.testing.assert_close(at(50.0), 2 * one, rtol=1e-12, atol=0)
    near = [float((at(3 - h) - 2 * one).detach().abs()) for h in (1e-3, 1e-2)]
    assert 0 < near[0] < near[1] / 50  # like h^2: once differentiable


def test_point_nets_respect_masks_and_pool_as_named() -> None:
    r, q = normal(2, 6, 3), normal(2, 6, seed=1)
    mask = torch.tensor([[True] * 6, [True, True, True, True, False, False]])
    for pooling in (MeanPooling(), MaxPooling(), SumPooling()):
        net = PointNet((7,), width=16, pooling=pooling, tensor_basis=TensorBasis((3, 1))).double().eval()
        out = net(r, q, mask)
        torch.testing.assert_close(out[1:], net(r[1:, :4], q[1:, :4]), rtol=1e-11, atol=1e-13)
        order = torch.tensor([3, 1, 2, 0, 5, 4])
        torch.testing.assert_close(net(r[:, order], q[:, order], mask[:, order]), out, rtol=1e-10, atol=1e-12)
    h = normal(2, 6, 4, seed=2)
    some = h[1, :4]
    torch.testing.assert_close(MeanPooling()(h, mask)[1], some.mean(0))
    torch.testing.assert_close(MaxPooling()(h, mask)[1], some.amax(0))
    torch.testing.assert_close(SumPooling()(h, mask)[1], some.sum(0))


def test_gradients_against_finite_differences() -> None:
    basis = TensorBasis((1, 1), cartesian=True, gain=2.0)
    small = {"width": 8, "edge_width": 4, "attention_heads": 2, "depth": 1}
    model = PointCloudTransformer((3,), harmonics=2, tensor_basis=basis, **small).double().eval()  # type: ignore[arg-type]
    r = normal(1, 3, 3).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: model(x, SPECIES[1:, :3]), (r,))


def test_layers_have_spectra_and_the_first_one_is_a_vector_plus_a_constant() -> None:
    x = {"positions": normal(1, 3, 3), "species": SPECIES[:1, :3], "mask": torch.ones(1, 3, dtype=torch.bool)}
    rho = {"positions": NaturalAction(O3), "species": None}
    model = PointCloudTransformer((), width=8, edge_width=4, attention_heads=2, depth=1).double().eval()
    found = spectrum(model, x, O3, 1, rho_in=rho, layers=["edges.displacement", *model.layers])
    assert list(found) == ["edges.displacement", "atoms", "blocks.0", "output"]
    linear = found["edges.displacement"]
    assert abs(linear.fraction((0, 1)) + linear.fraction((1, 1)) - 1) < 1e-12
    net = PointNet((), width=8, charges=0).double().eval()
    assert list(spectrum(net, x["positions"], O3, 1, layers=net.layers))[:-1] == net.layers


def test_an_unconstrained_model_has_an_error_and_one_on_invariant_features_none() -> None:
    r, q = normal(2, 4, 3), normal(2, 4, seed=1)
    x, rho = {"positions": r, "charges": q}, {"positions": NaturalAction(O3), "charges": None}
    model = PointNet((3,), width=8, tensor_basis=TensorBasis((1, 1), cartesian=True)).double().eval()
    assert equivariance_error(model, x, O3, rho, NaturalAction(O3), degree=6).relative > 1e-3
    with torch.no_grad():
        model.points[0].linear.weight[:, :3] = 0  # deaf to coordinates: nothing but the basis depends on them
    assert equivariance_error(model, x, O3, rho, NaturalAction(O3), degree=6).relative < 1e-13


def test_seeds_scales_and_refusals() -> None:
    state = torch.get_rng_state()
    first, again, other = PointNet((2,)), PointNet((2,)), PointNet((2,), seed=1)
    assert torch.equal(torch.get_rng_state(), state)
    weights = [nn.utils.parameters_to_vector(net.parameters()) for net in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])
    assert 20_000 < len(weights[0]) < 60_000
    assert 20_000 < sum(p.numel() for p in PointCloudTransformer((3,)).parameters()) < 60_000
    r, q = normal(2, 4, 3).float(), normal(2, 4).float()
    torch.testing.assert_close(PointNet((2,), scales=3.0)(r, q), 3 * first(r, q))
    for wrong, error in (
        (lambda: PointNet((2,), scales=0.0), "positive number"),
        (lambda: PointNet((2,), scales={"energy": 1.0}), "expected scales"),
        (lambda: first(r), "expected charges"),
        (lambda: first(r[0], q), r"\[B, N, 3\]"),
        (lambda: first(r, q, torch.ones(2, 3)), "expected mask"),
        (lambda: PointCloudTransformer((), species=8)(r, SPECIES[:, :4]), "species from 0 to 7, got 0 to 8"),
        (lambda: PointCloudTransformer(())(r, SPECIES), "expected species of shape"),
        (lambda: PointCloudTransformer((), width=10, attention_heads=4), "multiple of attention_heads"),
        (lambda: PointNet({"a": (3,), "b": ()}, tensor_basis={"c": TensorBasis((1, 1))}), "among a, b, got 'c'"),
    ):
        with pytest.raises(ValueError, match=error):
            wrong()
