"""Step sizes and scales found from what the chains of a batch do, by averages over all of them."""

from __future__ import annotations

import math

import torch
from torch import Tensor


class EnergyStep:
    """A step size for each chain at which its mean of (Delta E)^2 / dim is ``target`` (Robbins and Monro 1951).

    log step <- log step + rate_t (1 - min(v_t / target, 10)), v_t the value of one step, rate_t falling like t^-0.6.
    That finds steps which follow the chain, small where the density is sharp; a step that stays must suit all places:
    with E[(Delta E)^2] / dim = a step^6 and a averaged over the updates (late ones counting more, each at most
    100 target / step^6), ``value`` = (target / a)^(1/6), or the mean step where that is smaller.
    """

    def __init__(self, start: Tensor, target: float, largest: float) -> None:
        self.target, self.largest = target, largest
        self._begin(start)

    def _begin(self, start: Tensor) -> None:
        self.log_step = start.double().log()
        self.count, self._weight = 0, 0.0
        self._sum, self._size = torch.zeros_like(self.log_step), torch.zeros_like(self.log_step)

    def restart(self, factor: float = 1.0) -> None:
        """Adapt fast again, from ``factor`` times the value found."""
        self._begin(factor * self.value)

    @property
    def current(self) -> Tensor:
        """The step sizes to use next, ``[chains]``."""
        return self.log_step.exp()

    @property
    def value(self) -> Tensor:
        """The step sizes found so far, ``[chains]``."""
        if not self._weight:
            return self.current
        mean, size = (self._sum / self._weight).exp(), self._size / self._weight
        return torch.minimum(mean, (self.target / size.clamp_min(1e-300)) ** (1 / 6)).clamp(max=self.largest)

    def update(self, energy_error: Tensor, usable: Tensor, dim: int) -> None:
        """Learn from one step: errors ``[chains]`` and whether they are finite ``[chains]``; those not count most."""
        ratio = torch.where(usable, energy_error.double().square() / (dim * self.target), math.inf).clamp(max=100.0)
        self.count += 1
        self._weight += self.count
        self._size = self._size + self.count * self.target * ratio * torch.exp(-6 * self.log_step)
        rate = 0.25 / (1 + self.count / 20) ** 0.6
        change = (rate * (1 - ratio.clamp(max=10.0))).clamp(min=-1.0)
        self.log_step = (self.log_step + change).clamp(max=math.log(self.largest))
        self._sum = self._sum + self.count * self.log_step


class DualAveraging:
    """A step size for each chain at which its mean acceptance is ``target``.

    Nesterov (2009) as in Hoffman and Gelman (2014, section 3.2).
    """

    def __init__(self, start: Tensor, target: float) -> None:
        self.target = target
        self.restart(start, 0.2)

    def restart(self, start: Tensor, shrinkage: float) -> None:
        """Begin anew at ``start`` ``[chains]``; the larger ``shrinkage``, the nearer to it and the less noise."""
        self._shrinkage = shrinkage
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
        self.log_step = self._centre - math.sqrt(self.count) / self._shrinkage * self._gap
        self._mean = self._mean + self.count**-0.75 * (self.log_step - self._mean)


class RunningMoments:
    """Variances of positions over times and chains, and mean squares of gradients, coordinate by coordinate."""

    def __init__(self, like: Tensor) -> None:
        self.count = 0
        self._mean, self._square, self._force = torch.zeros_like(like), torch.zeros_like(like), torch.zeros_like(like)

    def update(self, position: Tensor, gradient: Tensor) -> None:
        """One more position and gradient, ``[chains, dim]`` each (Welford 1962)."""
        self.count += 1
        gap = position - self._mean
        self._mean = self._mean + gap / self.count
        self._square = torch.addcmul(self._square, gap, position - self._mean)
        self._force = self._force + (gradient.square() - self._force) / self.count

    @property
    def variance(self) -> Tensor:
        """Over chains and times, ``[dim]``."""
        within = (self._square / max(self.count - 1, 1)).mean(0)
        return within if len(self._mean) == 1 else within + self._mean.var(0)

    @property
    def scale(self) -> Tensor:
        """(variance / mean square of the gradient)^(1/4), ``[dim]``.

        The standard deviation of an independent normal coordinate; else between that given the others, which sets the
        largest stable step, and the marginal one.
        """
        tiny = torch.finfo(self._mean.dtype).tiny ** 0.5
        return (self.variance.clamp_min(tiny) / self._force.mean(0).clamp_min(tiny)) ** 0.25
