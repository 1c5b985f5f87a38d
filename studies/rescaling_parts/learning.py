"""One cell: a task, an init, a method; all seeds and learning rates of it are trained at once."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any

import torch

from pyro_symvi.rescaling import PathCriterion, RescalingGroup, path_condition

from .tasks import TASKS
from .training import evaluate, train


def sources() -> str:
    """A digest of the code of tasks and training."""
    code = b"".join((Path(__file__).parent / f"{name}.py").read_bytes() for name in ("tasks", "training"))
    return hashlib.blake2b(code, digest_size=8).hexdigest()


METHODS = ("none", "l2", "path")
"""As the init left it; the point of its orbit of least energy (ENorm, once); path conditioning."""


def cell(
    task: str, init: str, method: str, seeds: list[int], rates: list[float], epochs: int, code: str
) -> dict[str, Any]:
    """Data, start and minibatches of a seed are the same in all methods and at all rates, up to rescaling.

    ``code`` stands for the files this one uses: a cell that was kept is made anew when they change.
    """
    made = TASKS[task]
    models, notes = [], []
    for seed in seeds:
        model = made.model(init, seed)
        notes.append(_rescale(model, made.input_shape, method))
        models.append(model)
    learnt, held_out = zip(*(made.samples(seed) for seed in seeds), strict=True)
    inputs, classes = (torch.stack(part) for part in zip(*learnt, strict=True))
    generators = [torch.Generator().manual_seed(4000 + seed) for seed in seeds]
    torch.set_flush_denormal(True)
    try:
        run = train(
            models, rates, inputs, classes, batch=made.batch, epochs=epochs, block=made.block, generators=generators
        )
        loss, accuracy = evaluate(
            models[0], run.parameters, *(torch.stack(part) for part in zip(*held_out, strict=True))
        )
    finally:
        torch.set_flush_denormal(False)
    return {
        "block_epochs": run.block_epochs, "losses": run.losses.tolist(),
        "test_loss": loss.tolist(), "accuracy": accuracy.tolist(),
        "parameters": sum(p.numel() for p in models[0].parameters()),
        **{name: [note[name] for note in notes] for name in notes[0]},
    }  # fmt: skip


def _rescale(model: torch.nn.Module, shape: tuple[int, ...], method: str) -> dict[str, float]:
    """Move the model along its orbit.

    ``objective``: F / n of the path criterion where training starts; ``largest``: of |z|; ``residual`` of optimality;
    ``change``: of outputs, in parts of the largest, in float32; ``seconds``: CPU time of tracing and solving.
    """
    group = RescalingGroup.from_module(model, shape)
    probe = torch.randn(64, *shape, generator=torch.Generator().manual_seed(5))
    with torch.no_grad():
        before = model(probe)
        largest = residual = seconds = 0.0
        if method != "none":
            started = time.process_time()
            found = path_condition(model, RescalingGroup.from_module(model, shape), criterion=method)
            found.apply_()
            seconds = time.process_time() - started
            if not found.converged:
                raise RuntimeError(f"expected the optimum by {method}, got a residual of {found.grad_norm:.1e}")
            largest, residual = float(found.log_scale.abs().max()), found.grad_norm
        after = model(probe)
    theta = group.parameters(model)
    problem = PathCriterion().problem(group.traced, theta)
    return {
        "objective": float(problem.value(torch.zeros(problem.units, dtype=torch.float64).numpy())) / len(theta),
        "largest": largest, "residual": residual, "seconds": seconds,
        "change": float((after - before).abs().max() / before.abs().max()),
    }  # fmt: skip
