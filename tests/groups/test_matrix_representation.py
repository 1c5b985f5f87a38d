"""Representations by listed matrices, under the contract of linear actions."""

import math

import pytest
import torch
from torch import Tensor

from pyro_symvi.groups import (
    CoordinatePermutation,
    Cyclic,
    Dihedral,
    Group,
    MatrixRepresentation,
    NaturalAction,
    PolyhedralGroup,
    SignFlips,
    SpecialOrthogonal,
    Symmetric,
)
from tests.contracts.action import LinearActionContract

SHEAR = torch.tensor([[1.0, 0.7, 0.0], [0.0, 1.0, 0.0], [0.2, 0.0, 2.0]], dtype=torch.float64)


def listed(group: Group, other: object) -> MatrixRepresentation:
    return MatrixRepresentation(group, other.matrix(group.elements()))  # type: ignore[attr-defined]


def turns(n: int, power: int = 1) -> Tensor:
    """Turns of the first two of three coordinates by 2 pi power k / n."""
    angle = 2 * math.pi * power / n * torch.arange(n, dtype=torch.float64)
    found = torch.eye(3, dtype=torch.float64).repeat(n, 1, 1)
    found[:, 0, 0], found[:, 1, 1], found[:, 0, 1], found[:, 1, 0] = angle.cos(), angle.cos(), -angle.sin(), angle.sin()
    return found


MIRROR = torch.diag(torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64))
REPRESENTATIONS = {
    "mirror": MatrixRepresentation(SignFlips(1), torch.stack([torch.eye(3), MIRROR.float()])),
    "D_3 with mirrors": MatrixRepresentation(Dihedral(3), torch.cat([turns(3), turns(3) @ MIRROR])),
    "not faithful": MatrixRepresentation(Cyclic(4), turns(4, 2)),
    "sheared turns": MatrixRepresentation(Cyclic(3), SHEAR @ turns(3) @ torch.linalg.inv(SHEAR)),
    "S_3 on coordinates": listed(Symmetric(3), CoordinatePermutation(3)),
    "rotations of the tetrahedron": listed(
        PolyhedralGroup("tetrahedral"), NaturalAction(PolyhedralGroup("tetrahedral"))
    ),
}


class TestMatrixRepresentations(LinearActionContract):
    tolerance = 1e-9

    @pytest.fixture(params=list(REPRESENTATIONS))
    def action(self, request: pytest.FixtureRequest) -> MatrixRepresentation:
        return REPRESENTATIONS[request.param]


def test_listed_matrices_act_as_the_action_they_are_of() -> None:
    group, x = Symmetric(3), torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    torch.testing.assert_close(REPRESENTATIONS["S_3 on coordinates"].orbit(x), CoordinatePermutation(3).orbit(x))
    rolled = group.elements().roll(2, 0)
    torch.testing.assert_close(
        REPRESENTATIONS["S_3 on coordinates"].matrix(rolled), CoordinatePermutation(3).matrix(rolled)
    )


def test_what_is_no_representation_is_refused() -> None:
    for group, matrices, words in (
        (Cyclic(3), turns(3)[[0, 2, 2]], "expected matrices of a representation, got A_g A_h and A_gh .* apart"),
        (Cyclic(4), turns(5)[:4], "expected matrices of a representation"),
        (Dihedral(3), torch.cat([turns(3), MIRROR @ turns(3)]), "expected matrices of a representation"),
        (Cyclic(3), torch.zeros(3, 2, 2), "expected the identity matrix for the identity"),
        (Cyclic(3), turns(3).roll(1, 0), "expected the identity matrix for the identity"),
        (Cyclic(2), torch.full((2, 2, 2), math.nan), "expected the identity matrix for the identity"),
        (Cyclic(3), turns(3)[:2], r"expected one square matrix for each of 3 elements, got \[2, 3, 3\]"),
        (Cyclic(3), turns(3)[:, :2], r"got \[3, 2, 3\]"),
    ):
        with pytest.raises(ValueError, match=words):
            MatrixRepresentation(group, matrices)
    with pytest.raises(TypeError, match="expected a finite group"):
        MatrixRepresentation(SpecialOrthogonal(3), turns(3))
