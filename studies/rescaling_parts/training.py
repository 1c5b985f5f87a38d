"""Plain SGD on many copies of one network at once: one copy a seed and learning rate, stacked along two axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, vmap


@dataclass(frozen=True)
class Trained:
    """What came of it.

    Attributes:
        losses: training loss, means over ``block`` minibatches in turn, ``[seeds, rates, steps // block]``.
        block_epochs: epochs to a block.
        parameters: the last ones by name, ``[seeds, rates, *shape]``.
    """

    losses: Tensor
    block_epochs: float
    parameters: dict[str, Tensor]


def train(
    models: Sequence[nn.Module],
    rates: Sequence[float],
    inputs: Tensor,
    classes: Tensor,
    *,
    batch: int,
    epochs: int,
    block: int,
    generators: Sequence[torch.Generator],
) -> Trained:
    """Theta <- theta - rate * gradient of the mean cross-entropy of a minibatch; no momentum, no decay.

    Args:
        models: one a seed, of one architecture.
        rates: learning rates; all see the same minibatches.
        inputs: ``[seeds, N, ...]``.
        classes: ``[seeds, N]``.
        batch: samples of a step; N / batch steps an epoch, what is left over is dropped for that epoch.
        epochs: passes through the data.
        block: steps to a value of ``losses``.
        generators: one a seed, for the order of the samples.
    """
    network, seeds, count = models[0], len(models), classes.shape[1]
    own = [dict(model.named_parameters()) for model in models]
    theta = {
        name: torch.stack([one[name].detach() for one in own])[:, None].repeat(1, len(rates), *[1] * own[0][name].ndim)
        for name in own[0]
    }
    steps = {
        name: torch.tensor(rates, dtype=value.dtype).reshape(1, -1, *[1] * (value.ndim - 2))
        for name, value in theta.items()
    }

    def loss(theta: dict[str, Tensor], x: Tensor, y: Tensor) -> Tensor:
        return nn.functional.cross_entropy(functional_call(network, theta, (x,)), y)

    both = vmap(vmap(grad_and_value(loss), in_dims=(0, None, None)))
    rows = torch.arange(seeds)[:, None]
    kept = []
    for _ in range(epochs):
        order = torch.stack([torch.randperm(count, generator=generator) for generator in generators])
        for start in range(0, count - batch + 1, batch):
            chosen = order[:, start : start + batch]
            gradients, value = both(theta, inputs[rows, chosen], classes[rows, chosen])
            for name, gradient in gradients.items():
                theta[name].sub_(steps[name] * gradient)
            kept.append(value)
    blocks = len(kept) // block
    losses = torch.stack(kept[: blocks * block], -1).reshape(seeds, len(rates), blocks, block).mean(-1)
    return Trained(losses, block / (count // batch), theta)


def evaluate(network: nn.Module, theta: dict[str, Tensor], inputs: Tensor, classes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy on other samples (``[seeds, N, ...]``), each ``[seeds, rates]``."""

    def outputs(theta: dict[str, Tensor], x: Tensor) -> Tensor:
        found: Tensor = functional_call(network, theta, (x,))
        return found

    with torch.no_grad():
        logits = vmap(vmap(outputs, in_dims=(0, None)))(theta, inputs)  # [seeds, rates, N, classes]
    wanted = classes[:, None].expand(logits.shape[:-1])
    loss = nn.functional.cross_entropy(logits.movedim(-1, 1), wanted, reduction="none").mean(-1)
    return loss, (logits.argmax(-1) == wanted).double().mean(-1)
