"""Affine maps z -> A z + b: generators of an action as numbers, and whether log p stays, at a glance."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._proposal import Scale
from ...groups import Action, LinearAction

_POINTS = 12
_TOLERANCE = 1e-6


@dataclass(frozen=True)
class AffineMap:
    """z -> A z + b, in float64.

    Attributes:
        matrix: A, ``[d, d]``.
        offset: b, ``[d]``.
    """

    matrix: Tensor
    offset: Tensor

    @property
    def moved(self) -> tuple[int, ...]:
        """Coordinates that the map changes."""
        identity = torch.eye(len(self.offset), dtype=torch.float64)
        rows = (self.matrix - identity).abs().amax(-1) + self.offset.abs()
        return tuple((rows > 1e-12).nonzero()[:, 0].tolist())

    def then(self, other: AffineMap) -> AffineMap:
        """First this one, then the other."""
        return AffineMap(other.matrix @ self.matrix, other.matrix @ self.offset + other.offset)

    def inverse(self) -> AffineMap:
        """The inverse map."""
        inverse = torch.linalg.inv(self.matrix)
        return AffineMap(inverse, -inverse @ self.offset)

    def is_close(self, other: AffineMap, tolerance: float = 1e-7) -> bool:
        """Whether both agree, entry by entry."""
        size = max(1.0, float(self.matrix.abs().max()), float(self.offset.abs().max()))
        gap = max(float((self.matrix - other.matrix).abs().max()), float((self.offset - other.offset).abs().max()))
        return gap <= tolerance * size

    @property
    def is_identity(self) -> bool:
        """Whether nothing moves."""
        d = len(self.offset)
        return self.is_close(AffineMap(torch.eye(d, dtype=torch.float64), torch.zeros(d, dtype=torch.float64)))


def maps_of(action: LinearAction, dim: int, elements: Tensor | None = None) -> list[AffineMap]:
    """The affine maps of some elements (the group's generators by default)."""
    elements = action.group.generators(dtype=torch.float64) if elements is None else elements
    matrices = action.matrix(elements)
    offsets = action.act(elements, torch.zeros(dim, dtype=torch.float64))
    return [AffineMap(a, b) for a, b in zip(matrices, offsets.expand(len(matrices), dim), strict=True)]


def moved_by(action: Action, dim: int) -> tuple[int, ...]:
    """Coordinates that some generator of a linear action moves."""
    if not isinstance(action, LinearAction):
        return tuple(range(dim))
    return tuple(sorted({i for m in maps_of(action, dim) for i in m.moved}))


class Screen:
    """A dozen points at which a symmetry must hold: most candidates fail here, at the cost of a few evaluations.

    Args:
        density: The target.
        scale: Where its bulk lies.
        generator: Random state.
    """

    def __init__(self, density: LogDensity, scale: Scale, generator: torch.Generator) -> None:
        x = torch.randn(4 * _POINTS, density.dim, dtype=torch.float64, generator=generator)
        x[::3] *= 3.0
        z = scale.center + x @ scale.root.mT
        values = density(z).detach()
        good = torch.isfinite(values).nonzero()[:_POINTS, 0]
        self.density, self.points, self.values = density, z[good], values[good]
        self.count = 0

    def holds(self, matrices: Tensor, offsets: Tensor) -> Tensor:
        """Whether log p stays at all points, bool ``[m]``, for maps ``[m, d, d]``, ``[m, d]`` of determinant +-1."""
        if len(matrices) == 0 or len(self.points) < _POINTS // 2:
            return torch.zeros(len(matrices), dtype=torch.bool)
        self.count += len(matrices)
        images = torch.einsum("mij,kj->mki", matrices, self.points) + offsets[:, None]
        there = self.density(images).detach()
        bound = _TOLERANCE + 1e-10 * (there.abs() + self.values.abs())
        return ((there - self.values).abs() <= bound).all(-1)

    def holds_all(self, maps: list[AffineMap]) -> bool:
        """Whether each of these maps passes."""
        if not maps:
            return False
        return bool(self.holds(torch.stack([m.matrix for m in maps]), torch.stack([m.offset for m in maps])).all())
