"""Phases and unitary matrices on C^n, written as R^{2n} with coordinates (Re z_1, Im z_1, Re z_2, ...)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from .._value import positive_int
from ._linear_action import LinearAction
from ._natural_action import SphericalOrbits
from ._torus import Torus
from ._unitary import SpecialUnitary, Unitary


def real_form(matrix: Tensor) -> Tensor:
    """Complex ``[*batch, n, n]`` as real ``[*batch, 2n, 2n]``: each entry a + ib becomes [[a, -b], [b, a]]."""
    a, b = matrix.real, matrix.imag
    blocks = torch.stack([torch.stack([a, -b], -1), torch.stack([b, a], -1)], -2)  # [..., n, n, 2, 2]
    size = 2 * matrix.shape[-1]
    return blocks.transpose(-3, -2).reshape(*matrix.shape[:-2], size, size)


def complex_form(x: Tensor) -> Tensor:
    """R^{2n} as C^n."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.complex(pairs[..., 0], pairs[..., 1])


def times_i(x: Tensor) -> Tensor:
    """I z for z in R^{2n}: (a, b) -> (-b, a)."""
    pairs = x.unflatten(-1, (-1, 2))
    return torch.stack([-pairs[..., 1], pairs[..., 0]], -1).flatten(-2)


@dataclass(frozen=True, eq=False, repr=False)
class PhaseAction(LinearAction):
    """U(1) on C^n by a common phase, z -> e^{i t} z, on R^{2n}. Orbits are circles: log volume log |z|."""

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def group(self) -> Unitary:
        return Unitary(1)

    @property
    def dim(self) -> int:
        return 2 * self.n

    def _matrix(self, g: Tensor) -> Tensor:
        return real_form(g * torch.eye(self.n, dtype=g.dtype, device=g.device))

    def _vertical_basis(self, x: Tensor) -> Tensor:
        return times_i(x)[..., None]

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        turned = times_i(x)
        square = x.square().sum(-1, keepdim=True)
        speed = (turned * v).sum(-1, keepdim=True) / torch.where(square > 0, square, 1.0)
        return v - speed * turned

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        return x.square().sum(-1).log() / 2

    def _mean_curvature(self, x: Tensor) -> Tensor:
        return -x / x.square().sum(-1, keepdim=True)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The entry of largest modulus becomes real and positive."""
        z = complex_form(x)
        largest = z.gather(-1, z.abs().argmax(-1, keepdim=True))
        g = torch.polar(torch.ones_like(largest.real), -largest.angle())[..., None]
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        z, w = complex_form(x), complex_form(y)
        overlap = (z.conj() * w).sum(-1)[..., None, None]
        return torch.polar(torch.ones_like(overlap.real), overlap.angle())


@dataclass(frozen=True, eq=False, repr=False)
class TorusAction(LinearAction):
    """T^n on C^n by independent phases, z_j -> e^{i t_j} z_j, on R^{2n}: log volume sum log |z_j|."""

    n: int

    def __post_init__(self) -> None:
        positive_int(self.n, "n")

    @property
    def group(self) -> Torus:
        return Torus(self.n)

    @property
    def dim(self) -> int:
        return 2 * self.n

    def _matrix(self, g: Tensor) -> Tensor:
        return real_form(torch.diag_embed(torch.complex(g.cos(), g.sin())))

    def _squares(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (-1, 2)).square().sum(-1)

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        """Each pair keeps its radial part (all of v where z_j = 0)."""
        square = self._squares(x)[..., None]
        pairs = x.unflatten(-1, (-1, 2))
        radial = (pairs * v.unflatten(-1, (-1, 2))).sum(-1, keepdim=True) / torch.where(square > 0, square, 1.0)
        return torch.where(square > 0, radial * pairs, v.unflatten(-1, (-1, 2))).flatten(-2)

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        return self._squares(x).log().sum(-1) / 2

    def _mean_curvature(self, x: Tensor) -> Tensor:
        return -(x.unflatten(-1, (-1, 2)) / self._squares(x)[..., None]).flatten(-2)

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Every entry real and non-negative."""
        pairs = x.unflatten(-1, (-1, 2))
        g = -torch.atan2(pairs[..., 1], pairs[..., 0])
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        a, b = x.unflatten(-1, (-1, 2)), y.unflatten(-1, (-1, 2))
        cross = a[..., 0] * b[..., 1] - a[..., 1] * b[..., 0]
        return torch.atan2(cross, (a * b).sum(-1))


@dataclass(frozen=True, eq=False, repr=False)
class UnitaryAction(SphericalOrbits):
    """U(n) or SU(n), n >= 2, on C^n = R^{2n}: orbits are spheres of dimension 2n - 1. SU(2): quaternions on R^4.

    Raises:
        TypeError: for anything but U(n) or SU(n) with n >= 2.
    """

    matrices: Unitary | SpecialUnitary

    def __post_init__(self) -> None:
        if not isinstance(self.matrices, Unitary | SpecialUnitary) or self.matrices.n < 2:
            raise TypeError(
                f"expected Unitary(n) or SpecialUnitary(n) with n >= 2, got {self.matrices!r}; try PhaseAction for U(1)"
            )

    @property
    def group(self) -> Unitary | SpecialUnitary:
        return self.matrices

    @property
    def dim(self) -> int:
        return 2 * self.matrices.n

    @property
    def orbit_dimension(self) -> int:
        return 2 * self.matrices.n - 1

    def _matrix(self, g: Tensor) -> Tensor:
        return real_form(g)
