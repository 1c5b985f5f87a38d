"""Maps that fix an axis, and the axis that makes a density's half-turn residuals smallest."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from ...groups import Action, AffineAction, AxialRotation, LinearAction
from .density import SphereDensity, tangent
from .peaks import Peaks
from .residuals import SphereSymmetry, test_points

_ROTATIONS = 24
_ELEMENTS = 240


def half_turn(axis: torch.Tensor, found: bool = True) -> SphereSymmetry:
    """X -> 2 (a.x) a - x: it fixes a and no direction across it."""
    axis = axis / axis.norm()
    matrix = 2 * axis[:, None] * axis - torch.eye(len(axis), dtype=torch.float64)
    return SphereSymmetry("half-turn about the axis", matrix[None], axis, found)


def antipode(dim: int) -> SphereSymmetry:
    """X -> -x."""
    return SphereSymmetry("antipodal map", -torch.eye(dim, dtype=torch.float64)[None])


def rotations(axis: torch.Tensor, generator: torch.Generator, found: bool = True) -> SphereSymmetry:
    """Random rotations and reflections about an axis, the half-turn first: what a zonal density is unchanged by."""
    axis = axis / axis.norm()
    action = AxialRotation(axis, improper=True)
    g = action.group.sample(_ROTATIONS, dtype=torch.float64, generator=generator)
    matrices = torch.cat([half_turn(axis).matrices, action.matrix(g)])
    return SphereSymmetry("rotations about the axis", matrices, axis, found)


def of_action(action: LinearAction, dim: int, generator: torch.Generator) -> SphereSymmetry:
    """The maps of a user's action by orthogonal matrices: all of a small finite group, generators and draws else.

    Raises:
        TypeError: Not a linear action.
        ValueError: Another dimension, a centre other than the origin, matrices that are not orthogonal.
    """
    if not isinstance(action, LinearAction):
        got = type(action).__name__
        kind = "an action" if isinstance(action, Action) else "an object"
        raise TypeError(
            f"expected symmetry as an action by orthogonal matrices, got {kind} of type {got}, because the sphere is "
            "mapped to itself by those alone; try AxialRotation(axis), Antipodal(n), or NaturalAction(group)"
        )
    if isinstance(action, AffineAction):
        zero = torch.zeros(len(action.resolve_coordinates(dim)), dtype=torch.float64)
        if action.center is not None and bool((torch.as_tensor(action.center) != 0).any()):
            raise ValueError(
                f"expected a symmetry about the origin, got {action!r}, because about another centre the sphere moves "
                "away; try the same action with center=None"
            )
        action = action.bind(dim, center=zero, shape=torch.eye(len(zero), dtype=torch.float64))
    if action.dim != dim:
        raise ValueError(
            f"expected a symmetry of R^{dim}, got {action!r} on R^{action.dim}, because the sphere lies in R^{dim}; "
            f"try an axis of length {dim}"
        )
    group = action.group
    if group.is_finite and float(group.order) <= _ELEMENTS:
        elements = group.elements(dtype=torch.float64)
    else:
        elements = group.generators(dtype=torch.float64)
        if group.is_compact:
            drawn = group.sample(_ROTATIONS, dtype=torch.float64, generator=generator)
            elements = torch.cat([elements, drawn])
    matrices = action.matrix(elements)
    identity = torch.eye(dim, dtype=torch.float64)
    if float((matrices @ matrices.mT - identity).abs().max()) > 1e-12:
        raise ValueError(
            f"expected orthogonal matrices, got {action!r}, because others do not map the sphere to itself; try "
            "AxialRotation(axis), Antipodal(n) or NaturalAction(group)"
        )
    moving = (matrices - identity).abs().amax((-1, -2)) > 1e-12
    fixed = action.fixed_subspace()
    axis = fixed[:, 0] / fixed[:, 0].norm() if fixed.shape[-1] == 1 else None
    return SphereSymmetry(f"{type(action).__name__}", matrices[moving], axis)


def fixes_only_zero(action: LinearAction) -> bool:
    """Whether no direction is fixed: an invariant law has mean zero."""
    return action.fixed_subspace().shape[-1] == 0


def refined_axis(density: SphereDensity, axis: torch.Tensor, peaks: Peaks) -> torch.Tensor:
    """The axis near ``axis[n]`` with the smallest half-turn residuals, by Gauss-Newton steps on a few hundred points.

    The residual's derivative in the axis is the gradient at the image along 2 ((a.x) da + (da.x) a).
    """
    x, _ = test_points(density.dim, peaks, torch.Generator().manual_seed(11))
    pick = torch.randperm(len(x), generator=torch.Generator().manual_seed(12))[:600]
    x = torch.cat([x[pick], peaks.x])
    best, best_size = axis, torch.inf
    a = axis / axis.norm()
    for _ in range(12):
        cosine = x @ a
        image = 2 * cosine[:, None] * a - x
        image = image / image.norm(dim=-1, keepdim=True)
        value, _ = density.value_and_grad(x)
        value_image, gradient = density.value_and_grad(image)
        r = value_image - value
        jacobian = 2 * (cosine[:, None] * gradient + (gradient @ a)[:, None] * x)
        jacobian = tangent(a.expand_as(jacobian), jacobian)
        usable = torch.isfinite(r) & torch.isfinite(jacobian).all(-1)
        if int(usable.sum()) < 3 * density.dim:
            break
        weight = 1 / (1 + r[usable].abs() / (1e-300 + r[usable].abs().median().clamp_min(1e-12)))
        size = float(r[usable].abs().median())
        if size < best_size:
            best, best_size = a, size
        step = torch.linalg.lstsq(jacobian[usable] * weight[:, None], -(r[usable] * weight)[:, None], driver="gelsd")
        move = tangent(a, step.solution[:, 0])
        if not bool(torch.isfinite(move).all()) or float(move.norm()) < 1e-16:
            break
        a = a + move * min(1.0, 0.3 / max(float(move.norm()), 1e-300))
        a = a / a.norm()
    return best


def distinct(axes: Sequence[torch.Tensor], tolerance: float = 1e-7) -> list[torch.Tensor]:
    """Axes once each, whatever their sign."""
    kept: list[torch.Tensor] = []
    for a in axes:
        a = a / a.norm()
        if all(float(tangent(a, b).norm()) > tolerance for b in kept):
            kept.append(a)
    return kept
