"""Step sizes and scales found from what the chains of a batch do, by averages over all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class EnergyStep:
    """A step size for each chain at which its mean of (Delta E)^2 / dim is ``target`` (Robbins and Monro 1951).

    log step <- log step + rate_t (1 - min(v_t / target, 10)), v_t the value of one step, rate_t falling like t^-0.6;
    ``value`` is the weighted mean of log step over the updates, late ones counting more.
    """

    def __init__(self, start: Tensor, target: float, largest: float) -> None:
        self.log_step, self.target, self.largest = start.double().log(), target, largest
        self.count, self._sum, self._weight = 0, torch.zeros_like(self.log_step), 0.0

    def restart(self) -> None:
        """Adapt fast again, from the value found."""
        self.log_step = self.value.log()
        self.count, self._sum, self._weight = 0, torch.zeros_like(self.log_step), 0.0

    @property
    def current(self) -> Tensor:
        """The step sizes to use next, ``[chains]``."""
        return self.log_step.exp()

    @property
    def value(self) -> Tensor:
        """The step sizes found so far, ``[chains]``."""
        return (self._sum / self._weight).exp().clamp(max=self.largest) if self._weight else self.current

    def update(self, energy_error: Tensor, usable: Tensor, dim: int) -> None:
        """Learn from one step: errors ``[chains]`` and whether they are finite ``[chains]``; those not count as 10."""
        ratio = torch.where(usable, energy_error.double().square() / (dim * self.target), 10.0).clamp(max=10.0)
        self.count += 1
        rate = 0.25 / (1 + self.count / 20) ** 0.6
        change = (rate * (1 - ratio)).clamp(min=-1.0)
        self.log_step = (self.log_step + change).clamp(max=math.log(self.largest))
        self._sum = self._sum + self.count * self.log_step
        self._weight += self.count


class DualAveraging:
    """A step size for each chain at which its mean acceptance is ``target``.

    Nesterov (2009) as in Hoffman and Gelman (2014, section 3.2).
    """

    def __init__(self, start: Tensor, target: float) -> None:
        self.target = target
        self.restart(start)

    def restart(self, start: Tensor) -> None:
        """Begin anew at ``start`` ``[chains]``."""
        self._centre = start.double().log()
        self._gap, self.count = torch.zeros_like(self._centre), 0
        self.log_step, self._mean = self._centre, self._centre

    @property
    def current(self) -> Tensor:
        """The step sizes to use next, ``[chains]``."""
        return self.log_step.exp()

    @property
    def value(self) -> Tensor:
        """The step sizes found so far, ``[chains]``."""
        return self._mean.exp()

    def update(self, acceptance: Tensor) -> None:
        """Learn from the probabilities of acceptance of one step, ``[chains]``."""
        self.count += 1
        shortfall = self.target - acceptance.double()
        self._gap = self._gap + (shortfall - self._gap) / (self.count + 10)
        self.log_step = self._centre - math.sqrt(self.count) / 0.1 * self._gap
        self._mean = self._mean + self.count**-0.75 * (self.log_step - self._mean)


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
