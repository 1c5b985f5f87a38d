"""In which precision a model computes, and at inputs that differ by one unit of it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from .._guards import modules_of
from .._inputs import Inputs, Shared
from ._outputs import raw_outputs


class _Casts(TorchDispatchMode):
    """Notes the coarsest dtype into which floating tensors are cast."""

    def __init__(self) -> None:
        super().__init__()
        self.coarsest: torch.dtype | None = None

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        if func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default):
            source = args[1] if func is torch.ops.aten.copy_.default else args[0]
            if found.is_floating_point() and source.is_floating_point() and found.numel() > 1:
                down = torch.finfo(found.dtype).eps > torch.finfo(source.dtype).eps
                coarser = self.coarsest is None or torch.finfo(found.dtype).eps > torch.finfo(self.coarsest).eps
                if down and coarser:
                    self.coarsest = found.dtype
        return found


def is_training(model: Any) -> bool:
    """Whether a pass may draw random numbers or change running statistics."""
    return any(part.training for whole in modules_of(model) for part in whole.modules())


def coarsest_cast(model: Any, inputs: Inputs, own: torch.dtype | None = None) -> torch.dtype:
    """The coarsest dtype in which a model computes: of inputs, parameters (``own``), and of casts in one pass."""
    own = own_precision(model, inputs) if own is None else own
    if is_training(model):
        return own
    rows = torch.arange(min(inputs.samples, 2))
    casts = _Casts()
    try:
        images = inputs.picked(inputs.moved(inputs.group.identity(device=inputs.device)[None]), rows)
        with torch.random.fork_rng(devices=[]), casts:
            called(model, inputs, images)
    except Exception:  # compiled code may not run so: then nothing is known
        return own
    return max((own, casts.coarsest or own), key=lambda kind: torch.finfo(kind).eps)


def own_precision(model: Any, inputs: Inputs) -> torch.dtype:
    """The coarsest floating dtype among inputs and parameters."""
    kinds = [leaf.dtype for leaf in _floating(inputs.x)]
    if isinstance(model, nn.Module):
        kinds += [p.dtype for p in (*model.parameters(), *model.buffers()) if p.is_floating_point()]
    return max(kinds, key=lambda kind: torch.finfo(kind).eps, default=torch.float64)


def _floating(x: Any) -> list[Tensor]:
    if isinstance(x, Shared):
        return _floating(x.value)
    if isinstance(x, dict):
        return [leaf for value in x.values() for leaf in _floating(value)]
    if isinstance(x, tuple | list):
        return [leaf for value in x for leaf in _floating(value)]
    return [x] if isinstance(x, Tensor) and x.is_floating_point() else []


def cast(x: Any, dtype: torch.dtype) -> Any:
    """A structure with its floating tensors, shared ones too, in another dtype."""
    if isinstance(x, Shared):
        return Shared(cast(x.value, dtype))
    if isinstance(x, dict):
        return {key: cast(value, dtype) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(cast(value, dtype) for value in x)
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def nudged(x: Any, eps: float, chance: torch.Generator) -> Any:
    """A structure with every floating entry times 1 + eps or 1 - eps."""
    if isinstance(x, dict):
        return {key: nudged(value, eps, chance) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(nudged(value, eps, chance) for value in x)
    if not isinstance(x, Tensor) or not x.is_floating_point():
        return x
    signs = torch.randint(2, x.shape, generator=chance).to(x) * 2 - 1
    return x * (1 + eps * signs)


def called(model: Any, inputs: Inputs, images: Any) -> dict[str, Tensor]:
    """One pass, no graph kept; models that differentiate inside get the graph they need."""
    try:
        with torch.no_grad():
            output = inputs.call(model, images)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        with torch.enable_grad():
            output = inputs.call(model, images)
    return {name: value.detach() for name, value in raw_outputs(output).items()}
