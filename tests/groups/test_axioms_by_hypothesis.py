"""Axioms and action laws on groups, products and elements drawn by hypothesis."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    DirectProduct,
    EllipticalRotation,
    Group,
    HiddenLayer,
    HiddenUnitPermutation,
    Orthogonal,
    PermutationGroup,
    PointCloudAction,
    PolyhedralGroup,
    SignedPermutations,
    SignFlips,
    SpecialEuclidean,
    SpecialOrthogonal,
    SpecialUnitary,
    Symmetric,
    Torus,
    Unitary,
    WreathProduct,
)

small = st.integers(1, 7)
seeds = st.integers(0, 2**31 - 1)
simple = st.one_of(
    st.builds(SignFlips, st.integers(1, 80)),
    st.builds(Cyclic, st.integers(1, 1000)),
    st.builds(Dihedral, st.integers(1, 1000)),
    st.builds(Symmetric, st.integers(1, 200)),
    st.builds(SignedPermutations, st.integers(1, 200)),
    st.builds(lambda p: PermutationGroup.generated_by([list(p)]), st.permutations(range(9))),
    st.builds(PolyhedralGroup, st.sampled_from(["tetrahedral", "octahedral", "icosahedral"]), st.booleans()),
    st.builds(Orthogonal, small),
    st.builds(SpecialOrthogonal, small),
    st.builds(Unitary, st.integers(1, 4)),
    st.builds(SpecialUnitary, st.integers(1, 4)),
    st.builds(Torus, small),
)
groups = st.one_of(
    simple,
    st.builds(DirectProduct, st.lists(simple, min_size=1, max_size=3)),
    st.builds(lambda base, n: WreathProduct(base, Symmetric(n)), simple, st.integers(1, 4)),
)


def three(group: Group, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return tuple(group.sample(3, generator=generator).unbind(0))  # type: ignore[return-value]


@settings(max_examples=250, deadline=None, derandomize=True)
@given(group=groups, seed=seeds)
def test_group_axioms(group: Group, seed: int) -> None:
    a, b, c = three(group, seed)
    e = group.identity()
    assert bool(group.contains(torch.stack([a, b, c, group.compose(a, b), group.inverse(a)]), tolerance=1e-8).all())
    assert bool(
        group.equal(group.compose(group.compose(a, b), c), group.compose(a, group.compose(b, c)), tolerance=1e-9)
    )
    assert bool(group.equal(group.compose(a, e), a)) and bool(group.equal(group.compose(e, a), a))
    assert bool(group.equal(group.compose(a, group.inverse(a)), e, tolerance=1e-9))
    assert bool(
        group.equal(
            group.inverse(group.compose(a, b)), group.compose(group.inverse(b), group.inverse(a)), tolerance=1e-9
        )
    )
    assert bool(group.equal(group.power(a, 5), group.compose(group.power(a, 2), group.power(a, 3)), tolerance=1e-8))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(size=st.integers(1, 6), members=st.integers(1, 6), seed=seeds)
def test_permutations_of_blocks(size: int, members: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    dim = size * members + 2
    places = torch.randperm(dim, generator=generator)[: size * members].reshape(members, size).tolist()
    action = CoordinatePermutation(dim, places)
    x = torch.randn(3, dim, generator=generator, dtype=torch.float64)
    a, b, _ = three(action.group, seed)
    assert torch.equal(action.act(action.group.compose(a, b), x), action.act(a, action.act(b, x)))
    assert torch.equal((action.matrix(a) @ x[..., None])[..., 0], action.act(a, x))
    assert torch.equal(action.canonicalize(x)[0], action.canonicalize(action.act(a, x))[0])
    assert torch.allclose(action.act(action.align(x, action.act(a, x)), x), action.act(a, x))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(d=st.integers(1, 6), seed=seeds, spread=st.floats(0, 3))
def test_elliptical_rotations(d: int, seed: int, spread: float) -> None:
    """Composition and invariance of the quadratic form for shapes of condition number up to e^6."""
    generator = torch.Generator().manual_seed(seed)
    q = Orthogonal(d).sample(1, generator=generator)[0]
    shape = q @ torch.diag(torch.linspace(-spread, spread, d).double().exp()) @ q.mT
    action = EllipticalRotation(shape=shape).bind(d, torch.randn(d, generator=generator))
    x = torch.randn(d, generator=generator, dtype=torch.float64)
    a, b, _ = three(action.group, seed)
    both = action.act(action.group.compose(a, b), x)
    assert torch.allclose(both, action.act(a, action.act(b, x)), atol=1e-9)

    def form(z: Tensor) -> float:
        offset = z - action.center  # type: ignore[operator]
        return float(offset @ torch.linalg.solve(shape, offset))

    assert abs(form(both) - form(x)) < 1e-8 * (1 + form(x))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(points=st.integers(1, 9), d=st.integers(2, 4), seed=seeds, scale=st.sampled_from([1e-6, 1.0, 1e6]))
def test_clouds_of_any_size_and_scale(points: int, d: int, seed: int, scale: float) -> None:
    """One point to many, tiny to huge: projections are idempotent, horizontal and equivariant."""
    generator = torch.Generator().manual_seed(seed)
    action = PointCloudAction(SpecialEuclidean(d))
    x = scale * torch.randn(points, d, generator=generator, dtype=torch.float64)
    v = torch.randn(points, d, generator=generator, dtype=torch.float64)
    p = action.project(x, v)
    assert float((action.project(x, p) - p).abs().max()) < 1e-8
    centred = (x - x.mean(0)) / scale
    moment = centred.mT @ p
    assert float((moment - moment.mT).abs().max()) < 1e-8 and float(p.sum(0).abs().max()) < 1e-9
    turn = action.group.rotations.sample(1, generator=generator)[0]
    moved = action.project(x @ turn.mT + scale, v @ turn.mT)
    assert float((moved - p @ turn.mT).abs().max()) < 1e-6


@settings(max_examples=30, deadline=None, derandomize=True)
@given(widths=st.lists(st.integers(1, 5), min_size=3, max_size=5), seed=seeds, bias=st.booleans())
def test_layouts_of_perceptrons(widths: list[int], seed: int, bias: bool) -> None:
    parts = [torch.nn.Linear(a, b, bias=bias) for a, b in zip(widths[:-1], widths[1:], strict=True)]  # noqa: RUF007
    network = torch.nn.Sequential(*(m for part in parts for m in (part, torch.nn.Softplus()))).double()
    theta = torch.nn.utils.parameters_to_vector(network.parameters()).detach()
    x = torch.randn(4, widths[0], generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    before = network(x).detach()
    for number in range(1, len(widths) - 1):
        action = HiddenUnitPermutation(HiddenLayer.of_mlp(widths, number, bias=bias))
        moved = action.act(three(action.group, seed)[0], theta)
        torch.nn.utils.vector_to_parameters(moved, network.parameters())
        assert torch.allclose(network(x), before, atol=1e-10)
