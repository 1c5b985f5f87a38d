"""Which coordinates might reflect? A cheap, untrusted search; whoever uses an answer must test it."""

from __future__ import annotations

import torch

from ...density import LogDensity

_POINTS = 8
_FEW = 64
"""Up to this dimension the reflection found is tried as a whole."""
_MANY = 2000
"""In more dimensions only the reflection of all coordinates is tried: one by one would take a matrix ``[d, d]``."""


def candidate_reflection(
    density: LogDensity,
    center: torch.Tensor,
    root: torch.Tensor,
    *,
    tolerance: float = 1e-6,
    generator: torch.Generator | None = None,
) -> tuple[int, ...]:
    r"""The largest set J of coordinates for which :math:`z_J \mapsto 2c_J - z_J` may leave the density unchanged.

    If it does, (1) the density is even along each axis of J through the centre, and (2)
    :math:`\partial_J \log p(c_J, y) = 0` for every value y of the other coordinates. Coordinates that fail (1) are
    struck out, then those with a gradient at random points of the kind (2), until none is left to strike. A true
    reflection's coordinates are never struck, up to the accuracy of ``center``. What is left is reflected at random
    points; where log p changes, coordinates are struck one by one, each time the one that leaves the smallest change.

    Args:
        density: The target.
        center: Candidate centre ``[d]``.
        root: ``[d, d]``, or ``[d]`` for a diagonal; points are ``center + root x``, and gradients are compared in these
            units.
        tolerance: Gradients below this, in units of the coordinate's scale, count as zero.
        generator: Random state; a fixed one by default.

    Returns:
        Sorted coordinates, perhaps none.
    """
    generator = torch.Generator().manual_seed(11) if generator is None else generator
    scale = root if root.ndim == 1 else root.square().sum(-1).sqrt()
    draws = torch.randn(_POINTS, density.dim, dtype=torch.float64, generator=generator)
    offsets = draws * root if root.ndim == 1 else draws @ root.mT
    points = center + offsets
    if density.dim > _MANY:
        return _all_or_none(density, center, offsets, tolerance)
    kept = _even_along_axes(density, center, scale, tolerance)
    while kept.any():
        z = torch.where(kept, center, points)
        gradients = density.value_and_grad(z)[1] * scale
        finite = torch.isfinite(gradients).all(-1)
        if not finite.any():
            return ()
        moved = (gradients[finite].abs() > tolerance).any(0) & kept
        if not moved.any():
            break
        kept &= ~moved
    if density.dim <= _FEW:
        kept = _reflecting(density, center, offsets, kept, tolerance)
    return tuple(torch.nonzero(kept).flatten().tolist())


def _reflecting(
    density: LogDensity, center: torch.Tensor, offsets: torch.Tensor, kept: torch.Tensor, tolerance: float
) -> torch.Tensor:
    """The part of ``kept [d]`` whose joint reflection leaves log p at random points; ``kept`` itself if none does.

    The tests that led to ``kept`` hold the others at the centre, or nothing if it is everything: in
    ``log p = -u^2 / 2 - u - b^2 exp(-2u) / 2`` both axes are even about (-1, 0), and only b reflects.
    """
    here = density(center + offsets).detach()
    left = kept
    while left.any():
        options = torch.stack([left] + [left & (torch.arange(density.dim) != k) for k in left.nonzero().flatten()])
        signs = 1 - 2 * options.to(offsets.dtype)
        there = density(center + signs[:, None] * offsets).detach()
        change = (there - here).abs() - 1e-13 * (there.abs() + here.abs())
        worst = torch.where(torch.isfinite(change), change, torch.inf).amax(-1)
        if worst[0] <= tolerance * density.dim**0.5:
            return left
        left = options[1:][worst[1:].argmin()]
    return kept


def _all_or_none(density: LogDensity, center: torch.Tensor, offsets: torch.Tensor, tolerance: float) -> tuple[int, ...]:
    """Every coordinate if log p is even about the centre along a few random directions, else none."""
    ahead, behind = density(center + offsets).detach(), density(center - offsets).detach()
    rounding = 1e-13 * (ahead.abs() + behind.abs())
    even = (ahead - behind).abs() <= tolerance * density.dim**0.5 + rounding
    return tuple(range(density.dim)) if bool(even.all()) else ()


def _even_along_axes(density: LogDensity, center: torch.Tensor, scale: torch.Tensor, tolerance: float) -> torch.Tensor:
    """Whether ``log p(c + t e_k) = log p(c - t e_k)`` at a few t, for each coordinate k, ``[d]``."""
    even = torch.ones(density.dim, dtype=torch.bool)
    for t in (0.37, 1.9):
        offsets = t * torch.diag(scale)
        ahead, behind = density(center + offsets).detach(), density(center - offsets).detach()
        rounding = 1e-13 * (ahead.abs() + behind.abs())
        even &= (ahead - behind).abs() <= tolerance + rounding
    return even
