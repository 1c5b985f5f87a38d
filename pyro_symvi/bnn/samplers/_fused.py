"""Small operations between two gradients as one, where the target knows how."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from ._sampler import Target

#: From tensors to a tuple of tensors; no branch on a value.
TensorFunction = Callable[..., Sequence[Tensor]]


def fused(target: Target, function: TensorFunction) -> TensorFunction:
    """The function itself, or what ``target.fuse`` makes of it: the same numbers up to rounding.

    A compiled posterior has such a method; for small networks most of a step goes between small operations.
    """
    fuse: Callable[[TensorFunction], TensorFunction] | None = getattr(target, "fuse", None)
    return function if fuse is None else fuse(function)
