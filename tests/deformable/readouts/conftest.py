"""A posed object whose frame and partners are known in closed form."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from pyro_symvi.deformable._points import grid_points

Posed = Callable[..., tuple[Tensor, Tensor]]


def posed_frame(points: Tensor, bend: Tensor) -> Tensor:
    """Unit vectors ``[B, N, 3]`` at points of images in which place (a, b) lies at x = a + f(b), y = b + k(x)."""
    a, b = _places(points, bend)
    plane = 0.55 * torch.stack([a, b], -1)
    return torch.cat([plane, (1 - plane.square().sum(-1, keepdim=True)).sqrt()], -1)


def posed_partners(points: Tensor, bend: Tensor) -> Tensor:
    """Where place (-a, b) lies, for the place (a, b) at each point."""
    a, b = _places(points, bend)
    x = -a + bend[:, :1] * (2 * b).sin()
    return torch.stack([x, b + bend[:, 1:] * (1.5 * x).cos()], -1)


def _places(points: Tensor, bend: Tensor) -> tuple[Tensor, Tensor]:
    x, y = points.unbind(-1)
    b = y - bend[:, 1:] * (1.5 * x).cos()
    return x - bend[:, :1] * (2 * b).sin(), b


@pytest.fixture
def posed() -> Posed:
    """Frames ``[B, 3, side, side]`` of B poses, and the true partners of their cells ``[B, side^2, 2]``."""

    def make(count: int = 3, side: int = 24, seed: int = 0) -> tuple[Tensor, Tensor]:
        generator = torch.Generator().manual_seed(seed)
        bend = 0.5 * torch.rand(count, 2, generator=generator, dtype=torch.float64) - 0.25
        points = grid_points(side, side, like=bend).expand(count, -1, 2)
        frame = posed_frame(points, bend).mT.unflatten(-1, (side, side))
        return frame, posed_partners(points, bend)

    return make
