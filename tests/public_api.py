"""The public names of the package with their signatures, one a line: ``python -m tests.public_api``.

A name is public if it stands in the ``__all__`` of the package or of one of its public sub-packages. A name that
several packages hold is described once, where the path is shortest; a method once, in the most general public class
that has it with this signature. Annotations are left out: they are no promise at run time, and Python versions write
them differently.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import inspect
import pkgutil
import re
from collections.abc import Collection, Iterator
from importlib import import_module
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

PACKAGE = "pyro_symvi"
RECORD = Path(__file__).with_suffix(".txt")
COMMAND = "python -m tests.public_api > tests/public_api.txt"


def public_packages() -> list[ModuleType]:
    """The root and every package below it without an underscore, those with an ``__all__``, shortest paths first."""
    root = import_module(PACKAGE)
    found = [root]
    for module in pkgutil.walk_packages(root.__path__, f"{PACKAGE}."):
        if module.ispkg and not any(part.startswith("_") for part in module.name.split(".")):
            found.append(import_module(module.name))
    kept = [module for module in found if hasattr(module, "__all__")]
    return sorted(kept, key=lambda module: (module.__name__.count("."), module.__name__))


def lines() -> list[str]:
    """The whole record."""
    homes: dict[int, str] = {}
    packages = public_packages()
    public = {id(value) for module in packages for value in vars_of(module).values() if inspect.isclass(value)}
    text = [f"# Public names and signatures. A wanted change is accepted by: {COMMAND}"]
    for module in packages:
        text += ["", f"[{module.__name__}]"]
        for name, value in vars_of(module).items():
            home = homes.setdefault(id(value), f"{module.__name__}.{name}") if _has_a_home(value) else ""
            if home not in ("", f"{module.__name__}.{name}"):
                text.append(f"{name} = {home}")
            else:
                text += described(name, value, public)
    return text


def vars_of(module: ModuleType) -> dict[str, Any]:
    """The public names of a package, sorted."""
    return {name: getattr(module, name) for name in sorted(module.__all__)}


def _has_a_home(value: Any) -> bool:
    return inspect.isclass(value) or isinstance(value, FunctionType)


def described(name: str, value: Any, public: Collection[int] = ()) -> list[str]:
    """One name: its signature, and a class's public methods, without those of the ``public`` classes above it."""
    if inspect.ismodule(value):
        return [f"{name}: module"]
    if inspect.isclass(value):
        above = {line for base in value.__mro__[1:] if id(base) in public for line in _members(base)}
        return [_class_line(name, value), *(f"    {line}" for line in _members(value) if line not in above)]
    if isinstance(value, FunctionType):
        return [f"{name}{signature(value)}"]
    return [f"{name}: {type(value).__name__}"]


def _class_line(name: str, kind: type) -> str:
    if issubclass(kind, enum.Enum):
        return f"class {name}: {', '.join(kind.__members__)}"
    if issubclass(kind, BaseException):
        return f"class {name}: {kind.__mro__[1].__name__}"
    above = [
        base.__name__ for base in kind.__bases__ if base.__module__.startswith(PACKAGE) and base.__name__[0] != "_"
    ]
    return f"class {name}{signature(kind)}{' of ' if above else ''}{', '.join(above)}"


def _members(kind: type) -> Iterator[str]:
    """Methods and properties that the package itself defines."""
    for name in dir(kind):
        owner = next((base for base in kind.__mro__ if name in vars(base)), None)
        if name.startswith("_") or owner is None or not owner.__module__.startswith(PACKAGE):
            continue
        member = vars(owner)[name]
        if isinstance(member, property | functools.cached_property):
            yield f".{name}"
        elif isinstance(member, classmethod | staticmethod):
            yield f".{name}{signature(getattr(kind, name))}  # {type(member).__name__}"
        elif isinstance(member, FunctionType):
            yield f".{name}{signature(member, skip_first=True)}"


def signature(function: Any, skip_first: bool = False) -> str:
    """Parameters with defaults, without annotations."""
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError):
        return "(...)"
    parameters = list(found.parameters.values())[int(skip_first) :]
    plain = [
        p.replace(annotation=p.empty, default=p.default if p.default is p.empty else _Shown(p.default))
        for p in parameters
    ]
    return str(found.replace(parameters=plain, return_annotation=found.empty))


class _Shown:
    """A default that prints the same in every process and version."""

    def __init__(self, value: Any) -> None:
        self.text = _shown(value)

    def __repr__(self) -> str:
        return self.text


def _shown(value: Any) -> str:
    if isinstance(value, enum.Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, tuple | list):
        inner = ", ".join(map(_shown, value))
        return f"({inner}{',' if len(value) == 1 else ''})" if isinstance(value, tuple) else f"[{inner}]"
    if inspect.isclass(value) or inspect.isroutine(value):
        return str(value.__qualname__)
    if dataclasses.is_dataclass(value) or isinstance(value, None.__class__ | bool | int | float | str | bytes):
        return re.sub(r" at 0x[0-9a-f]+", "", repr(value))
    return f"<{type(value).__name__}>" if " at 0x" in repr(value) else repr(value)


if __name__ == "__main__":
    print("\n".join(lines()))
