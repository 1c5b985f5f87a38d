"""Where each latent site lies in the flat vector, and what its coordinates are called."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributions import transforms

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Site:
    """One latent site of a model.

    Attributes:
        name: The site's name in the model.
        slice: Its coordinates in the flat unconstrained vector.
        shape: Shape of its value on the user's (constrained) scale.
        unconstrained_shape: Shape of the unconstrained value, ``prod(unconstrained_shape) = slice length``.
        transform: Kind of map from unconstrained to constrained: ``"identity"``, ``"exp"`` or a transform's name.
        device: Where the model wants its value: where the tensors of its prior lie.
    """

    name: str
    slice: slice
    shape: torch.Size
    unconstrained_shape: torch.Size
    transform: str = "identity"
    device: torch.device = CPU

    def coordinates(self) -> tuple[str, ...]:
        """Names of its flat coordinates: ``beta[0]``, ``log sigma``, ``unconstrained w[1]``."""
        prefix = {"identity": "", "exp": "log "}.get(self.transform, "unconstrained ")
        indices = itertools.product(*(range(n) for n in self.unconstrained_shape))
        return tuple(f"{prefix}{self.name}{'[' + ','.join(map(str, i)) + ']' if i else ''}" for i in indices)


def device_of(law: Any) -> torch.device:
    """Where the tensors of a distribution lie, those of the ones it is made of included; the CPU if there are none."""
    for value in vars(law).values():
        if isinstance(value, torch.Tensor) and value.device.type != "cpu":
            return value.device
        if isinstance(value, torch.distributions.Distribution):
            inner = device_of(value)
            if inner.type != "cpu":
                return inner
    return CPU


def transform_kind(transform: Any) -> str:
    """``"identity"``, ``"exp"``, or the class name of a transform from unconstrained to constrained values."""
    if isinstance(transform, transforms.ComposeTransform):
        kinds = {transform_kind(part) for part in transform.parts} - {"identity"}
        return kinds.pop() if len(kinds) == 1 else ("identity" if not kinds else "ComposeTransform")
    if isinstance(transform, transforms.IndependentTransform):
        return transform_kind(transform.base_transform)
    if transform is transforms.identity_transform:
        return "identity"
    if isinstance(transform, transforms.AffineTransform) and _all(transform.loc, 0) and _all(transform.scale, 1):
        return "identity"
    return "exp" if isinstance(transform, transforms.ExpTransform) else type(transform).__name__


def _all(value: Any, number: float) -> bool:
    return bool((torch.as_tensor(value) == number).all())
