"""What the layers of a model put out, by forward hooks."""

from __future__ import annotations

import dataclasses
import fnmatch
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..groups._errors import sentence

OUTPUT = "output"
"""Name of what the model returns."""


class Found(dict[str, Tensor]):
    """Tensors by name, in order of calls; with how often each module was called, and what was not taken and why."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.skipped: dict[str, str] = {}


def layer_names(model: Any, layers: Sequence[str] | str | None) -> list[str]:
    """The modules whose outputs are wanted: every leaf for None, else names or patterns such as ``"encoder.*"``.

    A module that is itself called "output" goes by "self.output": "output" is what the model returns.

    Raises:
        TypeError: for layers of something that is no module, or whose modules run where hooks do not (compiled).
        ValueError: for names that no module has.
    """
    if not isinstance(model, nn.Module):
        if layers:
            raise TypeError(f"expected a torch module where layers are asked for, got {type(model).__name__}")
        return []
    if layers is None:
        found = [reported(n) for n, module in model.named_modules() if n and not list(module.children())]
    else:
        known = [reported(name) for name, _ in model.named_modules(remove_duplicate=False) if name]
        found = _matching(known, [layers] if isinstance(layers, str) else list(layers))
    if found and is_closed(model):
        raise TypeError(
            sentence(
                "an uncompiled model where layers are asked for",
                f"a {type(model).__name__}",
                "compiled and scripted code does not run the hooks of its layers",
                "the module it was made from, or layers=() for the output alone",
            )
        )
    return found


def _matching(known: Sequence[str], wanted: Sequence[str]) -> list[str]:
    found: list[str] = []
    for pattern in wanted:
        if not isinstance(pattern, str):
            raise TypeError(f"expected names of layers, got {pattern!r} of type {type(pattern).__name__}")
        if pattern == OUTPUT:
            continue
        matches = [name for name in known if name == pattern or fnmatch.fnmatchcase(name, pattern)]
        if not matches:
            raise ValueError(
                f"expected layers among the modules of the model, got {pattern!r}; there are {', '.join(known[:20])}"
            )
        found.extend(name for name in matches if name not in found)
    return found


def reported(name: str) -> str:
    """The name under which a module goes in results."""
    return f"self.{name}" if name == OUTPUT else name


def owner(name: str) -> str:
    """The layer that an entry such as ``"encoder.0@2[1]"`` belongs to."""
    return name.split("[", 1)[0].split("@", 1)[0]


def is_output(name: str) -> bool:
    """Whether an entry belongs to what the model returns."""
    return owner(name) == OUTPUT


def is_closed(module: nn.Module) -> bool:
    """Whether the layers inside run as compiled or scripted code, where hooks do not."""
    compiled = getattr(module, "_compiled_call_impl", None) is not None or hasattr(module, "_orig_mod")
    return compiled or isinstance(module, torch.jit.ScriptModule)


def inside_closed(model: nn.Module, name: str) -> bool:
    """Whether the module ``name`` runs inside compiled or scripted code."""
    parts = name.split(".")
    return any(is_closed(model.get_submodule(".".join(parts[:i]))) for i in range(len(parts)))


@contextmanager
def captured(model: Any, names: Sequence[str]) -> Iterator[Found]:
    """Run the model inside; the dict then holds what each named module put out, in order of calls, in float64.

    A module called again adds ``name@2``; tuples and dicts add ``name[0]``, ``name['key']``. Each tensor is a copy,
    taken before later layers can change it in place. The hooks are gone afterwards, whatever happens inside.
    """
    found = Found()
    handles = []

    def record(name: str) -> Any:
        def hook(module: nn.Module, arguments: Any, output: Any) -> None:
            found.calls[name] += 1
            call = found.calls[name]
            found.update(tensors(output, name if call == 1 else f"{name}@{call}", found.skipped))

        return hook

    try:
        for name in names:
            module = model.get_submodule(name.removeprefix("self."))
            handles.append(module.register_forward_hook(record(name)))
        yield found
    finally:
        for handle in handles:
            handle.remove()


def tensors(output: Any, name: str, skipped: dict[str, str] | None = None) -> dict[str, Tensor]:
    """Copies in float64 of the floating tensors of a structure by name; complex ones as pairs of reals on a last axis.

    Copies, because what comes after in the model may change them in place. They keep the graph where gradients are on.
    Structures are tuples, lists, mappings and dataclasses. ``skipped`` takes the names of what is there but has no
    energy, with the reason.
    """
    if isinstance(output, Tensor):
        reason = _unfit(output)
        if reason:
            if skipped is not None:
                skipped[name] = reason
            return {}
        value = torch.view_as_real(output) if output.is_complex() else output
        return {name: value.to(exact_device(value.device), torch.float64, copy=True)}
    items: list[tuple[Any, Any]] = []
    if isinstance(output, Mapping):
        items = list(output.items())
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        items = [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    found: dict[str, Tensor] = {}
    for key, value in items:
        found.update(tensors(value, f"{name}[{key!r}]", skipped))
    return found


def exact_device(device: torch.device) -> torch.device:
    """Where float64 exists: the device itself, or the CPU for Apple's."""
    return torch.device("cpu") if device.type == "mps" else device


def _unfit(value: Tensor) -> str:
    if value.is_nested or value.layout != torch.strided:
        return "a sparse or nested tensor"
    if not (value.is_floating_point() or value.is_complex()):
        return f"{str(value.dtype).removeprefix('torch.')} entries, which have no energy"
    return ""
