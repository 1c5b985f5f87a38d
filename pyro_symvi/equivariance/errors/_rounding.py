"""How large an error rounding alone makes, measured on the model itself."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ...groups import Action
from .._inputs import Inputs
from ._outputs import band_of
from ._precision import called, cast, coarsest_cast, is_training, nudged, own_precision

DRAWS = 8
#: What changes more than this many times sqrt(eps) of the size when inputs change by one unit is no rounding: a jump.
LARGEST = 10.0


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
    by 2^-29, the ratio of the two units. A model that computes in less than its dtype says (``x.float()`` inside) has
    the same rounding in every copy, and is estimated. Where there is no copy in float64, roots of rounding and
    cancellations are seen by how the output answers to inputs that change by one unit. The model itself is not
    changed. The floor is never below half a unit of |z|, and 4 (1 + l) float64 units, which the matrices of degree l
    cost.
    """
    own, found, how = own_precision(model, inputs), {}, ""
    differences: dict[str, float] | None = None
    coarsest = own
    if measure:
        coarsest = coarsest_cast(model, inputs, own)
    if not measure:
        how = "not measured, as asked"
    elif coarsest != own:
        how = f"the model computes in {coarsest} inside"
    elif is_training(model):
        how = "the model is in training mode"
    else:
        try:
            differences = _differences(model, inputs, actions, weights, own, elements)
        except Exception as error:  # a copy may fail in any way a model can fail
            how = f"no copy in another precision ran ({type(error).__name__}: {(str(error).splitlines() or [''])[0]})"
    eps = torch.finfo(coarsest).eps
    answers = dict.fromkeys(actions, 0.0)
    if measure and not is_training(model) and (differences is None or own == torch.float64):
        with contextlib.suppress(Exception):
            answers = _answers(model, inputs, actions, weights, eps, elements)
    for name, action in actions.items():
        ours = 4 * (1 + band_of(action)) * torch.finfo(torch.float64).eps
        if differences is None:
            floor = max(max(8 * eps, ours) * size[name], min(answers[name], LARGEST * eps**0.5 * size[name]))
            found[name] = Rounding(floor, False, f"estimated as 8 units of {coarsest}: {how}")
        else:
            answer = min(answers[name], LARGEST * eps**0.5 * size[name])
            floor = max(differences[name], answer, max(eps / 2, ours) * size[name])
            other = "float64" if own != torch.float64 else "float32, scaled,"
            text = f"measured: {own} against a copy in {other} at {DRAWS} elements".replace("torch.", "")
            found[name] = Rounding(floor, True, text)
    return found


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
    there = dataclasses.replace(inputs, x=cast(inputs.x, other))

    def both(g: Tensor, some: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        mine, theirs = _outputs(model, inputs, g, some), _outputs(twin, there, g, some)
        for name in actions:
            a, b = mine[name], theirs[name]
            exact = own == torch.float64
            if (b.dtype == torch.float64) == exact or (exact and a.dtype == b.dtype):
                raise TypeError(f"{name} stays in {b.dtype} whatever the dtype of the inputs")
        return mine, theirs

    scale = 2.0**-29 if own == torch.float64 else 1.0
    found = {name: scale * value for name, value in _apart(both, inputs, actions, weights, elements).items()}
    if not all(value < float("inf") for value in found.values()):
        raise ArithmeticError("the copy gave nan or inf")
    return found


def _answers(
    model: Any,
    inputs: Inputs,
    actions: dict[str, Action],
    weights: dict[str, Tensor],
    eps: float,
    elements: Tensor,
) -> dict[str, float]:
    """Root mean square of what changes in each output when every entry of the images changes by one unit, up or down.

    That of a float64 model with a root of rounding, such as a distance of a point to itself, is 1e-8, not 1e-16.
    """
    chance = torch.Generator().manual_seed(1)

    def both(g: Tensor, some: Tensor) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        return _outputs(model, inputs, g, some), _outputs(model, inputs, g, some, lambda x: nudged(x, eps, chance))

    found = _apart(both, inputs, actions, weights, elements)
    return {name: value if value < float("inf") else 0.0 for name, value in found.items()}


def _apart(
    both: Callable[[Tensor, Tensor], tuple[dict[str, Tensor], dict[str, Tensor]]],
    inputs: Inputs,
    actions: dict[str, Action],
    weights: dict[str, Tensor],
    elements: Tensor,
) -> dict[str, float]:
    """Root mean square distance of two answers over a few elements and all samples, by output."""
    if inputs.group.is_compact:  # the nodes of a rule lie on axes, where products are often exact
        elements = inputs.group.sample(DRAWS, generator=torch.Generator().manual_seed(0))
    elements = elements[:DRAWS].to(inputs.device)
    sums = dict.fromkeys(actions, 0.0)
    rows = torch.arange(inputs.samples).split(256)
    for g, some in ((g, some) for g in elements.split(1) for some in rows):
        mine, theirs = both(g, some)
        for name, action in actions.items():
            away = (mine[name].double() - theirs[name].double()).square()
            events = len(action.event_shape)
            away = away.sum(tuple(range(-events, 0))) if events else away
            part = weights[name][some.to(weights[name].device)] * away.to(weights[name])
            sums[name] += float(part.sum() / weights[name].sum()) / len(elements)
    return {name: value**0.5 for name, value in sums.items()}


def _outputs(
    model: Any, inputs: Inputs, elements: Tensor, rows: Tensor, change: Callable[[Any], Any] | None = None
) -> dict[str, Tensor]:
    """The outputs by name at some rows of the images, changed if so wished."""
    images = inputs.picked(inputs.moved(elements), rows)
    return called(model, inputs, images if change is None else change(images))
