"""SO(n), U(n), SU(n), tori and products: the contract, Haar moments from the literature, quadrature and products."""

import math

import pytest
import torch
from scipy.special import eval_legendre, roots_legendre
from torch import Tensor

from pyro_symvi.groups import (
    Cyclic,
    Dihedral,
    DirectProduct,
    Group,
    Orthogonal,
    PolyhedralGroup,
    SemidirectProduct,
    SignedPermutations,
    SignFlips,
    SpecialOrthogonal,
    SpecialUnitary,
    Symmetric,
    Torus,
    Unitary,
    UnsupportedError,
    WreathProduct,
)
from pyro_symvi.groups._quadrature import gauss_legendre
from tests.contracts.group import GroupContract

COMPACT: list[Group] = [
    SpecialOrthogonal(1),
    SpecialOrthogonal(2),
    SpecialOrthogonal(3),
    SpecialOrthogonal(4),
    Torus(1),
    Torus(3),
    Unitary(),
    Unitary(3),
    SpecialUnitary(1),
    SpecialUnitary(2),
    SpecialUnitary(3),
]


class TestCompact(GroupContract):
    @pytest.fixture(params=COMPACT, ids=repr)
    def group(self, request: pytest.FixtureRequest) -> Group:
        return request.param

    def test_exponential(self, group: Group) -> None:
        """One-parameter subgroups: exp((s + t) X) = exp(s X) exp(t X), and the basis is independent."""
        x = torch.randn(6, group.dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
        assert bool(group.contains(group.exp(x), tolerance=1e-10).all())
        assert self.equal(group, group.exp(0.8 * x), group.compose(group.exp(0.3 * x), group.exp(0.5 * x)))
        small = torch.eye(group.dim, dtype=torch.float64) * 1e-4
        if group.dim and group.element_kind != "complex":
            moved = (group.exp(small) - group.identity()).reshape(group.dim, -1)
            assert int(torch.linalg.matrix_rank(moved, rtol=1e-3)) == group.dim


def semidirect_dihedral(n: int) -> SemidirectProduct:
    return SemidirectProduct(Cyclic(n), Cyclic(2), lambda h, k: torch.where(h == 0, k, (-k) % n))


def euclid_of_square() -> SemidirectProduct:
    """Torus translations twisted by the quarter turn (x, y) -> (-y, x)."""

    def twist(h: Tensor, t: Tensor) -> Tensor:
        turns = [t, torch.stack([-t[..., 1], t[..., 0]], -1), -t, torch.stack([t[..., 1], -t[..., 0]], -1)]
        shape = torch.broadcast_shapes(h.shape, t.shape[:-1])
        chosen = torch.stack([u.expand(*shape, 2) for u in turns])
        index = h.expand(shape)[None, ..., None].expand(1, *shape, 2)
        return torch.remainder(chosen.gather(0, index)[0], 2 * math.pi)

    return SemidirectProduct(Torus(2), Cyclic(4), twist)


PRODUCTS: list[tuple[Group, float, int]] = [
    (DirectProduct([Cyclic(3), SignFlips(2)]), 12, 0),
    (DirectProduct([Symmetric(3), SpecialOrthogonal(3)]), math.inf, 3),
    (DirectProduct([Unitary(), Torus(2), Dihedral(3)]), math.inf, 3),
    (semidirect_dihedral(5), 10, 0),
    (euclid_of_square(), math.inf, 2),
    (WreathProduct.over_symmetric(SignFlips(1), 3), 48, 0),
    (WreathProduct(Cyclic(3), Cyclic(2)), 18, 0),
    (WreathProduct.over_symmetric(SpecialOrthogonal(2), 2), math.inf, 2),
]


class TestProducts(GroupContract):
    @pytest.fixture(params=PRODUCTS, ids=lambda p: repr(p[0])[:40])
    def case(self, request: pytest.FixtureRequest) -> tuple[Group, float, int]:
        return request.param

    @pytest.fixture
    def group(self, case: tuple[Group, float, int]) -> Group:
        return case[0]

    def test_sizes(self, case: tuple[Group, float, int]) -> None:
        group, order, dim = case
        assert group.order == order and group.dim == dim and group.is_compact


def class_orders(group: Group) -> list[int]:
    """How many elements have each order: an isomorphism invariant."""
    g = group.elements()
    found = torch.zeros(len(g), dtype=torch.long)
    power = g
    for k in range(1, int(group.order) + 1):
        done = group.equal(power, group.identity()) & (found == 0)
        found[done] = k
        power = group.compose(power, g)
        if bool((found > 0).all()):
            break
    return torch.bincount(found).tolist()


def test_products_are_the_groups_they_should_be() -> None:
    assert class_orders(semidirect_dihedral(5)) == class_orders(Dihedral(5))
    wreath = WreathProduct.over_symmetric(SignFlips(1), 3)
    assert class_orders(wreath) == class_orders(SignedPermutations(3))
    assert wreath.character_table().dimensions.tolist() == SignedPermutations(3).character_table().dimensions.tolist()
    assert class_orders(DirectProduct([Cyclic(2), Cyclic(3)])) == class_orders(Cyclic(6))
    assert WreathProduct.over_symmetric(Cyclic(3), 40).log_order == pytest.approx(40 * math.log(3) + math.lgamma(41))


def test_a_map_that_is_no_automorphism_is_refused() -> None:
    with pytest.raises(ValueError, match="expected a twist by automorphisms"):
        SemidirectProduct(Cyclic(5), Cyclic(2), lambda h, k: torch.where(h == 0, k, (2 * k) % 5))
    with pytest.raises(ValueError, match="expected a twist by automorphisms"):
        SemidirectProduct(Cyclic(5), Cyclic(2), lambda h, k: (k + h) % 5)


def test_product_packing() -> None:
    group = DirectProduct([Unitary(), Symmetric(3), Torus(2)])
    parts = (Unitary().sample(4), Symmetric(3).sample(4), Torus(2).sample(4))
    back = group.unpack(group.pack(*parts))
    assert all(torch.equal(a, b) for a, b in zip(parts, back, strict=True))
    with pytest.raises(ValueError, match="expected 3 elements"):
        group.pack(parts[0])
    with pytest.raises(TypeError, match="expected a non-empty sequence of groups"):
        DirectProduct([])
    with pytest.raises(TypeError, match="expected a permutation group on top"):
        WreathProduct(Cyclic(2), SignFlips(2))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("group", "entry", "expected"),
    [
        (SpecialOrthogonal(3), 2, 1 / 3),
        (SpecialOrthogonal(3), 4, 3 / 15),
        (SpecialOrthogonal(5), 4, 3 / 35),
        (Unitary(3), 2, 1 / 3),
        (Unitary(3), 4, 2 / 12),
        (SpecialUnitary(2), 4, 2 / 6),
    ],
)
def test_haar_moments(group: Group, entry: int, expected: float) -> None:
    """E |g_11|^2 = 1/n; E g_11^4 = 3/(n(n+2)) (orthogonal); E |g_11|^4 = 2/(n(n+1)) (unitary); 5 standard errors."""
    values = group.sample(40_000, generator=torch.Generator().manual_seed(0))[:, 0, 0].abs() ** entry
    assert abs(float(values.mean()) - expected) < 5 * float(values.std()) / 200


