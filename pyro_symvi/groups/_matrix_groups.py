"""Finite groups of matrices: the closure of given ones, and the rotation groups of the Platonic solids."""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from .._value import positive_int
from ._group import Group
from ._mulliken import cubic_labels

Solid = Literal["tetrahedral", "octahedral", "icosahedral"]


class _ListedMatrices(Group):
    """A finite group given by its matrices ``[order, n, n]``, identity first."""

    @abstractmethod
    def _list(self) -> Tensor: ...

    @abstractmethod
    def _generating(self) -> Tensor: ...

    @property
    def n(self) -> int:
        """Size of the matrices."""
        return self._list().shape[-1]

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (self.n, self.n)

    @property
    def order(self) -> int:
        return len(self._list())

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return torch.eye(self.n, dtype=dtype, device=device)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        return a @ b

    def _inverse(self, a: Tensor) -> Tensor:
        return torch.linalg.inv(a)

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        known = self._list().to(a)
        return ((a[..., None, :, :] - known).abs().amax((-2, -1)) <= tolerance).any(-1)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self._generating().to(dtype=dtype, device=device)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self._list().to(dtype=dtype, device=device)


@dataclass(frozen=True, eq=False, repr=False)
class FiniteMatrixGroup(_ListedMatrices):
    """A finite group of real matrices, made by :meth:`generated_by`; elements ``[..., n, n]``.

    >>> turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    >>> FiniteMatrixGroup.generated_by([turn]).order
    4
    """

    generating: Tensor
    matrices: Tensor

    @staticmethod
    def generated_by(matrices: Sequence[Tensor] | Tensor, *, max_order: int = 10_000) -> FiniteMatrixGroup:
        """All products of ``matrices`` ``[k, n, n]`` and their inverses; ValueError past ``max_order`` of them."""
        positive_int(max_order, "max_order")
        stacked = matrices if isinstance(matrices, Tensor) else torch.stack([torch.as_tensor(m) for m in matrices])
        generating = stacked.double()
        if generating.ndim != 3 or generating.shape[-1] != generating.shape[-2] or len(generating) == 0:
            raise ValueError(f"expected square matrices [k, n, n] with k >= 1, got shape {list(generating.shape)}")
        if not bool(torch.isfinite(generating).all()):
            raise ValueError("expected finite matrices, got nan or inf")
        sizes = torch.linalg.slogdet(generating).logabsdet.abs()
        if float(sizes.max()) > 1e-6:
            raise ValueError(
                "expected matrices of determinant +1 or -1, got another, because powers of any other matrix never "
                "return to the identity; try the orthogonal factor"
            )
        return FiniteMatrixGroup(generating.clone(), _closure(generating, max_order))

    def _list(self) -> Tensor:
        return self.matrices

    def _generating(self) -> Tensor:
        return self.generating

    def __repr__(self) -> str:
        return f"FiniteMatrixGroup(order={self.order}, n={self.n})"


@dataclass(frozen=True, eq=False, repr=False)
class PolyhedralGroup(_ListedMatrices):
    """Rotations of the tetrahedron (T, order 12), cube (O, 24) or icosahedron (I, 60); with inversion T_h, O_h, I_h.

    Matrices ``[..., 3, 3]``; the cube's axes are the coordinate axes and the others are inscribed in it. ``solid`` is
    ``"tetrahedral"``, ``"octahedral"`` or ``"icosahedral"``, or a Schoenflies symbol: ``"T"``, ``"O"``, ``"I"``, and
    ``"Th"``, ``"Oh"``, ``"Ih"`` with inversion.

    Raises:
        ValueError: for an unknown solid.
        TypeError: unless ``inversion`` is a bool.
    """

    solid: Solid
    inversion: bool = False

    def __post_init__(self) -> None:
        known = ("tetrahedral", "octahedral", "icosahedral")
        symbol = str(self.solid).replace("_", "")
        for name in known:
            if symbol in (name[0].upper(), name[0].upper() + "h"):
                object.__setattr__(self, "solid", name)
                object.__setattr__(self, "inversion", self.inversion or symbol.endswith("h"))
        if self.solid not in known:
            raise ValueError(
                f"expected solid to be one of {', '.join(known)} or T, O, I, Th, Oh, Ih, got {self.solid!r}"
            )
        if not isinstance(self.inversion, bool):
            raise TypeError(f"expected inversion to be a bool, got {self.inversion!r}")

    def _list(self) -> Tensor:
        return _polyhedral(self.solid, self.inversion)[1]

    def _generating(self) -> Tensor:
        return _polyhedral(self.solid, self.inversion)[0]

    def _irrep_labels(self, matrices: list[Tensor]) -> list[str]:
        """Mulliken symbols: A, E, T, G, H by dimension; T1 is the natural representation; g and u by inversion."""
        return cubic_labels(self._list(), [m.diagonal(dim1=-2, dim2=-1).sum(-1) for m in matrices])


@functools.lru_cache(maxsize=6)
def _polyhedral(solid: str, inversion: bool) -> tuple[Tensor, Tensor]:
    eye = torch.eye(3, dtype=torch.float64)
    third = eye[[1, 2, 0]]  # about (1, 1, 1)
    half = torch.diag(torch.tensor([-1.0, -1.0, 1.0], dtype=torch.float64))
    quarter = torch.tensor([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    found = [third, quarter if solid == "octahedral" else half]
    if solid == "icosahedral":
        golden = (1 + math.sqrt(5)) / 2
        axis = torch.tensor([0.0, 1.0, golden], dtype=torch.float64) / math.sqrt(2 + golden)
        found.append(_rotation(axis, 2 * math.pi / 5))
    if inversion:
        found.append(-eye)
    generating = torch.stack(found)
    return generating, _closure(generating, 120)


def _rotation(axis: Tensor, angle: float) -> Tensor:
    """Rodrigues' formula for a unit axis."""
    x, y, z = axis.tolist()
    cross = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return torch.eye(3, dtype=torch.float64) + math.sin(angle) * cross + (1 - math.cos(angle)) * cross @ cross


def _closure(generating: Tensor, max_order: int, tolerance: float = 1e-7) -> Tensor:
    """Every product of the matrices, identity first, layer by layer of word length.

    A new product is looked up by a generic linear function of its entries and compared entry by entry.
    """
    n = generating.shape[-1]
    mix = torch.Generator().manual_seed(577215)
    weights = torch.randn(n * n, generator=mix, dtype=torch.float64)
    known = torch.eye(n, dtype=torch.float64)[None]
    frontier = known
    while len(frontier):
        words = (frontier[:, None] @ generating).reshape(-1, n, n)
        words = words[(words.flatten(1) @ weights).argsort()]
        fresh = torch.ones(len(words), dtype=torch.bool)
        fresh[1:] = (words[1:] - words[:-1]).abs().amax((1, 2)) > tolerance
        words = words[fresh]
        values, order = (known.flatten(1) @ weights).sort()
        wanted = words.flatten(1) @ weights
        right = torch.searchsorted(values, wanted).clamp(max=len(values) - 1)
        left = (right - 1).clamp(min=0)
        near = torch.stack([order[left], order[right]], 1)
        old = ((known[near] - words[:, None]).abs().amax((2, 3)) <= tolerance).any(1)
        frontier = words[~old]
        known = torch.cat([known, frontier])
        if len(known) > max_order:
            raise ValueError(
                f"expected a group of order at most {max_order}, got more than that, because the matrices may "
                "generate an infinite group; try exact entries, or a larger max_order"
            )
    return known
