"""Groups of tuples, and direct products. An element is one tensor: its parts, flattened, side by side."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._errors import UnsupportedError, sentence
from ._group import Group, Quadrature
from ._irreps import Irrep, Kind


class ProductLike(Group):
    """Groups whose elements are tuples of elements of ``parts``, packed in one real tensor ``[..., total]``.

    Integers are kept exactly (as floats), complex entries as pairs. :meth:`pack` and :meth:`unpack` convert.
    """

    @property
    @abstractmethod
    def parts(self) -> tuple[Group, ...]:
        """The factors, in order."""

    def pack(self, *elements: Tensor) -> Tensor:
        """One element from its parts, each ``[*batch, *element_shape]`` (batches broadcast): ``[*batch, total]``."""
        if len(elements) != len(self.parts):
            raise ValueError(
                f"expected {len(self.parts)} elements, one for each factor of {self!r}, got {len(elements)}"
            )
        flat = []
        for group, g in zip(self.parts, elements, strict=True):
            g = group._checked(g, "an element")
            batch = g.shape[: g.ndim - len(group.element_shape)]
            g = torch.view_as_real(g) if g.is_complex() else g
            flat.append(g.reshape(*batch, -1))
        inexact = [f.dtype for f in flat if f.is_floating_point()]
        dtype = max(inexact, key=lambda d: torch.finfo(d).bits) if inexact else torch.float64
        batch = torch.broadcast_shapes(*(f.shape[:-1] for f in flat))
        return torch.cat([f.to(dtype).expand(*batch, f.shape[-1]) for f in flat], -1)

    def unpack(self, g: Tensor) -> tuple[Tensor, ...]:
        """The parts of a packed element, each in the shape and kind of its own group."""
        found = []
        pieces = g.split(self._sizes(), -1)
        for group, piece in zip(self.parts, pieces, strict=True):
            batch = piece.shape[:-1]
            if group.element_kind == "complex":
                pairs = piece.reshape((*batch, *group.element_shape, 2))
                found.append(torch.complex(pairs[..., 0], pairs[..., 1]))
            else:
                piece = piece.reshape((*batch, *group.element_shape))
                found.append(piece.round().long() if group.element_kind == "integer" else piece)
        return tuple(found)

    def _sizes(self) -> list[int]:
        return [math.prod(p.element_shape) * (2 if p.element_kind == "complex" else 1) for p in self.parts]

    @property
    def element_shape(self) -> tuple[int, ...]:
        return (sum(self._sizes()),)

    @property
    def order(self) -> int | float:
        return math.prod(p.order for p in self.parts) if all(p.is_finite for p in self.parts) else math.inf

    @property
    def log_order(self) -> float:
        return sum(p.log_order for p in self.parts)

    @property
    def dim(self) -> int:
        return sum(p.dim for p in self.parts)

    @property
    def is_compact(self) -> bool:
        return all(p.is_compact for p in self.parts)

    @property
    def is_connected(self) -> bool:
        return all(p.is_connected for p in self.parts)

    def _identity(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        return self.pack(*(p.identity(dtype=dtype, device=device) for p in self.parts))

    def _contains(self, a: Tensor, tolerance: float) -> Tensor:
        inside = torch.ones(a.shape[:-1], dtype=torch.bool, device=a.device)
        for group, part in zip(self.parts, self.unpack(a), strict=True):
            inside = inside & group.contains(part, tolerance=tolerance)
        return inside

    def _distance(self, a: Tensor, b: Tensor) -> Tensor:
        distances = [p._distance(x, y) for p, x, y in zip(self.parts, self.unpack(a), self.unpack(b), strict=True)]
        distances = [d.double() for d in distances]
        return torch.stack(torch.broadcast_tensors(*distances)).amax(0)

    def _generators(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        identities = [p.identity(dtype=dtype, device=device) for p in self.parts]
        found = []
        for i, group in enumerate(self.parts):
            chosen = group.generators(dtype=dtype, device=device)
            if len(chosen):
                found.append(self.pack(*(chosen if j == i else e for j, e in enumerate(identities))))
        return torch.cat(found) if found else torch.zeros(0, *self.element_shape, dtype=dtype, device=device)

    def _elements(self, dtype: torch.dtype, device: torch.device) -> Tensor:
        lists = [p.elements(dtype=dtype, device=device) for p in self.parts]
        grid = torch.meshgrid(*(torch.arange(len(e), device=device) for e in lists), indexing="ij")
        return self.pack(*(e[index.reshape(-1)] for e, index in zip(lists, grid, strict=True)))

    def _sample(
        self, shape: tuple[int, ...], generator: torch.Generator | None, dtype: torch.dtype, device: torch.device
    ) -> Tensor:
        draws = [p.sample(shape, generator=generator, dtype=dtype, device=device) for p in self.parts]
        return self.pack(*draws)


@dataclass(frozen=True, eq=False, repr=False)
class DirectProduct(ProductLike):
    """G_1 x ... x G_m, multiplied part by part. ``DirectProduct([Cyclic(3), SpecialOrthogonal(3)])``."""

    factors: Sequence[Group]

    def __post_init__(self) -> None:
        object.__setattr__(self, "factors", _groups(self.factors))
        object.__setattr__(self, "exact_elements", all(p.exact_elements for p in self.factors))

    @property
    def parts(self) -> tuple[Group, ...]:
        return tuple(self.factors)

    def _compose(self, a: Tensor, b: Tensor) -> Tensor:
        pairs = zip(self.parts, self.unpack(a), self.unpack(b), strict=True)
        return self.pack(*(p.compose(x, y) for p, x, y in pairs))

    def _inverse(self, a: Tensor) -> Tensor:
        return self.pack(*(p.inverse(x) for p, x in zip(self.parts, self.unpack(a), strict=True)))

    def _exp(self, coordinates: Tensor) -> Tensor:
        pieces = coordinates.split([p.dim for p in self.parts], -1)
        return self.pack(*(p.exp(piece) for p, piece in zip(self.parts, pieces, strict=True)))

    def _quadrature(self, bandlimit: int, dtype: torch.dtype, device: torch.device) -> Quadrature:
        rules = [p.quadrature(bandlimit, dtype=dtype, device=device) for p in self.parts]
        grid = torch.meshgrid(*(torch.arange(len(r.weights), device=device) for r in rules), indexing="ij")
        index = [i.reshape(-1) for i in grid]
        elements = self.pack(*(r.elements[i] for r, i in zip(rules, index, strict=True)))
        weights = torch.stack([r.weights[i] for r, i in zip(rules, index, strict=True)]).prod(0)
        return Quadrature(elements, weights, min(r.degree for r in rules))

    def _irreps(self, cutoff: int) -> tuple[Irrep, ...]:
        """Tensor products: irreducible over the reals when at most one factor is not of real kind."""
        lists = [p.irreps() if p.is_finite else p.irreps(cutoff) for p in self.parts]
        if sum(any(r.kind != "real" for r in found) for found in lists) > 1:
            raise UnsupportedError(
                sentence(
                    "at most one factor with representations of complex or quaternionic kind",
                    repr(self),
                    "over the reals their tensor products split further",
                    "irreps of the factors",
                )
            )
        chosen: list[tuple[Irrep, ...]] = [()]
        for found in lists:
            chosen = [(*before, r) for before in chosen for r in found]
        return tuple(_tensor_product(self, rs) for rs in chosen)


def _groups(values: object) -> tuple[Group, ...]:
    if not isinstance(values, Sequence) or not values or not all(isinstance(v, Group) for v in values):
        raise TypeError(
            f"expected a non-empty sequence of groups, got {values!r}; try DirectProduct([Cyclic(2), Cyclic(3)])"
        )
    return tuple(values)


def _tensor_product(group: DirectProduct, factors: tuple[Irrep, ...]) -> Irrep:
    kind: Kind = next((r.kind for r in factors if r.kind != "real"), "real")

    def evaluate(g: Tensor) -> Tensor:
        found = g.new_ones(*g.shape[:-1], 1, 1)
        for r, part in zip(factors, group.unpack(g), strict=True):
            m = r.matrix(part)
            size = found.shape[-1] * r.dimension
            found = torch.einsum("...ij,...kl->...ikjl", found, m.to(found.dtype)).reshape(*g.shape[:-1], size, size)
        return found

    return Irrep(tuple(r.label for r in factors), math.prod(r.dimension for r in factors), kind, evaluate)
