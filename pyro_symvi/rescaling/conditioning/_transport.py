"""What an optimiser remembers of past gradients, carried along with the weights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor, nn, optim

_POWERS: dict[type[optim.Optimizer], dict[str, int]] = {
    optim.SGD: {"momentum_buffer": 1},
    optim.Adam: {"exp_avg": 1, "exp_avg_sq": 2, "max_exp_avg_sq": 2},
    optim.AdamW: {"exp_avg": 1, "exp_avg_sq": 2, "max_exp_avg_sq": 2},
    optim.NAdam: {"exp_avg": 1, "exp_avg_sq": 2},
    optim.RAdam: {"exp_avg": 1, "exp_avg_sq": 2},
    optim.Adamax: {"exp_avg": 1, "exp_inf": 1},
    optim.RMSprop: {"square_avg": 2, "grad_avg": 1, "momentum_buffer": 0},
    optim.Adagrad: {"sum": 2},
}
"""Power of the gradient in each buffer; a buffer of power 0 holds ratios of gradients."""
_SCALARS = {"step", "mu_product"}


def check_optimizer(optimizer: optim.Optimizer, model: nn.Module) -> None:
    """That the state of an optimiser can be transported.

    Raises:
        TypeError: not an optimiser.
        ValueError: it holds none of the model's parameters, or a state whose meaning isn't known.
    """
    if not isinstance(optimizer, optim.Optimizer):
        raise TypeError(f"expected a torch.optim.Optimizer, got {type(optimizer).__name__}")
    held = {id(p) for group in optimizer.param_groups for p in group["params"]}
    if not any(id(p) in held for p in model.parameters()):
        raise ValueError(
            f"expected an optimiser of this network, got {type(optimizer).__name__} with none of its parameters; try "
            "making it from model.parameters()"
        )
    list(_buffers(optimizer, dict(model.named_parameters())))  # raises at a state that isn't known


def transport_(optimizer: optim.Optimizer, model: nn.Module, log_factors: Mapping[str, Tensor]) -> None:
    """Carry an optimiser's buffers along with theta' = theta exp(l), in place.

    The function f is the same at theta and theta', so gradients are those at theta times exp(-l), l = -Bz/2. A buffer
    that is linear in past gradients is multiplied by exp(-l) (momentum of SGD, ``exp_avg`` of Adam), one of their
    squares by exp(-2 l) (``exp_avg_sq``). Then the next buffer at theta' is the next one at theta, carried along,
    if the gradient is that of f. **Weight decay** other than AdamW's adds multiples of theta to gradients; these
    transform the other way, so the buffers are carried along as if it were zero. A step of the optimiser is not
    equivariant: after rescaling, the same learning rate means another path.

    Args:
        optimizer: SGD, Adam, AdamW, NAdam, RAdam, Adamax, RMSprop or Adagrad; any other as long as it has no state.
        model: the network whose parameters it holds.
        log_factors: l by name of the parameter, in its shape.

    Raises:
        TypeError: not an optimiser.
        ValueError: it holds none of the model's parameters, or a state whose meaning isn't known, before any change.
    """
    check_optimizer(optimizer, model)
    with torch.no_grad():
        for name, buffer, power in list(_buffers(optimizer, dict(model.named_parameters()))):
            scale_(buffer, -power * log_factors[name])


def scale_(tensor: Tensor, log_factor: Tensor) -> None:
    """Multiply a tensor by exp(log factor) in place, by way of float64 on the CPU."""
    tensor.copy_(tensor.detach().to("cpu").double() * log_factor.exp())


def _buffers(optimizer: optim.Optimizer, parameters: Mapping[str, nn.Parameter]) -> Iterator[tuple[str, Tensor, int]]:
    """Name of the parameter, buffer and power of the gradient in it."""
    known = _POWERS.get(type(optimizer))
    for name, parameter in parameters.items():
        state = optimizer.state.get(parameter)
        if not state:
            continue
        for key, value in state.items():
            if known is not None and key in known:
                if value is not None:
                    yield name, value, known[key]
            elif known is None or key not in _SCALARS:
                raise ValueError(
                    f"expected the state of an optimiser among {', '.join(t.__name__ for t in _POWERS)}, got {key!r} "
                    f"of {type(optimizer).__name__}, because how it moves with the weights isn't known; try rescaling "
                    "before the first step, or a fresh optimiser after it"
                )
