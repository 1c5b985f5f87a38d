"""Whitened parameters of a family, in which one unit is about one posterior standard deviation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import torch

from ...density import LogDensity
from ...families import Diagonal, Isotropic, LocationScale, LowRank, Parameters
from .result import FitStatus

Report = Callable[[int, float], None]
ACCEPTED = 1e-5
"""Largest whitened gradient norm that counts as converged: below it the line search is at the rounding of the value."""


@dataclass(frozen=True)
class Chart:
    r"""Whitened parameters :math:`x = (a, b)` of a family around a reference: loc = point + root a, scale = ref . S(b).

    One unit of any entry is about one posterior standard deviation (location) or a factor e (scale), whatever the
    units of the model. ``root`` is ``[d, d]``, lower triangular, or ``[d]`` for a diagonal metric. ``start``, where
    given, are the parameters at x = 0; by default the scale nearest the metric.
    """

    density: LogDensity
    family: LocationScale
    point: torch.Tensor
    root: torch.Tensor
    start: Parameters | None = None

    @cached_property
    def reference(self) -> Parameters:
        """Parameters at x = 0: the scale nearest the metric, what reverse KL gives on a Gaussian target."""
        if self.start is not None:
            return self.start
        nearest = {"loc": self.point, "scale": _nearest_scale(self.family, self.root)}
        return {**self.family.initial(1.0, self.point), **nearest}

    @property
    def size(self) -> int:
        """Length of x."""
        return self.family.size

    def parameters(self, x: torch.Tensor) -> Parameters:
        """The family's parameters at ``x``."""
        return self.family.around(self.reference, self.root, x)


def _nearest_scale(family: LocationScale, root: torch.Tensor) -> torch.Tensor:
    """The pattern's scale for a metric; without a matrix [d, d] where both are diagonal."""
    if root.ndim == 2:
        return family.pattern.from_root(root)
    if isinstance(family.pattern, Diagonal):
        return root
    if isinstance(family.pattern, Isotropic):
        return root.square().reciprocal().mean().rsqrt()
    if isinstance(family.pattern, LowRank):
        initial = family.pattern.initial(family.dim, 1.0, root)
        return torch.cat([root[:, None], initial[:, 1:]], -1)
    return family.pattern.from_root(torch.diag(root))


@dataclass
class Outcome:
    """Result of a minimisation."""

    parameters: Parameters
    status: FitStatus
    history: list[float]
    gradient_norm: float
    effective_particles: float
    details: str = field(default="")
    pareto_k: float = float("nan")
    num_draws: int = 0
    root: torch.Tensor | None = None
    """Of the last weighted covariance, ``[d, d]``: what the proposal was scaled by."""
    errors: Callable[[], Parameters] | None = None
