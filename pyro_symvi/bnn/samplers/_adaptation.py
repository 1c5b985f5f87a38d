"""Step sizes and scales found from what the chains of a batch do, by averages over all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class EnergyStep:
    """A step size at which the variance of the energy error, over dim, is ``target`` (Robbins and Monro 1951).

    log step <- log step + rate_t (1 - min(v_t / target, 4)) with v_t the mean over chains of (Delta E)^2 / dim and
    rate_t falling like t^-0.6; ``value`` is the mean of log step over the later half of the updates.
    """

    def __init__(self, start: float, target: float, largest: float) -> None:
        self.log_step, self.target, self.log_largest = math.log(start), target, math.log(largest)
        self.count = 0
        self._sum, self._weight = 0.0, 0.0

    def restart(self) -> None:
        """Adapt fast again, from the value found."""
        self.log_step = math.log(self.value)
        self.count, self._sum, self._weight = 0, 0.0, 0.0

    @property
    def current(self) -> float:
        """The step size to use next."""
        return math.exp(self.log_step)

    @property
    def value(self) -> float:
        """The step size found so far."""
        return math.exp(self._sum / self._weight) if self._weight else self.current

    def update(self, energy_error: Tensor, usable: Tensor, dim: int) -> None:
        """Learn from one step: errors ``[chains]`` and whether they are finite ``[chains]``; those not count as 4."""
        ratio = torch.where(usable, energy_error.double().square() / (dim * self.target), 4.0).clamp(max=4.0)
        self.count += 1
        rate = 0.3 / (1 + self.count / 20) ** 0.6
        self.log_step = min(self.log_step + rate * (1 - float(ratio.mean())), self.log_largest)
        weight = float(self.count)  # late values count more: those of the search are forgotten
        self._sum += weight * self.log_step
        self._weight += weight


class DualAveraging:
    """A step size at which the mean acceptance is ``target`` (Nesterov 2009; Hoffman and Gelman 2014, section 3.2)."""

    def __init__(self, start: float, target: float) -> None:
        self.target = target
        self.restart(start)

    def restart(self, start: float) -> None:
        """Begin anew at ``start``."""
        self._centre, self._gap, self.count = math.log(start), 0.0, 0
        self.log_step, self._mean = math.log(start), math.log(start)

    @property
    def current(self) -> float:
        """The step size to use next."""
        return math.exp(self.log_step)

    @property
    def value(self) -> float:
        """The step size found so far."""
        return math.exp(self._mean)

    def update(self, acceptance: Tensor) -> None:
        """Learn from the probabilities of acceptance of one step, ``[chains]``."""
        self.count += 1
        shortfall = self.target - float(acceptance.double().mean())
        self._gap += (shortfall - self._gap) / (self.count + 10)
        self.log_step = self._centre - math.sqrt(self.count) / 0.1 * self._gap
        weight = self.count**-0.75
        self._mean += weight * (self.log_step - self._mean)


class RunningVariance:
    """Variances over time within each chain, and over everything, coordinate by coordinate (Welford 1962)."""

    def __init__(self, like: Tensor) -> None:
        self.count = 0
        self._mean, self._square = torch.zeros_like(like), torch.zeros_like(like)

    def update(self, position: Tensor) -> None:
        """One more position ``[chains, dim]``."""
        self.count += 1
        gap = position - self._mean
        self._mean = self._mean + gap / self.count
        self._square = torch.addcmul(self._square, gap, position - self._mean)

    @property
    def within(self) -> Tensor:
        """Mean over chains of the variance over time, ``[dim]``."""
        return (self._square / max(self.count - 1, 1)).mean(0)

    @property
    def total(self) -> Tensor:
        """Variance over chains and times, ``[dim]``."""
        chains = len(self._mean)
        return self.within if chains == 1 else self.within + self._mean.var(0)
