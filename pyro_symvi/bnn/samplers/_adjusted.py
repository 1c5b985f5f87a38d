"""What Metropolis-adjusted samplers share: acceptance, trajectories of varied length, adaptation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._adaptation import DualAveraging, RunningVariance
from ._burn_in import CHUNK, burn_in
from ._integrators import Moved, choose, finite
from ._mclmc import check_count, check_fraction
from ._sampler import ChainState, Sampler, StepInfo, Target, Tuning, WarmUp


@dataclass(frozen=True, eq=False, repr=False)
class AdjustedSampler(Sampler):
    """A trajectory from a fresh momentum, then Metropolis' test: the target is invariant.

    The number of integrator steps is ceil(2 f length / step_size) with f in (0, 1) the same for all chains and
    independent of them: chains of a batch go in step, and each kernel leaves the target invariant. An infinite density
    is a rejection.

    Args:
        acceptance: mean probability of acceptance that warm-up sets the step size to.
        max_steps: most integrator steps of a trajectory.
        ascent: steps of monotone ascent before anything is sampled; 0 where the start is in the typical set.
        precondition: whether to scale coordinates by standard deviations over time and chains.
    """

    acceptance: float = 0.9
    max_steps: int = 100
    ascent: int = 100
    precondition: bool = False

    def __post_init__(self) -> None:
        check_fraction(self.acceptance, "acceptance")
        check_count(self.max_steps, "max_steps", 1)
        check_count(self.ascent, "ascent", 0)

    @abstractmethod
    def _trajectory(self, target: Target, state: ChainState, tuning: Tuning, steps: int) -> Moved: ...

    @abstractmethod
    def _length(self, variance: Tensor) -> float:
        """Mean length of a trajectory for variances ``[dim]`` of position / scale."""

    @abstractmethod
    def _first_step(self, microcanonical: float, dim: int) -> float:
        """Step size to start adaptation at, from that of the burn-in."""

    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {"momentum": ("normal", (dim,)), "accept": ("uniform", ()), "fraction": ("shared", ())}

    def _steps(self, tuning: Tuning, fraction: Tensor) -> int:
        ratio = 2 * float(fraction[0]) * float(tuning.length) / float(tuning.step_size)
        return max(1, min(self.max_steps, math.ceil(ratio)))

    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        steps = self._steps(tuning, noise["fraction"])
        state = state._replace(momentum=self._initial_momentum(noise["momentum"]))
        moved = self._trajectory(target, state, tuning, steps)
        error = torch.where(finite(moved), moved.energy_error, math.inf)
        acceptance = torch.exp(-error).clamp(max=1.0)
        new = choose(noise["accept"] < acceptance, moved.state, state)
        return new, StepInfo(error, acceptance, steps)

    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp:
        first = max(steps * 2 // 3, 1)
        found = burn_in(
            target,
            state,
            first,
            generators,
            energy_variance=0.02,
            ascent=self.ascent,
            precondition=self.precondition,
            report=report,
        )
        state, like = found.state, found.state.position
        dim = like.shape[1]
        length = self._length(found.variance)
        step = DualAveraging(self._first_step(float(found.tuning.step_size), dim), self.acceptance)
        left = max(steps - first, 1)
        half = left // 2
        seen, gradients, accepted = RunningVariance(like), 0, []
        noise: dict[str, Tensor] = {}
        tuning = found.tuning
        for k in range(left):
            if k % CHUNK == 0:
                noise = self.noise(generators, CHUNK, dim, like)
            tuning = Tuning(like.new_tensor(step.current), like.new_tensor(length), found.tuning.scale)
            state, info = self._step(target, state, tuning, {name: v[k % CHUNK] for name, v in noise.items()})
            step.update(info.acceptance)
            seen.update(state.position)
            gradients += info.gradients
            accepted.append(float(info.acceptance.double().mean()))
            if k + 1 == half and half >= 20:
                length = self._length(seen.within / tuning.scale**2)
                step.restart(step.value)
            if (k + 1) % CHUNK == 0 or k + 1 == left:
                report(first + k + 1)
        tuning = tuning._replace(step_size=like.new_tensor(step.value))
        late = accepted[len(accepted) // 2 :]
        record = {
            "step_size": step.value,
            "length": length,
            "mean_steps": min(self.max_steps, max(1.0, length / step.value)),
            "acceptance_wanted": self.acceptance,
            "acceptance": sum(late) / len(late),
            "gradients": gradients,
        }
        return WarmUp(state, tuning, record)
