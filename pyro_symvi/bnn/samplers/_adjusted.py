"""What Metropolis-adjusted samplers share: acceptance, trajectories of varied length, adaptation."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from ._adaptation import DualAveraging, RunningMoments
from ._burn_in import CHUNK, burn_in, normals
from ._integrators import Moved, choose, finite
from ._mclmc import check_count, check_fraction
from ._sampler import ChainState, Sampler, StepInfo, Target, Tuning, WarmUp

#: The shortest trajectories, this share of all, take smaller steps.
_CAREFUL, _SMALLER = 0.1, 0.2
#: Energy variance that burn-in runs at.
_BURN_IN = 0.02


@dataclass(frozen=True, eq=False, repr=False)
class AdjustedSampler(Sampler):
    """Refresh the momentum, follow a trajectory, test it (Metropolis): the target is invariant.

    A trajectory has ceil(2 f steps) integrator steps, f in (0, 1) the same for all chains and independent of them:
    chains of a batch go in step, and each kernel leaves the target invariant. Where f < 1/10 steps are five times
    smaller, which frees a chain that is stuck where the density is sharp, at little cost. An infinite density is a
    rejection. Where ``max_steps`` keeps trajectories shorter than the length over which momentum should last, it is
    refreshed in part only, and turned round by a rejection (Horowitz 1991).

    Args:
        acceptance: mean probability of acceptance that warm-up sets each chain's step size to.
        max_steps: most integrator steps of a trajectory.
        ascent: steps of ascent of the density before anything is sampled; 0 where the start is in the typical set.
        precondition: whether to scale coordinates, by variances and mean squares of gradients over time and chains.
    """

    acceptance: float = 0.9
    max_steps: int = 100
    ascent: int = 200
    precondition: bool = True

    def __post_init__(self) -> None:
        check_fraction(self.acceptance, "acceptance")
        check_count(self.max_steps, "max_steps", 1)
        check_count(self.ascent, "ascent", 0)

    @abstractmethod
    def _refresh(self, momentum: Tensor, normal: Tensor, memory: Tensor) -> Tensor:
        """The momentum a trajectory starts with: new at memory 0, the old one at 1."""

    @abstractmethod
    def _trajectory(self, target: Target, state: ChainState, step_size: Tensor, scale: Tensor, steps: int) -> Moved: ...

    @abstractmethod
    def _length(self, distance: float, dim: int) -> float:
        """Mean length of a trajectory where the root of the sum of variances is ``distance``."""

    @abstractmethod
    def _first_step(self, microcanonical: Tensor, dim: int) -> Tensor:
        """Step sizes to start adaptation at, from those of the burn-in."""

    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {"momentum": ("normal", (dim,)), "accept": ("uniform", ()), "fraction": ("shared", ())}

    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        fraction = float(noise["fraction"][0])
        steps = max(1, min(self.max_steps, math.ceil(2 * fraction * float(tuning.steps))))
        memory = (1 - tuning.steps * tuning.step_size / tuning.length).clamp(0.0, 1.0)
        state = state._replace(momentum=self._refresh(state.momentum, noise["momentum"], memory))
        step_size = tuning.step_size * (_SMALLER if fraction < _CAREFUL else 1.0)
        moved = self._trajectory(target, state, step_size, tuning.scale, steps)
        error = torch.where(finite(moved), moved.energy_error, math.inf)
        acceptance = torch.exp(-error).clamp(max=1.0)
        back = state._replace(momentum=-state.momentum)
        return choose(noise["accept"] < acceptance, moved.state, back), StepInfo(error, acceptance, steps)

    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp:
        first = max(steps * 3 // 4, 1)
        found = burn_in(
            target,
            state,
            first,
            generators,
            energy_variance=_BURN_IN,
            ascent=self.ascent,
            precondition=self.precondition,
            report=report,
        )
        state, like = found.state, found.state.position
        dim = like.shape[1]
        length = self._length(float(found.tuning.length), dim)
        step = DualAveraging(self._first_step(found.tuning.step_size, dim), self.acceptance)
        state = state._replace(momentum=self._initial_momentum(normals(generators, 1, dim, like)[0]))
        gradients, accepted, left = 0, [], max(steps - first, 1)
        seen = RunningMoments(like)
        noise: dict[str, Tensor] = {}
        for k in range(left):
            if k % CHUNK == 0:
                noise = self.noise(generators, CHUNK, dim, like)
            now = {name: values[k % CHUNK] for name, values in noise.items()}
            tuning = self._tuning(step.current, length, found.tuning.scale)
            state, info = self._step(target, state, tuning, now)
            if float(now["fraction"][0]) >= _CAREFUL:
                step.update(info.acceptance)
                accepted.append(info.acceptance.double())
            seen.update(state.position, state.gradient)
            gradients += info.gradients
            if 2 * (k + 1) == left - left % 2:
                spread = self._length(float((seen.variance / found.tuning.scale**2).double().sum().sqrt()), dim)
                length = max(spread, 0.5 * length)
                step.restart(step.value, 1.0)
            if (k + 1) % CHUNK == 0 or k + 1 == left:
                report(first + k + 1)
        tuning = self._tuning(step.value, length, found.tuning.scale)
        record = {
            "step_size": tuning.step_size.tolist(),
            "length": length,
            "steps": float(tuning.steps),
            "acceptance_wanted": self.acceptance,
            "acceptance": torch.stack(accepted[len(accepted) // 2 :]).mean(0).tolist(),
            "gradients": gradients,
            "taken_back": found.taken_back,
        }
        return WarmUp(state, tuning, record)

    def _tuning(self, step_size: Tensor, length: float, scale: Tensor) -> Tuning:
        """Steps from the geometric mean of the step sizes, so that all chains take as many."""
        mean = float(step_size.log().mean().exp())
        steps = min(max(1.0, length / mean), 0.5 * self.max_steps)
        return Tuning(step_size.to(scale), scale.new_tensor(length), scale, scale.new_tensor(steps))
