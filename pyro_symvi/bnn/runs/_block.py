"""The unit of work: the warm-up or one block of one pack of chains, a pure function of its arguments."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum

import torch
from torch import Tensor

from .._streams import stream
from ..moves import Move
from ..samplers import ChainState, Sampler, Target, Tuning, WarmUp
from ._plan import Plan

#: About so many random numbers of one kind are made at once for a chain.
_NUMBERS_AT_ONCE = 2**18
#: A larger error of the energy counts as a divergence.
DIVERGENT = 1000.0


class Purpose(IntEnum):
    """What random numbers are for: the last part of their key (seed, chain, block, purpose)."""

    START = 1
    MOMENTUM = 2
    WARM_UP = 3
    STEPS = 4
    SHARED = 5  # of all chains: key (seed, block, purpose)
    MOVES = 6  # and the following ones, one a move


@dataclass(frozen=True)
class Work:
    """What is sampled, how."""

    target: Target
    sampler: Sampler
    moves: tuple[Move, ...]
    plan: Plan

    def generators(
        self, pack: int, block: int, purpose: int, device: torch.device | str = "cpu"
    ) -> list[torch.Generator]:
        """One a chain of the pack, keyed by (seed, chain, block, purpose)."""
        return [stream(self.plan.seed, chain, block, purpose, device=device) for chain in self.plan.chain_ids(pack)]


@dataclass(frozen=True)
class Warmed:
    """A pack after warm-up."""

    result: WarmUp
    seconds: float

    @property
    def gradients(self) -> float:
        """Evaluations a chain, as far as the sampler's record tells."""
        found = self.result.record.get("gradients", float("nan"))
        return float(found) if isinstance(found, int | float) else float("nan")


@dataclass(frozen=True)
class Block:
    """What one block of one pack gives.

    Attributes:
        state: at its end.
        theta: ``[chains, draws, dim]``.
        stats: ``[chains, draws]`` each: ``log_density`` of the draw, ``energy_error`` of the step before it,
            ``acceptance``, the mean over the steps since the draw before.
        seconds: of work.
        gradients: evaluations a chain.
        non_finite: steps, over all chains, that ended in a proposal without a finite energy.
        divergences: those, and steps with an energy error beyond 1000.
        squared_error: mean over steps and chains of the squared energy error, of finite ones.
    """

    state: ChainState
    theta: Tensor
    stats: dict[str, Tensor]
    seconds: float
    gradients: int
    non_finite: int
    divergences: int
    squared_error: float

    @property
    def acceptance(self) -> float:
        """Mean over draws and chains."""
        return float(self.stats["acceptance"].mean())


def warm_up(work: Work, pack: int, position: Tensor, report: Callable[[int], None] | None = None) -> Warmed:
    """Start and tune a pack at positions ``[chains, dim]``; a tuning by averages over its chains."""
    begin = time.perf_counter()
    state = work.sampler.start(work.target, position, work.generators(pack, 0, Purpose.MOMENTUM))
    generators = work.generators(pack, 0, Purpose.WARM_UP)
    result = work.sampler.warm_up(work.target, state, work.plan.warmup, generators, report)
    return Warmed(result, time.perf_counter() - begin)


def run_block(work: Work, pack: int, block: int, state: ChainState, tuning: Tuning) -> Block:
    """The draws of one block from the state before it. Fewer draws in the block are the first ones of more."""
    begin = time.perf_counter()
    plan, target, sampler = work.plan, work.target, work.sampler
    draws, first_step = plan.draws_in(block), block * plan.block * plan.thin
    generators = work.generators(pack, block, Purpose.STEPS)
    for_moves = [work.generators(pack, block, Purpose.MOVES + i) for i in range(len(work.moves))]
    shared = stream(plan.seed, block, Purpose.SHARED)
    at_once = max(1, min(plan.block * plan.thin, _NUMBERS_AT_ONCE // target.dim))
    noise: dict[str, Tensor] = {}
    theta = state.position.new_empty(len(generators), draws, target.dim)
    log_density = theta.new_empty(len(generators), draws)
    errors, accepted, gradients = [], [], 0
    for step in range(draws * plan.thin):
        if step % at_once == 0:
            noise = sampler.noise(generators, at_once, target.dim, state.position, shared)
        numbers = {name: values[step % at_once] for name, values in noise.items()}
        state, info = sampler.step(target, state, tuning, numbers)
        gradients += info.gradients
        for move, its_generators in zip(work.moves, for_moves, strict=True):
            if (first_step + step + 1) % move.every == 0:
                state = move.apply(target, state, its_generators)
                gradients += 1
        errors.append(info.energy_error)
        accepted.append(info.acceptance)
        if (step + 1) % plan.thin == 0:
            theta[:, step // plan.thin] = state.position
            log_density[:, step // plan.thin] = state.log_density
    error = torch.stack(errors, 1)
    finite = torch.isfinite(error)
    non_finite = int((~finite).sum())
    squares = torch.where(finite, error, 0.0).double().square().sum()
    stats = {
        "log_density": log_density,
        "energy_error": error[:, plan.thin - 1 :: plan.thin],
        "acceptance": torch.stack(accepted, 1).unflatten(1, (draws, plan.thin)).mean(-1),
    }
    return Block(
        state,
        theta.cpu(),
        {name: values.to(theta).cpu() for name, values in stats.items()},
        time.perf_counter() - begin,
        gradients,
        non_finite,
        int((~finite | (error.abs() > DIVERGENT)).sum()),
        float(squares) / max(error.numel() - non_finite, 1),
    )


def starting_points(work: Work, start: Tensor | None, pack: int) -> Tensor:
    """Where the chains of a pack start, ``[chains, dim]``: given, or a draw of the prior each."""
    ids = work.plan.chain_ids(pack)
    if start is not None:
        return start[ids.start : ids.stop].clone()
    draw = work.target.sample_prior  # type: ignore[attr-defined]
    rows: Sequence[Tensor] = [draw(1, generator=g) for g in work.generators(pack, 0, Purpose.START)]
    return torch.cat(list(rows))
