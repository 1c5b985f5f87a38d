"""Finite groups: the contract for each, known orders, closures, and sympy's answers for permutation groups."""

import math

import pytest
import torch
from sympy.combinatorics.named_groups import AlternatingGroup

from pyro_symvi.groups import (
    Cyclic,
    Dihedral,
    FiniteMatrixGroup,
    Group,
    PermutationGroup,
    PermutationLike,
    PolyhedralGroup,
    SignedPermutations,
    Symmetric,
)
from tests.contracts.group import GroupContract

RUBIK = [  # the 2x2x2 cube with one corner fixed would do; this is the 3-cycle and the swap that generate S_12
    [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 0],
    [1, 0, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11],
]
ALTERNATING_5 = [[1, 2, 0, 3, 4], [0, 1, 3, 4, 2]]


def rotation(angle: float) -> torch.Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


GROUPS: dict[str, tuple[Group, int]] = {
    "C1": (Cyclic(1), 1),
    "C2": (Cyclic(2), 2),
    "C7": (Cyclic(7), 7),
    "D1": (Dihedral(1), 2),
    "D2": (Dihedral(2), 4),
    "D5": (Dihedral(5), 10),
    "S1": (Symmetric(1), 1),
    "S2": (Symmetric(2), 2),
    "S4": (Symmetric(4), 24),
    "S5": (Symmetric(5), 120),
    "S30": (Symmetric(30), math.factorial(30)),
    "B1": (SignedPermutations(1), 2),
    "B3": (SignedPermutations(3), 48),
    "B20": (SignedPermutations(20), 2**20 * math.factorial(20)),
    "A5": (PermutationGroup.generated_by(ALTERNATING_5), 60),
    "S12 generated": (PermutationGroup.generated_by(RUBIK), math.factorial(12)),
    "C6 matrices": (FiniteMatrixGroup.generated_by([rotation(math.pi / 3)]), 6),
    "T": (PolyhedralGroup("tetrahedral"), 12),
    "O": (PolyhedralGroup("octahedral"), 24),
    "I": (PolyhedralGroup("icosahedral"), 60),
    "Th": (PolyhedralGroup("tetrahedral", inversion=True), 24),
    "Oh": (PolyhedralGroup("octahedral", inversion=True), 48),
    "Ih": (PolyhedralGroup("icosahedral", inversion=True), 120),
}


class TestFiniteGroups(GroupContract):
    @pytest.fixture(params=list(GROUPS))
    def group(self, request: pytest.FixtureRequest) -> Group:
        return GROUPS[request.param][0]


@pytest.mark.parametrize("name", list(GROUPS))
def test_orders(name: str) -> None:
    group, order = GROUPS[name]
    assert group.order == order and group.dim == 0 and group.is_compact and group.is_finite
    assert group.log_order == pytest.approx(math.log(order))


@pytest.mark.parametrize("group", [Cyclic(6), Dihedral(6), Symmetric(5), PermutationGroup.generated_by(ALTERNATING_5)])
def test_permutations_are_a_homomorphism(group: PermutationLike) -> None:
    g = group.elements()
    a, b = group.as_permutation(g)[:, None], group.as_permutation(g)[None]
    a, b = torch.broadcast_tensors(a, b)
    assert torch.equal(group.as_permutation(group.compose(g[:, None], g[None])), a.gather(-1, b))


