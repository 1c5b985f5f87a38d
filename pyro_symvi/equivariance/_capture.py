"""What the layers of a model put out, by forward hooks."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

OUTPUT = "output"
"""Name of what the model returns."""


def layer_names(model: Any, layers: Sequence[str] | str | None) -> list[str]:
    """The modules whose outputs are wanted: every leaf for None, else names or patterns such as ``"encoder.*"``."""
    if not isinstance(model, nn.Module):
        if layers:
            raise TypeError(f"expected a torch module where layers are asked for, got {type(model).__name__}")
        return []
    known = [name for name, _ in model.named_modules() if name]
    if layers is None:
        return [name for name, module in model.named_modules() if name and not list(module.children())]
    wanted = [layers] if isinstance(layers, str) else list(layers)
    found: list[str] = []
    for pattern in wanted:
        if pattern == OUTPUT:
            continue
        matches = [name for name in known if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(
                f"expected layers among the modules of the model, got {pattern!r}; there are {', '.join(known[:20])}"
            )
        found.extend(name for name in matches if name not in found)
    return found


@contextmanager
def captured(model: Any, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """Run the model inside; the dict then holds the floating tensors each named module put out, in order of calls.

    A module called again adds ``name@2``; tuples and dicts add ``name[0]``, ``name['key']``.
    """
    found: dict[str, Tensor] = {}
    handles = []
    wanted = set(names)

    def record(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            call, k = name, 1
            while any(key == call or key.startswith((f"{call}[",)) for key in found):
                k += 1
                call = f"{name}@{k}"
            found.update(tensors(output, call))

        return hook

    try:
        if wanted:
            for name, module in model.named_modules():
                if name in wanted:
                    handles.append(module.register_forward_hook(record(name)))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def tensors(output: Any, name: str) -> dict[str, Tensor]:
    """Copies in float64 of the floating tensors of a structure by name; complex ones as pairs of reals on a last axis.

    Copies, because what comes after in the model may change them in place. They keep the graph where gradients are on.
    """
    if isinstance(output, Tensor):
        if output.is_complex():
            output = torch.view_as_real(output)
        return {name: output.to(torch.float64, copy=True)} if output.is_floating_point() else {}
    items: list[tuple[Any, Any]] = []
    if isinstance(output, dict):
        items = list(output.items())
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
    found: dict[str, Tensor] = {}
    for key, value in items:
        found.update(tensors(value, f"{name}[{key!r}]"))
    return found
