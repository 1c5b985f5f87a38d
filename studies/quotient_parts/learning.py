"""Training with two losses on the same batches, and the yardstick both are held to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from pyro_symvi.quotient import CloudDataset, Diffusion
from pyro_symvi.quotient.losses import Loss, Plain, Quotient
from pyro_symvi.quotient.networks import CloudNetwork
from pyro_symvi.quotient.samplers import ODESampler
from pyro_symvi.quotient.training import Cosine, TrainingResult, train

THRESHOLDS = tuple(round(0.05 * k, 2) for k in range(1, 31))
"""Of COV, in angstrom."""

LOSSES: dict[str, Loss] = {"plain": Plain(), "quotient": Quotient()}


def sampler(method: str, steps: int) -> ODESampler:
    """The probability flow by Heun's method; of the quotient only for the network that was trained on it."""
    return ODESampler(steps=steps, horizontal=method != "plain")


def horizontal_loss(diffusion: Diffusion, data: CloudDataset, size: int) -> Callable[[torch.nn.Module, int], dict]:
    """The horizontal squared error of velocities on fixed held-out clouds, times and noise: the same for each method.

    Vertical errors do not count, so that neither method is punished for what the other one ignores.
    """
    generator = torch.Generator().manual_seed(0)
    index = torch.randperm(len(data), generator=generator)[:size]
    times = (torch.arange(len(index)) + 0.5) / len(index) * 0.98
    clouds, context = data.batch(index)

    @torch.no_grad()
    def evaluate(network: torch.nn.Module, step: int) -> dict:
        noise = torch.Generator().manual_seed(1)
        loss = Quotient()(diffusion, network, clouds, times, context, generator=noise)
        return {"horizontal": loss.mean().item()}

    return evaluate


def fit(
    diffusion: Diffusion,
    network: CloudNetwork,
    data: CloudDataset,
    held_out: CloudDataset,
    method: str,
    *,
    steps: int,
    batch_size: int,
    seed: int,
    checkpoint: Path,
) -> TrainingResult:
    """Train with one of the losses; both see the same batches, times, rotations and noise for the same seed."""
    return train(
        diffusion,
        network,
        data,
        LOSSES[method],
        steps=steps,
        batch_size=batch_size,
        learning_rate=2e-3,
        schedule=Cosine(warmup=50),
        ema=0.99,
        rotate=True,
        seed=seed,
        checkpoint=checkpoint,
        checkpoint_every=100,
        evaluate=horizontal_loss(diffusion, held_out, 256),
        evaluate_every=max(steps // 10, 1),
    ).checked()


def curve(result: TrainingResult) -> dict[str, list[float]]:
    """The held-out loss over steps."""
    evaluations = result.history.evaluations
    return {"steps": list(evaluations), "loss": [values["horizontal"] for values in evaluations.values()]}


def scale_of(data: CloudDataset) -> float:
    """Standard deviation of a coordinate of centred clouds, padding left out."""
    if data.context is None or data.context.mask is None:
        return data.clouds.square().mean().sqrt().item()
    mask = data.context.mask[data.kinds]
    return (data.clouds.square().sum() / (3 * mask.sum())).sqrt().item()
