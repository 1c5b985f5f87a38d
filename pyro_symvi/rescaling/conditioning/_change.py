"""How much a rescaling changed the outputs: nothing, but for rounding."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from .._group import RescalingGroup

_SAMPLES, _SEED = 8, 0


def output_change(model: nn.Module, group: RescalingGroup, log_scale: Tensor) -> float:
    """Max |f' - f| / max |f| of a network in its own types, rescaled by z ``[H]``, for normal inputs.

    Both are run in evaluation mode on a copy, sample by sample (its hooks are called); the model is left as it is.
    """
    twin = copy.deepcopy(model).eval()
    shapes = group.traced.input_shapes
    before = outputs(twin, shapes)
    group.apply_(twin, log_scale)
    return relative_change(before, outputs(twin, shapes))


def outputs(model: nn.Module, shapes: Sequence[tuple[int, ...]]) -> list[Tensor]:
    """Outputs ``[8, ...]`` of a network for normal inputs of these shapes (batch axis of one included), in float64."""
    parameter = next(model.parameters())
    generator = torch.Generator().manual_seed(_SEED)
    found = []
    devices = [parameter.device] if parameter.device.type == "cuda" else []
    with torch.no_grad(), torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(_SEED)  # for what forward draws itself; torch.manual_seed reseeds all GPUs
        for device in devices:
            torch.cuda.default_generators[device.index].manual_seed(_SEED)
        for _ in range(_SAMPLES):
            inputs = [torch.randn(shape, generator=generator, dtype=torch.float64) for shape in shapes]
            made = model(*(x.to(parameter.device, parameter.dtype) for x in inputs))
            found.append(
                [
                    t.to("cpu").double()
                    for t in pytree.tree_leaves(made)
                    if isinstance(t, Tensor) and t.is_floating_point()
                ]
            )
    return [torch.stack(parts) for parts in zip(*found, strict=True)]


def relative_change(before: Sequence[Tensor], after: Sequence[Tensor]) -> float:
    """Max |f' - f| / max |f| over samples and entries, the largest of the outputs; 0 where both vanish."""
    changes = [0.0]
    for old, new in zip(before, after, strict=True):
        change, size = (new - old).abs().max().item(), old.abs().max().item()
        changes.append(change / size if size > 0 else change)
    return float("nan") if any(c != c for c in changes) else max(changes)
