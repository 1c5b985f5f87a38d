"""Smooth random functions, one for each image."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def uniform(low: float, high: float, *shape: int, generator: torch.Generator | None) -> Tensor:
    """Independent uniform numbers between ``low`` and ``high``, float64."""
    return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)


def random_waves(
    count: int, dim: int, frequency: float, *, waves: int = 4, generator: torch.Generator | None
) -> dict[str, Tensor]:
    """Coefficients of ``count`` random functions from R^dim to colours, sum_k a_k cos(<w_k, x> + phi_k).

    Amplitudes a_k are such that each colour has mean square 1 over phases; w_k is normal with standard deviation
    ``frequency``. Keys ``frequency [count, waves, dim]``, ``phase [count, waves]``, ``amplitude [count, waves, 3]``.
    """
    amplitude = torch.randn(count, waves, 3, generator=generator, dtype=torch.float64)
    return {
        "frequency": frequency * torch.randn(count, waves, dim, generator=generator, dtype=torch.float64),
        "phase": uniform(0.0, 2 * math.pi, count, waves, generator=generator),
        "amplitude": amplitude * math.sqrt(2 / waves),
    }


def wave_values(frequency: Tensor, phase: Tensor, amplitude: Tensor, x: Tensor) -> Tensor:
    """Values at ``x [N, P, dim]`` of the functions of :func:`random_waves`, ``[N, P, 3]``."""
    return torch.cos(torch.baddbmm(phase[:, None], x, frequency.mT)) @ amplitude