def test_gauss_legendre_against_scipy() -> None:
    for n in (1, 2, 3, 10, 41, 200):
        x, w = gauss_legendre(n)
        nodes, weights = roots_legendre(n)
        assert float((x - torch.as_tensor(nodes)).abs().max()) < 1e-14
        assert float((2 * w - torch.as_tensor(weights)).abs().max()) < 1e-13
        values = torch.as_tensor(eval_legendre(2 * n - 1, x.numpy()))
        assert abs(float(w @ values)) < 1e-14


@pytest.mark.parametrize(
    ("group", "degree"),
    [
        (SpecialOrthogonal(2), 7),
        (Orthogonal(2), 5),
        (SpecialOrthogonal(3), 6),
        (SpecialOrthogonal(3), 7),
        (Orthogonal(3), 4),
        (Torus(2), 3),
        (Unitary(), 5),
        (DirectProduct([Cyclic(3), SpecialOrthogonal(3)]), 3),
        (DirectProduct([PolyhedralGroup("octahedral"), Torus(1)]), 2),
    ],
    ids=repr,
)
def test_quadrature_is_exact_to_its_degree_and_no_further(group: Group, degree: int) -> None:
    rule = group.quadrature(degree)
    assert rule.degree == degree and bool((rule.weights > 0).all())
    assert float(rule.weights.sum()) == pytest.approx(1, abs=1e-13)
    assert bool(group.contains(rule.elements, tolerance=1e-12).all())
    trivial, *others = group.irreps(degree)
    assert float((torch.tensordot(rule.weights, trivial.matrix(rule.elements), dims=1) - 1).abs().max()) < 1e-13
    for r in others:
        mean = torch.tensordot(rule.weights, r.matrix(rule.elements), dims=1)
        assert float(mean.abs().max()) < 1e-13, "matrix entries of non-trivial representations integrate to zero"
    beyond = [r for r in group.irreps(degree + 1) if r.label not in {t.label for t in group.irreps(degree)}]
    worst = max(float(torch.tensordot(rule.weights, r.matrix(rule.elements), dims=1).abs().max()) for r in beyond)
    assert worst > 0.05, "one degree further is not slightly wrong"


