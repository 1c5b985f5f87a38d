"""Stationary points of some coordinates, the others held: where a centre of symmetry must lie."""

from __future__ import annotations

import torch
from torch import Tensor

from ...density import LogDensity
from ...density._laplace import _curvature, newton_step

_STEPS = 30
_FAR = 100.0


def stationary_point(
    density: LogDensity, start: Tensor, coordinates: tuple[int, ...], unit: Tensor, *, curvature: Tensor | None = None
) -> Tensor | None:
    r"""Solve :math:`\partial_J\log p(z_J, y) = 0` for :math:`z_J` by Newton's method, y held at its value in ``start``.

    Hessians are differences of gradients, one batch a step, which costs a few digits of speed and none of accuracy.

    Args:
        density: The target.
        start: First guess ``[d]``.
        coordinates: J.
        unit: Posterior scales ``[d]``.
        curvature: The Hessian at ``start``, if known.

    Returns:
        ``[d]``; None where the Hessian block is singular or the iteration leaves the region (100 scales).
    """
    index = torch.tensor(coordinates)
    point, best, least, stalled = start.clone(), start.clone(), float("inf"), 0
    for number in range(_STEPS):
        gradient = density.value_and_grad(point)[1][index]
        size = float((gradient * unit[index]).norm())
        if not size < float("inf"):
            return None
        if size < least:
            stalled = 0 if size < 0.5 * least else stalled + 1
            best, least = point.clone(), size
        else:
            stalled += 1
        if least < 1e-6 and stalled > 1:
            break
        hessian = curvature if number == 0 and curvature is not None else _curvature(density, point, unit)
        step = newton_step(density, point, index, hessian)
        if step is None:
            break
        length = float((step / unit).norm())
        point = point + step * min(1.0, 2.0 / max(length, 1e-300))
        if float(((point - start) / unit).norm()) > _FAR:
            return None
        if length < 1e-15:
            break
    return best if least < 1e-7 else None
