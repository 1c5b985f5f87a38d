"""Point groups of molecules and crystals by their Schoenflies or Hermann-Mauguin symbols."""

from __future__ import annotations

import functools
import math
import re
from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._irreps import Irrep
from ._matrix_groups import _closure, _ListedMatrices, _polyhedral
from ._mulliken import axial_labels, cubic_labels, published_order
from ._quadrature import plane_rotation
from ._wigner import wigner_d

#: The 32 crystallographic point groups: Hermann-Mauguin symbol (international short form) and Schoenflies symbol.
CRYSTALLOGRAPHIC = {
    "1": "C1",
    "-1": "Ci",
    "2": "C2",
    "m": "Cs",
    "2/m": "C2h",
    "222": "D2",
    "mm2": "C2v",
    "mmm": "D2h",
    "4": "C4",
    "-4": "S4",
    "4/m": "C4h",
    "422": "D4",
    "4mm": "C4v",
    "-42m": "D2d",
    "4/mmm": "D4h",
    "3": "C3",
    "-3": "S6",
    "32": "D3",
    "3m": "C3v",
    "-3m": "D3d",
    "6": "C6",
    "-6": "C3h",
    "6/m": "C6h",
    "622": "D6",
    "6mm": "C6v",
    "-6m2": "D3h",
    "6/mmm": "D6h",
    "23": "T",
    "m-3": "Th",
    "432": "O",
    "-43m": "Td",
    "m-3m": "Oh",
}
ALSO = {"-4m2": "D2d", "-62m": "D3h", "m3": "Th", "m3m": "Oh", "C1v": "Cs", "C1h": "Cs", "S1": "Cs", "S2": "Ci"} | {
    "D1": "C2",
    "D1h": "C2v",
    "D1d": "C2h",
    "C3i": "S6",
}
SOLIDS = {"T": "tetrahedral", "O": "octahedral", "I": "icosahedral"}


@dataclass(frozen=True, eq=False, repr=False)
class PointGroup(_ListedMatrices):
    """The point group of a Schoenflies symbol, matrices ``[..., 3, 3]``: C1, Cs, Ci, Cn, Cnv, Cnh, S2n, Dn, Dnh, Dnd
    for any n, T, Td, Th, O, Oh, I, Ih; or of the Hermann-Mauguin symbol of a crystallographic one ("mm2", "-3m").

    Axes: the principal axis is z, the horizontal mirror plane (also that of Cs) is xy; the twofold axes of Dn, Dnh
    and Dnd include x; the mirror planes of Cnv include xz. Cubic groups as :class:`PolyhedralGroup`: fourfold axes
    (for T and I twofold ones) along x, y, z. A symbol names the group up to orientation: turn the points, or use
    :class:`FiniteMatrixGroup`, where axes lie otherwise (monoclinic crystals are often set along y).

    Irreducible representations carry Mulliken symbols and come in the order of printed tables: B1 of C2v is even
    under the plane xz; B1, B2, B3 of D2 and D2h are even under the twofold rotations about z, y, x; B1 is even under
    the axis x of Dn (n > 2), Dnh, Dnd and under the plane xz of Cnv. A conjugate pair of complex ones is one real E.

    >>> [irrep.label for irrep in PointGroup("C3v").irreps()]
    ['A1', 'A2', 'E']

    Raises:
        TypeError: for anything but a string.
    """

    symbol: str

    def __post_init__(self) -> None:
        if not isinstance(self.symbol, str):
            raise TypeError(f"expected the symbol of a point group, got {self.symbol!r}; try 'C3v' or '-43m'")
        object.__setattr__(self, "symbol", _schoenflies(self.symbol))

    @staticmethod
    def crystallographic() -> tuple[PointGroup, ...]:
        """The 32 groups of crystals, in the order of the International Tables."""
        return tuple(PointGroup(symbol) for symbol in CRYSTALLOGRAPHIC.values())

    @property
    def hermann_mauguin(self) -> str | None:
        """The international symbol of a crystallographic group; None for the others."""
        return {value: key for key, value in CRYSTALLOGRAPHIC.items()}.get(self.symbol)

    def branching(self, degree: int, sigma: int = 1) -> dict[str, int]:
        """How the representation (l, sigma) of O(3) splits in this group: Mulliken symbol -> multiplicity.

        (1, 1) is a polar vector, (1, -1) an axial one, (l, 1) the harmonics of degree l: the splitting of atomic
        levels in a crystal field, and the sectors of this group into which an energy B_(l, sigma) goes.

        >>> PointGroup("Oh").branching(2)
        {'Eg': 1, 'T2g': 1}
        """
        positive_int(degree, "degree", 0)
        if sigma not in (1, -1):
            raise ValueError(f"expected sigma as 1 (polar tensors) or -1 (axial ones), got {sigma!r}")
        g = self._list()
        sign = torch.linalg.det(g).sign()
        character = wigner_d(degree, sign[:, None, None] * g).diagonal(dim1=-2, dim2=-1).sum(-1)
        character = torch.where(sign > 0, 1, sigma * (-1) ** degree) * character
        found = {}
        for irrep in self.irreps():
            own = irrep.character(g)
            times = round(float((own * character).mean() / own.square().mean()))
            if times:
                found[str(irrep.label)] = times
        return found

    def _list(self) -> Tensor:
        return _listed(self.symbol)[1]

    def _generating(self) -> Tensor:
        return _listed(self.symbol)[0]

    def _finite_irreps(self) -> tuple[Irrep, ...]:
        return tuple(sorted(super()._finite_irreps(), key=lambda irrep: published_order(str(irrep.label))))

    def _irrep_labels(self, matrices: list[Tensor]) -> list[str]:
        characters = [m.diagonal(dim1=-2, dim2=-1).sum(-1) for m in matrices]
        if self.symbol[0] in SOLIDS:
            return cubic_labels(self._list(), characters)
        turn, side = _axes(self.symbol)
        three = self.symbol in ("D2", "D2h")
        return axial_labels(self._list(), characters, turn=turn, side=side, three_axes=three)


