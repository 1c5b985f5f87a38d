"""The compact part of a diffusion's group: what turns data at random and what targets are averaged over."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from ..groups import Action, PointCloudAction, SpecialOrthogonal


def compact_action(action: Action) -> Action:
    """The action without its translations: on centred clouds rigid motions are rotations."""
    if isinstance(action, PointCloudAction) and action.centred:
        return dataclasses.replace(action, motions=SpecialOrthogonal(action.motions.n))
    return action


def turned_at_random(action: Action, x: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
    """Each point moved by its own draw from Haar measure of the compact part of the group, shape of x."""
    compact = compact_action(action)
    batch = x.shape[: x.ndim - len(action.event_shape)]
    g = compact.group.sample(tuple(batch), generator=generator, dtype=x.dtype, device=x.device)
    return compact.act(g, x)
