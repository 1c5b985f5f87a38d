"""What `fit` returns."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any

import torch

from ...density import LogDensity
from ...divergences import Divergence
from ...families import LocationScale, Parameters


class FitStatus(Enum):
    """How a fit ended; the value is what to do about it."""

    CONVERGED = "nothing: the gradient is at its tolerance"
    MAX_STEPS = "raise max_steps, or start closer (init_loc_fn of the guide)"
    NOT_FINITE = "the objective has no finite value near the start: try another init_loc_fn, or a heavier-tailed base"
    UNBOUNDED = "the scale collapses or grows without end: check that the posterior is proper, or use more particles"
    FEW_EFFECTIVE_PARTICLES = "importance weights rest on few particles: raise num_particles, or use ReverseKL()"
    HEAVY_WEIGHTS = "importance weights are heavy-tailed (Pareto k-hat above 0.7): try a smaller alpha, or ReverseKL()"
    SADDLE = "the gradient is zero but the objective falls to both sides: start elsewhere, with starts=8"
    FLAT = (
        "the location can be moved without change of the objective, for the samples leave a gap that a target with "
        "kinks or plateaus does not bend across: raise num_particles; if that does not help, its location is not unique"
    )
    SEVERAL_OPTIMA = (
        "other parameters do as well, such as the images of these under a symmetry: what the symmetry would pin is not "
        "pinned; see Fit.optima, and use ForwardKL(), a heavier-tailed base, or OrbitMixture"
    )
    BETTER_ELSEWHERE = "the image under the symmetry has a lower objective: search for the lowest, with starts=8"
    STALLED = "no further decrease although the gradient is not small: the objective has kinks or noise there"

    @property
    def remedy(self) -> str:
        """What to try."""
        return str(self.value)


@dataclass(frozen=True)
class Optima:
    """Where each start of a fit ended.

    Attributes:
        kinds: Why each began where it did: ``"mode"``, ``"given"``, ``"wide"``, ``"random"``, or ``"image"`` of the
            best of the others under the symmetry.
        objectives: The objective at each end, all on one footing (for alpha > 0 estimated afterwards, on common draws);
            infinite where the run failed. From one start, the last entry of `Fit.history`.
        locations: ``[n, d]``.
        statuses: How each run ended.
        distinct: How many different optima were met.
        chosen: Index of the lowest, which is the fit.
    """

    kinds: tuple[str, ...]
    objectives: tuple[float, ...]
    locations: torch.Tensor
    statuses: tuple[FitStatus, ...]
    distinct: int
    chosen: int


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
        reflected: Coordinates under whose joint reflection the base samples were closed; empty for all of them (for
            none, where a group without a reflection was given: see ``closed_under``).
        closed_under: Everything they were closed under, in words.
        optima: Where each start ended (`Optima`), how many different optima there were, and which was chosen.
        fixed_point_residual: How far the fitted law is from its image under the symmetry given or found: the largest
            difference of locations in posterior sds, or of scatters in the units of these sds, over the generators.
            None where no symmetry with a known centre is at hand. (Premise P7: the optimiser reached the minimiser.)
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
    optima: Optima | None = None
    fixed_point_residual: float | None = None
    details: str = field(default="")
    pareto_k: float = float("nan")
    errors: Callable[[], Parameters] | None = field(default=None, repr=False, compare=False)

    @cached_property
    def standard_error(self) -> Parameters:
        """Standard errors of the parameters from the finite number of draws, ``{"loc": [d], "scale": ...}``.

        Not posterior standard deviations: how much the fit would move with other draws. Zero (to rounding) in a
        location that a symmetry of the target pins, as draws come in orbits of it. nan where there is no estimate. See
        `pyro_symvi.infer.fitting.standard_errors`; computed when first asked for.
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