def _schoenflies(text: str) -> str:
    """The Schoenflies symbol in its usual form; ValueError for anything that is none."""
    plain = re.sub(r"[\s_{}()]", "", text).replace("\u2212", "-")
    symbol = plain[:1].upper() + plain[1:].lower()
    for candidate in (plain, symbol):
        if candidate in CRYSTALLOGRAPHIC or candidate in ALSO:
            return CRYSTALLOGRAPHIC.get(candidate) or ALSO[candidate]
    if symbol in ("Cs", "Ci", "T", "Td", "Th", "O", "Oh", "I", "Ih"):
        return symbol
    match = re.fullmatch(r"(C|D|S)([1-9]\d*)([vhd]?)", symbol)
    if match and match[1] + match[3] in ("C", "Cv", "Ch", "S", "D", "Dh", "Dd"):
        return f"C{match[2]}h" if match[1] == "S" and int(match[2]) % 2 else symbol
    raise ValueError(
        f"expected the symbol of a point group, got {text!r}; try C1, Cs, Ci, Cn, Cnv, Cnh, S2n, Dn, Dnh, Dnd with a "
        "number for n, T, Td, Th, O, Oh, I, Ih, or an international symbol such as '-43m' (axes of infinite order: "
        "SpecialOrthogonal, Orthogonal)"
    )


def _axes(symbol: str) -> tuple[Tensor, Tensor | None]:
    """The generator of the principal rotations, and a twofold axis or vertical mirror plane beside it."""
    if symbol in ("C1", "Cs", "Ci"):
        return torch.eye(3, dtype=torch.float64), None
    n, ending = int(re.sub(r"\D", "", symbol)), symbol[-1]
    if symbol[0] == "S":
        return _turn(n, improper=n % 4 == 0) if n % 4 == 0 else _turn(n // 2), None
    doubled = ending == "d" and n % 2 == 0
    turn = _turn(2 * n, improper=True) if doubled else _turn(n)
    if symbol[0] == "D":
        return turn, _signs(1, -1, -1)
    return turn, _signs(1, -1, 1) if ending == "v" else None


@functools.lru_cache(maxsize=64)
def _listed(symbol: str) -> tuple[Tensor, Tensor]:
    """Generators and elements."""
    if symbol in ("T", "Th", "O", "Oh", "I", "Ih"):
        return _polyhedral(SOLIDS[symbol[0]], symbol.endswith("h"))
    if symbol == "Td":
        found = [_polyhedral("tetrahedral", False)[0][0], _turn(4, improper=True)]
    else:
        turn, side = _axes(symbol)
        found = [turn] if side is None else [turn, side]
        if symbol == "Cs" or symbol.endswith("h"):
            found.append(_signs(1, 1, -1))
        elif symbol == "Ci" or (symbol[0] == "S" and int(symbol[1:]) % 4 == 2) or _odd_staggered(symbol):
            found.append(_signs(-1, -1, -1))
    eye = torch.eye(3, dtype=torch.float64)
    kept = [g for g in found if float((g - eye).abs().max()) > 1e-12]
    generating = torch.stack(kept) if kept else eye[None][:0]
    return generating, _closure(generating, 1_000_000) if kept else eye[None]


def _odd_staggered(symbol: str) -> bool:
    return symbol[0] == "D" and symbol[-1] == "d" and int(symbol[1:-1]) % 2 == 1


def _turn(n: int, *, improper: bool = False) -> Tensor:
    """The rotation by 2 pi / n about z, followed by the mirror plane xy if improper."""
    turned = plane_rotation(torch.tensor(2 * math.pi / n, dtype=torch.float64))
    turned = torch.where(turned.abs() < 1e-15, 0.0, turned)
    return _signs(1, 1, -1) @ turned if improper else turned


def _signs(x: float, y: float, z: float) -> Tensor:
    return torch.diag(torch.tensor([x, y, z], dtype=torch.float64))
