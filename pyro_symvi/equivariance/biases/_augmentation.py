"""Random elements of a group for every sample of a batch, moving inputs and targets together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ...groups import Action, Group, InvariantAction
from .._inputs import _mapped, input_actions, leaves


class Augmentation:
    """(x, y) -> (rho_in(g_b) x_b, rho_out(g_b) y_b) with an independent Haar draw g_b for each sample b.

    For training batches only. Augmentation with O(3) includes reflections: a model that is to know pseudotensors or
    parity needs them.

    Args:
        group: compact.
        rho_in: actions in the structure of the inputs, None where one stays: ``data.rho_in(group)``.
        rho_out: the action on the targets, or a dict of actions: ``data.rho_out(group)``; None for invariant targets.
    """

    def __init__(self, group: Group, rho_in: Any = None, rho_out: Any = None) -> None:
        require_compact(group)
        self.group, self.rho_in, self.rho_out = group, rho_in, rho_out

    def __call__(self, x: Any, y: Any = None, *, generator: torch.Generator | None = None) -> Any:
        """Moved inputs and targets ``[B, ...]`` in the structures, dtypes and places of x and y; x alone without y.

        The elements follow from ``generator``, which is advanced. Without one they come from the global generator.
        """
        actions = input_actions(x, self.group, self.rho_in)
        found = [leaf for _, leaf, _ in leaves(x, actions)]
        if not found:
            raise ValueError(f"expected at least one tensor among the inputs, got {type(x).__name__}")
        elements = self.group.sample(len(found[0]), generator=generator).to(found[0].device)
        moved = moved_each(x, actions, elements)
        if y is None:
            return moved
        return moved, moved_each(y, output_actions(y, self.group, self.rho_out), elements)


def require_compact(group: Group) -> None:
    """Refuse what has no uniform law."""
    if not isinstance(group, Group):
        raise TypeError(f"expected a group, got {group!r}; try pyro_symvi.groups.Orthogonal(3)")
    if not group.is_compact:
        raise ValueError(f"expected a compact group, got {group!r}, because others have no uniform law")


def output_actions(y: Any, group: Group, rho_out: Any) -> Any:
    """The action on each tensor of the outputs, in their structure; None leaves all of them as they are."""
    if rho_out is None and isinstance(y, Tensor):
        return InvariantAction(group)
    if rho_out is None and isinstance(y, dict):
        rho_out = {}
    if rho_out is None and isinstance(y, tuple | list):
        rho_out = [None] * len(y)
    return input_actions(y, group, rho_out)


def moved_each(x: Any, actions: Any, elements: Tensor) -> Any:
    """rho(g_b) x_b sample by sample: tensors ``[B, ...]`` and ``elements [B, ...]``; products in float64."""
    return _mapped(x, actions, lambda leaf, action: _moved(leaf, action, elements))


def _moved(x: Tensor, action: Action, elements: Tensor) -> Tensor:
    if isinstance(action, InvariantAction):
        return x
    if len(x) != len(elements):
        raise ValueError(
            f"expected {len(elements)} samples on the first axis of every tensor, got {len(x)}; try x[None] for one"
        )
    exact = x if x.is_complex() else x.double()
    between = x.ndim - 1 - len(action.event_shape)
    g = elements.reshape(len(elements), *(1,) * between, *elements.shape[1:])
    moved = action.act(g, exact)
    if not x.is_floating_point() and not x.is_complex():
        moved = moved.round()
    return moved.to(x.dtype)
