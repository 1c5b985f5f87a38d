"""Value semantics for groups and actions: equality, hash and printing from the dataclass fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Hashable

import torch
from torch import Tensor


def _hashable(value: object) -> Hashable:
    if isinstance(value, Tensor):
        return tuple(value.shape), str(value.dtype), tuple(value.detach().reshape(-1).tolist())
    if isinstance(value, Hashable):
        return value
    return repr(value)


def _short(value: object) -> str:
    if not isinstance(value, Tensor):
        return repr(value)
    if value.numel() > 16:
        return f"<tensor of shape {list(value.shape)}>"
    if value.is_floating_point() and value.ndim == 1:
        return str([float(f"{entry:.6g}") for entry in value.tolist()])
    return str(value.tolist())


class Value:
    """Base of frozen dataclasses declared with ``eq=False, repr=False``.

    Two values are equal when they have the same type and the same fields; tensors are compared by shape, dtype
    and entries. Fields are never changed after construction.
    """

    def _fields(self) -> list[tuple[str, object, object]]:
        if not dataclasses.is_dataclass(self):
            return []
        return [(f.name, getattr(self, f.name), f.default) for f in dataclasses.fields(self) if f.repr]

    def _key(self) -> Hashable:
        return type(self), tuple(_hashable(value) for _, value, _ in self._fields())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Value):
            return NotImplemented
        return self is other or (type(self) is type(other) and self._key() == other._key())

    def __hash__(self) -> int:
        return hash(self._key())

    def __repr__(self) -> str:
        shown = [
            f"{name}={_short(value)}" if default is not dataclasses.MISSING else _short(value)
            for name, value, default in self._fields()
            if default is dataclasses.MISSING or isinstance(value, Tensor) or value != default
        ]
        return f"{type(self).__name__}({', '.join(shown)})"


def positive_int(value: object, name: str, minimum: int = 1) -> int:
    """``value`` as an int of at least ``minimum``; anything else, bool included, is refused."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"expected {name} to be an int, got {value!r} of type {type(value).__name__}")
    if value < minimum:
        raise ValueError(f"expected {name} >= {minimum}, got {value}")
    return value


def default_dtype(dtype: torch.dtype | None) -> torch.dtype:
    """Group elements are float64 unless told otherwise: an action casts them down, never up."""
    return torch.float64 if dtype is None else dtype
