"""What each group pins of mean and scatter: the table of fixed spaces, computed from the actions."""

import math

import pytest
import torch

from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    BlockSigns,
    ConditionalReflection,
    CoordinatePermutation,
    Cyclic,
    EllipticalRotation,
    FiniteMatrixGroup,
    LinearAction,
    NaturalAction,
    PointReflection,
    PolyhedralGroup,
    SignedCoordinatePermutation,
    SphereRotation,
)
from pyro_symvi.recovery.theorems import REFLECTION_MEAN, pins
from pyro_symvi.recovery.theorems.subgroups import expanded
from pyro_symvi.recovery.theorems.target import Symmetry
from tests.recovery.theorems.settings import SHAPE, YES


def rotation(order: int, dim: int = 2) -> torch.Tensor:
    c, s = math.cos(2 * math.pi / order), math.sin(2 * math.pi / order)
    matrix = torch.eye(dim, dtype=torch.float64)
    matrix[:2, :2] = torch.tensor([[c, -s], [s, c]], dtype=torch.float64)
    return matrix


def generated(*matrices: torch.Tensor) -> LinearAction:
    return NaturalAction(FiniteMatrixGroup.generated_by(list(matrices)))


MIRROR = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
SHEAR = torch.tensor([[1.0, 0.0], [2.0, 1.0]], dtype=torch.float64)
AXIS = torch.tensor([0.0, 0.0, 1.0], dtype=torch.float64)
TABLE = {
    "even": (PointReflection(), 4, 0, 10),
    "flips of two": (AxisFlips([0, 2]), 4, 2, 5),
    "all flips": (AxisFlips(), 4, 0, 4),
    "block flip": (PointReflection(coordinates=[0, 1]), 4, 2, 6),
    "regression": (ConditionalReflection([0, 1], [0.1, 0.2], [[0.5, 1.0], [0.0, -2.0]]), 4, 2, 6),
    "permutations": (CoordinatePermutation(4), 4, 1, 2),
    "two sets of permutations": (
        generated(torch.eye(4).double()[[1, 0, 2, 3]], torch.eye(4).double()[[0, 1, 3, 2]]), 4, 2, 5,
    ),
    "cyclic shift": (CoordinatePermutation(5, permutations=Cyclic(5)), 5, 1, 3),
    "signed permutations": (SignedCoordinatePermutation(4), 4, 0, 1),
    "half a turn is even": (generated(rotation(2)), 2, 0, 3),
    "third of a turn": (generated(rotation(3)), 2, 0, 1),
    "quarter turn": (generated(rotation(4)), 2, 0, 1),
    "triangle": (generated(rotation(3), MIRROR), 2, 0, 1),
    "one mirror": (generated(MIRROR), 2, 1, 2),
    "sheared third of a turn": (generated(SHEAR @ rotation(3) @ SHEAR.inverse()), 2, 0, 1),
    "turn of a plane in space": (generated(rotation(5, 3)), 3, 1, 2),
    "tetrahedral": (NaturalAction(PolyhedralGroup("tetrahedral")), 3, 0, 1),
    "octahedral": (NaturalAction(PolyhedralGroup("octahedral")), 3, 0, 1),
    "icosahedral": (NaturalAction(PolyhedralGroup("icosahedral")), 3, 0, 1),
    "rotations": (SphereRotation(4), 4, 0, 1),
    "rotations of the plane": (SphereRotation(2), 2, 0, 1),
    "no rotations of the line": (SphereRotation(1), 1, 1, 1),
    "elliptical": (EllipticalRotation(shape=SHAPE), 3, 0, 1),
    "elliptical in two of three": (EllipticalRotation(coordinates=[0, 1]), 3, 1, 2),
    "about an axis": (AxialRotation(AXIS), 3, 1, 2),
    "cyclic about an axis, two": (generated(rotation(2, 3)), 3, 1, 4),
    "cyclic about an axis, three": (generated(rotation(3, 3)), 3, 1, 2),
    "antipodal": (Antipodal(3), 3, 0, 6),
    "signs of two blocks": (BlockSigns(4, [[0, 1], [2, 3]]), 4, 0, 6),
}  # fmt: skip


