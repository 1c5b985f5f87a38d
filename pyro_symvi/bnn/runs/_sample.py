"""Running chains."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as distributed
from torch import Tensor

from ...density._ranks import Ranks
from .._draws import Draws
from ..moves import Move
from ..samplers import MAMS, ChainState, Sampler, Target, Tuning
from ._block import Block, Warmed, Work, run_block, starting_points, warm_up
from ._fingerprint import Plain, fingerprint, layout_of
from ._load import load_draws, summary
from ._plan import Plan
from ._progress import Bar, Progress
from ._store import STATS, Store, plain, row_of, zarr_module


def sample(
    target: Target,
    sampler: Sampler = MAMS(),
    *,
    chains: int = 12,
    draws: int = 1000,
    thin: int = 1,
    warmup: int = 1000,
    start: Tensor | Draws | None = None,
    moves: Sequence[Move] = (),
    block: int = 100,
    pack: int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    progress: Progress = False,
    threads: int | None = 1,
) -> Draws:
    """Markov chains on the target, in packs that are warmed up and advanced together.

    Random numbers are keyed by (seed, chain, block, purpose) and packs never speak to one another: the draws are a
    function of the arguments, bit for bit the same for any number of processes (on one kind of processor). On several
    processes (``torchrun``, after ``torch.distributed.init_process_group``) packs are dealt out in turn, and every
    process returns all draws; a failure on one stops all at the next block.

    With ``checkpoint`` each finished block is written to a Zarr store. Called again with the same arguments the run
    goes on where it was, after a kill at any moment too (a warm-up that was not over starts anew), and ends with the
    draws of a run that was not interrupted; with more ``draws`` it is extended, with the draws of a run that was longer
    from the start. On several machines the path must be one that all of them see.

    Args:
        target: a :class:`~pyro_symvi.bnn.NetworkPosterior`, or anything with ``dim`` and ``value_and_grad``.
            For long runs of small networks ``posterior.compile(pack)`` is faster.
        sampler: how a step is made and tuned.
        chains: in all.
        draws: kept, a chain.
        thin: steps a draw.
        warmup: steps in which the sampler tunes itself, by averages over the chains of a pack; none is kept.
        start: where the chains start, ``[chains, dim]`` or ``[dim]`` for all, or draws: the last of each chain where
            their chains are as many, else spread evenly over all draws; None for draws of the prior.
        moves: made between steps while draws are taken, such as :class:`~pyro_symvi.bnn.moves.OrbitRefresh`.
        block: draws between two writings.
        pack: chains a pack. By default as few packs of equal size as keep to 16 chains, whatever the processes.
        seed: an int from 0 to 2^64 - 1.
        checkpoint: a path; needs ``pyro-symvi[checkpoints]``.
        progress: a bar with acceptance, energy error and divergences, or a function called with a
            :class:`BlockReport` after each block of this process.
        threads: of torch while sampling. A sum split over threads differs in its last bits from one that is not, so
            this is part of what "the same" means; None leaves them as they are.

    Returns:
        Draws with ``stats`` (``log_density`` of the draw, ``energy_error`` of the step before it, ``acceptance``, the
        mean over its ``thin`` steps) and ``info``: seconds and gradients (summed over chains) of warm-up and sampling,
        acceptance, root mean square energy error, numbers of non-finite proposals and of divergences (those and errors
        beyond 1000) over all steps; step size, length and record of the warm-up of each pack.

    Raises:
        ValueError, TypeError: for bad arguments; a start of zero density; a checkpoint of another run.
    """
    plan = Plan(chains, draws, thin, warmup, block, Plan.default_pack(chains) if pack is None else pack, seed)
    if not (hasattr(target, "value_and_grad") and hasattr(target, "dim")):
        raise TypeError(
            f"expected a target with dim and value_and_grad, got {type(target).__name__}; try "
            "NetworkPosterior(network, likelihood, prior, x, y)"
        )
    if isinstance(moves, Move):
        raise TypeError(f"expected a list of moves, got {moves!r}; try moves=[...]")
    work = Work(target, _checked(sampler), tuple(moves), plan)
    for move in work.moves:
        if not isinstance(move, Move):
            raise TypeError(f"expected moves, got {move!r}; try moves=[OrbitRefresh(symmetry)]")
        move.check(target)
    points = _points(target, start, chains)
    if checkpoint is not None:
        zarr_module()
    ranks = Ranks() if distributed.is_available() and distributed.is_initialized() else None
    with _threads(threads):
        return _Run(work, points, ranks, None if checkpoint is None else Path(checkpoint)).run(progress)


class _Run:
    """A run on this process: its packs, and what they have so far."""

    def __init__(self, work: Work, points: Tensor | None, ranks: Ranks | None, path: Path | None) -> None:
        self.work, self.points, self.ranks, self.path = work, points, ranks, path
        rank, size = (0, 1) if ranks is None else (ranks.rank, ranks.size)
        self.packs = range(rank, work.plan.packs, size)
        if size > work.plan.packs and rank == 0:
            warnings.warn(
                f"{size - work.plan.packs} of {size} processes have nothing to do, because {work.plan.chains} chains "
                f"make {work.plan.packs} packs; try pack={-(-work.plan.chains // size)}",
                stacklevel=3,
            )
        self.settings: Plain = {}
        self.device, self.dtype = torch.device("cpu"), torch.float64
        self.states: dict[int, tuple[ChainState, Tuning]] = {}
        self.warmed: dict[int, Warmed] = {}
        self.blocks: dict[int, list[Block]] = {pack: [] for pack in self.packs}
        self.store: Store | None = None

    def run(self, progress: Progress) -> Draws:
        plan = self.work.plan
        self._together(self._look)
        self._together(self._agree)
        self._together(self._prepare)
        self._together(self._open)
        done = {pack: -1 if self.store is None else self.store.finished(pack) for pack in self.packs}
        steps = sum(0 if n < 0 else plan.warmup + min(n * plan.block, plan.draws) * plan.thin for n in done.values())
        longest = -(-plan.packs // (1 if self.ranks is None else self.ranks.size))
        own: list[int | None] = [*self.packs, *[None] * (longest - len(self.packs))]
        quiet = progress is True and self.ranks is not None and self.ranks.rank > 0
        with Bar(False if quiet else progress, plan, len(self.packs), steps) as bar:
            for block in range(-1, plan.blocks):
                for pack in own:
                    self._together(lambda pack=pack, block=block: self._unit(pack, block, done, bar))
        return self._collect()

    def _unit(self, pack: int | None, block: int, done: dict[int, int], bar: Bar) -> None:
        """Warm-up (block -1) or one block of one pack, unless the checkpoint has it."""
        if pack is None or block < done[pack]:
            return
        if block == -1:
            bar.warm_up(0)
            warmed = warm_up(self.work, pack, starting_points(self.work, self.points, pack), bar.warm_up)
            self.states[pack] = warmed.result.state, warmed.result.tuning
            self.warmed[pack] = warmed
            if self.store is not None:
                self.store.write_warm_up(pack, warmed)
            return
        if pack not in self.states and self.store is not None:
            self.states[pack] = self.store.read_state(pack, block, self.device)
        state, tuning = self.states[pack]
        result = run_block(self.work, pack, block, state, tuning)
        self.states[pack] = result.state, tuning
        if self.store is None:
            self.blocks[pack].append(result)
        else:
            self.store.write_block(pack, block, result)
        bar.block(pack, block, result)

    # -- checkpoint ------------------------------------------------------------------------------------------------
    def _look(self) -> None:
        probe = starting_points(self.work, self.points, self.packs[0] if self.packs else 0)
        self.device, self.dtype = probe.device, probe.dtype
        self.settings = fingerprint(self.work, self.points)

    def _agree(self) -> None:
        if self.ranks is not None:
            told = self.ranks.gather((self.settings, self.work.plan.draws))
            if any(other != told[0] for other in told):
                raise ValueError(
                    "expected the same arguments on every process, got different ones, because each samples a share of "
                    "the chains; try the same script and data for each"
                )

    def _prepare(self) -> None:
        if self.path is not None and (self.ranks is None or self.ranks.rank == 0):
            work = self.work
            Store.prepare(
                self.path, work.plan, layout_of(work.target), self.dtype, type(work.sampler).__name__, self.settings
            )

    def _open(self) -> None:
        if self.path is not None:
            self.store = Store(self.path, self.work.plan)

    def _together(self, unit: Any) -> None:
        if self.ranks is None:
            unit()
        else:
            self.ranks.together(unit, "a share of the chains that every process can sample")

    # -- the end ---------------------------------------------------------------------------------------------------
    def _collect(self) -> Draws:
        if self.path is not None:
            return load_draws(self.path, device=self.device)
        own = {pack: self._joined(pack) for pack in self.packs}
        told = [own] if self.ranks is None else self.ranks.gather(own)
        parts = {pack: part for share in told for pack, part in share.items()}
        order = sorted(parts)
        theta = torch.cat([parts[pack]["theta"] for pack in order]).to(self.device)
        stats = {name: torch.cat([parts[pack][name] for pack in order]).to(self.device) for name in STATS}
        info = summary(
            self.settings,
            np.stack([parts[pack]["rows"] for pack in order]),
            np.stack([parts[pack]["warmed"] for pack in order]),
            [parts[pack]["record"] for pack in order],
            [parts[pack]["step_size"] for pack in order],
            [parts[pack]["length"] for pack in order],
        )
        layout = layout_of(self.work.target)
        return Draws(theta, layout, type(self.work.sampler).__name__, stats, {**info, "complete": True})

    def _joined(self, pack: int) -> dict[str, Any]:
        blocks, warmed = self.blocks[pack], self.warmed[pack]
        tuning = warmed.result.tuning
        return {
            "theta": torch.cat([b.theta for b in blocks], 1),
            **{name: torch.cat([b.stats[name] for b in blocks], 1) for name in STATS},
            "rows": np.array([row_of(b) for b in blocks]),
            "warmed": np.array([1.0, warmed.seconds, warmed.gradients]),
            "record": plain(warmed.result.record),
            "step_size": float(tuning.step_size.double().mean()),
            "length": float(tuning.length.double().mean()),
        }


def _checked(sampler: Sampler) -> Sampler:
    if not isinstance(sampler, Sampler):
        raise TypeError(f"expected a sampler, got {sampler!r}; try MAMS()")
    return sampler


def _points(target: Target, start: Tensor | Draws | None, chains: int) -> Tensor | None:
    """Starting points ``[chains, dim]``, or None for draws of the prior."""
    if start is None:
        if not hasattr(target, "sample_prior"):
            raise ValueError(
                f"expected start=, got none, because {type(target).__name__} has no prior to draw from; try a tensor "
                f"[{chains}, {target.dim}]"
            )
        return None
    if isinstance(start, Draws):
        flat = start.theta[:, -1] if start.chains == chains else start.flat
        start = flat[torch.linspace(0, len(flat) - 1, chains).round().long().to(flat.device)]
    if not isinstance(start, Tensor) or start.shape not in ((target.dim,), (chains, target.dim)):
        got = list(start.shape) if isinstance(start, Tensor) else type(start).__name__
        raise ValueError(f"expected start as Draws or a tensor [{chains}, {target.dim}] or [{target.dim}], got {got}")
    dtype = getattr(target, "dtype", start.dtype)
    return start.detach().to(dtype).expand(chains, -1)


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    if number is not None and (isinstance(number, bool) or not isinstance(number, int) or number < 1):
        raise ValueError(f"expected threads as an int >= 1 or None, got {number!r}")
    before = torch.get_num_threads()
    if number is not None:
        torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