def test_schreier_sims_against_enumeration() -> None:
    """Elements and draws of A_5 are exactly its 60 even permutations; each is drawn equally often (chi-square)."""
    group = PermutationGroup.generated_by(ALTERNATING_5)
    listed = {tuple(row) for row in group.elements().tolist()}
    assert listed == {tuple(p.array_form) for p in AlternatingGroup(5).generate()}
    draws = group.sample(30_000, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(group.index(draws), minlength=60).double()
    chi_square = float(((counts - 500) ** 2 / 500).sum())
    assert chi_square < 59 + 5 * (2 * 59) ** 0.5, "59 degrees of freedom; five standard deviations"
    odd = torch.tensor([1, 0, 2, 3, 4])
    assert not bool(group.contains(odd)) and bool(group.contains(group.elements()).all())
    assert not bool(group.contains(torch.tensor([0, 0, 1, 2, 3])))
    assert PermutationGroup.generated_by([[1, 0, 2, 4, 3, 5]]).orbits() == [[0, 1], [2], [3, 4], [5]]


def test_large_permutation_group_is_not_listed() -> None:
    big = PermutationGroup.generated_by([[*range(1, 40), 0], [1, 0, *range(2, 40)]])
    assert big.order == math.factorial(40)
    assert bool(big.contains(big.sample(3, generator=torch.Generator().manual_seed(0))).all())
    with pytest.raises(ValueError, match="expected an order of at most 1000000"):
        big.elements()


@pytest.mark.parametrize("group", [Symmetric(4), SignedPermutations(3), Dihedral(5), Cyclic(7)])
def test_uniform_sampling(group: Group) -> None:
    n = int(group.order)
    draws = group.sample(500 * n, generator=torch.Generator().manual_seed(0))
    counts = torch.bincount(group.index(draws), minlength=n).double()
    assert float(((counts - 500) ** 2 / 500).sum()) < n - 1 + 5 * (2 * (n - 1)) ** 0.5


def test_polyhedral_groups_move_their_solid() -> None:
    golden = (1 + 5**0.5) / 2
    ring = [[0.0, a, b * golden] for a in (1, -1) for b in (1, -1)]
    corners = torch.tensor([row[-k:] + row[:-k] for row in ring for k in range(3)], dtype=torch.float64)
    images = PolyhedralGroup("icosahedral", inversion=True).elements()[:, None] @ corners[..., None]
    nearest = (images[:, :, None, :, 0] - corners).norm(dim=-1).amin(-1)
    assert float(nearest.max()) < 1e-12
    proper = PolyhedralGroup("icosahedral").elements()
    assert bool(torch.allclose(torch.linalg.det(proper), torch.ones(60, dtype=torch.float64)))
    octahedral = PolyhedralGroup("octahedral")
    assert bool(octahedral.contains(PolyhedralGroup("tetrahedral").elements()).all())
    assert not bool(PolyhedralGroup("icosahedral").contains(octahedral.elements()).all())


def test_classes_and_tables() -> None:
    octahedral = PolyhedralGroup("octahedral")
    sizes = octahedral.character_table().class_sizes
    assert sorted(sizes.tolist()) == [1, 3, 6, 6, 8]
    table = octahedral.multiplication_table()
    elements = octahedral.elements()
    assert torch.allclose(elements[table[3, 5]], elements[3] @ elements[5])
    assert octahedral.index(octahedral.identity()).item() == 0
    with pytest.raises(ValueError, match="not in its list"):
        octahedral.index(torch.eye(3, dtype=torch.float64) * 0.5)


def test_closure_of_matrices() -> None:
    quaternion_i = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]], dtype=torch.float64)
    quaternion_j = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]], dtype=torch.float64)
    group = FiniteMatrixGroup.generated_by([quaternion_i, quaternion_j])
    assert group.order == 8 and "order=8" in repr(group)
    shear = torch.tensor([[1.0, 0.7], [0.0, 1.0]], dtype=torch.float64)
    oblique = FiniteMatrixGroup.generated_by([shear @ rotation(2 * math.pi / 5) @ torch.linalg.inv(shear)])
    assert oblique.order == 5
    assert FiniteMatrixGroup.generated_by([rotation(2 * math.pi / 997)]).order == 997


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: FiniteMatrixGroup.generated_by([rotation(1.0)], max_order=500), ValueError, "order at most 500, got"),
        (lambda: FiniteMatrixGroup.generated_by([2 * torch.eye(2)]), ValueError, "determinant"),
        (lambda: FiniteMatrixGroup.generated_by([torch.ones(2, 3)]), ValueError, "expected square matrices"),
        (lambda: FiniteMatrixGroup.generated_by([torch.full((2, 2), math.nan)]), ValueError, "finite matrices"),
        (lambda: PolyhedralGroup("cubic"), ValueError, "expected solid to be one of tetrahedral"),
        (lambda: PermutationGroup.generated_by([[0, 2]]), ValueError, "expected permutations of 0, ..., 1"),
        (lambda: PermutationGroup.generated_by([]), ValueError, "at least one permutation"),
        (lambda: Symmetric(0), ValueError, "expected n >= 1"),
        (lambda: Symmetric(12).elements(), ValueError, "larger groups are never enumerated"),
        (lambda: Symmetric(8).multiplication_table(), ValueError, "expected an order of at most 2048, got 40320"),
    ],
)
def test_errors(make: object, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        make()  # type: ignore[operator]
