"""The network in a user's file, and the shape of its inputs."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from ..._user_files import UserError, load_file, networks_in

Shapes = tuple[tuple[int, ...], ...]
"""One shape an input, without the batch axis."""


def load_network(text: str) -> tuple[nn.Module, Any]:
    """The network of ``FILE.py:MODEL``, and the module of the file.

    MODEL is a torch module, or a class or function that takes no arguments and makes one.
    """
    path, separator, name = text.rpartition(":")
    if not separator or not path.endswith(".py"):
        raise UserError(f"expected FILE.py:MODEL, got {text!r}; try {text.rstrip(':')}:model")
    module = load_file(Path(path))
    found = getattr(module, name, None)
    if found is None:
        raise UserError(
            f"expected a network named {name!r} in {path}, got a file without it; it has {networks_in(module)}"
        )
    if isinstance(found, nn.Module):
        return found, module
    if not callable(found):
        raise UserError(
            f"expected {name!r} in {path} to be a torch module or a function that makes one, got {type(found).__name__}"
        )
    if needed := _needed(found):
        raise UserError(
            f"expected {name!r} in {path} to be called without arguments, got one that needs {', '.join(needed)}; try "
            f"model = {name}(...) in the file, and {path}:model"
        )
    try:
        made = found()
    except Exception as error:  # a user's function may raise anything
        raise UserError(
            f"expected {name!r} in {path} to make a torch module, got {type(error).__name__}: {error}; try "
            "python -m pyro_symvi --debug rescale ... for the traceback"
        ) from error
    if not isinstance(made, nn.Module):
        raise UserError(f"expected {name!r} in {path} to make a torch module, got {type(made).__name__} from it")
    return made, module


def parse_shape(text: str) -> tuple[int, ...]:
    """The shape that a text such as ``1,28,28`` stands for.

    >>> parse_shape("1,28,28")
    (1, 28, 28)
    """
    parts = text.strip("()[] ").rstrip(",").split(",")
    if not all(part.strip().isdigit() and int(part) > 0 for part in parts):
        raise UserError(f"expected --input-shape as positive numbers with commas, got {text!r}; try 1,28,28")
    return tuple(int(part) for part in parts)


def shapes_of(flags: Sequence[str] | None, module: Any) -> Shapes | None:
    """Shapes of the inputs: from the flag, else from ``input_shape`` or ``INPUT_SHAPE`` of the file, else None."""
    if flags is not None:
        return tuple(parse_shape(text) for text in flags)
    for name in ("input_shape", "INPUT_SHAPE"):
        value = getattr(module, name, None)
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            value = (value,)
        shapes: Any = (value,) if isinstance(value, Sequence) and all(isinstance(n, int) for n in value) else value
        try:
            return tuple(parse_shape(",".join(str(n) for n in shape)) for shape in shapes)
        except (TypeError, UserError) as error:
            raise UserError(
                f"expected the variable {name} as a shape such as (1, 28, 28), or a list of shapes, got {value!r}"
            ) from error
    return None


def _needed(value: Any) -> list[str]:
    """Names of the arguments without a default."""
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return []
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in kinds]
