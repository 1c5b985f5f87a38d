"""The activation that the user names: one of the table, or one of a file."""

from __future__ import annotations

import inspect
from pathlib import Path

from torch import nn

from ..._user_files import UserError, load_file
from ..links import Link, activation_named


def load_link(text: str) -> Link:
    """The link of a name, or of ``FILE.py:NAME``: a function of a tensor, a module, or a class that makes one.

    >>> load_link("tanh")
    Link('tanh', parity='odd', breaks=[])
    """
    path, separator, name = text.rpartition(":")
    if not separator and not text.endswith(".py"):
        try:
            activation_named(text)
        except ValueError as error:
            raise UserError(str(error).replace("a function of a tensor", "FILE.py:NAME for your own")) from error
        return Link.of(text)
    if not path.endswith(".py") or not name:
        raise UserError(f"expected FILE.py:NAME, got {text!r}; try {text.rstrip(':')}:activation")
    module = load_file(Path(path))
    found = getattr(module, name, None)
    if found is None:
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise UserError(
            f"expected an activation named {name!r} in {path}, got a file without it; it has "
            f"{', '.join(known) or 'no functions'}"
        )
    if inspect.isclass(found) and issubclass(found, nn.Module):
        try:
            found = found()
        except Exception as error:  # a user's class may raise anything
            raise UserError(
                f"expected {name!r} in {path} to be made without arguments, got {type(error).__name__}: {error}; try "
                f"activation = {name}(...) in the file, and {path}:activation"
            ) from error
    if inspect.isclass(found) or not callable(found):
        kind = "a class" if inspect.isclass(found) else type(found).__name__
        raise UserError(f"expected {name!r} in {path} to be a function of a tensor or a torch module, got {kind}")
    try:
        return Link.of(found, name=name)
    except (ValueError, TypeError) as error:
        raise UserError(str(error)) from error
    except Exception as error:  # a user's function may raise anything
        raise UserError(
            f"expected {name!r} in {path} to run on a tensor of float64, got {type(error).__name__}: {error}; try "
            "python -m pyro_symvi --debug multiindex ... for the traceback"
        ) from error
