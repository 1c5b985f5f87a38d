"""Files of the user on the command line: Python files loaded by path, and results written whole or not at all."""

from __future__ import annotations

import importlib.util
import inspect
import os
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any


class UserError(Exception):
    """Something the user can mend; printed without a traceback."""


def load_file(path: Path) -> Any:
    """The module of a Python file; it may import what lies beside it."""
    if not path.is_file():
        raise UserError(f"expected a Python file, got {str(path)!r}, which is not there")
    spec = importlib.util.spec_from_file_location(f"_symvi_user_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise UserError(f"expected a Python file, got {str(path)!r}, which can't be imported")
    module = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    sys.modules[spec.name] = module  # dataclasses look their module up there
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[spec.name]
        raise UserError(f"expected a file that runs, got {type(error).__name__} from {path}: {error}") from error
    finally:
        sys.path.pop(0)
    return module


def networks_in(module: Any) -> str:
    """Names of the torch modules of a file, and of the functions and classes that may make one, for messages."""
    from torch import nn

    names = [
        name
        for name, value in vars(module).items()
        if isinstance(value, nn.Module)
        or ((inspect.isfunction(value) or inspect.isclass(value)) and value.__module__ == module.__name__)
    ]
    return ", ".join(names) or "no models"


def require_writable(path: Path | None) -> None:
    """That a file can be put there; None passes."""
    if path is None:
        return
    if not path.parent.is_dir():
        raise UserError(f"expected a path in an existing folder, got {str(path)!r}; try making {path.parent} first")
    if path.is_dir():
        raise UserError(f"expected the path of a file, got the folder {str(path)!r}")
    if not os.access(path.parent, os.W_OK):
        raise UserError(f"expected a folder that can be written to, got {str(path.parent)!r}")


def write_beside(path: Path, write: Callable[[Path], Any]) -> None:
    """Write beside the path and rename, so that a failure leaves no half-written file."""
    handle, name = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=path.suffix, dir=path.parent)
    os.close(handle)
    beside = Path(name)
    try:
        write(beside)
        beside.chmod(0o666 & ~_umask())
        os.replace(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
