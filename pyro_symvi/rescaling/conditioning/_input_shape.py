"""The shape of one sample, where the network itself says it."""

from __future__ import annotations

from torch import nn


def guess_input_shape(model: nn.Module) -> tuple[int, ...]:
    """The shape of one sample, ``(in_features,)``, of a network whose first layer with parameters is linear.

    Raises:
        ValueError: for other networks; the sizes of images, say, can't be read off a convolution.
    """
    for name, module in model.named_modules():
        if next(module.parameters(recurse=False), None) is None:
            continue
        if isinstance(module, nn.Linear):
            return (module.in_features,)
        raise ValueError(
            f"expected input_shape, the shape of one sample, because the first layer with parameters is "
            f"{type(module).__name__} at {name!r}, which doesn't tell it; try input_shape=(1, 28, 28)"
        )
    raise ValueError(f"expected a network with parameters, got {type(model).__name__} without any")
