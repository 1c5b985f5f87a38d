"""What `fit` returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
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
    HEAVY_WEIGHTS = "importance weights are heavy-tailed (Pareto k-hat above 0.7): try a smaller alpha, or ReverseKL()"
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
        pareto_k: Pareto k-hat of the last weights (reliable below 0.7); nan where none were used.
        errors: Computes `standard_error`.
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
    pareto_k: float = float("nan")
    errors: Callable[[], Parameters] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def standard_error(self) -> Parameters:
        """Standard errors of the parameters from the finite number of draws, ``{"loc": [d], "scale": ...}``.

        Not posterior standard deviations: how much the fit would move with other draws. Zero (to rounding) in a
        location that a symmetry of the target pins, as draws come in orbits of it. nan where there is no estimate. See
        `pyro_symvi.infer.standard_errors`; computed when first asked for.
        """
        if self.errors is None:
            return {name: torch.full_like(value, torch.nan) for name, value in self.parameters.items()}
        return self.errors()

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
