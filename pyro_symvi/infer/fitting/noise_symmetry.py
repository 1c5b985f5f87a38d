"""What the base samples of a fit are closed under: a joint reflection, a finite group, or both."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ...families import LocationScale
from ...families._structure import are_sign_flips
from ...families.scales import Triangular
from ...groups import (
    AffineAction,
    ConditionalReflection,
    EllipticalRotation,
    LinearAction,
    NaturalAction,
    Orthogonal,
    PointReflection,
    SpecialOrthogonal,
    SphereRotation,
    UnsupportedError,
)
from .._closure_checks import (
    LARGEST_GROUP,
    element_matrices,
    is_finite_linear,
    require_invariant,
    wrong_base,
)

_DEGREES = (7, 3, 2)
"""Equally spaced angles on each circle of a torus are one more; at least 3 pin what the circle pins."""


@dataclass(frozen=True)
class NoiseSymmetry:
    """Under what base samples are closed.

    Attributes:
        reflect: Coordinates J whose joint reflection they are closed under; empty for all of them, but with
            ``matrices`` for none.
        matrices: The further finite group ``[order, d, d]``, identity first; None for none.
        name: Of that group, for the record.
    """

    reflect: tuple[int, ...] = ()
    matrices: Tensor | None = None
    name: str = ""

    def closed_under(self, dim: int) -> tuple[str, ...]:
        """In words, for the record."""
        if self.matrices is not None and not self.reflect:
            return (self.name,)
        whole = not self.reflect or len(self.reflect) == dim
        which = "all coordinates" if whole else f"coordinates {list(self.reflect)}"
        first = f"reflection of {which}"
        return (first,) if self.matrices is None else (first, self.name)


def noise_symmetry(
    family: LocationScale, symmetry: LinearAction | None, found: tuple[int, ...], *, check_scale: bool = True
) -> NoiseSymmetry:
    """The symmetry to close base samples under, given the user's and the reflection that a search proposes.

    Reflections (`PointReflection`, `EllipticalRotation`, whole orthogonal groups) need no list of elements: for
    spherical bases each sample is spread over a randomly turned cross-polytope anyway. For a torus the subgroup of
    equally spaced angles stands in. Other groups are listed whole.

    Args:
        family: Base law and scale.
        symmetry: Given by the user, or None.
        found: Coordinates of the reflection found, perhaps none.
        check_scale: Whether the draws are made with the family's own scale.

    Raises:
        ValueError: The base law, or the scale, is not kept by the group; the group is too large, or has no finite
            stand-in; it acts on another space.
    """
    dim = family.dim
    if symmetry is None:
        return NoiseSymmetry(found)
    if isinstance(symmetry, ConditionalReflection):
        return _about_a_regression(family, symmetry, check_scale)
    if isinstance(symmetry, (PointReflection, EllipticalRotation)) or _is_orthogonal_group(symmetry):
        asked = symmetry.resolve_coordinates(dim) if isinstance(symmetry, AffineAction) else torch.arange(dim)
        if not isinstance(symmetry, PointReflection) and not family.spherical:
            raise wrong_base(symmetry)
        return NoiseSymmetry(found or tuple(asked.tolist()))
    matrices = _stand_in(symmetry, dim)
    if len(matrices) == 1:
        return NoiseSymmetry(found)
    if check_scale:
        require_invariant(family, matrices, symmetry)
    joint = found or _joint_reflection(matrices)
    if joint is None or not _commutes(matrices, joint):
        return NoiseSymmetry((), matrices, repr(symmetry))
    return NoiseSymmetry(joint, matrices, repr(symmetry))


def _is_orthogonal_group(symmetry: LinearAction) -> bool:
    natural = isinstance(symmetry, (NaturalAction, SphereRotation))
    return natural and isinstance(symmetry.group, (Orthogonal, SpecialOrthogonal))


def _about_a_regression(family: LocationScale, symmetry: ConditionalReflection, check_scale: bool) -> NoiseSymmetry:
    """z_J -> 2(a + B z_K) - z_J: samples reflect in J, and a Cholesky factor has to have J last."""
    moved = set(symmetry.coordinates)
    given = set(range(family.dim)) - moved if symmetry.given is None else set(symmetry.given)
    outside = [k for k in moved | given if not 0 <= k < family.dim]
    if outside:
        raise ValueError(
            f"expected coordinates from 0 to {family.dim - 1}, got {outside}, because the space has dimension "
            f"{family.dim}; try the flat indices of the sites that the symmetry moves"
        )
    ordered = family.spherical and isinstance(family.pattern, Triangular) and max(given) < min(moved)
    if check_scale and not ordered:
        raise ValueError(
            f"expected a Cholesky scale (of a spherical base) in which the coordinates {sorted(given)} come before "
            f"{sorted(moved)} for {symmetry!r}, got {family!r}, because only then does closing the noise of the "
            "reflected coordinates make the objective symmetric; try scale='full' and a model whose sites come in that "
            "order, or symmetry=None"
        )
    return NoiseSymmetry(tuple(sorted(moved)))


def _stand_in(symmetry: LinearAction, dim: int) -> Tensor:
    """Matrices ``[order, d, d]`` of the group, or of a finite subgroup of equally spaced angles."""
    if is_finite_linear(symmetry):
        order = (
            symmetry.bind(dim, center=0.0).group.order if isinstance(symmetry, AffineAction) else symmetry.group.order
        )
        if order > LARGEST_GROUP:
            raise ValueError(
                f"expected a group of at most {LARGEST_GROUP} elements, got {order} for {symmetry!r}, because base "
                "samples come in whole orbits; try a subgroup that pins as much: for permutations, "
                "CoordinatePermutation(dim, permutations=Cyclic(dim)); for axis flips, PointReflection()"
            )
        return element_matrices(symmetry, dim, "guide")
    if symmetry.group.is_compact and symmetry.dim == dim:
        for degree in _DEGREES:
            try:
                rule = symmetry.group.quadrature(degree, dtype=torch.float64)
            except UnsupportedError:
                break
            equal = bool(torch.allclose(rule.weights, rule.weights[:1].expand_as(rule.weights)))
            if equal and len(rule.elements) <= LARGEST_GROUP and _is_closed(symmetry.matrix(rule.elements)):
                return symmetry.matrix(rule.elements)
    raise ValueError(
        f"expected a symmetry on R^{dim} with a finite group, a torus, or all rotations, got {symmetry!r}, because "
        "base samples come in whole orbits of equal weight; try a finite subgroup, such as "
        'NaturalAction(PolyhedralGroup("icosahedral")) for rotations of space'
    )


def _is_closed(matrices: Tensor) -> bool:
    """Whether products with a few elements lie in the set."""
    flat = matrices.flatten(1)
    products = (matrices[:3, None] @ matrices).flatten(0, 1).flatten(1)
    return bool((torch.cdist(products, flat).min(-1).values < 1e-9).all())


def _joint_reflection(matrices: Tensor) -> tuple[int, ...] | None:
    """Coordinates of the sign flip in the group that moves most of them; None where it has none."""
    flips = [tuple((a.diagonal() < 0).nonzero()[:, 0].tolist()) for a in matrices if are_sign_flips(a[None])]
    widest = max(flips, key=len)
    return widest or None


def _commutes(matrices: Tensor, coordinates: tuple[int, ...]) -> bool:
    """Whether every element commutes with the joint reflection of the coordinates."""
    signs = torch.ones(matrices.shape[-1], dtype=matrices.dtype)
    signs[list(coordinates)] = -1
    return bool(torch.equal(signs[:, None] * matrices, matrices * signs))
