"""The first part of every warm-up: from any start to the typical set by microcanonical Langevin dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ._adaptation import EnergyStep, RunningVariance
from ._descent import ascend
from ._integrators import choose, finite, minimal_norm
from ._refresh import partial_refresh, unit
from ._sampler import ChainState, Target, Tuning

#: Random numbers are made for this many steps at a time.
CHUNK = 25


class BurntIn(NamedTuple):
    """Where burn-in ends."""

    state: ChainState
    tuning: Tuning
    variance: Tensor
    """Within-chain variance of the last window over scale^2, ``[dim]``"""
    energy_variance: float
    """Mean of (Delta E)^2 / dim over the last quarter"""
    rejected: int
    """Moves to infinite densities that were taken back"""


def burn_in(
    target: Target,
    state: ChainState,
    steps: int,
    generators: Sequence[torch.Generator],
    *,
    energy_variance: float,
    ascent: int,
    precondition: bool,
    report: Callable[[int], None],
) -> BurntIn:
    """Ascend, then run MCLMC while step size, length and (if asked for) scale are found over the chains.

    Windows of doubling size: at the end of each, length = sqrt(sum of variances within chains), in units of scale.
    """
    like, dim = state.position, state.position.shape[1]
    ascent = min(ascent, steps // 4)
    state = ascend(target, state, ascent, report=report)
    state = state._replace(momentum=unit(state.momentum))
    scale = torch.ones_like(like[0])
    length = math.sqrt(dim)
    step = EnergyStep(0.02 * length / math.sqrt(dim), energy_variance, length)
    left = max(steps - ascent, 1)
    ends = sorted({math.ceil(left * share) for share in (0.1, 0.25, 0.5, 1.0)})
    seen, errors, rejected = RunningVariance(like), [], 0
    variance = torch.ones_like(scale)
    noise: list[Tensor] = []
    for k in range(left):
        if not noise:
            noise = list(normals(generators, CHUNK, dim, like).unbind(0))
        fresh = noise.pop(0)
        size = like.new_tensor(step.current)
        moved = minimal_norm(target, state, size, scale)
        usable = finite(moved)
        step.update(moved.energy_error, usable, dim)
        rejected += int((~usable).sum())
        turned = partial_refresh(moved.state.momentum, fresh, size, like.new_tensor(length))
        old = state._replace(momentum=unit(fresh))
        state = choose(usable, moved.state._replace(momentum=turned), old)
        seen.update(state.position)
        if k >= 0.75 * left:
            errors.append(torch.where(usable, moved.energy_error, 0.0).double().square().mean() / dim)
        if k + 1 in ends:
            if precondition and k + 1 < left:
                scale, step_ratio = _new_scale(seen, scale)
                step = EnergyStep(step.value * step_ratio, energy_variance, math.sqrt(dim))
            variance = seen.within / scale**2
            length = max(float(variance.double().sum().sqrt()), 2 * step.value)
            step.log_largest = math.log(length)
            if k + 1 < left:
                seen = RunningVariance(like)
                step.restart()
        if (k + 1) % CHUNK == 0 or k + 1 == left:
            report(ascent + k + 1)
    tuning = Tuning(like.new_tensor(min(step.value, length)), like.new_tensor(length), scale)
    return BurntIn(state, tuning, variance, float(torch.stack(errors).mean()) if errors else math.nan, rejected)


def normals(generators: Sequence[torch.Generator], steps: int, dim: int, like: Tensor) -> Tensor:
    """Standard normal numbers ``[steps, chains, dim]``, each chain's from its own generator."""
    columns = [torch.randn(steps, dim, generator=g, dtype=like.dtype, device=g.device) for g in generators]
    return torch.stack(columns, 1).to(like.device)


def _new_scale(seen: RunningVariance, scale: Tensor) -> tuple[Tensor, float]:
    """Scale from variances over time and chains, drawn towards their mean; and old over new in the geometric mean."""
    variance, count = seen.total, seen.count
    weight = count / (count + 10.0)
    new = (weight * variance + (1 - weight) * variance.mean()).clamp_min(1e-12).sqrt()
    return new, float((scale / new).log().mean().exp())
