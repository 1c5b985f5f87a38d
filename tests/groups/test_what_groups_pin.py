"""What a symmetry pins, against hand counts, the count by irreducible parts, and averages over draws."""

import math

import pytest
import torch

from benchmarks.what_groups_pin import main, pattern, rows
from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    FiniteMatrixGroup,
    LinearAction,
    NaturalAction,
    PermutationGroup,
    SignedCoordinatePermutation,
    SphereRotation,
)

#: free numbers of the mean and of the scatter, by hand from the theory
KNOWN: dict[str, tuple[int, int]] = {
    "even": (0, 6),
    "sign flips of 1": (2, 4),
    "sign flips of all": (0, 3),
    "block flip of 1, 2": (1, 4),
    "conditional flip, x1 on x2 (B = 0.7)": (1, 2),
    "permutations S_4": (1, 2),
    "S_3 x even": (0, 2),
    "S_2 x S_2": (2, 5),
    "signed permutations B_3": (0, 1),
    "cyclic shifts C_5": (1, 5 // 2 + 1),
    "rotation C_2 of the plane": (0, 3),
    "rotation C_3 of the plane": (0, 1),
    "dihedral D_3 of the plane": (0, 1),
    "D_3 sheared by [[1, 0], [2, 1]]": (0, 1),
    "one mirror D_1": (1, 2),
    "two circles T^2 on R^4": (0, 2),
    "tetrahedral T": (0, 1),
    "octahedral O": (0, 1),
    "icosahedral I": (0, 1),
    "SO(2)": (0, 1),
    "SO(3)": (0, 1),
    "O(3)": (0, 1),
    "elliptical, shape M": (0, 1),
    "elliptical in 1, 2 only": (1, 2),
    "zonal SO(2) about a = e_3": (1, 2),
    "zonal mirror, n = 2, a = e_2": (1, 2),
    "C_2 about e_3": (1, 4),
    "C_3 about e_3": (1, 2),
    "antipodal": (0, 6),
}


def test_every_row_of_the_table() -> None:
    found = {
        name: (action.fixed_subspace().shape[1], len(action.symmetric_square_fixed_subspace()))
        for name, action in rows().items()
    }
    assert found == KNOWN


def test_patterns() -> None:
    forms = {name: pattern(action.symmetric_square_fixed_subspace()) for name, action in rows().items()}
    assert forms["permutations S_4"] == ["a b b b", "b a b b", "b b a b", "b b b a"]
    assert forms["D_3 sheared by [[1, 0], [2, 1]]"] == ["a 2a", "2a 5a"], "A A^T: the invariant metric"
    assert forms["zonal SO(2) about a = e_3"] == ["a 0 0", "0 a 0", "0 0 b"]


def test_finite_symmetry_pins_a_correlation() -> None:
    """C_3 or D_3 sheared by A: the scatter is a multiple of A A^T, correlation 2 / sqrt 5 = 0.8944272."""
    (pinned,) = rows()["D_3 sheared by [[1, 0], [2, 1]]"].symmetric_square_fixed_subspace()
    correlation = float(pinned[0, 1] / (pinned[0, 0] * pinned[1, 1]).sqrt())
    assert correlation == pytest.approx(0.8944272, abs=1e-7)


I4 = torch.tensor([[0, -1, 0, 0], [1, 0, 0, 0], [0, 0, 0, -1], [0, 0, 1, 0]], dtype=torch.float64)
J4 = torch.tensor([[0, 0, -1, 0], [0, 0, 0, 1], [1, 0, 0, 0], [0, -1, 0, 0]], dtype=torch.float64)


@pytest.mark.parametrize(
    "action",
    [
        CoordinatePermutation(6, permutations=Cyclic(6)),
        CoordinatePermutation(6, blocks=[[0, 1], [2, 3], [4, 5]], permutations=Cyclic(3)),
        CoordinatePermutation(8, permutations=PermutationGroup.generated_by([[1, 2, 0, 3, 4, 5, 7, 6]])),
        NaturalAction(FiniteMatrixGroup.generated_by([I4, J4])),
        NaturalAction(FiniteMatrixGroup.generated_by([torch.block_diag(I4, I4), torch.block_diag(J4, J4)])),
        SignedCoordinatePermutation(4),
    ],
    ids=["C6", "C3 on pairs", "C3 x C2", "quaternions", "quaternions twice", "B4"],
)
def test_count_by_irreducible_parts(action: LinearAction) -> None:
    """dim (Sym^2 V)^G = sum over irreducible parts of m(m+1)/2 (real), m^2 (complex), m(2m-1) (quaternionic)."""
    g = action.group.elements()
    trace = action.matrix(g).double().diagonal(dim1=-2, dim2=-1).sum(-1)
    free, blocks = 0, []
    for r in action.group.irreps():
        size = {"real": 1, "complex": 2, "quaternionic": 4}[r.kind]
        m = round(float((r.character(g) * trace).mean())) // size
        free += {"real": m * (m + 1) // 2, "complex": m**2, "quaternionic": m * (2 * m - 1)}[r.kind]
        if m:
            blocks.append(m * r.dimension)
    assert len(action.symmetric_square_fixed_subspace()) == free
    assert sorted(round(float(p.trace())) for p in action.isotypic_projections()) == sorted(blocks)


def test_fixed_spaces_of_infinite_groups_against_averages() -> None:
    """Draws: E A_g v is the projection of v; 5 standard errors of 20,000 draws."""
    action = SphereRotation(3)
    g = action.group.sample(20_000, generator=torch.Generator().manual_seed(0))
    s = torch.tensor([[2.0, 1.0, 0.0], [1.0, 0.0, -1.0], [0.0, -1.0, 1.0]], dtype=torch.float64)
    images = g @ s @ g.mT
    error = images.std(0) / math.sqrt(len(g))
    (identity,) = action.symmetric_square_fixed_subspace()
    wanted = identity * (identity * s).sum()
    assert bool(((images.mean(0) - wanted).abs() < 5 * error + 1e-12).all())


def test_the_script_prints_every_row(capsys: pytest.CaptureFixture[str]) -> None:
    main()
    printed = capsys.readouterr().out
    assert all(name in printed for name in KNOWN)
