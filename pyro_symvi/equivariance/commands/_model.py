"""The model and the inputs in a user's file."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ..._user_files import UserError, load_file, networks_in


def load_model(text: str, *, allow_training: bool = False) -> tuple[Any, Any]:
    """The model of ``FILE.py:MODEL`` and the module of the file.

    MODEL is a torch module; a class or function that takes no arguments and makes one, which is put in evaluation
    mode; or a function of the inputs.
    """
    path, separator, name = text.rpartition(":")
    if not separator or not path.endswith(".py"):
        raise UserError(f"expected FILE.py:MODEL, got {text!r}; try {text.rstrip(':')}:model")
    module = load_file(Path(path))
    found = getattr(module, name, None)
    if found is None:
        raise UserError(
            f"expected a model named {name!r} in {path}, got a file without it; it has {networks_in(module)}"
        )
    if not callable(found):
        raise UserError(f"expected {name!r} in {path} to be a torch module or a function, got {type(found).__name__}")
    if isinstance(found, nn.Module):
        return found, module
    if not _takes_nothing(found):
        if inspect.isclass(found):
            raise UserError(
                f"expected {name!r} in {path} to be made without arguments, got a class that needs some; try "
                f"model = {name}(...) in the file, and {path}:model"
            )
        return found, module
    made = found()
    if not callable(made):
        raise UserError(f"expected {name!r} in {path} to make a model, got {type(made).__name__} from it")
    if isinstance(made, nn.Module) and not allow_training:
        made.eval()
    return made, module


def inputs_of(module: Any, name: str | None, path: str) -> Any:
    """The samples: the variable ``name``, else ``x``, else ``inputs``."""
    for wanted in (name,) if name is not None else ("x", "inputs"):
        if hasattr(module, wanted):
            found = getattr(module, wanted)
            return found() if inspect.isfunction(found) else found
    raise UserError(
        f"expected inputs in the variable {name or 'x'!r} of {path.rpartition(':')[0]}, got a file without it, because "
        "a model is looked at where its inputs are; try --inputs NAME"
    )


def last_size(x: Any) -> int:
    """The size of the last axis of the first tensor with one, which tells the dimension of space."""
    leaves: Sequence[Any] = list(x.values()) if isinstance(x, dict) else x if isinstance(x, tuple | list) else [x]
    for leaf in leaves:
        if isinstance(leaf, Tensor) and leaf.is_floating_point() and leaf.ndim >= 2:
            return leaf.shape[-1]
    return 0


def _takes_nothing(value: Any) -> bool:
    try:
        parameters = inspect.signature(value).parameters.values()
    except (TypeError, ValueError):
        return False
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    required = [p for p in parameters if p.default is p.empty and p.kind not in kinds]
    return not required and not any(p.kind is inspect.Parameter.VAR_POSITIONAL for p in parameters)
