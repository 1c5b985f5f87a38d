"""Names of dimensions: those of the model's plates, else SITE_dim_k as in ArviZ."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..density._model import Call
from ._model_run import ModelRun, RunSite

_TAKEN = ("chain", "draw")


class Dimensions:
    """Dimensions given out so far, each of one size.

    Attributes:
        by_variable: ``{variable: names after chain and draw}``.
        given: The user's, which come first.
    """

    def __init__(self, given: Mapping[str, Any] | None) -> None:
        self.given = {name: [str(d) for d in dims] for name, dims in (given or {}).items()}
        self.by_variable: dict[str, list[str]] = {}
        self._sizes: dict[str, int] = {}

    def add(self, name: str, shape: tuple[int, ...], plates: Mapping[int, str], event: int = 0) -> None:
        """Name the dimensions of a variable: ``plates`` by negative dimension left of the last ``event`` ones.

        Raises:
            ValueError: The user named another number of dimensions.
        """
        if name in self.given:
            if len(self.given[name]) != len(shape):
                raise ValueError(
                    f"expected {len(shape)} names in dims[{name!r}], got {self.given[name]}, because the variable has "
                    f"the shape {list(shape)} after chain and draw; try one name for each"
                )
            self.by_variable[name] = self.given[name]
            return
        names: list[str] = []
        for k, size in enumerate(shape):
            plate = plates.get(k - (len(shape) - event)) if k < len(shape) - event else None
            names.append(self._shared(plate, size, names) or f"{name}_dim_{k}")
        self.by_variable[name] = names

    def _shared(self, plate: str | None, size: int, beside: list[str]) -> str | None:
        """The plate's name, where no other dimension has it."""
        if plate is None or plate in _TAKEN or plate in beside or self._sizes.get(plate, size) != size:
            return None
        self._sizes[plate] = size
        return plate

    def of_size(self, size: int) -> str | None:
        """The one plate of this size, if there is exactly one."""
        found = [name for name, n in self._sizes.items() if n == size]
        return found[0] if len(found) == 1 else None

    @property
    def names(self) -> set[str]:
        """All names."""
        return {d for dims in self.by_variable.values() for d in dims} | set(_TAKEN)


def name_sites(run: ModelRun | None, values: Mapping[str, Tensor], given: Mapping[str, Any] | None) -> Dimensions:
    """Dimensions of the latent, deterministic and observed sites."""
    dimensions = Dimensions(given)
    sites: dict[str, RunSite] = {} if run is None else {**run.latent, **run.deterministic, **run.observed}
    for name, value in values.items():
        if name not in sites:
            dimensions.add(name, tuple(value.shape[1:]), {})
    for name, site in sites.items():
        dimensions.add(name, site.batch + site.event, site.plates, len(site.event))
    return dimensions


def constants(call: Call, data: Mapping[str, Tensor], dimensions: Dimensions) -> dict[str, np.ndarray]:
    """Tensors and numbers among the model's arguments that are no observed data, named as in its signature.

    The first dimension is called like a plate where exactly one plate has its size.
    """
    try:
        entry = call.model.forward if isinstance(call.model, torch.nn.Module) else call.model
        bound = inspect.signature(entry).bind(*call.args, **call.kwargs).arguments
    except (TypeError, ValueError):
        return {}
    found: dict[str, np.ndarray] = {}
    for name, value in bound.items():
        if isinstance(value, bool | int | float) and not isinstance(value, bool):
            value = torch.tensor(value)
        if not isinstance(value, Tensor | np.ndarray):
            continue
        array = value.detach().cpu().numpy() if isinstance(value, Tensor) else value
        if array.dtype.kind not in "biuf" or any(_same(array, known) for known in data.values()):
            continue
        label = f"{name}_argument" if name in dimensions.names or name in dimensions.by_variable else name
        plate = dimensions.of_size(array.shape[0]) if array.ndim else None
        shape = tuple(array.shape)
        dimensions.add(label, shape, {} if plate is None else {-len(shape): plate})
        found[label] = array
    return found


def _same(array: np.ndarray, data: Tensor) -> bool:
    known = data.detach().cpu().numpy()
    return array.size == known.size and bool(np.array_equal(array.reshape(-1), known.reshape(-1), equal_nan=True))
