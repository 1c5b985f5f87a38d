"""Residual tests of any linear or affine action, by the rules of `evidence.residuals`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ...groups import LinearAction
from ..evidence.residuals import ResidualTest, residual_test
from ..verdicts import Evidence
from .landscape import Landscape
from .spherical import SphereLandscape

_QUICK = 48
_POINTS = 768


@dataclass(frozen=True)
class _Tested:
    """What a residual test asks of an action, for actions that are not affine actions on chosen coordinates."""

    action: LinearAction
    moved: tuple[int, ...]

    @property
    def group(self) -> Any:
        return self.action.group

    def act(self, g: Tensor, x: Tensor) -> Tensor:
        return self.action.act(g, x)

    def log_abs_det(self, g: Tensor, x: Tensor) -> Tensor:
        return self.action.log_abs_det(g, x)

    def resolve_coordinates(self, dim: int) -> Tensor:
        return torch.tensor(self.moved)


def residuals_of(
    land: Landscape | SphereLandscape, action: LinearAction, moved: tuple[int, ...], *, quick_only: bool = False
) -> ResidualTest:
    """Forty-eight points first; if none speaks against the action, 768, with ascent, out to 10^12 scales."""
    tested: Any = _Tested(action, moved)
    found = residual_test(land.density, tested, land.scale, num_points=_QUICK, steps=0, generator=land.generator)
    if found.evidence is Evidence.REFUTED or quick_only:
        return found
    draws = land.screened()
    return residual_test(
        land.density,
        tested,
        land.bulk,
        num_points=_POINTS,
        draws=draws[0],
        log_p=draws[1],
        generator=land.generator,
    )


def clear_witness(land: Landscape | SphereLandscape, action: LinearAction) -> tuple[Tensor, Tensor, float] | None:
    """The point of the bulk where the action changes log p most, its image and the change; None if it hardly does."""
    points = land.screen.points
    if len(points) == 0:
        return None
    repeats = 1 if action.group.order == 2 else 8
    z, log_p = points.repeat(repeats, 1), land.screen.values.repeat(repeats)
    if action.group.order == 2:
        g = action.group.generators(dtype=torch.float64)[:1].expand(len(z), *action.group.element_shape)
    else:
        g = action.group.sample(len(z), dtype=torch.float64, generator=land.generator)
    image = action.act(g, z)
    change = land.density(image).detach() + action.log_abs_det(g, z) - log_p
    size = torch.where(torch.isfinite(change), change.abs(), 0.0)
    worst = int(size.argmax())
    if not float(size[worst]) > 1e-5 + 1e-9 * float(log_p[worst].abs()):
        return None
    return z[worst], image[worst], float(change[worst])
