"""One output of a model that returns several."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import nn


@contextmanager
def picked(model: Any, output: str | int | None) -> Iterator[Any]:
    """The model with the output of this key or place alone; a module keeps the names of its layers, and is as before
    afterwards."""
    if output is None:
        yield model
    elif isinstance(model, nn.Module):
        handle = model.register_forward_hook(lambda module, arguments, found: _one(found, output))
        try:
            yield model
        finally:
            handle.remove()
    else:

        def alone(*arguments: Any, **named: Any) -> Any:
            return _one(model(*arguments, **named), output)

        alone.__name__ = getattr(model, "__name__", "model")
        yield alone


def _one(found: Any, output: str | int) -> Any:
    known: list[Any] = []
    if isinstance(found, dict):
        known = list(found)
    elif isinstance(found, tuple | list):
        known = list(range(len(found)))
    if output not in known:
        raise ValueError(f"expected output among {known or 'none: the model returns one tensor'}, got {output!r}")
    return found[output]