@pytest.mark.parametrize("name", TABLE, ids=lambda name: name.replace(" ", "-"))
def test_dimensions_of_the_free_spaces(name: str) -> None:
    """Of means (modulo the centre) and of scatter matrices; both checked to be fixed by every generator."""
    action, dim, means, scatters = TABLE[name]
    found = REFLECTION_MEAN.pins(action, dim)
    assert found.mean_space.shape == (dim, means)
    assert found.scatter_space.shape == (scatters, dim, dim)
    matrices = found.action.generator_matrices()
    moved = matrices @ found.mean_space
    torch.testing.assert_close(moved, found.mean_space.expand_as(moved), atol=1e-9, rtol=0)
    for a in matrices:
        torch.testing.assert_close(a @ found.scatter_space @ a.mT, found.scatter_space, atol=1e-8, rtol=0)


def test_pinned_correlations() -> None:
    assert not pins(PointReflection(), 3).pairs.any()
    assert pins(AxisFlips(), 3).pairs.sum() == 6
    assert pins(EllipticalRotation(shape=SHAPE), 3).pairs.sum() == 6
    block = pins(PointReflection(coordinates=[0, 1]), 4).pairs
    assert block[:2, 2:].all() and not block[0, 1] and not block[2, 3]
    assert not pins(CoordinatePermutation(3), 3).pairs.any()
    partly = pins(EllipticalRotation(coordinates=[0, 1]), 3).pairs
    assert partly[0, 1] and partly[0, 2] and partly[1, 2]


@pytest.mark.parametrize("kind", [PointReflection, AxisFlips, EllipticalRotation])
def test_many_coordinates_are_computed_on_a_copy(kind) -> None:
    """The same answer as from the whole space, which six coordinates still allow, repeated in eleven."""
    small, large = kind(coordinates=[0, 1, 2]), kind(coordinates=[0, 1, 2, 6, 7, 8])
    direct, copied = pins(small, 6).pairs, pins(large, 11).pairs
    assert copied[:6, :6].equal(direct)
    assert copied[0, 8] == direct[0, 1] and copied[3, 10] == direct[3, 4] and copied[8, 9] == direct[0, 4]
    assert copied.equal(copied.mT) and not copied.diagonal().any()


def test_correlations_of_a_sheared_triangle_are_those_of_the_shear() -> None:
    action = generated(SHEAR @ rotation(3) @ SHEAR.inverse())
    found = pins(action, 2)
    assert bool(found.pairs[0, 1])
    (basis,) = found.scatter_space
    correlation = basis[0, 1] / (basis[0, 0] * basis[1, 1]).sqrt()
    assert float(correlation) == pytest.approx(2 / math.sqrt(5), abs=1e-12)


def test_orbits_of_equal_means() -> None:
    assert pins(CoordinatePermutation(4), 4).orbits == ((0, 1, 2, 3),)
    assert pins(CoordinatePermutation(4, blocks=[[0, 1], [2, 3]]), 4).orbits == ((0, 2), (1, 3))
    assert pins(PointReflection(coordinates=[0]), 3).orbits == ()
    assert pins(SignedCoordinatePermutation(3), 3).orbits == ()


def test_the_regression_is_read_off_the_scatter() -> None:
    slope = torch.tensor([[0.5, 1.0], [0.0, -2.0]], dtype=torch.float64)
    found = pins(ConditionalReflection([0, 1], [0.1, 0.2], slope), 4)
    read = found.regression([0, 1], [2, 3])
    assert read is not None
    torch.testing.assert_close(read, slope, atol=1e-9, rtol=0)
    assert pins(PointReflection(), 4).regression([0, 1], [2, 3]) is None


def test_subgroups() -> None:
    shape = torch.diag(torch.tensor([1.0, 4.0], dtype=torch.float64))
    kinds = [type(s.action).__name__ for s in expanded((Symmetry(EllipticalRotation(shape=shape), YES),), 2)]
    assert kinds.count("PointReflection") == 3 and "AxisFlips" in kinds and "NaturalAction" in kinds
    sheared = expanded((Symmetry(EllipticalRotation(shape=SHAPE), YES),), 3)
    assert [type(s.action).__name__ for s in sheared] == ["EllipticalRotation", "PointReflection"]
    for symmetry in expanded((Symmetry(EllipticalRotation(shape=shape), YES),), 2):
        for a in pins(symmetry.action, 2).action.generator_matrices():
            torch.testing.assert_close(a @ shape @ a.mT, shape, atol=1e-12, rtol=0)
    quarter = expanded((Symmetry(generated(rotation(4)), YES),), 2)
    assert [type(s.action).__name__ for s in quarter] == ["NaturalAction", "PointReflection"]
    assert len(expanded((Symmetry(generated(rotation(3)), YES),), 2)) == 1


def test_a_dimension_is_needed() -> None:
    with pytest.raises(ValueError, match="expected a dimension for"):
        REFLECTION_MEAN.pins(PointReflection())
