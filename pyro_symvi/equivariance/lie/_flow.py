"""Inputs and features that a group moves, to first order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from ...groups import Action, InvariantAction
from ...groups._errors import sentence


def velocity(action: Action, y: Tensor, direction: Tensor) -> Tensor | None:
    """d/dt act(exp(t v), y) at t = 0 for v = ``direction [dim]``, of the shape of y; None where nothing moves.

    Computed in float64, given in the dtype of y.
    """
    if isinstance(action, InvariantAction):
        return None
    basis = action.vertical_basis(y.detach() if y.is_complex() else y.detach().double())
    return (basis @ direction.to(basis)).to(y.dtype)


def pushed(y: Tensor, speed: Tensor | None, t: Tensor) -> Tensor:
    """The point y + t dy, never a view of y (a model may write into it)."""
    return y.clone() if speed is None else y + t.to(y.dtype) * speed


def moving(x: Any, actions: Any, direction: Tensor) -> Callable[[Tensor], Any]:
    """The curve t -> x + t X x through inputs ``x`` of the structure of ``actions``, X = ``direction [dim]``."""
    speeds: list[Tensor | None] = []

    def record(leaf: Tensor, action: Action | None) -> Tensor:
        speed = None if action is None else velocity(action, leaf, direction)
        if speed is not None and not (leaf.is_floating_point() or leaf.is_complex()):
            raise TypeError(
                sentence(
                    "floating inputs where a Lie group moves them",
                    leaf.dtype,
                    "they move by small amounts",
                    "None in rho_in for an input that stays as it is",
                )
            )
        speeds.append(speed)
        return leaf

    mapped(x, actions, record)

    def at(t: Tensor) -> Any:
        left = iter(speeds)
        return mapped(x, actions, lambda leaf, action: pushed(leaf, next(left), t))

    return at


def still(x: Any, actions: Any) -> Any:
    """The inputs as they are, in fresh memory."""
    return mapped(x, actions, lambda leaf, action: torch.clone(leaf))


def mapped(x: Any, actions: Any, change: Callable[[Tensor, Action | None], Tensor]) -> Any:
    """The structure with ``change(tensor, action)`` for each tensor; what all samples share stays as it is."""
    if isinstance(x, Tensor):
        return change(x, actions)
    if actions is None:
        return x
    if isinstance(x, dict):
        return {key: mapped(value, actions[key], change) for key, value in x.items()}
    if isinstance(x, tuple | list):
        found = [mapped(value, actions[i], change) for i, value in enumerate(x)]
        return found if isinstance(x, list) else tuple(found)
    return x


def floats(x: Any) -> Iterator[Tensor]:
    """The floating tensors of a structure."""
    if isinstance(x, Tensor):
        if x.is_floating_point():
            yield x
    elif isinstance(x, dict | tuple | list):
        for value in x.values() if isinstance(x, dict) else x:
            yield from floats(value)
