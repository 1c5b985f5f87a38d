"""Names of guides in Pyro's global parameter store: two living guides never share one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakValueDictionary

import pyro
import torch

_HOLDERS: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""The guide that holds each name."""


def claim_name(guide: Any, shapes: Mapping[str, torch.Size], *, fresh: bool = False) -> str:
    """A name for ``guide``: its own, or a numbered one where that is taken.

    Pyro keeps the parameters of all modules in one store, by name; a second guide of the same class would take over the
    first one's values and go on to change them. A name whose stored values belong to no living guide (a loaded store)
    is free if they have the shapes needed, and the guide takes them over, as in Pyro; with ``fresh`` it never does.

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
