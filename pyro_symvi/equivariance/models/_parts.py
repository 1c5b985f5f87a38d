"""Parts of the models: seeds, pooling, outputs."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ..biases import TensorBasis

Shapes = Mapping[str, tuple[int, ...]] | tuple[int, ...]
SINGLE = "output"
"""Name of the head of a model with one output."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Parameters made inside follow from ``seed``; the global generator comes back as it was."""
    if isinstance(seed, bool) or not isinstance(seed, int):
        raise TypeError(f"expected seed to be an int, got {seed!r}")
    state = torch.get_rng_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.set_rng_state(state)


class SumPooling(nn.Module):
    """Sum over the points that there are, ``[B, N, d]`` to ``[B, d]``. For extensive properties."""

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Sum over the points that ``mask [B, N]`` has."""
        return (h * mask[..., None].to(h)).sum(1)


class MeanPooling(nn.Module):
    """Mean over the points that there are, ``[B, N, d]`` to ``[B, d]``."""

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Mean over the points that ``mask [B, N]`` has."""
        weight = mask[..., None].to(h)
        return (h * weight).sum(1) / weight.sum(1).clamp(min=1)


class MaxPooling(nn.Module):
    """Largest entry by channel over the points that there are, ``[B, N, d]`` to ``[B, d]``."""

    def forward(self, h: Tensor, mask: Tensor) -> Tensor:
        """Maximum over the points that ``mask [B, N]`` has."""
        return h.masked_fill(~mask[..., None], -math.inf).amax(1)


def checked_outputs(
    outputs: Shapes, tensor_basis: TensorBasis | Mapping[str, TensorBasis] | None
) -> tuple[dict[str, tuple[int, ...]], dict[str, TensorBasis]]:
    """Shape of each output by name, and the basis of those that have one."""
    shapes = dict(outputs) if isinstance(outputs, Mapping) else {SINGLE: outputs}
    bases: Any = {} if tensor_basis is None else tensor_basis
    if isinstance(bases, TensorBasis):
        bases = {next(iter(shapes)): bases}
    if len(shapes) == 1 and len(bases) == 1:
        bases = {next(iter(shapes)): next(iter(bases.values()))}
    for name, shape in shapes.items():
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n > 0 for n in shape):
            raise TypeError(
                f"expected outputs as a shape such as (3,) or a dict of them, got {shape!r} for {name!r}; "
                "try data.shapes"
            )
    for name, basis in bases.items():
        if name not in shapes:
            raise ValueError(f"expected tensor_basis for outputs among {', '.join(shapes)}, got {name!r}")
        if shapes[name] != basis.shape:
            raise ValueError(
                f"expected {name!r} of shape {basis.shape}, got {shapes[name]}, because of its basis {basis!r}"
            )
    return shapes, dict(bases)


def checked_scales(shapes: Mapping[str, tuple[int, ...]], scales: Mapping[str, float] | float) -> dict[str, float]:
    """The factor of each output by name."""
    found = dict(scales) if isinstance(scales, Mapping) else dict.fromkeys(shapes, scales)
    strange = [name for name in found if name not in shapes]
    if strange:
        raise ValueError(f"expected scales for outputs among {', '.join(shapes)}, got {', '.join(strange)}")
    for name, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
            raise ValueError(f"expected a positive number as scale of {name!r}, got {value!r}; try data.scales")
    return {name: float(found.get(name, 1.0)) for name in shapes}


def checked_points(positions: Tensor, mask: Tensor | None) -> Tensor:
    """The mask, bool ``[B, N]``; all points where it is None."""
    if positions.ndim != 3 or positions.shape[-1] != 3:
        raise ValueError(
            f"expected positions of shape [B, N, 3], got {list(positions.shape)}, because samples come first; "
            "try positions[None] for one cloud"
        )
    if mask is None:
        return torch.ones(positions.shape[:2], dtype=torch.bool, device=positions.device)
    if mask.shape != positions.shape[:2]:
        raise ValueError(f"expected mask of shape {list(positions.shape[:2])}, got {list(mask.shape)}")
    return mask.bool()


def structured(found: dict[str, Tensor]) -> Any:
    """The tensor itself where there is one output, else the dict."""
    return next(iter(found.values())) if len(found) == 1 else found
