"""Frozen values as plain dictionaries and back: what a file of weights may hold without running code."""

from __future__ import annotations

import dataclasses
from typing import Any

from torch import Tensor

from ... import groups
from ..._value import Value
from .. import _interpolants, _priors, _process

_KNOWN: dict[str, type[Value]] = {
    name: kind
    for module in (groups, _interpolants, _priors, _process)
    for name, kind in vars(module).items()
    if isinstance(kind, type) and issubclass(kind, Value) and dataclasses.is_dataclass(kind)
}


def to_plain(value: object) -> Any:
    """Numbers, strings, tensors, lists, and for a known frozen value ``{"value": name, fields...}``."""
    if value is None or isinstance(value, bool | int | float | str | Tensor):
        return value
    if isinstance(value, list | tuple):
        return [to_plain(v) for v in value]
    name = type(value).__name__
    if isinstance(value, Value) and _KNOWN.get(name) is type(value):
        fields = [f.name for f in dataclasses.fields(value) if f.init]  # type: ignore[arg-type]
        return {"value": name, **{field: to_plain(getattr(value, field)) for field in fields}}
    raise TypeError(
        f"expected values that pyro_symvi.groups or pyro_symvi.quotient holds, got {value!r}, because a file of a "
        "model is read without running code; try to keep the weights by torch.save(network.state_dict(), path)"
    )


def from_plain(content: Any) -> Any:
    """What ``to_plain`` was given; lists come back as tuples."""
    if isinstance(content, list):
        return tuple(from_plain(c) for c in content)
    if not isinstance(content, dict):
        return content
    name = content.get("value")
    if name not in _KNOWN:
        raise ValueError(f"expected the name of a value, one of {', '.join(sorted(_KNOWN))}, got {name!r}")
    return _KNOWN[name](**{field: from_plain(v) for field, v in content.items() if field != "value"})
