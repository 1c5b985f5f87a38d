r"""Symmetries of a density on the sphere: rotations about an axis or in a subspace, the antipode, mirrors.

The density f on the unit sphere of R^n is continued along rays, :math:`\log p(z) = f(z/|z|) + h(|z|)` with a heavy
radial tail h. An orthogonal map leaves p unchanged if and only if it leaves f unchanged; so the tests of flat space,
residuals and search included, apply as they are.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._proposal import Scale
from ...groups import (
    Antipodal,
    AxialRotation,
    BlockSigns,
    CoordinatePermutation,
    LinearAction,
    NaturalAction,
    Orthogonal,
    SphereRotation,
)
from ..sphere.density import SphereDensity
from .actions import Conjugated
from .maps import Screen, maps_of
from .proposals import Proposal
from .proving import Prover

_ZERO, _NEARLY = 1e-9, 1e-3
_STARTS = 256
_SCREENED = 2048
_CONCENTRATED = 25.0
"""Curvature at the mode above which the mass lies in a cap: within 0.2 radians along some direction."""
_RADIAL = 0.25
"""Width, along the ray, of the points in that cap: nothing depends on the radius."""
SEARCHED: tuple[str, ...] = (
    "rotations of the sphere: all of them, those about an axis, those of a subspace",
    "the antipode",
    "mirrors along coordinates and along the axes of curvature at the mode; exchanges of coordinates",
)
NOT_SEARCHED: tuple[str, ...] = (
    "finite groups of rotations about an axis",
    "products of rotations of several subspaces",
)


@dataclass
class SphereLandscape:
    """What the search asks of a target, for a density on the sphere.

    Attributes:
        target: The density on the sphere.
        generator: Random state.
        scale: Centre and unit root: the whole sphere.
        bulk: Where the mass lies: the same, or the cap about the mode if the law is concentrated there.
    """

    target: SphereDensity
    generator: torch.Generator
    density: LogDensity = field(init=False)

    def __post_init__(self) -> None:
        n, function = self.target.dim, self.target.pointwise

        def continued(z: Tensor) -> Tensor:
            square = z.square().sum(-1, keepdim=True)
            value = function(z / square.sqrt())
            return value - (n + 5) / 2 * torch.log1p(square[..., 0] / 5)

        self.density = LogDensity.from_callable(continued, n)
        self.scale = Scale(torch.zeros(n, dtype=torch.float64), torch.eye(n, dtype=torch.float64))
        self.screen = Screen(self.density, self.scale, self.generator)
        try:
            self.prover: Prover | None = Prover(LogDensity.from_callable(self.target.algebraic, n))
        except ValueError:  # no function off the sphere
            self.prover = None
        self.modes = [self.mode()]
        self.bulk = self._bulk()

    @property
    def dim(self) -> int:
        """n, the sphere lying in R^n."""
        return self.target.dim

    def names(self, coordinates: tuple[int, ...] | list[int]) -> str:
        """Coordinates in words."""
        return "the sphere" if len(coordinates) == self.dim else ", ".join(f"z[{i}]" for i in coordinates)

    def units(self, count: int) -> Tensor:
        """Uniform draws ``[count, n]``."""
        x = torch.randn(count, self.dim, dtype=torch.float64, generator=self.generator)
        return x / x.norm(dim=-1, keepdim=True)

    def screened(self) -> tuple[Tensor | None, Tensor | None]:
        """Points from the whole sphere to look through for violations, where `bulk` is a cap; their log p."""
        return (None, None) if self.bulk is self.scale else (self.units(_SCREENED), None)

    def _bulk(self) -> Scale:
        r"""The mode and, along the sphere, :math:`\lambda^{-1/2}` of its curvatures, at most one radian.

        Residuals scale with the concentration kappa, so over the whole sphere those of a symmetry whose axis is known
        to rounding exceed any fixed resolution; within :math:`\kappa^{-1/2}` of the mode, where the mass is, they do
        not. A mode that is not concentrated (no curvature above 25) leaves the whole sphere.
        """
        x = self.modes[0]
        tangent = torch.eye(self.dim, dtype=torch.float64) - torch.outer(x, x)
        gradient, hessian = self.density.value_and_grad(x)[1], self.density.hessian(x)
        curvature = -(tangent @ hessian @ tangent - (gradient @ x) * tangent)
        if not bool(torch.isfinite(curvature).all()):
            return self.scale
        values, axes = torch.linalg.eigh((curvature + curvature.mT) / 2)
        if float(values[-1]) < _CONCENTRATED:
            return self.scale
        along = (axes * values.clamp_min(1.0).rsqrt()) @ axes.mT
        return Scale(x, torch.linalg.cholesky(along @ along.mT - (1 - _RADIAL**2) * torch.outer(x, x)))

    def mode(self) -> Tensor:
        """A highest point: steps along the tangent gradient from the best of 256 uniform draws, then Newton's."""
        x = self.units(_STARTS)
        x = x[int(self.density(x).detach().argmax())]
        step = 0.1
        value = float(self.density(x))
        for _ in range(400):
            gradient = self.density.value_and_grad(x)[1]
            gradient = gradient - (gradient @ x) * x
            trial = x + step * gradient
            trial = trial / trial.norm()
            there = float(self.density(trial))
            x, value, step = (trial, there, 1.5 * step) if there > value else (x, value, step / 4)
            if step * float(gradient.norm()) < 1e-13:
                break
        for _ in range(6):
            tangent = torch.eye(self.dim, dtype=torch.float64) - torch.outer(x, x)
            gradient, hessian = self.density.value_and_grad(x)[1], self.density.hessian(x)
            curvature = tangent @ hessian @ tangent - (gradient @ x) * tangent
            trial = x - torch.linalg.pinv(curvature, rtol=1e-9, hermitian=True) @ (tangent @ gradient)
            trial = trial / trial.norm()
            if not bool(torch.isfinite(trial).all()) or float((trial - x).norm()) > 1e-3:
                break
            x = trial
        return x


