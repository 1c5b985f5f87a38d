"""Where each parameter of a network lies in one flat vector."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn

from ._value import Value


@dataclass(frozen=True, eq=False, repr=False)
class Layout(Value):
    """Names and shapes of the parameters in the flat vector theta ``[*batch, dim]``.

    Order: that of ``network.named_parameters()``, trainable ones only (as ``parameters_to_vector`` has them), each
    flattened row by row; then the scalars of the likelihood (``noise.log_scale``), if any.

    Attributes:
        names: one a tensor.
        shapes: their shapes.
        extras: how many of the last entries belong to the likelihood.

    Raises:
        ValueError: unless there are as many different names as shapes.
    """

    names: Sequence[str]
    shapes: Sequence[tuple[int, ...]]
    extras: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "shapes", tuple(tuple(int(n) for n in shape) for shape in self.shapes))
        if len(self.names) != len(self.shapes) or len(set(self.names)) != len(self.names):
            raise ValueError(f"expected as many different names as shapes, got {self.names} and {self.shapes}")

    @staticmethod
    def of(network: nn.Module, extras: Sequence[str] = (), *, frozen: bool = False) -> Layout:
        """The layout of the trainable parameters of a module, followed by scalars named ``extras``.

        With ``frozen``, parameters that take no gradient have their places too: the order of ``parameters_to_vector``.
        """
        trainable = {name: tuple(p.shape) for name, p in network.named_parameters() if frozen or p.requires_grad}
        if not trainable:
            raise ValueError(
                f"expected a network with trainable parameters, got {type(network).__name__} without any, because its "
                "posterior would be empty; try requires_grad_(True) on the layers to be inferred"
            )
        return Layout((*trainable, *extras), (*trainable.values(), *(() for _ in extras)), len(extras))

    @cached_property
    def sizes(self) -> tuple[int, ...]:
        """Number of entries of each tensor."""
        return tuple(math.prod(shape) for shape in self.shapes)

    @cached_property
    def slices(self) -> dict[str, slice]:
        """Name to its place in the vector."""
        result, start = {}, 0
        for name, size in zip(self.names, self.sizes, strict=True):
            result[name] = slice(start, start + size)
            start += size
        return result

    @cached_property
    def dim(self) -> int:
        """Length of the vector."""
        return sum(self.sizes)

    @property
    def network_dim(self) -> int:
        """Length of the part that belongs to the network."""
        return self.dim - self.extras

    def unflatten(self, theta: Tensor) -> dict[str, Tensor]:
        """Views ``[*batch, *shape]`` of theta ``[*batch, dim]``, by name."""
        self.check(theta)
        batch = theta.shape[:-1]
        return {
            name: theta[..., self.slices[name]].reshape(batch + shape)
            for name, shape in zip(self.names, self.shapes, strict=True)
        }

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Theta ``[*batch, dim]`` from tensors ``[*batch, *shape]`` by name."""
        if set(tensors) != set(self.names):
            raise ValueError(f"expected tensors named {list(self.names)}, got {sorted(tensors)}")
        parts = []
        for name, shape in zip(self.names, self.shapes, strict=True):
            t = tensors[name]
            if tuple(t.shape[t.ndim - len(shape) :]) != shape:
                raise ValueError(f"expected {name} of shape [*batch, {list(shape)}], got {list(t.shape)}")
            parts.append(t.reshape(*t.shape[: t.ndim - len(shape)], -1))
        return torch.cat(parts, -1)

    def check(self, theta: Tensor) -> Tensor:
        """Theta itself, if its last dimension is ``dim``."""
        if not isinstance(theta, Tensor) or theta.ndim < 1 or theta.shape[-1] != self.dim:
            got = list(theta.shape) if isinstance(theta, Tensor) else type(theta).__name__
            raise ValueError(f"expected parameters [*batch, {self.dim}], got {got}")
        return theta
