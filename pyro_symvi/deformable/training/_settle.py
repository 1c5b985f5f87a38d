"""Batch normalisation that belongs to the final weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


def settle(network: nn.Module, batches: Sequence[Callable[[], Tensor]]) -> None:
    """Set the statistics of all batch normalisations to plain means over batches of images, in place.

    A moving average of momentum m remembers about 1 / m steps, in which the weights moved; after few steps it still
    holds its start. The weights are left alone. Without batch normalisation, or batches,
    nothing is done. Batches are functions, called one by one.
    """
    layers = [m for m in network.modules() if isinstance(m, _BatchNorm) and m.track_running_stats]
    if not layers or not batches:
        return
    training, momenta = network.training, [layer.momentum for layer in layers]
    network.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None  # torch's word for a cumulative mean
        layer.train()
    try:
        with torch.no_grad():
            for batch in batches:
                network(batch())
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        network.train(training)
