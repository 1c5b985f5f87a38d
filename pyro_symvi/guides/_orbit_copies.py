"""States and copies of wrapped guides; Pyro's own take the model away from the original."""

from __future__ import annotations

import copy
from typing import Any


def state_of(guide: Any) -> dict[str, Any]:
    """A guide's state for pickling, without its model."""
    model, master = guide._model, guide.master
    try:
        return dict(guide.__getstate__())
    finally:
        guide._model, guide.master = model, master


def copy_of(guide: Any, memo: dict[int, Any]) -> Any:
    """A deep copy for the same model."""
    model, master = guide._model, guide.master
    try:
        twin = copy.deepcopy(guide, memo)
    finally:
        guide._model, guide.master = model, master
    twin._model = model
    return twin