def spherical_proposals(land: SphereLandscape) -> Iterator[Proposal]:
    """The largest group of rotations, the antipode, mirrors and exchanges of coordinates."""
    n = land.dim
    yield from _rotations(land)
    yield _proposal(land, "antipode", Antipodal(n), headline=True)
    for members in _exchangeable(land):
        yield _proposal(land, "exchangeable coordinates", CoordinatePermutation(n, [(i,) for i in members]))
    yield from _mirrors(land, torch.eye(n, dtype=torch.float64))
    hessian = land.density.hessian(land.modes[0])
    values, axes = torch.linalg.eigh((hessian + hessian.mT) / 2)
    simple = [k for k in range(n) if all(abs(float(values[k] - values[j])) > 1e-6 for j in range(n) if j != k)]
    if simple:
        yield from _mirrors(land, axes, simple)


def _proposal(land: SphereLandscape, kind: str, action: LinearAction, headline: bool = False) -> Proposal:
    maps = maps_of(action, land.dim)
    moved = tuple(sorted({i for m in maps for i in m.moved}))
    return Proposal(kind, action, moved, tuple(maps), headline)


def flows(land: SphereLandscape, tolerance: float = _ZERO) -> Tensor:
    r"""Basis ``[k, n, n]`` of the skew S with :math:`\nabla f(x)\cdot Sx = 0` for all x: infinitesimal rotations.

    Zero means less than ``tolerance`` of the largest gradient.
    """
    n = land.dim
    rows, columns = torch.triu_indices(n, n, 1)
    x = land.units(4 * len(rows) + 32)
    gradient = land.density.value_and_grad(x)[1]
    good = torch.isfinite(gradient).all(-1)
    x, gradient = x[good], gradient[good]
    equations = gradient[:, rows] * x[:, columns] - gradient[:, columns] * x[:, rows]
    size = float(gradient.norm(dim=-1).max())
    _, values, right = torch.linalg.svd(equations, full_matrices=True)
    rank = int((values > tolerance * max(size, 1e-3) * len(x) ** 0.5).sum())
    basis = torch.zeros(len(rows) - rank, n, n, dtype=torch.float64)
    basis[:, rows, columns] = right[rank:]
    return basis - basis.mT


def _rotations(land: SphereLandscape) -> Iterator[Proposal]:
    n = land.dim
    found = flows(land)
    if len(found) == 0:
        found = flows(land, _NEARLY)  # to be refuted, with a witness
    if len(found) == 0:
        return
    casimir = (found.mT @ found).sum(0)
    values, vectors = torch.linalg.eigh(casimir)
    moved = vectors[:, values > 1e-6]
    k = moved.shape[1]
    if len(found) != k * (k - 1) // 2:
        return  # several subspaces, or a smaller group: told as not searched
    if k == n:
        yield _proposal(land, "all rotations", SphereRotation(n, improper=True), headline=True)
    elif k == n - 1:
        axis = vectors[:, 0]
        axis = axis * axis[axis.abs().argmax()].sign()
        axis = torch.where(axis.abs() < 1e-12, torch.zeros_like(axis), axis)
        words = ", ".join(f"{a:.4g}" for a in axis.tolist()) if n <= 6 else "its axis"
        yield _proposal(land, f"rotations about the axis ({words})", AxialRotation(axis, improper=True), headline=True)
    else:
        frame = torch.cat([moved, vectors[:, values <= 1e-6]], 1)
        zero = torch.zeros(n, dtype=torch.float64)
        action = Conjugated(NaturalAction(Orthogonal(k)), frame, zero, range(k), f"rotations of {k} dimensions")
        yield _proposal(land, f"rotations of a subspace of {k} dimensions", action, headline=True)


def _mirrors(land: SphereLandscape, frame: Tensor, chosen: list[int] | None = None) -> Iterator[Proposal]:
    """The columns v of an orthonormal frame along which x -> x - 2 (x v) v holds, as one action."""
    n = land.dim
    chosen = list(range(n)) if chosen is None else chosen
    maps = torch.stack([torch.eye(n, dtype=torch.float64) - 2 * torch.outer(frame[:, k], frame[:, k]) for k in chosen])
    held = land.screen.holds(maps, torch.zeros(len(chosen), n, dtype=torch.float64))
    index = tuple(k for k, holds in zip(chosen, held.tolist(), strict=True) if holds)
    if index:
        inner = BlockSigns(len(index), [(k,) for k in range(len(index))])
        zero = torch.zeros(n, dtype=torch.float64)
        words = f"mirrors along {len(index)} axes" if len(index) > 1 else "mirror"
        yield _proposal(land, words, Conjugated(inner, frame, zero, index, words))


def _exchangeable(land: SphereLandscape) -> list[list[int]]:
    """Classes of coordinates that may be swapped."""
    n = land.dim
    left, found = list(range(n)), []
    while left:
        first = left.pop(0)
        members = [first]
        for j in list(left):
            matrix = torch.eye(n, dtype=torch.float64)
            matrix[[first, j]] = matrix[[j, first]]
            if bool(land.screen.holds(matrix[None], torch.zeros(1, n, dtype=torch.float64))[0]):
                members.append(j)
                left.remove(j)
        if len(members) > 1:
            found.append(members)
    return found
