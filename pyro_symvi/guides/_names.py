"""Names of guides in Pyro's global parameter store: two living guides never share one."""

from __future__ import annotations

from typing import Any
from weakref import WeakValueDictionary

import pyro

_HOLDERS: WeakValueDictionary[str, Any] = WeakValueDictionary()
"""The guide that holds each name."""


def claim_name(guide: Any, parameter: str = "loc") -> str:
    """A name for ``guide``: its own, or a numbered one where another living guide has parameters under it.

    Pyro keeps the parameters of all modules in one store, by name; a second guide of the same class would take over the
    first one's values and go on to change them. A name whose stored values belong to no living guide (a loaded store)
    is free: the guide takes those values over, as in Pyro.
    """
    base = name = guide._pyro_name
    number = 1
    while _is_taken(name, guide, parameter):
        number += 1
        name = f"{base}_{number}"
    _HOLDERS[name] = guide
    return name


def _is_taken(name: str, guide: Any, parameter: str) -> bool:
    holder = _HOLDERS.get(name)
    if holder is None or holder is guide or holder._pyro_name != name:
        return False
    stored = dict(pyro.get_param_store().named_parameters()).get(f"{name}.{parameter}")
    return stored is None or stored is holder._parameters.get(f"{parameter}_unconstrained")
