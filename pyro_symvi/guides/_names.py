"""Names of guides in Pyro's global parameter store: two living guides never share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import pyro
import torch
from pyro.nn import PyroModule

_HOLDERS: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""The guide that holds each name."""


def claim_name(guide: Any, shapes: Mapping[str, torch.Size], *, fresh: bool = False) -> str:
    """A name for ``guide``: its own, or a numbered one where that is taken.

    Pyro keeps the parameters of all modules in one store, by name; a second guide of the same class would take over the
    first one's values and go on to change them. A name whose stored values belong to no living guide (a loaded store)
    is free if they have the shapes needed, and the guide takes them over, as in Pyro; with ``fresh`` it never does. A
    living guide that has nothing in the store (after ``clear_param_store``) gives its name up and gets a numbered one,
    so that names in a store depend on what is in it alone.

    Args:
        guide: Whose name is wanted.
        shapes: Of its unconstrained parameters, by (dotted) name.
        fresh: Whether a name under which anything is stored counts as taken.
    """
    base = name = guide._pyro_name
    number = 1
    while _is_taken(name, guide, shapes, fresh):
        number += 1
        name = f"{base}_{number}"
    before = _HOLDERS.get(name)
    _HOLDERS[name] = guide
    if before is not None and before is not guide and before._pyro_name == name:
        rename(before, _unused(base))
        _HOLDERS[before._pyro_name] = before
    return name


def _unused(base: str) -> str:
    """The first numbered name that no guide holds and nothing is stored under."""
    stored = list(pyro.get_param_store().keys())
    number = 2
    while f"{base}_{number}" in _HOLDERS or any(key.startswith(f"{base}_{number}.") for key in stored):
        number += 1
    return f"{base}_{number}"


def _is_taken(name: str, guide: Any, shapes: Mapping[str, torch.Size], fresh: bool) -> bool:
    stored = dict(pyro.get_param_store().named_parameters())
    kept = {parameter: stored[f"{name}.{parameter}"] for parameter in shapes if f"{name}.{parameter}" in stored}
    holder = _HOLDERS.get(name)
    if holder is not None and holder is not guide and holder._pyro_name == name:
        own = {id(value) for value in holder.parameters()}
        if any(id(value) in own for value in kept.values()):
            return True
    return any(fresh or kept[parameter].shape != shapes[parameter] for parameter in kept)


def rename(guide: PyroModule, name: str) -> None:
    """Give a guide and its submodules a new name in the store."""
    guide._pyro_name = name
    for inner, module in guide.named_modules():
        if inner and isinstance(module, PyroModule):
            module._pyro_name = f"{name}.{inner}"
