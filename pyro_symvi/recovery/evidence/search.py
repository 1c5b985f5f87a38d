"""Proposing symmetries and their centres. What is found here proves nothing: `residuals` tests it."""

from __future__ import annotations

import torch

from ...density import LogDensity
from ...density._laplace import inverse_root, newton_step
from ...density._proposal import Scale
from ...infer.fitting.reflections import candidate_reflection

_ALL_SINGLES = 24
"""Up to this dimension every single coordinate is tried by itself."""


def refine_center(
    density: LogDensity, start: torch.Tensor, coordinates: tuple[int, ...], scale: Scale
) -> torch.Tensor | None:
    r"""Solve :math:`\partial_J\log p(c_J, y) = 0` for :math:`c_J` by Newton's method, y held at its value in ``start``.

    A reflection's centre is such a point. Returns ``[d]``; None where the Hessian block is singular or the iteration
    leaves the region (100 scales).
    """
    index = torch.tensor(coordinates)
    unit = scale.root.square().sum(-1).sqrt()
    point, best, least = start.clone(), start.clone(), float("inf")
    for _ in range(40):
        gradient = density.value_and_grad(point)[1][index]
        size = float((gradient * unit[index]).norm())
        if not torch.isfinite(gradient).all():
            return None
        if size < least:
            best, least = point.clone(), size
        elif least < 1e-9:
            break
        step = newton_step(density, point, index)
        if step is None:
            return best if least < 1e-12 else None
        length = float((step / unit).norm())
        point = point + step * min(1.0, 2.0 / max(length, 1e-300))
        if float(((point - start) / unit).norm()) > 100:
            return None
        if length < 1e-15:
            break
    return best if least < 1e-6 else None


def reflection_candidates(
    density: LogDensity, center: torch.Tensor, scale: Scale, generator: torch.Generator
) -> list[tuple[int, ...]]:
    """Sets of coordinates worth testing for a joint reflection, largest claims first, without repeats."""
    dim = density.dim
    found = candidate_reflection(density, center, scale.root, generator=generator)
    candidates = [found] if found else []
    candidates.append(tuple(range(dim)))
    for piece in (found, tuple(range(dim))):
        for site in density.sites:
            part = tuple(i for i in range(site.slice.start, site.slice.stop) if i in piece)
            if part:
                candidates.append(part)
    if dim <= _ALL_SINGLES:
        candidates += [(i,) for i in range(dim)]
    return list(dict.fromkeys(candidates))


def shape_at(density: LogDensity, center: torch.Tensor, coordinates: tuple[int, ...]) -> torch.Tensor | None:
    """The matrix M ``[|J|, |J|]`` of an elliptical symmetry, up to a factor: the inverse Hessian block at the centre.

    Of either sign: a density may have a ridge or a pit there. None where the Hessian is singular or indefinite.
    """
    index = torch.tensor(coordinates)
    hessian = density.hessian(center)[index][:, index]
    for precision in (-hessian, hessian):
        root = inverse_root((precision + precision.mT) / 2)
        if root is not None:
            return root @ root.mT
    return None
