"""How large an error rounding alone makes, measured on the model itself."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor, nn

from ...groups import Action
from .._inputs import Inputs, Shared
from ._outputs import band_of, raw_outputs

DRAWS = 8


@dataclasses.dataclass(frozen=True)
class Rounding:
    """Size of A that rounding makes.

    Attributes:
        floor: root mean square of |f - f~| over objects, samples and a few elements, f~ being the model in another
            precision, or an estimate where there is none.
        measured: which of the two.
        how: in words; the reason, where it could not be measured.
    """

    floor: float
    measured: bool
    how: str


def rounding_of(
    model: Any,
    inputs: Inputs,
    actions: dict[str, Action],
    weights: dict[str, Tensor],
    size: dict[str, float],
    elements: Tensor,
    measure: bool = True,
) -> dict[str, Rounding]:
    """The floor of each output; ``weights [B, *copies]`` count objects, ``size`` is the root of the mean of E|z|^2.

    ``elements`` are visited for groups that cannot be sampled.

    A model in float32 (or half) is compared with its copy in float64 at images made in float64, which counts its own
    rounding and that of its inputs. A model in float64 is compared with a copy in float32 and the difference scaled
    by 2^-29, the ratio of the two units. The model itself is not changed. The floor is never below half a unit of
    |z|, and 4 (1 + l) float64 units, which the matrices of degree l cost.
    """
    own, found, how = _own_precision(model, inputs), {}, ""
    differences: dict[str, float] | None = None
    if not measure:
        how = "not measured, as asked"
    elif isinstance(model, nn.Module) and any(module.training for module in model.modules()):
        how = "the model is in training mode"
    else:
        try:
            differences = _differences(model, inputs, actions, weights, own, elements)
        except Exception as error:  # a copy may fail in any way a model can fail
            how = f"no copy in another precision ran ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
    eps = torch.finfo(own).eps
    for name, action in actions.items():
        ours = 4 * (1 + band_of(action)) * torch.finfo(torch.float64).eps
        if differences is None:
            found[name] = Rounding(max(8 * eps, ours) * size[name], False, f"estimated as 8 units of {own}: {how}")
        else:
            floor = max(differences[name], max(eps / 2, ours) * size[name])
            other = "float64" if own != torch.float64 else "float32, scaled,"
            text = f"measured: {own} against a copy in {other} at {DRAWS} elements".replace("torch.", "")
            found[name] = Rounding(floor, True, text)
    return found


def _own_precision(model: Any, inputs: Inputs) -> torch.dtype:
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


def _cast(x: Any, dtype: torch.dtype) -> Any:
    if isinstance(x, Shared):
        return Shared(_cast(x.value, dtype))
    if isinstance(x, dict):
        return {key: _cast(value, dtype) for key, value in x.items()}
    if isinstance(x, tuple | list):
        return type(x)(_cast(value, dtype) for value in x)
    return x.to(dtype) if isinstance(x, Tensor) and x.is_floating_point() else x


def _differences(
    model: Any,
    inputs: Inputs,
    actions: dict[str, Action],
    weights: dict[str, Tensor],
    own: torch.dtype,
    elements: Tensor,
) -> dict[str, float]:
    other = torch.float32 if own == torch.float64 else torch.float64
    twin = copy.deepcopy(model).to(other) if isinstance(model, nn.Module) else model
    there = dataclasses.replace(inputs, x=_cast(inputs.x, other))
    if inputs.group.is_compact:  # the nodes of a rule lie on axes, where products are often exact
        elements = inputs.group.sample(DRAWS, generator=torch.Generator().manual_seed(0))
    elements = elements[:DRAWS].to(inputs.device)
    sums = dict.fromkeys(actions, 0.0)
    rows = torch.arange(inputs.samples).split(256)
    for g, some in ((g, some) for g in elements.split(1) for some in rows):
        mine, theirs = _outputs(model, inputs, g, some), _outputs(twin, there, g, some)
        for name, action in actions.items():
            a, b = mine[name], theirs[name]
            if (b.dtype == torch.float64) == (own == torch.float64) and a.dtype == b.dtype:
                raise TypeError(f"{name} stays in {b.dtype} whatever the dtype of the inputs")
            away = (a.double() - b.double()).square()
            events = len(action.event_shape)
            away = away.sum(tuple(range(-events, 0))) if events else away
            part = weights[name][some.to(weights[name].device)] * away.to(weights[name])
            sums[name] += float(part.sum() / weights[name].sum()) / len(elements)
    scale = 2.0**-29 if own == torch.float64 else 1.0
    found = {name: scale * value**0.5 for name, value in sums.items()}
    if not all(value < float("inf") for value in found.values()):
        raise ArithmeticError("the copy gave nan or inf")
    return found


def _outputs(model: Any, inputs: Inputs, elements: Tensor, rows: Tensor) -> dict[str, Tensor]:
    """One pass, no graph kept; models that differentiate inside get the graph they need."""
    images = inputs.picked(inputs.moved(elements), rows)
    try:
        with torch.no_grad():
            output = inputs.call(model, images)
    except RuntimeError as error:
        if "does not require grad" not in str(error):
            raise
        with torch.enable_grad():
            output = inputs.call(model, images)
    return {name: value.detach() for name, value in raw_outputs(output).items()}
