"""Shapes with importance weights, and what they say of a posterior."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

from ..._value import Value
from ...density._importance import effective_size, pareto_k


class Estimate(NamedTuple):
    """A number and its standard error, tensors of the same shape."""

    value: Tensor
    error: Tensor


@dataclass(frozen=True, eq=False, repr=False)
class WeightedShapes(Value):
    """Draws x_i of a guide q with weights w_i proportional to p(x_i, data) / q(x_i).

    Read ``effective`` first: expectations rest on that many shapes, not on n. Below a tenth of n, or ``k`` above 0.7
    (Vehtari et al., Pareto smoothed importance sampling, arXiv 1507.02646), the guide misses part of the posterior or
    the density is too rough for its steps; errors are then too small as well.

    Args:
        shapes: ``[n, *batch, N, d]``.
        log_weights: ``[n]``, not normalised: their mean in size is the evidence p(data).

    Raises:
        ValueError: unless there is one log weight a shape.
    """

    shapes: Tensor
    log_weights: Tensor

    def __post_init__(self) -> None:
        if self.log_weights.ndim != 1 or self.shapes.shape[:1] != self.log_weights.shape:
            raise ValueError(
                f"expected one log weight a shape, [n] for [n, *batch, N, d], got {list(self.log_weights.shape)} for "
                f"{list(self.shapes.shape)}"
            )

    @cached_property
    def weights(self) -> Tensor:
        """Normalised, ``[n]``."""
        return self.log_weights.softmax(0)

    @cached_property
    def effective(self) -> float:
        """Effective sample size, (sum w)^2 / sum w^2."""
        return effective_size(self.log_weights)

    @cached_property
    def k(self) -> float:
        """Pareto k-hat of the weights: below 0.5 their variance is finite, above 0.7 do not trust them."""
        return pareto_k(self.log_weights.detach().double())

    @property
    def log_evidence(self) -> Estimate:
        """Log p(data) and its standard error, by the delta method."""
        n = len(self.log_weights)
        value = torch.logsumexp(self.log_weights, 0) - math.log(n)
        ratios = (self.log_weights - value).exp()
        return Estimate(value, ratios.std() / math.sqrt(n))

    def mean(self, function: Callable[[Tensor], Tensor]) -> Estimate:
        """The posterior mean of a function of shapes ``[n, ...] -> [n, *]``, and its standard error (delta method)."""
        values = function(self.shapes)
        if values.shape[:1] != self.log_weights.shape:
            raise ValueError(f"expected one value a shape, [{len(self.log_weights)}, ...], got {list(values.shape)}")
        w = self.weights.to(values.dtype if values.is_floating_point() else self.weights.dtype)
        values = values.to(w)
        mean = torch.tensordot(w, values, 1)
        return Estimate(mean, torch.tensordot(w.square(), (values - mean).square(), 1).sqrt())

    def resample(self, n: int, *, generator: torch.Generator | None = None) -> Tensor:
        """Shapes without weights, ``[n, *batch, N, d]``: drawn with replacement."""
        return self.shapes[torch.multinomial(self.weights, n, replacement=True, generator=generator)]
