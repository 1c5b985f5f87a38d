"""At which times a network is trained."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value


class Times(Value, ABC):
    """A law of times in [0, 1). To implement one, write a frozen dataclass with ``_quantile`` on (0, 1)."""

    def sample(
        self,
        n: int,
        *,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """Independent times, ``[n]``."""
        u = torch.rand(n, dtype=torch.float64, device=device, generator=generator)
        return self._quantile(u).clamp(0.0, 1 - 2.0**-20).to(dtype)

    @abstractmethod
    def _quantile(self, u: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False, repr=False)
class UniformTimes(Times):
    """Uniform on [0, 1)."""

    def _quantile(self, u: Tensor) -> Tensor:
        return u


@dataclass(frozen=True, eq=False, repr=False)
class LogitNormalTimes(Times):
    """log(t / (1 - t)) is normal: more of the middle, less of both ends.

    Args:
        mean: of the logit; positive means nearer to data.
        scale: standard deviation of the logit, > 0.

    Source: Esser et al., arXiv 2403.03206, section 3.1.

    Raises:
        ValueError: unless mean and scale are finite and the scale positive.
    """

    mean: float = 0.0
    scale: float = 1.0

    def __post_init__(self) -> None:
        if not math.isfinite(self.mean) or not 0 < self.scale < math.inf:
            raise ValueError(f"expected a finite mean and scale > 0, got {self.mean!r} and {self.scale!r}")

    def _quantile(self, u: Tensor) -> Tensor:
        return torch.sigmoid(self.mean + self.scale * torch.special.ndtri(u))
