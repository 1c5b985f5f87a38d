"""Lebedev rules for rotations: points on the sphere, and equal turns about each."""

from __future__ import annotations

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Group, Orthogonal, Quadrature, SpecialOrthogonal, UnsupportedError
from ...groups._errors import sentence
from ...groups._quadrature import circle, plane_rotation

DEGREES = (*range(3, 32, 2), *range(35, 132, 6))
"""Of the rules on the sphere that exist; those of degree 13, 25 and 27 have negative weights."""


def lebedev_rule(group: Group, degree: int) -> Quadrature:
    """A rule for SO(3) or O(3), exact to ``degree``: a Lebedev rule on the sphere times degree + 1 equal turns.

    Every rotation is R_n Rz(c), R_n taking e_z to the point n: equal c leave the harmonics of n alone, which the
    smallest Lebedev rule of at least ``degree`` integrates. It has as many nodes as ``group.quadrature(degree)`` at
    degree 2, a sixth fewer at 8, up to a third fewer beyond. Where 13, 25 or 27 is the smallest (``degree`` 12, 13,
    24 to 27) some weights are negative: a spread can then come out below zero, which is set to zero within rounding
    and is an error beyond.

    Raises:
        ValueError: for another group, or a degree over 131.
        UnsupportedError: for scipy before 1.15, which has no Lebedev rules.

    Source: V. I. Lebedev, USSR Comput. Math. Math. Phys. 16 (1976) 10-24; nodes from ``scipy.integrate``.
    """
    positive_int(degree, "degree", 0)
    if group not in (SpecialOrthogonal(3), Orthogonal(3)):
        raise ValueError(
            sentence(
                "SpecialOrthogonal(3) or Orthogonal(3)",
                repr(group),
                "Lebedev rules are for the sphere",
                f"group.quadrature({degree})",
            )
        )
    if degree > DEGREES[-1]:
        raise ValueError(f"expected degree <= {DEGREES[-1]}, got {degree}; try group.quadrature({degree})")
    points, on_sphere = _sphere(next(k for k in DEGREES if k >= degree))
    angles, on_circle = circle(degree)
    elements = (_towards(points)[:, None] @ plane_rotation(angles)).reshape(-1, 3, 3)
    weights = (on_sphere[:, None] * on_circle).reshape(-1)
    if isinstance(group, Orthogonal):
        elements, weights = torch.cat([elements, -elements]), torch.cat([weights, weights]) / 2
    return Quadrature(elements, weights, degree)


def _sphere(degree: int) -> tuple[Tensor, Tensor]:
    """Points ``[m, 3]`` and weights that sum to one."""
    try:
        from scipy.integrate import lebedev_rule as nodes
    except ImportError as error:
        raise UnsupportedError(
            sentence("scipy >= 1.15", "an older one", "it has no Lebedev rules", "group.quadrature(degree)")
        ) from error
    points, weights = nodes(degree)
    found = torch.as_tensor(weights, dtype=torch.float64)
    return torch.as_tensor(points.T.copy(), dtype=torch.float64), found / found.sum()


def _towards(points: Tensor) -> Tensor:
    """Rotations ``[m, 3, 3]`` that take e_z to each point: the shortest one, or from -e_z on the lower half."""
    sign = torch.where(points[:, 2] < 0, -1.0, 1.0).to(points)
    x, y, z = points[:, 0], points[:, 1] * sign, points[:, 2] * sign
    entries = [1 - x**2 / (1 + z), -x * y / (1 + z), x, -x * y / (1 + z), 1 - y**2 / (1 + z), y, -x, -y, z]
    upper = torch.stack(entries, -1).reshape(-1, 3, 3)
    flip = torch.stack([torch.ones_like(sign), sign, sign], -1)  # half a turn about e_x
    return flip[:, :, None] * upper
