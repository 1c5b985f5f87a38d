"""Moving the parameters of a network along its rescaling orbit."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._traced import TracedNetwork


def rescale_(network: nn.Module, traced: TracedNetwork, log_scale: Tensor) -> None:
    """Parameters times exp(-B z / 2), in place; running means of folded batch normalisation times exp(z / 2).

    ``log_scale``: z, ``[units]``. Computed in float64 and stored in the dtype and on the device of each parameter.
    """
    z = log_scale.detach().double().cpu()
    factors = traced.layout.unflatten(traced.action.log_factors(z / 2).exp())
    padded = torch.cat([z, z.new_zeros(1)])  # -1 reads the zero
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(parameter.double() * factors[name].to(parameter.device))
        for name, buffer in network.named_buffers():
            if name in traced.buffers:
                factor = (padded[traced.buffers[name]] / 2).exp()
                buffer.copy_(buffer.double() * factor.to(buffer.device))
