"""The maps of a symmetry about a known centre, on points and on the parameters of a location-scale law."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...density import LogDensity
from ...families import Diagonal, Isotropic, LocationScale, Parameters
from ...groups import AffineAction, ConditionalReflection, LinearAction, PointReflection

_POINTS = 16
_HELD = 1e-6


@dataclass(frozen=True)
class SymmetryMap:
    """z -> offset + A z; ``linear`` is A ``[d, d]``, or ``[d]`` for a diagonal."""

    linear: Tensor
    offset: Tensor

    def __call__(self, z: Tensor) -> Tensor:
        """The image of ``z[..., d]``."""
        return self.offset + (z * self.linear if self.linear.ndim == 1 else z @ self.linear.mT)

    def image(self, family: LocationScale, parameters: Parameters) -> Parameters | None:
        """Parameters of the law's image; None where the family has no such law."""
        moved = {**parameters, "loc": self(parameters["loc"])}
        if self.linear.ndim == 1:
            alone = isinstance(family.pattern, (Diagonal, Isotropic))
            if alone or bool((self.linear == self.linear[0]).all()):
                return moved  # signs: an even base, and a scale that they leave alone
            matrix = torch.diag(self.linear)
        else:
            matrix = self.linear
        if not family.pattern.closure(matrix[None], family.spherical):
            return None
        return {**moved, "scale": family.pattern.image(parameters["scale"], matrix)}

    def residual(self, family: LocationScale, parameters: Parameters) -> float:
        r"""How far a law is from its image: the largest difference of locations, and of scatters, in its own units.

        :math:`\max_i|(g\nu-\nu)_i|/s_i` and :math:`\max_{ij}|(ASA^T-S)_{ij}|/(s_is_j)` with
        :math:`S=CC^T,\ s_i^2=S_{ii}`. (The scatter is left out for a diagonal scale under signs, which keep it.)
        """
        moved = self(parameters["loc"]) - parameters["loc"]
        signs = self.linear.ndim == 1
        if signs and isinstance(family.pattern, (Diagonal, Isotropic)):
            scale = parameters["scale"].expand(family.dim)
            return float((moved / scale).abs().max())
        matrix = family.matrix(parameters["scale"])
        deviations = matrix.square().sum(-1).sqrt()
        image = self.linear[:, None] * matrix if signs else self.linear @ matrix
        change = (image @ image.mT - matrix @ matrix.mT) / torch.outer(deviations, deviations)
        return max(float((moved / deviations).abs().max()), float(change.abs().max()))


def given_maps(symmetry: LinearAction, dim: int) -> list[SymmetryMap]:
    """Maps of the generators of the user's symmetry; none where its centre (or shape, or slope) is open."""
    if isinstance(symmetry, AffineAction):
        if symmetry.center is None:
            return []
        try:
            symmetry = symmetry.bind(dim)
        except ValueError:
            return []  # an open shape
        if isinstance(symmetry, PointReflection):
            return [_point_reflection(symmetry, dim)]
    if isinstance(symmetry, ConditionalReflection):
        if symmetry.intercept is None or symmetry.slope is None:
            return []
        symmetry = symmetry.bind(dim)
    generators = symmetry.group.generators(dtype=torch.float64)
    zero = torch.zeros(dim, dtype=torch.float64)
    return [SymmetryMap(symmetry.matrix(g), symmetry.act(g, zero)) for g in generators]


def _point_reflection(symmetry: PointReflection, dim: int) -> SymmetryMap:
    """Of a bound one, without a matrix ``[d, d]``."""
    index = symmetry.resolve_coordinates(dim)
    center = torch.zeros(dim, dtype=torch.float64)
    center[index] = torch.as_tensor(symmetry.center).double()
    return reflection_map(tuple(index.tolist()), center)


def reflection_map(coordinates: tuple[int, ...], center: Tensor) -> SymmetryMap:
    """z_J -> 2 c_J - z_J."""
    signs = torch.ones_like(center)
    signs[list(coordinates)] = -1
    return SymmetryMap(signs, (1 - signs) * center)


def holds(density: LogDensity, symmetry: SymmetryMap, family: LocationScale, parameters: Parameters) -> bool:
    """Whether log p is unchanged at a few points of the fitted law: no proof, but a wrong guess is seen."""
    generator = torch.Generator().manual_seed(7)
    noise = torch.randn(_POINTS, family.dim, dtype=torch.float64, generator=generator)
    z = parameters["loc"] + family.apply(parameters["scale"], noise)
    here, there = density(z).detach(), density(symmetry(z)).detach()
    rounding = 1e-12 * (here.abs() + there.abs())
    return bool(((here - there).abs() <= _HELD * family.dim**0.5 + rounding).all())
