"""Starts beside a tied point, and averages over a group."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from numbers import Real
from typing import Any

import torch
from torch import Tensor

from ._instability import Instability
from ._irrep_instability import random_values
from ._units import Axes, Params, Units, like, values_of


def break_symmetry_init(
    params: Params,
    direction: Any,
    scale: float,
    irrep: Any = "standard",
    *,
    axes: Axes = 0,
    unsigned: Collection[str] = (),
    generator: torch.Generator | None = None,
) -> Any:
    """Parameters moved off a tied point by a step of norm ``scale`` that has no component in the fixed space.

    Args:
        params: A tensor or a dict of tensors; they are copied.
        direction: An `Instability`, whose direction is taken, or a group or linear action, for a random direction in
            ``irrep`` (isotropic there).
        scale: Euclidean norm of the step, all parameters together; a typical entry moves by scale / sqrt(dimension).
        irrep, axes, unsigned: As in `irrep_instability`; for an `Instability` its own are taken.
        generator: For the random direction; default torch's global one.

    Raises:
        TypeError: A direction of another kind.
        ValueError: A scale that is not positive and finite; a part that does not occur; other shapes.
    """
    values = values_of(params)
    if isinstance(scale, bool) or not isinstance(scale, Real) or not 0 < scale < math.inf:
        raise ValueError(f"expected a finite scale > 0, got {scale!r}, because it is the length of the step; try 0.1")
    if isinstance(direction, Instability):
        given = values_of(direction.direction)
        if {n: v.shape for n, v in given.items()} != {n: v.shape for n, v in values.items()}:
            raise ValueError(
                "expected parameters of the shapes of the direction, got others; try those given to irrep_instability"
            )
        units, irrep = direction.units, direction.irrep
        given = {n: v.to(values[n]) for n, v in given.items()}
    else:
        units = Units(values, direction, axes, unsigned)
        given = _random(values, generator)
    if irrep in ("trivial", 0):
        raise ValueError("expected an irrep that moves, got the fixed space, because steps in it break nothing")
    step = units.project(given, irrep)
    norm = math.sqrt(sum(float(part.square().sum()) for part in step.values()))
    if norm == 0:
        raise ValueError(f"expected a representation that occurs in the parameters, got {irrep!r}; try another irrep")
    return like(params, {name: values[name] + float(scale) / norm * step[name] for name in values})


def symmetrised(
    elbo: Callable[[Any], Tensor], group: Any, *, axes: Axes = 0, unsigned: Collection[str] = ()
) -> Callable[[Any], Tensor]:
    """The average of a function of parameters over a finite group: invariant, at ``order`` times the cost.

    For a Monte-Carlo ELBO of fixed draws, which is not invariant although its expectation is. Orders up to 720.

    Raises:
        ValueError: for groups of order above 720.
    """
    order = (group if hasattr(group, "elements") else group.group).order
    if order > 720:
        raise ValueError(f"expected a group of order at most 720, got {order}, because each element costs one call")

    def average(params: Any) -> Tensor:
        named = {"parameters": params} if isinstance(params, Tensor) else dict(params)
        units = Units(values_of(params), group, axes, unsigned)
        moved = [like(params, units.act(g, named)) for g in units.group.elements()]
        return torch.stack([elbo(point).reshape(()) for point in moved]).mean()

    return average


def _random(values: dict[str, Tensor], generator: torch.Generator | None) -> dict[str, Tensor]:
    return random_values(values, torch.default_generator if generator is None else generator)
