"""What does a symmetry pin? The table of fixed means and scatters, computed from the group API for each action.

For every row: how many numbers of the mean and of the scatter stay free, a basis of the free mean directions, and
the form of the scatter, written out entry by entry from the computed fixed space (equal letters are equal entries).

    python benchmarks/what_groups_pin.py
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyro_symvi.groups import (
    Antipodal,
    AxialRotation,
    AxisFlips,
    ComposedAction,
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
    TorusAction,
)


def turn(angle: float) -> Tensor:
    """Rotation of the plane."""
    c, s = math.cos(angle), math.sin(angle)
    return torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


MIRROR = torch.diag(torch.tensor([1.0, -1.0], dtype=torch.float64))
SHEAR = torch.tensor([[1.0, 0.0], [2.0, 1.0]], dtype=torch.float64)


def matrix_group(*matrices: Tensor) -> NaturalAction:
    """The natural action of the finite group that the matrices generate."""
    return NaturalAction(FiniteMatrixGroup.generated_by(list(matrices)))


def about_third_axis(matrix: Tensor) -> Tensor:
    """A plane rotation, fixing the third axis."""
    return torch.block_diag(matrix, torch.ones(1, 1, dtype=torch.float64))


def rows() -> dict[str, LinearAction]:
    """The symmetries of the table, on small spaces."""
    scale = [[1.0, 0.5, 0.0], [0.5, 2.0, 0.3], [0.0, 0.3, 1.0]]
    two_blocks = [
        CoordinatePermutation(4, blocks=[[0], [1]]),
        CoordinatePermutation(4, blocks=[[2], [3]]),
    ]
    return {
        "even": PointReflection(0.0).bind(3),
        "sign flips of 1": AxisFlips([0], 0.0).bind(3),
        "sign flips of all": AxisFlips(center=0.0).bind(3),
        "block flip of 1, 2": PointReflection(0.0, [0, 1]).bind(3),
        "conditional flip, x1 on x2 (B = 0.7)": ConditionalReflection([0]).bind(2, 0.0, [[0.7]]),
        "permutations S_4": CoordinatePermutation(4),
        "S_3 x even": ComposedAction([CoordinatePermutation(3), PointReflection(0.0).bind(3)]),
        "S_2 x S_2": ComposedAction(two_blocks),
        "signed permutations B_3": SignedCoordinatePermutation(3),
        "cyclic shifts C_5": CoordinatePermutation(5, permutations=Cyclic(5)),
        "rotation C_2 of the plane": matrix_group(turn(math.pi)),
        "rotation C_3 of the plane": matrix_group(turn(2 * math.pi / 3)),
        "dihedral D_3 of the plane": matrix_group(turn(2 * math.pi / 3), MIRROR),
        "D_3 sheared by [[1, 0], [2, 1]]": matrix_group(
            *(SHEAR @ m @ torch.linalg.inv(SHEAR) for m in (turn(2 * math.pi / 3), MIRROR))
        ),
        "one mirror D_1": matrix_group(MIRROR),
        "two circles T^2 on R^4": TorusAction(2),
        "tetrahedral T": NaturalAction(PolyhedralGroup("tetrahedral")),
        "octahedral O": NaturalAction(PolyhedralGroup("octahedral")),
        "icosahedral I": NaturalAction(PolyhedralGroup("icosahedral")),
        "SO(2)": SphereRotation(2),
        "SO(3)": SphereRotation(3),
        "O(3)": SphereRotation(3, improper=True),
        "elliptical, shape M": EllipticalRotation(0.0, scale).bind(3),
        "elliptical in 1, 2 only": EllipticalRotation(0.0, [[1.0, 0.5], [0.5, 2.0]], [0, 1]).bind(3),
        "zonal SO(2) about a = e_3": AxialRotation([0.0, 0.0, 1.0]),
        "zonal mirror, n = 2, a = e_2": AxialRotation([0.0, 1.0], improper=True),
        "C_2 about e_3": matrix_group(about_third_axis(turn(math.pi))),
        "C_3 about e_3": matrix_group(about_third_axis(turn(2 * math.pi / 3))),
        "antipodal": Antipodal(3),
    }


def term(coefficient: float, letter: str) -> str:
    """One summand, "+0.5a"."""
    size = "" if abs(abs(coefficient) - 1) < 1e-9 else f"{abs(coefficient):.4g}"
    return ("-" if coefficient < 0 else "+") + size + letter


def pattern(basis: Tensor) -> list[str]:
    """The general element of the span of ``basis [k, d, d]``, rows of letters: free entries named as they come."""
    d = basis.shape[-1]
    entries = basis.reshape(len(basis), -1)  # column = coordinates of an entry in the span
    chosen: list[int] = []
    cells: dict[int, str] = {}
    for index in range(d * d):
        column = entries[:, index]
        if float(column.abs().max()) < 1e-9 if len(column) else True:
            cells[index] = "0"
            continue
        known = entries[:, chosen]
        weights = torch.linalg.lstsq(known, column[:, None]).solution[:, 0] if chosen else torch.zeros(0).double()
        if chosen and float((known @ weights - column).abs().max()) < 1e-9:
            text = "".join(term(float(w), chr(97 + k)) for k, w in enumerate(weights) if abs(float(w)) > 1e-9)
            cells[index] = text.removeprefix("+")
        else:
            cells[index] = chr(97 + len(chosen))
            chosen.append(index)
    return [" ".join(cells[i * d + j] for j in range(d)) for i in range(d)]


def directions(basis: Tensor) -> str:
    """A readable basis of the free mean directions: reduced row echelon form."""
    if basis.shape[1] == 0:
        return "none: all of it is pinned"
    reduced, row = basis.mT.clone(), 0
    for column in range(reduced.shape[1]):
        if row == len(reduced):
            break
        pivot = int(reduced[row:, column].abs().argmax()) + row
        if float(reduced[pivot, column].abs()) < 1e-9:
            continue
        reduced[[row, pivot]] = reduced[[pivot, row]]
        reduced[row] = reduced[row] / reduced[row, column]
        others = [k for k in range(len(reduced)) if k != row]
        reduced[others] = reduced[others] - reduced[others, column][:, None] * reduced[row]
        row += 1
    return ", ".join("(" + " ".join(f"{round(v, 4) + 0.0:g}" for v in line) + ")" for line in reduced.tolist())


def main() -> None:
    print(f"{'symmetry':<38}{'mean: free':<12}{'scatter: free':<15}{'free mean directions':<36}scatter")
    for name, action in rows().items():
        vectors, matrices = action.fixed_subspace(), action.symmetric_square_fixed_subspace()
        free = f"{vectors.shape[1]} of {action.dim}"
        total = vectors.shape[0] * (vectors.shape[0] + 1) // 2
        form = "[" + " | ".join(pattern(matrices)) + "]"
        print(f"{name:<38}{free:<12}{f'{len(matrices)} of {total}':<15}{directions(vectors):<36}{form}")


if __name__ == "__main__":
    main()
