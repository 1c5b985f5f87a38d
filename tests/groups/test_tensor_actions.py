"""Cartesian tensors and direct sums: the contracts, outer products, e3nn's reduction, characters."""

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    Action,
    CoordinatePermutation,
    DirectSumAction,
    FiniteMatrixGroup,
    InvariantAction,
    IrrepAction,
    NaturalAction,
    Orthogonal,
    PointReflection,
    PolyhedralGroup,
    SpecialOrthogonal,
    TensorAction,
    solid_harmonics,
)
from tests.contracts.action import ActionContract, LinearActionContract

O3, SO3 = Orthogonal(3), SpecialOrthogonal(3)
SHEARED = FiniteMatrixGroup.generated_by([torch.tensor([[0.0, -2.0], [0.5, 0.0]], dtype=torch.float64)])
TENSORS = {
    "stress": TensorAction(NaturalAction(O3), 2),
    "triple product": TensorAction(NaturalAction(O3), 0, pseudo=True),
    "third rank in the plane": TensorAction(NaturalAction(Orthogonal(2)), 3, pseudo=True),
    "matrix of pairs": TensorAction(CoordinatePermutation(3), 2),
}
SUMS = {
    "energy and dipole": DirectSumAction([InvariantAction(O3), NaturalAction(O3), IrrepAction(O3, (1, -1))]),
    "oblique": DirectSumAction([NaturalAction(SHEARED), InvariantAction(SHEARED)]),
}


class TestTensors(ActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(TENSORS))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return TENSORS[request.param]


class TestDirectSums(LinearActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(SUMS))
    def action(self, request: pytest.FixtureRequest) -> Action:
        return SUMS[request.param]


def vectors(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_products_of_vectors() -> None:
    """a x b x c moves as a tensor; the triple product and the cross product as pseudotensors, not as tensors."""
    a, b, c = vectors(3, 5, 3)
    g = O3.sample(5, generator=torch.Generator().manual_seed(1))
    turned = [(g @ v[..., None])[..., 0] for v in (a, b, c)]
    outer = torch.einsum("ni,nj,nk->nijk", a, b, c)
    moved = TensorAction(NaturalAction(O3), 3).act(g, outer)
    assert torch.allclose(moved, torch.einsum("ni,nj,nk->nijk", *turned), atol=1e-12)
    triple, after = torch.linalg.det(torch.stack([a, b, c], 1)), torch.linalg.det(torch.stack(turned, 1))
    cross = torch.linalg.cross(turned[0], turned[1])
    for rank, before, image in ((0, triple, after), (1, torch.linalg.cross(a, b), cross)):
        assert torch.allclose(TensorAction(NaturalAction(O3), rank, pseudo=True).act(g, before), image, atol=1e-12)
        assert not torch.allclose(TensorAction(NaturalAction(O3), rank).act(g, before), image, atol=0.1)


def test_sum_of_harmonics() -> None:
    """Solid harmonics of degree 0, 1, 2 side by side, parity included; components of the wrong parity are seen."""
    x, g = vectors(6, 3), O3.sample(6, generator=torch.Generator().manual_seed(2))
    action = DirectSumAction([IrrepAction(O3, (k, 1)) for k in range(3)])
    assert action.sizes == (1, 3, 5) and [part.shape[-1] for part in action.split(torch.ones(2, 9))] == [1, 3, 5]

    def features(x: Tensor) -> Tensor:
        return torch.cat([solid_harmonics(k, x) for k in range(3)], -1)

    moved = features((g @ x[..., None])[..., 0])
    assert torch.allclose(action.act(g, features(x)), moved, atol=1e-12)
    wrong = DirectSumAction([IrrepAction(O3, (k, -1)) for k in range(3)])
    assert not torch.allclose(wrong.act(g, features(x)), moved, atol=0.1)


def test_what_symmetry_leaves_of_a_tensor() -> None:
    """Averaged over the cube, a second-rank tensor keeps its trace alone; over T also the antisymmetric part goes."""
    tensor = vectors(3, 3)
    for name in ("octahedral", "tetrahedral"):
        action = TensorAction(NaturalAction(PolyhedralGroup(name)), 2)
        assert torch.allclose(action.orbit(tensor).mean(0), tensor.trace() / 3 * torch.eye(3).double(), atol=1e-12)
    assert SUMS["energy and dipole"].fixed_subspace().tolist() == [[1.0], *[[0.0]] * 6]


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: TensorAction(InvariantAction(O3), 2), TypeError, "expected a linear action"),
        (lambda: TensorAction(PointReflection(0.0).bind(3), 2), TypeError, "about the origin"),
        (lambda: TensorAction(NaturalAction(O3), -1), ValueError, "expected rank >= 0"),
        (lambda: TensorAction(NaturalAction(O3), 1, pseudo=-1), TypeError, "expected pseudo to be a bool"),
        (lambda: TensorAction(NaturalAction(O3), 2).act(torch.eye(3), torch.ones(2, 3)), ValueError, r"\[..., 3, 3\]"),
        (lambda: DirectSumAction([]), TypeError, "non-empty sequence"),
        (lambda: DirectSumAction([NaturalAction(O3), NaturalAction(SO3)]), ValueError, "expected actions of one group"),
        (lambda: DirectSumAction([PointReflection(0.0).bind(3)]), TypeError, "about the origin"),
    ],
    ids=["invariant", "affine", "rank", "sign", "shape", "empty", "two groups", "affine part"],
)
def test_errors(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]
