"""Is it an action at all? Checked on the samples themselves."""

from __future__ import annotations

import torch
from torch import Tensor

from ..groups import Action, Group, InvariantAction
from ..groups._errors import sentence

#: Largest deviation from rho(g) rho(h) x = rho(gh) x, relative to the largest entry of x and its images.
TOLERANCE = 1e-5


def require_action(action: Action, x: Tensor, name: str, samples: int = 2) -> None:
    """Check rho(e) x = x and rho(g) rho(h) x = rho(gh) x on the first samples, for two pairs of Haar draws.

    Anything else is not moved by the group, and averages over the group then mean nothing. Actions that hold only
    up to interpolation say so by an attribute ``is_exact = False`` and are not looked at; nor are those of groups
    without Haar measure.

    Args:
        action: of a group on the last axes of x.
        x: ``[B, ...]``, in float64 (or complex).
        name: of x, for the message.
        samples: how many of them are moved.
    """
    group: Group = action.group
    if isinstance(action, InvariantAction) or not group.is_compact or not getattr(action, "is_exact", True):
        return
    x = x[:samples]
    draws = group.sample(4, generator=torch.Generator().manual_seed(0)).to(x.device)
    first, second = draws[:2], draws[2:]
    once = action._sweep(group._compose(first, second), x)
    twice = torch.cat([action._sweep(g[None], y) for g, y in zip(first, action._sweep(second, x), strict=True)])
    unit = action._sweep(group.identity(device=x.device)[None], x)[0]
    scale = float(torch.stack([x.abs().amax(), once.abs().amax(), twice.abs().amax()]).amax()) if x.numel() else 0.0
    for what, a, b in (("rho(e) x = x", unit, x), ("rho(g) rho(h) x = rho(g h) x", twice, once)):
        apart = float((a - b).abs().max()) if a.numel() else 0.0
        if not apart <= TOLERANCE * scale:
            raise ValueError(
                sentence(
                    f"an action with {what}",
                    f"{action!r}, off by {apart:.2g} on {name}",
                    "averages over the group mean nothing where its elements are not what moves the inputs",
                    "the order of the factors, or the inverse: act(g, x) is a left action",
                )
            )
