"""Unadjusted microcanonical Langevin dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._burn_in import burn_in
from ._integrators import langevin
from ._refresh import unit
from ._sampler import ChainState, Sampler, StepInfo, Target, Tuning, WarmUp


def check_fraction(value: float, name: str) -> None:
    """Refuse what is not strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1:
        raise ValueError(f"expected {name} between 0 and 1, got {value!r}")


def check_positive(value: float, name: str) -> None:
    """Refuse what is not a finite positive number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"expected a finite positive {name}, got {value!r}")


def check_count(value: int, name: str, least: int) -> None:
    """Refuse what is not an int of at least ``least``."""
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"expected {name} as an int >= {least}, got {value!r}")


def check_dim(dim: int) -> None:
    """Refuse one dimension, where a unit momentum cannot turn."""
    if dim < 2:
        raise ValueError(
            f"expected at least 2 parameters, got {dim}, because a unit momentum on a line cannot turn; try HMC()"
        )


@dataclass(frozen=True, eq=False, repr=False)
class MCLMC(Sampler):
    """Microcanonical Langevin Monte Carlo (Robnik, De Luca, Silverstein and Seljak 2023): fast, and slightly biased.

    One step: minimal-norm integrator (two gradients), then the momentum is partly refreshed. Nothing is rejected, so
    draws follow a law that differs from the target; the difference goes to zero with ``energy_variance``, the mean of
    (Delta E)^2 / dim that warm-up sets the step size to. What it came to in the last quarter of the warm-up, and at
    which step sizes, is in its record. The energy errors of the draws tell whether that lasts: a chain that comes to
    where the density is sharper has larger ones.

    A move to an infinite density is taken back and the momentum drawn anew.

    Args:
        energy_variance: the bias parameter.
        ascent: steps of ascent of the density before anything is sampled; 0 where the start is in the typical set.
        precondition: whether to scale coordinates, by variances and mean squares of gradients over time and chains.
    """

    energy_variance: float = 0.02
    ascent: int = 200
    precondition: bool = True
    exact = False

    def __post_init__(self) -> None:
        check_positive(self.energy_variance, "energy_variance")
        check_count(self.ascent, "ascent", 0)

    def _initial_momentum(self, normal: Tensor) -> Tensor:
        return unit(normal)

    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {"momentum": ("normal", (dim,))}

    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        check_dim(state.position.shape[1])
        found = langevin(target, state, tuning.step_size, tuning.length, tuning.scale, noise["momentum"])
        error = torch.where(found.usable, found.energy_error, math.inf)
        return found.state, StepInfo(error, torch.ones_like(error), 2)

    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp:
        check_dim(state.position.shape[1])
        found = burn_in(
            target,
            state,
            steps,
            generators,
            energy_variance=self.energy_variance,
            ascent=self.ascent,
            precondition=self.precondition,
            report=report,
        )
        record = {
            "step_size": found.tuning.step_size.tolist(),
            "length": float(found.tuning.length),
            "energy_variance_wanted": self.energy_variance,
            "energy_variance": found.energy_variance.tolist(),
            "energy_variance_measured_at": found.measured_at.tolist(),
            "taken_back": found.taken_back,
        }
        return WarmUp(found.state, found.tuning, record)
