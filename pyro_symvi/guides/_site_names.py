"""Names of the parameters of guides with one set of parameters a site, in Pyro's store."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import pyro
import torch
from pyro.nn import PyroModule

_HOLDERS: WeakValueDictionary[str, Any] = WeakValueDictionary()


def path_of(part: str, site: str) -> str:
    """The dotted name of a parameter: ``locs.mu`` for the loc of site mu, as in Pyro's guides.

    A name that is an attribute of every module (``type``, ``train``) gets an underscore.
    """
    steps = [f"{step}_" if hasattr(PyroModule, step) else step for step in site.split(".")]
    return ".".join([f"{part}s", *steps])


def refuse_nested(names: list[str]) -> None:
    """Sites ``a`` and ``a.b`` in one model: the dots are modules here, and a parameter can't be one."""
    for name in names:
        inner = [other for other in names if other.startswith(f"{name}.")]
        if inner:
            raise ValueError(
                f"expected site names none of which continues another, got '{name}' and '{inner[0]}', because dots "
                "become submodules that hold the parameters; try an underscore for the dot"
            )


def claim_name(guide: PyroModule, shapes: Mapping[str, torch.Size], *, fresh: bool = False) -> str:
    """A name for ``guide`` under which no other living guide keeps its parameters: its own, or a numbered one.

    As `_names.claim_name`, for parameters that lie in submodules: ``shapes`` goes from dotted names to unconstrained
    shapes.
    """
    base = name = guide._pyro_name
    number = 1
    while _is_taken(name, guide, shapes, fresh):
        number += 1
        name = f"{base}_{number}"
    _HOLDERS[name] = guide
    return name


def _is_taken(name: str, guide: Any, shapes: Mapping[str, torch.Size], fresh: bool) -> bool:
    stored = dict(pyro.get_param_store().named_parameters())
    kept = {parameter: stored[f"{name}.{parameter}"] for parameter in shapes if f"{name}.{parameter}" in stored}
    holder = _HOLDERS.get(name)
    if holder is not None and holder is not guide and holder._pyro_name == name:
        own = {id(value) for value in holder.parameters()}
        if not kept or any(id(value) in own for value in kept.values()):
            return True
    return any(fresh or kept[parameter].shape != shapes[parameter] for parameter in kept)


def rename(guide: PyroModule, name: str) -> None:
    """Give a guide and its submodules a new name in the store."""
    guide._pyro_name = name
    for inner, module in guide.named_modules():
        if inner and isinstance(module, PyroModule):
            module._pyro_name = f"{name}.{inner}"
