r"""Finite sets of equally weighted images of a base draw: whole orbits of finite groups, quadrature for compact ones.

A set :math:`H` of elements of G stands for all of G in two averages if, for the linear parts :math:`A_g`,

.. math:: \frac1{|H|}\sum_{h\in H} A_h = \int A_g\,dg, \qquad
          \frac1{|H|}\sum_{h\in H} A_h M A_h^\top = \int A_g M A_g^\top dg \quad\text{for every matrix } M.

Let f be invariant under G, C commute with G, and :math:`\nu` be fixed by it. Then
:math:`\nabla f(\nu + CA_h\xi) = A_h \nabla f(\nu + C\xi)`, so for *every* draw :math:`\xi` the location gradient, the
mean of :math:`A_h\nabla f`, is fixed by G, and the gradient in C, the mean of :math:`A_h\nabla f\xi^\top A_h^\top`,
commutes with G. The first is zero where G fixes no direction; the second is a multiple of the identity on a block
that G rotates.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from torch import Tensor

from ...groups import (
    AxialRotation,
    ComposedAction,
    EllipticalRotation,
    LinearAction,
    NaturalAction,
    Orthogonal,
    PhaseAction,
    PointReflection,
    PolyhedralGroup,
    SpecialOrthogonal,
    SphereRotation,
    TorusAction,
    UnitaryAction,
)

_ROUNDING = 1e-9


class Closure(ABC):
    """Maps n base draws to ``size * n`` of them; image g of draw i stands at row ``g * n + i``."""

    size: int
    radial: bool = False
    """Whether the gradient of an invariant function is parallel to the point, block by block."""

    @abstractmethod
    def images(self, noise: Tensor, alike: int = 1) -> Tensor:
        """``[n, *batch, d]`` to ``[size * n, *batch, d]``; rows ``n / alike`` apart are treated at random alike."""

    @abstractmethod
    def average(self, matrix: Tensor) -> Tensor:
        """The mean of ``A_h M A_h^T``, ``[d, d]``, float64."""

    @property
    def flips_only(self) -> bool:
        """Whether all images differ by signs of coordinates alone."""
        return False


class SignClosure(Closure):
    """All sign patterns ``[size, d]`` of a group of reflections of coordinates."""

    def __init__(self, signs: Tensor) -> None:
        self.signs, self.size = signs, len(signs)

    def images(self, noise: Tensor, alike: int = 1) -> Tensor:
        """Signs times noise."""
        signs = self.signs.to(noise).reshape(self.size, *[1] * (noise.dim() - 1), -1)
        return (signs * noise).flatten(0, 1)

    def average(self, matrix: Tensor) -> Tensor:
        """Entries whose two signs do not cancel."""
        return matrix * (self.signs.mT @ self.signs) / self.size

    @property
    def flips_only(self) -> bool:
        return True


class MatrixClosure(Closure):
    """Orthogonal matrices ``[size, d, d]``; with ``group`` the conjugate of the set by a Haar-random element of it."""

    def __init__(self, matrices: Tensor, action: LinearAction | None = None, radial: bool = False) -> None:
        self.matrices, self.size, self.action, self.radial = matrices, len(matrices), action, radial

    def images(self, noise: Tensor, alike: int = 1) -> Tensor:
        """Each matrix applied to all draws; each draw has its own random element."""
        if self.action is None:
            return torch.cat([noise @ matrix.to(noise).mT for matrix in self.matrices])
        shape = noise.shape[0] // alike, *noise.shape[1:-1]
        element = self.action.group.sample(shape, dtype=torch.float64, device=noise.device)
        turn = self.action.matrix(element).to(noise).repeat(alike, *[1] * noise.dim())
        white = turn.mT @ noise[..., None]
        return torch.cat([(turn @ (matrix.to(noise) @ white))[..., 0] for matrix in self.matrices])

    def average(self, matrix: Tensor) -> Tensor:
        """As the name says."""
        return (self.matrices @ matrix @ self.matrices.mT).mean(0)


class CrossPolytope(Closure):
    r"""The 2m points :math:`\pm r q_1, \dots, \pm r q_m`, with q_1 the draw's direction and r its length.

    On the m-dimensional space spanned by the columns of ``frame [d, m]``; :math:`q_2, \dots, q_m` complete a random
    orthonormal frame. It is the orbit of the draw under :math:`\pm QP^iQ^\top`, P the cyclic shift: elements of O(m),
    m >= 2, whose orbits SO(m) shares. The sum of the points is zero, the sum of :math:`xx^\top` is
    :math:`2r^2 I`, both for every draw, and each point has the law of the draw if that is spherical.
    """

    radial = True

    def __init__(self, frame: Tensor) -> None:
        self.frame, self.size = frame, 2 * frame.shape[1]

    def images(self, noise: Tensor, alike: int = 1) -> Tensor:
        """Frames by QR decomposition, the draw in the first column."""
        frame = self.frame.to(noise)
        part = noise @ frame
        shape = len(part) // alike, *part.shape[1:], part.shape[-1]
        columns = torch.randn(shape, dtype=noise.dtype, device=noise.device).repeat(alike, *[1] * part.dim())
        columns[..., 0] = part
        directions = torch.linalg.qr(columns)[0]
        vertices = (part.norm(dim=-1)[..., None, None] * directions).movedim(-1, 0) @ frame.mT
        rest = noise - part @ frame.mT
        return torch.cat([rest + vertices, rest - vertices]).flatten(0, 1)

    def average(self, matrix: Tensor) -> Tensor:
        """Isotropic on the block, nothing between the block and the rest."""
        block = self.frame @ self.frame.mT
        rest = torch.eye(len(block), dtype=block.dtype) - block
        return rest @ matrix @ rest + (block * matrix).sum() / self.frame.shape[1] * block


class Product(Closure):
    """One closure after another, of actions that commute."""

    def __init__(self, parts: Sequence[Closure]) -> None:
        self.parts = parts
        self.size = math.prod(part.size for part in parts)
        self.radial = all(part.radial or part.flips_only for part in parts)

    def images(self, noise: Tensor, alike: int = 1) -> Tensor:
        """Images of images; the random elements of one part do not depend on the image under another."""
        draws = len(noise)
        for part in self.parts:
            noise = part.images(noise, alike * len(noise) // draws)
        return noise

    def average(self, matrix: Tensor) -> Tensor:
        """Averages of averages."""
        for part in self.parts:
            matrix = part.average(matrix)
        return matrix

    @property
    def flips_only(self) -> bool:
        return all(part.flips_only for part in self.parts)


def closure_of(action: LinearAction, dim: int) -> Closure | None:
    """The closure of a bound action on R^dim; None for a group without a known set."""
    if isinstance(action, PointReflection):
        signs = torch.ones(2, dim, dtype=torch.float64)
        signs[1, list(action.coordinates or range(dim))] = -1.0
        return SignClosure(signs)
    if isinstance(action, ComposedAction):
        parts = [closure_of(part, dim) for part in action.actions]
        known = [part for part in parts if part is not None]
        return Product(known) if len(known) == len(parts) else None
    frame = _spherical_block(action, dim)
    if frame is not None:
        return CrossPolytope(frame)
    if isinstance(action, TorusAction | PhaseAction):
        return MatrixClosure(_phases(action), radial=isinstance(action, TorusAction))
    if action.group.is_finite:
        return _finite(action.matrix(action.group.elements(dtype=torch.float64)))
    return _polyhedral(action)


def _finite(matrices: Tensor) -> Closure:
    signs = matrices.diagonal(dim1=-2, dim2=-1)
    if bool((matrices == torch.diag_embed(signs)).all()) and bool((signs.abs() == 1.0).all()):
        return SignClosure(signs)
    return MatrixClosure(matrices)


def _spherical_block(action: LinearAction, dim: int) -> Tensor | None:
    """An orthonormal frame ``[d, m]``, m >= 2, of the space on which the orbits are whole spheres about 0."""
    eye = torch.eye(dim, dtype=torch.float64)
    if isinstance(action, EllipticalRotation):  # in the noise, which the guide's scale maps to the ellipsoid
        frame = eye[:, list(action.coordinates or range(dim))]
    elif isinstance(action, AxialRotation):
        frame = action.complement()
    elif isinstance(action, SphereRotation | UnitaryAction) or (
        isinstance(action, NaturalAction) and isinstance(action.group, Orthogonal | SpecialOrthogonal)
    ):
        frame = eye
    else:
        return None
    return frame if frame.shape[1] > 1 else None


def _phases(action: TorusAction | PhaseAction) -> Tensor:
    """Multiples of one element of order 4k with odd frequencies 1, 3, ..., 2k - 1; k = 1 for a common phase.

    No frequency, sum or difference of two is a multiple of 4k, so that first and second moments are those of all
    phases; the multiple 2k is -1. A random phase would change nothing: the draw has one already.
    """
    circles = action.n if isinstance(action, TorusAction) else 1
    step = 2 * math.pi / (4 * circles)
    angles = step * torch.arange(4 * circles)[:, None] * torch.arange(1, 2 * circles, 2).repeat(action.n // circles)
    matrices = torch.zeros(len(angles), 2 * action.n, 2 * action.n, dtype=torch.float64)
    even = torch.arange(0, 2 * action.n, 2)
    cosine, sine = angles.double().cos(), angles.double().sin()
    matrices[:, even, even], matrices[:, even + 1, even + 1] = cosine, cosine
    matrices[:, even + 1, even], matrices[:, even, even + 1] = sine, -sine
    return matrices


def _polyhedral(action: LinearAction) -> Closure | None:
    """Rotations of the cube or, where these do not do, of the icosahedron, for another representation of SO(3), O(3).

    That their averages are those of the whole group is checked on its generators.
    """
    group = action.group
    if not isinstance(group, Orthogonal | SpecialOrthogonal) or group.n != 3:
        return None
    for solid in ("octahedral", "icosahedral"):
        finite = PolyhedralGroup(solid, inversion=isinstance(group, Orthogonal))
        found = MatrixClosure(action.matrix(finite.elements(dtype=torch.float64)), action)
        if _is_average(found, action):
            return found
    return None


def _is_average(closure: MatrixClosure, action: LinearAction) -> bool:
    generators = action.generator_matrices()
    dim = generators.shape[-1]
    matrix = torch.randn(dim, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first, second = closure.matrices.mean(0), closure.average(matrix)
    moved = generators @ first - first, generators @ second @ generators.mT - second
    return all(float(difference.abs().max()) < _ROUNDING for difference in moved)
