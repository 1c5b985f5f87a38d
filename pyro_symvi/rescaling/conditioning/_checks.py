"""What is refused before any work is done."""

from __future__ import annotations

import torch
from torch import nn

from .._group import RescalingGroup


def check_weights(model: nn.Module) -> None:
    """That the parameters are finite numbers that can be read.

    Raises:
        TypeError: the model is no module.
        ValueError: a parameter is nan or infinite, complex, not yet made (lazy), or on the meta device.
    """
    if not isinstance(model, nn.Module):
        raise TypeError(f"expected a torch.nn.Module, got {type(model).__name__}")
    for name, parameter in model.named_parameters():
        if isinstance(parameter, nn.parameter.UninitializedParameter):
            raise ValueError(
                f"expected parameters that have been made, got {name!r} of a lazy layer; try one forward pass first"
            )
        if parameter.device.type == "meta":
            raise ValueError(
                f"expected parameters with values, got {name!r} on the meta device; try model.to_empty(device='cpu') "
                "and loading a state_dict"
            )
        if not parameter.is_floating_point():
            raise ValueError(f"expected real parameters, got {name!r} of type {parameter.dtype}")
        if not bool(torch.isfinite(parameter.detach()).all()):
            raise ValueError(
                f"expected finite parameters, got nan or inf in {name!r}, because no rescaling can mend them; "
                "try an earlier checkpoint"
            )


def check_fit(model: nn.Module, group: RescalingGroup) -> None:
    """That a group was read from a network of this kind.

    Raises:
        ValueError: names or shapes of parameters differ.
    """
    here = {name: tuple(p.shape) for name, p in model.named_parameters()}
    there = dict(zip(group.layout.names, group.layout.shapes, strict=True))
    if here != there:
        odd = sorted(name for name in here.keys() | there.keys() if here.get(name) != there.get(name))[:3]
        raise ValueError(
            f"expected a group that was read from this network, got one whose parameters differ in {odd}; "
            "try RescalingGroup.from_module(model, input_shape)"
        )
