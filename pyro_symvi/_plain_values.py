"""Frozen values as plain dictionaries and back: what a file of weights may hold without running code."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import ModuleType
from typing import Any

from torch import Tensor

from ._value import Value


def values_of(*modules: ModuleType) -> dict[str, type[Value]]:
    """The classes of frozen values that modules hold, by name."""
    return {
        name: kind
        for module in modules
        for name, kind in vars(module).items()
        if isinstance(kind, type) and issubclass(kind, Value) and dataclasses.is_dataclass(kind)
    }


def to_plain(value: object, known: Mapping[str, type[Value]], where: str) -> Any:
    """Numbers, strings, tensors, lists, and for a known frozen value ``{"value": name, fields...}``.

    Raises:
        TypeError: for anything else; ``where`` says in words what holds the known values.
    """
    if value is None or isinstance(value, bool | int | float | str | Tensor):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(v, known, where) for v in value]
    name = type(value).__name__
    if isinstance(value, Value) and known.get(name) is type(value):
        fields = [f.name for f in dataclasses.fields(value) if f.init]  # type: ignore[arg-type]
        return {"value": name, **{field: to_plain(getattr(value, field), known, where) for field in fields}}
    raise TypeError(
        f"expected values that {where} holds, got {value!r}, because a file of a model is read without running code; "
        "try to keep the weights by torch.save(network.state_dict(), path)"
    )


def from_plain(content: Any, known: Mapping[str, type[Value]]) -> Any:
    """What ``to_plain`` was given; lists come back as tuples."""
    if isinstance(content, list):
        return tuple(from_plain(c, known) for c in content)
    if not isinstance(content, dict):
        return content
    name = content.get("value")
    if not isinstance(name, str) or name not in known:
        raise ValueError(f"expected the name of a value, one of {', '.join(sorted(known))}, got {name!r}")
    return known[name](**{field: from_plain(v, known) for field, v in content.items() if field != "value"})
