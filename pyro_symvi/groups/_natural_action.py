"""Matrix groups on the space where their matrices live, and on the sphere in it."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ._group import Group
from ._linear_action import LinearAction
from ._orthogonal import Orthogonal
from ._rotation_maps import procrustes, reflection_to_axis, rotation_to_axis
from ._sign_flips import SignFlips
from ._special_orthogonal import SpecialOrthogonal


class SphericalOrbits(LinearAction):
    """A linear action by isometries whose orbits are the whole spheres |x| = r of dimension m = ``orbit_dimension``.

    P v = x <x, v> / |x|^2, log volume m log |x|, H = -m x / |x|^2, distance ||x| - |y||.
    """

    @property
    @abstractmethod
    def orbit_dimension(self) -> int:
        """Dimension of a generic orbit."""

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        square = x.square().sum(-1, keepdim=True)
        radial = (x * v).sum(-1, keepdim=True) / torch.where(square > 0, square, 1.0)
        return torch.where(square > 0, radial * x, v)  # at the fixed point every direction is horizontal

    def _log_orbit_volume(self, x: Tensor) -> Tensor:
        return self.orbit_dimension * x.square().sum(-1).log() / 2

    def _mean_curvature(self, x: Tensor) -> Tensor:
        return -self.orbit_dimension * x / x.square().sum(-1, keepdim=True)


@dataclass(frozen=True, eq=False, repr=False)
class NaturalAction(LinearAction):
    """x -> g x for a group of n x n matrices on R^n (orthogonal, finite, polyhedral).

    Raises:
        TypeError: for a group whose elements are not real square matrices.
    """

    matrices: Group

    def __post_init__(self) -> None:
        shape = self.matrices.element_shape if isinstance(self.matrices, Group) else ()
        if len(shape) != 2 or shape[0] != shape[1] or self.matrices.element_kind != "real":
            raise TypeError(f"expected a group of real square matrices, got {self.matrices!r}; try Orthogonal(3)")

    @property
    def group(self) -> Group:
        return self.matrices

    @property
    def dim(self) -> int:
        return self.matrices.element_shape[0]

    def _matrix(self, g: Tensor) -> Tensor:
        return g

    def _frame(self) -> Tensor | None:
        """From an invariant inner product P = mean g^T g: the inverse transpose of its Cholesky factor."""
        if not self.group.is_finite:
            return None
        elements = self.group.elements(dtype=torch.float64)
        product = (elements.mT @ elements).mean(0)
        if float((product - torch.eye(self.dim, dtype=product.dtype)).abs().max()) < 1e-12:
            return None
        return torch.linalg.inv(torch.linalg.cholesky(product)).mT


@dataclass(frozen=True, eq=False, repr=False)
class SphereRotation(SphericalOrbits):
    """Rotations of R^n and of the sphere in it: SO(n), or O(n) with ``improper=True``, by matrix times vector.

    Works on unit vectors and on all of R^n. Pins the mean at 0 and the second moments to a multiple of the identity.
    """

    n: int
    improper: bool = False

    def __post_init__(self) -> None:
        self.group  # noqa: B018  (checks n)

    @property
    def group(self) -> Orthogonal | SpecialOrthogonal:
        return Orthogonal(self.n) if self.improper else SpecialOrthogonal(self.n)

    @property
    def dim(self) -> int:
        return self.n

    @property
    def orbit_dimension(self) -> int:
        return self.n - 1

    def _matrix(self, g: Tensor) -> Tensor:
        return g

    def _project(self, x: Tensor, v: Tensor) -> Tensor:
        return super()._project(x, v) if self.n > 1 else v.expand(torch.broadcast_shapes(x.shape, v.shape)).clone()

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The representative |x| e_1 (x itself for SO(1))."""
        if self.n == 1 and not self.improper:
            return x.clone(), torch.ones_like(x)[..., None]
        g = reflection_to_axis(x) if self.improper else rotation_to_axis(x)
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        return procrustes(y[..., :, None] * x[..., None, :], proper=not self.improper)


@dataclass(frozen=True, eq=False, repr=False)
class AxialRotation(LinearAction):
    """Rotations of R^n that fix an axis: SO(n - 1) on its orthogonal complement, O(n - 1) with ``improper=True``.

    ``axis`` is normalised. Pins the mean to the axis and the second moments to t a a^T + s (I - a a^T).

    Raises:
        ValueError: unless the axis is one vector ``[d]``, d >= 2, of positive finite length.
    """

    axis: Tensor
    improper: bool = False

    def __post_init__(self) -> None:
        axis = torch.as_tensor(self.axis, dtype=torch.float64).detach().clone()
        if axis.ndim != 1 or len(axis) < 2:
            raise ValueError(f"expected an axis as a vector of length at least 2, got shape {list(axis.shape)}")
        length = float(axis.norm())
        if not math.isfinite(length) or length == 0:
            raise ValueError(f"expected an axis of positive finite length, got {axis.tolist()}")
        object.__setattr__(self, "axis", axis / length)

    @property
    def group(self) -> Orthogonal | SpecialOrthogonal:
        return Orthogonal(self.dim - 1) if self.improper else SpecialOrthogonal(self.dim - 1)

    @property
    def dim(self) -> int:
        return len(self.axis)

    def complement(self) -> Tensor:
        """Orthonormal basis of the complement of the axis, ``[n, n - 1]``, float64."""
        return reflection_to_axis(self.axis)[:, 1:]

    def _matrix(self, g: Tensor) -> Tensor:
        basis, axis = self.complement().to(g), self.axis.to(g)
        return axis[:, None] * axis + basis @ g @ basis.mT

    def _canonicalize(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The rotated point whose complement part lies on its first axis."""
        inner = SphereRotation(self.dim - 1, self.improper)
        _, g = inner._canonicalize(x @ self.complement().to(x))
        return self._act(g, x), g

    def _align(self, x: Tensor, y: Tensor) -> Tensor:
        basis = self.complement().to(x)
        return SphereRotation(self.dim - 1, self.improper)._align(x @ basis, y @ basis)


@dataclass(frozen=True, eq=False, repr=False)
class Antipodal(LinearAction):
    """x -> -x on R^n or its sphere, under {+1, -1}: pins the mean at 0 and nothing of the second moments."""

    n: int

    def __post_init__(self) -> None:
        SignFlips(self.n)  # checks n

    @property
    def group(self) -> SignFlips:
        return SignFlips(1)

    @property
    def dim(self) -> int:
        return self.n

    def _matrix(self, g: Tensor) -> Tensor:
        return g[..., None] * torch.eye(self.n, dtype=g.dtype, device=g.device)

    def _act(self, g: Tensor, x: Tensor) -> Tensor:
        return torch.where(g > 0, x, -x)