@pytest.mark.parametrize(
    ("group", "band"),
    [(SpecialOrthogonal(3), 6), (Orthogonal(3), 3), (SpecialOrthogonal(2), 8), (Orthogonal(2), 6), (Torus(2), 2)],
    ids=repr,
)
def test_gram_matrix_of_representations(group: Group, band: int) -> None:
    """Schur orthogonality, sqrt(d) rho_ij orthonormal, at degree 2L; one degree short is off by more than 0.05."""

    def gram(degree: int) -> Tensor:
        rule = group.quadrature(degree)
        columns = []
        for r in group.irreps(band):
            entries = r.matrix(rule.elements)
            if r.kind == "complex":
                entries = entries[:, :1]  # cos and sin: the second row repeats them
            columns.append(entries.flatten(1) * r.dimension**0.5)
        table = torch.cat(columns, 1)
        return (table * rule.weights[:, None]).mT @ table

    exact, short = gram(2 * band), gram(2 * band - 1)
    identity = torch.eye(len(exact), dtype=torch.float64)
    assert float((exact - identity).abs().max()) < 1e-13
    assert float((short - identity).abs().max()) > 0.05
    with pytest.raises(ValueError, match=f"exact to degree {2 * band}, got {2 * band - 1}"):
        group.quadrature(2 * band - 1).require(2 * band)
    assert group.quadrature(2 * band).require(2 * band).degree == 2 * band


def test_sizes_of_the_rotation_rule() -> None:
    """(L + 1)(2L + 1)^2 nodes at degree 2L."""
    assert [len(SpecialOrthogonal(3).quadrature(2 * band).weights) for band in (1, 2, 3, 4, 6)] == [
        18,
        75,
        196,
        405,
        1183,
    ]


def test_elements_from_outside_are_checked_on_request() -> None:
    good = SpecialOrthogonal(3).sample(4, generator=torch.Generator().manual_seed(0))
    assert SpecialOrthogonal(3).require(good) is good
    with pytest.raises(ValueError, match=r"expected elements of Orthogonal\(3\).*got 1 of 5 that are not"):
        Orthogonal(3).require(torch.cat([good, 1.01 * good[:1]]))
    with pytest.raises(ValueError, match="got 4 of 4 that are not"):
        SpecialOrthogonal(3).require(-good)
    with pytest.raises(ValueError, match="got 1 of 1 that are not"):
        SpecialUnitary(2).require(1j * torch.diag(torch.tensor([1.0, 1.0j])).to(torch.complex128))


def test_members_that_do_not_exist_say_what_to_use() -> None:
    with pytest.raises(UnsupportedError, match=r"n = 2 and n = 3 have one.*sample"):
        SpecialOrthogonal(4).quadrature(2)
    with pytest.raises(UnsupportedError, match="n = 2 and n = 3 have one"):
        Orthogonal(4).irreps(2)
    with pytest.raises(UnsupportedError, match="Unitary"):
        Unitary(2).irreps(2)
    with pytest.raises(ValueError, match=r"expected cutoff=, got None.*try cutoff=3"):
        SpecialOrthogonal(3).irreps()
    with pytest.raises(UnsupportedError, match="at most one factor"):
        DirectProduct([Torus(1), Torus(1)]).irreps(2)
