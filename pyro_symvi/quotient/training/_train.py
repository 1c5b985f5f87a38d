"""The training loop."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import torch.distributed as distributed
from torch import Tensor

from ..._batch_order import Order
from ..._schedules import Constant, Schedule
from ..._step_bar import StepBar
from ...density._ranks import Ranks
from .._dataset import CloudDataset
from .._motions import turned_at_random
from .._process import Diffusion
from ..losses import Loss, Quotient
from . import _checkpoint
from ._checkpoint import State
from ._recipe import Recipe
from ._result import TrainingResult, TrainingStatus
from ._times import Times, UniformTimes

Evaluate = Callable[[torch.nn.Module, int], Mapping[str, float]]


def train(
    diffusion: Diffusion,
    network: torch.nn.Module,
    dataset: CloudDataset,
    loss: Loss = Quotient(),
    *,
    steps: int = 10_000,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    weight_decay: float = 0.0,
    schedule: Schedule = Constant(),
    times: Times = UniformTimes(),
    ema: float = 0.999,
    gradient_clip: float = 3.0,
    rotate: bool = True,
    parts: int | None = None,
    seed: int = 0,
    checkpoint: str | os.PathLike[str] | None = None,
    checkpoint_every: int = 1000,
    evaluate: Evaluate | None = None,
    evaluate_every: int | None = None,
    progress: bool | Callable[[int, float], None] = False,
) -> TrainingResult:
    """Train a denoiser with AdamW on the mean of ``loss`` over batches, at times drawn for each cloud.

    A run is a function of its arguments and the network's initial weights. With ``checkpoint`` it continues from that
    file where there is one: a run that is killed loses what came after the last one, and ends with the weights, bit
    for bit, of a run that was not.

    On several processes (``torchrun``, after ``torch.distributed.init_process_group``) each takes its parts of every
    batch and gradients are summed; all need the same data set and files, and end with the same weights, those of one
    process with the same ``parts`` to rounding. Only the first rank writes files, evaluates and shows progress.

    Args:
        diffusion: what the network denoises for.
        network: D(x, t, context), trained in place, on the device and in the dtype of its parameters. Noise that it
            draws from torch's global generator (dropout) is seeded for each step, and that generator left as it was.
        dataset: at least one cloud.
        loss: on which target, in which directions.
        steps: in all, those before a resumption included.
        batch_size: clouds a step.
        learning_rate: of AdamW, times the factor of ``schedule``.
        weight_decay: of AdamW.
        schedule: how the learning rate moves.
        times: the law of times.
        ema: decay of the moving average of weights; a shorter memory in the first steps.
        gradient_clip: a gradient whose norm exceeds this many times the running mean of norms is scaled down to it.
        rotate: turn each cloud at random. Needed unless the network is equivariant.
        parts: a batch is computed in so many parts, each with its own noise; the number of processes by default. More
            parts need less memory.
        seed: of data order, times, rotations and noise.
        checkpoint: a file.
        checkpoint_every: steps from one writing of it to the next; also after the last one.
        evaluate: called with the averaged network and the number of steps done; returns numbers for the history.
        evaluate_every: steps from one call to the next (only after the last by default).
        progress: a bar with the mean loss of the last steps; or a function of the step's number and its loss.

    Raises:
        ValueError, TypeError: for bad options; a checkpoint that is damaged or of another run.
    """
    ranks = Ranks() if distributed.is_available() and distributed.is_initialized() else None
    if parts is None:
        parts = 1 if ranks is None else ranks.size
    recipe = Recipe(
        diffusion, loss, steps, batch_size, learning_rate, weight_decay, schedule, times, ema, gradient_clip, rotate,
        parts, seed,
    )  # fmt: skip
    _check(network, dataset, checkpoint, checkpoint_every, evaluate_every, ranks, parts)
    first = ranks is None or ranks.rank == 0
    if first and checkpoint is not None:
        Path(checkpoint).parent.mkdir(parents=True, exist_ok=True)  # rather fail now than after the first steps
    state = State(network, learning_rate, weight_decay)
    fingerprint = recipe.fingerprint(network, dataset)
    _start(state, steps, fingerprint, checkpoint, ranks)
    order, problem, dataset = Order(recipe, len(dataset)), None, _prepared(dataset, recipe, state.parameters[0])
    network.train()
    with StepBar(progress if first else False, steps, state.step) as report:
        while state.step < steps and problem is None:
            index = order.batch(state.step)
            value, problem = _step(state, recipe, dataset, index, ranks)
            if problem is not None:
                break
            report(state.step, value)
            last = state.step == steps
            if first and evaluate is not None and (last or (evaluate_every and state.step % evaluate_every == 0)):
                state.history.evaluations[state.step] = {
                    name: float(number) for name, number in evaluate(state.ema, state.step).items()
                }
            if first and checkpoint is not None and (last or state.step % checkpoint_every == 0):
                _checkpoint.save(state, fingerprint, checkpoint)
    network.eval()
    status = TrainingStatus.FINISHED if problem is None else TrainingStatus.NOT_FINITE
    return TrainingResult(network, state.ema, state.history, state.step, status, problem)


def _step(
    state: State, recipe: Recipe, dataset: CloudDataset, index: Tensor, ranks: Ranks | None
) -> tuple[float, str | None]:
    """One step of the optimiser: the loss, and what was wrong if the step was not taken."""
    rank, size = (0, 1) if ranks is None else (ranks.rank, ranks.size)
    share = recipe.parts // size
    state.optimizer.zero_grad(set_to_none=False)
    total = torch.zeros((), dtype=torch.float64)
    seen: list[str] = []
    failure: Exception | None = None
    try:
        for part in range(rank * share, (rank + 1) * share):
            rows = index.reshape(recipe.parts, -1)[part]
            losses, t = _losses(state, recipe, dataset, rows, part)
            (losses.mean() / recipe.parts).backward()
            total += losses.detach().double().mean().cpu() / recipe.parts
            for i in (~torch.isfinite(losses)).nonzero()[:3, 0].tolist():
                row = int(rows[i])
                seen.append(f"cloud {row} ({dataset.names[int(dataset.kinds[row])]}) at t = {float(t[i]):.4g}")
    except Exception as error:
        if ranks is None:
            raise
        failure = error
    if ranks is not None:
        total = _summed(state, total, ranks, failure)
        seen = [line for lines in ranks.gather(seen) for line in lines] if not math.isfinite(total) else []
    value = float(total)
    norm = float(torch.stack([p.grad.norm() for p in state.parameters if p.grad is not None]).norm())
    if not (math.isfinite(value) and math.isfinite(norm)):
        where = "; ".join(seen) if seen else "finite losses, so the gradient overflows"
        return value, f"the batch of step {state.step} has loss {value} and gradient norm {norm}: {where}"
    _descend(state, recipe, norm)
    state.history.loss.append(value)
    state.history.gradient_norm.append(norm)
    return value, None


def _losses(state: State, recipe: Recipe, dataset: CloudDataset, rows: Tensor, part: int) -> tuple[Tensor, Tensor]:
    like = state.parameters[0]
    generator = recipe.generator(state.step, part, like.device)
    clouds, context = dataset.batch(rows)
    x1 = clouds.to(like)
    if recipe.rotate:
        x1 = turned_at_random(recipe.diffusion.action_for(context), x1, generator=generator)
    t = recipe.times.sample(len(rows), dtype=like.dtype, device=like.device, generator=generator)
    devices = [like.device] if like.device.type == "cuda" else []
    with torch.random.fork_rng(devices):
        number = recipe.number(f"network {state.step} {part}")
        torch.default_generator.manual_seed(number)  # torch.manual_seed would queue a call for GPUs at each step
        if devices:
            torch.cuda.manual_seed(number)
        return recipe.loss(recipe.diffusion, state.network, x1, t, context, generator=generator), t


def _prepared(dataset: CloudDataset, recipe: Recipe, like: Tensor) -> CloudDataset:
    """The data set with its context on the device, what the prior remembers of each kind computed once."""
    if dataset.context is None:
        return dataset
    context = dataset.context.to(like.device).to(like.dtype)
    still = torch.zeros(len(dataset.names), *dataset.clouds.shape[1:], dtype=like.dtype, device=like.device)
    recipe.diffusion.prior.apply(torch.ones_like, still, context)
    return CloudDataset(dataset.clouds, dataset.kinds, dataset.names, context)


def _summed(state: State, total: Tensor, ranks: Ranks, failure: Exception | None) -> Tensor:
    """Gradients and loss summed over ranks, in one message."""
    for p in state.parameters:
        p.grad = torch.zeros_like(p) if p.grad is None else p.grad
    gradients = [p.grad for p in state.parameters if p.grad is not None]
    flat = torch.cat([total.to(gradients[0].device)[None], *(g.reshape(-1).double() for g in gradients)])
    flat = ranks.total(flat, failure)
    for g, piece in zip(gradients, flat[1:].split([g.numel() for g in gradients]), strict=True):
        g.copy_(piece.reshape(g.shape))
    return flat[0].cpu()


def _descend(state: State, recipe: Recipe, norm: float) -> None:
    usual = norm if state.usual_norm is None else state.usual_norm
    largest = recipe.gradient_clip * usual
    if norm > largest > 0:
        for p in state.parameters:
            if p.grad is not None:
                p.grad.mul_(largest / norm)
    state.usual_norm = 0.99 * usual + 0.01 * min(norm, largest)
    for group in state.optimizer.param_groups:
        group["lr"] = recipe.learning_rate * recipe.schedule.factor(state.step, recipe.steps)
    state.optimizer.step()
    state.step += 1
    state.average(recipe.ema)


def _start(
    state: State,
    steps: int,
    fingerprint: dict[str, str],
    checkpoint: str | os.PathLike[str] | None,
    ranks: Ranks | None,
) -> None:
    """Continue from the checkpoint where there is one; all ranks from what the first one has."""

    def load() -> dict[str, Any] | None:
        return None if checkpoint is None else _checkpoint.load(fingerprint, checkpoint)

    if ranks is None:
        content = load()
    else:
        found = ranks.together(lambda: load() if ranks.rank == 0 else None, "a checkpoint that the first rank can read")
        told = ranks.gather((found, state.content()) if ranks.rank == 0 else None)
        content = told[0][0] or told[0][1]
        if len(set(map(str, ranks.gather(sorted(fingerprint.items()))))) > 1:
            raise ValueError(
                "expected the same options, data set and network on every rank, got different ones, because gradients "
                "are summed; try the same script and files for each"
            )
    if content is None:
        return
    if content["step"] > steps:
        raise ValueError(
            f"expected steps of at least {content['step']}, got {steps}, because the run of {str(checkpoint)!r} has "
            "taken that many; try another file, or the model it was for"
        )
    state.restore(content)


def _check(
    network: torch.nn.Module,
    dataset: CloudDataset,
    checkpoint: str | os.PathLike[str] | None,
    checkpoint_every: int,
    evaluate_every: int | None,
    ranks: Ranks | None,
    parts: int,
) -> None:
    if not isinstance(network, torch.nn.Module) or not any(p.requires_grad for p in network.parameters()):
        raise TypeError(f"expected a torch.nn.Module with parameters to train, got {type(network).__name__}")
    if not isinstance(dataset, CloudDataset) or not len(dataset):
        raise ValueError("expected a CloudDataset with at least one cloud, got none; try another split")
    if checkpoint is not None and (Path(checkpoint).is_dir() or not Path(checkpoint).absolute().parent.is_dir()):
        raise ValueError(
            f"expected checkpoint to be a file in a folder that exists, got {str(checkpoint)!r}, because it is written "
            "long after the start; try to make the folder first"
        )
    for name, every in (("checkpoint_every", checkpoint_every), ("evaluate_every", evaluate_every)):
        if every is not None and (isinstance(every, bool) or not isinstance(every, int) or every < 1):
            raise ValueError(f"expected {name} to be an int >= 1, got {every!r}")
    if ranks is not None and parts % ranks.size:
        raise ValueError(
            f"expected parts to be a multiple of the {ranks.size} processes, got {parts}; try {ranks.size}"
        )
