"""Handlers of all operations that are known, by function, by name of a method and by class of a module."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import _mixing, _movements, _normalisation, _pointwise, _pooling, _sums

_KINDS: tuple[Any, ...] = (_mixing, _movements, _normalisation, _pointwise, _pooling, _sums)

FUNCTIONS: dict[Any, Callable[..., Any]] = {f: handler for kind in _KINDS for f, handler in kind.FUNCTIONS.items()}
METHODS: dict[str, Callable[..., Any]] = {name: handler for kind in _KINDS for name, handler in kind.METHODS.items()}
MODULES: dict[type, Callable[..., Any]] = {cls: handler for kind in _KINDS for cls, handler in kind.MODULES.items()}
