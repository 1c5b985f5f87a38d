"""A model looked at in the middle of its training, and left as if nobody had looked."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn


@contextmanager
def kept_generators(model: Any = None, seed: int | None = None) -> Iterator[None]:
    """The global random generators of the CPU and of the devices the model lies on come back as they were.

    With ``seed`` all of them start from it inside.
    """
    devices: set[int] = set()
    if isinstance(model, nn.Module) and torch.cuda.is_available():
        devices = {p.device.index or 0 for p in model.parameters() if p.device.type == "cuda"}
    with torch.random.fork_rng(devices=sorted(devices)):
        if seed is not None:
            torch.default_generator.manual_seed(seed)
            for device in devices:
                torch.cuda.default_generators[device].manual_seed(seed)
        yield


@contextmanager
def at_rest(model: Any) -> Iterator[None]:
    """Evaluation mode without gradients inside; then every module's own mode, buffers and generators as before.

    A module that was frozen on purpose (batch norm in evaluation mode inside a model in training) stays frozen.
    """
    if not isinstance(model, nn.Module):
        with kept_generators(), torch.no_grad():
            yield
        return
    modes = [(module, module.training) for module in model.modules()]
    buffers = [(buffer, buffer.detach().clone()) for buffer in model.buffers()]
    try:
        model.eval()
        with kept_generators(model), torch.no_grad():
            yield
    finally:
        for module, mode in modes:
            module.training = mode
        with torch.no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
