"""The first part of every warm-up: from any start to the typical set by microcanonical Langevin dynamics."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from ._adaptation import EnergyStep, RunningMoments
from ._ascent import ascend
from ._integrators import langevin
from ._refresh import unit
from ._sampler import ChainState, Target, Tuning

#: Random numbers are made for this many steps at a time.
CHUNK = 25
#: Windows end at these shares of the steps; variances of one set the length (and scale) for the next.
_ENDS = (0.1, 0.25, 0.5, 1.0)


class BurntIn(NamedTuple):
    """Where burn-in ends."""

    state: ChainState
    tuning: Tuning
    energy_variance: Tensor
    """Mean of (Delta E)^2 / dim over the last quarter, ``[chains]``, at ``measured_at``"""
    measured_at: Tensor
    """Step sizes of the last quarter, ``[chains]``: those of the tuning before they were put right"""
    taken_back: int
    """Moves to infinite densities, which were taken back"""


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
    """Ascend, then run MCLMC while step sizes, length and (if asked for) scale are found.

    Step sizes: one a chain. Length = sqrt(sum of variances over chains and times), in units of scale; it begins at
    sqrt(dim) and falls at most by half a window where there is one chain, whose variance over a short time tells
    little. The last quarter runs at fixed step sizes; what its energy variance differs from the one wanted by is put
    right by the sixth root of the ratio (within 1/2 and 5/4). In one dimension there is ascent alone.
    """
    like, dim = state.position, state.position.shape[1]
    ascent = min(ascent, steps // 4)
    state = ascend(target, state, ascent, report=report)
    scale, length = torch.ones_like(like[0]), math.sqrt(dim)
    if dim == 1:  # a unit momentum on a line cannot turn
        tuning = Tuning(like.new_full((len(like),), 0.1), like.new_tensor(length), scale, like.new_tensor(1.0))
        return BurntIn(state, tuning, torch.zeros(len(like), dtype=torch.float64), tuning.step_size, 0)
    state = state._replace(momentum=unit(state.momentum))
    step = EnergyStep(like.new_full((len(like),), 0.02), energy_variance, length)
    left = max(steps - ascent, 1)
    ends = sorted({math.ceil(left * share) for share in _ENDS})
    seen, squares, taken_back = RunningMoments(like), torch.zeros(len(like), dtype=torch.float64), 0
    squares, fixed, last = squares.to(like.device), step.value, math.ceil(0.75 * left)
    noise: Tensor = like
    for k in range(left):
        if k % CHUNK == 0:
            noise = normals(generators, CHUNK, dim, like)
        if k == last:
            fixed = step.value
        size, fresh = (fixed if k >= last else step.current).to(like), noise[k % CHUNK]
        state, error, usable = langevin(target, state, size, like.new_tensor(length), scale, fresh)
        if k < last:
            step.update(error, usable, dim)
        else:
            squares = squares + torch.where(usable, error, 0.0).double().square()
        taken_back += int((~usable).sum())
        seen.update(state.position, state.gradient)
        if k + 1 in ends:
            ratio = 1.0
            if precondition and k + 1 < left:
                ratio = float((scale / seen.scale).log().mean().exp())
                scale = seen.scale
            spread = float((seen.variance / scale**2).double().sum().sqrt())
            length = max(spread, 0.5 * length if len(like) == 1 else 0.0, 1e-3 * length)
            step.largest = length
            if k + 1 < left:
                seen = RunningMoments(like)
                step.restart(ratio)
        if (k + 1) % CHUNK == 0 or k + 1 == left:
            report(ascent + k + 1)
    if last == left:  # too few steps to measure anything
        fixed, found, change = step.value, torch.full_like(squares, math.nan), torch.ones_like(squares)
    else:
        found = squares / ((left - last) * dim)
        change = ((energy_variance / found.clamp_min(1e-300)) ** (1 / 6)).clamp(0.5, 1.25)
    size = (fixed * change).clamp(max=length)
    tuning = Tuning(size.to(like), like.new_tensor(length), scale, like.new_tensor(1.0))
    return BurntIn(state, tuning, found, fixed, taken_back)


def normals(generators: Sequence[torch.Generator], steps: int, dim: int, like: Tensor) -> Tensor:
    """Standard normal numbers ``[steps, chains, dim]``, each chain's from its own generator."""
    columns = [torch.randn(steps, dim, generator=g, dtype=like.dtype, device=g.device) for g in generators]
    return torch.stack(columns, 1).to(like.device)
