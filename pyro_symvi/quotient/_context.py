"""What is known of each cloud besides its coordinates."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .._value import Value

_SHAPES = {"mask": "*batch, N", "features": "*batch, N, F", "edges": "*batch, N, N"}


class Batched(NamedTuple):
    """A key of ``Context.remember`` for tensors that are chosen from as the context is."""

    key: Hashable


@dataclass(frozen=True, eq=False, repr=False)
class Context(Value):
    """Conditions of a batch of clouds: given to a denoiser, never noised. Any field may be None.

    Args:
        mask: ``[*batch, N]`` bool, True where there is a point; the rest is padding and stays at zero.
        features: ``[*batch, N, F]`` floating, what is known of each point (an element, a residue's place).
        edges: ``[*batch, N, N]`` integers, the kind of the edge between two points (a bond order), 0 for none;
            symmetric.

    Raises:
        TypeError: for a field of another dtype.
        ValueError: for shapes that do not agree, a cloud without points, edges that are not symmetric, features that
            are not finite.
    """

    mask: Tensor | None = None
    features: Tensor | None = None
    edges: Tensor | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "_remembered", {})
        shapes = {}
        for name, least in (("mask", 1), ("features", 2), ("edges", 2)):
            field = getattr(self, name)
            if field is not None and not isinstance(field, Tensor):
                raise TypeError(f"expected {name} to be a tensor, got {type(field).__name__}; try torch.as_tensor")
            if field is not None and field.ndim < least:
                raise ValueError(f"expected {name} [{_SHAPES[name]}], got a tensor of shape {list(field.shape)}")
        if self.mask is not None:
            if self.mask.dtype != torch.bool:
                raise TypeError(f"expected mask of dtype torch.bool, got {self.mask.dtype}; try mask.bool()")
            if not bool(self.mask.any(-1).all()):
                raise ValueError("expected at least one point in each cloud, got an empty mask; try to drop those")
            shapes["mask"] = self.mask.shape
        if self.features is not None:
            if not self.features.is_floating_point():
                raise TypeError(f"expected features of a floating dtype, got {self.features.dtype}; try .float()")
            if not bool(torch.isfinite(self.features).all()):
                raise ValueError("expected finite features, got nan or inf; try to fill what is missing")
            shapes["features"] = self.features.shape[:-1]
        if self.edges is not None:
            if self.edges.is_floating_point() or self.edges.dtype == torch.bool:
                raise TypeError(f"expected edges of an integer dtype, got {self.edges.dtype}; try edges.long()")
            if self.edges.shape[-1] != self.edges.shape[-2] or not torch.equal(self.edges, self.edges.mT):
                raise ValueError("expected symmetric edges [..., N, N], because a bond has no direction")
            shapes["edges"] = self.edges.shape[:-1]
        if len(set(shapes.values())) > 1:
            text = ", ".join(f"{name} {list(shape)}" for name, shape in shapes.items())
            raise ValueError(f"expected the same [*batch, N] in each field, got {text}")

    @property
    def shape(self) -> torch.Size | None:
        """``[*batch, N]``, or None where nothing is given."""
        if self.mask is not None:
            return self.mask.shape
        if self.features is not None:
            return self.features.shape[:-1]
        return None if self.edges is None else self.edges.shape[:-1]

    def map(self, function: Callable[[Tensor], Tensor]) -> Context:
        """The context with ``function`` applied to each tensor that is there; a function of the batch dimensions."""
        names = [f.name for f in dataclasses.fields(self) if getattr(self, f.name) is not None]
        fields = {name: function(getattr(self, name)) for name in names}
        moved = object.__new__(type(self))  # checked once already
        for f in dataclasses.fields(self):
            object.__setattr__(moved, f.name, fields.get(f.name))
        object.__setattr__(moved, "_remembered", {})
        return moved

    def __getstate__(self) -> dict[str, Any]:
        # copies remember nothing: keys may hold the id of an object, which another one may have by then
        return {**self.__dict__, "_remembered": {}}

    def __getitem__(self, index: object) -> Context:
        chosen = self.map(lambda field: field[index])  # type: ignore[index]
        for key, value in self.__dict__["_remembered"].items():
            if isinstance(key, Batched):
                chosen.__dict__["_remembered"][key] = tuple(field[index] for field in value)
        return chosen

    def expand(self, *batch: int) -> Context:
        """New leading batch dimensions, as views."""
        return self.map(lambda field: field.expand(*batch, *field.shape))

    def to(self, target: torch.device | str | torch.dtype) -> Context:
        """On another device; a dtype is for the features alone."""
        if isinstance(target, torch.dtype):
            return self.map(lambda field: field.to(target) if field.is_floating_point() else field)
        return self.map(lambda field: field.to(target))

    def remember(self, key: Hashable, compute: Callable[[], Any]) -> Any:
        """What ``compute`` returned the first time for this key: a graph's spectrum is wanted at every step.

        Under a ``Batched`` key it is a tuple of tensors of the batch dimensions of the context; ``context[index]`` then
        remembers the rows chosen.
        """
        remembered: dict[Hashable, Any] = self.__dict__["_remembered"]
        if key not in remembered:
            with torch.inference_mode(False):  # what is remembered may be used in training later
                remembered[key] = compute()
        return remembered[key]
