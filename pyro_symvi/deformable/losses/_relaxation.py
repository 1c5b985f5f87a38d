"""What is paid when the element that relates two poses is unknown."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

from ..._value import Value


class Relaxation(Value, ABC):
    """From the losses ``[n, B]`` of a pair under each element (identity first) to one loss, ``[B]``.

    One element is chosen for a whole pair of images, never for a pixel: the map would tear.
    """

    def __call__(self, losses: Tensor) -> Tensor:
        """The relaxed loss of each pair, ``[B]``."""
        return self._relax(losses)

    def weights(self, losses: Tensor) -> Tensor:
        """The law q(h | pair) over elements, ``[n, B]``; columns sum to 1. d relaxed / d losses is this."""
        return self._weights(losses)

    @abstractmethod
    def _relax(self, losses: Tensor) -> Tensor: ...

    @abstractmethod
    def _weights(self, losses: Tensor) -> Tensor: ...


@dataclass(frozen=True, eq=False, repr=False)
class Unrelaxed(Relaxation):
    """The loss under the identity: the pose is taken at its word."""

    def _relax(self, losses: Tensor) -> Tensor:
        return losses[0]

    def _weights(self, losses: Tensor) -> Tensor:
        found = torch.zeros_like(losses)
        found[0] = 1
        return found


@dataclass(frozen=True, eq=False, repr=False)
class Minimum(Relaxation):
    """min_h L(R_h)."""

    def _relax(self, losses: Tensor) -> Tensor:
        return losses.amin(0)

    def _weights(self, losses: Tensor) -> Tensor:
        least = (losses == losses.amin(0)).to(losses)
        return least / least.sum(0)


@dataclass(frozen=True, eq=False, repr=False)
class Softmin(Relaxation):
    """-tau log mean_h exp(-L(R_h) / tau), between min_h L and min_h L + tau log n.

    With a uniform prior over h and the likelihood exp(-L(R_h) / tau) of a pair it is tau times the negative log
    evidence, and ``weights`` is the posterior of h.

    Raises:
        ValueError: unless the temperature is positive.
    """

    temperature: float = 0.1

    def __post_init__(self) -> None:
        if not self.temperature > 0:
            raise ValueError(f"expected a temperature above 0, got {self.temperature}; try 0.1, or Minimum()")

    def _relax(self, losses: Tensor) -> Tensor:
        tau = self.temperature
        return -tau * ((-losses / tau).logsumexp(0) - math.log(len(losses)))

    def _weights(self, losses: Tensor) -> Tensor:
        return (-losses / self.temperature).softmax(0)
