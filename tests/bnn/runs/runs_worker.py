"""A small run with everything switched on; as a program, one that kills itself, or one on several ranks."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pyro_symvi.bnn import Draws, GaussianNoise, NetworkPosterior, NormalPrior
from pyro_symvi.bnn.runs import sample
from pyro_symvi.bnn.samplers import ChainState, Sampler, StepInfo, Target, Tuning, WarmUp

SETTINGS: dict[str, Any] = {"chains": 5, "pack": 2, "draws": 25, "block": 10, "thin": 2, "warmup": 12, "seed": 3}


@dataclass(frozen=True, eq=False, repr=False)
class Metropolis(Sampler):
    """Random-walk Metropolis: a fast stand-in with the parts of every sampler, its step adapted across the pack."""

    wanted: float = 0.3

    def _noise_shapes(self, dim: int) -> dict[str, tuple[str, tuple[int, ...]]]:
        return {"step": ("normal", (dim,)), "accept": ("uniform", ())}

    def _step(
        self, target: Target, state: ChainState, tuning: Tuning, noise: dict[str, Tensor]
    ) -> tuple[ChainState, StepInfo]:
        position = state.position + tuning.step_size * tuning.scale * noise["step"]
        value, gradient = target.value_and_grad(position)
        error = state.log_density - value
        acceptance = torch.where(torch.isfinite(error), torch.exp(-error).clamp(max=1.0), 0.0)
        move = noise["accept"] < acceptance
        new = ChainState(
            torch.where(move[:, None], position, state.position),
            torch.where(move, value, state.log_density),
            torch.where(move[:, None], gradient, state.gradient),
            noise["step"],
        )
        return new, StepInfo(error, acceptance, 1)

    def _warm_up(
        self,
        target: Target,
        state: ChainState,
        steps: int,
        generators: Sequence[torch.Generator],
        report: Callable[[int], None],
    ) -> WarmUp:
        scale, size = torch.ones_like(state.position[0]), state.position.new_tensor(0.1)
        noise = self.noise(generators, max(steps, 1), target.dim, state.position)
        for step in range(steps):
            tuning = Tuning(size, size, scale)
            state, info = self._step(target, state, tuning, {name: v[step] for name, v in noise.items()})
            size = size * torch.exp(0.5 * (info.acceptance.mean() - self.wanted))
            report(step + 1)
        return WarmUp(state, Tuning(size, size, scale), {"step_size": size, "gradients": steps})


def posterior(shift: float = 0.0) -> NetworkPosterior:
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(6, 2, generator=generator, dtype=torch.float64)
    network = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))
    return NetworkPosterior(network, GaussianNoise(0.5), NormalPrior(), x, x[:, 0].sin() + shift)


def run(checkpoint: Path | None = None, **changed: Any) -> Draws:
    target, sampler = changed.pop("target", posterior()), changed.pop("sampler", Metropolis())
    return sample(target, sampler, **{**SETTINGS, **changed}, checkpoint=checkpoint)
