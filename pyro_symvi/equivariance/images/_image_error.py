"""The equivariance error of image models: exact on the grid, beside the floor of interpolation off it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..._value import positive_int
from ...groups import Action, GridRotations, Quadrature
from ...groups._errors import sentence
from ...groups._quadrature import plane_rotation
from .._capture import OUTPUT
from .._inputs import Inputs
from .._moments import Moments
from .._sweep import Sweep
from ..errors import equivariance_error
from ._interpolated import Interpolated, ThereAndBack
from ._result import AngleError, ImageError
from ._rotated import Mode, Padding, inscribed_disc

Compared = Callable[[Tensor, Tensor], Tensor]


def image_error(
    model: Any,
    images: Tensor,
    rho_out: GridRotations | None = None,
    *,
    angles: int | Tensor = 16,
    mode: Mode = "bicubic",
    padding: Padding = "zeros",
    rho_in: GridRotations | None = None,
    mask: Tensor | None = None,
    batch: int = 256,
    allow_training: bool = False,
) -> ImageError:
    """How far an image model is from f(T x) = f(x), or f(T x) = T f(x), for rotations T of its images.

    The clean number is that of the exact symmetries of the grid (quarter turns and mirror images). At other angles
    pixels are interpolated, and the spread of ``z(a) = T_-a f(T_a x)`` over the angles holds the interpolation as
    well: the same spread is measured for the identity map, and for ``f(T_-a T_a x)``, and all are reported. Content
    outside the inscribed disc leaves the frame and counts as broken symmetry; see :func:`inscribed_disc`.

    Args:
        model: maps ``[B, ..., H, H]`` to ``[B, ...]``.
        images: ``[B, ..., H, H]``, channels before the pixels.
        rho_out: None for outputs that should stay as they are (class scores), ``GridRotations()`` for outputs that
            are square images and should turn along (of any size).
        angles: number of equal angles over a full turn, at least 3 (of which quarter turns are exact), or angles in
            radians ``[n]``.
        mode, padding: as in :func:`rotated_images`.
        rho_in: the symmetries of the grid, ``GridRotations(mirrors=False)`` where mirror images are not meant; by
            default those of ``rho_out``, or all eight. The angles never hold mirror images.
        mask: weights ``[H', H']`` of the pixels at which turned outputs are compared; by default the inscribed disc.
        batch, allow_training: as in :func:`~pyro_symvi.equivariance.equivariance_error`.
    """
    turns = _angles(angles)
    moving = _symmetries(rho_in, rho_out)
    _require_mask(mask, rho_out)
    grid = equivariance_error(model, images, moving.group, moving, rho_out, batch=batch, allow_training=allow_training)
    turning, back_and_forth = Interpolated(mode, padding), ThereAndBack(mode, padding)

    def spread(f: Any, action: Action, turn_back: bool, is_image: bool, weights: Tensor | None) -> AngleError:
        inputs = Inputs.of(images, action.group, action)
        sums = _AngleSums(turning if turn_back else None, is_image, weights)
        rule = _rule(turns)
        # What guards the sweep has been asked on the grid; these maps are no exact action and would be refused.
        for g, w, found in Sweep(f, inputs, rule, (), batch, allow_training, checks=False).blocks():
            sums.add(g, w, found[OUTPUT])
        return sums.result(turns)

    is_image = rho_out is not None
    return ImageError(
        grid,
        spread(model, turning, is_image, is_image, mask),
        spread(_identity, turning, True, True, None),
        spread(model, back_and_forth, False, is_image, mask),
    )


class _AngleSums:
    """Moments of z over the angles, and its distance from the first one; one pass."""

    def __init__(self, turning: Interpolated | None, is_image: bool, mask: Tensor | None) -> None:
        self.turning, self.is_image, self.mask = turning, is_image, mask
        self.moments = Moments()
        self.deviations: list[Tensor] = []

    def add(self, elements: Tensor, weights: Tensor, values: Tensor) -> None:
        """Add responses ``[k, B, *rest]``; the very first is that to the image as it is, of weight 0."""
        if self.turning is not None:
            ones = (1,) * (values.ndim - 3)
            values = self.turning._act(elements.mT.reshape(len(elements), *ones, 2, 2), values)
        if self.is_image and self.mask is None:
            self.mask = inscribed_disc(values.shape[-1])
        if self.is_image and self.mask is not None and self.mask.shape != values.shape[-2:]:
            raise ValueError(
                f"expected a mask of the shape of the output's pixels, {list(values.shape[-2:])}, "
                f"got {list(self.mask.shape)}"
            )
        self.moments.add(weights, values)
        away = (values - self.moments.centre).square()
        self.deviations.append(self.summed(away).flatten(1).mean(1))

    def summed(self, entries: Tensor) -> Tensor:
        """Sum over the pixels that are compared."""
        if not self.is_image or self.mask is None:
            return entries
        return (entries * self.mask.to(entries)).sum((-2, -1))

    def result(self, angles: Tensor) -> AngleError:
        """Without the first response."""
        squared, norm = self.summed(self.moments.variance), self.summed(self.moments.square)
        return AngleError(angles, squared, norm, torch.cat(self.deviations)[1:])


def _identity(x: Tensor) -> Tensor:
    return x


def _rule(angles: Tensor) -> Quadrature:
    """Angle 0 with weight 0, as the reference, then the angles with equal weights."""
    weights = torch.full((len(angles) + 1,), 1 / len(angles), dtype=torch.float64)
    weights[0] = 0
    turns = plane_rotation(torch.cat([angles.new_zeros(1), angles]))[:, :2, :2]
    return Quadrature(turns, weights, -1)


def _angles(angles: int | Tensor) -> Tensor:
    if isinstance(angles, Tensor):
        if angles.ndim != 1 or len(angles) < 2 or not bool(torch.isfinite(angles).all()):
            raise ValueError(f"expected at least two finite angles [n], got shape {list(angles.shape)}")
        return angles.double()
    positive_int(angles, "angles", 3)
    return 2 * math.pi * torch.arange(angles, dtype=torch.float64) / angles


def _symmetries(rho_in: GridRotations | None, rho_out: GridRotations | None) -> GridRotations:
    for name, rho in (("rho_in", rho_in), ("rho_out", rho_out)):
        if rho is not None and not isinstance(rho, GridRotations):
            raise TypeError(
                sentence(
                    f"{name} as GridRotations(), or None (for outputs: they should stay as they are)",
                    repr(rho),
                    "no other action is known at every angle",
                    "equivariance_error, for the symmetries of the grid alone",
                )
            )
    found = rho_in or rho_out or GridRotations()
    if rho_out is not None and rho_out != found:
        raise ValueError(f"expected rho_out={found!r} as rho_in, got {rho_out!r}, because one group moves both")
    return found


def _require_mask(mask: Tensor | None, rho_out: GridRotations | None) -> None:
    if mask is None:
        return
    if rho_out is None:
        raise ValueError("expected mask=None for outputs that are no images, got a mask; try rho_out=GridRotations()")
    if mask.ndim != 2 or not bool((mask >= 0).all()) or not bool((mask > 0).any()):
        raise ValueError(f"expected a mask [H, H] of weights that are not all zero, got shape {list(mask.shape)}")
