"""What `fit` returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch

from ..density import LogDensity
from ..divergences import Divergence
from ..families import LocationScale, Parameters


class FitStatus(Enum):
    """How a fit ended; the value is what to do about it."""

    CONVERGED = "nothing: the gradient is at its tolerance"
    MAX_STEPS = "raise max_steps, or start closer (init_loc_fn of the guide)"
    NOT_FINITE = "the objective has no finite value near the start: try another init_loc_fn, or a heavier-tailed base"
    UNBOUNDED = "the scale collapses or grows without end: check that the posterior is proper, or use more particles"
    FEW_EFFECTIVE_PARTICLES = "importance weights rest on few particles: raise num_particles, or use ReverseKL()"
    STALLED = "no further decrease although the gradient is not small: the objective has kinks or noise there"

    @property
    def remedy(self) -> str:
        """What to try."""
        return str(self.value)


@dataclass(frozen=True)
class Fit:
    """A fitted guide and how it came about.

    Attributes:
        family: The family, a frozen value.
        parameters: Its fitted ``{"loc": [d], "scale": ...}``, float64.
        density: The flat target.
        guide: The guide whose parameters were set, where the target is a Pyro model; else None.
        divergence: What was minimised.
        status: `FitStatus`.
        history: The objective after each step (each divergence's ``objective``, up to the target's constant).
        gradient_norm: Norm of the final gradient in whitened parameters (one unit is about one posterior sd).
        num_particles: Base samples used.
        reflected: Coordinates under whose joint reflection the base samples were closed; empty for all of them.
        closed_under: Everything they were closed under, in words.
        effective_particles: Effective sample size of the last weights; ``num_particles`` where none were used.
        details: One line on what stopped the fit.
    """

    family: LocationScale
    parameters: Parameters
    density: LogDensity
    divergence: Divergence
    status: FitStatus
    history: tuple[float, ...]
    gradient_norm: float
    num_particles: int
    reflected: tuple[int, ...]
    effective_particles: float
    guide: Any = None
    closed_under: tuple[str, ...] = ()
    details: str = field(default="")

    @property
    def converged(self) -> bool:
        """Whether the status is ``CONVERGED``."""
        return self.status is FitStatus.CONVERGED

    @property
    def loc(self) -> torch.Tensor:
        """The fitted location ``[d]``."""
        return self.parameters["loc"]

    def raise_unless_converged(self) -> Fit:
        """Return self, or raise RuntimeError with the cause and what to try."""
        if not self.converged:
            raise RuntimeError(f"the fit ended {self.status.name} ({self.details}); try: {self.status.remedy}")
        return self
