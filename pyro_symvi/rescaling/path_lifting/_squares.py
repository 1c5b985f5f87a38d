"""Non-negative numbers of the squared network, with a power of two kept apart, so that deep products do not vanish."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from ...groups import UnsupportedError

#: Powers of two up to this one are left in place: numbers of ordinary size are computed without any scaling.
QUIET = 64


@dataclass(frozen=True)
class Squares:
    """A tensor of sums over paths, ``tensor * 2^exponent``.

    Attributes:
        tensor: mantissas, in the shape of the activation or parameter.
        exponent: 0-dimensional, without gradient.
        signal: it depends on the inputs of the network.
        names: parameters on the paths that lead here.
    """

    tensor: Tensor
    exponent: Tensor
    signal: bool = False
    names: frozenset[str] = frozenset()

    @staticmethod
    def of(tensor: Tensor, signal: bool = False, names: frozenset[str] = frozenset()) -> Squares:
        """Numbers as they are."""
        return Squares(tensor, tensor.new_zeros(()), signal, names)

    def moved(self, tensor: Tensor) -> Squares:
        """The same with its entries elsewhere."""
        return replace(self, tensor=tensor)

    def settled(self) -> Squares:
        """The same number with a mantissa of ordinary size."""
        shift = power_of_two(self.tensor)
        return replace(self, tensor=self.tensor * torch.exp2(-shift), exponent=self.exponent + shift)


def power_of_two(tensor: Tensor) -> Tensor:
    """The power of two of the largest entry, 0 where that is between 2^-64 and 2^64."""
    if tensor.numel() == 0:
        return tensor.new_zeros(())
    top = tensor.detach().abs().amax()
    power = torch.log2(torch.where((top > 0) & (top < torch.inf), top, torch.ones_like(top))).floor()
    return torch.where(power.abs() < QUIET, torch.zeros_like(power), power)


def aligned(values: Sequence[Squares]) -> tuple[list[Tensor], Squares]:
    """Mantissas of several values under one exponent, and what their sum or concatenation inherits from them."""
    exponent = values[0].exponent
    for value in values[1:]:
        exponent = torch.maximum(exponent, value.exponent)
    tensors = [value.tensor * torch.exp2(value.exponent - exponent) for value in values]
    names = frozenset().union(*(value.names for value in values))
    return tensors, Squares(tensors[0], exponent, any(value.signal for value in values), names)


def product(operation: Callable[..., Tensor], *factors: Squares, where: str) -> Squares:
    """A product, entrywise, of matrices, ...: paths of all factors joined end to end."""
    check_product(factors, where)
    exponent = factors[0].exponent
    for factor in factors[1:]:
        exponent = exponent + factor.exponent
    names = frozenset().union(*(factor.names for factor in factors))
    signal = any(factor.signal for factor in factors)
    return Squares(operation(*(factor.tensor for factor in factors)), exponent, signal, names).settled()


def affine(operation: Callable[..., Tensor], x: Squares, weight: Squares, bias: Squares | None, where: str) -> Squares:
    """``operation(x, weight, bias)``, bilinear in the first two and linear in the third."""
    if bias is None:
        return product(lambda a, b: operation(a, b, None), x, weight, where=where)
    check_product((x, weight), where)
    joint = x.exponent + weight.exponent
    exponent = torch.maximum(joint, bias.exponent)
    tensor = operation(
        x.tensor * torch.exp2(joint - exponent), weight.tensor, bias.tensor * torch.exp2(bias.exponent - exponent)
    )
    signal = x.signal or weight.signal or bias.signal
    return Squares(tensor, exponent, signal, x.names | weight.names | bias.names).settled()


def check_product(factors: Sequence[Squares], where: str) -> None:
    """Refuse products in which paths are no paths any more."""
    if sum(factor.signal for factor in factors) > 1:
        raise UnsupportedError(
            f"expected products of an activation with parameters, got a product of two activations at {where}, because "
            "the output is then no sum over paths; try criterion='l2' or 'range'"
        )
    seen: set[str] = set()
    for factor in factors:
        if twice := seen & factor.names:
            raise UnsupportedError(
                f"expected a network that is linear in each parameter, got {sorted(twice)} twice on one path (the "
                f"second time at {where}), because path norms are then not linear in the squared weights; try "
                "criterion='l2' or 'range'"
            )
        seen |= factor.names


def constant(value: Any, like: Tensor, power: float) -> Squares:
    """A number or tensor that is neither parameter nor input, to the power of the norm."""
    tensor = value.detach().to(like) if isinstance(value, Tensor) else like.new_tensor(float(value))
    return Squares.of(tensor.abs() ** power).settled()
